//! Reading what is asked about, and what was sent.

use alertcast_core::store::Collection;
use axum::http::StatusCode;
use bson::Document;
use bson::oid::ObjectId;
use serde_json::Value;

use super::fault::{Answered, not_found};
use super::resources::Resource;
use crate::app::App;
use crate::http::problem::Problem;

/// A document, as it is kept.
pub(super) async fn document(app: &App, resource: &Resource, id: ObjectId) -> Answered<Document> {
    kept(app, resource.collection, id).await?.ok_or_else(|| not_found(resource.called))
}

/// A document, where there is one.
pub(super) async fn kept(app: &App, collection: Collection, id: ObjectId) -> Answered<Option<Document>> {
    Ok(app.store.get(collection, &[id]).await?.pop())
}

/// A body as JSON; its depth is bounded by the parser.
pub(super) fn json(body: &[u8]) -> Answered<Value> {
    serde_json::from_slice(body).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "Request not understood", format!("the body is no JSON: {error}")).into()
    })
}
