//! A stand-in Telegram Bot API server for tests, benchmarks and demonstrations.
//!
//! It answers as Telegram does (envelopes, wording, limits, who may write to whom), keeps a record of what arrived
//! that outlives the program under test, and fails on request. It knows nothing of the programs that use it.
//!
//! ```no_run
//! # async fn example() -> Result<(), telegram_sim::SimError> {
//! use std::time::Duration;
//! use telegram_sim::{FaultAction, InjectedFault, SimConfig};
//!
//! let server = telegram_sim::start(SimConfig::default().bot("123456:ABC"), "127.0.0.1:0").await?;
//! let sim = server.sim();
//! sim.inject_fault(InjectedFault::new(FaultAction::DropAfter).chat(7).times(1));
//! // … the program under test sends to `server.url()` …
//! sim.wait_for(1, Duration::from_secs(5)).await?;
//! println!("{}", sim.chat_text(7));
//! server.stop().await;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

use std::io;

mod answer;
mod api;
mod bot;
mod chat;
mod config;
mod control;
mod fault;
mod files;
pub mod html;
mod inbound;
mod limiter;
mod log;
mod params;
mod record;
mod request;
mod restore;
mod server;
mod sim;
mod stats;
mod sync;
mod transcript;
mod webhook;

pub use chat::{ChatInfo, ChatKind};
pub use config::{ChatMode, SimClock, SimConfig, SimLimits, TranscriptRetention, system_clock};
pub use fault::{FaultAction, FaultId, FreezeScope, InjectedFault};
pub use files::{FileInfo, FileKind};
pub use inbound::UserFile;
pub use limiter::LimitCause;
pub use record::{RequestOutcome, RowKind, SenderView, SentMessage, TranscriptRow};
pub use server::{SimServer, start};
pub use sim::SimHandle;
pub use stats::Stats;

/// What can go wrong with the simulator itself.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The token is not of the form `123456:ABC…`.
    #[error("a bot token has the form 123456:ABC, digits before the colon, then letters, digits, - or _")]
    Token,
    /// No bot with this id.
    #[error("there is no bot with the id {0}")]
    UnknownBot(i64),
    /// The message that a button should belong to is not there.
    #[error("there is no message {message_id} in chat {chat} that the bot sent")]
    UnknownMessage {
        /// The chat.
        chat: i64,
        /// The message.
        message_id: i64,
    },
    /// The address cannot be listened on.
    #[error("cannot listen: {0}")]
    Listen(io::Error),
    /// The ledger file cannot be opened, or holds what is no ledger.
    #[error("cannot read the ledger: {0}")]
    Ledger(io::Error),
    /// The client for webhooks cannot be made.
    #[error("cannot make the webhook client: {0}")]
    HttpClient(reqwest::Error),
    /// What was waited for did not come in time.
    #[error("timed out; {messages} messages had arrived")]
    TimedOut {
        /// Messages that had arrived by then.
        messages: u64,
    },
}
