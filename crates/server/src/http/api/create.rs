//! POST: a new document, once for each `Idempotency-Key`.

use axum::http::{HeaderValue, StatusCode, header};
use serde_json::Value;

use super::ApiRequest;
use super::change::editable;
use super::error::{ApiResult, unprocessable, wrong};
use super::idempotency::RequestKey;
use super::reading;
use super::reply::{ApiReply, warn_with};
use crate::app::App;
use crate::document_input::FieldCode;
use crate::document_kinds::DocumentKind;
use crate::operator::edit::{EditedDocument, create_document};

/// Makes a document, once for each `Idempotency-Key`.
pub(super) async fn answer(app: &App, resource: &'static DocumentKind, asked: &ApiRequest) -> ApiResult<ApiReply> {
    let key = RequestKey::of(asked)?;
    if let Some(key) = &key
        && let Some(before) = key.find_answer(app).await?
    {
        return Ok(before);
    }
    let made = create(app, resource, asked, key.as_ref()).await;
    match (made, key) {
        // Whoever came first with this key may have made what now stands in the way.
        (Err(fault), Some(key)) => key.find_answer(app).await?.ok_or(fault),
        (made, _) => made,
    }
}

async fn create(
    app: &App,
    resource: &'static DocumentKind,
    asked: &ApiRequest,
    key: Option<&RequestKey>,
) -> ApiResult<ApiReply> {
    let documents = editable(resource)?;
    let Value::Object(sent) = reading::json(&asked.body)? else {
        return Err(unprocessable(vec![wrong("", FieldCode::Invalid, "the body is not an object")]).into());
    };
    let record = match key {
        Some(key) => Some(key.find_record(app).await?),
        None => None,
    };
    // First, so that a key that is taken is what is found, and not what its first use made.
    let first = |made: &EditedDocument| {
        let record = record.as_ref().map(|record| record.keep(app, resource, &made.kept, &reply(resource, made)));
        ApiResult::Ok(record.into_iter().collect())
    };
    let made = create_document(app, &asked.act(None), &documents, sent, first).await?;
    Ok(reply(resource, &made))
}

fn reply(resource: &DocumentKind, made: &EditedDocument) -> ApiReply {
    let place = format!("/api/v1/{}/{}", resource.path, made.shown["id"].as_str().unwrap_or_default());
    let place = HeaderValue::from_str(&place).map(|place| (header::LOCATION, place));
    ApiReply::document(StatusCode::CREATED, &made.shown)
        .with(place.into_iter().collect())
        .with(warn_with(made.warning.clone()))
}
