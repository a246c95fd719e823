//! A subscriber's open trades by configuration (seed 6.3).

use alertcast_core::id::UserId;
use alertcast_core::schema;
use alertcast_core::store::{Collection, OpenTrades};
use serde_json::{Value, json};

use super::error::{ApiResult, not_found};
use super::reply::ApiReply;
use super::{ApiRequest, reading};
use crate::base::Base;
use crate::document_view::{self, DocumentExtent};

/// How many trades a subscriber has open in each configuration, by its id.
pub(super) async fn answer(base: &Base, asked: &ApiRequest) -> ApiResult<ApiReply> {
    let user = asked.id()?;
    if reading::load_kept(base, Collection::Users, user).await?.is_none() {
        return Err(not_found("user"));
    }
    let open = base.store.open_trades_by_config(UserId(user)).await?;
    Ok(ApiReply::ok(json!({"items": open.iter().map(item).collect::<Vec<_>>()})))
}

/// A configuration that has been deleted is left out.
fn item(open: &OpenTrades) -> Value {
    let mut item = json!({"alertConfigId": open.config.to_string(), "count": open.count});
    if let (Some(config), Some(fields)) = (&open.document, item.as_object_mut()) {
        let shown =
            document_view::show_fields(schema::fields(Collection::AlertConfigurations), config, DocumentExtent::Whole);
        fields.insert("alertConfiguration".to_owned(), shown);
    }
    item
}
