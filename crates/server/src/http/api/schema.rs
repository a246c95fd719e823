//! The schemas of documents, made of their shapes: as they come out, as they are sent, and as they are changed.

use serde_json::{Map, Value, json};

use super::shape::{ShapeField, ShapeKind};

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
pub(super) fn of(shape: &[ShapeField], form: SchemaForm) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for field in shape {
        let left_out = match form {
            SchemaForm::Out | SchemaForm::Part => field.secret,
            SchemaForm::New => field.kept,
            SchemaForm::Patch => false,
        };
        if left_out {
            continue;
        }
        properties.insert(field.name.to_owned(), property(field, form));
        let needed = match form {
            SchemaForm::Out => field.always,
            SchemaForm::New => field.required,
            SchemaForm::Part | SchemaForm::Patch => false,
        };
        if needed {
            required.push(field.name);
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

fn property(field: &ShapeField, form: SchemaForm) -> Value {
    if form == SchemaForm::Patch && (field.kept || field.clearable) {
        return kept_property(field);
    }
    let mut schema = if field.secret { secret() } else { value(field.kind, form) };
    if matches!(form, SchemaForm::New | SchemaForm::Patch) && !field.required {
        schema = nullable(schema);
    }
    schema["description"] = json!(describe_field(field, form));
    if let Some(example) = field.example {
        schema["examples"] = json!([example]);
    }
    schema
}

fn describe_field(field: &ShapeField, form: SchemaForm) -> String {
    match field.kind {
        ShapeKind::Time if !form.is_answer() => {
            format!("{} RFC 3339 with its zone, or a day, which stands for its first moment in UTC.", field.what)
        }
        _ => field.what.to_owned(),
    }
}

/// What Alertcast keeps, in a patch.
fn kept_property(field: &ShapeField) -> Value {
    let may = if field.clearable { ", or as null to take it away" } else { "" };
    let mut schema = json!({"description": format!("{} It may be sent back as it came{may}.", field.what)});
    if !field.clearable {
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

fn value(kind: ShapeKind, form: SchemaForm) -> Value {
    match kind {
        ShapeKind::Id => id(),
        ShapeKind::Time if form.is_answer() => json!({"type": "string", "format": "date-time"}),
        ShapeKind::Time => json!({"type": "string", "examples": ["2026-01-31T18:30:00.000Z"]}),
        ShapeKind::Text | ShapeKind::Digits | ShapeKind::Spelled(_) if form.is_answer() => {
            json!({"type": "string"})
        }
        ShapeKind::Text => json!({"type": "string", "pattern": "\\S"}),
        ShapeKind::Digits => json!({"type": ["string", "integer"], "pattern": "\\S"}),
        ShapeKind::Spelled(pattern) => json!({"type": "string", "pattern": pattern}),
        ShapeKind::Flag => json!({"type": "boolean"}),
        ShapeKind::Whole { min, max } => {
            let mut schema = json!({"type": "integer"});
            if min > i64::MIN {
                schema["minimum"] = json!(min);
            }
            if max < i64::MAX {
                schema["maximum"] = json!(max);
            }
            schema
        }
        ShapeKind::Number { min, above } => {
            let mut schema = json!({"type": "number"});
            if let Some(min) = min.filter(|_| !form.is_answer()) {
                schema[if above { "exclusiveMinimum" } else { "minimum" }] = json!(min);
                schema["maximum"] = json!(1_000_000_000_000_i64);
            }
            schema
        }
        ShapeKind::Word(words) => json!({"type": "string", "enum": words}),
        // What is asked for leads into no list.
        ShapeKind::List(kind) if form == SchemaForm::Part => {
            json!({"type": "array", "items": value(*kind, SchemaForm::Out)})
        }
        ShapeKind::List(kind) => json!({"type": "array", "items": value(*kind, form)}),
        ShapeKind::Object(fields) => of(fields, form),
        ShapeKind::Anything => json!({}),
    }
}

/// The schema of a query parameter that a field is filtered by.
pub(super) fn parameter(kind: ShapeKind) -> Value {
    match kind {
        ShapeKind::Id | ShapeKind::Flag | ShapeKind::Word(_) => value(kind, SchemaForm::Out),
        _ => json!({"type": "string"}),
    }
}
