//! Who got the entry gets its exit.

use alertcast_core::config::ConfigStatus;
use alertcast_core::conformance::fixtures::{config_id, plan_id, subscription_id, user_id};
use alertcast_core::conformance::scene::set;
use alertcast_core::decision::Verdict;
use alertcast_core::market::ExitReason;
use alertcast_core::store::Collection;
use alertcast_core::trade::document::TradeStatus::{Closed, Open};
use bson::doc;
use serde_json::json;

use super::{buy, small_world, states, tp_hit, trades, verdict};
use crate::harness::app::START;
use crate::harness::post::{alert, with};
use crate::harness::{App, World};

#[tokio::test]
async fn an_exit_ends_every_trade_whose_level_its_price_has_reached() {
    let mut app = App::start(small_world()).await;
    app.done(buy(100.0)).await;
    app.done(buy(101.0)).await;
    app.done(buy(104.0)).await;
    app.done(tp_hit(112.0)).await;
    assert_eq!(states(&app.books().await, 1), [Closed, Closed, Open], "targets 110, 111.1 and 114.4");
    app.done(alert(1, "SL_HIT", 98.0)).await;
    let books = app.finish().await;
    let reasons: Vec<_> = trades(&books, 1).iter().map(|trade| trade.trade_data.exit_reason).collect();
    assert_eq!(reasons, [Some(ExitReason::TpHit), Some(ExitReason::TpHit), Some(ExitReason::SlHit)]);
}

#[tokio::test]
async fn an_exit_finds_the_trade_by_the_name_that_its_entry_gave_it() {
    let mut app = App::start(small_world()).await;
    app.done(with(buy(100.0), json!({ "trade_id": "first" }))).await;
    app.done(with(buy(101.0), json!({ "trade_id": "second" }))).await;
    app.done(with(tp_hit(101.5), json!({ "trade_id": "second" }))).await;
    let books = app.finish().await;
    assert_eq!(states(&books, 1), [Open, Closed]);
}

#[tokio::test]
async fn the_end_of_a_subscription_holds_no_exit_back() {
    let mut app = App::start(small_world()).await;
    app.done(buy(100.0)).await;
    app.change(vec![set(
        Collection::UserSubscriptions,
        subscription_id(2).0,
        doc! { "subscription.status": "expired", "subscription.endDate": START },
    )])
    .await;
    let entry = app.done(buy(101.0)).await;
    let exit = app.done(tp_hit(112.0)).await;
    let books = app.finish().await;
    assert_eq!(verdict(&books, entry, 2), Verdict::SubscriptionExpired);
    assert_eq!(verdict(&books, exit, 2), Verdict::Sent);
    assert_eq!(states(&books, 2), [Closed]);
}

#[tokio::test]
async fn a_plan_that_is_gone_and_a_switched_off_configuration_hold_no_exit_back() {
    let mut app = App::start(small_world()).await;
    app.done(buy(100.0)).await;
    let config = config_id(1);
    app.change(vec![
        set(Collection::SubscriptionPlans, plan_id(1).0, doc! { "status": "archived" }),
        set(Collection::AlertConfigurations, config.0, doc! { "status": "inactive" }),
    ])
    .await;
    // The webhook judges by the audience in memory, which follows within a second.
    let status = || app.parts.audience.with(|audience| audience.config(config).unwrap().status);
    app.until("the webhook knows", || status() == ConfigStatus::Inactive).await;
    assert_eq!(app.post(&buy(101.0)).await.status, 422, "an entry is refused");
    app.done(tp_hit(112.0)).await;
    let books = app.finish().await;
    assert_eq!((1..=3).map(|n| states(&books, n)).collect::<Vec<_>>(), [[Closed], [Closed], [Closed]]);
}

#[tokio::test]
async fn a_suspended_subscribers_trade_closes_silently() {
    let mut app = App::start(small_world()).await;
    app.done(buy(100.0)).await;
    app.change(vec![set(Collection::Users, user_id(2).0, doc! { "status": "suspended" })]).await;
    let exit = app.done(tp_hit(112.0)).await;
    assert_eq!((app.messages(1).len(), app.messages(2).len()), (2, 1));
    let books = app.finish().await;
    assert_eq!(states(&books, 2), [Closed]);
    assert_eq!(verdict(&books, exit, 2), Verdict::UserSuspended);
}

#[tokio::test]
async fn muted_exits_close_silently() {
    let world = World::at(START)
        .config(1, |_| {})
        .plan(1, &[1], |_| {})
        .users(1..=2, 1)
        .preference(1, 2, |wanted| wanted.preferences.alert_types.exit = false);
    let mut app = App::start(world).await;
    app.done(buy(100.0)).await;
    let exit = app.done(tp_hit(112.0)).await;
    assert_eq!((app.messages(1).len(), app.messages(2).len()), (2, 1));
    let books = app.finish().await;
    assert_eq!(states(&books, 2), [Closed]);
    assert_eq!(verdict(&books, exit, 2), Verdict::ExitMuted);
}

#[tokio::test]
async fn without_automatic_closing_an_exit_is_only_told() {
    let world = World::at(START)
        .config(1, |config| config.trade_management.auto_close_on_tp_sl = false)
        .plan(1, &[1], |_| {})
        .users(1..=2, 1);
    let mut app = App::start(world).await;
    app.done(buy(100.0)).await;
    app.done(tp_hit(112.0)).await;
    assert!(app.last_text(1).contains("TAKE PROFIT REACHED"), "{}", app.last_text(1));
    let books = app.finish().await;
    assert_eq!(states(&books, 1), [Open]);
}
