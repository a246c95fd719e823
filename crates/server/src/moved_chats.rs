//! Groups that became supergroups, and have another id since. Everything in the store that names the old one follows; what
//! the settings name is remembered here, and used until they are changed.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use alertcast_core::delivery::{chat_of, digest12, moved_to};
use alertcast_core::store::{Collection, DocumentStore, DocumentWrite, Store, StoreError, StoreResult};
use alertcast_core::time::Time;
use bson::oid::ObjectId;
use bson::{Document, doc};
use tracing::{info, warn};

/// No group moves often: of more than so many nothing is remembered.
const KEPT_MAX: usize = 1_000;

/// The operators' chats that have another id, as far as this process knows. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct MovedChats(Arc<RwLock<HashMap<String, String>>>);

impl MovedChats {
    /// Takes in what the store remembers.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn load(&self, store: &(impl DocumentStore + ?Sized)) -> StoreResult<()> {
        for kept in store.page(Collection::MovedChats, None, KEPT_MAX).await? {
            if let Some((from, to)) = read(&kept) {
                self.note(from, to);
            }
        }
        Ok(())
    }

    fn note(&self, from: &str, to: &str) {
        let mut moved = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if moved.len() < KEPT_MAX || moved.contains_key(from) {
            moved.insert(from.to_owned(), to.to_owned());
        }
    }

    /// Where a place is now.
    #[must_use]
    pub fn follow(&self, place: &str) -> String {
        let moved = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut chat = chat_of(place);
        for _ in 0..moved.len() {
            let Some(next) = moved.get(chat) else { break };
            chat = next;
        }
        moved_to(place, chat)
    }
}

/// Where a chat that the store remembers was, and where it is.
pub(crate) fn read(kept: &Document) -> Option<(&str, &str)> {
    kept.get_str("from").ok().zip(kept.get_str("to").ok())
}

/// Telegram says that a chat has another id: whoever is written to there is written to under that one. `ours`: the
/// operators' chats, as the settings name them.
///
/// # Errors
/// Those of the store.
pub(crate) async fn follow(
    moved: &MovedChats,
    store: &dyn Store,
    ours: &[String],
    (from, to): (&str, &str),
    now: Time,
) -> StoreResult<()> {
    let followed = store.move_chat(from, to, now).await?;
    if ours.iter().any(|chat| chat_of(chat) == from || chat_of(&moved.follow(chat)) == from) {
        remember(store, from, to, now).await?;
        moved.note(from, to);
        warn!("an operators' chat became a supergroup: set its new id in telegram.operator_chats (`alertcast doctor`)");
    }
    info!(followed, "a group has another id; its subscribers and messages follow");
    Ok(())
}

async fn remember(store: &dyn Store, from: &str, to: &str, now: Time) -> StoreResult<()> {
    let (id, collection) = (ObjectId::from_bytes(digest12(&["moved", from])), Collection::MovedChats);
    let document = doc! { "_id": id, "from": from, "to": to, "at": now };
    match store.write(vec![DocumentWrite::Insert { collection, document }]).await {
        Err(StoreError::AlreadyExists { .. }) => {
            let set = doc! { "to": to, "at": now };
            store
                .write(vec![DocumentWrite::Update { collection, id, set, unset: Vec::new(), expect: Vec::new() }])
                .await
        }
        written => written,
    }
}
