//! The transcript in memory and the ledger on disk: one order of events for all chats.
//!
//! The lock around [`TranscriptLog`] is held for an append only. A line of the ledger is one `write` to the file, made before
//! the sender is answered: it outlives the process (not the machine; there is no `fsync`).

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::sync::Arc;

use crate::config::TranscriptRetention;
use crate::record::{RowKind, TranscriptRow};

#[cfg(test)]
mod tests;

/// Refused requests are kept apart and bounded always: a storm of them must not push out messages.
const REFUSED_MAX: usize = 100_000;

#[derive(Debug)]
pub(crate) struct TranscriptLog {
    keep: TranscriptRetention,
    last_seq: u64,
    rows: VecDeque<Arc<TranscriptRow>>,
    refused: VecDeque<Arc<TranscriptRow>>,
    ledger: Option<File>,
    line: Vec<u8>,
}

/// What an append did.
pub(crate) struct AppendOutcome {
    pub(crate) row: Arc<TranscriptRow>,
    /// Rows that fell out of the bounded memory.
    pub(crate) evicted: Vec<Arc<TranscriptRow>>,
    /// The ledger could not be written.
    pub(crate) ledger_failed: bool,
}

impl TranscriptLog {
    /// An empty log, or the one that the ledger file holds.
    pub(crate) fn open(keep: TranscriptRetention, ledger: Option<&Path>) -> io::Result<(Self, Vec<TranscriptRow>)> {
        let mut log =
            Self { keep, last_seq: 0, rows: VecDeque::new(), refused: VecDeque::new(), ledger: None, line: Vec::new() };
        let Some(path) = ledger else {
            return Ok((log, Vec::new()));
        };
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        let (rows, whole_len) = read_ledger(&mut file)?;
        // A line torn by a crash is cut off, else the next one would be glued to it.
        file.set_len(whole_len)?;
        log.last_seq = rows.iter().map(|row| row.seq).max().unwrap_or(0);
        log.ledger = Some(file);
        let after_reset = rows.iter().rposition(|row| row.kind == RowKind::Reset).map_or(0, |at| at + 1);
        Ok((log, rows.into_iter().skip(after_reset).collect()))
    }

    /// Gives the row its number, keeps it and writes it down.
    pub(crate) fn append(&mut self, mut row: TranscriptRow) -> AppendOutcome {
        self.last_seq += 1;
        row.seq = self.last_seq;
        let refused = row.kind == RowKind::Refused;
        let ledger_failed = !refused && self.write_down(&row).is_err();
        let row = Arc::new(row);
        let evicted = if refused { self.keep_refused(&row) } else { self.keep(Arc::clone(&row)) };
        AppendOutcome { row, evicted, ledger_failed }
    }

    /// Keeps a row that was read from the ledger.
    pub(crate) fn keep(&mut self, row: Arc<TranscriptRow>) -> Vec<Arc<TranscriptRow>> {
        self.rows.push_back(row);
        let rows_max = match self.keep {
            TranscriptRetention::All => usize::MAX,
            TranscriptRetention::Last(rows_max) => rows_max,
        };
        let surplus = self.rows.len().saturating_sub(rows_max);
        self.rows.drain(..surplus).collect()
    }

    fn keep_refused(&mut self, row: &Arc<TranscriptRow>) -> Vec<Arc<TranscriptRow>> {
        if self.refused.len() == REFUSED_MAX {
            self.refused.pop_front();
        }
        self.refused.push_back(Arc::clone(row));
        Vec::new()
    }

    fn write_down(&mut self, row: &TranscriptRow) -> io::Result<()> {
        let Some(ledger) = &mut self.ledger else { return Ok(()) };
        self.line.clear();
        serde_json::to_writer(&mut self.line, row)?;
        self.line.push(b'\n');
        ledger.write_all(&self.line)
    }

    /// Forgets everything in memory. Numbers go on, so that a reader's `after` stays valid.
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.refused.clear();
    }

    /// All rows but the refused ones, in order.
    pub(crate) fn rows(&self) -> Vec<Arc<TranscriptRow>> {
        self.rows.iter().cloned().collect()
    }

    /// Refused requests after a number, in order.
    pub(crate) fn refused_after(&self, after: u64) -> Vec<Arc<TranscriptRow>> {
        let from = self.refused.partition_point(|row| row.seq <= after);
        self.refused.range(from..).cloned().collect()
    }

    /// The first `limit` rows of every kind after a number, in order.
    pub(crate) fn after(&self, after: u64, limit: usize) -> Vec<Arc<TranscriptRow>> {
        let tail = |rows: &VecDeque<Arc<TranscriptRow>>| -> Vec<Arc<TranscriptRow>> {
            let from = rows.partition_point(|row| row.seq <= after);
            rows.range(from..).take(limit).cloned().collect()
        };
        let mut rows = tail(&self.rows);
        rows.extend(tail(&self.refused));
        rows.sort_by_key(|row| row.seq);
        rows.truncate(limit);
        rows
    }
}

/// All whole lines, and how many bytes they take.
fn read_ledger(file: &mut File) -> io::Result<(Vec<TranscriptRow>, u64)> {
    let mut reader = BufReader::new(file);
    let (mut rows, mut whole_len, mut line) = (Vec::new(), 0_u64, Vec::new());
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)?;
        if read == 0 || line.last() != Some(&b'\n') {
            return Ok((rows, whole_len));
        }
        let row = serde_json::from_slice(&line).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("ledger line {}: {error}", rows.len() + 1))
        })?;
        rows.push(row);
        whole_len += read as u64;
    }
}
