//! Alerts that cannot be processed at once, or ever.

use std::time::Duration;

use alertcast_core::alert::document::{Alert, AlertStatus};
use alertcast_core::decision::Verdict;
use alertcast_core::fixtures;
use alertcast_core::store::{Collection, DocumentWrite, document, read};
use alertcast_core::time::Time;
use bson::doc;
use bson::oid::ObjectId;

use super::{buy, small_world, states, tp_hit};
use crate::harness::app::START;
use crate::harness::post::alert;
use crate::harness::{App, TestPeople};

/// An open trade of a user that nobody can read.
fn unreadable_trade(user: u32) -> (ObjectId, DocumentWrite) {
    let trade = fixtures::trade(99, 1, user, 1, &[]);
    let mut document = document(&trade).unwrap();
    document.insert("alertcast", doc! { "rev": "one" });
    (trade.id.0, DocumentWrite::Insert { collection: Collection::Trades, document })
}

#[tokio::test]
async fn an_alert_that_failed_halfway_goes_on_where_it_stood() {
    let world = TestPeople::at(START).config(1, |_| {}).plan(1, &[1], |_| {}).users(1..=1_200, 1);
    let mut app = App::start(world).await;
    app.gate.break_down("load_chunk", 1);
    let entry = app.accept(buy(100.0)).await;
    let begun = || app.desk.count(Collection::Alerts, &[("processing.status", "processing")]) == 1;
    app.until("the first chunk is committed", begun).await;
    // It is tried five times; the time between them must do.
    let has_failed = async || {
        let found = app.store.get(Collection::Alerts, &[entry.0]).await.unwrap();
        let alert: Alert = read(Collection::Alerts, found.into_iter().next().unwrap()).unwrap();
        !alert.processing.errors.is_empty()
    };
    while !has_failed().await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(app.store.count(Collection::Trades).await, Ok(500), "the first chunk's");
    app.gate.mend();
    let books = app.finish().await;
    assert_eq!(books.alerts[&entry].processing.status, AlertStatus::Processed);
    assert_eq!(books.trades.len(), 1_200);
}

#[tokio::test]
async fn an_alert_that_keeps_failing_is_parked_and_blocks_nothing() {
    let mut app = App::prepare(small_world()).await;
    let mut broken = fixtures::alert(1, 1);
    broken.webhook.received_at = START;
    broken.alertcast.intent = Some(doc! { "kind": "nonsense" });
    let keys = vec![fixtures::key("broken", Time::from_millis(i64::MAX))];
    app.store.accept_alert(broken.clone(), keys, START).await.unwrap();
    app.allow.parked.push(broken.id);
    app.run().await;
    let behind = app.done(buy(100.0)).await;
    let texts = app.operator_texts();
    assert!(texts[0].contains("could not be processed"), "{texts:?}");
    let books = app.finish().await;
    let parked = &books.alerts[&broken.id];
    assert_eq!(parked.processing.status, AlertStatus::Failed);
    assert_eq!(parked.alertcast.attempts.0, 5);
    assert_eq!(books.alerts[&behind].processing.status, AlertStatus::Processed);
    assert_eq!(states(&books, 1).len(), 1);
}

#[tokio::test]
async fn trouble_in_one_configuration_does_not_hold_up_another() {
    let world = TestPeople::at(START).config(1, |_| {}).config(2, |_| {}).plan(1, &[1, 2], |_| {}).users(1..=3, 1);
    let mut app = App::prepare(world).await;
    let mut stuck = fixtures::alert(1, 1);
    stuck.webhook.received_at = START;
    stuck.alertcast.intent = Some(doc! { "kind": "nonsense" });
    app.store
        .accept_alert(stuck.clone(), vec![fixtures::key("stuck", Time::from_millis(i64::MAX))], START)
        .await
        .unwrap();
    app.allow.parked.push(stuck.id);
    app.run().await;
    app.accept(alert(2, "BUY", 50.0)).await;
    let out = || app.sim.messages().iter().filter(|message| message.text.contains("BUY")).count() >= 3;
    app.until("the other configuration's messages are out", out).await;
    app.quiet().await;
    let books = app.finish().await;
    assert_eq!(books.trades.len(), 3);
}

#[tokio::test]
async fn an_open_trade_that_cannot_be_read_keeps_entries_from_its_user_alone_and_every_exit_is_told() {
    let mut app = App::start(small_world()).await;
    let (trade, write) = unreadable_trade(2);
    app.store.write(vec![write]).await.unwrap();
    let entry = app.done(buy(100.0)).await;
    let chunks = app.store.decisions(entry, None, 10).await.unwrap();
    let verdicts: Vec<Verdict> = chunks[0].decisions.iter().map(|decision| decision.verdict).collect();
    assert_eq!(verdicts, [Verdict::Sent, Verdict::TradeUnreadable, Verdict::Sent]);
    let exit = app.done(tp_hit(110.0)).await;
    let chunks = app.store.decisions(exit, None, 10).await.unwrap();
    let verdicts: Vec<Verdict> = chunks[0].decisions.iter().map(|decision| decision.verdict).collect();
    assert_eq!(verdicts, [Verdict::Sent, Verdict::TradeUnreadable, Verdict::Sent]);
    let told: Vec<String> = app.messages(2).into_iter().map(|message| message.plain).collect();
    let [told] = told.as_slice() else { panic!("the holder hears of it once: {told:?}") };
    assert!(told.starts_with("🎯 TAKE PROFIT HIT  ") && told.contains("\nPrice  110\n"), "{told}");
    assert!(told.contains("cannot be read at the moment") && !told.contains("P&L") && !told.contains('#'), "{told}");
    let told = || app.operator_texts().iter().any(|text| text.contains("Cannot be read: 1 document of trades"));
    app.until("the operators hear of the document", told).await;
    let texts = app.operator_texts();
    let exits: Vec<&String> =
        texts.iter().filter(|text| text.contains("Exit for trades that cannot be read")).collect();
    assert_eq!(exits.len(), 1, "{texts:?}");
    assert!(exits[0].contains(&fixtures::user_id(2).to_string()), "{exits:?}");
    assert_eq!(texts.iter().filter(|text| text.contains(&trade.to_hex())).count(), 1, "once: {texts:?}");
    app.stop_without_books().await;
}
