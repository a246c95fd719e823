//! Alerts of strategies: their orders are only buy or sell, and the position says what they mean.

use alertcast_core::market::Side;
use alertcast_core::trade::document::TradeStatus::{Closed, Open};
use serde_json::{Value, json};

use super::{buy, small_world, states, trades};
use crate::harness::App;
use crate::harness::post::{alert, with};

/// An order that led from one position to another.
fn order(action: &str, price: f64, from: (&str, u32), to: (&str, u32)) -> Value {
    let positions = json!({
        "prev_market_position": from.0,
        "prev_market_position_size": from.1,
        "market_position": to.0,
        "market_position_size": to.1,
    });
    with(alert(1, action, price), positions)
}

#[tokio::test]
async fn a_flat_position_ends_every_trade_of_its_side_whatever_its_levels() {
    let mut app = App::start(small_world()).await;
    app.done(order("buy", 100.0, ("flat", 0), ("long", 1))).await;
    app.done(order("buy", 101.0, ("long", 1), ("long", 2))).await;
    app.done(order("sell", 99.0, ("long", 2), ("flat", 0))).await;
    let books = app.finish().await;
    assert_eq!(states(&books, 1), [Closed, Closed]);
    assert!(trades(&books, 1).iter().all(|trade| trade.alertcast.exit_inferred));
}

#[tokio::test]
async fn a_turn_ends_the_old_side_and_opens_the_new() {
    let mut app = App::start(small_world()).await;
    app.done(order("buy", 100.0, ("flat", 0), ("long", 1))).await;
    app.done(order("sell", 104.0, ("long", 1), ("short", 1))).await;
    assert_eq!(app.messages(1).len(), 3, "entry, exit, entry");
    let books = app.finish().await;
    assert_eq!(states(&books, 1), [Closed, Open]);
    assert_eq!(trades(&books, 1)[1].trade_data.signal, Side::Sell);
}

#[tokio::test]
async fn a_partial_exit_is_told_to_holders_and_changes_no_trade() {
    let mut app = App::start(small_world()).await;
    app.done(order("buy", 100.0, ("flat", 0), ("long", 2))).await;
    app.done(order("sell", 103.0, ("long", 2), ("long", 1))).await;
    assert!(app.last_text(3).contains("PARTIAL EXIT"), "{}", app.last_text(3));
    let books = app.finish().await;
    assert_eq!(states(&books, 3), [Open]);
}

#[tokio::test]
async fn what_closes_opens_nothing_however_it_is_said() {
    let more = [
        json!({"action": "sell", "comment": "Session Close"}),
        json!({"action": "sell", "order_id": "EOD"}),
        json!({"action": "sell", "comment": "Salida Compra"}),
        json!({"action": "sell", "comment": "Death Cross Exit"}),
        json!({"action": "sell", "comment": "Exit Long - RSI > 70"}),
        json!({"action": "sell", "params": [{"reduceOnly": "yes"}]}),
        json!({"action": "sell", "order": "{\"reduceOnly\": true}"}),
        json!({"signal": "平多"}),
        json!({"side": "Sell", "positionIdx": 1}),
        json!({"side": "sell", "tag": "Exit\u{200b} Long"}),
    ];
    for fields in more {
        let mut app = App::start(small_world()).await;
        app.done(buy(100.0)).await;
        let mut exit = alert(1, "sell", 104.0);
        exit.as_object_mut().unwrap().remove("signal");
        app.done(with(exit, fields.clone())).await;
        assert!(app.last_text(1).starts_with("✅"), "{fields}: {}", app.last_text(1));
        let books = app.finish().await;
        assert_eq!(states(&books, 1), [Closed], "{fields}");
    }
}
