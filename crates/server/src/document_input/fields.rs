//! Reads one object field by field. What is wrong goes to the list of problems; what nobody asked for is a problem too.

use alertcast_core::schema::{self, FieldDeclaration, level};
use alertcast_core::store::Collection;
use serde_json::{Map, Value};

use super::problems::{FieldCode, InputProblems, WrongValue};
use crate::suggest;

/// What a value is read as, or what is wrong with it.
pub(crate) type FieldResult<T> = Result<T, String>;

/// An object's fields. Those left when it is dropped are unknown ones.
#[derive(Debug)]
pub(crate) struct InputFields<'a> {
    place: String,
    left: Map<String, Value>,
    asked: Vec<&'static str>,
    problems: &'a InputProblems,
    /// What is declared of them; nothing, where they are no document's.
    declared: &'static [FieldDeclaration],
}

impl<'a> InputFields<'a> {
    pub(crate) fn new(place: String, value: Value, problems: &'a InputProblems) -> Self {
        let left = match value {
            Value::Object(fields) => fields,
            other => {
                problems.add(&place, format!("is {}, not an object", kind(&other)));
                Map::new()
            }
        };
        Self { place, left, asked: Vec::new(), problems, declared: &[] }
    }

    /// The fields of a collection's document.
    pub(crate) fn of(self, collection: Collection) -> Self {
        self.declared_by(schema::fields(collection))
    }

    fn declared_by(mut self, declared: &'static [FieldDeclaration]) -> Self {
        self.declared = declared;
        self
    }

    /// What is declared of them.
    pub(super) const fn declared(&self) -> &'static [FieldDeclaration] {
        self.declared
    }

    /// Where the object stands.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// A problem of one field.
    pub(crate) fn wrong(&self, name: &str, wrong: impl Into<WrongValue>) {
        let wrong = wrong.into();
        self.wrong_as(wrong.code, name, wrong.what);
    }

    /// A field that is needed and not there.
    pub(crate) fn note_missing(&self, name: &str) {
        self.wrong_as(FieldCode::Missing, name, "is missing");
    }

    /// A field that may not be changed any more.
    pub(crate) fn note_fixed(&self, name: &str, what: impl Into<String>) {
        self.wrong_as(FieldCode::ReadOnly, name, what);
    }

    fn wrong_as(&self, code: FieldCode, name: &str, what: impl Into<String>) {
        self.problems.add_as(code, self.place_of(name), what);
    }

    fn place_of(&self, name: &str) -> String {
        if self.place.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place) }
    }

    /// A field's value; null counts as absent.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<Value> {
        self.asked.push(name);
        self.left.shift_remove(name).filter(|value| !value.is_null())
    }

    /// The object is not to be read any further.
    pub(crate) fn leave_out(mut self) {
        self.left.clear();
    }

    /// Which of two names of one field is used here; the first where neither is.
    pub(crate) fn either(&mut self, first: &'static str, second: &'static str) -> &'static str {
        self.asked.extend([first, second]);
        if self.left.contains_key(second) && !self.left.contains_key(first) { second } else { first }
    }

    /// A field that may be absent.
    pub(crate) fn optional<T, W: Into<WrongValue>>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Value) -> Result<T, W>,
    ) -> Option<T> {
        let value = self.take(name)?;
        read(&value).map_err(|what| self.wrong(name, what)).ok()
    }

    /// A field that must be there.
    pub(crate) fn read_required<T, W: Into<WrongValue>>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Value) -> Result<T, W>,
    ) -> Option<T> {
        let Some(value) = self.take(name) else {
            self.note_missing(name);
            return None;
        };
        read(&value).map_err(|what| self.wrong(name, what)).ok()
    }

    /// A field with a default.
    pub(crate) fn or<T, W: Into<WrongValue>>(
        &mut self,
        name: &'static str,
        default: T,
        read: impl FnOnce(&Value) -> Result<T, W>,
    ) -> T {
        self.optional(name, read).unwrap_or(default)
    }

    /// An object within; an absent one is empty.
    pub(crate) fn within(&mut self, name: &'static str) -> Self {
        let value = self.take(name).unwrap_or_else(|| Value::Object(Map::new()));
        let declared =
            level(self.declared).find(|(field, _)| field.name() == name).map_or(&[][..], |(_, within)| within);
        Self::new(self.place_of(name), value, self.problems).declared_by(declared)
    }

    /// A list; an absent one is empty.
    pub(crate) fn list<T, W: Into<WrongValue>>(
        &mut self,
        name: &'static str,
        mut read: impl FnMut(&Value) -> Result<T, W>,
    ) -> Vec<T> {
        let Some(value) = self.take(name) else { return Vec::new() };
        let Value::Array(items) = value else {
            self.wrong(name, format!("is {}, not a list", kind(&value)));
            return Vec::new();
        };
        let mut out = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match read(item) {
                Ok(item) => out.push(item),
                Err(what) => self.wrong(&format!("{name}[{index}]"), what),
            }
        }
        out
    }
}

impl Drop for InputFields<'_> {
    fn drop(&mut self) {
        // What Mongoose writes into every document says nothing here.
        self.left.shift_remove("__v");
        for name in std::mem::take(&mut self.left).keys() {
            let meant = suggest::nearest(name, self.asked.iter().copied());
            let hint = meant.map(|word| format!("; did you mean {word}?")).unwrap_or_default();
            self.wrong_as(FieldCode::UnknownField, name, format!("is no field{hint}"));
        }
    }
}

/// What a value is, in a word.
pub(crate) const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
