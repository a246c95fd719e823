//! Faults: what goes wrong, for whom, how often. Deterministic: probabilities run on a seeded xorshift.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::sync::lock;

#[cfg(test)]
mod tests;

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum FaultAction {
    /// The request is processed at once, its answer is held for `ms`, or without it until the fault is removed.
    StallAnswer {
        /// Real milliseconds.
        #[serde(default)]
        ms: Option<u64>,
    },
    /// The request is held first and processed afterwards; not at all if its sender has gone by then.
    StallRequest {
        /// Real milliseconds.
        #[serde(default)]
        ms: Option<u64>,
    },
    /// The connection is dropped before the request is processed.
    DropBefore,
    /// The request is processed, then the connection is dropped: delivered, but the sender does not know.
    DropAfter,
    /// A 5xx, nothing processed.
    ErrorBefore {
        /// The status, 500 to 599.
        #[serde(default = "bad_gateway")]
        status: u16,
    },
    /// The request is processed, but a 5xx is answered.
    ErrorAfter {
        /// The status, 500 to 599.
        #[serde(default = "bad_gateway")]
        status: u16,
    },
    /// 429; the chat or the whole bot stays frozen for that long.
    TooManyRequests {
        /// Whole seconds.
        retry_after: u32,
        /// Who is frozen. Telegram's answer does not tell.
        #[serde(default)]
        scope: FreezeScope,
    },
    /// 403, as if the user had blocked the bot, for this request only.
    Forbidden,
    /// 400, as if the markup were wrong.
    CannotParse,
    /// Status 200 with a body that is not JSON.
    Garbage {
        /// Whether the request is processed all the same.
        #[serde(default = "yes")]
        delivered: bool,
    },
}

fn bad_gateway() -> u16 {
    502
}

fn yes() -> bool {
    true
}

/// What a 429 is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FreezeScope {
    /// The chat of the request.
    #[default]
    Chat,
    /// The bot.
    Bot,
}

/// The methods that put something into a chat.
const WRITING_METHODS: [&str; 5] =
    ["sendmessage", "editmessagetext", "sendphoto", "senddocument", "editmessagecaption"];

/// A fault and whom it strikes. Of several that match a request, the one injected first strikes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InjectedFault {
    /// What goes wrong.
    #[serde(flatten)]
    pub action: FaultAction,
    /// Only this bot, by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bot: Option<i64>,
    /// Only this chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<i64>,
    /// Only these methods, in any case. Empty: those that put something into a chat. `*`: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Passes over so many matching requests first.
    #[serde(default)]
    pub skip: u32,
    /// Ends after so many strikes. Without it, it lasts until it is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// The chance to strike, 0 to 1. Without it, always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
}

impl From<FaultAction> for InjectedFault {
    fn from(action: FaultAction) -> Self {
        Self::new(action)
    }
}

impl InjectedFault {
    /// Strikes everything that any bot puts into a chat.
    pub fn new(action: FaultAction) -> Self {
        Self { action, bot: None, chat: None, methods: Vec::new(), skip: 0, times: None, probability: None }
    }

    /// Only this bot, by its id.
    pub fn bot(mut self, bot: i64) -> Self {
        self.bot = Some(bot);
        self
    }

    /// Only this chat.
    pub fn chat(mut self, chat: i64) -> Self {
        self.chat = Some(chat);
        self
    }

    /// Also, or first, this method; `*` is every method.
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.methods.push(method.into());
        self
    }

    /// Passes over so many matching requests first.
    pub fn skip(mut self, requests: u32) -> Self {
        self.skip = requests;
        self
    }

    /// Ends after so many strikes.
    pub fn times(mut self, strikes: u32) -> Self {
        self.times = Some(strikes);
        self
    }

    /// The chance to strike, 0 to 1.
    pub fn probability(mut self, chance: f64) -> Self {
        self.probability = Some(chance);
        self
    }

    fn concerns(&self, bot: i64, chat: Option<i64>, method: &str) -> bool {
        let method_concerned = if self.methods.is_empty() {
            WRITING_METHODS.contains(&method)
        } else {
            self.methods.iter().any(|wanted| wanted == "*" || wanted.eq_ignore_ascii_case(method))
        };
        method_concerned
            && self.bot.is_none_or(|wanted| wanted == bot)
            && self.chat.is_none_or(|wanted| Some(wanted) == chat)
    }
}

/// Names an injected fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FaultId(pub u64);

/// A fault that strikes one request.
#[derive(Debug, Clone)]
pub(crate) struct FaultStrike {
    pub(crate) action: FaultAction,
    /// Closed or true once the fault is removed.
    pub(crate) removed: watch::Receiver<bool>,
}

#[derive(Debug)]
struct FaultEntry {
    id: FaultId,
    fault: InjectedFault,
    removed: watch::Sender<bool>,
}

/// All faults in force.
#[derive(Debug)]
pub(crate) struct FaultSet {
    list: Mutex<Vec<FaultEntry>>,
    /// So that a simulator without faults pays nothing for them.
    count: AtomicUsize,
    last_id: AtomicU64,
    random: Mutex<u64>,
}

impl FaultSet {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            list: Mutex::default(),
            count: AtomicUsize::new(0),
            last_id: AtomicU64::new(0),
            // Xorshift never leaves zero.
            random: Mutex::new(seed.max(1)),
        }
    }

    pub(crate) fn inject(&self, fault: InjectedFault) -> FaultId {
        let id = FaultId(self.last_id.fetch_add(1, Relaxed) + 1);
        let mut list = lock(&self.list);
        list.push(FaultEntry { id, fault, removed: watch::Sender::new(false) });
        self.count.store(list.len(), Relaxed);
        id
    }

    /// Ends one fault, and lets go whatever it holds; false if it is not in force.
    pub(crate) fn remove(&self, id: FaultId) -> bool {
        let mut list = lock(&self.list);
        let before = list.len();
        list.retain(|injected| {
            let stays = injected.id != id;
            if !stays {
                injected.removed.send_replace(true);
            }
            stays
        });
        self.count.store(list.len(), Relaxed);
        list.len() < before
    }

    /// Ends all faults, and lets go whatever they hold.
    pub(crate) fn clear(&self) {
        let mut list = lock(&self.list);
        for injected in list.drain(..) {
            injected.removed.send_replace(true);
        }
        self.count.store(0, Relaxed);
    }

    /// Those that can still strike.
    pub(crate) fn list(&self) -> Vec<(FaultId, InjectedFault)> {
        lock(&self.list).iter().map(|injected| (injected.id, injected.fault.clone())).collect()
    }

    /// The fault that strikes this request, if one does. `method` is in lower case.
    pub(crate) fn strike(&self, bot: i64, chat: Option<i64>, method: &str) -> Option<FaultStrike> {
        if self.count.load(Relaxed) == 0 {
            return None;
        }
        let mut list = lock(&self.list);
        for injected in list.iter_mut().filter(|injected| injected.fault.concerns(bot, chat, method)) {
            let fault = &mut injected.fault;
            if fault.times == Some(0) || fault.probability.is_some_and(|chance| self.chance() >= chance) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            fault.times = fault.times.map(|times| times - 1);
            return Some(FaultStrike { action: fault.action.clone(), removed: injected.removed.subscribe() });
        }
        None
    }

    /// The next number of a xorshift64*, in [0, 1).
    fn chance(&self) -> f64 {
        let mut state = lock(&self.random);
        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        let bits = state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11;
        bits as f64 / (1_u64 << 53) as f64
    }
}
