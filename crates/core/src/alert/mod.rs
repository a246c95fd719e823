//! Alerts: reading one, the rules for one, and the document that keeps it.

pub mod document;
