//! POST: a new document.

use alertcast_core::store::{DocumentWrite, StoreError};
use axum::http::{HeaderValue, StatusCode, header};
use bson::{Bson, Document};
use serde_json::Value;

use super::change::{self, TRIES};
use super::error::{ApiError, ApiResult, conflict, describe_taken, unprocessable, wrong};
use super::idempotency::RequestKey;
use super::reply::ApiReply;
use super::resources::{ApiResource, ResourceChanges};
use super::shape::DocumentExtent;
use super::{ApiRequest, decide, note_change, reading, warnings};
use crate::app::App;
use crate::document_input::FieldCode;
use crate::http::problem::FieldError;
use crate::operator::AuditedDeed;

/// Makes a document, once for each `Idempotency-Key`.
pub(super) async fn answer(app: &App, resource: &'static ApiResource, asked: &ApiRequest) -> ApiResult<ApiReply> {
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
    resource: &'static ApiResource,
    asked: &ApiRequest,
    key: Option<&RequestKey>,
) -> ApiResult<ApiReply> {
    let Some(changes) = resource.changes else { return Err(conflict("Not changed here", "others make these")) };
    let sent = reading::json(&asked.body)?;
    for _ in 0..TRIES {
        let made = make_document(app, resource, changes, asked, sent.clone()).await?;
        let reply = reply(app, resource, &made.document);
        let mut writes = Vec::new();
        // First, so that a key that is taken is what is found, and not what its first use made.
        if let Some(key) = key {
            writes.push(key.keep(app, resource, &made.document, &reply).await?);
        }
        writes.push(DocumentWrite::Insert { collection: resource.collection, document: made.document.clone() });
        writes.extend(made.also);
        writes.push(asked.act(None).audit(app, AuditedDeed::create(resource.collection, &made.document))?);
        match app.store.write(writes).await {
            Ok(()) => {
                note_change(app).await;
                return Ok(reply);
            }
            Err(StoreError::Conflict) => {}
            Err(StoreError::AlreadyExists { collection, field }) if collection == resource.collection => {
                return Err(describe_taken(app, asked, (collection, &field), &made.document).await);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Store(StoreError::Conflict))
}

/// A document that is ready to be written, and what is written with it.
struct CreatedDocument {
    document: Document,
    also: Vec<DocumentWrite>,
}

async fn make_document(
    app: &App,
    resource: &'static ApiResource,
    changes: ResourceChanges,
    asked: &ApiRequest,
    sent: Value,
) -> ApiResult<CreatedDocument> {
    let Value::Object(mut fields) = sent else {
        return Err(unprocessable(vec![wrong("", FieldCode::Invalid, "the body is not an object")]).into());
    };
    fields.retain(|_, value| !value.is_null());
    let mut value = Value::Object(fields);
    let mut errors = Vec::new();
    for path in change::kept_paths(resource) {
        let pointer = change::pointer(&path);
        if value.pointer(&pointer).is_some_and(|given| !given.is_null()) {
            errors.push(read_only(&path));
        }
        change::remove(&mut value, &path);
    }
    if !errors.is_empty() {
        return Err(unprocessable(errors).into());
    }
    let checked = change::check_change(app, resource, changes, value, None).await?;
    let mut document = checked.document;
    let now = app.clock.now();
    document.insert("_id", app.ids.next());
    for name in ["createdAt", "updatedAt"] {
        document.insert(name, Bson::from(now));
    }
    let mut also = checked.also;
    also.extend(decide::decide(asked, resource, None, &mut document, (checked.around.as_ref(), now))?);
    Ok(CreatedDocument { document, also })
}

pub(super) fn read_only(path: &str) -> FieldError {
    wrong(path, FieldCode::ReadOnly, "is kept by Alertcast and cannot be set")
}

fn reply(app: &App, resource: &ApiResource, document: &Document) -> ApiReply {
    let shown = resource.show_document(document, DocumentExtent::Whole);
    let place = format!("/api/v1/{}/{}", resource.path, shown["id"].as_str().unwrap_or_default());
    let place = HeaderValue::from_str(&place).map(|place| (header::LOCATION, place));
    let warnings = warnings::about(app, resource, document);
    ApiReply::document(StatusCode::CREATED, &shown).with(place.into_iter().collect()).with(warnings)
}
