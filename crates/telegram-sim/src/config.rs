//! Settings of a simulator: which bots exist, how strict it is, what it keeps. No behaviour lives here.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The clock that limits run on: milliseconds since the Unix epoch. A test passes one that it moves by hand.
pub type SimClock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The machine's own clock.
#[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is passed")]
pub fn system_clock() -> SimClock {
    Arc::new(|| {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
    })
}

/// Which private chats a bot may write to. Groups and channels must be made known in both modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatMode {
    /// Every private chat counts as started with every bot, so that 100,000 chats need no set-up.
    Lenient,
    /// Only chats that were started with this very bot.
    Strict,
}

/// How much of the transcript stays in memory. The ledger file is not shortened by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TranscriptRetention {
    /// Everything.
    All,
    /// The latest entries only; an older message can then be neither edited nor replied to.
    Last(usize),
}

/// Telegram's published limits. All of them count accepted messages and edits of one bot.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimLimits {
    /// Messages a second, over all chats of the bot. Paid broadcasts have 1,000.
    pub bot_per_second: u32,
    /// How many messages may come at once before the rate counts.
    pub bot_burst: u32,
    /// The pause between two messages to the same chat.
    pub chat_interval_ms: u32,
    /// How much earlier than that a message may come: a sender that keeps to the interval exactly must not be
    /// refused because the network shook. It does not add up, the mean rate stays one a `chat_interval_ms`.
    pub chat_jitter_ms: u32,
    /// Messages a minute to one group or channel; all of them may come as fast as `chat_interval_ms` allows.
    pub group_per_minute: u32,
}

impl Default for SimLimits {
    fn default() -> Self {
        Self { bot_per_second: 30, bot_burst: 30, chat_interval_ms: 1_000, chat_jitter_ms: 100, group_per_minute: 20 }
    }
}

impl SimLimits {
    /// The same limits with another rate for the whole bot; the bucket's size follows it.
    pub fn with_bot_rate(self, per_second: u32) -> Self {
        Self { bot_per_second: per_second, bot_burst: per_second, ..self }
    }
}

/// What a simulator starts with. `SimConfig::default()` is lenient, with the published limits, on the system clock.
#[derive(Clone)]
pub struct SimConfig {
    /// Tokens of the bots that exist, as `123456:ABC…`.
    pub bots: Vec<String>,
    /// See [`ChatMode`].
    pub mode: ChatMode,
    /// `None` switches the limits off.
    pub limits: Option<SimLimits>,
    /// See [`TranscriptRetention`].
    pub keep: TranscriptRetention,
    /// Added to every answer, in real milliseconds.
    pub latency_ms: u64,
    /// Where accepted messages and edits are appended, one JSON line each; what it holds already is loaded.
    pub ledger: Option<PathBuf>,
    /// See [`SimClock`].
    pub clock: SimClock,
    /// Seed for faults with a probability.
    pub seed: u64,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            bots: Vec::new(),
            mode: ChatMode::Lenient,
            limits: Some(SimLimits::default()),
            keep: TranscriptRetention::All,
            latency_ms: 0,
            ledger: None,
            clock: system_clock(),
            seed: 0x5EED_5EED_5EED_5EED,
        }
    }
}

impl SimConfig {
    /// Adds a bot by its token.
    pub fn bot(mut self, token: impl Into<String>) -> Self {
        self.bots.push(token.into());
        self
    }

    /// Only started chats can be written to.
    pub fn strict(mut self) -> Self {
        self.mode = ChatMode::Strict;
        self
    }

    /// Sets the limits.
    pub fn limits(mut self, limits: SimLimits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Switches the limits off.
    pub fn no_limits(mut self) -> Self {
        self.limits = None;
        self
    }

    /// Bounds the transcript in memory.
    pub fn keep_last(mut self, entries: usize) -> Self {
        self.keep = TranscriptRetention::Last(entries);
        self
    }

    /// Delays every answer by so many real milliseconds.
    pub fn latency_ms(mut self, latency_ms: u64) -> Self {
        self.latency_ms = latency_ms;
        self
    }

    /// Appends what is accepted to this file.
    pub fn ledger(mut self, path: impl Into<PathBuf>) -> Self {
        self.ledger = Some(path.into());
        self
    }

    /// Sets the clock of the limits.
    pub fn clock(mut self, clock: SimClock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the seed for faults with a probability.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}

impl fmt::Debug for SimConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimConfig")
            .field("bots", &self.bots.len())
            .field("mode", &self.mode)
            .field("limits", &self.limits)
            .field("keep", &self.keep)
            .field("latency_ms", &self.latency_ms)
            .field("ledger", &self.ledger)
            .finish_non_exhaustive()
    }
}
