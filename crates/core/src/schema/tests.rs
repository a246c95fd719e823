//! The table against what it declares: the documents' structs, and the seed's contract.

use std::cell::RefCell;
use std::collections::BTreeSet;

use bson::oid::ObjectId;
use bson::{Bson, Document, doc};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;
use crate::reading::{decode, pack, put_at, read_leniently};
use crate::store::listing::find_listing;
use crate::{
    admin, alert, alert_configuration, audit, delivery, plan, preference, store, subscription, token, trade, user,
};

thread_local! {
    /// The fields that structures asked for while they were read.
    static ASKED: RefCell<Vec<&'static [&'static str]>> = const { RefCell::new(Vec::new()) };
}

/// Notes what a structure that is being read asks for.
pub(crate) fn note_asked(fields: &'static [&'static str]) {
    ASKED.with_borrow_mut(|asked| asked.push(fields));
}

/// Calls a function with the type of a collection's documents.
macro_rules! with_type {
    ($collection:expr, $call:ident($($argument:expr),*)) => {
        match $collection {
            Collection::Users => $call::<user::User>($($argument),*),
            Collection::SubscriptionPlans => $call::<plan::Plan>($($argument),*),
            Collection::AlertConfigurations => $call::<alert_configuration::AlertConfiguration>($($argument),*),
            Collection::UserSubscriptions => $call::<subscription::Subscription>($($argument),*),
            Collection::UserAlertPreferences => $call::<preference::AlertPreference>($($argument),*),
            Collection::Trades => $call::<trade::document::Trade>($($argument),*),
            Collection::Alerts => $call::<alert::document::Alert>($($argument),*),
            Collection::AdminUsers => $call::<admin::Admin>($($argument),*),
            Collection::Deliveries => $call::<delivery::Delivery>($($argument),*),
            Collection::ApiTokens => $call::<token::ApiToken>($($argument),*),
            Collection::AuditLog => $call::<audit::AuditEntry>($($argument),*),
            Collection::RejectedWebhooks => $call::<store::RejectedWebhook>($($argument),*),
            other => panic!("{other} is declared, and its type is not known here"),
        }
    };
}

fn declared_collections() -> impl Iterator<Item = Collection> {
    Collection::ALL.iter().copied().filter(|collection| !fields(*collection).is_empty())
}

fn seed_collections() -> impl Iterator<Item = Collection> {
    Collection::ALL.iter().copied().filter(|collection| collection.is_in_seed())
}

/// A value as it is declared, and no field's default.
fn sample(kind: FieldKind) -> Bson {
    match kind {
        FieldKind::Text | FieldKind::LowercaseText | FieldKind::NumberName => "7".into(),
        FieldKind::Symbol => "BTCUSDT".into(),
        FieldKind::Email => "a@b.co".into(),
        FieldKind::Currency => "EUR".into(),
        FieldKind::TimeZone => "Asia/Kolkata".into(),
        FieldKind::Word(words) => words[words.len() - 1].into(),
        FieldKind::Whole { min, .. } => Bson::Int64(min.max(1)),
        FieldKind::Number(_) => Bson::Double(1.5),
        FieldKind::Flag => true.into(),
        FieldKind::Date => bson::DateTime::from_millis(1_000).into(),
        FieldKind::Id => ObjectId::from_bytes([7; 12]).into(),
        FieldKind::Object | FieldKind::Anything => doc! {}.into(),
        FieldKind::Document => doc! { "a": 1 }.into(),
        FieldKind::List(kind) => Bson::Array(vec![sample(*kind)]),
        FieldKind::Documents(fields) => Bson::Array(vec![sample_of(fields.iter()).into()]),
    }
}

fn sample_of<'f>(fields: impl Iterator<Item = &'f FieldDeclaration>) -> Document {
    let mut document = doc! { "_id": ObjectId::from_bytes([1; 12]) };
    fields.for_each(|field| put_at(&mut document, field.path, sample(field.kind)));
    document
}

/// Everything that the contract has, and what Alertcast keeps, empty.
fn whole(collection: Collection) -> Document {
    let mut document = sample_of(contract_fields(collection).into_iter());
    document.insert(OWN, doc! {});
    document
}

/// What must be given, and nothing else.
fn least(collection: Collection) -> Document {
    sample_of(contract_fields(collection).into_iter().filter(|field| field.is_required()))
}

fn at<'d>(document: &'d Document, path: &str) -> Option<&'d Bson> {
    match path.split_once('.') {
        None => document.get(path),
        Some((first, rest)) => at(document.get_document(first).ok()?, rest),
    }
}

/// Numbers are the same where their values are.
fn is_same(one: &Bson, other: &Bson) -> bool {
    let number = |value: &Bson| match value {
        Bson::Int32(number) => Some(f64::from(*number)),
        Bson::Int64(number) => Some(*number as f64),
        Bson::Double(number) => Some(*number),
        _ => None,
    };
    match (one, other) {
        (Bson::Array(one), Bson::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        // The struct of an item has no id.
        (Bson::Document(one), Bson::Document(other)) => one
            .iter()
            .filter(|(name, _)| *name != "_id")
            .all(|(name, value)| other.get(name).is_some_and(|o| is_same(value, o))),
        (one, other) => number(one).zip(number(other)).map_or(one == other, |(one, other)| one == other),
    }
}

fn read_again<T: Serialize + DeserializeOwned>(collection: Collection, document: &Document) -> Document {
    let read = read_leniently::<T>(collection, &pack(document).unwrap());
    let read = read.unwrap_or_else(|unreadable| panic!("{collection}: {}", unreadable.cause));
    assert_eq!(read.flaws, [], "{collection}");
    store::document(&read.value).unwrap()
}

#[test]
fn a_field_is_declared_once_and_is_no_part_of_another() {
    for collection in Collection::ALL {
        let paths: Vec<&str> = contract_fields(*collection).iter().map(|field| field.path).collect();
        for (n, path) in paths.iter().enumerate() {
            let within = |other: &&str| other == path || other.starts_with(&format!("{path}."));
            assert!(!paths[n + 1..].iter().any(&within), "{collection} {path}");
            assert!(!paths[..n].iter().any(within), "{collection} {path}");
        }
    }
}

#[test]
fn what_must_be_unique_and_what_refers_is_required_or_has_a_default() {
    for collection in seed_collections() {
        let unique = collection.indexes().iter().filter(|index| index.unique).flat_map(|index| index.keys);
        let refer = collection.references().iter().map(|reference| reference.field);
        for path in unique.map(|key| key.0).chain(refer) {
            let declared = contract_fields(collection).into_iter().find(|field| field.path == path);
            assert!(declared.is_some_and(|field| field.presence != FieldPresence::Optional), "{collection} {path}");
        }
    }
}

/// Every level's fields stand behind it, together; nothing is declared twice.
#[test]
fn each_object_is_declared_before_its_fields_and_once() {
    fn check(fields: &'static [FieldDeclaration], object: &str, what: &str) {
        let mut names = BTreeSet::new();
        for (field, within) in level(fields) {
            let parent = field.path.rsplit_once('.').map_or("", |(parent, _)| parent);
            assert_eq!(parent, object, "{what} {}", field.path);
            assert!(names.insert(field.name()), "{what} {} stands twice", field.path);
            let is_object = field.kind == FieldKind::Object;
            assert_eq!(is_object, !within.is_empty(), "{what} {}", field.path);
            check(within, field.path, what);
            if let FieldKind::Documents(fields) = field.kind {
                check(fields, "", what);
            }
        }
    }
    for collection in declared_collections() {
        check(fields(collection), "", collection.name());
    }
}

#[test]
fn an_object_is_required_where_a_field_within_is() {
    for collection in declared_collections() {
        for object in fields(collection).iter().filter(|field| field.kind == FieldKind::Object) {
            let holds = fields(collection).iter().any(|field| field.is_within(object.path) && field.is_required());
            assert_eq!(object.is_required(), holds, "{collection} {}", object.path);
        }
    }
}

#[test]
fn every_field_is_described_in_a_sentence_and_its_default_is_what_it_holds() {
    for collection in declared_collections() {
        for field in fields(collection) {
            let what = format!("{collection} {}", field.path);
            assert!(field.description.ends_with('.') && field.description.len() > 5, "{what}");
            let FieldPresence::Defaulted(default) = field.presence else { continue };
            let fits = match (field.kind, default) {
                (FieldKind::Word(words), FieldDefault::Text(word)) => words.contains(&word),
                (FieldKind::Currency | FieldKind::TimeZone, FieldDefault::Text(_))
                | (FieldKind::Flag, FieldDefault::Flag(_))
                | (FieldKind::Number(_), FieldDefault::Number(_) | FieldDefault::Whole(_))
                | (FieldKind::List(_) | FieldKind::Documents(_), FieldDefault::EmptyList)
                | (FieldKind::Date, FieldDefault::WhenMade) => true,
                (FieldKind::Whole { min, max }, FieldDefault::Whole(number)) => (min..=max).contains(&number),
                _ => false,
            };
            assert!(fits, "{what}: {default:?}");
        }
    }
}

/// What the API shows and the validators check of whole documents is what the structs hold.
#[test]
fn every_field_of_the_contract_is_one_of_its_struct_and_of_the_declared_kind() {
    for collection in seed_collections() {
        let document = whole(collection);
        let again = with_type!(collection, read_again(collection, &document));
        for field in contract_fields(collection) {
            let (sent, kept) = (at(&document, field.path).unwrap(), at(&again, field.path));
            assert!(kept.is_some_and(|kept| is_same(sent, kept)), "{collection} {}: {kept:?}", field.path);
        }
    }
}

/// The names of each level of a table. What cannot be read is told, and in no struct.
fn levels(fields: &'static [FieldDeclaration], found: &mut Vec<BTreeSet<&'static str>>) {
    let is_told = |within: &[FieldDeclaration]| within.iter().all(|field| field.path == UNREADABLE.path);
    let own = level(fields)
        .filter(|(field, within)| field.path != UNREADABLE.path && (field.path != OWN || !is_told(within)));
    let own: Vec<_> = own.collect();
    found.push(own.iter().map(|(field, _)| field.name()).collect());
    for (field, within) in own {
        match field.kind {
            FieldKind::Object => levels(within, found),
            FieldKind::Documents(fields) => levels(fields, found),
            _ => {}
        }
    }
}

#[test]
fn every_field_of_a_struct_is_declared() {
    fn asked_by<T: DeserializeOwned>(document: &Document) -> Vec<BTreeSet<&'static str>> {
        ASKED.take();
        // Whether it is read does not matter here: what was asked for does.
        let _ = decode::<T>(&pack(document).unwrap());
        let of_bson = |fields: &&[&str]| !fields.iter().any(|name| name.starts_with('$'));
        ASKED.take().into_iter().filter(of_bson).map(|fields| fields.iter().copied().collect()).collect()
    }
    for collection in declared_collections() {
        let mut document = sample_of(fields(collection).iter().filter(|field| !field.is_within(OWN)));
        document.insert(OWN, doc! {});
        let asked = with_type!(collection, asked_by(&document));
        let mut declared = Vec::new();
        levels(fields(collection), &mut declared);
        assert!(asked.len() > usize::from(collection.is_in_seed()), "{collection}");
        for fields in &asked {
            // What messages and findings hold is not declared field by field.
            let is_inner = collection == Collection::Deliveries && !fields.contains("_id") && !fields.contains("id");
            assert!(is_inner || declared.contains(fields), "{collection}: {fields:?} is not declared so: {declared:?}");
        }
        if collection.is_in_seed() {
            for fields in &declared {
                assert!(asked.contains(fields), "{collection}: {fields:?} is in no struct: {asked:?}");
            }
        }
    }
}

#[test]
fn a_field_that_is_absent_is_read_as_its_declared_default() {
    for collection in seed_collections() {
        let read = with_type!(collection, read_again(collection, &least(collection)));
        for field in contract_fields(collection) {
            match field.presence {
                FieldPresence::Defaulted(default) => {
                    let Some(expected) = default.value() else { continue };
                    let kept = at(&read, field.path).unwrap_or_else(|| panic!("{collection} {}", field.path));
                    assert!(is_same(&expected, kept), "{collection} {}: {kept}", field.path);
                }
                FieldPresence::Optional => assert_eq!(at(&read, field.path), None, "{collection} {}", field.path),
                FieldPresence::Required | FieldPresence::Expected => {}
            }
        }
    }
}

#[test]
fn the_least_document_of_each_kind_can_be_read() {
    for collection in seed_collections() {
        with_type!(collection, read_again(collection, &least(collection)));
    }
}

#[test]
fn a_required_field_that_is_absent_is_told() {
    fn is_told<T: DeserializeOwned>(collection: Collection, document: &Document, path: &str) -> bool {
        match read_leniently::<T>(collection, &pack(document).unwrap()) {
            Ok(read) => read.flaws.iter().any(|flaw| flaw.path == path),
            Err(unreadable) => unreadable.cause.contains(path),
        }
    }
    for collection in seed_collections() {
        for left_out in contract_fields(collection).into_iter().filter(|field| field.is_required()) {
            let others = contract_fields(collection).into_iter().filter(|field| field.path != left_out.path);
            let document = sample_of(others);
            assert!(
                with_type!(collection, is_told(collection, &document, left_out.path)),
                "{collection} {}",
                left_out.path
            );
        }
    }
}

/// What a list is filtered, sorted and searched by is declared, and so has its kind from here.
#[test]
fn lists_go_by_declared_fields() {
    for collection in Collection::ALL {
        let Some(listing) = find_listing(*collection) else { continue };
        for path in listing.filters.iter().chain(listing.sorts).chain(listing.searched) {
            let field = find(fields(*collection), path);
            assert!(field.is_some_and(|field| !field.is_secret()), "{collection} {path}");
        }
    }
}

#[test]
fn what_is_given_stands_in_nothing_that_alertcast_keeps() {
    let given = |collection, path| find_given(fields(collection), path).is_some();
    assert!(given(Collection::Users, "telegram.chatId") && given(Collection::Users, "telegram"));
    assert!(!given(Collection::Users, "createdAt") && !given(Collection::Users, "lastLoginAt"));
    assert!(!given(Collection::UserSubscriptions, "usage.alertsReceived") && !given(Collection::Users, "telegram.x"));
    assert!(!given(Collection::UserSubscriptions, "alertcast.transactionKey"), "nobody knows of it");
    assert!(is_secret_name("password") && is_secret_name("digest") && !is_secret_name("username"));
}

/// A field as `seed_fields.txt` writes it, and those within it.
fn as_the_seed_writes(prefix: &str, field: &FieldDeclaration, lines: &mut BTreeSet<String>) {
    let name = |kind: StoredKind| match kind {
        StoredKind::Text | StoredKind::Name | StoredKind::Email | StoredKind::Word(_) => "String",
        StoredKind::Number | StoredKind::AtLeast(_) | StoredKind::Within(..) => "Number",
        StoredKind::Flag => "Boolean",
        StoredKind::Date => "Date",
        StoredKind::Id => "ObjectId",
        StoredKind::Document | StoredKind::List(_) | StoredKind::Documents(_) => "Object",
    };
    let mut line = format!("{prefix}{} ", field.path);
    let mut words = match field.kind {
        FieldKind::Word(words) => words,
        _ => &[],
    };
    match field.stored_kind() {
        StoredKind::List(kind) => {
            if let FieldKind::Word(of_items) = kind {
                words = of_items;
            }
            line.push_str(&format!("[{}]", name(kind.stored(StoreRule::TypeAlone))));
        }
        StoredKind::Documents(fields) => {
            line.push_str("[Object]");
            fields.iter().for_each(|within| as_the_seed_writes(&format!("{prefix}{}[].", field.path), within, lines));
        }
        kind => line.push_str(name(kind)),
    }
    let mut add = |text: String| line.push_str(&format!(" {text}"));
    if field.is_required() {
        add("required".to_owned());
    }
    match field.kind {
        FieldKind::Email | FieldKind::LowercaseText => add("lowercase".to_owned()),
        FieldKind::Symbol => add("uppercase".to_owned()),
        _ => {}
    }
    if !words.is_empty() {
        add(format!("enum={}", words.join(",")));
    }
    match field.rule {
        StoreRule::AtLeast(min) => add(format!("min={min}")),
        StoreRule::Within(min, max) => add(format!("min={min} max={max}")),
        StoreRule::TypeAlone | StoreRule::Filled | StoreRule::EmailPattern => {}
    }
    if let FieldPresence::Defaulted(default) = field.presence {
        match default {
            FieldDefault::Flag(flag) => add(format!("default={flag}")),
            FieldDefault::Whole(number) => add(format!("default={number}")),
            FieldDefault::Number(number) => add(format!("default={number}")),
            FieldDefault::Text(text) => add(format!("default={text}")),
            FieldDefault::WhenMade => add("default=Date.now".to_owned()),
            FieldDefault::EmptyList => {}
        }
    }
    lines.insert(line);
}

/// `seed_fields.txt` is the seed's section 2, one line for each field.
#[test]
fn the_contract_is_the_seed_s() {
    let seed = include_str!("seed_fields.txt").lines().filter(|line| !line.contains(" _id "));
    let seed: BTreeSet<String> = seed.map(str::to_owned).collect();
    let mut declared = BTreeSet::new();
    for collection in seed_collections() {
        for field in contract_fields(collection) {
            as_the_seed_writes(&format!("{collection} "), field, &mut declared);
        }
    }
    let missing: Vec<_> = seed.difference(&declared).collect();
    let added: Vec<_> = declared.difference(&seed).collect();
    assert!(missing.is_empty() && added.is_empty(), "the seed has {missing:#?}, and declared is {added:#?}");
}
