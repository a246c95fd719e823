use bson::oid::ObjectId;
use bson::{Bson, Document, doc};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;
use crate::admin::Admin;
use crate::alert::document::Alert;
use crate::alert_configuration::AlertConfiguration;
use crate::audit::AuditEntry;
use crate::decision::DecisionChunk;
use crate::delivery::{Channel, Delivery, MessageKind};
use crate::fixtures;
use crate::fixtures::audit;
use crate::plan::Plan;
use crate::preference::AlertPreference;
use crate::quota::Quota;
use crate::reading::{encode, every_bson_type, pack, put_at};
use crate::store::{Collection, Lease, RejectedWebhook, document};
use crate::subscription::Subscription;
use crate::time::Time;
use crate::token::ApiToken;
use crate::trade::document::Trade;
use crate::user::User;

fn id(n: u8) -> ObjectId {
    ObjectId::from_bytes([n; 12])
}

/// A type that documents are read as, with a document that is one.
struct Sample {
    document: Document,
    compare: fn(&Document, &[(String, Bson)]),
}

fn sample<T: Serialize + DeserializeOwned>(value: &T) -> Sample {
    raw_sample::<T>(document(value).unwrap())
}

fn raw_sample<T: Serialize + DeserializeOwned>(document: Document) -> Sample {
    Sample { document, compare: compare::<T> }
}

fn samples() -> Vec<Sample> {
    let both = [Channel::Telegram, Channel::Email];
    let notice = fixtures::operator(MessageKind::Operator, 1, 2);
    vec![
        sample::<User>(&fixtures::user(1)),
        sample::<Plan>(&fixtures::plan(1, &[])),
        sample::<AlertConfiguration>(&fixtures::config(1)),
        sample::<Subscription>(&fixtures::subscription(1)),
        sample::<AlertPreference>(&fixtures::preference(1, 2)),
        sample::<Alert>(&fixtures::refused_alert(1, 2, &["price"])),
        sample::<Trade>(&fixtures::trade(1, 2, 3, 1, &both)),
        sample::<Delivery>(&fixtures::entry(Channel::Telegram, 1, 2, 3)),
        sample::<Delivery>(&fixtures::exit(Channel::Telegram, 1, 2, 3, 4)),
        sample::<Delivery>(&notice),
        sample::<Quota>(&fixtures::quota(1, 2, 3)),
        sample::<AuditEntry>(&audit(1, Collection::Users, id(1))),
        sample::<Lease>(&Lease { name: "work:0".to_owned(), owner: "a".to_owned(), epoch: 1, renewal: 2 }),
        raw_sample::<RejectedWebhook>(doc! {
            "_id": id(1), "receivedAt": Time::from_millis(1), "body": "", "query": "", "errors": ["x"], "status": 400,
        }),
        raw_sample::<ApiToken>(doc! {
            "_id": id(1), "adminId": id(2), "digest": "d", "expiresAt": Time::from_millis(1),
            "createdAt": Time::from_millis(0),
        }),
        raw_sample::<Admin>(doc! {
            "_id": id(1), "username": "a", "email": "a@example.com", "password": "p",
            "profile": { "firstName": "A", "lastName": "B" }, "permissions": { "users": { "view": true } },
            "security": { "failedLoginAttempts": 1, "lockedUntil": Time::from_millis(2) },
        }),
        raw_sample::<DecisionChunk>(doc! {
            "alertId": id(1), "firstUser": id(2), "lastUser": id(3),
            "decisions": [{ "u": id(2), "s": id(3), "v": "disabled", "a": [] }],
        }),
    ]
}

/// What bson's own reader makes of it.
#[expect(clippy::disallowed_methods, reason = "ours is held against it")]
fn as_bson_reads<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    bson::deserialize_from_slice(bytes).ok()
}

/// Whether bson's reader takes such a value for another: a list for a structure by its places, a date for an empty
/// structure, an object with a tag of extended JSON for what the tag says, binary data for an id, an object for a word.
fn is_taken_for_another(value: &Bson) -> bool {
    !matches!(
        value,
        Bson::Double(_) | Bson::Int32(_) | Bson::Int64(_) | Bson::String(_) | Bson::Boolean(_) | Bson::Null
    ) && *value != Bson::Document(Document::new())
}

/// Both read the same, or both refuse. What bson's reader takes for another value ours may refuse; never the reverse.
fn compare<T: Serialize + DeserializeOwned>(document: &Document, changes: &[(String, Bson)]) {
    let mut changed = document.clone();
    for (path, value) in changes {
        put_at(&mut changed, path, value.clone());
    }
    let bytes = pack(&changed).unwrap();
    match (decode::<T>(&bytes), as_bson_reads::<T>(&bytes)) {
        (Ok(ours), theirs) => {
            let theirs = theirs.map(|theirs| encode(&theirs).unwrap());
            assert_eq!(Some(encode(&ours).unwrap()), theirs, "{changes:?}");
        }
        (Err(_), None) => {}
        (Err(error), Some(_)) => {
            assert!(changes.iter().any(|(_, value)| is_taken_for_another(value)), "{error}: {changes:?}");
        }
    }
}

/// The paths of all fields at every level, and of one more that nobody knows.
fn paths(document: &Document, prefix: &str) -> Vec<String> {
    let mut all = vec![format!("{prefix}unknown")];
    for (name, value) in document {
        all.push(format!("{prefix}{name}"));
        if let Bson::Document(inner) = value {
            all.extend(paths(inner, &format!("{prefix}{name}.")));
        }
    }
    all
}

#[test]
fn every_sample_is_read_as_it_was_written() {
    for Sample { document, compare } in samples() {
        compare(&document, &[]);
    }
    let closed = fixtures::exit(Channel::Telegram, 1, 2, 3, 4);
    assert_eq!(decode::<Delivery>(&pack(&document(&closed).unwrap()).unwrap()).unwrap(), closed);
}

#[test]
fn whatever_stands_in_a_field_is_read_as_bson_reads_it_or_refused() {
    let mut values = every_bson_type();
    values.push(doc! { "$oid": "507f1f77bcf86cd799439011" }.into());
    values.push(doc! { "$date": { "$numberLong": "5" } }.into());
    values.push(doc! { "$numberInt": "5" }.into());
    values.push(doc! { "BUY": 1 }.into());
    values.push(bson::Binary { subtype: BinarySubtype::Generic, bytes: vec![1; 12] }.into());
    for Sample { document, compare } in samples() {
        for path in paths(&document, "") {
            for value in &values {
                compare(&document, &[(path.clone(), value.clone())]);
            }
        }
    }
}

#[test]
fn nothing_is_taken_for_another_value() {
    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Wanted {
        #[serde(default)]
        id: Option<crate::id::UserId>,
        #[serde(default)]
        at: Option<Time>,
        #[serde(default)]
        count: Option<crate::money::Count>,
        #[serde(default)]
        side: Option<crate::market::Side>,
        #[serde(default)]
        structure: Option<Inner>,
        #[serde(default)]
        list: Option<Vec<i32>>,
        #[serde(default)]
        text: Option<String>,
    }
    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Inner {
        #[serde(default)]
        flag: bool,
    }
    let fits = |name: &str, value: &Bson| match (name, value) {
        (_, Bson::Null | Bson::Undefined) => matches!(value, Bson::Null),
        ("id", value) => matches!(value, Bson::ObjectId(_)),
        ("at", value) => matches!(value, Bson::DateTime(_)),
        ("count", Bson::Double(number)) => !number.is_nan(),
        ("count", Bson::Decimal128(number)) => number.to_string() != "NaN",
        ("count", value) => matches!(value, Bson::Int32(_) | Bson::Int64(_)),
        ("side", value) => *value == Bson::from("BUY"),
        ("structure", value) => matches!(value, Bson::Document(_)),
        ("list", value) => *value == Bson::Array(Vec::new()),
        (_, value) => matches!(value, Bson::String(_)),
    };
    let tagged = [
        doc! { "$oid": "507f1f77bcf86cd799439011" },
        doc! { "$date": { "$numberLong": "5" } },
        doc! { "$numberInt": "5" },
        doc! { "BUY": 1 },
    ];
    let twelve = Bson::from(bson::Binary { subtype: BinarySubtype::Generic, bytes: vec![1; 12] });
    let values = every_bson_type().into_iter().chain(tagged.map(Bson::Document)).chain([twelve]);
    for value in values {
        for name in ["id", "at", "count", "side", "structure", "list", "text"] {
            let read = decode::<Wanted>(&pack(&doc! { name: value.clone() }).unwrap());
            assert_eq!(read.is_ok(), fits(name, &value), "{name}: {value:?}: {read:?}");
        }
    }
}

#[test]
fn raw_values_are_refused_rather_than_interpreted() {
    #[derive(Debug, serde::Deserialize)]
    struct Raw {
        #[expect(dead_code, reason = "that it cannot be read is what is tested")]
        data: bson::RawDocumentBuf,
    }
    let error = decode::<Raw>(&pack(&doc! { "data": { "$date": 5_i64 } }).unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "raw values are not read");
}

fn any_change() -> impl Strategy<Value = (prop::sample::Index, Bson)> {
    let tags = prop::sample::select(fixtures::TAG_NAMES.to_vec());
    let plain = prop::sample::select(every_bson_type());
    let value = prop_oneof![
        plain.clone(),
        prop::collection::vec(plain.clone(), 0..3).prop_map(Bson::Array),
        (tags, plain).prop_map(|(tag, value)| doc! { tag: value }.into()),
    ];
    (any::<prop::sample::Index>(), value)
}

proptest! {
    #[test]
    fn arbitrary_documents_are_read_as_bson_reads_them_or_refused(
        which in any::<prop::sample::Index>(), changes in prop::collection::vec(any_change(), 1..4),
    ) {
        let samples = samples();
        let Sample { document, compare } = which.get(&samples);
        let paths = paths(document, "");
        let changes: Vec<_> = changes.into_iter().map(|(at, value)| (at.get(&paths).clone(), value)).collect();
        compare(document, &changes);
    }

    #[test]
    fn damaged_bytes_are_refused_without_a_panic(
        which in any::<prop::sample::Index>(), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let samples = samples();
        let mut bytes = pack(&which.get(&samples).document).unwrap();
        let length = bytes.len();
        for (at, byte) in damage {
            bytes[at.index(length)] = byte;
        }
        let _ = decode::<Delivery>(&bytes);
        let _ = decode::<Alert>(&bytes);
        let _ = decode::<Trade>(&bytes);
    }
}
