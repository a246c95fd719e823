//! Rules about documents that cannot be read: they are left out, noted once, and set aside; everything else goes on.

use std::collections::BTreeSet;

use bson::oid::ObjectId;
use bson::{Bson, Document, doc};

use super::StoreHarness;
use super::dump::raw;
use super::scene::{
    BOTH, TELEGRAM, TestScene, closing_commit, finish_commit, insert, opening_commit, people, set, span,
};
use alertcast_core::alert::document::Alert;
use alertcast_core::delivery::{Channel, DeliveryState};
use alertcast_core::fixtures::*;
use alertcast_core::reading::{UnreadableDocument, every_bson_type, put_at, trouble_of};
use alertcast_core::schema::{FieldDeclaration, StoredKind, contract_fields};
use alertcast_core::store::{Collection, DocumentWrite, PARTITIONS, Store};

fn everywhere() -> Vec<i32> {
    (0..PARTITIONS).collect()
}

fn numbers(alerts: &[Alert]) -> Vec<u32> {
    alerts.iter().map(|alert| number(alert.id.0)).collect()
}

/// Spoils a field of a document; no engine checks what is under `alertcast`, nor the collections that are ours.
pub(super) async fn spoil(
    scene: &TestScene,
    collection: Collection,
    id: impl Into<Bson>,
    path: &str,
    value: impl Into<Bson>,
) {
    let mut fields = Document::new();
    fields.insert(path, value.into());
    scene.store.write(vec![set(collection, id, fields)]).await.unwrap();
}

/// What is news, which must be of one document.
fn only_news(store: &dyn Store) -> UnreadableDocument {
    let news = store.unreadables().take_news();
    assert_eq!(news.len(), 1, "{news:?}");
    news.into_iter().next().unwrap()
}

pub async fn a_waiting_alert_that_cannot_be_read_is_left_out_and_set_aside(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    for n in 1..=3 {
        scene.accept(n, 1).await;
    }
    spoil(&scene, Collection::Alerts, alert_id(2), "alertcast.cursor", "nobody").await;
    for _ in 0..2 {
        let pending = scene.store.pending_alerts(&everywhere(), &[], 10).await.unwrap();
        assert_eq!(numbers(&pending), [1, 3]);
    }
    let news = only_news(&*scene.store);
    assert_eq!((news.collection, news.object_id()), (Collection::Alerts, Some(alert_id(2).0)));
    assert!(news.cause.contains("alertcast.cursor"), "{news}");
    let tell = || vec![notice(1, 1).first];
    for _ in 0..2 {
        scene.store.set_aside(&news, at(9), tell()).await.unwrap();
        let kept = raw(&*scene.store, Collection::Alerts, alert_id(2)).await;
        let processing = kept.get_document("processing").unwrap();
        assert_eq!(processing.get_str("status").unwrap(), "failed");
        assert_eq!(processing.get_array("errors").unwrap().len(), 1, "once");
    }
    assert_eq!(scene.store.count(Collection::Deliveries).await, Ok(1), "told once");
    // What has been mended meanwhile is left alone.
    let other = UnreadableDocument { id: alert_id(1).into(), ..news };
    scene.store.set_aside(&other, at(9), Vec::new()).await.unwrap();
    assert_eq!(numbers(&scene.store.pending_alerts(&everywhere(), &[], 10).await.unwrap()), [1, 3]);
}

pub async fn a_due_delivery_that_cannot_be_read_is_left_out_and_set_aside(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 3).await;
    let all: Vec<_> = (1..=3).map(|user| entry(Channel::Telegram, 1, 1, user)).collect();
    scene.put_deliveries(&all).await;
    spoil(&scene, Collection::Deliveries, all[1].id, "facts", "none").await;
    let due = scene.store.due(&all[0].lane, at(60), 10).await.unwrap();
    let ids: Vec<_> = due.iter().map(|delivery| delivery.id).collect();
    assert_eq!(ids.len(), 2);
    assert!(!ids.contains(&all[1].id));
    let news = only_news(&*scene.store);
    scene.store.set_aside(&news, at(9), Vec::new()).await.unwrap();
    let kept = raw(&*scene.store, Collection::Deliveries, all[1].id).await;
    assert_eq!(kept.get_str("state").unwrap(), DeliveryState::Dead.as_str());
    assert!(kept.get_str("lastError").unwrap().starts_with("cannot be read"), "{kept}");
    // With those that can be read everything goes on, although one of them stands among what is asked for.
    let ids: Vec<_> = all.iter().map(|delivery| delivery.id).collect();
    assert_eq!(scene.take(Channel::Telegram, &ids, 60).await.len(), 2);
}

pub async fn a_delivery_that_cannot_be_read_is_recovered_and_ends_past_its_deadline(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 2).await;
    let mut sending = entry(Channel::Telegram, 1, 1, 1);
    (sending.state, sending.epoch) = (DeliveryState::Sending, Some(0));
    let mut late = entry(Channel::Telegram, 1, 1, 2);
    late.deadline_at = at(5);
    scene.put_deliveries(&[sending.clone(), late.clone()]).await;
    for one in [&sending, &late] {
        spoil(&scene, Collection::Deliveries, one.id, "facts", 5).await;
    }
    let fence = scene.fence(Channel::Telegram);
    assert_eq!(scene.store.recover(fence, at(1)).await, Ok(1));
    let state = async |id| {
        let kept = raw(&*scene.store, Collection::Deliveries, id).await;
        kept.get_str("state").unwrap().to_owned()
    };
    assert_eq!(state(sending.id).await, "pending");
    let (_, more) = scene.store.expire_overdue(at(6), 10).await.unwrap();
    assert!(!more, "it is not found again and again");
    assert_eq!(state(late.id).await, "dead");
}

pub async fn an_open_trade_that_cannot_be_read_is_told_apart_and_ends_no_chunk(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 3).await;
    scene.accept(1, 1).await;
    scene.store.commit(finish_commit(opening_commit(&scene.work, 1, 1, 1..=3, TELEGRAM), at(2))).await.unwrap();
    spoil(&scene, Collection::Trades, trade_id(1, 2), "alertcast.tradeRef", 5).await;
    let asked: Vec<_> = (1..=3).map(user_id).collect();
    let state = scene.store.load_chunk(config_id(1), span(&(1..=3)), &asked).await.unwrap();
    let users: Vec<_> = state.open_trades.iter().map(|trade| trade.user_id).collect();
    assert_eq!(users, [user_id(1), user_id(3)]);
    assert_eq!(state.unreadable_trades.len(), 1);
    let unread = state.unreadable_trades[0];
    assert_eq!((unread.user, unread.id), (user_id(2), Some(trade_id(1, 2))));
    assert_eq!(state.last_numbers.len(), 3, "its number counts");
    assert_eq!(only_news(&*scene.store).collection, Collection::Trades);
    assert_eq!(scene.store.holders(config_id(1), None, 10).await.unwrap(), asked);
    // The others' trades end, and what was seen of it is what is checked.
    scene.accept(2, 1).await;
    let mut chunk = finish_commit(closing_commit(&scene.work, 2, 1, 1, 1..=1, TELEGRAM), at(3));
    let seen = state.open_trades.iter().map(|trade| (trade.id, trade.alertcast.rev.0));
    let unread = (trade_id(1, 2), unread.rev);
    chunk.plan.open_seen = Some((span(&(1..=3)), seen.chain([unread]).collect()));
    scene.store.commit(chunk).await.unwrap();
}

/// Takes the status away, as an application may that writes whole documents.
async fn without_status(scene: &TestScene, collection: Collection, id: impl Into<ObjectId>, path: &str) {
    let (id, unset) = (id.into(), vec![path.to_owned()]);
    let write = DocumentWrite::Update { collection, id, set: Document::new(), unset, expect: Vec::new() };
    scene.store.write(vec![write]).await.unwrap();
}

pub async fn an_accepted_alert_without_a_status_is_found_and_set_aside(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.open(1, 1..=1, TELEGRAM).await;
    for n in 2..=3 {
        scene.accept(n, 1).await;
    }
    scene.store.write(vec![insert(Collection::Alerts, &alert(4, 1))]).await.unwrap();
    for n in [1, 2, 4] {
        without_status(&scene, Collection::Alerts, alert_id(n), "processing.status").await;
    }
    let strays = scene.store.stray_alerts(10).await.unwrap();
    let found: BTreeSet<_> = strays.iter().filter_map(UnreadableDocument::object_id).collect();
    assert_eq!(found, BTreeSet::from([alert_id(1).0, alert_id(2).0]), "one that was not accepted here is not ours");
    for stray in &strays {
        scene.store.set_aside(stray, at(9), Vec::new()).await.unwrap();
    }
    for (n, status) in [(1, "processed"), (2, "failed")] {
        let kept = raw(&*scene.store, Collection::Alerts, alert_id(n)).await;
        let processing = kept.get_document("processing").unwrap();
        assert_eq!(processing.get_str("status").unwrap(), status, "{n}");
        assert_eq!(processing.get_array("errors").unwrap().len(), 1, "{n}");
    }
    assert_eq!(scene.store.stray_alerts(10).await, Ok(Vec::new()));
    assert_eq!(numbers(&scene.store.pending_alerts(&everywhere(), &[], 10).await.unwrap()), [3]);
}

pub async fn an_open_trade_without_a_status_is_open(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 3).await;
    scene.open(1, 1..=3, TELEGRAM).await;
    without_status(&scene, Collection::Trades, trade_id(1, 2), "status").await;
    let all: Vec<_> = (1..=3).map(user_id).collect();
    assert_eq!(scene.store.holders(config_id(1), None, 10).await, Ok(all.clone()));
    assert_eq!(scene.store.holders(config_id(1), Some(user_id(1)), 1).await, Ok(all[1..2].to_vec()));
    assert_eq!(scene.store.holders(config_id(1), Some(user_id(2)), 10).await, Ok(all[2..].to_vec()));
    let state = scene.store.load_chunk(config_id(1), span(&(1..=3)), &[]).await.unwrap();
    let users: Vec<_> = state.open_trades.iter().map(|trade| trade.user_id).collect();
    assert_eq!((users, state.unreadable_trades.len()), (all, 0));
    scene.accept(2, 1).await;
    scene.store.commit(finish_commit(closing_commit(&scene.work, 2, 1, 1, 1..=3, TELEGRAM), at(3))).await.unwrap();
    assert_eq!(scene.store.holders(config_id(1), None, 10).await, Ok(Vec::new()));
    let kept = raw(&*scene.store, Collection::Trades, trade_id(1, 2)).await;
    assert_eq!(kept.get_str("status").unwrap(), "closed");
}

pub async fn a_quota_that_cannot_be_read_is_removed_and_counted_anew(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 2).await;
    scene
        .store
        .write(vec![insert(Collection::Quotas, &quota(1, 1, 3)), insert(Collection::Quotas, &quota(2, 1, 3))])
        .await
        .unwrap();
    spoil(&scene, Collection::Quotas, user_id(1), "day", 20_261_128).await;
    let asked = [user_id(1), user_id(2)];
    let state = scene.store.load_chunk(config_id(1), span(&(1..=2)), &asked).await.unwrap();
    assert_eq!(state.quotas.len(), 1);
    assert_eq!(state.unreadable_quotas.len(), 1);
    scene.store.set_aside(&state.unreadable_quotas[0], at(9), Vec::new()).await.unwrap();
    let state = scene.store.load_chunk(config_id(1), span(&(1..=2)), &asked).await.unwrap();
    assert_eq!((state.quotas.len(), state.unreadable_quotas.len()), (1, 0));
}

pub async fn decisions_and_deliveries_that_cannot_be_read_are_left_out(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 3).await;
    scene.accept(1, 1).await;
    scene.store.commit(finish_commit(opening_commit(&scene.work, 1, 1, 1..=3, BOTH), at(2))).await.unwrap();
    let before = scene.store.deliveries_of(alert_id(1), None, 100).await.unwrap();
    spoil(&scene, Collection::Deliveries, before[0].id, "deadlineAt", "soon").await;
    let after = scene.store.deliveries_of(alert_id(1), None, 100).await.unwrap();
    assert_eq!(after, before[1..]);
    let few = scene.store.deliveries_of(alert_id(1), None, 2).await.unwrap();
    assert!(!few.is_empty());
}

/// What the program writes into is not always what it wrote: others hold the same documents.
pub async fn a_chunk_holds_whatever_stands_where_it_writes(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.accept(1, 1).await;
    scene.store.commit(finish_commit(opening_commit(&scene.work, 1, 1, 1..=1, TELEGRAM), at(2))).await.unwrap();
    scene.accept(2, 1).await;
    // As far as the engine lets it be written.
    for (path, value) in [
        ("pnl", Bson::Null),
        ("metadata", "none".into()),
        ("timestamps", Bson::Array(Vec::new())),
        ("alerts", 5.into()),
    ] {
        let write = set(Collection::Trades, trade_id(1, 1), doc! { path: value });
        let _ = scene.store.write(vec![write]).await;
    }
    for (path, value) in [("statistics", Bson::Null), ("statistics", "many".into())] {
        let write = set(Collection::Alerts, alert_id(2), doc! { path: value });
        let _ = scene.store.write(vec![write]).await;
    }
    let chunk = finish_commit(closing_commit(&scene.work, 2, 1, 1, 1..=1, TELEGRAM), at(3));
    scene.store.commit(chunk).await.unwrap();
    let kept = raw(&*scene.store, Collection::Trades, trade_id(1, 1)).await;
    assert_eq!(kept.get_str("status").unwrap(), "closed");
    assert!(kept.get_document("pnl").unwrap().contains_key("amount"), "{kept}");
    assert!(kept.get_document("timestamps").unwrap().get_datetime("closedAt").is_ok(), "{kept}");
}

/// Whether a value is what the declaration asks for, as a validator sees it; none where that depends on more.
fn is_declared(field: &FieldDeclaration, value: &Bson) -> Option<bool> {
    if *value == Bson::Null {
        return Some(!field.is_required());
    }
    let is_number = matches!(value, Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) | Bson::Decimal128(_));
    Some(match field.stored_kind() {
        StoredKind::Text => matches!(value, Bson::String(_)),
        StoredKind::Name => matches!(value, Bson::String(text) if !text.is_empty()),
        StoredKind::Email => return None,
        StoredKind::Word(words) => value.as_str().is_some_and(|word| words.contains(&word)),
        StoredKind::Number => is_number,
        StoredKind::AtLeast(_) | StoredKind::Within(..) if is_number => return None,
        StoredKind::AtLeast(_) | StoredKind::Within(..) => false,
        StoredKind::Flag => matches!(value, Bson::Boolean(_)),
        StoredKind::Date => matches!(value, Bson::DateTime(_)),
        StoredKind::Id => matches!(value, Bson::ObjectId(_)),
        StoredKind::Document => matches!(value, Bson::Document(_)),
        StoredKind::List(_) | StoredKind::Documents(_) => match value {
            Bson::Array(items) if items.is_empty() => true,
            Bson::Array(_) => return None,
            _ => false,
        },
    })
}

/// NaN is no number: where nothing is the default, nothing stands in for it.
fn is_nan(value: &Bson) -> bool {
    matches!(value, Bson::Double(number) if number.is_nan())
        || matches!(value, Bson::Decimal128(number) if number.to_string() == "NaN")
}

/// So many values are tried at each field, others at each, where there is no time for all.
const SAMPLE: usize = 6;

pub async fn what_the_declaration_allows_is_taken_and_read_whole(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    store.write(people(1, 1)).await.unwrap();
    let whole = std::env::var_os("ALERTCAST_TEST_LONG").is_some();
    let values = every_bson_type();
    let stored = [
        (Collection::Users, user_id(1).0),
        (Collection::SubscriptionPlans, plan_id(1).0),
        (Collection::AlertConfigurations, config_id(1).0),
        (Collection::UserSubscriptions, subscription_id(1).0),
        (Collection::UserAlertPreferences, preference_id(1, 1).0),
    ];
    let mut turn = 0;
    for (collection, id) in stored {
        let before = raw(&*store, collection, id).await;
        for field in contract_fields(collection) {
            if collection.references().iter().any(|reference| reference.field == field.path) {
                // Where it must lead is another rule.
                continue;
            }
            let count = if whole { values.len() } else { SAMPLE };
            for value in (0..count).map(|n| &values[(turn + n) % values.len()]) {
                let mut spoilt = before.clone();
                put_at(&mut spoilt, field.path, value.clone());
                let level = field.path.split('.').next().unwrap();
                let set_to = |document: &Document| set(collection, id, doc! { level: document.get(level).cloned() });
                let taken = store.write(vec![set_to(&spoilt)]).await;
                let what = format!("{collection} {} {value:?}", field.path);
                if is_declared(field, value) == Some(true) {
                    taken.clone().unwrap_or_else(|error| panic!("{what} is refused: {error}"));
                }
                if taken.is_ok() {
                    let kept = raw(&*store, collection, id).await;
                    let trouble = trouble_of(collection, &kept);
                    if is_declared(field, value) == Some(true) && !is_nan(value) {
                        assert_eq!(trouble, None, "{what}");
                    }
                    let back = if before.contains_key(level) {
                        set_to(&before)
                    } else {
                        DocumentWrite::Update {
                            collection,
                            id,
                            set: Document::new(),
                            unset: vec![level.to_owned()],
                            expect: Vec::new(),
                        }
                    };
                    store.write(vec![back]).await.unwrap();
                }
            }
            turn += SAMPLE;
        }
    }
}
