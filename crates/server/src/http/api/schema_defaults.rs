//! The defaults of what is sent: those that a document's own type fills in where a field is not there. They are read off
//! a document that has no more than it must have, so that nothing declares them a second time.

use bson::oid::ObjectId;
use bson::{Bson, Document};
use serde_json::Value;

use super::resources::ApiResource;
use super::shape::{DocumentExtent, ShapeField, ShapeKind};

/// Says in the schema of a new document what each field is where it is not sent.
pub(super) fn add_defaults(schema: &mut Value, resource: &ApiResource) {
    let complete = resource.show_document(&least_whole(resource.shape), DocumentExtent::Whole);
    add_within(schema, resource.shape, &complete);
}

fn add_within(schema: &mut Value, shape: &[ShapeField], complete: &Value) {
    for field in shape.iter().filter(|field| !field.kept && !field.secret) {
        let (Some(property), Some(value)) = (schema["properties"].get_mut(field.name), complete.get(field.name)) else {
            continue;
        };
        match field.kind {
            ShapeKind::Object(fields) => add_within(property, fields, value),
            _ if !field.required => property["default"] = value.clone(),
            _ => {}
        }
    }
}

fn least_whole(shape: &[ShapeField]) -> Document {
    let mut document = least_document(shape);
    document.insert("_id", ObjectId::from_bytes([0; 12]));
    document
}

/// The fields that must be there, and no others.
fn least_document(shape: &[ShapeField]) -> Document {
    shape.iter().filter(|field| field.required).map(|field| (field.name.to_owned(), least_value(field))).collect()
}

fn least_value(field: &ShapeField) -> Bson {
    match field.kind {
        ShapeKind::Object(fields) => least_document(fields).into(),
        ShapeKind::Id => ObjectId::from_bytes([0; 12]).into(),
        ShapeKind::Word(words) => words.first().copied().unwrap_or_default().into(),
        ShapeKind::Whole { min, .. } => Bson::Int64(min.max(1)),
        ShapeKind::Number { .. } => Bson::Double(1.0),
        ShapeKind::Flag => true.into(),
        ShapeKind::List(_) => Bson::Array(Vec::new()),
        _ => field.example.unwrap_or("x").into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::resources::RESOURCES;
    use super::super::schema::{SchemaForm, of};
    use super::*;

    #[test]
    fn the_least_document_of_each_kind_can_be_read() {
        for resource in RESOURCES.iter().filter(|resource| resource.changes.is_some()) {
            let read = resource.complete(&least_whole(resource.shape));
            assert!(read.flaws.is_empty(), "{}: {:?}", resource.one, read.flaws);
        }
    }

    #[test]
    fn the_seed_s_defaults_are_described() {
        let schema = |one: &str| {
            let resource = RESOURCES.iter().find(|resource| resource.one == one).unwrap();
            let mut schema = of(resource.shape, SchemaForm::New);
            add_defaults(&mut schema, resource);
            schema
        };
        let default = |one: &str, path: &str| {
            let pointer = format!("/properties/{}/default", path.replace('.', "/properties/"));
            schema(one).pointer(&pointer).cloned()
        };
        for (one, path, expected) in [
            ("User", "profile.timezone", json!("UTC")),
            ("User", "status", json!("active")),
            ("User", "preferences.trading.maxDailyAlerts", json!(50)),
            ("User", "preferences.notifications.email", json!(true)),
            ("SubscriptionPlan", "pricing.currency", json!("INR")),
            ("SubscriptionPlan", "features.maxAlertConfigs", json!(-1)),
            ("AlertConfiguration", "tradeManagement.maxOpenTrades", json!(3)),
            ("AlertConfiguration", "validation.priceValidation.tolerance", json!(0.05)),
            ("UserSubscription", "payment.method", json!("UPI")),
            ("UserAlertPreference", "preferences.notifications.email", json!(false)),
            ("AdminUser", "permissions.users.delete", json!(false)),
        ] {
            assert_eq!(default(one, path), Some(expected), "{one} {path}");
        }
        for (one, path) in [("User", "email"), ("User", "createdAt"), ("User", "telegram.chatId")] {
            assert_eq!(default(one, path), None, "{one} {path}");
        }
    }
}
