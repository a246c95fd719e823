//! One log line for each request: what came of it. Never an address, a body or a URL, which holds the secret.
//!
//! What a stranger can bring about is counted, and told at most once a minute: nobody fills the disk by
//! knocking.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::{info, warn};

use super::answer::WebhookAnswer;
use crate::clock::Clock;

/// Requests that are turned away are told of at most this often.
const STRANGERS_EVERY: Duration = Duration::from_secs(60);

/// Writes the lines.
#[derive(Debug)]
pub(super) struct RequestLog {
    clock: Arc<dyn Clock>,
    wrong_secrets: RefusalTally,
    too_many: RefusalTally,
}

impl RequestLog {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, wrong_secrets: RefusalTally::of(TURNED_AWAY), too_many: RefusalTally::of(TURNED_AWAY) }
    }

    /// A request that came at `began`, by the monotonic clock, was answered now.
    pub(super) fn log_answer(&self, answer: &WebhookAnswer, began: Duration) {
        let now = self.clock.monotonic();
        let duration_ms = u64::try_from(now.saturating_sub(began).as_millis()).unwrap_or(u64::MAX);
        let outcome = answer.outcome();
        let alert = answer.alert().map(tracing::field::display);
        match answer {
            WebhookAnswer::Accepted { .. } | WebhookAnswer::Duplicate { .. } => {
                info!(outcome, alert, duration_ms, "webhook")
            }
            WebhookAnswer::NotDurable { error } => warn!(outcome, duration_ms, %error, "webhook"),
            WebhookAnswer::WrongSecret => self.wrong_secrets.note(outcome, now),
            WebhookAnswer::TooMany { .. } => self.too_many.note(outcome, now),
            other => {
                let codes = Some(other.codes().join(",")).filter(|codes| !codes.is_empty());
                warn!(outcome, alert, duration_ms, codes, "webhook");
            }
        }
    }
}

const TURNED_AWAY: &str = "webhook: requests turned away";

/// Requests that are counted between lines.
#[derive(Debug)]
pub(in crate::http) struct RefusalTally {
    what: &'static str,
    counted: Mutex<CountedRefusals>,
}

#[derive(Debug, Default)]
struct CountedRefusals {
    told_at: Option<Duration>,
    since: u64,
}

impl RefusalTally {
    pub(in crate::http) fn of(what: &'static str) -> Self {
        Self { what, counted: Mutex::default() }
    }

    /// One more, which came to `outcome`.
    pub(in crate::http) fn note(&self, outcome: &str, now: Duration) {
        if let Some(requests) = self.count(now) {
            warn!(outcome, requests, "{}", self.what);
        }
    }

    /// Counts one more; how many there were, when it is time to tell.
    fn count(&self, now: Duration) -> Option<u64> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.since += 1;
        let told_lately = counted.told_at.is_some_and(|told_at| now.saturating_sub(told_at) < STRANGERS_EVERY);
        if told_lately {
            return None;
        }
        counted.told_at = Some(now);
        Some(std::mem::take(&mut counted.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_counted_and_told_of_once_a_minute() {
        let tally = RefusalTally::of("x");
        let at = |seconds| tally.count(Duration::from_secs(seconds));
        assert_eq!(at(5), Some(1));
        assert_eq!([at(6), at(30), at(64)], [None; 3]);
        assert_eq!(at(65), Some(4));
        assert_eq!(at(66), None);
    }
}
