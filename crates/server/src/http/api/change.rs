//! PATCH: a JSON merge patch (RFC 7396), under the conditions of its headers.

use axum::http::StatusCode;
use serde_json::Value;

use super::ApiRequest;
use super::error::{ApiResult, conflict, unprocessable, wrong};
use super::reading;
use super::reply::{ApiReply, warn_with};
use crate::app::App;
use crate::document_input::FieldCode;
use crate::document_kinds::DocumentKind;
use crate::document_paths::merge_into;
use crate::operator::edit::{DocumentEdit, EditableDocuments, change_document};

/// Changes a document.
pub(super) async fn answer(app: &App, resource: &'static DocumentKind, asked: &ApiRequest) -> ApiResult<ApiReply> {
    let documents = editable(resource)?;
    let patch = reading::json(&asked.body)?;
    if !patch.is_object() {
        return Err(unprocessable(vec![wrong("", FieldCode::Invalid, "the body is not an object")]).into());
    }
    let edit = |shown: &Value| {
        asked.conditions.hold(shown)?;
        let mut whole = shown.clone();
        merge_into(&mut whole, &patch);
        ApiResult::Ok(DocumentEdit { whole, given: patch.clone() })
    };
    let changed = change_document(app, &asked.act(None), &documents, asked.id()?, edit).await?;
    Ok(ApiReply::document(StatusCode::OK, &changed.shown).with(warn_with(changed.warning)))
}

/// The documents of a resource, to be made, changed or deleted; refused where others do that.
pub(super) fn editable(resource: &'static DocumentKind) -> ApiResult<EditableDocuments> {
    EditableDocuments::of(resource).ok_or_else(|| conflict("Not changed here", "others make and change these"))
}
