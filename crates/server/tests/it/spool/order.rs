//! The whole program through an outage: what subscribers get afterwards, and in which order.

use std::sync::Arc;
use std::time::Duration;

use alertcast_core::store::{AlertIntake, Store};
use alertcast_core::trade::document::TradeStatus::{Closed, Open};
use alertcast_sqlite::{Spool, SpoolOptions};
use serde_json::json;

use super::folder;
use super::line::{Line, Weather};
use crate::e2e::{buy, small_world, states, tp_hit, trades};
use crate::harness::App;
use crate::harness::app::START;
use crate::harness::post::with;

#[tokio::test]
async fn alerts_of_an_outage_take_effect_afterwards_in_the_order_of_their_answers() {
    let dir = folder();
    let mut app = App::prepare(small_world()).await;
    let line = Line::to(Arc::clone(&app.store), app.clock.clone());
    app.parts.store = Arc::clone(&line) as Arc<dyn Store>;
    app.parts.intake = Arc::clone(&line) as Arc<dyn AlertIntake>;
    app.parts = app.parts.clone().with_spool(Spool::open(dir.path(), &SpoolOptions::default()).unwrap());
    app.run().await;
    let seconds_ago = |body, seconds: i64| with(body, json!({ "time": START.millis() - seconds * 1_000 }));
    app.done(buy(100.0)).await;
    line.set(Weather::Gone);
    app.advance(Duration::from_millis(5));
    // Each says that it is older than the one before it.
    let exit = app.accept(seconds_ago(tp_hit(112.0), 10)).await;
    app.advance(Duration::from_millis(5));
    let entry = app.accept(seconds_ago(buy(103.0), 20)).await;
    app.advance(Duration::from_millis(5));
    let last = app.accept(seconds_ago(tp_hit(115.0), 30)).await;
    app.advance(Duration::from_millis(5));
    assert!(app.parts.spooling.is_spooling());
    line.set(Weather::Well);
    app.until("the spool is empty", || !app.parts.spooling.is_spooling()).await;
    let after = app.accept(seconds_ago(buy(104.0), 40)).await;
    let books = app.finish().await;
    for n in 1..=3 {
        assert_eq!(states(&books, n), [Closed, Closed, Open]);
        let ends: Vec<_> = trades(&books, n).iter().map(|trade| trade.alerts.exit_alert_id).collect();
        assert_eq!(ends, [Some(exit), Some(last), None]);
        let begins: Vec<_> = trades(&books, n).iter().map(|trade| trade.alerts.entry_alert_id).collect();
        assert_eq!(begins[1..], [Some(entry), Some(after)]);
    }
}
