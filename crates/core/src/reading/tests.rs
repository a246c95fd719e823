use bson::oid::ObjectId;
use bson::{Bson, doc};
use proptest::prelude::*;

use super::*;
use crate::alert::document::{Alert, AlertStatus};
use crate::alert_configuration::AlertConfiguration;
use crate::audit::AuditEntry;
use crate::fixtures::TAG_NAMES;
use crate::money::{Amount, Count};
use crate::plan::Plan;
use crate::preference::{AlertPreference, PreferenceStatistics};
use crate::schema::contract_fields;
use crate::store::{document, read};
use crate::subscription::{Subscription, SubscriptionUsage};
use crate::time::Time;
use crate::user::User;

fn id(n: u8) -> ObjectId {
    ObjectId::from_bytes([n; 12])
}

fn leniently<T: DeserializeOwned>(
    collection: Collection,
    document: &Document,
) -> Result<DocumentReading<T>, UnreadableDocument> {
    read_leniently(collection, &pack(document).unwrap())
}

fn alert(raw: Document, additional: Document) -> Document {
    doc! {
        "_id": id(1), "webhook": { "receivedAt": Time::from_millis(5), "rawPayload": raw },
        "alertData": {
            "symbol": "BTC", "timeframe": "1h", "strategy": "$price", "signal": "BUY", "price": 1.5,
            "timestamp": Time::from_millis(5), "additionalData": additional,
        },
    }
}

fn preference() -> Document {
    doc! { "_id": id(1), "userId": id(2), "subscriptionId": id(3), "alertConfigId": id(4) }
}

fn subscription() -> Document {
    doc! {
        "_id": id(1), "userId": id(2), "subscriptionPlanId": id(3),
        "payment": { "transactionId": "t", "amount": 1 },
    }
}

fn plan() -> Document {
    doc! {
        "_id": id(1), "name": "n", "description": "d", "pricing": { "amount": 1, "duration": { "months": 1 } },
    }
}

/// Everything that extended JSON has a name for, well-formed and not.
fn tagged() -> impl Strategy<Value = Bson> {
    let names: Vec<&str> = TAG_NAMES.into_iter().chain(["", "$__private__bson_RawDocument", "x"]).collect();
    let leaf = prop_oneof![
        "\\PC{0,6}".prop_map(Bson::from),
        any::<i32>().prop_map(Bson::from),
        any::<i64>().prop_map(Bson::from),
        any::<bool>().prop_map(Bson::from),
        Just(Bson::Null),
        Just(Bson::from("507f1f77bcf86cd799439011")),
        Just(Bson::from("2026-11-28T00:00:00Z")),
        Just(Bson::from(1)),
        Just(Bson::from("1")),
        Just(Bson::from(true)),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let names = prop::sample::select(names.clone());
        prop_oneof![
            prop::collection::vec((names, inner.clone()), 0..4).prop_map(|fields| {
                let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
                Bson::Document(fields.collect())
            }),
            prop::collection::vec(inner, 0..3).prop_map(Bson::Array),
        ]
    })
}

proptest! {
    #[test]
    fn data_is_never_taken_for_a_type(value in tagged()) {
        let data = doc! { "x": value };
        let kept = alert(data.clone(), data.clone());
        let read: Alert = read(Collection::Alerts, kept).unwrap();
        prop_assert_eq!(&read.webhook.raw_payload, &data);
        prop_assert_eq!(read.alert_data.additional_data.as_ref(), Some(&data));
        let again: Alert = super::super::store::read(Collection::Alerts, document(&read).unwrap()).unwrap();
        prop_assert_eq!(&again, &read);
        let entry = AuditEntry {
            id: id(1), at: Time::from_millis(1), admin_id: crate::id::AdminId(id(2)), username: String::new(),
            action: String::new(), collection: String::new(), document_id: id(3), before: Some(data.clone()),
            after: Some(data), reason: None, ip_address: None,
        };
        let again: AuditEntry = super::super::store::read(Collection::AuditLog, document(&entry).unwrap()).unwrap();
        prop_assert_eq!(again, entry);
    }
}

#[test]
fn null_in_a_field_with_a_default_is_the_default() {
    let mut kept = plan();
    kept.insert(
        "features",
        doc! { "prioritySupport": Bson::Null, "maxOpenTrades": 1e20, "maxAlertConfigs": Bson::Null },
    );
    kept.insert("metadata", Bson::Null);
    kept.insert("status", Bson::Null);
    let read: DocumentReading<Plan> = leniently(Collection::SubscriptionPlans, &kept).unwrap();
    assert_eq!(read.flaws, []);
    assert!(!read.value.features.priority_support);
    assert_eq!(read.value.features.max_open_trades, Count(Count::MAX));
    assert_eq!(read.value.features.max_alert_configs, Count(-1));

    let mut kept = subscription();
    kept.insert("subscription", doc! { "autoRenew": Bson::Null, "status": "active", "endDate": Bson::Null });
    let read: DocumentReading<Subscription> = leniently(Collection::UserSubscriptions, &kept).unwrap();
    assert_eq!((read.flaws.len(), read.value.subscription.auto_renew), (0, false));

    let user = doc! {
        "_id": id(1), "email": "a@b.cd", "telegram": { "userId": "1" }, "profile": { "name": "A", "timezone": Bson::Null },
        "preferences": { "trading": { "maxDailyAlerts": f64::INFINITY, "riskLevel": Bson::Null } },
    };
    let read: DocumentReading<User> = leniently(Collection::Users, &user).unwrap();
    assert_eq!(read.flaws, []);
    assert_eq!(read.value.profile.timezone, "UTC");
    assert_eq!(read.value.preferences.trading.max_daily_alerts, Count(Count::MAX));
}

#[test]
fn what_can_be_read_of_a_preference_is_obeyed_and_the_rest_is_told() {
    let mut kept = preference();
    kept.insert(
        "preferences",
        doc! { "enabled": false, "customSettings": { "maxPrice": "high", "minPrice": f64::NAN } },
    );
    let read: DocumentReading<AlertPreference> = leniently(Collection::UserAlertPreferences, &kept).unwrap();
    assert!(!read.value.preferences.enabled);
    let told = read.list_undecided().unwrap();
    assert_eq!(
        told,
        "preferences.customSettings.minPrice is NaN, not a number; \
         preferences.customSettings.maxPrice is another text, not a number"
    );
    kept.insert("preferences", doc! { "enabled": false, "customSettings": { "maxPrice": f64::INFINITY } });
    let read: DocumentReading<AlertPreference> = leniently(Collection::UserAlertPreferences, &kept).unwrap();
    assert_eq!((read.flaws.len(), read.value.preferences.enabled), (0, false));
    kept.insert("preferences", 5);
    let read: DocumentReading<AlertPreference> = leniently(Collection::UserAlertPreferences, &kept).unwrap();
    assert_eq!(read.list_undecided().as_deref(), Some("preferences is a number, not an object"));
}

#[test]
fn what_decides_nothing_is_stood_in_for_and_told() {
    let user = doc! { "_id": id(1), "email": 5, "telegram": Bson::Null, "profile": "none", "status": "active" };
    let read: DocumentReading<User> = leniently(Collection::Users, &user).unwrap();
    assert_eq!(read.list_undecided(), None);
    assert_eq!(read.value.email, "");
    let told: Vec<&str> = read.flaws.iter().map(|flaw| flaw.path.as_str()).collect();
    assert_eq!(told, ["profile", "email", "telegram.userId"]);
}

#[test]
fn what_stands_in_the_place_of_many_fields_weighs_as_the_weightiest() {
    let mut kept = subscription();
    kept.insert("subscription", doc! { "status": "active" });
    kept.insert("payment", "rejected");
    let read: DocumentReading<Subscription> = leniently(Collection::UserSubscriptions, &kept).unwrap();
    assert_eq!(read.list_undecided().as_deref(), Some("payment is another text, not an object"));
}

#[test]
fn what_is_no_object_is_not_read_as_an_empty_one() {
    for level in ["preferences", "preferences.alertTypes", "preferences.customSettings"] {
        let lists = [Vec::new(), vec![true.into(), true.into()], vec![Bson::Null; 3]].map(Bson::Array);
        let is_other = |value: &Bson| !matches!(value, Bson::Document(_) | Bson::Null | Bson::Undefined);
        for other in lists.into_iter().chain(every_type()).filter(is_other) {
            let mut kept = preference();
            crate::reading::put_at(&mut kept, level, other.clone());
            let read: DocumentReading<AlertPreference> = leniently(Collection::UserAlertPreferences, &kept).unwrap();
            let told = read.list_undecided().unwrap_or_default();
            assert!(told.starts_with(&format!("{level} is ")) && told.ends_with(", not an object"), "{told} {other:?}");
        }
    }
    let mut kept = subscription();
    kept.insert("alertcast", vec![Bson::from(id(9))]);
    let read: DocumentReading<Subscription> = leniently(Collection::UserSubscriptions, &kept).unwrap();
    assert_eq!(read.list_undecided().as_deref(), Some("alertcast is a list, not an object"));
}

#[test]
fn another_type_is_read_as_mongoose_has_it_where_that_is_beyond_doubt() {
    let decimal: bson::Decimal128 = "12".parse().unwrap();
    for (number, text) in [
        (Bson::Int32(-12), Some("-12")),
        (Bson::Int64(919_876_543_210), Some("919876543210")),
        (Bson::Double(919_876_543_210.0), Some("919876543210")),
        (Bson::Double(-1_001_234_567_890.0), Some("-1001234567890")),
        (Bson::Double(-0.0), Some("0")),
        (Bson::Double(0.5), None),
        (Bson::Double(1e300), None),
        (Bson::Decimal128(decimal), Some("12")),
        (Bson::Boolean(true), None),
    ] {
        let user = doc! {
            "_id": id(1), "email": "a@example.com", "profile": { "name": "A", "phone": number.clone() },
            "telegram": { "userId": number.clone(), "chatId": number.clone() },
        };
        let read: DocumentReading<User> = leniently(Collection::Users, &user).unwrap();
        let telegram = &read.value.telegram;
        let told = (telegram.chat_id.as_deref(), read.value.profile.phone.as_deref());
        assert_eq!(told, (text, text), "{number:?}");
        assert_eq!(telegram.user_id, text.unwrap_or_default(), "{number:?}");
        assert_eq!(read.flaws.len(), if text.is_some() { 0 } else { 3 }, "{number:?}");
    }
    for (text, number) in [
        ("12", Some(12)),
        ("-3", Some(-3)),
        ("7.9", Some(7)),
        ("1e3", Some(1000)),
        ("", None),
        (" 12", None),
        ("12 a day", None),
        ("Infinity", None),
        ("1e999", None),
        ("0x10", None),
    ] {
        let limit = doc! { "trading": { "maxDailyAlerts": text } };
        let user = doc! {
            "_id": id(1), "email": "a@example.com", "profile": { "name": "A" }, "telegram": { "userId": "1" },
            "preferences": limit,
        };
        let read: DocumentReading<User> = leniently(Collection::Users, &user).unwrap();
        let told = read.list_undecided().is_none().then_some(read.value.preferences.trading.max_daily_alerts.0);
        assert_eq!(told, number, "{text:?}");
    }
}

#[test]
fn a_document_that_lacks_what_decides_cannot_be_read_and_says_why() {
    let kept = doc! { "_id": id(7), "name": 1, "symbol": true, "timeframe": "1h", "strategy": "s" };
    let unreadable = leniently::<AlertConfiguration>(Collection::AlertConfigurations, &kept).unwrap_err();
    assert_eq!(unreadable.object_id(), Some(id(7)));
    assert_eq!(unreadable.cause, "symbol is true or false, not text");
    let unreadable = leniently::<Plan>(Collection::SubscriptionPlans, &doc! { "_id": "text" }).unwrap_err();
    assert_eq!(unreadable.id_text(), "text");
    assert!(read_bytes::<Plan>(Collection::SubscriptionPlans, &[1, 2, 3]).unwrap_err().cause.contains("damaged"));
}

#[test]
fn what_alertcast_keeps_is_left_out_piece_by_piece() {
    let mut kept = subscription();
    let picks = Bson::Array(vec![id(9).into()]);
    kept.insert("alertcast", doc! { "picks": picks, "approvedByAdmin": true });
    let read: DocumentReading<Subscription> = leniently(Collection::UserSubscriptions, &kept).unwrap();
    assert_eq!(read.value.alertcast.picks, Some(vec![crate::id::ConfigId(id(9))]));
    assert_eq!(read.flaws.len(), 1);
    kept.insert("alertcast", Bson::Null);
    let read: DocumentReading<Subscription> = leniently(Collection::UserSubscriptions, &kept).unwrap();
    assert_eq!(read.flaws, []);
}

#[test]
fn of_statistics_only_what_cannot_be_read_is_left_out() {
    let at = Time::from_millis(7);
    for bad in [Bson::Null, "1 2".into(), f64::NAN.into(), Bson::Array(vec![3.into()])] {
        let mut kept = subscription();
        kept.insert("usage", doc! { "alertsReceived": bad, "tradesOpened": 3, "lastActivityAt": at });
        let read: Subscription = read(Collection::UserSubscriptions, kept).unwrap();
        let want = SubscriptionUsage { alerts_received: Count(0), trades_opened: Count(3), last_activity_at: Some(at) };
        assert_eq!(read.usage, want);
    }
    for bad in [Bson::Null, "none".into(), Bson::Array(Vec::new()), 1.into()] {
        let mut kept = preference();
        kept.insert("statistics", bad);
        let read: AlertPreference = read(Collection::UserAlertPreferences, kept).unwrap();
        assert_eq!(read.statistics, PreferenceStatistics::default());
    }
}

#[test]
fn text_that_is_no_utf_8_is_read_without_what_is_wrong_with_it() {
    let mut bytes = pack(&doc! { "_id": id(1), "x": "ab" }).unwrap();
    let at = bytes.windows(2).position(|pair| pair == b"ab").unwrap();
    bytes[at] = 0xff;
    let read = unpack(Collection::Users, &bytes).unwrap();
    assert_eq!(read, doc! { "_id": id(1), "x": "\u{fffd}b" });
}

/// One value of each type that BSON has.
fn every_type() -> Vec<Bson> {
    crate::reading::every_bson_type()
}

#[test]
fn whatever_stands_in_a_field_of_the_seed_nothing_panics_and_what_is_read_is_written_again() {
    for value in every_type() {
        for field in contract_fields(Collection::Alerts) {
            let mut kept = alert(doc! {}, doc! {});
            crate::reading::put_at(&mut kept, field.path, value.clone());
            if let Ok(read) = leniently::<Alert>(Collection::Alerts, &kept) {
                let again: Alert =
                    super::super::store::read(Collection::Alerts, document(&read.value).unwrap()).unwrap();
                assert_eq!(again, read.value, "{} {value:?}", field.path);
                assert!(AlertStatus::ALL.contains(&again.processing.status));
            }
        }
    }
    assert!(Amount::of(&Bson::Null).is_err());
}
