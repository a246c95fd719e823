//! Closing a trade by hand.

use alertcast_core::id::TradeId;
use alertcast_core::matching::manual_close::{self, ClosePlan, ManualClose};
use alertcast_core::money::Price;
use alertcast_core::store::{Collection, DocumentWrite, OperatorNotice, StoreError, TradeClose, document};
use alertcast_core::time::Time;
use alertcast_core::trade::document::Trade;
use bson::doc;

use super::{ActError, ActionResult, AuditedDeed, OperatorAction, TRIES_MAX, one};
use crate::app::App;
use crate::base::Base;
use crate::notices::{NoticeTrouble, notices};
use crate::processor::outlets;

/// Closes an open trade at a price; its subscriber hears of it as of an alert's exit, and why (`note`). Answers the trade
/// as it is then.
///
/// # Errors
/// `NotFound`, `NotOpen`, `Busy`, or the store's.
pub async fn close_trade(
    app: &App,
    act: &OperatorAction,
    trade: TradeId,
    price: Price,
    note: Option<&str>,
) -> ActionResult<Trade> {
    for _ in 0..TRIES_MAX {
        app.audience.catch_up(&*app.store).await?;
        let kept: Trade = one(app, Collection::Trades, trade.0).await?;
        let (now, outlets) = (app.clock.now(), outlets(app));
        let asked = ManualClose { trade: &kept, price, note, act: app.ids.next(), outlets: &outlets };
        let plan = app.audience.with(|audience| manual_close::close(&asked, audience, now, &*app.ids));
        let plan = plan.map_err(|not_open| ActError::NotOpen(not_open.status))?;
        let deed = AuditedDeed {
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
        let mut also = act.beside(app, deed)?;
        if plan.far_off {
            also.extend(far_off(app, act, &kept, &plan, now)?);
        }
        let close = TradeClose {
            end: plan.end,
            rev_seen: plan.rev_seen,
            deliveries: plan.deliveries,
            usage: plan.usage,
            now,
            also,
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

/// What the operators hear of a price that is far from all that the trade knows of: it may be a slipped digit.
fn far_off(
    base: &Base,
    act: &OperatorAction,
    trade: &Trade,
    plan: &ClosePlan,
    now: Time,
) -> alertcast_core::store::StoreResult<Vec<DocumentWrite>> {
    let data = &trade.trade_data;
    let name = format!("{} {} {}", data.symbol, data.timeframe, data.strategy);
    let trouble = NoticeTrouble {
        group: format!("far_off:{}", trade.id),
        title: format!("Closed by hand at a price far off: {name}"),
        lines: vec![
            format!(
                "{} closed trade #{} at {}: far from its entry at {} and its levels.",
                act.who.username, trade.trade_number.0, plan.end.exit_price, data.entry_price
            ),
            "If it is a slipped digit, tell the subscriber: what has ended is not changed.".to_owned(),
            format!("Trade {}", trade.id),
        ],
        alert: None,
    };
    let write = |notice: OperatorNotice| {
        Ok(DocumentWrite::Insert { collection: Collection::Deliveries, document: document(&notice.first)? })
    };
    notices(base, &trouble, now).into_iter().map(write).collect()
}
