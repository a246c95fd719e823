//! Deliveries that were just committed, on their way to the courier of their lane without a look into the store. Where
//! this process does not work on the lane, or more come than there is room for, or it ends: they are found in the store,
//! where they stand as ever.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alertcast_core::delivery::{Channel, Delivery, LaneName, MessageKind};
use alertcast_core::id::{DeliveryId, UserId};
use alertcast_core::time::Time;
use tokio::sync::Notify;

/// Deliveries of a lane that are held for its courier. What comes beyond them is read from the store.
pub const HANDED_MAX: usize = 4_096;

/// What a courier needs to know of a delivery to choose when it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedDelivery {
    pub id: DeliveryId,
    pub lane: LaneName,
    pub channel: Channel,
    pub user: Option<UserId>,
    /// Telegram chat or e-mail address, as the delivery has it.
    pub to: String,
    pub priority: i32,
    pub queued_at: Time,
    pub rotation: i32,
    pub due_at: Time,
    pub deadline_at: Time,
    pub is_result: bool,
}

impl From<&Delivery> for CommittedDelivery {
    fn from(delivery: &Delivery) -> Self {
        Self {
            id: delivery.id,
            lane: delivery.lane.clone(),
            channel: delivery.channel,
            user: delivery.user_id,
            to: delivery.to.clone(),
            priority: delivery.priority,
            queued_at: delivery.queued_at,
            rotation: delivery.rotation,
            due_at: delivery.due_at,
            deadline_at: delivery.deadline_at,
            is_result: delivery.kind == MessageKind::Result,
        }
    }
}

/// The mailboxes of the lanes that this process works on. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct DeliveryHandover {
    lanes: Arc<Mutex<HashMap<LaneName, Arc<LaneMailbox>>>>,
}

/// What waits for one courier.
#[derive(Debug, Default)]
struct LaneMailbox {
    handed: Mutex<HandedDeliveries>,
    came: Notify,
}

/// What was handed over since it was asked last.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct HandedDeliveries {
    pub(crate) deliveries: Vec<CommittedDelivery>,
    /// More came than there was room for: they are in the store.
    pub(crate) has_more: bool,
}

impl DeliveryHandover {
    /// Hands over what is committed, each to the courier of its lane.
    pub fn hand_over(&self, committed: Vec<CommittedDelivery>) {
        let mut lanes: HashMap<LaneName, Vec<CommittedDelivery>> = HashMap::new();
        for delivery in committed {
            match lanes.get_mut(&delivery.lane) {
                Some(of_lane) => of_lane.push(delivery),
                None => drop(lanes.insert(delivery.lane.clone(), vec![delivery])),
            }
        }
        for (lane, deliveries) in lanes {
            let mailbox = lock(&self.lanes).get(&lane).map(Arc::clone);
            if let Some(mailbox) = mailbox {
                mailbox.put(deliveries);
            }
        }
    }

    /// Opens a lane's mailbox, for as long as it is worked on.
    pub(crate) fn open(&self, lane: &LaneName) -> HandoverReceiver {
        let mailbox = Arc::<LaneMailbox>::default();
        lock(&self.lanes).insert(lane.clone(), Arc::clone(&mailbox));
        HandoverReceiver { mailbox, lane: lane.clone(), handover: self.clone() }
    }
}

impl LaneMailbox {
    fn put(&self, deliveries: Vec<CommittedDelivery>) {
        let mut handed = lock(&self.handed);
        let room = HANDED_MAX.saturating_sub(handed.deliveries.len());
        handed.has_more |= deliveries.len() > room;
        handed.deliveries.extend(deliveries.into_iter().take(room));
        drop(handed);
        self.came.notify_one();
    }
}

/// The courier's end of a mailbox. Dropped, it closes it.
#[derive(Debug)]
pub(crate) struct HandoverReceiver {
    mailbox: Arc<LaneMailbox>,
    lane: LaneName,
    handover: DeliveryHandover,
}

impl HandoverReceiver {
    /// Waits until something has come since this was asked last.
    pub(crate) async fn came(&self) {
        self.mailbox.came.notified().await;
    }

    /// Takes out what has come.
    pub(crate) fn take(&self) -> HandedDeliveries {
        std::mem::take(&mut *lock(&self.mailbox.handed))
    }
}

impl Drop for HandoverReceiver {
    fn drop(&mut self) {
        let mut lanes = lock(&self.handover.lanes);
        if lanes.get(&self.lane).is_some_and(|open| Arc::ptr_eq(open, &self.mailbox)) {
            lanes.remove(&self.lane);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use alertcast_core::fixtures::{entry, lane};

    use super::*;

    fn committed(channel: Channel, users: std::ops::RangeInclusive<u32>) -> Vec<CommittedDelivery> {
        users.map(|user| CommittedDelivery::from(&entry(channel, 1, 1, user))).collect()
    }

    #[tokio::test]
    async fn each_lane_gets_what_is_its_own_and_once() {
        let handover = DeliveryHandover::default();
        let bot = handover.open(&lane(Channel::Telegram));
        let ours = committed(Channel::Telegram, 1..=2);
        handover.hand_over([ours.clone(), committed(Channel::Email, 1..=2)].concat());
        bot.came().await;
        assert_eq!(bot.take(), HandedDeliveries { deliveries: ours, has_more: false });
        assert_eq!(bot.take(), HandedDeliveries::default());
    }

    #[test]
    fn what_there_is_no_room_for_is_told_to_be_in_the_store() {
        let handover = DeliveryHandover::default();
        let bot = handover.open(&lane(Channel::Telegram));
        let many = committed(Channel::Telegram, 1..=u32::try_from(HANDED_MAX).unwrap() - 1);
        handover.hand_over(many);
        handover.hand_over(committed(Channel::Telegram, 9_001..=9_002));
        let handed = bot.take();
        assert_eq!((handed.deliveries.len(), handed.has_more), (HANDED_MAX, true));
        handover.hand_over(committed(Channel::Telegram, 9_003..=9_003));
        assert!(!bot.take().has_more);
    }

    #[test]
    fn a_lane_that_is_worked_on_no_more_holds_nothing() {
        let handover = DeliveryHandover::default();
        let first = handover.open(&lane(Channel::Telegram));
        let second = handover.open(&lane(Channel::Telegram));
        drop(first);
        handover.hand_over(committed(Channel::Telegram, 1..=1));
        assert_eq!(second.take().deliveries.len(), 1, "the one before closes no other's");
        drop(second);
        assert!(lock(&handover.lanes).is_empty());
    }
}
