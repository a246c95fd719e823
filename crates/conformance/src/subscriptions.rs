//! Rules of [`SubscriptionStore`](alertcast_core::store::SubscriptionStore): what a decision about a subscription rests on, its
//! commit, and whose end has come.

use std::time::Duration;

use bson::{Bson, Document, doc};

use super::StoreHarness;
use super::dump::{find, one, raw};
use super::scene::{TestScene, at_once, insert, insert_with_foreign, set};
use alertcast_core::fixtures::*;
use alertcast_core::money::Count;
use alertcast_core::preference::AlertPreference;
use alertcast_core::store::{
    Collection, DocumentWrite, LoadedSubscription, StoreError, StoreResult, SubscriptionStore as _,
};
use alertcast_core::subscription::lifecycle::{
    CancellationTime, ClaimedPayment, DecisionMaker, LifecycleError, PaymentApproval, PaymentRejection,
    PaymentSubmission, SubscriptionChange, SubscriptionEvent, decide,
};
use alertcast_core::subscription::{
    PaymentMethod, PaymentStatus, Subscription, SubscriptionStatus, SubscriptionTerm, transaction_key,
};
use alertcast_core::time::Time;
use alertcast_core::user::User;

const BY: DecisionMaker = DecisionMaker { admin: Some(admin_id(1)), user: None };
const EXPIRE: SubscriptionEvent = SubscriptionEvent::Expire;

fn approval() -> SubscriptionEvent {
    SubscriptionEvent::Approve(PaymentApproval::default())
}

/// Subscription `n` of user 1, paid for and not decided.
fn pending(n: u32, plan: u32) -> Subscription {
    let mut pending = subscription(n);
    (pending.user_id, pending.subscription_plan_id) = (user_id(1), plan_id(plan));
    pending.payment.status = PaymentStatus::Pending;
    pending.payment.approved_at = None;
    pending.subscription = SubscriptionTerm::default();
    pending
}

/// Subscription `n` of user 1, from when to when.
fn term_of(n: u32, plan: u32, start: i64, end: i64) -> Subscription {
    let mut held = subscription(n);
    (held.user_id, held.subscription_plan_id) = (user_id(1), plan_id(plan));
    (held.subscription.start_date, held.subscription.end_date) = (Some(at(start)), Some(at(end)));
    held
}

async fn put(scene: &TestScene, these: &[Subscription]) {
    let writes = these.iter().map(|held| insert_with_foreign(Collection::UserSubscriptions, held));
    scene.store.write(writes.collect()).await.unwrap();
}

/// One user with subscription 1, which runs, and plans 1 to `plans`.
async fn scene_with(harness: &dyn StoreHarness, plans: u32) -> TestScene {
    let scene = TestScene::new(harness, 1).await;
    let more = (2..=plans).map(|n| insert(Collection::SubscriptionPlans, &plan(n, &[config_id(1)])));
    scene.store.write(more.collect()).await.unwrap();
    scene
}

async fn load(scene: &TestScene, n: u32) -> LoadedSubscription {
    scene.store.load_subscription(subscription_id(n)).await.unwrap().unwrap()
}

fn decided(seen: &LoadedSubscription, event: &SubscriptionEvent, now: Time) -> SubscriptionChange {
    decide(&seen.context, event, BY, now).unwrap()
}

async fn happens(scene: &TestScene, n: u32, event: &SubscriptionEvent, now: Time) -> StoreResult<()> {
    let seen = load(scene, n).await;
    scene.store.commit_subscription(&seen, &decided(&seen, event, now), Vec::new()).await
}

fn note(n: u32) -> DocumentWrite {
    insert(Collection::SubscriptionPlans, &plan(n, &[]))
}

async fn is_noted(scene: &TestScene, n: u32) -> bool {
    find(&*scene.store, Collection::SubscriptionPlans, plan_id(n)).await.is_some()
}

async fn places_seen(scene: &TestScene) -> Option<Bson> {
    let user: Document = raw(&*scene.store, Collection::Users, user_id(1)).await;
    user.get_document("alertcast").ok()?.get("subscriptionsRev").cloned()
}

pub async fn what_a_decision_rests_on_is_loaded_as_far_as_it_can_be_read(harness: &dyn StoreHarness) {
    let scene = scene_with(harness, 2).await;
    assert_eq!(scene.store.load_subscription(subscription_id(7)).await, Ok(None));
    put(&scene, &[pending(11, 2), term_of(12, 2, -9, 9)]).await;
    let seen = load(&scene, 11).await.context;
    assert_eq!(seen.subscription, Some(pending(11, 2)));
    assert_eq!(seen.user, Some(user(1)));
    assert_eq!(seen.plan, Some(plan(2, &[config_id(1)])));
    let others: Vec<_> = seen.others.iter().map(|other| other.id).collect();
    assert_eq!(others, [subscription_id(1), subscription_id(12)]);
    let under: Vec<_> = seen.preferences.iter().map(|link| (link.preference, link.subscription)).collect();
    assert_eq!(under, [1, 2].map(|config| (preference_id(config, 1), subscription_id(1))));
}

pub async fn what_was_decided_is_committed_whole_and_others_fields_stay(harness: &dyn StoreHarness) {
    let scene = scene_with(harness, 2).await;
    put(&scene, &[pending(11, 2)]).await;
    let before = raw(&*scene.store, Collection::UserSubscriptions, subscription_id(11)).await;
    let seen = load(&scene, 11).await;
    let change = decided(&seen, &approval(), at(5));
    scene.store.commit_subscription(&seen, &change, vec![note(50)]).await.unwrap();
    assert_eq!(scene.subscription(11).await, change.after);
    assert_eq!(change.after.subscription.status, SubscriptionStatus::Active);
    let after = raw(&*scene.store, Collection::UserSubscriptions, subscription_id(11)).await;
    assert_eq!((after.get("foreign"), after.contains_key("foreign")), (before.get("foreign"), true));
    assert!(is_noted(&scene, 50).await);
    // Taken back, nothing is left of it but the time of the change.
    happens(&scene, 11, &SubscriptionEvent::Reopen, at(6)).await.unwrap();
    let back = Subscription { updated_at: pending(11, 2).updated_at, ..scene.subscription(11).await };
    let dates = (change.after.subscription.start_date, change.after.subscription.end_date);
    assert_eq!((back.subscription.start_date, back.subscription.end_date), dates);
    assert_eq!((back.payment, back.alertcast), (pending(11, 2).payment, pending(11, 2).alertcast));
}

pub async fn a_decision_about_what_has_changed_is_a_conflict_and_nothing_of_it_happens(harness: &dyn StoreHarness) {
    let scene = scene_with(harness, 2).await;
    put(&scene, &[pending(11, 2)]).await;
    let (one_seen, other_seen) = (load(&scene, 11).await, load(&scene, 11).await);
    let rejection = PaymentRejection { reason: Some("no money".to_owned()), overrules: false };
    let rejected = decided(&one_seen, &SubscriptionEvent::Reject(rejection), at(5));
    scene.store.commit_subscription(&one_seen, &rejected, Vec::new()).await.unwrap();
    let approved = decided(&other_seen, &approval(), at(5));
    let refused = scene.store.commit_subscription(&other_seen, &approved, vec![note(50)]).await;
    assert_eq!(refused, Err(StoreError::Conflict));
    assert_eq!((scene.subscription(11).await, is_noted(&scene, 50).await), (rejected.after, false));
    // Whoever writes without our times is noticed by what they change.
    for (n, fields) in [
        (12, doc! { "payment.status": "rejected" }),
        (13, doc! { "subscription.endDate": at(77) }),
        (14, doc! { "subscription.status": "cancelled" }),
    ] {
        put(&scene, &[pending(n, 2)]).await;
        let seen = load(&scene, n).await;
        let change = decided(&seen, &approval(), at(5));
        scene.store.write(vec![set(Collection::UserSubscriptions, subscription_id(n), fields)]).await.unwrap();
        let refused = scene.store.commit_subscription(&seen, &change, Vec::new()).await;
        assert_eq!(refused, Err(StoreError::Conflict), "{n}");
    }
    let seen = load(&scene, 1).await;
    let change = decided(&seen, &SubscriptionEvent::Cancel(CancellationTime::AtOnce), at(5));
    scene.store.write(vec![set(Collection::Users, user_id(1), doc! { "status": "suspended" })]).await.unwrap();
    let refused = scene.store.commit_subscription(&seen, &change, Vec::new()).await;
    assert_eq!(refused, Err(StoreError::Conflict), "its user stands otherwise");
}

pub async fn of_decisions_at_once_about_one_users_places_only_as_many_hold_as_there_are(harness: &dyn StoreHarness) {
    let scene = scene_with(harness, 9).await;
    let (held, asked): (Vec<u32>, Vec<u32>) = ((2..=3).collect(), (4..=9).collect());
    let running: Vec<_> = held.iter().map(|n| term_of(10 + n, *n, -9, 900)).collect();
    let waiting: Vec<_> = asked.iter().map(|n| pending(10 + n, *n)).collect();
    put(&scene, &running).await;
    put(&scene, &waiting).await;
    let approve = |n: u32| {
        let scene = scene.clone();
        async move {
            loop {
                let seen = load(&scene, 10 + n).await;
                match decide(&seen.context, &approval(), BY, at(5)) {
                    Err(error) => return Err(error),
                    Ok(change) => match scene.store.commit_subscription(&seen, &change, Vec::new()).await {
                        Err(StoreError::Conflict) => {}
                        done => {
                            done.unwrap();
                            return Ok(());
                        }
                    },
                }
            }
        }
    };
    let outcomes = at_once(asked.iter().map(|n| approve(*n))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 2, "three of five run: {outcomes:?}");
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Err(LifecycleError::TooManyRunning)).count(), 4);
    assert_eq!(places_seen(&scene).await, Some(Bson::from(Count(2))));
}

pub async fn preferences_go_with_what_follows_an_ended_subscription(harness: &dyn StoreHarness) {
    let scene = scene_with(harness, 1).await;
    put(&scene, &[term_of(11, 1, 2_592_000, 9_000_000)]).await;
    happens(&scene, 1, &EXPIRE, at(2_592_000)).await.unwrap();
    assert_eq!(scene.subscription(1).await.subscription.status, SubscriptionStatus::Expired);
    for config in [1, 2] {
        let id = preference_id(config, 1);
        let moved: AlertPreference = one(&*scene.store, Collection::UserAlertPreferences, id).await;
        assert_eq!((moved.subscription_id, moved.updated_at), (subscription_id(11), at(2_592_000)));
        assert!(raw(&*scene.store, Collection::UserAlertPreferences, id).await.contains_key("foreign"));
    }
}

pub async fn a_submitted_payment_makes_a_subscription_and_its_transaction_id_is_used_once(harness: &dyn StoreHarness) {
    let scene = scene_with(harness, 2).await;
    let submit = async |n: u32, transaction: &str| {
        let payment = ClaimedPayment {
            transaction_id: transaction.to_owned(),
            amount: amount(999.0),
            currency: "INR".to_owned(),
            method: PaymentMethod::Upi,
            proof_url: None,
        };
        let event = SubscriptionEvent::Submit(PaymentSubmission { user: user_id(1), plan: plan_id(2), payment });
        let seen = scene.store.load_for_new(subscription_id(n), user_id(1), plan_id(2)).await.unwrap();
        scene.store.commit_subscription(&seen, &decided(&seen, &event, at(5)), Vec::new()).await
    };
    assert_eq!(submit(11, "UTR 1").await, Ok(()));
    let made = scene.subscription(11).await;
    assert_eq!((made.payment.status, made.created_at), (PaymentStatus::Pending, at(5)));
    assert_eq!(made.alertcast.transaction_key, Some(transaction_key("utr 1")));
    let field = "payment.transactionId".to_owned();
    let taken = StoreError::AlreadyExists { collection: Collection::UserSubscriptions, field };
    assert_eq!(submit(12, " utr 1").await, Err(taken));
}

pub async fn whose_end_has_come_is_listed_by_it_and_nobody_else(harness: &dyn StoreHarness) {
    let scene = scene_with(harness, 1).await;
    let mut cancelled = term_of(15, 1, -9, 3);
    cancelled.subscription.status = SubscriptionStatus::Cancelled;
    let mut endless = term_of(16, 1, -9, 3);
    endless.subscription.end_date = None;
    put(
        &scene,
        &[
            term_of(11, 1, -9, 5),
            term_of(12, 1, -9, 4),
            term_of(13, 1, -9, 6),
            cancelled,
            endless,
            term_of(17, 1, -9, 2),
        ],
    )
    .await;
    let due = async |now: Time| scene.store.due_subscriptions(now, None).await.unwrap();
    let ids = |numbers: &[u32]| numbers.iter().copied().map(subscription_id).collect::<Vec<_>>();
    assert_eq!(due(at(1)).await.ids, ids(&[]));
    assert_eq!(due(at(5)).await.ids, ids(&[17, 12, 11]), "the end is the first moment that is not covered");
    assert_eq!(due(at(5) - Duration::from_millis(1)).await.ids, ids(&[17, 12]));
    assert_eq!(due(at(5)).await.next, None);
    for n in [17, 12] {
        happens(&scene, n, &EXPIRE, at(5)).await.unwrap();
    }
    assert_eq!(due(at(5)).await.ids, ids(&[11]), "what has ended is not listed again");
}

pub async fn everybody_whose_end_has_come_is_found_page_by_page(harness: &dyn StoreHarness) {
    let scene = scene_with(harness, 1).await;
    let over: Vec<_> = (0..450_u32).map(|n| term_of(100 + n, 1, -9, i64::from(n / 7))).collect();
    put(&scene, &over).await;
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = scene.store.due_subscriptions(at(1_000), after).await.unwrap();
        found.extend(page.ids);
        match page.next {
            Some(mark) => after = Some(mark),
            None => break,
        }
    }
    let all: Vec<_> = over.iter().map(|held| held.id).collect();
    assert_eq!(found, all);
}

pub async fn a_user_whose_own_fields_are_null_stands_in_no_decisions_way(harness: &dyn StoreHarness) {
    let scene = scene_with(harness, 2).await;
    put(&scene, &[pending(11, 2)]).await;
    scene.store.write(vec![set(Collection::Users, user_id(1), doc! { "alertcast": Bson::Null })]).await.unwrap();
    happens(&scene, 11, &approval(), at(5)).await.unwrap();
    let user: User = one(&*scene.store, Collection::Users, user_id(1)).await;
    assert_eq!((user.email, places_seen(&scene).await), (email(1), Some(Bson::from(Count(1)))));
}
