//! DELETE: what nothing refers to.

use alertcast_core::id::AdminId;
use alertcast_core::store::{Collection, DocumentWrite, ListQuery, StoreError, list_all};
use axum::http::StatusCode;
use bson::{Bson, Document};

use super::change::TRIES;
use super::error::{ApiError, ApiResult, conflict, wrong};
use super::reply::ApiReply;
use super::resources::{self, ApiResource};
use super::shape::DocumentExtent;
use super::{ApiRequest, note_change, reading};
use crate::app::App;
use crate::document_input::FieldCode;
use crate::http::problem::ProblemResponse;
use crate::operator::AuditedDeed;

/// Deletes a document, if it is still the one that was looked at.
pub(super) async fn answer(app: &App, resource: &'static ApiResource, asked: &ApiRequest) -> ApiResult<ApiReply> {
    let id = asked.id()?;
    if resource.collection == Collection::AdminUsers && AdminId(id) == asked.caller.admin.id {
        return Err(conflict("Your own account", "nobody deletes themselves: ask another administrator"));
    }
    for _ in 0..TRIES {
        let kept = reading::document(app, resource, id).await?;
        asked.conditions.hold(&resource.show_document(&kept, DocumentExtent::Whole))?;
        match app.store.write(writes(app, resource, asked, &kept).await?).await {
            Ok(()) => {
                note_change(app).await;
                return Ok(ApiReply::nothing());
            }
            Err(StoreError::Conflict) => {}
            // A token that was made meanwhile goes too.
            Err(StoreError::MissingReference { collection: Collection::ApiTokens, .. }) => {}
            Err(StoreError::MissingReference { collection, field, .. }) => {
                return Err(in_use(resource, collection, &field).into());
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Store(StoreError::Conflict))
}

async fn writes(
    app: &App,
    resource: &ApiResource,
    asked: &ApiRequest,
    kept: &Document,
) -> ApiResult<Vec<DocumentWrite>> {
    let (collection, id) = (resource.collection, asked.id()?);
    let seen = kept.get("updatedAt").cloned().unwrap_or(Bson::Null);
    let mut writes = vec![DocumentWrite::Update {
        collection,
        id,
        set: Document::new(),
        unset: Vec::new(),
        expect: vec![("updatedAt".to_owned(), seen)],
    }];
    if collection == Collection::AdminUsers {
        writes.extend(tokens(app, AdminId(id)).await?);
    }
    writes.push(DocumentWrite::Delete { collection, id });
    writes.push(asked.act(None).audit(app, AuditedDeed::delete(collection, kept))?);
    Ok(writes)
}

/// An administrator's tokens end with them.
pub(super) async fn tokens(app: &App, admin: AdminId) -> ApiResult<Vec<DocumentWrite>> {
    let query = ListQuery { filters: vec![("adminId", admin.into())], ..ListQuery::all_of(Collection::ApiTokens) };
    let tokens = list_all(&*app.store, query).await?;
    let ids = tokens.iter().filter_map(|token| token.get_object_id("_id").ok());
    Ok(ids.map(|id| DocumentWrite::Delete { collection: Collection::ApiTokens, id }).collect())
}

fn in_use(resource: &ApiResource, by: Collection, field: &str) -> ProblemResponse {
    let referring = resources::of(by).map_or(by.name(), |resource| resource.path);
    let what = format!("{referring} refer to this {} by {field}: change or delete those first", resource.called);
    ProblemResponse::new(StatusCode::CONFLICT, "In use", what.clone()).name_fields(vec![wrong(
        &format!("{referring}.{field}"),
        FieldCode::InUse,
        what,
    )])
}
