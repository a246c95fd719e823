//! Accepting an alert after the fact.

use std::time::Duration;

use alertcast::operator::{ActError, accept_refused, accept_rejected};
use alertcast_conformance::scene::set;
use alertcast_core::alert::document::AlertStatus;
use alertcast_core::alert::intent::{Intent, OperatorReading, ReadAs};
use alertcast_core::alert::rule_violation::ProblemCode;
use alertcast_core::fixtures::{alert_id, config_id};
use alertcast_core::market::Side;
use alertcast_core::store::Collection;
use alertcast_core::trade::document::TradeStatus;
use bson::doc;
use bson::oid::ObjectId;
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
    let accepted = accept_refused(&app.parts, &act(), id, None).await.unwrap();
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
    let again = accept_refused(&app.parts, &act(), id, None).await;
    assert_eq!(again, Err(ActError::NotRefused(AlertStatus::Processed)));
    assert_eq!(accept_refused(&app.parts, &act(), alert_id(9), None).await, Err(ActError::NotFound));
    app.finish().await;
}

#[tokio::test]
async fn an_alert_is_accepted_only_once_what_it_broke_is_mended() {
    let mut app = App::start(small_world()).await;
    let wrong = with(buy(100.0), json!({ "strategy": "Cross" }));
    let id = app.post(&wrong).await.alert().unwrap();
    app.quiet().await;
    let broken = accept_refused(&app.parts, &act(), id, None).await;
    let Err(ActError::StillBroken(problems)) = broken else { panic!("{broken:?}") };
    assert_eq!(problems[0].code, ProblemCode::UnknownConfiguration);
    assert_eq!(records(&app).await, []);
    app.change(vec![set(Collection::AlertConfigurations, config_id(1).0, doc! { "strategy": "Cross" })]).await;
    accept_refused(&app.parts, &act(), id, None).await.unwrap();
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
    let twice = accept_refused(&app.parts, &act(), refused, None).await;
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
    let park = alertcast_core::store::DocumentWrite::Update {
        collection,
        id: document,
        set: parked,
        unset,
        expect: Vec::new(),
    };
    app.change(vec![park]).await;
    let taken_up = accept_refused(&app.parts, &act(), id, None).await.unwrap();
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

/// A message of which nobody can tell what it means, as long as only the signal is looked at.
fn unclear(price: f64) -> serde_json::Value {
    with(buy(price), json!({ "signal": "whatever", "tp": null, "sl": null }))
}

fn reading(read_as: ReadAs, side: Option<Side>) -> Option<OperatorReading> {
    Some(OperatorReading { read_as, side })
}

/// The id under which the last request is kept that was no alert.
async fn rejected(app: &App) -> ObjectId {
    let all = app.store.page(Collection::RejectedWebhooks, None, 100).await.unwrap();
    all.last().unwrap().get_object_id("_id").unwrap()
}

#[tokio::test]
async fn a_request_that_was_no_alert_is_processed_as_the_operator_says_that_it_is_meant() {
    let app = App::start(small_world()).await;
    for (n, (read_as, side), open) in [
        (1, (ReadAs::Entry, Some(Side::Buy)), vec![Side::Buy]),
        (2, (ReadAs::Turn, Some(Side::Sell)), vec![Side::Sell]),
        (3, (ReadAs::Exit, Some(Side::Buy)), vec![Side::Sell]),
        (4, (ReadAs::Exit, None), vec![]),
    ] {
        let reply = app.post(&with(unclear(100.0), json!({ "n": n }))).await;
        assert_eq!((reply.status, reply.alert()), (422, None), "{}", reply.body);
        app.quiet().await;
        let id = rejected(&app).await;
        app.advance(Duration::from_secs(600));
        let accepted = accept_rejected(&app.parts, &act(), id, reading(read_as, side)).await.unwrap();
        assert_eq!(accepted.id.0, id, "the alert has the request's id");
        app.quiet().await;
        let all = trades(&app, 1).await;
        let sides: Vec<Side> =
            all.iter().filter(|trade| trade.status == TradeStatus::Open).map(|trade| trade.trade_data.signal).collect();
        assert_eq!(sides, open, "{read_as} {side:?}");
        assert_eq!(app.store.get(Collection::RejectedWebhooks, &[id]).await.unwrap(), []);
        let told = &accepted.processing.errors.last().unwrap().message;
        assert!(told.contains("accepted after the fact by asha as"), "{told}");
        let intent = Intent::from_document(accepted.alert_data.signal, accepted.alertcast.intent.as_ref()).unwrap();
        assert_eq!(Some(intent), OperatorReading { read_as, side }.intent(None), "the stored intent tells the truth");
        let again = accept_rejected(&app.parts, &act(), id, reading(read_as, side)).await;
        assert_eq!(again, Err(ActError::NotRefused(AlertStatus::Processed)));
    }
    let told = records(&app).await;
    assert_eq!(told.iter().filter(|(action, _)| action == "accept_alert").count(), 4, "{told:?}");
    app.finish().await;
}

#[tokio::test]
async fn the_rules_are_judged_anew_by_the_operators_word() {
    let app = App::start(small_world()).await;
    // Levels for a BUY.
    let odd = with(unclear(100.0), json!({ "tp": 110, "sl": 95 }));
    app.post(&odd).await;
    app.quiet().await;
    let id = rejected(&app).await;
    let broken = accept_rejected(&app.parts, &act(), id, reading(ReadAs::Entry, Some(Side::Sell))).await;
    let Err(ActError::StillBroken(problems)) = broken else { panic!("{broken:?}") };
    let codes: Vec<ProblemCode> = problems.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, [ProblemCode::TpSide, ProblemCode::SlSide]);
    let silent = accept_rejected(&app.parts, &act(), id, None).await;
    assert!(matches!(silent, Err(ActError::StillBroken(_))), "{silent:?}");
    let sideless = accept_rejected(&app.parts, &act(), id, reading(ReadAs::Entry, None)).await;
    assert_eq!(sideless, Err(ActError::NoSide(ReadAs::Entry)));
    assert_eq!(rejected(&app).await, id, "nothing has changed");
    assert_eq!(records(&app).await, []);
    accept_rejected(&app.parts, &act(), id, reading(ReadAs::Entry, Some(Side::Buy))).await.unwrap();
    app.quiet().await;
    assert_eq!(app.messages(1).len(), 1);
    app.finish().await;
}

#[tokio::test]
async fn a_refused_alert_is_processed_as_the_operator_says_that_it_is_meant() {
    let mut app = App::start(small_world()).await;
    app.done(buy(100.0)).await;
    // It says BUY, is too old, and was an exit.
    let old = with(buy(100.0), json!({ "time": (START - Duration::from_secs(7_200)).millis() }));
    let id = app.post(&old).await.alert().unwrap();
    app.quiet().await;
    let accepted = accept_refused(&app.parts, &act(), id, reading(ReadAs::Exit, Some(Side::Buy))).await.unwrap();
    assert_eq!(accepted.alert_data.signal, alertcast_core::market::Signal::TpHit);
    app.quiet().await;
    let all = trades(&app, 1).await;
    assert_eq!(all.iter().map(|trade| trade.status).collect::<Vec<_>>(), [TradeStatus::Closed]);
    app.finish().await;
}
