//! Counters, kept without a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

use crate::answer::BotApiError;
use crate::limiter::{LimitCause, LimitRefusal};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// What happened since the start or the last reset.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Stats { $($(#[$doc])* pub $name: u64),+ }

        #[derive(Debug, Default)]
        pub(crate) struct Counters { $(pub(crate) $name: AtomicU64),+ }

        impl Counters {
            pub(crate) fn snapshot(&self) -> Stats {
                Stats { $($name: self.$name.load(Relaxed)),+ }
            }

            pub(crate) fn reset(&self) {
                let in_flight = self.in_flight.load(Relaxed);
                $(self.$name.store(0, Relaxed);)+
                // Requests under way are still under way.
                self.in_flight.store(in_flight, Relaxed);
                self.max_in_flight.store(in_flight, Relaxed);
            }
        }
    };
}

counters! {
    /// Bot API requests received, long polls among them.
    requests,
    /// Messages that arrived in a chat.
    messages,
    /// Edits that arrived.
    edits,
    /// Messages and edits that arrived without their sender seeing the result: dropped, 5xx or garbage.
    in_doubt,
    /// 429 by the bot's rate.
    limited_bot,
    /// 429 by the pause in a chat.
    limited_chat,
    /// 429 by a group's messages a minute.
    limited_group,
    /// 429 that a fault made.
    limited_injected,
    /// Of all 429: those that came before an announced `retry_after` had passed.
    limited_while_frozen,
    /// 403.
    forbidden,
    /// 400.
    bad_requests,
    /// 401 and 404.
    not_found,
    /// 409.
    conflicts,
    /// 5xx that faults made.
    server_errors,
    /// Connections dropped without an answer.
    dropped,
    /// Answers held by a stall.
    stalled,
    /// Requests being handled now, long polls not among them.
    in_flight,
    /// The most there were at once.
    max_in_flight,
    /// Requests whose sender gave up before the answer.
    abandoned,
    /// Updates posted to webhooks.
    webhook_posts,
    /// Ledger lines that could not be written.
    ledger_errors,
}

impl Stats {
    /// 429 that the sender brought upon itself.
    pub fn count_limited(&self) -> u64 {
        self.limited_bot + self.limited_chat + self.limited_group
    }

    /// All 429.
    pub fn too_many_requests(&self) -> u64 {
        self.count_limited() + self.limited_injected
    }
}

impl Counters {
    fn count_refusal(&self, refusal: &LimitRefusal) {
        let counter = match refusal.cause {
            LimitCause::Bot => &self.limited_bot,
            LimitCause::Chat => &self.limited_chat,
            LimitCause::Group => &self.limited_group,
            LimitCause::Injected => &self.limited_injected,
        };
        counter.fetch_add(1, Relaxed);
        if refusal.while_frozen {
            self.limited_while_frozen.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn count_error(&self, error: &BotApiError) {
        if let Some(refusal) = &error.refusal {
            return self.count_refusal(refusal);
        }
        let counter = match error.code {
            403 => &self.forbidden,
            401 | 404 => &self.not_found,
            409 => &self.conflicts,
            500.. => &self.server_errors,
            _ => &self.bad_requests,
        };
        counter.fetch_add(1, Relaxed);
    }
}
