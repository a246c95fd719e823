//! Reading what is asked about, and what was sent.

use alertcast_core::store::Collection;
use axum::http::StatusCode;
use bson::Document;
use bson::oid::ObjectId;
use serde_json::Value;

use super::ApiRequest;
use super::error::{ApiResult, bad_query, not_found, unknown_parameter, wrong};
use super::projection::FieldSelection;
use super::reply::ApiReply;
use crate::base::Base;
use crate::document_input::FieldCode;
use crate::document_kinds::DocumentKind;
use crate::document_view::DocumentExtent;
use crate::http::problem::ProblemResponse;

/// One document, or the fields of it that are asked for. Its ETag is the whole document's, for `If-Match`.
pub(super) async fn answer(base: &Base, resource: &DocumentKind, asked: &ApiRequest) -> ApiResult<ApiReply> {
    let fields = fields(resource, &asked.query)?;
    let found = document(base, resource, asked.id()?).await?;
    let shown = resource.show_document(&found, DocumentExtent::Whole);
    let status = match asked.conditions.not_modified(&shown)? {
        true => StatusCode::NOT_MODIFIED,
        false => StatusCode::OK,
    };
    let reply = ApiReply::document(status, &shown).without_body_of(StatusCode::NOT_MODIFIED);
    Ok(match fields {
        Some(fields) => reply.with_body(|| fields.part(&shown)),
        None => reply,
    })
}

fn fields(resource: &DocumentKind, query: &str) -> ApiResult<Option<FieldSelection>> {
    let (mut fields, mut errors) = (None, Vec::new());
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let read = match &*name {
            "fields" if fields.is_some() => Err(wrong(&name, FieldCode::Invalid, "stands twice in the query")),
            "fields" => {
                FieldSelection::read(resource.fields(), DocumentExtent::Whole, &value).map(|read| fields = Some(read))
            }
            _ => Err(unknown_parameter(&name, &["fields"])),
        };
        errors.extend(read.err());
    }
    if errors.is_empty() { Ok(fields) } else { Err(bad_query(errors).into()) }
}

/// A document, as it is kept.
pub(super) async fn document(base: &Base, resource: &DocumentKind, id: ObjectId) -> ApiResult<Document> {
    load_kept(base, resource.collection, id).await?.ok_or_else(|| not_found(resource.called))
}

/// A document, where there is one.
pub(super) async fn load_kept(base: &Base, collection: Collection, id: ObjectId) -> ApiResult<Option<Document>> {
    Ok(base.store.get(collection, &[id]).await?.pop())
}

/// A body as JSON; its depth is bounded by the parser.
pub(super) fn json(body: &[u8]) -> ApiResult<Value> {
    serde_json::from_slice(body).map_err(|error| {
        ProblemResponse::new(StatusCode::BAD_REQUEST, "Request not understood", format!("the body is no JSON: {error}"))
            .into()
    })
}
