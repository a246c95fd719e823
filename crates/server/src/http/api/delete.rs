//! DELETE: what nothing refers to.

use serde_json::Value;

use super::ApiRequest;
use super::change::editable;
use super::error::ApiResult;
use super::reply::ApiReply;
use crate::app::App;
use crate::document_kinds::DocumentKind;
use crate::operator::edit::delete_document;

/// Deletes a document, if it is still the one that was looked at.
pub(super) async fn answer(app: &App, resource: &'static DocumentKind, asked: &ApiRequest) -> ApiResult<ApiReply> {
    let documents = editable(resource)?;
    let look = |shown: &Value| asked.conditions.hold(shown);
    delete_document(app, &asked.act(None), &documents, asked.id()?, look).await?;
    Ok(ApiReply::nothing())
}
