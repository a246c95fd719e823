//! Trades: the document, and the machine that opens, replaces and closes them.

pub mod document;
mod exit;
pub mod machine;
pub mod pnl;
pub mod request;

#[cfg(test)]
pub(crate) mod fixtures;
