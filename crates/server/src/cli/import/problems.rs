//! Everything that is wrong with an import, with its place: `users[3].email`.

use std::cell::RefCell;

/// The list, filled while reading.
#[derive(Debug, Default)]
pub(super) struct Problems(RefCell<Vec<Problem>>);

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) place: String,
    /// What is wrong, as the end of a sentence that begins with the place.
    pub(super) what: String,
}

impl Problems {
    pub(super) fn add(&self, place: impl Into<String>, what: impl Into<String>) {
        self.0.borrow_mut().push(Problem { place: place.into(), what: what.into() });
    }

    pub(super) fn into_inner(self) -> Vec<Problem> {
        self.0.into_inner()
    }
}
