//! Documents as they are sent, against what is declared of them.

use alertcast_core::schema::{contract_fields, fields, find_given};
use alertcast_core::store::Collection;
use bson::oid::ObjectId;
use bson::{Bson, Document};
use serde_json::{Map, json};

use super::*;
use crate::document_input::{DocumentEntry, EntryReader, FieldProblem, KnownDocuments, admin, config, one, plan, user};

/// Those that refer to no others.
const KINDS: [(Collection, EntryReader); 4] = [
    (Collection::Users, user),
    (Collection::SubscriptionPlans, plan),
    (Collection::AlertConfigurations, config),
    (Collection::AdminUsers, admin),
];

#[derive(Debug)]
struct OneId;

impl alertcast_core::id::IdSource for OneId {
    fn next(&self) -> ObjectId {
        ObjectId::from_bytes([1; 12])
    }
}

fn read(reader: EntryReader, value: Value) -> Result<DocumentEntry, Vec<FieldProblem>> {
    one(KnownDocuments::default(), reader, value, None, &OneId, Time::from_millis(0))
}

/// The fields that are given; what refers to others and what is a secret have rules of their own.
fn given(collection: Collection) -> impl Iterator<Item = &'static FieldDeclaration> {
    let is_plain = |kind| !matches!(kind, FieldKind::Object | FieldKind::List(FieldKind::Id));
    fields(collection).iter().filter(move |field| {
        find_given(fields(collection), field.path).is_some() && !field.is_secret() && is_plain(field.kind)
    })
}

/// A value that may be given, and is no default; and what it is read as.
fn sample(kind: FieldKind, default: Option<FieldDefault>) -> (Value, Bson) {
    let text = |text: &str| (json!(text), Bson::from(text));
    match kind {
        FieldKind::Text | FieldKind::LowercaseText => text("seven"),
        FieldKind::Symbol => (json!("ethusd"), "ETHUSD".into()),
        FieldKind::NumberName => (json!(5), "5".into()),
        FieldKind::Email => (json!("A@b.co"), "a@b.co".into()),
        FieldKind::Currency => (json!("eur"), "EUR".into()),
        FieldKind::TimeZone => text("Asia/Kolkata"),
        FieldKind::Word(words) => text(words[words.len() - 1]),
        FieldKind::Whole { min, .. } => (json!(min.max(2)), Bson::Double(min.max(2) as f64)),
        FieldKind::Number(_) => (json!(1.5), Bson::Double(1.5)),
        FieldKind::Flag => {
            let flag = default != Some(FieldDefault::Flag(true));
            (json!(flag), flag.into())
        }
        FieldKind::Date => (json!("1970-01-02"), bson::DateTime::from_millis(86_400_000).into()),
        FieldKind::List(kind) => {
            let (value, read) = sample(*kind, None);
            (json!([value]), Bson::Array(vec![read]))
        }
        FieldKind::Id | FieldKind::Object | FieldKind::Document | FieldKind::Anything | FieldKind::Documents(_) => {
            panic!("{kind:?} is given by hand")
        }
    }
}

fn sample_of(field: &FieldDeclaration) -> (Value, Bson) {
    let default = if let FieldPresence::Defaulted(default) = field.presence { Some(default) } else { None };
    sample(field.kind, default)
}

fn put(object: &mut Value, path: &str, value: Value) {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    match rest {
        None => object[first] = value,
        Some(rest) => {
            let inner = object.as_object_mut().unwrap().entry(first).or_insert_with(|| Value::Object(Map::new()));
            put(inner, rest, value);
        }
    }
}

fn sent<'f>(fields: impl Iterator<Item = &'f FieldDeclaration>) -> Value {
    let mut value = json!({});
    fields.for_each(|field| put(&mut value, field.path, sample_of(field).0));
    value["password"] = json!("correct horse battery");
    value
}

/// Only administrators have one.
fn sent_to(collection: Collection, wanted: fn(&FieldDeclaration) -> bool) -> Value {
    let mut value = sent(given(collection).filter(|field| wanted(field)));
    if collection != Collection::AdminUsers {
        value.as_object_mut().unwrap().shift_remove("password");
    }
    value
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
    number(one).zip(number(other)).map_or(one == other, |(one, other)| one == other)
}

#[test]
fn every_field_that_may_be_given_is_read_as_it_is_declared() {
    for (collection, reader) in KINDS {
        let read = read(reader, sent_to(collection, |_| true));
        let document = read.unwrap_or_else(|problems| panic!("{collection}: {problems:?}")).document;
        for field in given(collection) {
            let (kept, expected) = (at(&document, field.path), sample_of(field).1);
            assert!(kept.is_some_and(|kept| is_same(kept, &expected)), "{collection} {}: {kept:?}", field.path);
        }
    }
}

#[test]
fn a_field_that_is_not_given_has_its_declared_default() {
    for (collection, reader) in KINDS {
        let read = read(reader, sent_to(collection, FieldDeclaration::is_required));
        let document = read.unwrap_or_else(|problems| panic!("{collection}: {problems:?}")).document;
        for field in contract_fields(collection) {
            let FieldPresence::Defaulted(default) = field.presence else { continue };
            let Some(expected) = default.value() else { continue };
            let kept = at(&document, field.path);
            assert!(kept.is_some_and(|kept| is_same(kept, &expected)), "{collection} {}: {kept:?}", field.path);
        }
    }
}

#[test]
fn a_field_that_is_missing_of_another_type_or_out_of_its_bounds_is_named() {
    for (collection, reader) in KINDS {
        for field in given(collection) {
            let told = |value: Value| {
                let mut whole = sent_to(collection, |_| true);
                put(&mut whole, field.path, value);
                let problems = read(reader, whole).expect_err(field.path);
                let places: Vec<&str> = problems.iter().map(|problem| problem.place.as_str()).collect();
                assert_eq!(places, [field.path], "{collection} {problems:?}");
                assert_ne!(problems[0].what, MISDECLARED, "{collection} {}", field.path);
            };
            told(json!({ "a": 1 }));
            if field.is_required() {
                told(Value::Null);
            }
            match field.kind {
                FieldKind::Whole { min, .. } if min > i64::MIN => told(json!(min - 1)),
                FieldKind::Number(_) => told(json!(-1)),
                FieldKind::Word(_) | FieldKind::Email | FieldKind::Currency | FieldKind::TimeZone => told(json!("?")),
                _ => {}
            }
            if let FieldKind::Whole { max, .. } = field.kind
                && max < i64::MAX
            {
                told(json!(max + 1));
            }
        }
    }
}
