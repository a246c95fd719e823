//! Waiting on a machine that may be slow, or busy with anything else: for as long as something moves, nobody gives up.

use std::fmt::Debug;
use std::time::Duration;

use tokio::time::Instant;

/// Where nothing at all has moved for so long, something hangs.
const STILL_MAX: Duration = Duration::from_secs(150);
/// Figures may cost a look at all that a test has done.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Watches figures that change while work is done.
pub(crate) struct Patience<F, M> {
    figures: F,
    seen: M,
    moved_at: Instant,
    next_look: Instant,
}

impl<M: PartialEq + Debug, F: FnMut() -> M> Patience<F, M> {
    /// From now on.
    pub(crate) fn while_moving(mut figures: F) -> Self {
        let now = Instant::now();
        Self { seen: figures(), figures, moved_at: now, next_look: now + LOOK_EVERY }
    }

    /// Fails where nothing has moved for too long.
    #[track_caller]
    pub(crate) fn assert(&mut self, tell: impl FnOnce() -> String) {
        let now = Instant::now();
        if now < self.next_look {
            return;
        }
        self.next_look = now + LOOK_EVERY;
        let found = (self.figures)();
        if found != self.seen {
            (self.seen, self.moved_at) = (found, now);
        }
        let still = now - self.moved_at;
        assert!(still < STILL_MAX, "nothing has moved for {still:?} ({:?}): {}", self.seen, tell());
    }
}
