//! Closing a trade by hand.

use alertcast_core::id::TradeId;
use alertcast_core::matching::by_hand::{self, Close};
use alertcast_core::money::Price;
use alertcast_core::store::{Collection, StoreError, TradeClose};
use alertcast_core::trade::document::Trade;
use bson::doc;

use super::{Act, ActError, Deed, Result, TRIES_MAX, one};
use crate::app::App;
use crate::processor::outlets;

/// Closes an open trade at a price; its subscriber hears of it as of an alert's exit. Answers the trade as it is then.
///
/// # Errors
/// `NotFound`, `NotOpen`, `Busy`, or the store's.
pub async fn close_trade(app: &App, act: &Act, trade: TradeId, price: Price) -> Result<Trade> {
    for _ in 0..TRIES_MAX {
        app.audience.catch_up(&*app.store).await?;
        let kept: Trade = one(app, Collection::Trades, trade.0).await?;
        let (now, outlets) = (app.clock.now(), outlets(app));
        let asked = Close { trade: &kept, price, act: app.ids.next(), outlets: &outlets };
        let plan = app.audience.with(|audience| by_hand::close(&asked, audience, now, &*app.ids));
        let plan = plan.map_err(|not_open| ActError::NotOpen(not_open.status))?;
        let deed = Deed {
            action: "close_trade",
            collection: Collection::Trades,
            about: trade.0,
            before: Some(doc! { "status": kept.status }),
            after: Some(doc! {
                "status": plan.end.status, "tradeData.exitPrice": plan.end.exit_price,
                "tradeData.exitReason": plan.end.reason, "pnl.amount": plan.end.pnl_amount,
                "pnl.percentage": plan.end.pnl_percentage,
            }),
        };
        let close = TradeClose {
            end: plan.end,
            rev_seen: plan.rev_seen,
            deliveries: plan.deliveries,
            usage: plan.usage,
            now,
            also: act.beside(app, deed)?,
        };
        match app.store.close_trade(close).await {
            Ok(()) => {
                app.wake.deliveries_came();
                return one(app, Collection::Trades, trade.0).await;
            }
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ActError::Busy)
}
