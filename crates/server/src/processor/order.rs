//! In which order the alerts of one configuration are processed: A before B if A's acceptance was answered before B was
//! received; else by the payloads' times, then by id (product: "Trades").
//!
//! Where the store took both alerts in at once, it has counted that: A precedes B if `A.seq <= B.after`. An alert that a
//! process had spooled gets its `seq` only when it is drained, so there the machines' clocks tell it: A precedes B if A
//! was written (`spooledAt`, `offeredAt`) before B was received. Both moments lie between an alert's receipt and its
//! answer, or at an end of that, so with clocks in step no chain of these leads back to its beginning; where clocks are
//! not in step, and one does, the alert that was written first goes first.

use alertcast_core::alert::document::{Alert, AlertStatus};
use alertcast_core::time::Time;

/// Takes the alert that comes next out of `pending`.
pub(super) fn take_next(pending: &mut Vec<Alert>) -> Option<Alert> {
    // What was begun before a crash is finished first.
    if let Some(begun) = pending.iter().position(|alert| alert.processing.status == AlertStatus::Processing) {
        return Some(pending.remove(begun));
    }
    let first = FirstWaiting::of(pending)?;
    let free = pending.iter().enumerate().filter(|(_, alert)| first.lets_go(alert));
    let (index, _) = free
        .min_by_key(|(_, alert)| (alert.alert_data.timestamp, alert.id))
        // Clocks that are out of step have led in a circle.
        .or_else(|| pending.iter().enumerate().min_by_key(|(_, alert)| (payload_time(alert), alert.id)))?;
    Some(pending.remove(index))
}

/// The firsts of those that wait: whoever was received after one of them has to wait for it.
struct FirstWaiting {
    /// In the store.
    seq: i64,
    /// By the clock, of all.
    written: Time,
    /// By the clock, of those that were spooled.
    spooled: Option<Time>,
}

impl FirstWaiting {
    fn of(pending: &[Alert]) -> Option<Self> {
        Some(Self {
            seq: pending.iter().map(|alert| alert.alertcast.seq.0).min()?,
            written: pending.iter().map(payload_time).min()?,
            spooled: pending.iter().filter(|alert| is_spooled(alert)).map(payload_time).min(),
        })
    }

    fn lets_go(&self, alert: &Alert) -> bool {
        let written = if is_spooled(alert) { Some(self.written) } else { self.spooled };
        alert.alertcast.after.0 < self.seq && written.is_none_or(|first| receipt_time(alert) <= first)
    }
}

/// Whether its `seq` is of after its acceptance was answered.
const fn is_spooled(alert: &Alert) -> bool {
    // One that an operator took up later got a new place then.
    alert.alertcast.spooled_at.is_some() && alert.alertcast.accepted_at.is_none()
}

/// When it came to be accepted: its receipt, or the operator's act.
fn receipt_time(alert: &Alert) -> Time {
    alert.alertcast.accepted_at.unwrap_or(alert.webhook.received_at)
}

/// A moment between its receipt and the answer that it is accepted.
fn payload_time(alert: &Alert) -> Time {
    let extension = &alert.alertcast;
    let written = extension.accepted_at.or(extension.spooled_at).or(extension.offered_at);
    // A clock that was set back must not let an alert wait for itself.
    written.unwrap_or_default().max(receipt_time(alert))
}

#[cfg(test)]
mod tests {
    use alertcast_core::alert::document::{
        AlertData, AlertExtension, AlertProcessing, AlertStatistics, Source, WebhookReceipt,
    };
    use alertcast_core::id::AlertId;
    use alertcast_core::market::Signal;
    use alertcast_core::money::{Count, Price};
    use alertcast_core::time::Time;
    use bson::Document;
    use bson::oid::ObjectId;

    use proptest::prelude::*;

    use super::*;

    /// An alert by its place of acceptance, its mark of receipt and its payload's time.
    fn alert(seq: i64, after: i64, payload_time: i64) -> Alert {
        let at = Time::from_millis(0);
        let mut id = [0; 12];
        id[11] = u8::try_from(seq).unwrap();
        Alert {
            id: AlertId(ObjectId::from_bytes(id)),
            source: Source::TradingView,
            webhook: WebhookReceipt {
                received_at: at,
                processed_at: None,
                raw_payload: Document::new(),
                signature: None,
                ip_address: None,
            },
            alert_data: AlertData {
                symbol: "A".into(),
                timeframe: "1h".into(),
                strategy: "S".into(),
                signal: Signal::Buy,
                price: Price::parse("1").unwrap(),
                take_profit_price: None,
                stop_loss_price: None,
                timestamp: Time::from_millis(payload_time),
                additional_data: None,
            },
            processing: AlertProcessing::default(),
            statistics: AlertStatistics::default(),
            created_at: at,
            updated_at: at,
            alertcast: AlertExtension { seq: Count(seq), after: Count(after), ..AlertExtension::default() },
        }
    }

    fn order(mut pending: Vec<Alert>) -> Vec<i64> {
        std::iter::from_fn(|| take_next(&mut pending)).map(|alert| alert.alertcast.seq.0).collect()
    }

    #[test]
    fn an_alert_received_after_anothers_answer_comes_after_it_whatever_its_time_says() {
        assert_eq!(order(vec![alert(2, 1, 10), alert(1, 0, 99)]), [1, 2]);
    }

    #[test]
    fn alerts_under_way_together_go_by_their_own_times() {
        assert_eq!(order(vec![alert(1, 0, 99), alert(2, 0, 10), alert(3, 0, 50)]), [2, 3, 1]);
    }

    #[test]
    fn equal_times_go_by_id() {
        assert_eq!(order(vec![alert(2, 0, 5), alert(1, 0, 5)]), [1, 2]);
    }

    #[test]
    fn a_chain_of_answers_is_kept() {
        // 3 was received after 1's answer, 2 together with both.
        assert_eq!(order(vec![alert(3, 1, 1), alert(2, 0, 50), alert(1, 0, 99)]), [2, 1, 3]);
    }

    /// A spooled alert: its place is of the drain, its mark may be unknown (0).
    fn spooled(seq: i64, after: i64, payload_time: i64, (received_at, spooled_at): (i64, i64)) -> Alert {
        let mut alert = alert(seq, after, payload_time);
        alert.webhook.received_at = Time::from_millis(received_at);
        alert.alertcast.spooled_at = Some(Time::from_millis(spooled_at));
        alert
    }

    fn offered(seq: i64, after: i64, payload_time: i64, (received_at, offered_at): (i64, i64)) -> Alert {
        let mut alert = spooled(seq, after, payload_time, (received_at, 0));
        (alert.alertcast.spooled_at, alert.alertcast.offered_at) = (None, Some(Time::from_millis(offered_at)));
        alert
    }

    #[test]
    fn a_spooled_alert_precedes_what_was_received_after_it_was_written_however_late_it_was_drained() {
        // The second was received after the first was spooled, and went to the store before the first was drained.
        assert_eq!(order(vec![spooled(9, 0, 99, (100, 101)), offered(5, 4, 10, (102, 103))]), [9, 5]);
        assert_eq!(order(vec![spooled(9, 0, 99, (100, 101)), offered(5, 4, 10, (101, 103))]), [5, 9], "at once");
    }

    #[test]
    fn spooled_alerts_of_two_processes_go_by_the_clock_not_by_the_drains() {
        assert_eq!(order(vec![spooled(1, 0, 10, (105, 106)), spooled(2, 0, 99, (100, 101))]), [2, 1]);
        assert_eq!(order(vec![spooled(1, 0, 99, (100, 103)), spooled(2, 0, 10, (101, 102))]), [2, 1], "at once");
    }

    #[test]
    fn what_the_store_took_before_the_outage_precedes_what_was_spooled_in_it() {
        assert_eq!(order(vec![spooled(2, 0, 10, (105, 106)), offered(1, 0, 99, (100, 101))]), [1, 2]);
        assert_eq!(order(vec![spooled(2, 1, 10, (100, 106)), offered(1, 0, 99, (100, 101))]), [1, 2], "by its mark");
    }

    #[test]
    fn an_alert_taken_up_again_goes_by_its_new_place() {
        let mut again = spooled(7, 6, 10, (100, 101));
        again.alertcast.accepted_at = Some(Time::from_millis(500));
        assert_eq!(order(vec![again, offered(5, 4, 99, (300, 301))]), [5, 7]);
    }

    #[test]
    fn clocks_out_of_step_do_not_stop_anybody() {
        // Each was written before the other was received, as its own machine has it.
        let mut ends =
            order(vec![spooled(1, 0, 5, (200, 201)), offered(2, 1, 5, (100, 300)), spooled(3, 2, 5, (0, 50))]);
        ends.sort_unstable();
        assert_eq!(ends, [1, 2, 3]);
        let circle = vec![offered(1, 0, 5, (900, 901)), offered(2, 1, 5, (100, 101)), spooled(3, 2, 5, (500, 501))];
        assert_eq!(order(circle), [2, 3, 1], "the one that was written first");
    }

    /// An alert's true history, in true time: received, marked, written, answered.
    #[derive(Debug, Clone)]
    struct History {
        received: i64,
        marked: i64,
        written: i64,
        answered: i64,
        drained: Option<i64>,
        payload_time: i64,
    }

    /// Microseconds, of which clocks tell the tenths: many moments share a reading.
    fn history() -> impl Strategy<Value = History> {
        let steps = (0..400_i64, 0..40_i64, 0..40_i64, 1..40_i64, 0..100_i64);
        (steps, prop::option::of(1..400_i64)).prop_map(|((received, mark, write, answer, payload_time), drain)| {
            let (marked, written) = (received + mark, received + mark + write);
            let answered = written + answer;
            let drained = drain.map(|wait| answered + wait);
            History { received, marked, written, answered, drained, payload_time }
        })
    }

    /// The alerts as the store has them once everything is drained. `marks`: the spooled ones that had one from the
    /// store.
    fn stored(histories: &[History], marks: &[bool]) -> Vec<Alert> {
        let placed = |history: &History| history.drained.unwrap_or(history.answered);
        // Nobody shares a moment at the store: it counts.
        let mut order: Vec<usize> = (0..histories.len()).collect();
        order.sort_by_key(|at| (placed(&histories[*at]), *at));
        let seq = |at: usize| 1 + order.iter().position(|other| *other == at).unwrap() as i64;
        let clock = |moment: i64| moment / 10;
        let alerts = histories.iter().enumerate().map(|(at, history)| {
            let marked = history.drained.is_none() || marks[at];
            let before = order.iter().filter(|other| placed(&histories[**other]) < history.marked).count();
            let after = if marked { before as i64 } else { 0 };
            let times = (clock(history.received), clock(history.written));
            match history.drained {
                Some(_) => spooled(seq(at), after, history.payload_time, times),
                None => offered(seq(at), after, history.payload_time, times),
            }
        });
        alerts.collect()
    }

    proptest! {
        /// Several processes, some of them cut off from the store for a time: whatever the outages, an alert whose
        /// acceptance was answered before another was received is processed before it.
        #[test]
        fn the_order_of_answers_and_receipts_is_kept(
            histories in prop::collection::vec(history(), 1..12),
            marks in prop::collection::vec(any::<bool>(), 12),
            shuffle in any::<prop::sample::Index>(),
        ) {
            let mut pending = stored(&histories, &marks);
            let of_seq: Vec<i64> = pending.iter().map(|alert| alert.alertcast.seq.0).collect();
            let turn = shuffle.index(pending.len());
            pending.rotate_left(turn);
            let taken = order(pending);
            prop_assert_eq!(taken.len(), histories.len());
            let place = |at: usize| taken.iter().position(|seq| *seq == of_seq[at]).unwrap();
            for (a, first) in histories.iter().enumerate() {
                for (b, second) in histories.iter().enumerate() {
                    // What clocks can tell: a message takes longer than their least step.
                    if first.answered + 10 < second.received {
                        prop_assert!(place(a) < place(b), "{:?} before {:?}", first, second);
                    }
                }
            }
        }

        /// Where nobody is cut off, the store's count alone decides, to the moment.
        #[test]
        fn without_an_outage_the_count_decides(
            mut histories in prop::collection::vec(history(), 1..12),
        ) {
            for history in &mut histories {
                history.drained = None;
            }
            let pending = stored(&histories, &[false; 12]);
            let of_seq: Vec<i64> = pending.iter().map(|alert| alert.alertcast.seq.0).collect();
            let taken = order(pending);
            let place = |at: usize| taken.iter().position(|seq| *seq == of_seq[at]).unwrap();
            for (a, first) in histories.iter().enumerate() {
                for (b, second) in histories.iter().enumerate() {
                    if first.answered < second.received {
                        prop_assert!(place(a) < place(b), "{:?} before {:?}", first, second);
                    }
                }
            }
        }

        /// Whatever stands in the documents, the choice ends.
        #[test]
        fn nobody_is_forgotten(
            alerts in prop::collection::vec((0..9_i64, 0..9_i64, 0..9_i64, 0..9_i64, any::<bool>()), 0..9),
        ) {
            let pending: Vec<Alert> = alerts.iter().enumerate().map(|(n, (after, received, written, time, is_spooled))| {
                let seq = n as i64 + 1;
                let make = if *is_spooled { spooled } else { offered };
                make(seq, *after, *time, (*received, *written))
            }).collect();
            let mut taken = order(pending);
            taken.sort_unstable();
            prop_assert_eq!(taken, (1..=alerts.len() as i64).collect::<Vec<_>>());
        }
    }
}
