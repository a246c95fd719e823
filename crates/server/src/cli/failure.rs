//! A failure that says how to mend it.

use std::fmt;

/// What went wrong, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandFailure {
    what: String,
    pub(crate) fix: String,
    /// The command was not given right, or its configuration is not: trying again changes nothing.
    pub(crate) usage: bool,
}

impl CommandFailure {
    pub(crate) fn new(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), fix: fix.into(), usage: false }
    }

    /// The same, for how the command was called.
    pub(crate) fn of_usage(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { usage: true, ..Self::new(what, fix) }
    }
}

impl fmt::Display for CommandFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for CommandFailure {}
