//! Subscriptions end by the clock.

use std::time::Duration;

use alertcast_core::decision::Verdict;
use alertcast_core::fixtures::{preference_id, subscription_id};
use alertcast_core::preference::AlertPreference;
use alertcast_core::store::{Collection, read};
use alertcast_core::subscription::Subscription;
use serde::de::DeserializeOwned;

use super::{buy, small_world, tp_hit, verdict};
use crate::harness::App;
use crate::harness::app::START;

const HOUR: Duration = Duration::from_secs(60 * 60);
const MINUTE: Duration = Duration::from_secs(60);

async fn one<T: DeserializeOwned>(app: &App, collection: Collection, id: bson::oid::ObjectId) -> T {
    let found = app.store.get(collection, &[id]).await.unwrap().pop().unwrap();
    read(collection, found).unwrap()
}

async fn status(app: &App, n: u32) -> String {
    let held: Subscription = one(app, Collection::UserSubscriptions, subscription_id(n).0).await;
    held.subscription.status.to_string()
}

fn ended(app: &App, word: &str) -> i64 {
    app.desk.count(Collection::UserSubscriptions, &[("subscription.status", word)])
}

#[tokio::test]
async fn what_is_over_ends_within_a_minute_and_open_trades_still_get_their_exits() {
    let mut world = small_world()
        .subscription(4, 2, 1, |next| {
            next.subscription.start_date = Some(START + HOUR);
            next.subscription.end_date = Some(START + HOUR * 900);
        })
        .preference(1, 2, |_| {});
    for (n, cancelled) in [(1, false), (2, false), (3, true)] {
        let held = world.subscriptions.iter_mut().find(|held| held.id == subscription_id(n)).unwrap();
        held.subscription.end_date = Some(START + HOUR);
        held.alertcast.cancelled_at = cancelled.then_some(START);
    }
    let mut app = App::start(world).await;
    app.allow.audience_changed = true;
    app.done(buy(100.0)).await;
    app.advance_to(HOUR - MINUTE);
    app.quiet().await;
    assert_eq!((ended(&app, "expired"), ended(&app, "cancelled")), (0, 0), "not a moment too early");
    app.advance_to(HOUR);
    app.until("all that is over has ended", || ended(&app, "expired") + ended(&app, "cancelled") == 3).await;
    assert!(app.clock_now() < START + HOUR + MINUTE, "to the minute: {}", app.clock_now());
    let statuses = [status(&app, 1).await, status(&app, 2).await, status(&app, 3).await, status(&app, 4).await];
    assert_eq!(statuses, ["expired", "expired", "cancelled", "active"]);
    let preference: AlertPreference = one(&app, Collection::UserAlertPreferences, preference_id(1, 2).0).await;
    assert_eq!(preference.subscription_id, subscription_id(4), "it goes on with what follows");
    app.done(tp_hit(111.0)).await;
    for n in 1..=3 {
        assert!(app.last_text(n).contains("TAKE PROFIT"), "{n}: {}", app.last_text(n));
    }
    let entry = app.done(buy(100.0)).await;
    let books = app.finish().await;
    let verdicts = [1, 2, 3].map(|n| verdict(&books, entry, n));
    assert_eq!(verdicts, [Verdict::SubscriptionExpired, Verdict::Sent, Verdict::SubscriptionCancelled]);
}
