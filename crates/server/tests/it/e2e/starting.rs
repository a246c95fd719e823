//! Alerts are taken in before subscribers are loaded, and worked off afterwards.

use alertcast_core::alert::document::AlertStatus;

use super::*;
use crate::harness::App;

/// How often whatever is loaded before the program listens is read.
const PAGES_OF_CATALOG: usize = 2;

#[tokio::test]
async fn alerts_are_taken_in_before_subscribers_are_loaded_and_reach_all_of_them_afterwards() {
    let mut app = App::prepare(small_world()).await;
    app.gate.break_down("page_bytes", PAGES_OF_CATALOG);
    app.prepare_catalog().await;
    app.run().await;
    let entry = app.accept(buy(100.0)).await;
    app.until("it is told that subscribers are not loaded", || !app.parts.degraded.all().is_empty()).await;
    assert!(!app.parts.audience.is_whole());
    let page = app.sender().page("/readyz").await.unwrap();
    assert!(page.contains("\"ready\"") && page.contains("Subscribers could not be loaded yet"), "{page}");
    let waiting = app.books().await;
    assert_eq!(waiting.alerts[&entry].processing.status, AlertStatus::Received);
    app.gate.mend();
    app.until("everybody has heard of it", || (1..=3).all(|user| app.messages(user).len() == 1)).await;
    let books = app.finish().await;
    assert_eq!((books.alerts[&entry].processing.status, books.trades.len()), (AlertStatus::Processed, 3));
}

#[tokio::test]
async fn a_program_that_loads_while_it_runs_is_whole_soon() {
    let mut app = App::prepare(small_world()).await;
    app.prepare_catalog().await;
    assert!(!app.parts.audience.is_whole());
    app.run().await;
    let entry = app.accept(buy(100.0)).await;
    app.until("everybody has heard of it", || (1..=3).all(|user| app.messages(user).len() == 1)).await;
    assert_eq!(app.parts.audience.with(|audience| audience.size().users), 3);
    assert!(app.parts.degraded.all().is_empty());
    let books = app.finish().await;
    assert_eq!(books.alerts[&entry].processing.status, AlertStatus::Processed);
}
