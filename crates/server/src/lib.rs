//! Alertcast: one TradingView alert becomes the right message for every paying subscriber.
//!
//! The way of an alert: `http` takes it in, `processor` turns it into trades and deliveries, `courier` sends them
//! through a `channel`. Only `cli` names a store adapter; everything else holds `Arc<dyn Store>`.
//! Over a store that is far away, `spool` keeps what comes in while that is away.

pub mod app;
pub mod audience;
pub mod base;
pub mod blocked_recipients;
pub mod channel;
pub mod cli;
pub mod clock;
mod collection_walk;
mod control;
pub mod courier;
pub mod degraded;
pub mod demo;
mod document_input;
mod document_kinds;
mod document_paths;
mod document_view;
#[cfg(feature = "failpoints")]
pub mod failpoints;
pub mod handover;
pub mod http;
mod http_client;
pub mod leases;
pub mod metrics;
pub mod moved_chats;
pub mod notices;
pub mod operator;
mod password;
pub mod prices;
pub mod processor;
pub mod readiness;
pub mod replay;
pub mod requests_in_progress;
pub mod running;
pub mod scheduler;
pub mod set_aside;
pub mod settings;
pub mod spool;
mod store_probe;
pub mod store_watching;
mod suggest;
mod supervise;
mod supervised_part;
pub mod telemetry;
pub mod tls;
mod tokens;
mod topics;
pub mod unsubscribe;
mod upgrade;
