//! What the ports stand on: the threads that write and read, the file and its tables, documents as bytes.

pub(crate) mod alert_rows;
pub(crate) mod checkpoint;
pub(crate) mod counters;
pub(crate) mod database_file;
pub(crate) mod decoded;
pub(crate) mod failpoints;
pub(crate) mod intake_log;
pub(crate) mod logged_documents;
pub(crate) mod migrate;
pub(crate) mod notices;
pub(crate) mod queue;
pub(crate) mod raw;
pub(crate) mod reader;
pub(crate) mod rows;
pub(crate) mod schema;
pub(crate) mod sending;
pub(crate) mod writer;
