//! The domain of Alertcast: what an alert, a subscriber and a trade are, and every rule about them.
//!
//! No I/O, no clock, no randomness, no async runtime, no SQL, no HTTP: they are arguments, or stand behind the ports
//! in [`store`].

pub mod id;
pub mod market;
pub mod money;
pub mod time;
