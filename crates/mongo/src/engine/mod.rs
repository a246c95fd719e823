//! What the ports stand on: the way to the server, transactions, collections and indexes, documents in queries.

pub(crate) mod alert_order;
pub(crate) mod batcher;
pub(crate) mod counters;
pub(crate) mod interruption;
pub(crate) mod link;
pub(crate) mod literal_update;
pub(crate) mod local_locks;
pub(crate) mod notices;
pub(crate) mod query;
pub(crate) mod setup;
pub(crate) mod transact;
