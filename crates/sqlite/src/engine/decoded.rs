//! Deliveries that were decoded a moment ago. One is looked at when it is due, when it is taken and when its attempt is
//! recorded, and its document says the same each time: it is decoded once. What is known here is what these bytes say, so
//! that nothing has to be forgotten when a document changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alertcast_core::delivery::Delivery;
use alertcast_core::id::DeliveryId;

use crate::engine::rows::DocumentBytes;

/// Of more than these all are forgotten.
const DECODED_MAX: usize = 8_192;

/// What deliveries' documents say.
#[derive(Debug, Default)]
pub(crate) struct DecodedDeliveries {
    known: Mutex<HashMap<DeliveryId, (DocumentBytes, Arc<Delivery>)>>,
}

impl DecodedDeliveries {
    pub(crate) fn note(&self, document: &[u8], delivery: &Arc<Delivery>) {
        let mut known = self.lock();
        if known.len() >= DECODED_MAX {
            known.clear();
        }
        known.insert(delivery.id, (document.to_vec(), Arc::clone(delivery)));
    }

    /// What these bytes say, where it is known.
    pub(crate) fn find(&self, id: DeliveryId, document: &[u8]) -> Option<Arc<Delivery>> {
        self.lock().get(&id).filter(|(bytes, _)| bytes == document).map(|(_, delivery)| Arc::clone(delivery))
    }

    /// The same, and forgets it.
    pub(crate) fn take_out(&self, id: DeliveryId, document: &[u8]) -> Option<Arc<Delivery>> {
        self.lock().remove(&id).filter(|(bytes, _)| bytes == document).map(|(_, delivery)| delivery)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DeliveryId, (DocumentBytes, Arc<Delivery>)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use alertcast_core::delivery::Channel;
    use alertcast_core::fixtures::entry;

    use super::*;

    #[test]
    fn what_is_known_is_what_the_same_bytes_say() {
        let decoded = DecodedDeliveries::default();
        let delivery = Arc::new(entry(Channel::Telegram, 1, 1, 1));
        decoded.note(b"as it was", &delivery);
        assert_eq!(decoded.find(delivery.id, b"as it is"), None);
        assert_eq!(decoded.find(delivery.id, b"as it was"), Some(Arc::clone(&delivery)));
        assert_eq!(decoded.take_out(delivery.id, b"as it was"), Some(Arc::clone(&delivery)));
        assert_eq!(decoded.find(delivery.id, b"as it was"), None);
    }

    #[test]
    fn not_more_is_known_than_there_is_room_for() {
        let decoded = DecodedDeliveries::default();
        for user in 1..=u32::try_from(DECODED_MAX).unwrap() + 1 {
            decoded.note(b"", &Arc::new(entry(Channel::Telegram, 1, 1, user)));
        }
        assert_eq!(decoded.lock().len(), 1);
    }
}
