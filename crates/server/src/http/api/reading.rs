//! Reading what is asked about, and what was sent.

use alertcast_core::store::Collection;
use axum::http::StatusCode;
use bson::Document;
use bson::oid::ObjectId;
use serde_json::Value;

use super::error::{ApiResult, not_found};
use super::resources::ApiResource;
use crate::app::App;
use crate::http::problem::ProblemResponse;

/// A document, as it is kept.
pub(super) async fn document(app: &App, resource: &ApiResource, id: ObjectId) -> ApiResult<Document> {
    load_kept(app, resource.collection, id).await?.ok_or_else(|| not_found(resource.called))
}

/// A document, where there is one.
pub(super) async fn load_kept(app: &App, collection: Collection, id: ObjectId) -> ApiResult<Option<Document>> {
    Ok(app.store.get(collection, &[id]).await?.pop())
}

/// A body as JSON; its depth is bounded by the parser.
pub(super) fn json(body: &[u8]) -> ApiResult<Value> {
    serde_json::from_slice(body).map_err(|error| {
        ProblemResponse::new(StatusCode::BAD_REQUEST, "Request not understood", format!("the body is no JSON: {error}"))
            .into()
    })
}
