//! Everything that is wrong with what was sent, with its place: `users[3].email` in a file, `email` in a request.

use std::cell::RefCell;

/// The list, filled while reading.
#[derive(Debug, Default)]
pub(crate) struct InputProblems(RefCell<Vec<FieldProblem>>);

macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $text:literal),+ $(,)?) => {
        /// Which rule a value of a document or a request breaks. The spellings are stable: programs may rely on them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum FieldCode {
            $($(#[$doc])* $code),+
        }

        impl FieldCode {
            /// Every one.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$code),+];

            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$code => $text),+ }
            }
        }
    };
}

codes! {
    /// A field that is needed and not there.
    Missing = "missing",
    /// A value that cannot stand there.
    Invalid = "invalid",
    /// A field, or a query's parameter, that nobody knows.
    UnknownField = "unknown_field",
    /// A value that others keep, or that stays as it was given first.
    ReadOnly = "read_only",
    /// A value that another has already, and only one may have.
    Taken = "taken",
    /// A document that others refer to.
    InUse = "in_use",
    /// A reference to what is not there.
    UnknownReference = "unknown_reference",
    /// What is kept, or was sent, cannot be read.
    Unreadable = "unreadable",
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WrongValue {
    pub(crate) code: FieldCode,
    pub(crate) what: String,
}

impl From<String> for WrongValue {
    fn from(what: String) -> Self {
        Self { code: FieldCode::Invalid, what }
    }
}

impl From<&str> for WrongValue {
    fn from(what: &str) -> Self {
        what.to_owned().into()
    }
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldProblem {
    /// What kind of mistake, for programs.
    pub(crate) code: FieldCode,
    pub(crate) place: String,
    /// What is wrong, as the end of a sentence that begins with the place.
    pub(crate) what: String,
}

impl InputProblems {
    pub(crate) fn add(&self, place: impl Into<String>, what: impl Into<String>) {
        self.add_as(FieldCode::Invalid, place, what);
    }

    pub(crate) fn add_as(&self, code: FieldCode, place: impl Into<String>, what: impl Into<String>) {
        self.0.borrow_mut().push(FieldProblem { code, place: place.into(), what: what.into() });
    }

    pub(crate) fn into_inner(self) -> Vec<FieldProblem> {
        self.0.into_inner()
    }
}
