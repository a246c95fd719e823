//! A chunk's decisions as bytes: they are kept for good, and there is one for every subscriber and alert.
//!
//! The first byte is the form's number. Then each decision, in turn: a byte with the verdict's number, and whether a
//! subscription and changes to trades come with it; a byte with how much of the user's and of the subscription's id is
//! that of the ones before; what is left of the two; and for each change a byte with how much of its trade's id is that of
//! the one before, its kind, and whether another follows; and what is left of that id. Ids that were made one after the
//! other take a byte or two so, others up to twelve.

use bson::oid::ObjectId;

use super::{DecidedAction, Decision, Verdict};
use crate::alert::document::TradeAction;
use crate::id::{SubscriptionId, TradeId, UserId};

const FORM: u8 = 1;
const HAS_ACTIONS: u8 = 0x80;
const HAS_SUBSCRIPTION: u8 = 0x40;
const ID_BYTES: usize = 12;

/// Every verdict at its number. New ones go to the end: what is kept goes by these.
const VERDICTS: [Verdict; 30] = [
    Verdict::Sent,
    Verdict::Silent,
    Verdict::UserInactive,
    Verdict::UserSuspended,
    Verdict::SubscriptionPending,
    Verdict::PaymentRejected,
    Verdict::SubscriptionNotStarted,
    Verdict::SubscriptionExpired,
    Verdict::SubscriptionCancelled,
    Verdict::PlanInactive,
    Verdict::NotPicked,
    Verdict::Disabled,
    Verdict::EntryMuted,
    Verdict::ReplacementMuted,
    Verdict::ExitMuted,
    Verdict::BelowMinPrice,
    Verdict::AboveMaxPrice,
    Verdict::RiskTooHigh,
    Verdict::DailyLimit,
    Verdict::HourlyLimit,
    Verdict::LimitReached,
    Verdict::OppositeOpen,
    Verdict::NoChannel,
    Verdict::NoMatchingTrade,
    Verdict::UserUnreadable,
    Verdict::SubscriptionUnreadable,
    Verdict::PlanUnreadable,
    Verdict::PreferenceUnreadable,
    Verdict::ConfigurationUnreadable,
    Verdict::TradeUnreadable,
];

/// Every kind of change at its number.
const ACTIONS: [TradeAction; 3] = [TradeAction::Open, TradeAction::Close, TradeAction::Replace];
/// Of a change's number: another change follows.
const GOES_ON: u8 = 8;

/// The bytes are not such decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the packed decisions are damaged, or of a later version")]
pub(super) struct UnpackFailure;

/// The ids that were written, or read, last.
#[derive(Debug, Default)]
struct LastIds {
    user: [u8; ID_BYTES],
    subscription: [u8; ID_BYTES],
    trade: [u8; ID_BYTES],
}

/// Decisions as bytes.
pub(super) fn pack_decisions(decisions: &[Decision]) -> Vec<u8> {
    let (mut bytes, mut last) = (vec![FORM], LastIds::default());
    for decision in decisions {
        pack_decision(decision, &mut last, &mut bytes);
    }
    bytes
}

fn pack_decision(decision: &Decision, last: &mut LastIds, bytes: &mut Vec<u8>) {
    let user = IdRest::after(&mut last.user, decision.user.0);
    let subscription = decision.subscription.map(|id| IdRest::after(&mut last.subscription, id.0));
    let with_subscription = if subscription.is_some() { HAS_SUBSCRIPTION } else { 0 };
    let with_actions = if decision.actions.is_empty() { 0 } else { HAS_ACTIONS };
    bytes.push(number_of(&VERDICTS, decision.verdict) | with_subscription | with_actions);
    bytes.push(user.shared << 4 | subscription.as_ref().map_or(0, |id| id.shared));
    bytes.extend_from_slice(user.rest());
    bytes.extend_from_slice(subscription.as_ref().map_or(&[], IdRest::rest));
    for (at, action) in decision.actions.iter().enumerate() {
        let trade = IdRest::after(&mut last.trade, action.trade.0);
        let goes_on = if at + 1 < decision.actions.len() { GOES_ON } else { 0 };
        bytes.push(trade.shared << 4 | goes_on | number_of(&ACTIONS, action.action));
        bytes.extend_from_slice(trade.rest());
    }
}

fn number_of<T: PartialEq>(all: &[T], one: T) -> u8 {
    all.iter().position(|other| *other == one).and_then(|at| u8::try_from(at).ok()).unwrap_or(u8::MAX)
}

/// An id, and how many of its first bytes are those of the one before.
struct IdRest {
    id: [u8; ID_BYTES],
    shared: u8,
}

impl IdRest {
    fn after(last: &mut [u8; ID_BYTES], id: ObjectId) -> Self {
        let id = id.bytes();
        let shared = last.iter().zip(&id).take_while(|(one, other)| one == other).count();
        *last = id;
        Self { id, shared: shared as u8 }
    }

    fn rest(&self) -> &[u8] {
        &self.id[usize::from(self.shared)..]
    }
}

/// The decisions that bytes hold.
pub(super) fn unpack_decisions(bytes: &[u8]) -> Result<Vec<Decision>, UnpackFailure> {
    let (&FORM, rest) = bytes.split_first().ok_or(UnpackFailure)? else { return Err(UnpackFailure) };
    let (mut reader, mut decisions) = (PackedReader { rest, last: LastIds::default() }, Vec::new());
    while !reader.rest.is_empty() {
        decisions.push(reader.read_decision()?);
    }
    Ok(decisions)
}

struct PackedReader<'b> {
    rest: &'b [u8],
    last: LastIds,
}

impl PackedReader<'_> {
    fn read_decision(&mut self) -> Result<Decision, UnpackFailure> {
        let (head, shared) = (self.read_byte()?, self.read_byte()?);
        let verdict = *VERDICTS.get(usize::from(head & !(HAS_ACTIONS | HAS_SUBSCRIPTION))).ok_or(UnpackFailure)?;
        self.last.user = self.read_id(self.last.user, shared >> 4)?;
        let subscription = if head & HAS_SUBSCRIPTION == 0 {
            None
        } else {
            self.last.subscription = self.read_id(self.last.subscription, shared & 0xf)?;
            Some(SubscriptionId(ObjectId::from_bytes(self.last.subscription)))
        };
        let actions = if head & HAS_ACTIONS == 0 { Vec::new() } else { self.read_actions()? };
        Ok(Decision { user: UserId(ObjectId::from_bytes(self.last.user)), subscription, verdict, actions })
    }

    fn read_actions(&mut self) -> Result<Vec<DecidedAction>, UnpackFailure> {
        let mut actions = Vec::new();
        loop {
            let head = self.read_byte()?;
            let action = *ACTIONS.get(usize::from(head & 0xf & !GOES_ON)).ok_or(UnpackFailure)?;
            self.last.trade = self.read_id(self.last.trade, head >> 4)?;
            actions.push(DecidedAction { action, trade: TradeId(ObjectId::from_bytes(self.last.trade)) });
            if head & GOES_ON == 0 {
                return Ok(actions);
            }
        }
    }

    fn read_byte(&mut self) -> Result<u8, UnpackFailure> {
        let (byte, rest) = self.rest.split_first().ok_or(UnpackFailure)?;
        self.rest = rest;
        Ok(*byte)
    }

    /// An id of which the first bytes are those of the one before.
    fn read_id(&mut self, before: [u8; ID_BYTES], shared: u8) -> Result<[u8; ID_BYTES], UnpackFailure> {
        let own = ID_BYTES.checked_sub(usize::from(shared)).ok_or(UnpackFailure)?;
        let (bytes, rest) = self.rest.split_at_checked(own).ok_or(UnpackFailure)?;
        self.rest = rest;
        let mut id = before;
        id[usize::from(shared)..].copy_from_slice(bytes);
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u32) -> ObjectId {
        let mut bytes = [7; ID_BYTES];
        bytes[8..].copy_from_slice(&n.to_be_bytes());
        ObjectId::from_bytes(bytes)
    }

    fn decisions() -> Vec<Decision> {
        let action = |action, n| DecidedAction { action, trade: TradeId(id(n)) };
        let one = |n: u32| Decision {
            user: UserId(id(n)),
            subscription: (!n.is_multiple_of(5)).then(|| SubscriptionId(id(1_000 + n % 7))),
            verdict: Verdict::ALL[n as usize % Verdict::ALL.len()],
            actions: match n % 4 {
                0 => Vec::new(),
                1 => vec![action(TradeAction::Open, 5_000 + n)],
                2 => vec![action(TradeAction::Replace, n), action(TradeAction::Close, 77)],
                _ => TradeAction::ALL.iter().cycle().take(300).map(|kind| action(*kind, n)).collect(),
            },
        };
        (0..200).map(one).collect()
    }

    #[test]
    fn what_is_packed_is_read_as_it_was() {
        for count in [0, 1, 2, 200] {
            let decisions = &decisions()[..count];
            assert_eq!(unpack_decisions(&pack_decisions(decisions)).as_deref(), Ok(decisions));
        }
    }

    #[test]
    fn every_verdict_and_every_change_has_a_number_for_good() {
        let numbers = |all: &[Verdict]| all.iter().map(|one| number_of(&VERDICTS, *one)).collect::<Vec<u8>>();
        assert_eq!(numbers(Verdict::ALL), (0..30).collect::<Vec<u8>>());
        assert!(VERDICTS.len() <= usize::from(HAS_SUBSCRIPTION) && ACTIONS.len() <= usize::from(GOES_ON));
        assert_eq!(TradeAction::ALL, ACTIONS);
        // As it is kept: never to be changed.
        let sent = Decision { user: UserId(id(1)), subscription: None, verdict: Verdict::NoChannel, actions: vec![] };
        assert_eq!(pack_decisions(&[sent])[..4], [1, 22, 0, 7]);
    }

    #[test]
    fn ids_that_follow_each_other_take_a_few_bytes() {
        let one = |n: u32| Decision {
            user: UserId(id(n)),
            subscription: Some(SubscriptionId(id(90_000 + n))),
            verdict: Verdict::Sent,
            actions: vec![DecidedAction { action: TradeAction::Open, trade: TradeId(id(70_000 + n)) }],
        };
        let packed = pack_decisions(&(0..500).map(one).collect::<Vec<_>>());
        assert!(packed.len() < 500 * 7, "{} bytes", packed.len());
    }

    #[test]
    fn damaged_bytes_are_no_decisions() {
        let whole = pack_decisions(&decisions()[..3]);
        for bytes in [&[][..], &[2], &whole[..whole.len() - 1], &[1, 0x3f, 0], &[1, 0, 0xf0], &[1, 0x80, 0xc0, 0x07]] {
            assert_eq!(unpack_decisions(bytes), Err(UnpackFailure), "{bytes:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_break_the_reader(bytes in proptest::collection::vec(0_u8.., 0..200)) {
            let _ = unpack_decisions(&[&[FORM][..], &bytes].concat());
        }
    }
}
