//! Trades: the document, and the machine that opens, replaces and closes them.

pub mod document;
