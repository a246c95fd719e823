//! What nothing refers to is deleted.

use alertcast_core::id::AdminId;
use alertcast_core::store::{Collection, DocumentWrite, StoreError};
use bson::oid::ObjectId;
use bson::{Bson, Document};
use serde_json::Value;

use super::administrator::end_tokens;
use super::{EditError, EditResult, EditableDocuments};
use crate::app::App;
use crate::base::Base;
use crate::operator::{ActError, AuditedDeed, OperatorAction, TRIES_MAX, show_change};

/// Deletes a document, if it is still the one that was looked at. `look` may refuse it as it is shown.
///
/// # Errors
/// What `look` answers, and whatever stands against it.
pub(crate) async fn delete_document<E: From<EditError>>(
    app: &App,
    act: &OperatorAction,
    documents: &EditableDocuments,
    id: ObjectId,
    look: impl Fn(&Value) -> Result<(), E>,
) -> Result<(), E> {
    act.who.must_hold(documents.rules.delete).map_err(EditError::from)?;
    if documents.collection() == Collection::AdminUsers && AdminId(id) == act.who.admin_id {
        return Err(EditError::OwnAccount.into());
    }
    for _ in 0..TRIES_MAX {
        let found = app.store.get(documents.collection(), &[id]).await.map_err(EditError::from)?.pop();
        let kept = found.ok_or(EditError::Missing(documents.kind.called))?;
        look(&documents.show_kept(&kept))?;
        if try_delete(app, act, documents, id, &kept).await? {
            return Ok(());
        }
    }
    Err(EditError::Act(ActError::Busy).into())
}

/// Whether it is deleted; not, where others were in the way.
async fn try_delete(
    app: &App,
    act: &OperatorAction,
    documents: &EditableDocuments,
    id: ObjectId,
    kept: &Document,
) -> EditResult<bool> {
    match app.store.write(write_deletion(app, act, documents.collection(), id, kept).await?).await {
        Ok(()) => {
            show_change(app).await;
            Ok(true)
        }
        // A token that was made meanwhile goes too.
        Err(StoreError::Conflict | StoreError::MissingReference { collection: Collection::ApiTokens, .. }) => Ok(false),
        Err(StoreError::MissingReference { collection: by, field, .. }) => {
            Err(EditError::InUse { called: documents.kind.called, by, field })
        }
        Err(error) => Err(error.into()),
    }
}

async fn write_deletion(
    base: &Base,
    act: &OperatorAction,
    collection: Collection,
    id: ObjectId,
    kept: &Document,
) -> EditResult<Vec<DocumentWrite>> {
    let seen = kept.get("updatedAt").cloned().unwrap_or(Bson::Null);
    let mut writes = vec![DocumentWrite::Update {
        collection,
        id,
        set: Document::new(),
        unset: Vec::new(),
        expect: vec![("updatedAt".to_owned(), seen)],
    }];
    if collection == Collection::AdminUsers {
        writes.extend(end_tokens(base, AdminId(id)).await?);
    }
    writes.push(DocumentWrite::Delete { collection, id });
    writes.extend(act.beside(base, AuditedDeed::delete(collection, kept))?);
    Ok(writes)
}
