//! Rules of [`Actions`](alertcast_core::store::Actions) about closing a trade by hand and accepting an alert after the fact, and
//! about what is written beside any act.

use alertcast_core::fixtures::{audit, dead};
use std::sync::Arc;

use bson::{Bson, doc};

use super::StoreHarness;
use super::dump::{StoreDump, find, one, raw};
use super::invariants;
use super::random::{RandomSequence, cut_off};
use super::scene::{
    TELEGRAM, TestScene, at_once, closing_commit, doors, ended_trade, finish_commit, insert, insert_with_foreign,
    opening_commit, set, span, usage_increment,
};
use alertcast_core::alert::document::{Alert, AlertError, AlertStatus};
use alertcast_core::alert_configuration::AlertConfiguration;
use alertcast_core::delivery::Channel::Telegram;
use alertcast_core::delivery::{CauseKind, Delivery, DeliveryRecipient, delivery_key};
use alertcast_core::fixtures::*;
use alertcast_core::market::ExitReason;
use alertcast_core::store::{
    AcceptRefused, Collection, DocumentWrite, EraseUser, PARTITIONS, ResendOutcome, ResendRequest, Store, StoreError,
    StoreResult, TradeClose,
};
use alertcast_core::trade::document::TradeStatus;

/// Act `n`'s record, to be written beside it.
pub fn record(n: u32) -> Vec<DocumentWrite> {
    vec![insert(Collection::AuditLog, &audit(n, Collection::Users, user_id(1).0))]
}

/// Whether act `n` is on record.
async fn is_recorded(store: &dyn Store, n: u32) -> bool {
    find(store, Collection::AuditLog, oid(20, 0, n)).await.is_some()
}

/// The message of act `n` that the trade which alert 1 opened for a user has ended.
fn told_delivery(n: u32, user: u32) -> Delivery {
    let mut told = exit(Telegram, 900 + n, 1, user, 1);
    told.cause.kind = CauseKind::Manual;
    told.alert_id = None;
    told.key = delivery_key(told.cause, DeliveryRecipient::User(user_id(user)), Telegram, told.kind, told.trade_id);
    told
}

/// Act `n`: the trade that alert 1 opened for a user is closed by hand.
pub fn close(n: u32, user: u32, rev_seen: i64) -> TradeClose {
    let mut end = ended_trade(1, user, 49);
    (end.reason, end.exit_alert) = (ExitReason::Manual, None);
    TradeClose {
        end,
        rev_seen,
        deliveries: vec![told_delivery(n, user)],
        usage: vec![usage_increment(1, user, 1, 0, 50)],
        now: at(50),
        also: record(n),
    }
}

pub async fn a_trade_closed_by_hand_ends_with_its_message_and_its_counters(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 2).await;
    scene.open(1, 1..=2, TELEGRAM).await;
    let foreign = set(Collection::Trades, trade_id(1, 1), doc! { "foreign": foreign() });
    scene.store.write(vec![foreign]).await.unwrap();
    let other = scene.trade(1, 2).await;
    scene.store.close_trade(close(1, 1, 1)).await.unwrap();
    let trade = scene.trade(1, 1).await;
    assert_eq!((trade.status, trade.trade_data.exit_reason), (TradeStatus::Closed, Some(ExitReason::Manual)));
    assert_eq!(trade.trade_data.exit_price, Some(price(110.0)));
    assert_eq!((trade.pnl.amount, trade.pnl.percentage), (Some(amount(10.0)), Some(amount(10.0))));
    assert_eq!((trade.timestamps.closed_at, trade.updated_at), (Some(at(50)), at(50)));
    assert_eq!((trade.alerts.exit_alert_id, trade.alertcast.rev.0), (None, 2));
    let kept = raw(&*scene.store, Collection::Trades, trade_id(1, 1)).await;
    assert_eq!(kept.get_document("foreign").unwrap(), &alertcast_core::fixtures::foreign());
    let message: Delivery = one(&*scene.store, Collection::Deliveries, told_delivery(1, 1).id).await;
    assert_eq!(message, told_delivery(1, 1));
    let usage = scene.subscription(1).await.usage;
    assert_eq!((usage.alerts_received.0, usage.trades_opened.0), (2, 1));
    assert!(is_recorded(&*scene.store, 1).await);
    assert_eq!(scene.trade(1, 2).await, other);
    let config: AlertConfiguration = one(&*scene.store, Collection::AlertConfigurations, config_id(1)).await;
    assert_eq!((config.alertcast.closed_by_tp.0, config.alertcast.closed_by_sl.0), (0, 0), "neither of the two");
}

pub async fn a_trade_that_is_not_as_it_was_seen_is_not_closed_by_hand(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 2).await;
    scene.open(1, 1..=2, TELEGRAM).await;
    scene.close(5, 1, 2..=2, TELEGRAM).await;
    let before = scene.dump().await;
    for (user, rev_seen) in [(1, 0), (1, 2), (2, 1), (2, 2), (3, 1)] {
        let answer = scene.store.close_trade(close(1, user, rev_seen)).await;
        assert_eq!(answer, Err(StoreError::Conflict), "user {user}, revision {rev_seen}");
        before.assert_same(&scene.dump().await);
    }
}

pub async fn a_trade_without_a_revision_is_closed_by_hand(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.open(1, 1..=1, TELEGRAM).await;
    // As another application made it.
    let unset = vec!["alertcast".to_owned()];
    let (collection, id) = (Collection::Trades, trade_id(1, 1).0);
    let plain = DocumentWrite::Update { collection, id, set: bson::Document::new(), unset, expect: Vec::new() };
    scene.store.write(vec![plain]).await.unwrap();
    assert_eq!(scene.store.close_trade(close(1, 1, 1)).await, Err(StoreError::Conflict));
    scene.store.close_trade(close(1, 1, 0)).await.unwrap();
    let trade = scene.trade(1, 1).await;
    assert_eq!((trade.status, trade.alertcast.rev.0), (TradeStatus::Closed, 1));
}

pub async fn of_two_closes_by_hand_at_once_one_succeeds(harness: &dyn StoreHarness) {
    const USERS: u32 = 6;
    let scene = TestScene::new(harness, USERS).await;
    scene.open(1, 1..=USERS, TELEGRAM).await;
    let doors = doors(harness, &scene.store, 2).await;
    for user in 1..=USERS {
        let closes = (1..=2).zip(doors.clone()).map(|(n, store)| {
            let act = close(10 * user + n, user, 1);
            async move { store.close_trade(act).await }
        });
        let mut answers = at_once(closes).await;
        answers.sort_by_key(StoreResult::is_err);
        assert_eq!(answers, [Ok(()), Err(StoreError::Conflict)]);
        assert_eq!(scene.subscription(user).await.usage.alerts_received.0, 2, "told once");
        let records =
            [is_recorded(&*scene.store, 10 * user + 1).await, is_recorded(&*scene.store, 10 * user + 2).await];
        assert_eq!(records.into_iter().filter(|is_recorded| *is_recorded).count(), 1);
    }
}

pub async fn a_chunk_that_saw_a_trade_open_is_refused_after_it_was_closed_by_hand(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 2).await;
    scene.open(1, 1..=2, TELEGRAM).await;
    for by in [5, 6] {
        scene.accept(by, 1).await;
    }
    scene.store.close_trade(close(1, 1, 1)).await.unwrap();
    let before = scene.dump().await;
    let exit = finish_commit(closing_commit(&scene.work, 5, 1, 1, 1..=2, TELEGRAM), at(60));
    let mut entry = finish_commit(opening_commit(&scene.work, 6, 1, 1..=2, TELEGRAM), at(60));
    let seen = (1..=2).map(|user| (trade_id(1, user), 1)).collect();
    entry.plan.open_seen = Some((span(&(1..=2)), seen));
    for chunk in [exit, entry] {
        assert_eq!(scene.store.commit(chunk).await, Err(StoreError::Conflict));
        before.assert_same(&scene.dump().await);
    }
    scene.store.commit(finish_commit(closing_commit(&scene.work, 5, 1, 1, 2..=2, TELEGRAM), at(61))).await.unwrap();
}

pub async fn of_a_close_by_hand_and_a_chunk_at_once_one_ends_the_trade(harness: &dyn StoreHarness) {
    const USERS: u32 = 6;
    let scene = TestScene::new(harness, USERS).await;
    scene.open(1, 1..=USERS, TELEGRAM).await;
    let other = harness.beside(&scene.store).await;
    for user in 1..=USERS {
        scene.accept(10 + user, 1).await;
        let chunk = finish_commit(closing_commit(&scene.work, 10 + user, 1, 1, user..=user, TELEGRAM), at(50));
        let (store, act) = (Arc::clone(&scene.store), close(user, user, 1));
        let other = Arc::clone(&other);
        let by_hand = tokio::spawn(async move { other.close_trade(act).await });
        let by_alert = store.commit(chunk).await;
        let by_hand = by_hand.await.unwrap();
        assert!(by_hand.is_ok() != by_alert.is_ok(), "{by_hand:?} {by_alert:?}");
        let trade = scene.trade(1, user).await;
        let reason = if by_hand.is_ok() { ExitReason::Manual } else { ExitReason::TpHit };
        assert_eq!((trade.trade_data.exit_reason, trade.alertcast.rev.0), (Some(reason), 2));
        assert_eq!(scene.subscription(user).await.usage.alerts_received.0, 2);
    }
}

/// An act, with what is to be written beside it.
type ConformanceAct = (&'static str, fn(Vec<DocumentWrite>) -> PlannedWork);

enum PlannedWork {
    Close(TradeClose),
    Resend(ResendRequest),
    Accept(Box<AcceptRefused>),
    Erase(EraseUser),
}

impl PlannedWork {
    async fn run(self, store: &dyn Store) -> StoreResult<()> {
        match self {
            Self::Close(close) => store.close_trade(close).await,
            Self::Resend(resend) => store.resend(resend).await.map(drop),
            Self::Accept(accept) => store.accept_refused(*accept).await,
            Self::Erase(erase) => store.erase_user(erase).await.map(drop),
        }
    }
}

/// Each of them possible in [`before_acts`].
const ACTS: &[ConformanceAct] = &[
    ("close", |also| PlannedWork::Close(TradeClose { also, ..close(1, 1, 1) })),
    ("resend", |also| PlannedWork::Resend(resend(also))),
    ("accept", |also| PlannedWork::Accept(Box::new(accept(also)))),
    ("erase", |also| PlannedWork::Erase(EraseUser { user: user_id(3), now: at(50), expect: Vec::new(), also })),
];

/// The dead delivery of [`before_acts`] is sent again.
pub fn resend(also: Vec<DocumentWrite>) -> ResendRequest {
    let delivery = delivery_id(Telegram, 1, 2);
    ResendRequest { delivery, due_at: at(50), deadline_at: at(90), entry_deadline_at: None, now: at(50), also }
}

/// The refused alert of [`before_acts`] is accepted.
pub fn accept(also: Vec<DocumentWrite>) -> AcceptRefused {
    AcceptRefused { alert: alert(3, 1), now: at(50), also }
}

/// An open trade, a dead delivery, a refused alert, a person.
pub async fn before_acts(harness: &dyn StoreHarness) -> TestScene {
    let scene = TestScene::new(harness, 3).await;
    scene.open(1, 1..=2, TELEGRAM).await;
    scene.attempt(Telegram, delivery_id(Telegram, 1, 2), dead(), 4).await;
    scene.store.refuse_alert(refused_alert(3, 1, &["too_old"]), Vec::new()).await.unwrap();
    scene
}

pub async fn what_is_written_beside_an_act_fails_with_it(harness: &dyn StoreHarness) {
    let scene = before_acts(harness).await;
    let taken = insert(Collection::Users, &user(1));
    let mut nobodys = subscription(9);
    nobodys.user_id = user_id(99);
    let nobodys = insert(Collection::UserSubscriptions, &nobodys);
    let changed = DocumentWrite::Update {
        collection: Collection::Users,
        id: user_id(1).0,
        set: doc! { "status": "suspended" },
        unset: Vec::new(),
        expect: vec![("status".to_owned(), Bson::from("inactive"))],
    };
    let before = scene.dump().await;
    for (name, act) in ACTS {
        for (beside, is_expected) in [
            (&taken, (|error| matches!(error, StoreError::AlreadyExists { .. })) as fn(&StoreError) -> bool),
            (&nobodys, |error| matches!(error, StoreError::MissingReference { .. })),
            (&changed, |error| *error == StoreError::Conflict),
        ] {
            let mut also = record(1);
            also.push(beside.clone());
            let error = act(also).run(&*scene.store).await.unwrap_err();
            assert!(is_expected(&error), "{name}: {error}");
            before.assert_same(&scene.dump().await);
        }
    }
}

pub async fn acts_that_are_cut_off_happen_wholly_or_not_at_all(harness: &dyn StoreHarness) {
    const USERS: u32 = 60;
    let mut sequence = RandomSequence::new(21);
    let scene = TestScene::new(harness, USERS).await;
    scene.open(1, 1..=USERS, TELEGRAM).await;
    let mut done = Vec::new();
    for user in 1..=USERS {
        if cut_off(&mut sequence, scene.store.close_trade(close(user, user, 1))).await == Some(Ok(())) {
            done.push(user);
        }
    }
    StoreDump::when_quiet(&*scene.store).await;
    for user in 1..=USERS {
        let is_closed = scene.trade(1, user).await.status == TradeStatus::Closed;
        assert!(is_closed || !done.contains(&user), "answered, and lost");
        assert_eq!(is_recorded(&*scene.store, user).await, is_closed, "user {user}");
        assert_eq!(
            find(&*scene.store, Collection::Deliveries, told_delivery(user, user).id).await.is_some(),
            is_closed
        );
        assert_eq!(scene.subscription(user).await.usage.alerts_received.0, 1 + i64::from(is_closed));
    }
}

pub async fn what_was_done_by_hand_is_there_after_a_crash(harness: &dyn StoreHarness) {
    let mut scene = before_acts(harness).await;
    for (n, (name, act)) in (1..).zip(ACTS) {
        act(record(n)).run(&*scene.store).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let before = scene.dump().await;
    scene.store = harness.reopen(scene.store).await;
    before.assert_same(&scene.dump().await);
    assert_eq!(scene.store.resend(resend(record(9))).await, Err(StoreError::Conflict), "not twice");
    assert_eq!(scene.store.accept_refused(accept(record(9))).await, Err(StoreError::Conflict), "not twice");
    before.assert_same(&scene.dump().await);
}

async fn list_pending(scene: &TestScene) -> Vec<Alert> {
    let partitions: Vec<i32> = (0..PARTITIONS).collect();
    scene.store.pending_alerts(&partitions, &[], 10).await.unwrap()
}

pub async fn a_refused_alert_is_accepted_after_the_fact(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    let mut kept = refused_alert(1, 1, &["too_old", "no_configuration"]);
    kept.processing.alert_config_id = None;
    kept.alertcast.partition = None;
    kept.processing.errors = vec![AlertError { message: "too old".to_owned(), timestamp: at(1), stack: None }];
    scene.store.write(vec![insert_with_foreign(Collection::Alerts, &kept)]).await.unwrap();
    let earlier = scene.accept(2, 1).await;
    let mut wanted = kept.clone();
    wanted.processing.status = AlertStatus::Received;
    wanted.processing.alert_config_id = Some(config_id(1));
    wanted.alert_data.take_profit_price = None;
    wanted.alertcast.after = earlier.alertcast.seq;
    wanted.alertcast.accepted_at = Some(at(50));
    let line = AlertError { message: "accepted by operator".to_owned(), timestamp: at(50), stack: None };
    wanted.processing.errors.push(line);
    let act = AcceptRefused { alert: wanted.clone(), now: at(50), also: record(1) };
    scene.store.accept_refused(act).await.unwrap();
    let alert = scene.alert(1).await;
    assert!(alert.alertcast.seq > earlier.alertcast.seq, "behind all that were accepted");
    assert_eq!(alert.alertcast.partition, Some(alertcast_core::store::partition_of(config_id(1))));
    assert_eq!(alert.alertcast.refused_for, [""; 0]);
    assert_eq!(alert.processing, wanted.processing);
    assert_eq!(alert.alert_data, wanted.alert_data);
    assert_eq!((alert.alertcast.accepted_at, alert.updated_at), (Some(at(50)), at(50)));
    let document = raw(&*scene.store, Collection::Alerts, alert_id(1)).await;
    assert_eq!(document.get_document("foreign").unwrap(), &foreign());
    assert!(scene.store.receipt_mark(config_id(1)).await.unwrap() >= alert.alertcast.seq.0);
    let waiting: Vec<_> = list_pending(&scene).await.iter().map(|alert| alert.id).collect();
    assert_eq!(waiting, [alert_id(2), alert_id(1)]);
    assert!(is_recorded(&*scene.store, 1).await);
    let prices = scene.store.recent_prices(config_id(1), at(0)).await.unwrap();
    assert!(prices.iter().all(|price| price.accepted), "{prices:?}");
    let chunk = opening_commit(&scene.work, 1, 1, 1..=1, TELEGRAM);
    scene.store.commit(finish_commit(chunk, at(51))).await.unwrap();
    assert_eq!(scene.alert(1).await.processing.status, AlertStatus::Processed);
}

pub async fn a_parked_alert_is_taken_up_behind_its_cursor(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 4).await;
    scene.accept(1, 1).await;
    scene.store.commit(opening_commit(&scene.work, 1, 1, 1..=2, TELEGRAM)).await.unwrap();
    let failure = AlertError { message: "failed".to_owned(), timestamp: at(3), stack: None };
    scene.store.record_failure(&scene.work, alert_id(1), failure, true, Vec::new()).await.unwrap();
    assert_eq!(list_pending(&scene).await, []);
    let mut alert = scene.alert(1).await;
    assert_eq!(alert.processing.status, AlertStatus::Failed);
    alert.processing.status = AlertStatus::Received;
    scene.store.accept_refused(AcceptRefused { alert, now: at(50), also: Vec::new() }).await.unwrap();
    let taken_up = list_pending(&scene).await.remove(0);
    assert_eq!((taken_up.alertcast.cursor, taken_up.alertcast.attempts.0), (Some(user_id(2)), 0));
    assert_eq!(taken_up.processing.errors.len(), 1, "its errors are kept");
    let mut last = finish_commit(opening_commit(&scene.work, 1, 1, 3..=4, TELEGRAM), at(51));
    last.cursor_seen = Some(user_id(2));
    scene.store.commit(last).await.unwrap();
    invariants::check(&scene.dump().await);
}

pub async fn an_alert_that_has_not_failed_is_not_accepted_again(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 2).await;
    scene.open(1, 1..=1, TELEGRAM).await;
    scene.accept(2, 1).await;
    scene.accept(3, 1).await;
    scene.store.commit(opening_commit(&scene.work, 3, 1, 2..=2, TELEGRAM)).await.unwrap();
    let before = scene.dump().await;
    for n in 1..=4 {
        let act = AcceptRefused { alert: alert(n, 1), now: at(50), also: record(1) };
        assert_eq!(scene.store.accept_refused(act).await, Err(StoreError::Conflict), "alert {n}");
        before.assert_same(&scene.dump().await);
    }
}

pub async fn of_two_acceptances_of_one_alert_at_once_one_succeeds(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    let doors = doors(harness, &scene.store, 2).await;
    for n in 1..=6 {
        scene.store.refuse_alert(refused_alert(n, 1, &["too_old"]), Vec::new()).await.unwrap();
        let acts = (1..=2).zip(doors.clone()).map(|(by, store)| {
            let act = AcceptRefused { alert: alert(n, 1), now: at(50), also: record(10 * n + by) };
            async move { store.accept_refused(act).await }
        });
        let mut answers = at_once(acts).await;
        answers.sort_by_key(StoreResult::is_err);
        assert_eq!(answers, [Ok(()), Err(StoreError::Conflict)]);
    }
    let kept = scene.dump().await.all::<Alert>(Collection::Alerts);
    let places: std::collections::HashSet<_> = kept.iter().map(|alert| alert.alertcast.seq).collect();
    assert_eq!(places.len(), 6, "each has a place of its own");
}

/// That an act was refused, without a trace of it.
pub async fn refuses(scene: &TestScene, act: ResendRequest, answer: StoreResult<ResendOutcome>) {
    let before = scene.dump().await;
    assert_eq!(scene.store.resend(act).await, answer);
    before.assert_same(&scene.dump().await);
}
