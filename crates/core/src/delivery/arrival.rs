//! Whether an announcement of a trade reached its recipient. What was in doubt counts as arrived: who may have read an
//! entry may hold the position, and is owed its exit.

use super::{Delivery, DeliveryState};
use crate::id::DeliveryId;
use crate::trade::document::Trade;

impl Delivery {
    /// Whether this announcement arrived, perhaps arrived, or still may. `told_by`: the message that tells its news, where
    /// it is superseded; one that is not kept any more is taken to have arrived.
    pub fn may_have_arrived(&self, told_by: Option<&Self>) -> bool {
        match self.state {
            DeliveryState::Pending | DeliveryState::Sending | DeliveryState::Held => true,
            DeliveryState::Sent => !self.entry_lapsed || self.possible_repeat,
            DeliveryState::Superseded => {
                self.possible_repeat || told_by.is_none_or(|teller| teller.may_have_arrived(None))
            }
            DeliveryState::Expired | DeliveryState::Dead | DeliveryState::Dropped => self.possible_repeat,
        }
    }
}

/// Whether the trade is known to have been announced to nobody, now that `ended`, an announcement of it, is as it is.
/// `find`: its other announcements, and the messages that tell their news. One that is not kept any more ended long ago,
/// and is taken to have arrived.
pub fn reached_nobody<'d>(
    trade: &Trade,
    ended: &'d Delivery,
    find: impl Fn(DeliveryId) -> Option<&'d Delivery>,
) -> bool {
    let announced = trade.alertcast.entry_deliveries.iter().map(|announced| announced.id);
    let others = announced.filter(|id| *id != ended.id).map(&find);
    std::iter::once(Some(ended))
        .chain(others)
        .all(|announced| announced.is_some_and(|one| !one.may_have_arrived(one.superseded_by.and_then(&find))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Channel::{Email, Telegram};
    use crate::fixtures;

    fn entry(state: DeliveryState, possible_repeat: bool) -> Delivery {
        Delivery { state, possible_repeat, ..fixtures::entry(Telegram, 1, 1, 1) }
    }

    #[test]
    fn an_announcement_never_arrived_only_where_it_ended_without_any_doubt() {
        for state in DeliveryState::ALL.iter().copied() {
            let unsent = matches!(state, DeliveryState::Expired | DeliveryState::Dead | DeliveryState::Dropped);
            assert_eq!(entry(state, false).may_have_arrived(None), !unsent, "{state}");
            assert!(entry(state, true).may_have_arrived(None), "{state} in doubt");
        }
    }

    #[test]
    fn one_that_was_sent_without_its_entry_counts_only_where_an_earlier_copy_is_in_doubt() {
        let lapsed = |doubt| Delivery { entry_lapsed: true, ..entry(DeliveryState::Sent, doubt) };
        assert_eq!([false, true].map(|doubt| lapsed(doubt).may_have_arrived(None)), [false, true]);
    }

    #[test]
    fn one_that_is_told_by_another_is_as_doubtful_as_both() {
        let told = |doubt: bool, state, teller_doubt| {
            let exit = fixtures::exit(Telegram, 5, 1, 1, 1);
            let teller = Delivery { state, possible_repeat: teller_doubt, ..exit };
            entry(DeliveryState::Superseded, doubt).may_have_arrived(Some(&teller))
        };
        assert!(told(false, DeliveryState::Sent, false));
        assert!(told(false, DeliveryState::Pending, false));
        assert!(!told(false, DeliveryState::Dead, false));
        assert!(told(true, DeliveryState::Dead, false));
        assert!(told(false, DeliveryState::Dead, true));
    }

    #[test]
    fn a_trade_reached_nobody_only_where_no_announcement_may_have_arrived() {
        let trade = fixtures::trade(1, 1, 1, 1, &[Telegram, Email]);
        let ended = entry(DeliveryState::Expired, false);
        let by_mail = |state, possible_repeat| {
            let other = Delivery { state, possible_repeat, ..fixtures::entry(Email, 1, 1, 1) };
            reached_nobody(&trade, &ended, |id| (id == other.id).then_some(&other))
        };
        assert!(by_mail(DeliveryState::Dead, false));
        assert!(!by_mail(DeliveryState::Dead, true));
        assert!(!by_mail(DeliveryState::Pending, false));
        assert!(!reached_nobody(&trade, &ended, |_| None), "not kept any more");
        assert!(!reached_nobody(&trade, &entry(DeliveryState::Dropped, true), |_| None));
    }
}
