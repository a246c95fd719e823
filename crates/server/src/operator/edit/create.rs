//! A document is made.

use alertcast_core::store::{Collection, DocumentWrite};
use bson::{Bson, Document};
use serde_json::{Map, Value};

use super::checking::{CheckedDocument, check_document};
use super::subscription::decide_subscription;
use super::warnings::find_warning;
use super::{EditError, EditResult, EditableDocuments, EditedDocument, commit_edit, read_only, refuse_any};
use crate::app::App;
use crate::base::Base;
use crate::document_paths::{pointer, remove};
use crate::operator::{ActError, AuditedDeed, OperatorAction, TRIES_MAX};

/// Makes a document of these fields. `first`: what is written before it, whose failure is the one that is found.
///
/// # Errors
/// What `first` answers, and whatever stands against the document.
pub(crate) async fn create_document<E: From<EditError>>(
    app: &App,
    act: &OperatorAction,
    documents: &EditableDocuments,
    sent: Map<String, Value>,
    first: impl Fn(&EditedDocument) -> Result<Vec<DocumentWrite>, E>,
) -> Result<EditedDocument, E> {
    act.who.must_hold(documents.rules.edit).map_err(EditError::from)?;
    for _ in 0..TRIES_MAX {
        let CheckedDocument { document, also, .. } = make_document(app, act, documents, sent.clone()).await?;
        let shown = documents.show_kept(&document);
        let warning = find_warning(app, documents.collection(), &document);
        let made = EditedDocument { kept: document, shown, warning };
        let mut writes = first(&made)?;
        writes.extend(write_document(app, act, documents.collection(), &made.kept)?);
        writes.extend(also);
        if commit_edit(app, act, documents, &made.kept, writes).await? {
            return Ok(made);
        }
    }
    Err(EditError::Act(ActError::Busy).into())
}

async fn make_document(
    base: &Base,
    act: &OperatorAction,
    documents: &EditableDocuments,
    mut fields: Map<String, Value>,
) -> EditResult<CheckedDocument> {
    fields.retain(|_, value| !value.is_null());
    let mut value = Value::Object(fields);
    let mut problems = Vec::new();
    for path in documents.kept_paths() {
        if value.pointer(&pointer(&path)).is_some_and(|given| !given.is_null()) {
            problems.push(read_only(&path));
        }
        remove(&mut value, &path);
    }
    refuse_any(problems)?;
    let mut made = check_document(base, documents, value, None).await?;
    let now = base.clock.now();
    made.document.insert("_id", base.ids.next());
    for name in ["createdAt", "updatedAt"] {
        made.document.insert(name, Bson::from(now));
    }
    if documents.collection() == Collection::UserSubscriptions {
        decide_subscription(&act.who, None, &mut made, now)?;
    }
    Ok(made)
}

fn write_document(
    base: &Base,
    act: &OperatorAction,
    collection: Collection,
    document: &Document,
) -> EditResult<Vec<DocumentWrite>> {
    let mut writes = vec![DocumentWrite::Insert { collection, document: document.clone() }];
    writes.extend(act.beside(base, AuditedDeed::create(collection, document))?);
    Ok(writes)
}
