//! Sending a delivery again.

use std::time::Duration;

use alertcast::operator::{ActError, close_trade, resend};
use alertcast_core::delivery::{Channel, Delivery, DeliveryState};
use alertcast_core::fixtures::{delivery_id, price, user_id};
use alertcast_core::id::AlertId;
use alertcast_core::store::Collection;
use telegram_sim::{FaultAction, InjectedFault};

use super::{act, buy, recorded, records, small_world, trades};
use crate::harness::{App, chat};

/// The entry to user 2, who was not reached.
async fn unreached(app: &mut App) -> (AlertId, Delivery) {
    app.sim.inject_fault(InjectedFault::new(FaultAction::Forbidden).chat(chat(2)).times(1));
    let alert = app.done(buy(100.0)).await;
    let books = app.books().await;
    let entry = books.deliveries_to(alert, user_id(2)).next().unwrap().clone();
    assert_eq!(entry.state, DeliveryState::Dead);
    (alert, entry)
}

/// User 2 has started the bot again.
async fn start_again(app: &mut App) {
    let chat = chat(2).to_string();
    assert!(alertcast::blocked_recipients::chat_opened(&app.parts, user_id(2), &chat).await.unwrap());
    app.allow.audience_changed = true;
}

#[tokio::test]
async fn a_dead_entry_arrives_when_it_is_sent_again() {
    let mut app = App::start(small_world()).await;
    let (alert, entry) = unreached(&mut app).await;
    assert!(!app.books().await.alerts[&alert].processing.matched_users[1].delivered);
    start_again(&mut app).await;
    // Long after its first deadline.
    app.advance(Duration::from_secs(2 * 60 * 60));
    let queued = resend(&app.parts, &act(), entry.id).await.unwrap();
    assert_eq!(queued.state, DeliveryState::Pending);
    app.quiet().await;
    assert_eq!(app.messages(2).len(), 1);
    assert!(app.last_text(2).contains("old"), "it says how old its alert is: {}", app.last_text(2));
    assert_eq!(records(&app).await, [recorded("resend", Collection::Deliveries)]);
    let twice = resend(&app.parts, &act(), entry.id).await;
    assert_eq!(twice, Err(ActError::NotFailed(DeliveryState::Sent)));
    let books = app.finish().await;
    assert!(books.alerts[&alert].processing.matched_users[1].delivered);
    assert!(!books.trades.values().any(|trade| trade.alertcast.unreached));
}

#[tokio::test]
async fn an_entry_that_fails_again_is_dead_again() {
    let mut app = App::start(small_world()).await;
    let (_, entry) = unreached(&mut app).await;
    start_again(&mut app).await;
    app.sim.inject_fault(InjectedFault::new(FaultAction::Forbidden).chat(chat(2)).times(1));
    resend(&app.parts, &act(), entry.id).await.unwrap();
    app.quiet().await;
    let books = app.finish().await;
    assert_eq!(books.deliveries[&entry.id].state, DeliveryState::Dead);
    assert_eq!(books.trades.values().filter(|trade| trade.alertcast.unreached).count(), 1);
}

#[tokio::test]
async fn an_entry_whose_trade_is_over_is_not_sent_again() {
    let mut app = App::start(small_world()).await;
    let (_, entry) = unreached(&mut app).await;
    let trade = trades(&app, 2).await.remove(0);
    close_trade(&app.parts, &act(), trade.id, price(99.0), None).await.unwrap();
    let refused = resend(&app.parts, &act(), entry.id).await;
    assert!(matches!(refused, Err(ActError::NothingToFollow(_))), "{refused:?}");
    let unknown = resend(&app.parts, &act(), delivery_id(Channel::Telegram, 9, 9)).await;
    assert_eq!(unknown, Err(ActError::NotFound));
    app.finish().await;
}
