//! A subscriber's open trades by configuration (seed 6.3).

use alertcast_core::id::UserId;
use alertcast_core::store::{Collection, OpenTrades};
use serde_json::{Value, json};

use super::fault::{Answered, not_found};
use super::reply::Reply;
use super::shape::{self, Extent};
use super::{Asked, documents, reading};
use crate::app::App;

/// How many trades a subscriber has open in each configuration, by its id.
pub(super) async fn answer(app: &App, asked: &Asked) -> Answered<Reply> {
    let user = asked.id()?;
    if reading::kept(app, Collection::Users, user).await?.is_none() {
        return Err(not_found("user"));
    }
    let open = app.store.open_trades_by_config(UserId(user)).await?;
    Ok(Reply::ok(json!({"items": open.iter().map(item).collect::<Vec<_>>()})))
}

/// A configuration that has been deleted is left out.
fn item(open: &OpenTrades) -> Value {
    let mut item = json!({"alertConfigId": open.config.to_string(), "count": open.count});
    if let (Some(config), Some(fields)) = (&open.document, item.as_object_mut()) {
        let shown = shape::shown(documents::CONFIGURATION, config, Extent::Whole);
        fields.insert("alertConfiguration".to_owned(), shown);
    }
    item
}
