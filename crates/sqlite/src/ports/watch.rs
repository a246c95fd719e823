//! Watching what others change: nobody else can.

use alertcast_core::store::{StoreEvents, StoreWatch};

use crate::store::SqliteStore;

impl StoreWatch for SqliteStore {
    fn watch(&self) -> Option<Box<dyn StoreEvents>> {
        // Whoever has the folder open is this process.
        None
    }
}
