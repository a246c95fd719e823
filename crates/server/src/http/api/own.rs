//! What belongs to whoever asks: who they are, and their tokens.

use alertcast_core::admin::Permission;
use alertcast_core::id::AdminId;
use alertcast_core::schema;
use alertcast_core::store::{Collection, DocumentWrite};
use axum::http::StatusCode;
use bson::Bson;
use serde_json::json;

use super::caller::ApiCaller;
use super::error::{ApiResult, not_found};
use super::reply::ApiReply;
use super::{ApiRequest, list, reading};
use crate::base::Base;
use crate::document_kinds::TOKENS;
use crate::document_view::{self, DocumentExtent};
use crate::operator::AuditedDeed;

/// Whose token it is.
pub(super) fn who(caller: &ApiCaller) -> ApiReply {
    let as_document = |kept: alertcast_core::store::StoreResult<bson::Document>| kept.unwrap_or_default();
    let admin = as_document(alertcast_core::store::document(&caller.admin));
    let token = as_document(alertcast_core::store::document(&caller.token));
    let held: Vec<&str> = Permission::ALL
        .iter()
        .filter(|permission| caller.admin.permissions.hold(**permission))
        .map(|permission| permission.as_str())
        .collect();
    let body = json!({
        "admin": document_view::show_fields(schema::fields(Collection::AdminUsers), &admin, DocumentExtent::Whole),
        "token": document_view::show_fields(schema::fields(Collection::ApiTokens), &token, DocumentExtent::Whole),
        "permissions": held,
    });
    ApiReply { status: StatusCode::OK, ..ApiReply::ok(body) }
}

/// One's own tokens; with `system.settings` and `adminId`, another's.
pub(super) async fn tokens(base: &Base, asked: &ApiRequest) -> ApiResult<ApiReply> {
    let me = asked.caller.admin.id;
    let whose = form_urlencoded::parse(asked.query.as_bytes()).find(|(name, _)| name == "adminId");
    let fixed = match whose {
        None => vec![("adminId", Bson::from(me))],
        Some((_, whose)) if whose.parse() == Ok(me) => Vec::new(),
        Some(_) => {
            asked.caller.must_hold(Permission::SystemSettings)?;
            Vec::new()
        }
    };
    list::page(base, &TOKENS, &asked.path, &asked.query, fixed).await
}

/// Ends a token: one's own, or with `system.settings` another's.
pub(super) async fn delete_token(base: &Base, asked: &ApiRequest) -> ApiResult<ApiReply> {
    let id = asked.id()?;
    let kept = reading::load_kept(base, TOKENS.collection, id).await?.ok_or_else(|| not_found(TOKENS.called))?;
    if kept.get_object_id("adminId").ok().map(AdminId) != Some(asked.caller.admin.id) {
        // Whoever may not end it is not told that it exists.
        asked.caller.must_hold(Permission::SystemSettings).map_err(|_| not_found(TOKENS.called))?;
    }
    asked.conditions.hold(&TOKENS.show_document(&kept, DocumentExtent::Whole))?;
    let entry = asked.act(None).audit(base, AuditedDeed::delete(TOKENS.collection, &kept))?;
    base.store.write(vec![DocumentWrite::Delete { collection: TOKENS.collection, id }, entry]).await?;
    Ok(ApiReply::nothing())
}
