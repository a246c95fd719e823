//! The embedded store: one SQLite file in the data folder, behind the ports of [`alertcast_core::store`].
//!
//! - One thread writes (`writer`): it drains a bounded line of jobs (`queue`) into one transaction and acknowledges after
//!   the COMMIT. A few threads read (`reader`). Another carries the write-ahead log over (`checkpoint`).
//! - Documents are kept as BSON; the fields that an index uses stand in columns beside them (`schema`, `rows`). Changes
//!   are made by field in the bytes (`raw`), so that what we do not know survives.
//! - The ports, one file each: `intake`, `work`, `outbox` (with `ended`, `sweep`, `settle`), `leases`, `documents`.
//! - `spool` is no part of the store: a file of its own for what comes in while another store is away. It shares the
//!   writer.
//! - Features for tests: `test-hooks` lets a test stall the writer; `failpoints` lets operations fail at the places that
//!   `failpoints` lists.
//!
//! No rule of the business stands here: states, keys and deadlines come from core.

mod actions;
mod checkpoint;
mod documents;
mod error;
mod failpoints;
mod file;
mod inspect;
mod intake;
mod leases;
mod list;
mod migrate;
mod notice;
mod outbox;
#[cfg(test)]
mod plans;
mod queue;
mod raw;
mod reader;
mod rows;
mod schema;
mod set_aside;
mod settle;
mod spool;
mod store;
mod sweep;
mod usage;
mod work;
mod working_set;
mod writer;

pub use error::OpenError;
pub use inspect::{DatabaseInspection, FileSoundness, ReadOnly, inspect, is_in_use};
pub use spool::{SPOOL, Spool, SpoolContent, SpoolEntry, SpoolOptions, SpoolRecord};
#[cfg(feature = "test-hooks")]
pub use store::WriterStall;
pub use store::{SqliteOptions, SqliteStore};
