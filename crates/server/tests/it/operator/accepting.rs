//! Accepting an alert after the fact.

use std::time::Duration;

use alertcast::operator::{ActError, accept_refused};
use alertcast_core::alert::document::AlertStatus;
use alertcast_core::alert::problem::ProblemCode;
use alertcast_core::conformance::fixtures::{alert_id, config_id};
use alertcast_core::conformance::scene::set;
use alertcast_core::store::Collection;
use alertcast_core::trade::document::TradeStatus;
use bson::doc;
use serde_json::json;

use super::{act, buy, recorded, records, small_world, trades};
use crate::harness::App;
use crate::harness::app::START;
use crate::harness::post::with;

#[tokio::test]
async fn an_old_alert_opens_trades_once_the_operator_accepts_it() {
    let app = App::start(small_world()).await;
    // Two hours before it came, of a configuration of one hour: its entry's deadline is long past.
    let old = with(buy(100.0), json!({ "time": (START - Duration::from_secs(7_200)).millis() }));
    let reply = app.post(&old).await;
    assert_eq!(reply.status, 422, "{}", reply.body);
    let id = reply.alert().unwrap();
    app.quiet().await;
    app.advance(Duration::from_secs(7_200));
    let accepted = accept_refused(&app.parts, &act(), id).await.unwrap();
    assert_eq!(accepted.alertcast.refused_for, [""; 0]);
    let last = &accepted.processing.errors.last().unwrap().message;
    assert!(last.contains("accepted after the fact by asha") && last.contains("asked by phone"), "{last}");
    app.quiet().await;
    for n in 1..=3 {
        assert_eq!(app.messages(n).len(), 1);
        assert!(app.last_text(n).contains("2 h old"), "{}", app.last_text(n));
        assert_eq!(trades(&app, n).await[0].status, TradeStatus::Open);
    }
    assert_eq!(records(&app).await, [recorded("accept_alert", Collection::Alerts)]);
    let again = accept_refused(&app.parts, &act(), id).await;
    assert_eq!(again, Err(ActError::NotRefused(AlertStatus::Processed)));
    assert_eq!(accept_refused(&app.parts, &act(), alert_id(9)).await, Err(ActError::NotFound));
    app.finish().await;
}

#[tokio::test]
async fn an_alert_is_accepted_only_once_what_it_broke_is_mended() {
    let mut app = App::start(small_world()).await;
    let wrong = with(buy(100.0), json!({ "strategy": "Cross" }));
    let id = app.post(&wrong).await.alert().unwrap();
    app.quiet().await;
    let broken = accept_refused(&app.parts, &act(), id).await;
    let Err(ActError::StillBroken(problems)) = broken else { panic!("{broken:?}") };
    assert_eq!(problems[0].code, ProblemCode::UnknownConfiguration);
    assert_eq!(records(&app).await, []);
    app.change(vec![set(Collection::AlertConfigurations, config_id(1).0, doc! { "strategy": "Cross" })]).await;
    accept_refused(&app.parts, &act(), id).await.unwrap();
    app.quiet().await;
    assert_eq!(app.messages(1).len(), 1);
    assert_eq!(trades(&app, 1).await[0].trade_data.strategy, "Cross");
    app.finish().await;
}

#[tokio::test]
async fn an_alert_that_was_mended_and_sent_again_is_not_accepted_beside_it() {
    let mut app = App::start(small_world()).await;
    let named = with(buy(100.0), json!({ "alert_id": "bar-7" }));
    let old = with(named.clone(), json!({ "time": (START - Duration::from_secs(7_200)).millis() }));
    let refused = app.post(&old).await.alert().unwrap();
    let accepted = app.done(named).await;
    let twice = accept_refused(&app.parts, &act(), refused).await;
    assert_eq!(twice, Err(ActError::Duplicate { of: accepted }));
    app.finish().await;
}

/// All of it was committed but its end when it was parked: nobody is decided about again.
#[tokio::test]
async fn a_parked_alert_is_taken_up_again() {
    let mut app = App::start(small_world()).await;
    let name = app.named(buy(100.0));
    let id = app.sender().accept(&name).await;
    app.note(&name, id);
    app.quiet().await;
    // As after five failures.
    let parked = doc! { "processing.status": "failed", "alertcast.attempts": 5 };
    let unset = vec!["alertcast.settledAt".to_owned()];
    let (collection, document) = (Collection::Alerts, id.0);
    let park =
        alertcast_core::store::Write::Update { collection, id: document, set: parked, unset, expect: Vec::new() };
    app.change(vec![park]).await;
    let taken_up = accept_refused(&app.parts, &act(), id).await.unwrap();
    assert_eq!(taken_up.alertcast.attempts.0, 0);
    assert!(taken_up.processing.errors.last().unwrap().message.contains("taken up again by asha"));
    app.quiet().await;
    assert_eq!((1..=3).map(|n| app.messages(n).len()).collect::<Vec<_>>(), [1, 1, 1], "nobody gets it twice");
    let books = app.books().await;
    assert_eq!(books.alerts[&id].processing.status, AlertStatus::Processed);
    assert_eq!(books.trades.len(), 3);
    // The alert is counted once more by the commit that ends it: this one had been ended before it was parked.
    app.change(vec![set(Collection::AlertConfigurations, config_id(1).0, doc! { "statistics.totalAlerts": 1 })]).await;
    app.finish().await;
}
