//! `fields`: the parts of a document that are asked for (seed 6.3). What is declared can be named, but for what is secret.

use alertcast_core::schema::{FieldDeclaration, level};
use serde_json::{Map, Value};

use super::error::wrong;
use crate::document_input::FieldCode;
use crate::document_view::{DocumentExtent, api_name, is_given_out};
use crate::http::problem::FieldError;
use crate::suggest;

/// What comes unasked: which document it is, and what of it cannot be read.
const ALWAYS: [&str; 2] = ["id", "alertcast.unreadable"];

/// The fields that are asked for, by their dotted paths.
#[derive(Debug)]
pub(super) struct FieldSelection(Vec<String>);

impl FieldSelection {
    /// Reads `a,b.c`.
    pub(super) fn read(
        fields: &'static [FieldDeclaration],
        extent: DocumentExtent,
        text: &str,
    ) -> Result<Self, FieldError> {
        let known = selectable_paths(fields, extent);
        let mut wanted: Vec<String> = ALWAYS.map(ToOwned::to_owned).into();
        for path in text.split(',').map(str::trim) {
            if !known.contains(&path) {
                let meant = suggest::nearest(path, known.iter().copied());
                let meant = meant.map(|word| format!("; did you mean {word}?")).unwrap_or_default();
                let what = format!("names fields, separated by commas, and {path:?} is none that is given out{meant}");
                return Err(wrong("fields", FieldCode::Invalid, what));
            }
            wanted.push(path.to_owned());
        }
        Ok(Self(wanted))
    }

    /// What was asked for of a document as it is given out.
    pub(super) fn part(&self, shown: &Value) -> Value {
        Value::Object(shown.as_object().map(|fields| self.within(fields, "")).unwrap_or_default())
    }

    fn within(&self, fields: &Map<String, Value>, prefix: &str) -> Map<String, Value> {
        let mut part = Map::new();
        for (name, value) in fields {
            let path = format!("{prefix}{name}");
            if self.0.contains(&path) {
                part.insert(name.clone(), value.clone());
            } else if let Value::Object(inner) = value {
                let inner = self.within(inner, &format!("{path}."));
                if !inner.is_empty() {
                    part.insert(name.clone(), Value::Object(inner));
                }
            }
        }
        part
    }
}

/// Every path that can be asked for: of objects as wholes, too, but into no list.
pub(super) fn selectable_paths(fields: &'static [FieldDeclaration], extent: DocumentExtent) -> Vec<&'static str> {
    let mut paths = Vec::new();
    for (field, within) in level(fields).filter(|(field, _)| is_given_out(field, extent)) {
        paths.push(api_name(field.path));
        paths.extend(selectable_paths(within, extent));
    }
    paths
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use alertcast_core::schema::fields;
    use alertcast_core::store::Collection;

    #[test]
    fn a_part_holds_what_was_named_its_id_and_what_cannot_be_read() {
        let shown = json!({
            "id": "1", "email": "a", "telegram": {"userId": "2", "chatId": "3"}, "profile": {"name": "N"},
            "alertcast": {"botId": "4", "unreadable": [{"field": "status"}]},
        });
        let part = |asked: &str| {
            FieldSelection::read(fields(Collection::Users), DocumentExtent::Whole, asked).map(|one| one.part(&shown))
        };
        let unreadable = json!({"unreadable": [{"field": "status"}]});
        assert_eq!(
            part("telegram.chatId, profile,status").unwrap(),
            json!({"id": "1", "telegram": {"chatId": "3"}, "profile": {"name": "N"}, "alertcast": unreadable})
        );
        assert_eq!(part("id").unwrap(), json!({"id": "1", "alertcast": unreadable}));
        for wrong in ["", "emial", "_id", "email,", "telegram.", "profile.name.x"] {
            assert!(part(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_secret_cannot_be_named_nor_in_lists_what_is_long() {
        assert!(!selectable_paths(fields(Collection::AdminUsers), DocumentExtent::Whole).contains(&"password"));
        let (alert, long) = (fields(Collection::Alerts), "processing.matchedUsers");
        assert!(selectable_paths(alert, DocumentExtent::Whole).contains(&long));
        assert!(!selectable_paths(alert, DocumentExtent::Listed).contains(&long));
    }
}
