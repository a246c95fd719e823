//! A document that cannot be read, and the log of those that were found.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bson::oid::ObjectId;
use bson::{Bson, Document, RawDocument};

use super::trouble_of;
use crate::store::{Collection, StoreError};

/// A document that cannot be read. Every other goes on without it.
#[derive(Debug, Clone, PartialEq)]
pub struct UnreadableDocument {
    pub collection: Collection,
    /// Its `_id`; null where not even that can be read.
    pub id: Bson,
    /// What is wrong with it: fields and types, no values.
    pub cause: String,
}

impl UnreadableDocument {
    /// One that is unpacked.
    pub fn of(collection: Collection, document: &Document, cause: String) -> Self {
        Self { collection, id: document.get("_id").cloned().unwrap_or(Bson::Null), cause }
    }

    /// One that stands in its bytes.
    pub fn of_bytes(collection: Collection, bytes: &[u8], cause: String) -> Self {
        let raw = RawDocument::from_bytes(bytes).ok();
        let id = raw.and_then(|raw| raw.get("_id").ok().flatten());
        let id = id.and_then(|id| Bson::try_from(id).ok()).unwrap_or(Bson::Null);
        Self { collection, id, cause }
    }

    /// An alert with something else than a status where that should be, or with nothing.
    pub fn stray_alert(document: &Document) -> Self {
        trouble_of(Collection::Alerts, document).unwrap_or_else(|| {
            let cause = "processing.status is missing: whether it was processed is not known";
            Self::of(Collection::Alerts, document, cause.to_owned())
        })
    }

    /// Its id as people write it.
    pub fn id_text(&self) -> String {
        match &self.id {
            Bson::ObjectId(id) => id.to_hex(),
            Bson::String(text) => text.clone(),
            Bson::Null => "(without an id)".to_owned(),
            other => other.to_string(),
        }
    }

    /// Its id, where it is an `ObjectId`.
    pub const fn object_id(&self) -> Option<ObjectId> {
        match self.id {
            Bson::ObjectId(id) => Some(id),
            _ => None,
        }
    }
}

impl fmt::Display for UnreadableDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.collection, self.id_text(), self.cause)
    }
}

impl From<UnreadableDocument> for StoreError {
    fn from(unreadable: UnreadableDocument) -> Self {
        Self::Corrupt(unreadable.to_string())
    }
}

/// What a question found: what can be read, and what cannot.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadableDocuments<T> {
    pub readable: Vec<T>,
    pub unreadable: Vec<UnreadableDocument>,
}

impl<T> Default for ReadableDocuments<T> {
    fn default() -> Self {
        Self { readable: Vec::new(), unreadable: Vec::new() }
    }
}

impl<T> ReadableDocuments<T> {
    /// Takes up what was read, or could not be.
    pub fn add(&mut self, read: Result<T, UnreadableDocument>) {
        match read {
            Ok(value) => self.readable.push(value),
            Err(unreadable) => self.unreadable.push(unreadable),
        }
    }

    /// Whether nothing was found.
    pub const fn is_empty(&self) -> bool {
        self.readable.is_empty() && self.unreadable.is_empty()
    }
}

impl<T> FromIterator<Result<T, UnreadableDocument>> for ReadableDocuments<T> {
    fn from_iter<I: IntoIterator<Item = Result<T, UnreadableDocument>>>(read: I) -> Self {
        let mut found = Self::default();
        read.into_iter().for_each(|one| found.add(one));
        found
    }
}

/// What readers found that cannot be read. Each document is news once, and again with another cause; so much is known at
/// most. Cheap to clone; the clones share it.
#[derive(Debug, Clone, Default)]
pub struct UnreadableLog {
    inner: Arc<Mutex<LogInner>>,
}

#[derive(Debug, Default)]
struct LogInner {
    known: BTreeMap<(Collection, String), UnreadableDocument>,
    news: Vec<UnreadableDocument>,
}

/// More documents are not remembered: whoever has so many has one cause for them.
const KNOWN_MAX: usize = 10_000;

impl UnreadableLog {
    /// A document cannot be read.
    pub fn note(&self, unreadable: UnreadableDocument) {
        let mut inner = self.lock();
        let key = (unreadable.collection, unreadable.id_text());
        let is_known = inner.known.get(&key).is_some_and(|known| known.cause == unreadable.cause);
        if is_known || (inner.known.len() >= KNOWN_MAX && !inner.known.contains_key(&key)) {
            return;
        }
        inner.known.insert(key, unreadable.clone());
        inner.news.push(unreadable);
    }

    /// Notes what could not be read; answers what could.
    pub fn sift<T>(&self, found: ReadableDocuments<T>) -> Vec<T> {
        found.unreadable.into_iter().for_each(|unreadable| self.note(unreadable));
        found.readable
    }

    /// What was noted since this was asked last.
    pub fn take_news(&self) -> Vec<UnreadableDocument> {
        std::mem::take(&mut self.lock().news)
    }

    /// Whether anything of a collection is known to be unreadable.
    pub fn knows_of(&self, collection: Collection) -> bool {
        self.lock().known.keys().any(|(of, _)| *of == collection)
    }

    /// Everything that is known to be unreadable, by collection.
    pub fn list_known(&self) -> Vec<UnreadableDocument> {
        self.lock().known.values().cloned().collect()
    }

    /// A document can be read again, or is gone.
    pub fn forget(&self, collection: Collection, id_text: &str) {
        self.lock().known.remove(&(collection, id_text.to_owned()));
    }

    fn lock(&self) -> MutexGuard<'_, LogInner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
