//! Trades: the document, and the machine that opens, replaces and closes them.

pub mod ask;
pub mod document;
mod exit;
pub mod machine;
pub mod pnl;

#[cfg(test)]
pub(crate) mod fixtures;
