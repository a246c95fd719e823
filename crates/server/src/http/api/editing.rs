//! The API's documents as `operator::edit` takes them.

use alertcast_core::reading::PartialDocument;
use alertcast_core::schema::{FieldDeclaration, find_given};
use alertcast_core::store::Collection;
use bson::Document;
use serde_json::Value;

use super::error::{ApiResult, conflict};
use super::resources::{ApiResource, ResourceChanges};
use super::shape::{self, DocumentExtent};
use crate::document_input::EntryReader;
use crate::operator::edit::{EditPermissions, EditableDocuments};

/// Documents that are made, changed and deleted by the API.
#[derive(Debug, Clone, Copy)]
pub(super) struct Editing {
    resource: &'static ApiResource,
    changes: ResourceChanges,
}

impl Editing {
    /// Those of a resource; refused where others make them.
    pub(super) fn of(resource: &'static ApiResource) -> ApiResult<Self> {
        match resource.changes {
            Some(changes) => Ok(Self { resource, changes }),
            None => Err(conflict("Not changed here", "others make and change these")),
        }
    }
}

impl EditableDocuments for Editing {
    fn collection(&self) -> Collection {
        self.resource.collection
    }

    fn called(&self) -> &'static str {
        self.resource.called
    }

    fn permissions(&self) -> EditPermissions {
        EditPermissions { view: self.resource.view, edit: self.changes.edit, delete: self.changes.delete }
    }

    fn complete(&self, kept: &Document) -> PartialDocument {
        self.resource.complete(kept)
    }

    fn show(&self, read: &PartialDocument) -> Value {
        self.resource.show(read, DocumentExtent::Whole)
    }

    fn reader(&self) -> EntryReader {
        self.changes.read
    }

    fn kept_paths(&self) -> Vec<String> {
        shape::paths(self.resource.fields(), FieldDeclaration::is_kept)
    }

    fn clearable_paths(&self) -> Vec<String> {
        shape::paths(self.resource.fields(), FieldDeclaration::is_clearable)
    }

    fn is_required(&self, path: &str) -> Option<bool> {
        find_given(self.resource.fields(), path).map(FieldDeclaration::is_required)
    }

    fn keep_undeclared(&self, before: &Document, after: &mut Document) {
        shape::keep_undeclared(self.resource.fields(), before, after);
    }
}
