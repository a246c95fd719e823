//! Changes of a document by field, so that what others keep in it stays: what core decides, and a store writes.

use bson::Bson;

/// Changes of one document's fields, by their dotted paths.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FieldEdits {
    pub set: Vec<(&'static str, Bson)>,
    pub unset: Vec<&'static str>,
}

impl FieldEdits {
    pub fn set(&mut self, path: &'static str, value: impl Into<Bson>) {
        self.set.push((path, value.into()));
    }

    /// Sets the field where there is a value; an absent one is left as it is.
    pub fn set_some(&mut self, path: &'static str, value: Option<impl Into<Bson>>) {
        if let Some(value) = value {
            self.set(path, value);
        }
    }

    /// Sets the field, or removes it where there is no value.
    pub(crate) fn put(&mut self, path: &'static str, value: Option<impl Into<Bson>>) {
        match value {
            Some(value) => self.set(path, value),
            None => self.unset.push(path),
        }
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.unset.is_empty()
    }
}
