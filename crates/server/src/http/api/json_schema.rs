//! The JSON schemas of documents, made of what is declared of them: as they come out, as they are sent, and as they are
//! changed.

use alertcast_core::money::MAGNITUDE_MAX;
use alertcast_core::schema::{
    EMAIL_PATTERN, FieldDeclaration, FieldDisclosure, FieldKind, FieldPresence, NumberRange, level,
};
use serde_json::{Map, Value, json};

use crate::document_view::{api_name, plain};

/// Which of a document's forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SchemaForm {
    /// An answer.
    Out,
    /// An answer with the fields that were asked for.
    Part,
    /// A POST.
    New,
    /// A merge patch.
    Patch,
}

impl SchemaForm {
    const fn is_answer(self) -> bool {
        matches!(self, Self::Out | Self::Part)
    }
}

/// An id in JSON.
pub(super) fn id() -> Value {
    json!({"type": "string", "pattern": "^[0-9a-fA-F]{24}$", "examples": ["66f1a2b3c4d5e6f708192a3b"]})
}

/// The schema of an object.
pub(super) fn of(fields: &'static [FieldDeclaration], form: SchemaForm) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for (field, within) in level(fields).filter(|(field, _)| is_in(field, form)) {
        let name = api_name(field.name());
        properties.insert(name.to_owned(), property(field, within, form));
        if is_always_in(field, form) {
            required.push(name);
        }
    }
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if !form.is_answer() {
        schema["additionalProperties"] = json!(false);
    }
    schema
}

fn is_in(field: &FieldDeclaration, form: SchemaForm) -> bool {
    let is_left_out = match form {
        SchemaForm::Out | SchemaForm::Part => field.is_secret(),
        SchemaForm::New => field.is_kept(),
        SchemaForm::Patch => false,
    };
    !field.is_internal() && !is_left_out
}

fn is_always_in(field: &FieldDeclaration, form: SchemaForm) -> bool {
    match form {
        SchemaForm::Out => field.presence != FieldPresence::Optional && field.disclosure == FieldDisclosure::Shown,
        SchemaForm::New => field.is_required(),
        SchemaForm::Part | SchemaForm::Patch => false,
    }
}

fn property(field: &FieldDeclaration, within: &'static [FieldDeclaration], form: SchemaForm) -> Value {
    if form == SchemaForm::Patch && field.is_kept() {
        return kept_property(field);
    }
    let mut schema = if field.is_secret() { secret() } else { value(field.kind, within, form) };
    if !form.is_answer() && !field.is_required() {
        schema = nullable(schema);
    }
    schema["description"] = json!(describe_field(field, form));
    if let Some(example) = field.example {
        schema["examples"] = json!([example]);
    }
    if let Some(unit) = field.unit {
        schema["x-unit"] = json!(unit);
    }
    if let (SchemaForm::New, FieldPresence::Defaulted(default)) = (form, field.presence)
        && let Some(value) = default.value()
    {
        schema["default"] = plain(&value);
    }
    schema
}

fn describe_field(field: &FieldDeclaration, form: SchemaForm) -> String {
    match field.kind {
        FieldKind::Date if !form.is_answer() => {
            format!("{} RFC 3339 with its zone, or a day, which stands for its first moment in UTC.", field.description)
        }
        _ => field.description.to_owned(),
    }
}

/// What Alertcast keeps, in a patch.
fn kept_property(field: &FieldDeclaration) -> Value {
    let may = if field.is_clearable() { ", or as null to take it away" } else { "" };
    let mut schema = json!({"description": format!("{} It may be sent back as it came{may}.", field.description)});
    if !field.is_clearable() {
        schema["readOnly"] = json!(true);
    }
    schema
}

fn secret() -> Value {
    json!({
        "type": "string", "writeOnly": true,
        "minLength": crate::password::CHARS_MIN, "maxLength": crate::password::BYTES_MAX,
    })
}

/// Null stands for the default; in a patch it takes the value away. The words of an enumeration stay what they are.
fn nullable(mut schema: Value) -> Value {
    if schema.get("enum").is_some() {
        return json!({"anyOf": [schema, {"type": "null"}]});
    }
    let mut kinds = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.clone(),
        Some(kind) => vec![kind.clone()],
        None => return schema,
    };
    kinds.push(json!("null"));
    schema["type"] = json!(kinds);
    schema
}

fn value(kind: FieldKind, within: &'static [FieldDeclaration], form: SchemaForm) -> Value {
    match kind {
        FieldKind::Id => id(),
        FieldKind::Date if form.is_answer() => json!({"type": "string", "format": "date-time"}),
        FieldKind::Date => json!({"type": "string", "examples": ["2026-01-31T18:30:00.000Z"]}),
        FieldKind::Flag => json!({"type": "boolean"}),
        FieldKind::Whole { min, max } => whole(min, max),
        FieldKind::Number(range) => number(range, form),
        FieldKind::Word(words) => json!({"type": "string", "enum": words}),
        FieldKind::List(kind) => json!({"type": "array", "items": value(*kind, &[], form)}),
        // What is asked for leads into no list.
        FieldKind::Documents(fields) if form == SchemaForm::Part => list_of(fields, SchemaForm::Out),
        FieldKind::Documents(fields) => list_of(fields, form),
        FieldKind::Object => of(within, form),
        FieldKind::Document | FieldKind::Anything => json!({}),
        _ => text(kind, form),
    }
}

fn list_of(fields: &'static [FieldDeclaration], form: SchemaForm) -> Value {
    json!({"type": "array", "items": of(fields, form)})
}

fn text(kind: FieldKind, form: SchemaForm) -> Value {
    match kind {
        _ if form.is_answer() => json!({"type": "string"}),
        FieldKind::NumberName => json!({"type": ["string", "integer"], "pattern": "\\S"}),
        // Blanks around it are taken away.
        FieldKind::Email => {
            let pattern = EMAIL_PATTERN.trim_start_matches('^').trim_end_matches('$');
            json!({"type": "string", "pattern": format!(r"^\s*{pattern}\s*$")})
        }
        FieldKind::Currency => json!({"type": "string", "pattern": r"^\s*[A-Za-z]{3}\s*$"}),
        _ => json!({"type": "string", "pattern": "\\S"}),
    }
}

fn whole(min: i64, max: i64) -> Value {
    let mut schema = json!({"type": "integer"});
    if min > i64::MIN {
        schema["minimum"] = json!(min);
    }
    if max < i64::MAX {
        schema["maximum"] = json!(max);
    }
    schema
}

fn number(range: NumberRange, form: SchemaForm) -> Value {
    match range {
        _ if form.is_answer() => json!({"type": "number"}),
        NumberRange::Any => json!({"type": "number"}),
        NumberRange::NotNegative => json!({"type": "number", "minimum": 0, "maximum": MAGNITUDE_MAX}),
        NumberRange::Positive => json!({"type": "number", "exclusiveMinimum": 0, "maximum": MAGNITUDE_MAX}),
    }
}

/// The schema of a query parameter that a field is filtered by.
pub(super) fn parameter(kind: FieldKind) -> Value {
    match kind {
        FieldKind::Id | FieldKind::Flag | FieldKind::Word(_) => value(kind, &[], SchemaForm::Out),
        _ => json!({"type": "string"}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document_kinds::DOCUMENT_KINDS;

    #[test]
    fn the_seed_s_defaults_are_described() {
        let schema = |one: &str| {
            let resource = DOCUMENT_KINDS.iter().find(|resource| resource.one == one).unwrap();
            of(resource.fields(), SchemaForm::New)
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
