//! Alerts: something else comes to stand in one that waits, or that has been processed.

use std::collections::BTreeMap;

use alertcast_core::alert::document::{Alert, AlertStatus};
use alertcast_core::decision::Verdict;
use alertcast_core::delivery::MessageKind;
use alertcast_core::fixtures;
use alertcast_core::id::AlertId;
use alertcast_core::money::Count;
use alertcast_core::reading::{pack, read_leniently};
use alertcast_core::store::{Collection, document};
use bson::Document;

use super::{STEP, SpoiltPlace, at, places};
use crate::harness::app::START;
use crate::harness::post::alert;
use crate::harness::{App, TestPeople};

/// No subscriber gets more entries an hour.
const TO_A_CONFIGURATION: usize = 60;
/// Beside what is declared: what Alertcast keeps with an alert that is in the order of acceptance.
const OWN: [&str; 5] =
    ["alertcast.cursor", "alertcast.intent", "alertcast.quantity", "alertcast.attempts", "alertcast.after"];

/// A waiting BUY of a configuration, its number its place in the order.
fn waiting(n: u32, config: u32) -> Document {
    let mut waiting = fixtures::alert(n, config);
    waiting.alertcast.seq = Count(i64::from(n));
    waiting.webhook.received_at = START;
    document(&waiting).unwrap()
}

/// Whether what it says when it is read is what it said.
fn says_the_same(place: &SpoiltPlace, spoilt: &Document) -> bool {
    let read = read_leniently::<Alert>(Collection::Alerts, &pack(spoilt).unwrap());
    let moments = ["webhook", "webhook.receivedAt", "alertData.timestamp"];
    let lists_config = place.path != "processing.alertConfigId" && place.path != "processing";
    // Of one whose status is nothing it is not known whether it was processed already.
    let begins = !["alertcast.cursor", "alertcast.intent", "processing.status"].contains(&place.path);
    read.is_ok_and(|read| read.list_undecided().is_none()) && !moments.contains(&place.path) && lists_config && begins
}

async fn walk(step: usize) {
    let places = places(Collection::Alerts, &OWN, step);
    let configs = u32::try_from(places.len().div_ceil(TO_A_CONFIGURATION)).unwrap();
    let mut world = TestPeople::at(START);
    for n in 1..=configs {
        let free = |user: &mut alertcast_core::user::User| user.preferences.trading.max_daily_alerts = Count(-1);
        world = world.config(n, |_| {}).plan(n, &[n], |_| {}).user(n, n, free);
    }
    let mut app = App::start(world).await;
    let mut put: BTreeMap<u32, (&SpoiltPlace, Document)> = BTreeMap::new();
    for (place, n) in places.iter().zip(1_000..) {
        let config = (n - 1_000) / u32::try_from(TO_A_CONFIGURATION).unwrap() + 1;
        let spoilt = place.put_into(&waiting(n, config));
        if app.desk.put_past_checks(Collection::Alerts, &spoilt) {
            put.insert(n, (place, spoilt));
        }
    }
    assert!(put.len() * 10 > places.len() * 9, "{} of {}", put.len(), places.len());
    app.parts.wake.alerts_came();
    let of_status =
        |status: &AlertStatus| app.desk.count(Collection::Alerts, &[("processing.status", status.as_str())]);
    let wanted = i64::try_from(put.len()).unwrap();
    app.until("each stands somewhere", || AlertStatus::ALL.iter().map(of_status).sum::<i64>() == wanted).await;
    app.quiet().await;
    let (mut sent, mut failed) = (0, 0);
    let mut opened = std::collections::BTreeSet::new();
    for (n, (place, spoilt)) in &put {
        let id = fixtures::alert_id(*n);
        let kept = app.store.get(Collection::Alerts, &[id.0]).await.unwrap().remove(0);
        let status = at(&kept, "processing.status").and_then(|it| it.as_str()).and_then(AlertStatus::from_exact);
        if says_the_same(place, spoilt) {
            assert_eq!(status, Some(AlertStatus::Processed), "{place:?}: {kept}");
            assert_eq!(verdicts(&app, id).await, [Verdict::Sent], "{place:?}");
            let told = app.store.deliveries_of(id, None, 10).await.unwrap();
            let is_entry = |kind| matches!(kind, MessageKind::Entry | MessageKind::Replacement);
            assert_eq!(told.iter().filter(|delivery| is_entry(delivery.kind)).count(), 1, "{place:?}");
            sent += 1;
            opened.insert((n - 1_000) / u32::try_from(TO_A_CONFIGURATION).unwrap() + 1);
        } else if status == Some(AlertStatus::Failed) {
            let errors = at(&kept, "processing.errors").and_then(|it| it.as_array()).unwrap();
            assert!(!errors.is_empty(), "{place:?}: it says why");
            failed += 1;
        } else {
            assert_eq!(status, Some(AlertStatus::Processed), "{place:?}: {kept}");
        }
    }
    assert!(sent * 4 > places.len() && failed * 10 > places.len(), "{sent} {failed} of {}", places.len());
    for n in 1..=configs {
        let before = app.messages(n).len();
        app.done(alert(n, "exit", 100.5)).await;
        // Where every alert failed nothing is open that an exit could tell of.
        assert!(!opened.contains(&n) || app.messages(n).len() > before, "what came behind went on: {n}");
    }
    app.stop_without_books().await;
}

async fn verdicts(app: &App, alert: AlertId) -> Vec<Verdict> {
    let chunks = app.store.decisions(alert, None, 10).await.unwrap();
    chunks.iter().flat_map(|chunk| &chunk.decisions).map(|decision| decision.verdict).collect()
}

#[tokio::test]
async fn whatever_stands_in_a_waiting_alert_it_is_processed_or_set_aside_and_the_others_go_on() {
    walk(STEP).await;
}

#[tokio::test]
async fn long_each_type_in_each_field_of_a_waiting_alert() {
    walk(1).await;
}
