//! The audit log: every change by the API has an entry in the same commit.

use alertcast_core::audit::AuditEntry;
use alertcast_core::store::{Collection, DocumentWrite, document};
use bson::Document;
use bson::oid::ObjectId;

use super::ApiRequest;
use super::error::ApiResult;
use super::resources::ApiResource;
use crate::app::App;

/// The most characters of a reason.
const REASON_CHARS_MAX: usize = 1_000;
/// What never stands in the log.
const SECRETS: [&str; 2] = ["password", "digest"];
/// What stands there instead.
const CHANGED: &str = "[changed]";

/// What was done.
#[derive(Debug, Clone, Copy)]
pub(super) enum AuditedChange<'a> {
    Create {
        after: &'a Document,
    },
    /// The changed fields alone.
    Update {
        id: ObjectId,
        before: &'a Document,
        after: &'a Document,
    },
    Delete {
        before: &'a Document,
    },
}

/// The entry about what was done.
pub(super) fn entry(app: &App, asked: &ApiRequest, resource: &ApiResource, act: AuditedChange<'_>) -> AuditEntry {
    let (action, id, before, after) = match act {
        AuditedChange::Create { after } => ("create", id_of(after), None, Some(after)),
        AuditedChange::Update { id, before, after } => ("update", id, Some(before), Some(after)),
        AuditedChange::Delete { before } => ("delete", id_of(before), Some(before), None),
    };
    AuditEntry {
        id: app.ids.next(),
        at: app.clock.now(),
        admin_id: asked.caller.admin.id,
        username: asked.caller.admin.username.clone(),
        action: action.to_owned(),
        collection: resource.collection.name().to_owned(),
        document_id: id,
        before: before.map(without_secrets),
        after: after.map(without_secrets),
        reason: reason(asked),
        ip_address: Some(asked.caller.address.to_string()),
    }
}

/// Writes an entry.
pub(super) fn insert(entry: &AuditEntry) -> ApiResult<DocumentWrite> {
    Ok(DocumentWrite::Insert { collection: Collection::AuditLog, document: document(entry)? })
}

/// Why, where the header `X-Reason` says.
pub(super) fn reason(asked: &ApiRequest) -> Option<String> {
    let said = asked.head.headers.get("x-reason")?;
    let text: String = String::from_utf8_lossy(said.as_bytes()).trim().chars().take(REASON_CHARS_MAX).collect();
    (!text.is_empty()).then_some(text)
}

fn id_of(document: &Document) -> ObjectId {
    document.get_object_id("_id").unwrap_or_default()
}

fn without_secrets(document: &Document) -> Document {
    let mut document = document.clone();
    for secret in SECRETS {
        if document.contains_key(secret) {
            document.insert(secret, CHANGED);
        }
    }
    document
}
