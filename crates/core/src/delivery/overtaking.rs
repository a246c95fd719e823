//! What waits when a message is taken, and must not be read after it: nobody reads an entry after its end.
//!
//! - Whoever tells that a trade has ended takes over what still waits of it: an exit tells the entry too; a replacement
//!   takes the entry's place. What those had to tell of other trades' ends goes with it, back along the chain of
//!   replacements.
//! - An entry whose trade has ended meanwhile is not sent alone: it leaves its place to the message that tells the end,
//!   and where there is none it is left out.
//! - A notice tells of trades that are open, to those who have been told that they are.
//!
//! Pure, in two steps, because the end of one delivery may change its trade: [`before`] says what ends first, [`taking`]
//! what then becomes of the delivery itself. [`wanted`] says what both rest on. The same for every channel and store.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Delivery, DeliveryEvent, DeliveryState, EndedTrade, MessageFacts, MessageKind};
use crate::id::{DeliveryId, TradeId};
use crate::time::Time;
use crate::trade::document::Trade;

/// Why an entry is not sent whose trade has ended.
pub const OVER: &str = "its trade had ended before it could be sent";
/// Why an exit is not sent.
pub const NEVER_ENTERED: &str = "the entry never arrived";
/// Why a notice is not sent.
pub const NOTHING_OPEN: &str = "the trades that it tells of have ended";

/// A message waits so long at least for one that is being sent.
const WAIT: Duration = Duration::from_secs(1);
/// No chain of replacements is followed further at once; what waits beyond is met when it is taken itself.
pub(super) const CHAIN_MAX: usize = 64;

/// The end of another trade, in a message that took over what was to tell it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlsoEnded {
    pub closed: EndedTrade,
    pub at: Time,
    /// The message that was to tell it may have arrived.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub possible_repeat: bool,
}

/// What was found around a delivery.
pub trait DeliveryNeighbours {
    fn delivery(&self, id: DeliveryId) -> Option<&Delivery>;
    fn trade(&self, id: TradeId) -> Option<&Trade>;
}

/// What taking a delivery rests on, as far as it is known. Asked again with what was found, until nothing is new.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NeededNeighbours {
    pub deliveries: BTreeSet<DeliveryId>,
    pub trades: BTreeSet<TradeId>,
    /// Of these it is enough to know that they are open, for a store that can say so without reading them: see
    /// `WorkingSet::telling_open_trades`. One that is not is needed as a whole.
    pub open_trades: BTreeSet<TradeId>,
}

/// What goes before a delivery that is to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakingOrder {
    /// It stays pending. Not before this.
    Wait(Time),
    /// These end first; none, mostly.
    Ends(Vec<OvertakenDelivery>),
    /// These end, it among them: this one, which stays pending, tells what is left to tell.
    Yields { to: DeliveryId, overtaken: Vec<OvertakenDelivery> },
}

/// A delivery that another one takes over, or that has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OvertakenDelivery {
    pub id: DeliveryId,
    pub event: DeliveryEvent,
    /// By whom, where it is.
    pub by: Option<DeliveryId>,
}

/// What becomes of a delivery that is to be taken.
#[derive(Debug, Clone, PartialEq)]
pub enum TakingDecision {
    /// It is sent, as it is here.
    Goes(Box<Delivery>),
    /// It stays pending. Not before this.
    Waits(Time),
    Ends(DeliveryEvent, &'static str),
}

impl OvertakenDelivery {
    /// Why it is not sent, where it is left out.
    pub fn reason(&self) -> Option<&'static str> {
        (self.event == DeliveryEvent::Drop).then_some(OVER)
    }
}

/// Whether an exit was told by no message because its entry never arrived: then it does not count for its subscriber.
/// `same`: all messages of the exit's cause to its user, this one among them, as they are now. One that is not kept any
/// more may have arrived.
pub fn exit_was_untold<'a>(exit: &Delivery, same: impl IntoIterator<Item = &'a Delivery>) -> bool {
    let is_told = |one: &&Delivery| one.subscription_id == exit.subscription_id && !one.never_entered();
    let mut exits = same.into_iter().filter(|one| one.kind == MessageKind::Exit && one.cause == exit.cause);
    exit.never_entered() && !exits.any(|one| is_told(&one))
}

impl Delivery {
    /// Whether it is an exit that was left out because its entry never arrived.
    pub fn never_entered(&self) -> bool {
        self.kind == MessageKind::Exit
            && self.state == DeliveryState::Dropped
            && self.last_error.as_deref() == Some(NEVER_ENTERED)
    }

    /// The announcement of the trade whose end this one tells.
    fn ended_entry(&self) -> Option<DeliveryId> {
        self.entry_delivery.filter(|_| matches!(self.kind, MessageKind::Exit | MessageKind::Replacement))
    }

    pub(super) const fn announces(&self) -> bool {
        matches!(self.kind, MessageKind::Entry | MessageKind::Replacement)
    }

    /// Whether it was left out, or told in another's message, for this one.
    fn is_overtaken_by(&self, ender: &Self) -> bool {
        let gone = matches!(self.state, DeliveryState::Superseded | DeliveryState::Dropped);
        gone && self.superseded_by == Some(ender.id)
    }

    /// Whether what it replaced may still wait behind it.
    fn hides_more(&self, ender: &Self) -> bool {
        !self.state.is_ended() || self.is_overtaken_by(ender)
    }

    /// The message that tells it, where one does.
    pub fn told_in(&self) -> Option<DeliveryId> {
        self.superseded_by.filter(|_| self.state == DeliveryState::Superseded)
    }

    /// The message that took its news over: that one, or the one that took it over from that.
    pub fn told_by<'n>(&'n self, near: &'n dyn DeliveryNeighbours) -> Option<&'n Self> {
        let mut at = self;
        for _ in 0..CHAIN_MAX {
            let Some(by) = at.superseded_by else { return Some(at) };
            at = near.delivery(by)?;
        }
        None
    }
}

/// What taking `centre` rests on.
pub fn list_needed(centre: &Delivery, near: &dyn DeliveryNeighbours) -> NeededNeighbours {
    let mut wanted = NeededNeighbours::default();
    wanted.trades.extend(&centre.about);
    wanted.trades.extend(centre.trade_id.filter(|_| centre.announces() || centre.kind == MessageKind::Exit));
    for trade in centre.about.iter().filter_map(|id| near.trade(*id)) {
        wanted.deliveries.extend(trade.announced_by(centre.channel));
    }
    if let Some(teller) = first_teller(centre, near) {
        wanted.deliveries.extend([centre.id, teller]);
        let mut at = near.delivery(teller);
        for _ in 0..CHAIN_MAX {
            let Some(by) = at.and_then(|one| one.superseded_by) else { break };
            wanted.deliveries.insert(by);
            at = near.delivery(by);
        }
        if let Some(teller) = at {
            wanted.chain(teller, near);
        }
    }
    wanted.chain(centre, near);
    wanted
}

impl NeededNeighbours {
    /// The announcements of the trades whose ends `ender` tells, and these trades.
    fn chain(&mut self, ender: &Delivery, near: &dyn DeliveryNeighbours) {
        let mut next = ender.ended_entry();
        for _ in 0..CHAIN_MAX {
            let Some(id) = next else { return };
            self.deliveries.insert(id);
            let Some(entry) = near.delivery(id) else { return };
            self.trades.extend(entry.trade_id);
            next = entry.ended_entry().filter(|_| entry.hides_more(ender));
        }
    }
}

/// What ends before `centre` is sent, or instead.
pub fn before(centre: &Delivery, near: &dyn DeliveryNeighbours, now: Time) -> TakingOrder {
    if let Some(teller) = teller_of_its_end(centre, near) {
        match teller.state {
            DeliveryState::Sending => return TakingOrder::Wait(now + WAIT),
            DeliveryState::Pending | DeliveryState::Held => {
                let Some(mut overtaken) = overtaken_by(teller, near, now) else { return TakingOrder::Wait(now + WAIT) };
                if overtaken.iter().all(|one| one.id != centre.id) {
                    overtaken.push(OvertakenDelivery {
                        id: centre.id,
                        event: DeliveryEvent::Drop,
                        by: Some(teller.id),
                    });
                }
                return TakingOrder::Yields { to: teller.id, overtaken };
            }
            _ => {}
        }
    }
    overtaken_by(centre, near, now).map_or_else(|| TakingOrder::Wait(now + WAIT), TakingOrder::Ends)
}

/// What still waits of the trades whose ends `ender` tells. None where one of it is being sent: that goes before.
fn overtaken_by(ender: &Delivery, near: &dyn DeliveryNeighbours, now: Time) -> Option<Vec<OvertakenDelivery>> {
    let mut overtaken = Vec::new();
    let mut next = ender.ended_entry();
    for depth in 0..CHAIN_MAX {
        let Some(entry) = next.and_then(|id| near.delivery(id)) else { break };
        let is_its_own = depth == 0 && ender.kind == MessageKind::Exit;
        match entry.state {
            DeliveryState::Sending => return None,
            DeliveryState::Pending => overtaken.push(match (entry.deadline_at < now, is_its_own) {
                (true, _) => OvertakenDelivery { id: entry.id, event: entry.when_overdue(), by: None },
                (false, true) => {
                    OvertakenDelivery { id: entry.id, event: DeliveryEvent::Supersede, by: Some(ender.id) }
                }
                (false, false) => OvertakenDelivery { id: entry.id, event: DeliveryEvent::Drop, by: Some(ender.id) },
            }),
            _ => {}
        }
        next = entry.ended_entry().filter(|_| entry.hides_more(ender));
    }
    Some(overtaken)
}

/// Where a trade that `centre` announces has ended, the delivery that was to tell it by the same channel.
fn first_teller(centre: &Delivery, near: &dyn DeliveryNeighbours) -> Option<DeliveryId> {
    let trade = centre.trade_id.filter(|_| centre.announces()).and_then(|id| near.trade(id))?;
    trade.end_told_by(centre.channel).filter(|_| !trade.is_open())
}

fn teller_of_its_end<'n>(centre: &Delivery, near: &'n dyn DeliveryNeighbours) -> Option<&'n Delivery> {
    first_teller(centre, near).and_then(|id| near.delivery(id))?.told_by(near)
}

/// Whether `centre` is sent as it is, whatever stands around it: most are.
pub fn goes_as_it_is(centre: &Delivery, near: &dyn DeliveryNeighbours) -> bool {
    match centre.kind {
        MessageKind::Entry => centre.trade_id.and_then(|id| near.trade(id)).is_none_or(Trade::is_open),
        MessageKind::Operator | MessageKind::OperatorMore | MessageKind::Result => true,
        MessageKind::Exit | MessageKind::Replacement | MessageKind::Notice => false,
    }
}

/// What becomes of `centre` after what went before it.
pub fn decide_taking(centre: &Delivery, near: &dyn DeliveryNeighbours, now: Time) -> TakingDecision {
    let trade = centre.trade_id.and_then(|id| near.trade(id));
    let is_over = trade.is_some_and(|trade| !trade.is_open());
    match centre.kind {
        _ if goes_as_it_is(centre, near) => TakingDecision::Goes(Box::new(centre.clone())),
        MessageKind::Exit if trade.is_some_and(|trade| trade.alertcast.unreached) => {
            TakingDecision::Ends(DeliveryEvent::Drop, NEVER_ENTERED)
        }
        MessageKind::Exit => TakingDecision::Goes(Box::new(exit(centre, near))),
        MessageKind::Replacement => replacement(centre, near, is_over, now),
        MessageKind::Notice => notice(centre, near, now),
        // An entry whose trade has ended.
        MessageKind::Entry | MessageKind::Operator | MessageKind::OperatorMore | MessageKind::Result => {
            TakingDecision::Ends(DeliveryEvent::Drop, OVER)
        }
    }
}

/// Tells its entry too, where it has taken that over.
fn exit(centre: &Delivery, near: &dyn DeliveryNeighbours) -> Delivery {
    let mut exit = centre.clone();
    let entry = centre.ended_entry().and_then(|id| near.delivery(id));
    if let Some(entry) = entry.filter(|one| one.state == DeliveryState::Superseded && one.is_overtaken_by(centre)) {
        exit.combines = Some(entry.id);
        exit.combines_alert = entry.alert_id.or(exit.combines_alert);
    }
    exit.also_ended = news(centre, near);
    exit
}

/// Of a trade that nobody heard of it tells no end: it is an entry then, and of use as long as one.
fn replacement(centre: &Delivery, near: &dyn DeliveryNeighbours, is_over: bool, now: Time) -> TakingDecision {
    let mut replacement = centre.clone();
    replacement.also_ended = news(centre, near);
    let replaced = centre.ended_entry().and_then(|id| near.delivery(id)?.trade_id);
    replacement.old_unknown = replaced.and_then(|id| near.trade(id)).is_some_and(|old| old.alertcast.unreached);
    replacement.entry_over = is_over;
    if replacement.old_unknown && replacement.also_ended.is_empty() {
        let until = centre.entry_deadline_at.unwrap_or(centre.deadline_at);
        if is_over {
            return TakingDecision::Ends(DeliveryEvent::Drop, OVER);
        }
        if until < now {
            return TakingDecision::Ends(DeliveryEvent::Expire, "its entry is too old to follow");
        }
        replacement.deadline_at = until;
    }
    TakingDecision::Goes(Box::new(replacement))
}

/// The ends that those which `ender` took over were to tell: of trades that somebody has heard of.
fn news(ender: &Delivery, near: &dyn DeliveryNeighbours) -> Vec<AlsoEnded> {
    let mut news = Vec::new();
    let mut next = ender.ended_entry();
    for _ in 0..CHAIN_MAX {
        let Some(entry) = next.and_then(|id| near.delivery(id)).filter(|one| one.is_overtaken_by(ender)) else { break };
        let MessageFacts::Replacement { replaced, .. } = &entry.facts else { break };
        let old = entry.entry_delivery.and_then(|id| near.delivery(id)?.trade_id).and_then(|id| near.trade(id));
        if old.is_none_or(|old| !old.alertcast.unreached) {
            let possible_repeat = entry.possible_repeat;
            news.push(AlsoEnded { closed: replaced.clone(), at: entry.created_at, possible_repeat });
        }
        let in_doubt = |also: &AlsoEnded| AlsoEnded {
            possible_repeat: also.possible_repeat || entry.possible_repeat,
            ..also.clone()
        };
        news.extend(entry.also_ended.iter().map(in_doubt));
        next = entry.ended_entry();
    }
    news
}

/// Tells of open trades alone, and after their entries.
fn notice(centre: &Delivery, near: &dyn DeliveryNeighbours, now: Time) -> TakingDecision {
    let mut notice = centre.clone();
    let mut open = Vec::with_capacity(centre.about.len());
    for id in &centre.about {
        let Some(trade) = near.trade(*id) else {
            open.push(true);
            continue;
        };
        open.push(trade.is_open() && !trade.alertcast.unreached);
        let entry = trade.announced_by(centre.channel).and_then(|id| near.delivery(id));
        let on_its_way = |entry: &&Delivery| matches!(entry.state, DeliveryState::Pending | DeliveryState::Sending);
        if let (Some(true), Some(entry)) = (open.last(), entry.filter(on_its_way)) {
            return TakingDecision::Waits(entry.due_at.max(now + WAIT));
        }
    }
    if !open.is_empty() && !open.contains(&true) {
        return TakingDecision::Ends(DeliveryEvent::Drop, NOTHING_OPEN);
    }
    notice.facts.retain_trades(&open);
    let mut is_open = open.into_iter();
    notice.about.retain(|_| is_open.next().unwrap_or(true));
    TakingDecision::Goes(Box::new(notice))
}

/// The message `to`, to which `from` left its place among those that wait, once what it took over has ended: an exit tells
/// the entry too, and whatever those had to tell of other trades' ends is kept with it.
#[must_use]
pub fn yield_message(
    to: &Delivery,
    from: &Delivery,
    overtaken: &[OvertakenDelivery],
    near: &dyn DeliveryNeighbours,
) -> Delivery {
    let mut to = to.clone();
    to.also_ended = news(&to, near);
    let is_told = |one: &OvertakenDelivery| one.id == from.id && one.event == DeliveryEvent::Supersede;
    if overtaken.iter().any(is_told) {
        to.combines = Some(from.id);
        to.combines_alert = from.alert_id;
    }
    if to.kind == MessageKind::Replacement && from.queued_at < to.queued_at {
        (to.queued_at, to.rotation) = (from.queued_at, from.rotation);
    }
    to
}

#[cfg(test)]
mod tests;
