//! Fields by their paths, in documents of the store and in their JSON.

use bson::{Bson, Document};
use serde_json::{Map, Value};

/// A field's name in the store.
fn stored_name(name: &str) -> &str {
    if name == "id" { "_id" } else { name }
}

/// The path of the field that a path leads into: elements of a list are no fields.
pub(crate) fn field_of(path: &str) -> &str {
    let is_place = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let mut end = 0;
    for part in path.split('.').take_while(|part| !is_place(part)) {
        end += part.len() + 1;
    }
    path.get(..end.saturating_sub(1)).unwrap_or_default()
}

/// Whether what was given says what stands at a path.
pub(crate) fn gives(given: &Value, path: &str) -> bool {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    match (given, rest) {
        (Value::Object(fields), rest) => {
            fields.get(first).is_some_and(|inner| rest.is_none_or(|rest| gives(inner, rest)))
        }
        // It takes the place of all that stood there.
        _ => true,
    }
}

/// Puts what is given into a whole: the fields of a JSON merge patch (RFC 7396).
pub(crate) fn merge_into(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(into) = target else { return };
    for (name, value) in fields {
        if value.is_null() {
            into.shift_remove(name);
        } else {
            merge_into(into.entry(name.as_str()).or_insert(Value::Null), value);
        }
    }
}

pub(crate) fn pointer(path: &str) -> String {
    format!("/{}", path.replace('.', "/"))
}

/// Numbers are the same where their values are.
pub(crate) fn same(one: Option<&Value>, other: Option<&Value>) -> bool {
    match (one, other) {
        (Some(Value::Number(one)), Some(Value::Number(other))) => one.as_f64() == other.as_f64(),
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            one.len() == other.len() && one.iter().all(|(name, value)| same(Some(value), other.get(name)))
        }
        (one, other) => one == other,
    }
}

/// Takes away what stands at a path, and of the objects around it those that hold nothing else.
pub(crate) fn remove(value: &mut Value, path: &str) {
    let Value::Object(fields) = value else { return };
    let Some((name, rest)) = path.split_once('.') else {
        fields.shift_remove(path);
        return;
    };
    let Some(inner) = fields.get_mut(name) else { return };
    let was_empty = inner.as_object().is_none_or(Map::is_empty);
    remove(inner, rest);
    if !was_empty && inner.as_object().is_some_and(Map::is_empty) {
        fields.shift_remove(name);
    }
}

/// The value at a path of the API in a document of the store.
pub(crate) fn at<'d>(document: &'d Document, path: &str) -> Option<&'d Bson> {
    match path.split_once('.') {
        None => document.get(stored_name(path)),
        Some((first, rest)) => at(document.get_document(first).ok()?, rest),
    }
}

/// Puts a value at a path, or takes it away.
pub(crate) fn put(document: &mut Document, path: &str, value: Option<Bson>) {
    match (path.split_once('.'), value) {
        (None, Some(value)) => {
            document.insert(stored_name(path), value);
        }
        (None, None) => {
            document.remove(stored_name(path));
        }
        (Some((first, rest)), value) => {
            if let Ok(within) = document.get_document_mut(first) {
                put(within, rest, value);
            } else if value.is_some() {
                let mut within = Document::new();
                put(&mut within, rest, value);
                document.insert(first, within);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_is_given_where_it_or_something_around_it_is() {
        let given = json!({"a": {"b": null}, "c": 5});
        for (path, is_given) in
            [("a", true), ("a.b", true), ("a.b.c", true), ("a.x", false), ("c", true), ("c.d", true), ("d", false)]
        {
            assert_eq!(gives(&given, path), is_given, "{path}");
        }
    }

    #[test]
    fn what_is_taken_away_takes_the_empty_objects_around_it_along() {
        let mut value = json!({"a": {"b": {"c": 1}}, "d": {"e": 1, "f": 2}, "g": {}});
        for path in ["a.b.c", "d.e", "g.h", "nothing.there"] {
            remove(&mut value, path);
        }
        assert_eq!(value, json!({"d": {"f": 2}, "g": {}}));
    }

    #[test]
    fn what_was_put_at_a_path_stands_there_and_alone_differs() {
        let before = doc! { "_id": 1, "a": { "b": 1 }, "c": 2 };
        let mut after = before.clone();
        put(&mut after, "a.x.y", Some(3.into()));
        put(&mut after, "c", None);
        assert_eq!((at(&after, "a.x.y"), at(&after, "id")), (Some(&3.into()), Some(&1.into())));
        let mut paths = alertcast_core::reading::list_differences(&before, &after);
        paths.sort();
        assert_eq!(paths, ["a.x.y", "c"]);
    }
}
