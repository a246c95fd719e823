//! The schemas of documents, made of their shapes: as they come out, as they are sent, and as they are changed.

use serde_json::{Map, Value, json};

use super::shape::{Field, Kind};

/// Which of a document's three forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// An answer.
    Out,
    /// A POST.
    New,
    /// A merge patch.
    Patch,
}

/// An id in JSON.
pub(super) fn id() -> Value {
    json!({"type": "string", "pattern": "^[0-9a-fA-F]{24}$", "examples": ["66f1a2b3c4d5e6f708192a3b"]})
}

/// The schema of an object.
pub(super) fn of(shape: &[Field], form: Form) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for field in shape {
        let left_out = match form {
            Form::Out => field.secret,
            Form::New => field.kept,
            Form::Patch => false,
        };
        if left_out {
            continue;
        }
        properties.insert(field.name.to_owned(), property(field, form));
        let needed = match form {
            Form::Out => field.always,
            Form::New => field.required,
            Form::Patch => false,
        };
        if needed {
            required.push(field.name);
        }
    }
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if form != Form::Out {
        schema["additionalProperties"] = json!(false);
    }
    schema
}

fn property(field: &Field, form: Form) -> Value {
    if form == Form::Patch && field.clearable {
        return json!({"description": "Kept by Alertcast: it may be sent back as it came, or as null to take it away."});
    }
    if form == Form::Patch && field.kept {
        return json!({"readOnly": true, "description": "Kept by Alertcast: it may be sent back as it came."});
    }
    let mut schema = if field.secret { json!({"type": "string"}) } else { value(field.kind, form) };
    let open = match form {
        Form::Out => false,
        Form::New | Form::Patch => !field.required,
    };
    if open {
        nullable(&mut schema);
    }
    if field.secret {
        schema["writeOnly"] = json!(true);
        schema["minLength"] = json!(crate::password::CHARS_MIN);
        schema["maxLength"] = json!(crate::password::BYTES_MAX);
        schema["description"] = json!("12 characters to 72 bytes. Kept as a bcrypt hash, and never given out.");
    }
    schema
}

/// Null stands for the default; in a patch it takes the value away.
fn nullable(schema: &mut Value) {
    let mut kinds = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.clone(),
        Some(kind) => vec![kind.clone()],
        None => return,
    };
    kinds.push(json!("null"));
    schema["type"] = json!(kinds);
    if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        words.push(Value::Null);
    }
}

fn value(kind: Kind, form: Form) -> Value {
    match kind {
        Kind::Id => id(),
        Kind::Time if form == Form::Out => json!({"type": "string", "format": "date-time"}),
        Kind::Time => json!({
            "type": "string",
            "description": "A moment as RFC 3339 with its zone, or a day, which stands for its first moment in UTC.",
            "examples": ["2026-01-31T18:30:00.000Z"],
        }),
        Kind::Text | Kind::Digits | Kind::Spelled(_) if form == Form::Out => json!({"type": "string"}),
        Kind::Text => json!({"type": "string", "pattern": "\\S"}),
        Kind::Digits => json!({"type": ["string", "integer"], "pattern": "\\S"}),
        Kind::Spelled(pattern) => json!({"type": "string", "pattern": pattern}),
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Whole { min, max } => {
            let mut schema = json!({"type": "integer"});
            if min > i64::MIN {
                schema["minimum"] = json!(min);
            }
            if max < i64::MAX {
                schema["maximum"] = json!(max);
            }
            schema
        }
        Kind::Number { min, above } => {
            let mut schema = json!({"type": "number"});
            if let Some(min) = min.filter(|_| form != Form::Out) {
                schema[if above { "exclusiveMinimum" } else { "minimum" }] = json!(min);
                schema["maximum"] = json!(1_000_000_000_000_i64);
            }
            schema
        }
        Kind::Word(words) => json!({"type": "string", "enum": words}),
        Kind::List(kind) => json!({"type": "array", "items": value(*kind, form)}),
        Kind::Object(fields) => of(fields, form),
        Kind::Anything => json!({}),
    }
}

/// The schema of a query parameter that a field is filtered by.
pub(super) fn parameter(kind: Kind) -> Value {
    match kind {
        Kind::Id | Kind::Flag | Kind::Word(_) => value(kind, Form::Out),
        _ => json!({"type": "string"}),
    }
}
