//! The domain of Alertcast: what an alert, a subscriber and a trade are, and every rule about them.
//!
//! No I/O, no clock, no randomness, no async runtime, no SQL, no HTTP: they are arguments, or stand behind the ports
//! in [`store`].

pub mod admin;
pub mod alert;
pub mod alert_configuration;
pub mod audit;
pub mod decision;
pub mod delivery;
pub mod erasure;
pub mod figures;
#[cfg(any(test, feature = "fixtures"))]
pub mod fixtures;
pub mod id;
pub mod limiter;
pub mod market;
pub mod matching;
pub mod money;
pub mod plan;
pub mod preference;
pub mod quota;
pub mod reading;
pub mod schema;
pub mod store;
pub mod subscription;
pub mod time;
pub mod token;
pub mod trade;
pub mod user;
mod verbatim;
