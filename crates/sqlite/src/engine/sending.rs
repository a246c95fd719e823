//! What is being sent. Deliveries that were taken together, and of which nothing else has changed, are recorded as one
//! row, a batch, and not each in its document, which says `pending` until what became of the attempt is written. Whoever
//! reads a delivery's document reads it through [`SendingBatches`], which shows it as it is: `sending`.
//!
//! A batch names a delivery with the attempts that its document tells. Whatever writes the document raises them, for it
//! writes what it has read: from then on the name is void. So no batch can say anything of a delivery that has ended, or
//! waits again.

use std::borrow::Cow;

use alertcast_core::delivery::consequences::{SendingMark, SendingSince};
use alertcast_core::delivery::{DeliveryEvent, DeliveryState};
use alertcast_core::id::DeliveryId;
use alertcast_core::money::Count;
use alertcast_core::store::{Collection, LeaseFence};
use alertcast_core::time::Time;
use rusqlite::Connection;

use crate::engine::raw::{self, RawEdit, RawValue};
use crate::engine::rows::{DocumentBytes, RowAccess, blob};
use crate::error::SqliteResult;

/// `entries`: twelve bytes of the id and eight of the attempts for each, in the order of the ids.
const CREATE: &str = r#"CREATE TABLE IF NOT EXISTS sending_batches ("id" INTEGER PRIMARY KEY, "lane" TEXT NOT NULL,
    "epoch" INTEGER NOT NULL, "takenAt" INTEGER NOT NULL, "entries" BLOB NOT NULL)"#;

const ID_BYTES: usize = 12;
const ENTRY_BYTES: usize = ID_BYTES + 8;

/// All batches that are not over, as one snapshot has them.
#[derive(Debug, Default)]
pub(crate) struct SendingBatches {
    batches: Vec<SendingBatch>,
}

/// Deliveries of one lane that were taken together.
#[derive(Debug)]
struct SendingBatch {
    id: i64,
    lane: String,
    epoch: i64,
    taken_at: Time,
    entries: Vec<u8>,
}

pub(crate) fn create(conn: &Connection) -> SqliteResult<()> {
    Ok(conn.execute_batch(CREATE)?)
}

impl SendingBatches {
    pub(crate) fn load(rows: RowAccess<'_>) -> SqliteResult<Self> {
        let batches = rows.all(BATCHES, [], |row| {
            Ok(SendingBatch {
                id: row.get(0)?,
                lane: row.get(1)?,
                epoch: row.get(2)?,
                taken_at: Time::from_millis(row.get(3)?),
                entries: blob(row, 4)?.to_vec(),
            })
        });
        match batches {
            Ok(batches) => Ok(Self { batches }),
            // A database of before there were batches, which is only looked at.
            Err(_) if !rows.any(IS_THERE, [])? => Ok(Self::default()),
            Err(fault) => Err(fault),
        }
    }

    /// How many deliveries are in them at most.
    pub(crate) fn len(&self) -> usize {
        self.batches.iter().map(|batch| batch.entries.len() / ENTRY_BYTES).sum()
    }

    /// A delivery's document as it is now.
    pub(crate) fn show<'d>(&self, document: &'d [u8]) -> Cow<'d, [u8]> {
        let shown = self.find(document).and_then(|(batch, attempts)| batch.show(document, attempts).ok());
        shown.map_or(Cow::Borrowed(document), Cow::Owned)
    }

    pub(crate) fn show_owned(&self, document: DocumentBytes) -> DocumentBytes {
        match self.show(&document) {
            Cow::Owned(shown) => shown,
            Cow::Borrowed(_) => document,
        }
    }

    /// Since when, and under which epoch, the delivery of this document, which is as it is kept, is being sent.
    pub(crate) fn since(&self, document: &[u8]) -> Option<SendingSince> {
        self.find(document).map(|(batch, _)| SendingSince { epoch: batch.epoch, taken_at: batch.taken_at })
    }

    /// The batch in which the delivery of this document, which is as it is kept, is being sent, and its attempts before.
    fn find(&self, document: &[u8]) -> Option<(&SendingBatch, i64)> {
        if self.batches.is_empty() {
            return None;
        }
        let id = raw::lookup(document, "_id").ok()??.as_id()?.bytes();
        let mut named = self.batches.iter().filter_map(|batch| Some((batch, batch.attempts_of(id)?))).peekable();
        named.peek()?;
        let state = raw::lookup(document, "state").ok()??.as_str()?;
        let attempts = raw::counter(document, "attempts").ok()?;
        named.find(|(_, before)| *before == attempts && state == DeliveryState::Pending.as_str())
    }
}

const BATCHES: &str = r#"SELECT "id", "lane", "epoch", "takenAt", "entries" FROM sending_batches"#;

const IS_THERE: &str = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'sending_batches'";

impl SendingBatch {
    fn ids(&self) -> impl Iterator<Item = [u8; ID_BYTES]> + '_ {
        self.entries.chunks_exact(ENTRY_BYTES).filter_map(|entry| entry.first_chunk().copied())
    }

    /// The attempts before it was taken.
    fn attempts_of(&self, id: [u8; ID_BYTES]) -> Option<i64> {
        let (entries, _) = self.entries.as_chunks::<ENTRY_BYTES>();
        let at = entries.binary_search_by(|entry| entry[..ID_BYTES].cmp(&id)).ok()?;
        entries[at].last_chunk().copied().map(i64::from_le_bytes)
    }

    fn show(&self, document: &[u8], attempts: i64) -> SqliteResult<DocumentBytes> {
        let mut edit = RawEdit::new();
        edit.set("state", DeliveryState::Sending);
        edit.set("attempts", Count(attempts.saturating_add(1)));
        edit.set("epoch", self.epoch);
        edit.set("updatedAt", self.taken_at);
        edit.apply(document)
    }
}

/// Records deliveries as being sent under the fence.
pub(crate) fn record(rows: RowAccess<'_>, fence: &LeaseFence, marks: &[SendingMark], now: Time) -> SqliteResult<()> {
    if marks.is_empty() {
        return Ok(());
    }
    let mut entries: Vec<([u8; ID_BYTES], i64)> =
        marks.iter().map(|mark| (mark.delivery.bytes(), mark.attempts_before)).collect();
    entries.sort_unstable();
    let entries: Vec<u8> =
        entries.into_iter().flat_map(|(id, attempts)| id.into_iter().chain(attempts.to_le_bytes())).collect();
    rows.run(INSERT, (&fence.lease, fence.epoch, now.millis(), entries)).map(drop)
}

pub(crate) const INSERT: &str =
    r#"INSERT INTO sending_batches ("lane", "epoch", "takenAt", "entries") VALUES (?1, ?2, ?3, ?4)"#;

/// Takes deliveries out of the batches that the fence's owner made: what became of them is written.
pub(crate) fn release(
    rows: RowAccess<'_>,
    batches: &SendingBatches,
    fence: &LeaseFence,
    ended: impl Iterator<Item = DeliveryId>,
) -> SqliteResult<()> {
    let mut ended: Vec<[u8; ID_BYTES]> = ended.map(|id| id.bytes()).collect();
    ended.sort_unstable();
    let is_ours = |batch: &&SendingBatch| batch.lane == fence.lease && batch.epoch == fence.epoch;
    for batch in batches.batches.iter().filter(is_ours) {
        let is_left = |entry: &&[u8]| ended.binary_search_by(|id| id[..].cmp(&entry[..ID_BYTES])).is_err();
        let left: Vec<u8> = batch.entries.chunks_exact(ENTRY_BYTES).filter(is_left).flatten().copied().collect();
        if left.is_empty() {
            rows.run(DELETE, [batch.id])?;
        } else if left.len() < batch.entries.len() {
            rows.run(SHRINK, (batch.id, left))?;
        }
    }
    Ok(())
}

pub(crate) const SHRINK: &str = r#"UPDATE sending_batches SET "entries" = ?2 WHERE "id" = ?1"#;

pub(crate) const DELETE: &str = r#"DELETE FROM sending_batches WHERE "id" = ?1"#;

/// Makes what other epochs were sending pending again, marked as a possible repeat; answers how many.
pub(crate) fn recover(rows: RowAccess<'_>, fence: &LeaseFence, now: Time) -> SqliteResult<u64> {
    let mut recovered = 0;
    let is_of_others = |batch: &&SendingBatch| batch.lane == fence.lease && batch.epoch != fence.epoch;
    let batches = SendingBatches::load(rows)?;
    for batch in batches.batches.iter().filter(is_of_others) {
        for id in batch.ids() {
            let Some(kept) = rows.find_kept(Collection::Deliveries, bson::oid::ObjectId::from_bytes(id))? else {
                continue;
            };
            if batches.find(&kept).is_some_and(|(found, _)| found.id == batch.id) {
                recovered += u64::from(recover_one(rows, &batches.show(&kept), now)?);
            }
        }
        rows.run(DELETE, [batch.id])?;
    }
    Ok(recovered)
}

/// Makes a delivery pending again that may have arrived. By fields: one that cannot be read is found so when it is due.
pub(crate) fn recover_one(rows: RowAccess<'_>, document: &[u8], now: Time) -> SqliteResult<bool> {
    let Ok(state) = DeliveryState::Sending.after(DeliveryEvent::Recover) else { return Ok(false) };
    let mut edit = RawEdit::new();
    edit.set("state", state);
    edit.set("dueAt", now);
    edit.set("possibleRepeat", true);
    edit.set("updatedAt", now);
    edit.unset("epoch");
    rows.edit(Collection::Deliveries, document, &edit)?;
    Ok(true)
}

/// Whether a document says that it is being sent.
pub(crate) fn is_sending(document: &[u8]) -> bool {
    let state = raw::lookup(document, "state").ok().flatten().and_then(RawValue::as_str);
    state == Some(DeliveryState::Sending.as_str())
}
