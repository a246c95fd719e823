//! The API's documents as `operator::edit` takes them.

use alertcast_core::reading::PartialDocument;
use alertcast_core::store::Collection;
use bson::{Bson, Document};
use serde_json::Value;

use super::error::{ApiResult, conflict};
use super::resources::{ApiResource, ResourceChanges};
use super::shape::{self, DocumentExtent, ShapeField, ShapeKind};
use crate::document_input::EntryReader;
use crate::operator::edit::{EditPermissions, EditableDocuments, stored_name};

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
        shape::paths(self.resource.shape, |field| field.kept)
    }

    fn clearable_paths(&self) -> Vec<String> {
        shape::paths(self.resource.shape, |field| field.clearable)
    }

    fn is_required(&self, path: &str) -> Option<bool> {
        shape::find_given(self.resource.shape, path).map(|field| field.required)
    }

    fn keep_undeclared(&self, before: &Document, after: &mut Document) {
        keep_undeclared(self.resource.shape, before, after);
    }
}

/// What the API does not show, it does not take away.
fn keep_undeclared(shape: &'static [ShapeField], before: &Document, after: &mut Document) {
    for (name, value) in before {
        let declared = shape.iter().find(|field| stored_name(field.name) == name);
        match (declared.map(|field| field.kind), value) {
            (None, value) => {
                after.insert(name, value.clone());
            }
            (Some(ShapeKind::Object(fields)), Bson::Document(before)) => {
                let mut within = after.get_document(name).cloned().unwrap_or_default();
                keep_undeclared(fields, before, &mut within);
                if !within.is_empty() {
                    after.insert(name, within);
                }
            }
            _ => {}
        }
    }
}
