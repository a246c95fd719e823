//! Reading documents that others write too.
//!
//! Everything goes by BSON's bytes, and nothing in them is interpreted: see [`crate::verbatim`]. A document is read as
//! its type at once. Where that fails it is mended field by field, by what is declared of its collection
//! ([`crate::schema`]):
//! - Null, and NaN, in a field with a default is the default.
//! - A field that cannot be read is left out, and told as a [`FieldFlaw`]; one that must be there and decides nothing has
//!   something stand in for it.
//! - What is then still unreadable is set aside alone, as [`UnreadableDocument`].

mod decoding;
mod mending;
#[cfg(any(test, feature = "fixtures"))]
mod samples;
mod unreadable;

use std::fmt;

use bson::{Bson, Document, RawDocument, Utf8Lossy};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::schema::FieldWeight;
use crate::store::{Collection, StoreError};
pub(crate) use decoding::{DATE, NUMBER, OBJECT};
pub use decoding::{DecodeFailure, decode};
use mending::mend_document;
pub use mending::{PartialDocument, read_partially};
#[cfg(any(test, feature = "fixtures"))]
pub use samples::{every_bson_type, put_at};
pub use unreadable::{ReadableDocuments, UnreadableDocument, UnreadableLog};

/// A field that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldFlaw {
    /// Its dotted path.
    pub path: String,
    /// What it is, and what it should be.
    pub what: String,
    pub weight: FieldWeight,
}

impl fmt::Display for FieldFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.what)
    }
}

/// A document, as far as it can be read.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentReading<T> {
    pub value: T,
    /// What was left out.
    pub flaws: Vec<FieldFlaw>,
}

impl<T> DocumentReading<T> {
    /// What was left out that decisions rest on; none where nothing was.
    pub fn list_undecided(&self) -> Option<String> {
        list_flaws(self.flaws.iter().filter(|flaw| flaw.weight == FieldWeight::Decides))
    }
}

/// Flaws in one line.
pub fn list_flaws<'a>(flaws: impl IntoIterator<Item = &'a FieldFlaw>) -> Option<String> {
    let lines: Vec<String> = flaws.into_iter().map(ToString::to_string).collect();
    (!lines.is_empty()).then(|| lines.join("; "))
}

/// Reads a document's bytes as its type, as far as that goes.
///
/// # Errors
/// What of it that must be there is not, or cannot be read.
pub fn read_leniently<T: DeserializeOwned>(
    collection: Collection,
    bytes: &[u8],
) -> Result<DocumentReading<T>, UnreadableDocument> {
    match decode(bytes) {
        Ok(value) => Ok(DocumentReading { value, flaws: Vec::new() }),
        Err(error) => mend_document(collection, bytes, &error),
    }
}

/// Reads a document's bytes as its type, where nothing is left out that decisions rest on.
///
/// # Errors
/// What could not be read.
pub fn read_bytes<T: DeserializeOwned>(collection: Collection, bytes: &[u8]) -> Result<T, UnreadableDocument> {
    let reading = read_leniently(collection, bytes)?;
    match reading.list_undecided() {
        None => Ok(reading.value),
        Some(cause) => Err(UnreadableDocument::of_bytes(collection, bytes, cause)),
    }
}

/// The same for a document that is unpacked.
///
/// # Errors
/// What could not be read.
pub fn read_document<T: DeserializeOwned>(
    collection: Collection,
    document: &Document,
) -> Result<T, UnreadableDocument> {
    let bytes = pack(document).map_err(|error| UnreadableDocument::of(collection, document, error.to_string()))?;
    read_bytes(collection, &bytes)
}

/// What of a document cannot be read; none where all of it can.
pub fn trouble_of(collection: Collection, document: &Document) -> Option<UnreadableDocument> {
    let bytes = pack(document).ok()?;
    let trouble = |cause: Option<String>| cause.map(|cause| UnreadableDocument::of(collection, document, cause));
    fn flaws_of<T: DeserializeOwned>(collection: Collection, bytes: &[u8]) -> Option<String> {
        match read_leniently::<T>(collection, bytes) {
            Ok(reading) => list_flaws(&reading.flaws),
            Err(unreadable) => Some(unreadable.cause),
        }
    }
    trouble(match collection {
        Collection::Users => flaws_of::<crate::user::User>(collection, &bytes),
        Collection::SubscriptionPlans => flaws_of::<crate::plan::Plan>(collection, &bytes),
        Collection::AlertConfigurations => {
            flaws_of::<crate::alert_configuration::AlertConfiguration>(collection, &bytes)
        }
        Collection::UserSubscriptions => flaws_of::<crate::subscription::Subscription>(collection, &bytes),
        Collection::UserAlertPreferences => flaws_of::<crate::preference::AlertPreference>(collection, &bytes),
        Collection::Trades => flaws_of::<crate::trade::document::Trade>(collection, &bytes),
        Collection::Alerts => flaws_of::<crate::alert::document::Alert>(collection, &bytes),
        Collection::AdminUsers => flaws_of::<crate::admin::Admin>(collection, &bytes),
        Collection::Deliveries => flaws_of::<crate::delivery::Delivery>(collection, &bytes),
        Collection::Decisions => flaws_of::<crate::decision::DecisionChunk>(collection, &bytes),
        Collection::Quotas => flaws_of::<crate::quota::Quota>(collection, &bytes),
        Collection::RejectedWebhooks => flaws_of::<crate::store::RejectedWebhook>(collection, &bytes),
        Collection::Leases => flaws_of::<crate::store::Lease>(collection, &bytes),
        Collection::ApiTokens => flaws_of::<crate::token::ApiToken>(collection, &bytes),
        Collection::AuditLog => flaws_of::<crate::audit::AuditEntry>(collection, &bytes),
        Collection::IntakeKeys
        | Collection::Changes
        | Collection::IdempotencyKeys
        | Collection::MovedChats
        | Collection::Secrets => None,
    })
}

/// A document's bytes, unpacked as they stand; text that is no UTF-8 loses what is wrong with it.
///
/// # Errors
/// The bytes are damaged.
pub fn unpack(collection: Collection, bytes: &[u8]) -> Result<Document, UnreadableDocument> {
    let unreadable =
        |error: &dyn fmt::Display| UnreadableDocument::of_bytes(collection, bytes, format!("is damaged: {error}"));
    let raw = RawDocument::from_bytes(bytes).map_err(|error| unreadable(&error))?;
    Document::try_from(raw).or_else(|_| match Utf8Lossy::<Document>::try_from(raw) {
        Ok(Utf8Lossy(document)) => Ok(document),
        Err(error) => Err(unreadable(&error)),
    })
}

/// The same; of a damaged one its id alone, under which it can be seen and replaced.
pub fn unpack_what_is_there(collection: Collection, bytes: &[u8]) -> Document {
    unpack(collection, bytes).unwrap_or_else(|unreadable| bson::doc! { "_id": unreadable.id })
}

/// A document as bytes.
///
/// # Errors
/// `Corrupt` where a key of it has a NUL in it.
pub fn pack(document: &Document) -> Result<Vec<u8>, StoreError> {
    document.to_vec().map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// A value as a document's bytes.
///
/// # Errors
/// `Corrupt` where the value has no form as a document.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    bson::serialize_to_vec(value).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// Whether a dotted path is the other one, or lies below it.
pub fn is_within(path: &str, other: &str) -> bool {
    path.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The paths of the fields in which two documents differ; of objects within, their fields: what others keep beside them
/// stays.
pub fn list_differences(before: &Document, after: &Document) -> Vec<String> {
    let mut paths = Vec::new();
    note_differences(before, after, "", &mut paths);
    paths
}

fn note_differences(before: &Document, after: &Document, within: &str, paths: &mut Vec<String>) {
    let none = Document::new();
    let new = after.keys().filter(|name| !before.contains_key(name.as_str()));
    for name in before.keys().chain(new) {
        let path = format!("{within}{name}");
        match (before.get(name), after.get(name)) {
            (was, is) if was == is => {}
            (Some(Bson::Document(was)), Some(Bson::Document(is))) => {
                note_differences(was, is, &format!("{path}."), paths)
            }
            (Some(Bson::Document(was)), None) => note_differences(was, &none, &format!("{path}."), paths),
            (None, Some(Bson::Document(is))) => note_differences(&none, is, &format!("{path}."), paths),
            _ => paths.push(path),
        }
    }
}

#[cfg(test)]
mod tests;
