//! Documents that operators make, change and delete: the rules of it, whichever way they come. What was asked for is read
//! elsewhere (a merge patch, a form); here it is judged who may, checked, and written with its audit entry.
//!
//! Nothing here knows of HTTP.

mod administrator;
mod change;
mod checking;
mod create;
mod delete;
mod subscription;
mod taken;
mod warnings;

use alertcast_core::reading::PartialDocument;
use alertcast_core::schema::{FieldDeclaration, find_given};
use alertcast_core::store::{Collection, DocumentWrite, StoreError};
use alertcast_core::subscription::lifecycle::LifecycleError;
use bson::Document;
use serde_json::Value;

pub(crate) use self::change::{DocumentEdit, change_document};
pub(crate) use self::create::create_document;
pub(crate) use self::delete::delete_document;
use self::taken::describe_taken;
use super::{ActError, OperatorAction, show_change};
use crate::app::App;
use crate::document_input::{FieldCode, FieldProblem};
use crate::document_kinds::{DocumentKind, EditRules};
use crate::document_view::{self, DocumentExtent};

/// One collection's documents, which operators make, change and delete.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EditableDocuments {
    kind: &'static DocumentKind,
    rules: EditRules,
}

impl EditableDocuments {
    /// Those of a kind; none where others make and change them.
    pub(crate) fn of(kind: &'static DocumentKind) -> Option<Self> {
        Some(Self { kind, rules: kind.rules? })
    }

    const fn collection(&self) -> Collection {
        self.kind.collection
    }

    /// What could be read of a document as it is shown.
    fn show(&self, read: &PartialDocument) -> Value {
        self.kind.show(read, DocumentExtent::Whole)
    }

    /// A document as it is shown.
    fn show_kept(&self, kept: &Document) -> Value {
        self.kind.show_document(kept, DocumentExtent::Whole)
    }

    /// The paths of the fields that Alertcast keeps.
    fn kept_paths(&self) -> Vec<String> {
        document_view::paths(self.kind.fields(), FieldDeclaration::is_kept)
    }

    /// Those of them that may be taken away.
    fn clearable_paths(&self) -> Vec<String> {
        document_view::paths(self.kind.fields(), FieldDeclaration::is_clearable)
    }

    /// Whether a field that others give must be there; none where Alertcast keeps it, or there is no such field.
    fn is_required(&self, path: &str) -> Option<bool> {
        find_given(self.kind.fields(), path).map(FieldDeclaration::is_required)
    }

    /// Leaves in `after` what stands in `before` and is not shown.
    fn keep_undeclared(&self, before: &Document, after: &mut Document) {
        document_view::keep_undeclared(self.kind.fields(), before, after);
    }
}

/// A document that was made or changed.
#[derive(Debug, Clone)]
pub(crate) struct EditedDocument {
    /// As it is kept.
    pub(crate) kept: Document,
    /// As it is shown.
    pub(crate) shown: Value,
    /// What follows from it that the operator should know.
    pub(crate) warning: Option<String>,
}

/// Why a document is not edited.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum EditError {
    #[error("there is no {0} with this id")]
    Missing(&'static str),
    /// Never empty.
    #[error("{} fields are not right", .0.len())]
    Wrong(Vec<FieldProblem>),
    #[error("nobody takes system.settings from themselves or makes themselves inactive: ask another administrator")]
    OwnRights,
    #[error("nobody deletes themselves: ask another administrator")]
    OwnAccount,
    /// A value that another document has, and only one may have.
    #[error("{what}")]
    Taken { fields: Vec<String>, what: String },
    /// Another document refers to it.
    #[error("{by} refer to this {called} by {field}")]
    InUse { called: &'static str, by: Collection, field: String },
    /// The rules of a subscription's life stand against it.
    #[error(transparent)]
    Event(#[from] LifecycleError),
    #[error("the password was not hashed")]
    NotHashed,
    #[error(transparent)]
    Act(#[from] ActError),
}

/// The result of an edit.
pub(crate) type EditResult<T> = Result<T, EditError>;

impl From<StoreError> for EditError {
    fn from(error: StoreError) -> Self {
        Self::Act(error.into())
    }
}

/// Whether an edit that makes this of a document is written; not, where others were in the way.
async fn commit_edit(
    app: &App,
    act: &OperatorAction,
    documents: &EditableDocuments,
    document: &Document,
    writes: Vec<DocumentWrite>,
) -> EditResult<bool> {
    match app.store.write(writes).await {
        Ok(()) => {
            show_change(app).await;
            Ok(true)
        }
        Err(StoreError::Conflict) => Ok(false),
        Err(StoreError::AlreadyExists { collection, field }) if collection == documents.collection() => {
            Err(describe_taken(app, &act.who, documents, &field, document).await)
        }
        Err(error) => Err(error.into()),
    }
}

/// What is wrong with one field.
fn wrong(place: &str, code: FieldCode, what: impl Into<String>) -> FieldProblem {
    FieldProblem { code, place: place.to_owned(), what: what.into() }
}

fn read_only(path: &str) -> FieldProblem {
    wrong(path, FieldCode::ReadOnly, "is kept by Alertcast and cannot be set")
}

/// Refuses where anything is wrong.
fn refuse_any(problems: Vec<FieldProblem>) -> EditResult<()> {
    if problems.is_empty() { Ok(()) } else { Err(EditError::Wrong(problems)) }
}
