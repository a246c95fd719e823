//! Who got the entry gets its exit.

use std::time::Duration;

use alertcast::operator::{RehearsedRequest, rehearse};
use alertcast_conformance::scene::set;
use alertcast_core::alert_configuration::ConfigStatus;
use alertcast_core::decision::Verdict;
use alertcast_core::fixtures::{config_id, plan_id, subscription_id, user_id};
use alertcast_core::market::ExitReason;
use alertcast_core::store::Collection;
use alertcast_core::trade::document::TradeStatus::{Closed, Open};
use bson::doc;
use serde_json::json;

use super::{buy, small_world, states, tp_hit, trades, verdict};
use crate::harness::app::START;
use crate::harness::post::{alert, with};
use crate::harness::{App, TestPeople};

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
    let world =
        TestPeople::at(START)
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
    let world = TestPeople::at(START)
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

#[tokio::test]
async fn an_exit_without_a_price_closes_at_the_trades_own_levels_and_the_operators_hear_of_the_rest() {
    let mut app = App::start(small_world()).await;
    app.done(buy(100.0)).await;
    app.done(alert(1, "BUY", 101.0)).await;
    let exit = app.done(tp_hit(0.0)).await;
    let text = app.last_text(1);
    assert!(text.contains("TAKE PROFIT HIT") && text.contains("100 → 110") && text.contains("own level"), "{text}");
    let texts = app.operator_texts();
    assert!(texts.iter().any(|text| text.contains("3 trades of 3 subscribers (#2)")), "{texts:?}");
    assert_eq!(app.post(&with(alert(1, "sell", 0.0), json!({ "market_position": "flat" }))).await.status, 422);
    let books = app.finish().await;
    assert_eq!(states(&books, 1), [Closed, Open]);
    let closed = trades(&books, 1)[0];
    assert!(closed.alertcast.exit_inferred && closed.trade_data.exit_reason == Some(ExitReason::TpHit));
    let noted = &books.alerts[&exit].processing.errors[0].message;
    assert!(noted.starts_with("left_open: 3 trades of 3 subscribers"), "{noted}");
}

#[tokio::test]
async fn a_take_profit_at_a_loss_is_stored_as_a_stop_loss_and_told_so() {
    let mut app = App::start(small_world()).await;
    app.done(with(alert(1, "SELL", 2470.0), json!({ "tp": 2400, "sl": 2500 }))).await;
    app.done(alert(1, "TP_HIT", 9999.0)).await;
    let text = app.last_text(1);
    assert!(text.starts_with("❌ CLOSED AT A LOSS") && text.contains("−304.82%"), "{text}");
    let texts = app.operator_texts().join("\n");
    assert!(texts.contains("Take profit at a loss") && texts.contains("Exit at a price far off"), "{texts}");
    let books = app.finish().await;
    let closed = trades(&books, 1)[0];
    assert!(closed.alertcast.exit_inferred && closed.trade_data.exit_reason == Some(ExitReason::SlHit));
    assert_eq!(books.configs[&config_id(1)].alertcast.closed_by_tp.0, 0);
}

#[tokio::test]
async fn levels_are_shown_with_the_decimals_of_the_prices_before_them_also_after_a_restart() {
    let mut app = App::start(small_world()).await;
    app.done(alert(1, "BUY", 1.084_52)).await;
    let levels = json!({ "tp": 1.093_451_234_567_89, "sl": 1.077_123_456_789_01 });
    app.done(with(alert(1, "BUY", 1.08), levels.clone())).await;
    let text = app.last_text(1);
    assert!(text.contains("Target  1.09345 ") && text.contains("Stop  1.07712 "), "{text}");
    // As after a restart: what is known is read from the store.
    let fresh = alertcast::app::App { prices: alertcast::prices::PriceHistories::default(), ..app.parts.clone() };
    let again = with(alert(1, "BUY", 1.08), levels).to_string();
    let Ok(RehearsedRequest::Accepted { texts, .. }) = rehearse(&fresh, again.as_bytes(), "").await else {
        panic!("{again}")
    };
    let text = &texts[0].plain;
    assert!(text.contains("Target  1.09345 ") && text.contains("Stop  1.07712 "), "{text}");
    app.finish().await;
}

#[tokio::test]
async fn an_alert_id_that_is_always_the_same_is_told_to_the_operators_once() {
    let mut app = App::start(small_world()).await;
    let body = |price: f64| with(buy(price), json!({ "alert_id": "constant" }));
    app.done(body(100.0)).await;
    assert_eq!(app.post(&body(100.0)).await.status, 200, "a resend is no news");
    for price in [101.0, 102.0] {
        assert_eq!(app.post(&body(price)).await.status, 200);
        let told = || app.operator_texts().iter().any(|text| text.contains("the alert_id \"constant\""));
        app.until("the operators hear of it", told).await;
    }
    app.quiet().await;
    assert_eq!(app.operator_texts().len(), 1, "{:?}", app.operator_texts());
    app.finish().await;
}

#[tokio::test]
async fn a_constant_alert_id_is_told_of_alerts_without_a_time_and_of_those_that_break_a_rule_too() {
    let undated = |fields| with(with(buy(100.0), json!({ "alert_id": "constant", "timestamp": null })), fields);
    for later in [json!({}), json!({ "price": 101.0, "tp": 90.0 })] {
        let mut app = App::start(small_world()).await;
        app.done(undated(json!({}))).await;
        app.advance(Duration::from_secs(60 * 60));
        assert_eq!(app.post(&undated(later)).await.status, 200);
        let told = || app.operator_texts().iter().any(|text| text.contains("the alert_id \"constant\""));
        app.until("the operators hear of it", told).await;
        app.finish().await;
    }
}
