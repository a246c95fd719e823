//! How many requests one token may send, and which tokens are known to be right.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alertcast_core::token::TokenDigest;
use axum::http::StatusCode;
use bson::oid::ObjectId;
use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use super::error::ApiResult;
use crate::clock::Clock;
use crate::http::limit::ClockTicks;
use crate::http::problem::ProblemResponse;

/// Tokens remembered before those that have not been used for a while are forgotten. Only tokens that exist count.
const TOKENS_BEFORE_SWEEP: usize = 1_000;

/// The limit of each token.
pub(super) struct TokenLimit {
    clock: ClockTicks,
    by_token: RateLimiter<ObjectId, HashMapStateStore<ObjectId>, ClockTicks, NoOpMiddleware<Duration>>,
}

impl TokenLimit {
    pub(super) fn new(a_minute: NonZeroU32, clock: Arc<dyn Clock>) -> Self {
        let clock = ClockTicks(clock);
        let by_token = RateLimiter::new(Quota::per_minute(a_minute), HashMapStateStore::default(), clock.clone());
        Self { clock, by_token }
    }

    /// Counts a request.
    pub(super) fn check(&self, token: ObjectId) -> ApiResult<()> {
        if self.by_token.len() >= TOKENS_BEFORE_SWEEP {
            self.by_token.retain_recent();
        }
        self.by_token.check_key(&token).map_err(|refused| {
            let detail = "this token has sent more requests than it may in a minute (api.requests_a_minute)";
            let wait = refused.wait_time_from(self.clock.now());
            ProblemResponse::new(StatusCode::TOO_MANY_REQUESTS, "Too many requests", detail)
                .retry_after(wait)
                .because("too_many_requests")
                .into()
        })
    }
}

/// Tokens that were found to be right when they were last shown. They are looked up again each time: this only tells whose
/// requests strangers at the same address cannot use up.
#[derive(Debug, Default)]
pub(super) struct RightTokens(Mutex<BTreeSet<String>>);

impl RightTokens {
    /// More are not remembered: they count as strangers'.
    const MAX: usize = 10_000;

    pub(super) fn contain(&self, token: &TokenDigest) -> bool {
        self.set().contains(&token.0)
    }

    /// What a look-up came to.
    pub(super) fn note(&self, token: TokenDigest, is_right: bool) {
        let mut set = self.set();
        if !is_right {
            set.remove(&token.0);
        } else if set.len() < Self::MAX {
            set.insert(token.0);
        }
    }

    fn set(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for TokenLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limit").field("tokens", &self.by_token.len()).finish_non_exhaustive()
    }
}
