//! Deciding about payments, and ending subscriptions.

use std::path::Path;
use std::time::Duration;

use alertcast::operator::{ActError, approve_subscription, cancel_subscription, reject_subscription};
use alertcast_conformance::dump::every;
use alertcast_core::fixtures::{admin_id, subscription_id};
use alertcast_core::store::Collection;
use alertcast_core::subscription::lifecycle::{CancellationTime, LifecycleError, PaymentApproval, PaymentRejection};
use alertcast_core::subscription::{PaymentStatus, SubscriptionStatus};

use super::{act, buy, recorded, records, small_world};
use crate::harness::App;

#[tokio::test]
async fn who_is_rejected_gets_no_more_entries_and_who_is_approved_again_does() {
    let mut app = App::start(small_world()).await;
    app.allow.audience_changed = true;
    let rejection = PaymentRejection { reason: Some("taken back".to_owned()), overrules: true };
    let rejected = reject_subscription(&app.parts, &act(), subscription_id(1), rejection).await.unwrap();
    assert_eq!(
        (rejected.payment.status, rejected.subscription.status),
        (PaymentStatus::Rejected, SubscriptionStatus::Cancelled)
    );
    app.done(buy(100.0)).await;
    assert_eq!((app.messages(1).len(), app.messages(2).len()), (0, 1));
    let approval = PaymentApproval { overrules: true, ..PaymentApproval::default() };
    let approved = approve_subscription(&app.parts, &act(), subscription_id(1), approval).await.unwrap();
    assert_eq!(approved.alertcast.approved_by_admin, Some(admin_id(1)));
    app.advance(Duration::from_secs(1));
    app.done(buy(101.0)).await;
    assert_eq!((app.messages(1).len(), app.messages(2).len()), (1, 2));
    let acts = ["reject_subscription", "approve_subscription"];
    assert_eq!(records(&app).await, acts.map(|act| recorded(act, Collection::UserSubscriptions)));
    app.finish().await;
}

#[tokio::test]
async fn what_is_refused_changes_nothing_and_leaves_no_entry() {
    let app = App::start(small_world()).await;
    let before = every(&*app.store, Collection::UserSubscriptions).await;
    let refused = approve_subscription(&app.parts, &act(), subscription_id(1), PaymentApproval::default()).await;
    assert!(matches!(refused, Err(ActError::Refused { why: LifecycleError::Approved { .. }, .. })), "{refused:?}");
    let unknown = cancel_subscription(&app.parts, &act(), subscription_id(99), CancellationTime::AtOnce).await;
    assert_eq!(unknown, Err(ActError::NotFound));
    let mut stale = act();
    stale.seen = Some(alertcast_core::time::Time::from_millis(1));
    let changed = cancel_subscription(&app.parts, &stale, subscription_id(1), CancellationTime::AtOnce).await;
    assert_eq!(changed, Err(ActError::Changed), "it is not the one that was seen");
    assert_eq!(every(&*app.store, Collection::UserSubscriptions).await, before);
    assert!(records(&app).await.is_empty());
    app.finish().await;
}

/// Console and bot call the same acts: none of them knows by which way it was asked for.
#[test]
fn no_act_names_anything_of_http() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/operator")];
    let mut looked_at = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for name in ["crate::http", "axum", "StatusCode"] {
                assert!(!text.contains(name), "{} names {name}", path.display());
            }
            looked_at += 1;
        }
    }
    assert!(looked_at > 15, "{looked_at} files were looked at");
}
