//! The deliveries that are due, in the order in which they should go: as much of the store's list as is worth keeping in
//! memory. Nothing here is taken yet.

use std::time::Duration;

use alertcast_core::delivery::Delivery;
use alertcast_core::id::DeliveryId;
use alertcast_core::time::Time;

use crate::handover::HANDED_MAX;

/// The least and the most that is read at once.
const LIMIT_MIN: usize = 256;
const LIMIT_MAX: usize = 16_384;

/// A place in the order of sending: priority, when its alert came in, rotation, id. Lower goes first.
pub(super) type QueuePosition = (i32, Time, i32, DeliveryId);

pub(super) fn place(delivery: &Delivery) -> QueuePosition {
    (delivery.priority, delivery.queued_at, delivery.rotation, delivery.id)
}

/// A delivery that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DueDelivery {
    pub(super) place: QueuePosition,
    /// The chat it would go to now.
    pub(super) chat: String,
    pub(super) deadline_at: Time,
    /// A mere edit, which leaves messages their room.
    pub(super) is_result: bool,
}

impl DueDelivery {
    pub(super) const fn id(&self) -> DeliveryId {
        self.place.3
    }
}

/// How much may be picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct QueueRoom {
    pub(super) all: usize,
    /// Of these, results.
    pub(super) results: usize,
}

/// What is due.
#[derive(Debug)]
pub(super) struct DueQueue {
    waiting: Vec<DueDelivery>,
    /// How much is read at once, unless most of it cannot go.
    base: usize,
    limit: usize,
    /// Nothing else was due when it was read.
    complete: bool,
}

/// Whether a delivery may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LeavePermission {
    Now,
    /// Not before this, or not until something else has happened.
    Later(Option<Duration>),
    /// Its time is over.
    Overdue,
}

/// What was picked, and why not more.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PickedDeliveries {
    pub(super) deliveries: Vec<DueDelivery>,
    /// When the first of those that may not go yet may.
    pub(super) next_at: Option<Duration>,
    /// Some were past their deadline, and are left out of the window.
    pub(super) overdue: bool,
    /// There was no room for some, whatever might be done with them.
    pub(super) crowded: bool,
}

impl DueQueue {
    /// A window for a lane that sends so many a second.
    pub(super) fn new(per_second: usize) -> Self {
        let base = per_second.saturating_mul(4).clamp(LIMIT_MIN, LIMIT_MAX / 4);
        Self { waiting: Vec::new(), base, limit: base, complete: false }
    }

    /// How many to ask the store for.
    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    /// Whether the store may hold more that is due.
    pub(super) const fn may_be_more(&self) -> bool {
        !self.complete
    }

    /// How many deliveries are in it.
    pub(super) const fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Everything in it anew, in order; `limit` as it was asked for.
    pub(super) fn fill(&mut self, waiting: Vec<DueDelivery>, limit: usize) {
        self.complete = waiting.len() < limit;
        if self.complete {
            self.limit = self.base;
        }
        self.waiting = waiting;
    }

    /// Puts others among them, each in its place. Answers whether all of them are here: what comes behind the last of a
    /// full window is left to the next reading.
    pub(super) fn merge(&mut self, mut others: Vec<DueDelivery>) -> bool {
        let count = others.len();
        if !self.complete {
            let last = self.waiting.last().map(|last| last.place);
            others.retain(|other| last.is_some_and(|last| other.place < last));
        }
        let mut all_here = others.len() == count;
        self.waiting.append(&mut others);
        self.waiting.sort_by_key(|waiting| waiting.place);
        self.waiting.dedup_by_key(|waiting| waiting.place);
        let most = self.limit.max(HANDED_MAX);
        if self.waiting.len() > most {
            self.waiting.truncate(most);
            self.complete = false;
            all_here = false;
        }
        all_here
    }

    /// Takes out the first that may leave, as many as there is room for. Where a full window holds hardly any, the next one is read larger: what
    /// is held up must not hide what is not.
    pub(super) fn pick(
        &mut self,
        room: QueueRoom,
        mut may: impl FnMut(&DueDelivery) -> LeavePermission,
    ) -> PickedDeliveries {
        let mut picked = PickedDeliveries::default();
        let mut results = 0;
        self.waiting.retain_mut(|waiting| {
            if picked.deliveries.len() >= room.all || (waiting.is_result && results >= room.results) {
                picked.crowded = true;
                return true;
            }
            match may(waiting) {
                LeavePermission::Now => {
                    results += usize::from(waiting.is_result);
                    picked.deliveries.push(DueDelivery { chat: std::mem::take(&mut waiting.chat), ..*waiting });
                    false
                }
                LeavePermission::Later(at) => {
                    picked.next_at = picked.next_at.into_iter().chain(at).min();
                    true
                }
                LeavePermission::Overdue => {
                    picked.overdue = true;
                    false
                }
            }
        });
        if !self.complete && !picked.crowded {
            let held_up = self.waiting.len() > self.limit / 2;
            self.limit = if held_up { (self.limit * 2).min(LIMIT_MAX) } else { self.limit };
        }
        picked
    }
}

#[cfg(test)]
mod tests {
    use bson::oid::ObjectId;

    use super::*;

    fn waiting(n: u32, chat: &str) -> DueDelivery {
        let mut id = [0; 12];
        id[8..].copy_from_slice(&n.to_be_bytes());
        DueDelivery {
            place: (1, Time::from_millis(0), 0, DeliveryId(ObjectId::from_bytes(id))),
            chat: chat.to_owned(),
            deadline_at: Time::from_millis(0),
            is_result: false,
        }
    }

    fn room(all: usize) -> QueueRoom {
        QueueRoom { all, results: all }
    }

    #[test]
    fn picks_in_order_what_may_leave_and_keeps_the_rest() {
        let mut due_queue = DueQueue::new(30);
        due_queue.fill(vec![waiting(1, "a"), waiting(2, "b"), waiting(3, "c"), waiting(4, "d")], 256);
        let held = Duration::from_secs(9);
        let picked = due_queue
            .pick(room(2), |w| if w.chat == "a" { LeavePermission::Later(Some(held)) } else { LeavePermission::Now });
        assert_eq!(picked.deliveries, [waiting(2, "b"), waiting(3, "c")]);
        assert_eq!(picked.next_at, Some(held));
        let rest = due_queue.pick(room(9), |_| LeavePermission::Now);
        assert_eq!(rest.deliveries, [waiting(1, "a"), waiting(4, "d")]);
    }

    #[test]
    fn a_window_full_of_what_is_held_up_is_read_larger_next_time() {
        let mut due_queue = DueQueue::new(30);
        let limit = due_queue.limit();
        due_queue.fill(vec![waiting(1, "a"); limit], limit);
        due_queue.pick(room(9), |_| LeavePermission::Later(None));
        assert_eq!(due_queue.limit(), limit * 2);
        due_queue.fill(vec![waiting(1, "a"); limit], limit * 2);
        assert_eq!(due_queue.limit(), limit, "all that is due fits");
    }

    #[test]
    fn results_leave_messages_their_room_and_make_no_window_larger() {
        let mut due_queue = DueQueue::new(30);
        let limit = due_queue.limit();
        let result = |n, chat| DueDelivery { is_result: true, ..waiting(n, chat) };
        let results = (2..2 + u32::try_from(limit).unwrap()).map(|n| result(n, "b"));
        due_queue.fill([waiting(1, "a")].into_iter().chain(results).take(limit).collect(), limit);
        let picked = due_queue.pick(QueueRoom { all: 9, results: 2 }, |_| LeavePermission::Now);
        assert_eq!(picked.deliveries, [waiting(1, "a"), result(2, "b"), result(3, "b")]);
        assert!(picked.crowded);
        assert_eq!(due_queue.limit(), limit);
        assert_eq!(due_queue.pick(QueueRoom { all: 9, results: 0 }, |_| LeavePermission::Now).deliveries, []);
    }

    fn order(due_queue: &mut DueQueue) -> Vec<DeliveryId> {
        due_queue.pick(room(99), |_| LeavePermission::Now).deliveries.iter().map(DueDelivery::id).collect()
    }

    #[test]
    fn what_is_handed_over_takes_its_place_among_what_was_read_and_stands_there_once() {
        let mut due_queue = DueQueue::new(30);
        due_queue.fill(vec![waiting(2, "b"), waiting(4, "d")], 256);
        assert!(due_queue.merge(vec![waiting(5, "e"), waiting(3, "c"), waiting(2, "b"), waiting(1, "a")]));
        assert_eq!(order(&mut due_queue), [1, 2, 3, 4, 5].map(|n| waiting(n, "").id()));
        let urgent = DueDelivery { place: (0, Time::from_millis(9), 9, waiting(9, "").id()), ..waiting(9, "z") };
        due_queue.fill(vec![waiting(1, "a")], 256);
        assert!(due_queue.merge(vec![urgent.clone()]));
        assert_eq!(order(&mut due_queue), [urgent.id(), waiting(1, "").id()]);
    }

    #[test]
    fn nothing_goes_before_what_a_full_window_leaves_in_the_store() {
        let mut due_queue = DueQueue::new(30);
        due_queue.fill(vec![waiting(2, "b"), waiting(4, "d")], 2);
        assert!(!due_queue.merge(vec![waiting(3, "c"), waiting(5, "e")]), "the last is behind the window");
        assert_eq!(order(&mut due_queue), [2, 3, 4].map(|n| waiting(n, "").id()));
        assert!(due_queue.may_be_more());
        assert!(!due_queue.merge(vec![waiting(6, "f")]), "what was in the window is gone");
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let mut due_queue = DueQueue::new(30);
        due_queue.fill(Vec::new(), 256);
        let many = (1..=u32::try_from(HANDED_MAX).unwrap() + 1).map(|n| waiting(n, "a")).collect();
        assert!(!due_queue.merge(many));
        assert_eq!((due_queue.len(), due_queue.may_be_more()), (HANDED_MAX, true));
    }

    #[test]
    fn what_is_overdue_is_left_out() {
        let mut due_queue = DueQueue::new(30);
        due_queue.fill(vec![waiting(1, "a")], 256);
        let picked = due_queue.pick(room(1), |_| LeavePermission::Overdue);
        assert!(picked.overdue && due_queue.is_empty());
    }
}
