//! Reading and checking a document as it is to be.

use alertcast_core::store::{DocumentWrite, LoadedSubscription};
use bson::Document;
use secrecy::SecretString;
use serde_json::Value;

use super::administrator::PASSWORD;
use super::subscription::load_around;
use super::{EditError, EditResult, EditableDocuments};
use crate::base::Base;
use crate::document_input::{self, EntryReferences, KnownDocuments};
use crate::document_paths::same;
use crate::password;

/// What is changed, as it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct CurrentDocument<'a> {
    pub(super) kept: &'a Document,
    pub(super) shown: &'a Value,
}

/// A document that keeps the rules, and what must be written with it for that to stay so.
#[derive(Debug)]
pub(super) struct CheckedDocument {
    pub(super) document: Document,
    pub(super) also: Vec<DocumentWrite>,
    /// Of a subscription, what deciding about it rests on.
    pub(super) around: Option<LoadedSubscription>,
}

/// Reads and checks a document as it is to be.
pub(super) async fn check_document(
    base: &Base,
    documents: &EditableDocuments,
    value: Value,
    current: Option<CurrentDocument<'_>>,
) -> EditResult<CheckedDocument> {
    let kept = current.map(|current| current.kept);
    let around = load_around(base, documents.collection(), &value, kept).await?;
    let priced = ["/subscriptionPlanId", "/payment/amount", "/payment/currency"]
        .iter()
        .any(|at| !same(value.pointer(at), current.and_then(|current| current.shown.pointer(at))));
    let now = base.clock.now();
    let references = EntryReferences { collection: documents.collection(), entry: &value, kept, priced, now };
    let known = KnownDocuments::around(&*base.store, references).await?;
    let read = document_input::one(known, documents.rules.read, value, kept, &*base.ids, now);
    let entry = read.map_err(EditError::Wrong)?;
    let mut document = entry.document;
    if let Some(text) = entry.password {
        document.insert(PASSWORD, hash_password(text).await?);
    }
    Ok(CheckedDocument { document, also: Vec::new(), around })
}

/// Hashing is work: others do not wait for it.
async fn hash_password(text: SecretString) -> EditResult<String> {
    let hash = tokio::task::spawn_blocking(move || password::hash(&text)).await;
    hash.ok().and_then(Result::ok).map(|hash| hash.0).ok_or(EditError::NotHashed)
}
