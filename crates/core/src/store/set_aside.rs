//! What cannot be read is set aside alone; everything else goes on.

use std::fmt;

use async_trait::async_trait;

use super::StoreResult;
use crate::delivery::Delivery;
use crate::reading::{UnreadableDocument, UnreadableLog};
use crate::time::Time;

/// What cannot be read, and what becomes of it.
///
/// No operation of any port fails because of a single document that cannot be read: it is left out of what is answered,
/// and noted in the log. Whoever needs that very document is told `Corrupt`.
#[async_trait]
pub trait SetAsideDocuments: Send + Sync + fmt::Debug {
    /// Where every reader notes what it could not read.
    fn unreadables(&self) -> &UnreadableLog;

    /// Accepted alerts that have something else for a status, or nothing, up to `limit`: nobody would ever find them among
    /// those that wait, nor among those that are done. Nothing is noted in the log.
    async fn stray_alerts(&self, limit: usize) -> StoreResult<Vec<UnreadableDocument>>;

    /// Sets a document aside, by fields and without reading it, where it still cannot be read:
    /// - an alert that waits is `failed`, with the cause among its errors; so is one of [`Self::stray_alerts`], but where it
    ///   says when it was processed: that one is `processed`;
    /// - a delivery that has not ended is `dead`, with the cause as its last error, and nothing is taken back for it: it
    ///   may have arrived;
    /// - a quota is removed, and counted anew;
    /// - of every other collection the document stays as it is.
    ///
    /// `tell` is inserted, each delivery unless its key is taken. Repeated, it changes nothing more.
    async fn set_aside(&self, what: &UnreadableDocument, at: Time, tell: Vec<Delivery>) -> StoreResult<()>;
}
