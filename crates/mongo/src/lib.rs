//! The scalable store: MongoDB behind the ports of [`alertcast_core::store`]. It has to be a replica set (one node is
//! enough) or a sharded cluster, because a commit is one transaction.
//!
//! - [`connect`]: reaching the server and refusing one that cannot keep our promises; [`link`]: staying with it.
//!   [`setup`]: collections, indexes.
//! - [`transact`]: a transaction with its retries; [`local_locks`] keeps the tasks of one process out of each other's way,
//!   [`batcher`] lets them share what they want at the same time.
//! - The ports, one file each: [`intake`] (with [`accept`]), [`work`] (with [`commit`]), [`outbox`] (with [`working_set`],
//!   [`sweep`], [`settle`]), [`actions`], [`leases`], [`watch`], [`documents`] (with [`write`]).
//!
//! Documents are changed by update operators and never replaced, so that what others keep in them stays. No rule of the
//! business stands here: states, keys and deadlines come from core.

#![forbid(unsafe_code)]

mod accept;
mod actions;
mod batcher;
mod changes;
mod commit;
mod connect;
mod counters;
mod documents;
mod error;
mod intake;
mod interruption;
mod leases;
mod link;
mod list;
mod literal_update;
mod local_locks;
mod notice;
mod outbox;
#[cfg(test)]
mod plans;
mod query;
mod set_aside;
mod settle;
mod setup;
mod sweep;
mod transact;
mod watch;
mod work;
mod working_set;
mod write;

pub use connect::{MongoOptions, MongoStore};
pub use error::ConnectError;
