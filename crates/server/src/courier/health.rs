//! Whether the other side answers at all. When several attempts in a row fail, the courier rests and then tries with one
//! message at a time: a thousand messages a second must not be marked as doubtful because Telegram is away. When our
//! credentials are refused nothing is sent until they are accepted again.

use std::time::Duration;

use alertcast_core::delivery::retry_delay;

/// So many failures in a row are not the message's fault.
const FAILURES: i64 = 5;
/// The longest rest: nobody waits longer than this once the other side is back.
const REST_MAX: Duration = Duration::from_secs(10);
/// Refused credentials are tried again after this, and then after twice as long each time.
pub(super) const REFUSED_FIRST: Duration = Duration::from_secs(30);
const REFUSED_MAX: Duration = Duration::from_secs(10 * 60);

/// How the other side has been.
#[derive(Debug, Default)]
pub(super) struct LaneHealth {
    failures: i64,
    rest_until: Duration,
    refused: Option<RefusedAttempts>,
}

#[derive(Debug)]
struct RefusedAttempts {
    check_at: Duration,
    pause: Duration,
}

/// A change that is worth a line in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HealthChange {
    /// It does not answer any more.
    Away,
    /// It answers again.
    Back,
}

impl LaneHealth {
    /// It answered, whatever it said.
    pub(super) fn note_answer(&mut self) -> Option<HealthChange> {
        let was_away = self.failures >= FAILURES;
        self.failures = 0;
        self.rest_until = Duration::ZERO;
        was_away.then_some(HealthChange::Back)
    }

    /// An attempt failed.
    pub(super) fn note_failure(&mut self, now: Duration, jitter: f64) -> Option<HealthChange> {
        self.failures = self.failures.saturating_add(1);
        if self.failures < FAILURES {
            return None;
        }
        self.rest_until = now.saturating_add(retry_delay(self.failures - FAILURES + 1, jitter).min(REST_MAX));
        (self.failures == FAILURES).then_some(HealthChange::Away)
    }

    /// Our credentials are refused. Answers whether that is news.
    pub(super) fn note_refusal(&mut self, now: Duration) -> bool {
        let news = self.refused.is_none();
        let pause = self.refused.as_ref().map_or(REFUSED_FIRST, |refused| (refused.pause * 2).min(REFUSED_MAX));
        // Answers to what was under way already are no further refusals.
        if self.refused.as_ref().is_none_or(|refused| refused.check_at <= now) {
            self.refused = Some(RefusedAttempts { check_at: now.saturating_add(pause), pause });
        }
        news
    }

    /// Our credentials are accepted again.
    pub(super) fn note_acceptance(&mut self) {
        self.refused = None;
    }

    /// Whether nothing may be sent because our credentials are refused.
    pub(super) const fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// When the credentials should be checked.
    pub(super) fn check_at(&self) -> Option<Duration> {
        self.refused.as_ref().map(|refused| refused.check_at)
    }

    /// Not before this.
    pub(super) const fn rest_until(&self) -> Duration {
        self.rest_until
    }

    /// How many messages may be under way at once.
    pub(super) const fn at_once(&self, concurrency: usize) -> usize {
        if self.failures >= FAILURES { 1 } else { concurrency }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_several_failures_it_rests_and_then_tries_one_at_a_time() {
        let mut health = LaneHealth::default();
        let now = Duration::from_secs(100);
        for _ in 0..4 {
            assert_eq!(health.note_failure(now, 1.0), None);
        }
        assert_eq!((health.at_once(32), health.rest_until()), (32, Duration::ZERO));
        assert_eq!(health.note_failure(now, 1.0), Some(HealthChange::Away));
        assert_eq!((health.at_once(32), health.rest_until()), (1, now + Duration::from_secs(1)));
        for _ in 0..20 {
            assert_eq!(health.note_failure(now, 1.0), None);
        }
        assert_eq!(health.rest_until(), now + REST_MAX);
        assert_eq!(health.note_answer(), Some(HealthChange::Back));
        assert_eq!((health.at_once(32), health.note_answer()), (32, None));
    }

    #[test]
    fn refused_credentials_are_checked_ever_more_seldom() {
        let mut health = LaneHealth::default();
        let now = Duration::from_secs(100);
        assert!(health.note_refusal(now));
        assert!(!health.note_refusal(now), "another answer of the same moment");
        assert_eq!(health.check_at(), Some(now + REFUSED_FIRST));
        let later = now + REFUSED_FIRST;
        assert!(!health.note_refusal(later));
        assert_eq!(health.check_at(), Some(later + REFUSED_FIRST * 2));
        health.note_acceptance();
        assert!(!health.is_refused());
    }
}
