//! Rules of [`Documents`](alertcast_core::store::Documents): reading and writing documents as such.

use bson::oid::ObjectId;
use bson::{Bson, Document, doc};

use super::StoreHarness;
use super::dump::{StoreDump, find, one, raw};
use super::scene::{insert, insert_with_foreign, people, set};
use alertcast_core::alert::document::Alert;
use alertcast_core::alert_configuration::AlertConfiguration;
use alertcast_core::fixtures::*;
use alertcast_core::plan::Plan;
use alertcast_core::store::{Collection, DocumentWrite, StoreError, document};
use alertcast_core::subscription::Subscription;
use alertcast_core::trade::document::Trade;

pub async fn setting_up_again_changes_nothing(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    store.setup().await.unwrap();
    store.write(people(2, 1)).await.unwrap();
    let before = StoreDump::of(&*store).await;
    store.setup().await.unwrap();
    before.assert_same(&StoreDump::of(&*store).await);
}

pub async fn a_document_comes_back_as_it_went_in(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let mut written = with_foreign_fields(document(&user(1)).unwrap());
    written.insert("int", 1);
    written.insert("whole", 1.0);
    written.insert("decimal", "12.50".parse::<bson::Decimal128>().unwrap());
    written.insert("date", Bson::from(at(1)));
    written.insert("binary", bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: vec![0, 1, 255] });
    written.insert("id", oid(99, 1, 2));
    written.insert("text", "a\u{0}b ☕");
    let write = DocumentWrite::Insert { collection: Collection::Users, document: written.clone() };
    store.write(vec![write]).await.unwrap();
    assert_eq!(raw(&*store, Collection::Users, user_id(1)).await, written);
}

pub async fn get_leaves_out_what_is_not_there(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    store.write(people(3, 1)).await.unwrap();
    let ids: Vec<ObjectId> = [3, 9, 1].map(|n| user_id(n).0).to_vec();
    let mut found = ids_of(&store.get(Collection::Users, &ids).await.unwrap());
    found.sort();
    assert_eq!(found, [user_id(1).0, user_id(3).0]);
    assert_eq!(store.get(Collection::Users, &[]).await, Ok(Vec::new()));
    assert_eq!(store.get(Collection::Trades, &ids).await, Ok(Vec::new()));
}

pub async fn many_documents_are_got_at_once(harness: &dyn StoreHarness) {
    const MANY: u32 = 3_000;
    let store = harness.fresh().await;
    let writes = (1..=MANY).map(|n| insert(Collection::Users, &user(n))).collect();
    store.write(writes).await.unwrap();
    let ids: Vec<ObjectId> = (1..=MANY).map(|n| user_id(n).0).collect();
    assert_eq!(store.get(Collection::Users, &ids).await.unwrap().len(), 3_000);
}

pub async fn pages_follow_each_other_by_id(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let order = [5, 2, 7, 1, 6, 3, 4];
    let writes = order.iter().map(|&n| insert(Collection::Users, &user(n))).collect();
    store.write(writes).await.unwrap();
    let mut seen = Vec::new();
    loop {
        let page = store.page(Collection::Users, seen.last().copied(), 3).await.unwrap();
        assert!(page.len() <= 3);
        if page.is_empty() {
            break;
        }
        seen.extend(ids_of(&page));
    }
    assert_eq!(seen, (1..=7).map(|n| user_id(n).0).collect::<Vec<_>>());
    let between = store.page(Collection::Users, Some(oid(1, 0, 6)), 10).await.unwrap();
    assert_eq!(ids_of(&between), [user_id(7).0]);
}

pub async fn documents_are_counted(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    assert_eq!(store.count(Collection::Users).await, Ok(0));
    store.write(people(3, 2)).await.unwrap();
    assert_eq!(store.count(Collection::Users).await, Ok(3));
    assert_eq!(store.count(Collection::UserAlertPreferences).await, Ok(6));
}

pub async fn a_document_is_found_by_its_unique_fields(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    store.write(people(3, 2)).await.unwrap();
    let id_of = async |collection: Collection, fields: &[(&str, Bson)]| {
        let found = store.find_unique(collection, fields).await.unwrap();
        found.map(|found| found.get_object_id("_id").unwrap())
    };
    let by_email = [("email", Bson::from(email(2)))];
    assert_eq!(id_of(Collection::Users, &by_email).await, Some(user_id(2).0));
    let by_telegram = [("telegram.userId", Bson::from(chat(3)))];
    assert_eq!(id_of(Collection::Users, &by_telegram).await, Some(user_id(3).0));
    let by_transaction = [("payment.transactionId", Bson::from("TXN1"))];
    let found = id_of(Collection::UserSubscriptions, &by_transaction).await;
    assert_eq!(found, Some(subscription_id(1).0));
    let by_three = [("symbol", Bson::from("SYM2")), ("timeframe", Bson::from("1h")), ("strategy", Bson::from("EMA"))];
    let found = id_of(Collection::AlertConfigurations, &by_three).await;
    assert_eq!(found, Some(config_id(2).0));
    let by_two = [("userId", Bson::from(user_id(3))), ("alertConfigId", Bson::from(config_id(1)))];
    let found = id_of(Collection::UserAlertPreferences, &by_two).await;
    assert_eq!(found, Some(preference_id(1, 3).0));
    let unknown = [("email", Bson::from("nobody@example.com"))];
    assert_eq!(id_of(Collection::Users, &unknown).await, None);
}

pub async fn numbers_are_read_whatever_bson_number_they_are(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let forms: [fn(i32) -> Bson; 3] = [Bson::from, |n| Bson::from(i64::from(n)), |n| Bson::from(f64::from(n))];
    for (form, n) in forms.iter().zip(1_u32..) {
        let mut writes = Vec::new();
        let mut put = |collection, value: Document, path: &[(&str, i32)]| {
            let mut document = value;
            for (path, value) in path {
                set_path(&mut document, path, form(*value));
            }
            writes.push(DocumentWrite::Insert { collection, document });
        };
        put(
            Collection::AlertConfigurations,
            document(&config(n)).unwrap(),
            &[("tradeManagement.maxOpenTrades", 2), ("statistics.successRate", 75)],
        );
        put(
            Collection::SubscriptionPlans,
            document(&plan(n, &[])).unwrap(),
            &[("pricing.amount", 2_499), ("pricing.duration.months", 3)],
        );
        put(Collection::Users, document(&user(n)).unwrap(), &[]);
        let paths = [("usage.alertsReceived", 12), ("payment.amount", 999)];
        let mut paid = document(&subscription(n)).unwrap();
        paid.insert("subscriptionPlanId", plan_id(n));
        put(Collection::UserSubscriptions, paid, &paths);
        let paths = [("tradeNumber", 4), ("tradeData.entryPrice", 100), ("pnl.amount", -3)];
        put(Collection::Trades, document(&trade(1, n, n, 1, &[])).unwrap(), &paths);
        let paths = [("alertData.price", 101), ("statistics.deliveryCount", 8)];
        put(Collection::Alerts, document(&alert(n, n)).unwrap(), &paths);
        store.write(writes).await.unwrap();

        let config: AlertConfiguration = one(&*store, Collection::AlertConfigurations, config_id(n)).await;
        assert_eq!(config.trade_management.max_open_trades.0, 2);
        assert_eq!(config.statistics.success_rate, amount(75.0));
        let plan: Plan = one(&*store, Collection::SubscriptionPlans, plan_id(n)).await;
        assert_eq!((plan.pricing.amount, plan.pricing.duration.months.0), (amount(2_499.0), 3));
        let paid: Subscription = one(&*store, Collection::UserSubscriptions, subscription_id(n)).await;
        assert_eq!((paid.usage.alerts_received.0, paid.payment.amount), (12, amount(999.0)));
        let trade: Trade = one(&*store, Collection::Trades, trade_id(1, n)).await;
        assert_eq!((trade.trade_number.0, trade.trade_data.entry_price), (4, price(100.0)));
        assert_eq!(trade.pnl.amount, Some(amount(-3.0)));
        let alert: Alert = one(&*store, Collection::Alerts, alert_id(n)).await;
        assert_eq!((alert.alert_data.price, alert.statistics.delivery_count.0), (price(101.0), 8));
    }
}

pub async fn an_update_sets_and_unsets_paths_and_keeps_the_rest(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    store.write(vec![insert_with_foreign(Collection::Users, &user(1))]).await.unwrap();
    let mut want = raw(&*store, Collection::Users, user_id(1)).await;
    let update = DocumentWrite::Update {
        collection: Collection::Users,
        id: user_id(1).0,
        set: doc! {
            "profile.name": "Renamed", "telegram.username": "renamed", "status": "suspended",
            "preferences.trading": { "riskLevel": "high" }, "alertcast.botId": "42", "updatedAt": at(5),
        },
        unset: vec!["telegram.firstName".to_owned(), "foreign.list".to_owned(), "no.such".to_owned()],
        expect: Vec::new(),
    };
    store.write(vec![update]).await.unwrap();
    set_path(&mut want, "profile.name", "Renamed".into());
    set_path(&mut want, "telegram.username", "renamed".into());
    set_path(&mut want, "status", "suspended".into());
    set_path(&mut want, "preferences.trading", doc! { "riskLevel": "high" }.into());
    want.insert("alertcast", doc! { "botId": "42" });
    want.insert("updatedAt", at(5));
    want.get_document_mut("telegram").unwrap().remove("firstName");
    want.get_document_mut("foreign").unwrap().remove("list");
    assert_eq!(raw(&*store, Collection::Users, user_id(1)).await, want);
}

pub async fn an_update_is_seen_by_every_way_of_looking(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    store.write(people(2, 1)).await.unwrap();
    let moved = set(Collection::Users, user_id(1), doc! { "email": "moved@example.com" });
    store.write(vec![moved]).await.unwrap();
    let by = |email: &str| [("email", Bson::from(email))];
    let found = store.find_unique(Collection::Users, &by("moved@example.com")).await.unwrap();
    assert_eq!(ids_of(&[found.unwrap()]), [user_id(1).0]);
    assert_eq!(store.find_unique(Collection::Users, &by(&email(1))).await, Ok(None));
    let taken = set(Collection::Users, user_id(2), doc! { "email": email(1) });
    store.write(vec![taken]).await.unwrap();
}

pub async fn an_update_happens_only_where_its_expectation_holds(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    store.write(people(1, 1)).await.unwrap();
    let update = |id: ObjectId, field: &str, value: Bson| DocumentWrite::Update {
        collection: Collection::UserSubscriptions,
        id,
        set: doc! { "payment.status": "rejected" },
        unset: Vec::new(),
        expect: vec![(field.to_owned(), value)],
    };
    let id = subscription_id(1).0;
    let before = StoreDump::of(&*store).await;
    for (id, field, value) in [
        (id, "payment.status", Bson::from("pending")),
        (id, "payment.nothing", Bson::from("approved")),
        (id, "subscription.endDate", Bson::from(at(1))),
        (oid(99, 0, 0), "payment.status", Bson::from("approved")),
    ] {
        let answer = store.write(vec![update(id, field, value)]).await;
        assert_eq!(answer, Err(StoreError::Conflict), "{field}");
        before.assert_same(&StoreDump::of(&*store).await);
    }
    let held = update(id, "payment.status", Bson::from("approved"));
    store.write(vec![held.clone()]).await.unwrap();
    assert_eq!(store.write(vec![held]).await, Err(StoreError::Conflict), "it holds no more");
}

pub async fn of_updates_with_one_expectation_at_once_one_succeeds(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    store.write(people(1, 1)).await.unwrap();
    let doors = super::scene::doors(harness, &store, 2).await;
    let updates = (0..8).zip(doors.into_iter().cycle()).map(|(n, store)| async move {
        let update = DocumentWrite::Update {
            collection: Collection::UserSubscriptions,
            id: subscription_id(1).0,
            set: doc! { "payment.status": "rejected", "payment.rejectionReason": format!("by {n}") },
            unset: Vec::new(),
            expect: vec![("payment.status".to_owned(), "approved".into())],
        };
        store.write(vec![update]).await
    });
    let answers = super::scene::at_once(updates).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    let lost = answers.iter().filter(|answer| **answer == Err(StoreError::Conflict));
    assert_eq!(lost.count(), 7, "{answers:?}");
}

pub async fn an_update_of_what_is_not_there_is_a_conflict(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let answer = store.write(vec![set(Collection::Users, user_id(1), doc! { "status": "active" })]).await;
    assert_eq!(answer, Err(StoreError::Conflict));
    assert_eq!(store.count(Collection::Users).await, Ok(0));
}

pub async fn a_deleted_document_is_gone_and_deleting_it_again_is_nothing(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    store.write(people(2, 1)).await.unwrap();
    let delete = DocumentWrite::Delete { collection: Collection::UserAlertPreferences, id: preference_id(1, 1).0 };
    for _ in 0..2 {
        store.write(vec![delete.clone()]).await.unwrap();
        assert_eq!(find(&*store, Collection::UserAlertPreferences, preference_id(1, 1)).await, None);
        assert_eq!(store.count(Collection::UserAlertPreferences).await, Ok(1));
    }
}

pub(super) fn ids_of(documents: &[Document]) -> Vec<ObjectId> {
    documents.iter().map(|document| document.get_object_id("_id").unwrap()).collect()
}

/// Sets a dotted path whose parents are there.
fn set_path(document: &mut Document, path: &str, value: Bson) {
    match path.split_once('.') {
        None => {
            document.insert(path, value);
        }
        Some((first, rest)) => set_path(document.get_document_mut(first).unwrap(), rest, value),
    }
}
