//! The embedded store: one SQLite file in the data folder, behind the ports of [`alertcast_core::store`].
//!
//! - [`store`] and [`open`]: the store, and how it is opened. [`inspect`] looks at one beside its process.
//! - [`ports`]: one file for each port.
//! - [`engine`]: what they stand on. One thread writes (`writer`): it drains a bounded line of jobs (`queue`) into one
//!   transaction and acknowledges after the COMMIT. A few threads read (`reader`). Another carries the write-ahead log over
//!   (`checkpoint`). Documents are kept as BSON; the fields that an index uses stand in columns beside them (`schema`,
//!   `rows`). Changes are made by field in the bytes (`raw`), so that what we do not know survives.
//! - What an alert is answered 202 on is a record in the intake log (`engine::intake_log`), in files of its own beside the
//!   database; its row is written by whoever works on it (`engine::alert_rows`).
//! - What is kept as files stands in the folder beside the database (`ports::files`).
//! - [`spool`] is no part of the store: a file of its own for what comes in while another store is away. It shares the
//!   writer.
//! - Features for tests: `test-hooks` lets a test stall the writer; `failpoints` lets operations fail at the places that
//!   `engine::failpoints` lists.
//!
//! No rule of the business stands here: states, keys and deadlines come from core.

mod engine;
mod error;
mod inspect;
mod open;
mod ports;
mod spool;
mod store;

pub use error::OpenError;
pub use inspect::{DatabaseInspection, FileSoundness, ReadOnly, count_alerts_without_rows, inspect, is_in_use};
pub use spool::{SPOOL, Spool, SpoolContent, SpoolEntry, SpoolOptions, SpoolRecord};
#[cfg(feature = "test-hooks")]
pub use store::WriterStall;
pub use store::{SqliteOptions, SqliteStore};
