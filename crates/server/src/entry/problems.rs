//! Everything that is wrong with what was sent, with its place: `users[3].email` in a file, `email` in a request.

use std::cell::RefCell;

/// The list, filled while reading.
#[derive(Debug, Default)]
pub(crate) struct Problems(RefCell<Vec<Problem>>);

/// A field that is needed and not there.
pub(crate) const MISSING: &str = "missing";
/// A field that nobody knows.
pub(crate) const UNKNOWN: &str = "unknown_field";
/// A value that cannot stand there.
pub(crate) const INVALID: &str = "invalid";
/// A value that stays as it was given first.
pub(crate) const FIXED: &str = "read_only";

/// A reference to what is not there.
pub(crate) const UNKNOWN_REFERENCE: &str = "unknown_reference";

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) code: &'static str,
    pub(crate) what: String,
}

impl From<String> for Wrong {
    fn from(what: String) -> Self {
        Self { code: INVALID, what }
    }
}

impl From<&str> for Wrong {
    fn from(what: &str) -> Self {
        what.to_owned().into()
    }
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// What kind of mistake, for programs.
    pub(crate) code: &'static str,
    pub(crate) place: String,
    /// What is wrong, as the end of a sentence that begins with the place.
    pub(crate) what: String,
}

impl Problems {
    pub(crate) fn add(&self, place: impl Into<String>, what: impl Into<String>) {
        self.add_as(INVALID, place, what);
    }

    pub(crate) fn add_as(&self, code: &'static str, place: impl Into<String>, what: impl Into<String>) {
        self.0.borrow_mut().push(Problem { code, place: place.into(), what: what.into() });
    }

    pub(crate) fn into_inner(self) -> Vec<Problem> {
        self.0.into_inner()
    }
}
