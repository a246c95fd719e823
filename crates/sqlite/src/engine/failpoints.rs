//! Where a test can make the store fail, panic or wait (feature `failpoints`, crate `fail`).
//!
//! - `sqlite::OP::begin`: before an operation is applied. Nothing of it is written.
//! - `sqlite::OP::applied`: after it is applied, before the COMMIT of its group.
//! - `sqlite::chunk::each`: after each of several chunks that are written together.
//! - `sqlite::commit::before_commit`, `sqlite::commit::after_commit`: around the COMMIT of a group, and around the sync of
//!   a batch of the intake log, before anything is acknowledged.
//! - `sqlite::log::before_write`, `sqlite::log::synced`: within the latter; `sqlite::log::STAGE`: while a segment is made or
//!   begun: `made`, `begun`.
//! - `sqlite::file::STAGE`: while a new database's file, the store's or the spool's, is made: `created`, `made`,
//!   `carried_over`, `closed`, `synced`, `renamed`.
//! - `sqlite::files::STAGE`: while a file beside the database is put: `written`, `synced`, `renamed`.
//!
//! `OP` is one of [`WriteOperation`]'s names: `accept`, `refuse`, `reject`, `chunk`, `failure`, `take`, `attempts`, `recover`,
//! `defer`, `expire`, `settle`, `purge`, `lease`, `write`, `close`, `resend`, `reaccept`, `erase`, `rows` (of alerts
//! that wait in the intake log); of the spool, `spool` and `unspool`. The action `return` makes the operation (or the whole group) `Unavailable`; `panic` is caught by the
//! writer and becomes the same.

use crate::error::SqliteError;

/// The kinds of operations that write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteOperation {
    Accept,
    Refuse,
    Reject,
    Chunk,
    Failure,
    Take,
    Attempts,
    Recover,
    Defer,
    Expire,
    Settle,
    Purge,
    Lease,
    Write,
    Close,
    Resend,
    Reaccept,
    Erase,
    Rows,
    Spool,
    Unspool,
}

impl WriteOperation {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Refuse => "refuse",
            Self::Reject => "reject",
            Self::Chunk => "chunk",
            Self::Failure => "failure",
            Self::Take => "take",
            Self::Attempts => "attempts",
            Self::Recover => "recover",
            Self::Defer => "defer",
            Self::Expire => "expire",
            Self::Settle => "settle",
            Self::Purge => "purge",
            Self::Lease => "lease",
            Self::Write => "write",
            Self::Close => "close",
            Self::Resend => "resend",
            Self::Reaccept => "reaccept",
            Self::Erase => "erase",
            Self::Rows => "rows",
            Self::Spool => "spool",
            Self::Unspool => "unspool",
        }
    }

    /// Whether its COMMIT may be answered before it is synced: where a failure of power undoes it, it is done again from what
    /// was synced before, and nothing has left the house that rests on it. What a message leaves by, what is answered to
    /// senders and operators, and what entitles to work is synced.
    pub(crate) const fn may_lag(self) -> bool {
        matches!(
            self,
            Self::Chunk | Self::Failure | Self::Attempts | Self::Expire | Self::Settle | Self::Purge | Self::Rows
        )
    }
}

/// Stands at `sqlite::PLACE::STAGE`.
#[cfg(feature = "failpoints")]
pub(crate) fn pass(place: &str, stage: &str) -> Result<(), SqliteError> {
    let name = format!("sqlite::{place}::{stage}");
    match fail::eval(&name, |_| ()) {
        Some(()) => Err(SqliteError::unavailable(format!("failpoint {name}"))),
        None => Ok(()),
    }
}

/// Nothing, without the feature.
#[cfg(not(feature = "failpoints"))]
#[expect(clippy::unnecessary_wraps, reason = "the same shape as with the feature")]
pub(crate) const fn pass(_place: &str, _stage: &str) -> Result<(), SqliteError> {
    Ok(())
}
