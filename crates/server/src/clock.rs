//! Time as an argument: the system's clock, and one that its owner moves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use alertcast_core::time::Time;
use async_trait::async_trait;
use tokio::sync::oneshot;

/// What tells the time, and wakes up at one.
#[async_trait]
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The wall clock's time.
    fn now(&self) -> Time;

    /// Time since some fixed moment, which never goes back: for leases and limits.
    fn monotonic(&self) -> Duration;

    /// Returns once `monotonic` has advanced by `duration`.
    async fn sleep(&self, duration: Duration);
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// The machine's clock.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self { start: monotonic_start() })
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where the machine's monotonic clock is read")]
fn monotonic_start() -> Instant {
    Instant::now()
}

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the machine's wall clock is read")]
    fn now(&self) -> Time {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Time::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A clock that stands still until it is moved: for tests and rehearsals. Sleepers wake when it passes their moment.
#[derive(Debug, Default)]
pub struct ManualClock {
    state: Mutex<ManualState>,
}

#[derive(Debug, Default)]
struct ManualState {
    now: Time,
    monotonic: Duration,
    /// By the moment of waking, then in the order of falling asleep.
    sleepers: BTreeMap<(Duration, u64), oneshot::Sender<()>>,
    next: u64,
}

impl ManualClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn at(now: Time) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(ManualState { now, ..ManualState::default() }) })
    }

    /// Moves the clock, and wakes whoever slept until then.
    pub fn advance(&self, by: Duration) {
        let mut guard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *guard;
        state.now = state.now + by;
        state.monotonic = state.monotonic.saturating_add(by);
        let asleep = state.sleepers.split_off(&(state.monotonic.saturating_add(Duration::from_nanos(1)), 0));
        for (_, sleeper) in std::mem::replace(&mut state.sleepers, asleep) {
            // Whoever gave up waiting needs no waking.
            let _ = sleeper.send(());
        }
    }

    /// How long until the next sleeper wakes, if anybody sleeps.
    #[must_use]
    pub fn next_wake(&self) -> Option<Duration> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let next = state.sleepers.iter().find(|(_, sleeper)| !sleeper.is_closed())?;
        Some(next.0.0.saturating_sub(state.monotonic))
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Time {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).now
    }

    fn monotonic(&self) -> Duration {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).monotonic
    }

    async fn sleep(&self, duration: Duration) {
        if duration.is_zero() {
            return tokio::task::yield_now().await;
        }
        let woken = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let (wake, woken) = oneshot::channel();
            let key = (state.monotonic.saturating_add(duration), state.next);
            state.next += 1;
            state.sleepers.insert(key, wake);
            woken
        };
        // An error says that the clock is gone, and with it whoever could move it.
        let _ = woken.await;
    }
}
