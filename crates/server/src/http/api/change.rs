//! PATCH: a JSON merge patch (RFC 7396), under the conditions of its headers.

use axum::http::StatusCode;
use serde_json::Value;

use super::ApiRequest;
use super::editing::Editing;
use super::error::{ApiResult, unprocessable, wrong};
use super::reading;
use super::reply::{ApiReply, warn_with};
use super::resources::ApiResource;
use crate::app::App;
use crate::document_input::FieldCode;
use crate::operator::edit::{DocumentEdit, change_document, merge_into};

/// Changes a document.
pub(super) async fn answer(app: &App, resource: &'static ApiResource, asked: &ApiRequest) -> ApiResult<ApiReply> {
    let documents = Editing::of(resource)?;
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
