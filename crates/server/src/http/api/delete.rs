//! DELETE: what nothing refers to.

use serde_json::Value;

use super::ApiRequest;
use super::editing::Editing;
use super::error::ApiResult;
use super::reply::ApiReply;
use super::resources::ApiResource;
use crate::app::App;
use crate::operator::edit::delete_document;

/// Deletes a document, if it is still the one that was looked at.
pub(super) async fn answer(app: &App, resource: &'static ApiResource, asked: &ApiRequest) -> ApiResult<ApiReply> {
    let documents = Editing::of(resource)?;
    let look = |shown: &Value| asked.conditions.hold(shown);
    delete_document(app, &asked.act(None), &documents, asked.id()?, look).await?;
    Ok(ApiReply::nothing())
}
