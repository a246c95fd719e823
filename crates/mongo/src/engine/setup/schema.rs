//! The validators: what core declares of a collection, as MongoDB's `$jsonSchema`.
//!
//! The seed's form (7.1) with dotted names under `required` and `properties` would look for fields whose names have a
//! dot in them; here each part of a path is a level. Fields that are not named are always allowed.

use alertcast_core::schema::{EMAIL_PATTERN, FieldDeclaration, StoreRule, StoredKind, contract_fields};
use alertcast_core::store::Collection;
use bson::{Bson, Document, doc};

/// By this a validator is known as ours.
const TITLE: &str = "Alertcast";

/// The collection's validator; none where nothing is checked.
pub(super) fn validator(collection: Collection) -> Option<Document> {
    let declared = contract_fields(collection);
    let fields: Vec<(&str, FieldDeclaration)> = declared.iter().map(|field| (field.path, **field)).collect();
    if fields.is_empty() {
        return None;
    }
    let mut schema = doc! { "title": TITLE };
    schema.extend(object(&fields));
    Some(doc! { "$jsonSchema": schema })
}

/// Whether a validator may be put in the place of this one: it is ours, of another version, or the seed's script made
/// it, in which form it refuses every document.
pub(super) fn is_replaceable(validator: &Document) -> bool {
    let Ok(schema) = validator.get_document("$jsonSchema") else {
        return validator.is_empty();
    };
    let has_dot = |name: &Bson| name.as_str().is_some_and(|name| name.contains('.'));
    schema.get_str("title").is_ok_and(|title| title == TITLE)
        || schema.get_array("required").is_ok_and(|names| names.iter().any(has_dot))
}

/// A document with these fields, named by their paths within it.
fn object(fields: &[(&str, FieldDeclaration)]) -> Document {
    let mut required = Vec::new();
    let mut properties = Document::new();
    let mut rest = fields;
    while let Some((path, field)) = rest.first() {
        let Some((name, _)) = path.split_once('.') else {
            if field.is_required() {
                required.push((*path).to_owned());
            }
            properties.insert(*path, one(field.stored_kind(), !field.is_required()));
            rest = &rest[1..];
            continue;
        };
        // The declaration keeps together what belongs together.
        let inside = |path: &str| path.split_once('.').is_some_and(|(first, _)| first == name);
        let count = rest.iter().take_while(|(path, _)| inside(path)).count();
        let (within, behind) = rest.split_at(count);
        let within: Vec<(&str, FieldDeclaration)> =
            within.iter().filter_map(|(path, field)| Some((path.split_once('.')?.1, *field))).collect();
        if within.iter().any(|(_, field)| field.is_required()) {
            required.push(name.to_owned());
        }
        properties.insert(name, object(&within));
        rest = behind;
    }
    let mut schema = doc! { "bsonType": "object" };
    if !required.is_empty() {
        schema.insert("required", required);
    }
    schema.insert("properties", properties);
    schema
}

fn one(kind: StoredKind, may_be_null: bool) -> Document {
    let mut schema = match kind {
        StoredKind::Text => of_type("string"),
        StoredKind::Name => doc! { "bsonType": "string", "minLength": 1 },
        StoredKind::Email => doc! { "bsonType": "string", "pattern": EMAIL_PATTERN },
        StoredKind::Word(words) => doc! { "enum": words.to_vec() },
        StoredKind::Number => of_type("number"),
        StoredKind::AtLeast(min) => doc! { "bsonType": "number", "minimum": min },
        StoredKind::Within(min, max) => doc! { "bsonType": "number", "minimum": min, "maximum": max },
        StoredKind::Flag => of_type("bool"),
        StoredKind::Date => of_type("date"),
        StoredKind::Id => of_type("objectId"),
        StoredKind::Document => of_type("object"),
        StoredKind::List(of) => doc! { "bsonType": "array", "items": one(of.stored(StoreRule::TypeAlone), false) },
        StoredKind::Documents(fields) => {
            let fields: Vec<(&str, FieldDeclaration)> = fields.iter().map(|field| (field.path, *field)).collect();
            doc! { "bsonType": "array", "items": object(&fields) }
        }
    };
    if may_be_null {
        allow_null(&mut schema);
    }
    schema
}

fn of_type(name: &str) -> Document {
    doc! { "bsonType": name }
}

fn allow_null(schema: &mut Document) {
    if let Ok(words) = schema.get_array_mut("enum") {
        words.push(Bson::Null);
    }
    if let Ok(name) = schema.get_str("bsonType").map(ToOwned::to_owned) {
        schema.insert("bsonType", vec![name, "null".to_owned()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at<'d>(schema: &'d Document, path: &[&str]) -> &'d Document {
        path.iter().fold(schema, |schema, name| schema.get_document(name).unwrap())
    }

    #[test]
    fn a_dotted_path_becomes_a_document_within() {
        let users = validator(Collection::Users).unwrap();
        let schema = at(&users, &["$jsonSchema"]);
        assert_eq!(schema.get_array("required").unwrap(), &["email", "telegram", "profile"].map(Bson::from).to_vec());
        let telegram = at(schema, &["properties", "telegram"]);
        assert_eq!(telegram.get_array("required").unwrap(), &vec![Bson::from("userId")]);
        let chat = at(telegram, &["properties", "chatId"]);
        assert_eq!(chat, &doc! { "bsonType": ["string", "null"] });
        let risk = at(schema, &["properties", "preferences", "properties", "trading", "properties", "riskLevel"]);
        assert_eq!(risk, &doc! { "enum": ["low", "medium", "high", null] }, "as Mongoose has it");
    }

    #[test]
    fn what_belongs_together_is_declared_together() {
        fn names(schema: &Document, found: &mut usize) {
            for (_, property) in schema.get_document("properties").unwrap() {
                match property.as_document().unwrap() {
                    object if object.contains_key("properties") => names(object, found),
                    _ => *found += 1,
                }
            }
        }
        for collection in Collection::ALL {
            let Some(validator) = validator(*collection) else { continue };
            let mut found = 0;
            names(validator.get_document("$jsonSchema").unwrap(), &mut found);
            assert_eq!(found, contract_fields(*collection).len(), "{collection}: a level is named twice");
            assert!(!validator.to_string().contains("additionalProperties"));
        }
    }

    #[test]
    fn somebody_elses_validator_is_left_alone() {
        assert!(is_replaceable(&doc! { "$jsonSchema": { "required": ["email", "telegram.userId"] } }), "the seed's");
        assert!(is_replaceable(&validator(Collection::Trades).unwrap()));
        assert!(!is_replaceable(&doc! { "$jsonSchema": { "required": ["email"] } }));
        assert!(!is_replaceable(&doc! { "email": { "$type": "string" } }));
    }
}
