//! Alerts: reading one, the rules for one, and the document that keeps it.
//!
//! A request's way through here: [`payload::read`] makes a [`payload::Payload`] of its body and query, [`rules::check`]
//! holds that against its configuration, [`acceptance`] makes the document of it, [`duplicate`] names the keys that tell
//! a resend from a new alert. In the end [`settling`] tells who got it. The files that are private are the steps of
//! reading: `source` finds the body's shape (`lenient`, `pairs`, `query`), `redact` takes secrets out, `fields` looks
//! names up (`names`), `values` reads single values, `levels` those of take profits and stop losses in any shape.

pub mod acceptance;
pub mod document;
pub mod duplicate;
pub mod intent;
pub mod known_secrets;
pub mod payload;
pub mod render;
pub mod rule_violation;
pub mod rules;
pub mod settling;

mod entities;
mod fields;
mod json;
mod lenient;
mod letters;
mod levels;
mod names;
mod pairs;
mod query;
mod redact;
mod source;
mod values;
