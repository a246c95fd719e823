//! The scalable store: MongoDB behind the ports of [`alertcast_core::store`]. It has to be a replica set (one node is
//! enough) or a sharded cluster, because a commit is one transaction.
//!
//! - [`store`]: the store. [`open`]: reaching the server and refusing one that cannot keep our promises.
//! - [`ports`]: one file for each port.
//! - [`engine`]: what they stand on. `link` stays with the server; `setup` makes collections and indexes; `transact` runs a
//!   transaction with its retries; `local_locks` keeps the tasks of one process out of each other's way, `batcher` lets
//!   them share what they want at the same time.
//!
//! Documents are changed by update operators and never replaced, so that what others keep in them stays. No rule of the
//! business stands here: states, keys and deadlines come from core.

#![forbid(unsafe_code)]

mod engine;
mod error;
mod open;
mod ports;
mod store;

pub use error::ConnectError;
pub use store::{MongoOptions, MongoStore};
