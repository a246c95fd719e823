//! The audit log: every act and every change by hand has an entry in the same commit.

use alertcast_core::audit::AuditEntry;
use alertcast_core::schema::is_secret_name;
use alertcast_core::store::{Collection, DocumentWrite, StoreResult, document};
use bson::Document;
use bson::oid::ObjectId;

use super::OperatorAction;
use crate::base::Base;

/// What stands in the log instead of a secret.
const CHANGED: &str = "[changed]";

/// What was done, for the audit log.
#[derive(Debug, Clone)]
pub(crate) struct AuditedDeed {
    /// `create`, `update`, `delete`, or an act's name.
    pub(crate) action: &'static str,
    pub(crate) collection: Collection,
    pub(crate) about: ObjectId,
    pub(crate) before: Option<Document>,
    pub(crate) after: Option<Document>,
}

impl AuditedDeed {
    /// A document was made.
    pub(crate) fn create(collection: Collection, after: &Document) -> Self {
        Self { action: "create", collection, about: id_of(after), before: None, after: Some(after.clone()) }
    }

    /// These fields of a document were changed.
    pub(crate) const fn update(collection: Collection, about: ObjectId, before: Document, after: Document) -> Self {
        Self { action: "update", collection, about, before: Some(before), after: Some(after) }
    }

    /// A document was deleted.
    pub(crate) fn delete(collection: Collection, before: &Document) -> Self {
        Self { action: "delete", collection, about: id_of(before), before: Some(before.clone()), after: None }
    }
}

impl OperatorAction {
    /// Writes the entry about what was done.
    pub(crate) fn audit(&self, base: &Base, deed: AuditedDeed) -> StoreResult<DocumentWrite> {
        let entry = AuditEntry {
            id: base.ids.next(),
            at: base.clock.now(),
            admin_id: self.who.admin_id,
            username: self.who.username.clone(),
            action: deed.action.to_owned(),
            collection: deed.collection.name().to_owned(),
            document_id: deed.about,
            before: deed.before.map(without_secrets),
            after: deed.after.map(without_secrets),
            reason: self.reason.clone(),
            ip_address: self.who.ip.clone(),
        };
        Ok(DocumentWrite::Insert { collection: Collection::AuditLog, document: document(&entry)? })
    }

    /// What is committed with an act: its audit entry, then what the caller wants.
    pub(super) fn beside(&self, base: &Base, deed: AuditedDeed) -> StoreResult<Vec<DocumentWrite>> {
        Ok(std::iter::once(self.audit(base, deed)?).chain(self.also.iter().cloned()).collect())
    }
}

fn id_of(document: &Document) -> ObjectId {
    document.get_object_id("_id").unwrap_or_default()
}

fn without_secrets(mut document: Document) -> Document {
    for (_, value) in document.iter_mut().filter(|(name, _)| is_secret_name(name)) {
        *value = CHANGED.into();
    }
    document
}
