//! In which order alerts of one configuration take effect.

use alertcast_core::trade::document::TradeStatus::{Closed, Open};
use serde_json::{Value, json};

use super::{buy, small_world, states, tp_hit, trades};
use crate::harness::App;
use crate::harness::app::START;
use crate::harness::post::with;

/// The alert with its own time, so many seconds before the test's beginning.
fn seconds_ago(body: Value, seconds: i64) -> Value {
    with(body, json!({ "time": START.millis() - seconds * 1_000 }))
}

#[tokio::test]
async fn alerts_under_way_together_go_by_their_own_times_however_they_are_stored() {
    let mut app = App::start(small_world()).await;
    app.done(buy(100.0)).await;
    // TradingView posts an exit and the entry behind it at one instant; the entry is stored first.
    let exit = seconds_ago(app.named(tp_hit(112.0)), 20);
    let entry = seconds_ago(app.named(buy(103.0)), 10);
    app.gate.close();
    let (late, early) = (app.sender().clone(), app.sender().clone());
    let (first, second) = (entry.clone(), exit.clone());
    let first = tokio::spawn(async move { late.accept(&first).await });
    app.gate.wait_for(1).await;
    let second = tokio::spawn(async move { early.accept(&second).await });
    app.gate.wait_for(2).await;
    app.gate.let_one_pass();
    let entry_id = first.await.unwrap();
    app.gate.open();
    let exit_id = second.await.unwrap();
    app.note(&entry, entry_id);
    app.note(&exit, exit_id);
    let books = app.finish().await;
    assert!(books.alerts[&entry_id].alertcast.seq < books.alerts[&exit_id].alertcast.seq, "the entry was stored first");
    for n in 1..=3 {
        assert_eq!(states(&books, n), [Closed, Open], "the exit came before the entry, and so left it alone");
    }
}

#[tokio::test]
async fn an_alert_that_comes_after_anothers_answer_is_worked_out_after_it_whatever_its_time_says() {
    let mut app = App::start(small_world()).await;
    app.done(buy(100.0)).await;
    let ticket = app.parts.in_flight.enter();
    let entry = app.accept(seconds_ago(buy(103.0), 10)).await;
    let exit = app.accept(seconds_ago(tp_hit(114.0), 200)).await;
    drop(ticket);
    let books = app.finish().await;
    assert!(books.alerts[&exit].alertcast.after >= books.alerts[&entry].alertcast.seq);
    for n in 1..=3 {
        assert_eq!(states(&books, n), [Closed, Closed], "the entry was there for the exit to end");
        assert_eq!(trades(&books, n)[1].alerts.exit_alert_id, Some(exit));
    }
}
