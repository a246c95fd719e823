//! Closing a trade by hand.

use alertcast::operator::{ActError, close_trade};
use alertcast_conformance::scene::{insert, set};
use alertcast_core::delivery::MessageKind;
use alertcast_core::fixtures::{price, trade_id, user_id};
use alertcast_core::market::ExitReason;
use alertcast_core::store::{Collection, StoreError};
use alertcast_core::trade::document::TradeStatus;
use bson::doc;
use telegram_sim::{FaultAction, InjectedFault};

use super::{act, buy, recorded, records, small_world, trades};
use crate::harness::post::alert;
use crate::harness::{App, chat};

#[tokio::test]
async fn a_trade_closed_by_hand_is_told_in_reply_to_its_entry() {
    let mut app = App::start(small_world()).await;
    app.done(buy(100.0)).await;
    let trade = trades(&app, 1).await.remove(0);
    let closed = close_trade(&app.parts, &act(), trade.id, price(104.0), None).await.unwrap();
    assert_eq!((closed.status, closed.trade_data.exit_reason), (TradeStatus::Closed, Some(ExitReason::Manual)));
    app.quiet().await;
    let messages = app.messages(1);
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[1].reply_to, Some(messages[0].message_id));
    let text = &messages[1].plain;
    assert!(text.contains("CLOSED BY THE PROVIDER") && text.contains("+4"), "{text}");
    assert_eq!((app.messages(2).len(), app.messages(3).len()), (1, 1), "nobody else hears of it");
    assert_eq!(records(&app).await, [recorded("close_trade", Collection::Trades)]);
    let again = close_trade(&app.parts, &act(), trade.id, price(104.0), None).await;
    assert_eq!(again, Err(ActError::NotOpen(TradeStatus::Closed)));
    let unknown = close_trade(&app.parts, &act(), trade_id(9, 9), price(104.0), None).await;
    assert_eq!(unknown, Err(ActError::NotFound));
    // An exit that comes later is for those who still hold.
    app.done(alert(1, "TP_HIT", 112.0)).await;
    assert_eq!((app.messages(1).len(), app.messages(2).len()), (2, 2));
    app.finish().await;
}

#[tokio::test]
async fn a_close_by_hand_tells_why_and_the_operators_of_a_price_far_off() {
    let mut app = App::start(small_world()).await;
    app.done(buy(100.0)).await;
    let trade = trades(&app, 1).await.remove(0);
    close_trade(&app.parts, &act(), trade.id, price(9_999.0), Some("news ahead")).await.unwrap();
    app.quiet().await;
    let messages = app.messages(1);
    assert!(messages[1].plain.contains("CLOSED BY THE PROVIDER"), "{}", messages[1].plain);
    assert!(messages[1].plain.contains("💬 news ahead"), "{}", messages[1].plain);
    let edited = "Closed at 9,999 · by the provider: news ahead · +9899.00%";
    let shown = messages[0].edits.last().unwrap();
    assert!(shown.contains(edited), "{shown}");
    let texts = app.operator_texts();
    assert!(texts.iter().any(|text| text.contains("Closed by hand at a price far off")), "{texts:?}");
    app.finish().await;
}

#[tokio::test]
async fn a_suspended_subscribers_trade_is_closed_silently() {
    let mut app = App::start(small_world()).await;
    app.done(buy(100.0)).await;
    app.change(vec![set(Collection::Users, user_id(2).0, doc! { "status": "suspended" })]).await;
    let trade = trades(&app, 2).await.remove(0);
    close_trade(&app.parts, &act(), trade.id, price(99.0), None).await.unwrap();
    app.quiet().await;
    assert_eq!(app.messages(2).len(), 1);
    let books = app.finish().await;
    assert_eq!(books.trades[&trade.id].status, TradeStatus::Closed);
}

#[tokio::test]
async fn a_trade_whose_entry_never_arrived_is_closed_silently() {
    let mut app = App::start(small_world()).await;
    app.sim.inject_fault(InjectedFault::new(FaultAction::Forbidden).chat(chat(2)).times(1));
    app.done(buy(100.0)).await;
    let trade = trades(&app, 2).await.remove(0);
    assert!(trade.alertcast.unreached);
    close_trade(&app.parts, &act(), trade.id, price(99.0), None).await.unwrap();
    app.quiet().await;
    assert_eq!(app.messages(2).len(), 0);
    app.finish().await;
}

/// The entry has not gone out yet when the trade is closed: one message tells both.
#[tokio::test]
async fn a_close_by_hand_takes_the_place_of_an_entry_that_waits() {
    let mut app = App::start(small_world()).await;
    let down = app.sim.inject_fault(InjectedFault::new(FaultAction::ErrorBefore { status: 500 }).chat(chat(2)));
    app.accept(buy(100.0)).await;
    app.until("the others have it", || app.messages(1).len() + app.messages(3).len() == 2).await;
    let trade = trades(&app, 2).await.remove(0);
    close_trade(&app.parts, &act(), trade.id, price(99.0), None).await.unwrap();
    let superseded = || app.desk.count(Collection::Deliveries, &[("state", "superseded")]) == 1;
    app.until("the exit has taken the entry's place", superseded).await;
    app.sim.remove_fault(down);
    app.quiet().await;
    let messages = app.messages(2);
    assert_eq!(messages.len(), 1);
    assert!(messages[0].plain.contains("CLOSED BY THE PROVIDER"), "{}", messages[0].plain);
    let books = app.finish().await;
    let exits = books.deliveries.values().filter(|delivery| delivery.kind == MessageKind::Exit);
    assert_eq!(exits.count(), 1);
}

/// What the caller wants beside the act is committed with it, or nothing is.
#[tokio::test]
async fn an_act_whose_record_cannot_be_written_is_not_done() {
    let mut app = App::start(small_world()).await;
    app.done(buy(100.0)).await;
    let trade = trades(&app, 1).await.remove(0);
    let mut act = act();
    act.also = vec![insert(Collection::Users, &alertcast_core::fixtures::user(1))];
    let refused = close_trade(&app.parts, &act, trade.id, price(99.0), None).await;
    assert!(matches!(refused, Err(ActError::Store(StoreError::AlreadyExists { .. }))), "{refused:?}");
    assert_eq!(records(&app).await, []);
    let books = app.finish().await;
    assert_eq!(books.trades[&trade.id].status, TradeStatus::Open);
}
