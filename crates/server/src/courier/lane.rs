//! A courier at work: one loop that begins whatever can begin, then waits for the first thing that happens. Everything
//! that takes time runs beside it and comes back as an [`Event`]; so no send waits for the store, and the state has one
//! owner.

mod reading;
mod sending;
mod writing;

use std::panic::resume_unwind;
use std::time::Duration;

use alertcast_core::delivery::Delivery;
use alertcast_core::id::AlertId;
use alertcast_core::limiter::Limiter;
use alertcast_core::store::{Fence, Result, StoreError};
use alertcast_core::time::Time;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use self::reading::{Batch, Reading};
use self::sending::Answered;
use super::hand::Hand;
use super::health::Health;
use super::ledger::{Ledger, Line};
use super::library::Library;
use super::outcome::Excused;
use super::throttle::Throttle;
use super::window::{Waiting, Window};
use super::{Lane, LaneEnd};
use crate::app::App;
use crate::metrics::{LaneGauges, Part};

/// Even without a knock, the store is looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The loop turns no faster: at a thousand messages a second, a few leave together.
const TICK: Duration = Duration::from_millis(4);
const STORE_REST_FIRST: Duration = Duration::from_millis(250);
const STORE_REST_MAX: Duration = Duration::from_secs(10);

/// Something that ran beside the loop has ended.
pub(super) enum Event {
    /// The deliveries that are due, how many were asked for, and when the next one becomes due.
    Read(Result<(Vec<Delivery>, Option<Time>)>, usize),
    Taken(Vec<Waiting>, Result<Batch>),
    Answered(Box<Answered>),
    Recorded(Vec<Line>, Result<Vec<AlertId>>),
    /// Alerts that could not be settled.
    Settled(Vec<AlertId>),
    /// Whether more is overdue.
    Expired(Result<(Vec<AlertId>, bool)>),
    Checked(std::result::Result<(), String>),
}

/// What the courier is about.
#[derive(Debug, Clone, Copy)]
enum Mode {
    Working,
    /// Takes nothing more, and puts down what it has in hand; at the latest by then.
    Finishing {
        by: Duration,
        end: LaneEnd,
    },
}

/// The state of a lane's work.
pub(super) struct Courier<'a> {
    app: &'a App,
    lane: &'a mut Lane,
    fence: Fence,
    mode: Mode,
    limiter: Limiter,
    throttle: Throttle,
    health: Health,
    checking: bool,
    window: Window,
    reading: Reading,
    hand: Hand,
    library: Library,
    ledger: Ledger,
    excused: Excused,
    /// After a failure of the store: not before, and how long the next rest is.
    store_rest: Option<(Duration, Duration)>,
    tasks: JoinSet<Event>,
    gauges: LaneGauges,
}

impl<'a> Courier<'a> {
    pub(super) fn new(app: &'a App, lane: &'a mut Lane, fence: Fence) -> Self {
        let now = app.clock.monotonic();
        let per_second = usize::try_from(lane.limits.bot_per_second.get()).unwrap_or(usize::MAX);
        Self {
            app,
            fence,
            mode: Mode::Working,
            limiter: Limiter::new(lane.limits, now),
            throttle: Throttle::default(),
            health: Health::default(),
            checking: false,
            window: Window::new(per_second),
            reading: Reading::new(per_second),
            hand: Hand::default(),
            library: Library::default(),
            ledger: Ledger::default(),
            excused: Excused::default(),
            store_rest: None,
            tasks: JoinSet::new(),
            gauges: app.metrics.lane(&lane.name),
            lane,
        }
    }

    /// Works until `stop`, or until the lease is `lost`.
    pub(super) async fn run(mut self, lost: &CancellationToken, stop: &CancellationToken) -> LaneEnd {
        if let Some(end) = self.recover(lost, stop).await {
            return end;
        }
        let mut knocks = self.app.wake.on_deliveries();
        loop {
            let now = self.app.clock.monotonic();
            self.begin(now);
            self.gauges.set(self.window.len(), self.hand.waiting() + self.hand.flying, self.ledger.unwritten());
            if let Some(end) = self.finished(now) {
                return end;
            }
            let (clock, wait) = (&*self.app.clock, self.wait(now));
            let working = matches!(self.mode, Mode::Working);
            let event = tokio::select! {
                biased;
                () = lost.cancelled() => return LaneEnd::Lost,
                () = stop.cancelled(), if working => {
                    self.finish(LaneEnd::Stopped);
                    continue;
                }
                Some(done) = self.tasks.join_next() => Some(done),
                Ok(()) = knocks.changed(), if working => {
                    self.reading.knocked();
                    None
                }
                () = clock.sleep(wait) => None,
            };
            if let Some(end) = self.take_in(event) {
                return end;
            }
        }
    }

    /// Takes in what has ended, and whatever else has meanwhile.
    fn take_in(&mut self, first: Option<std::result::Result<Event, JoinError>>) -> Option<LaneEnd> {
        let mut next = first;
        while let Some(done) = next {
            let end = match done {
                Ok(event) => self.on(event),
                Err(error) => {
                    error!(lane = self.lane.name, %error, "a part of the courier failed; what it had in hand is in doubt");
                    // Whoever supervises the lane begins it anew, ever later.
                    match error.try_into_panic() {
                        Ok(panic) => resume_unwind(panic),
                        Err(_) => Some(LaneEnd::Again),
                    }
                }
            };
            if end.is_some() {
                return end;
            }
            next = self.tasks.try_join_next();
        }
        None
    }

    fn on(&mut self, event: Event) -> Option<LaneEnd> {
        match event {
            Event::Read(result, limit) => self.on_read(result, limit),
            Event::Taken(asked, result) => self.on_taken(&asked, result),
            Event::Answered(answered) => {
                self.on_answered(*answered);
                None
            }
            Event::Recorded(batch, result) => self.on_recorded(batch, result),
            Event::Settled(left) => {
                self.on_settled(left);
                None
            }
            Event::Expired(result) => self.on_expired(result),
            Event::Checked(result) => {
                self.on_checked(result);
                None
            }
        }
    }

    /// Makes what an earlier owner left in hand pending again.
    async fn recover(&mut self, lost: &CancellationToken, stop: &CancellationToken) -> Option<LaneEnd> {
        loop {
            match self.app.store.recover(&self.fence, self.app.clock.now()).await {
                Ok(0) => return None,
                Ok(count) => {
                    info!(lane = self.lane.name, count, "deliveries in doubt go out again, marked as possible repeats");
                    return None;
                }
                Err(error) => {
                    if let Some(end) = self.store_failed("finding what is in doubt", &error) {
                        return Some(end);
                    }
                }
            }
            let rest = self.store_rest_until().saturating_sub(self.app.clock.monotonic());
            tokio::select! {
                () = lost.cancelled() => return Some(LaneEnd::Lost),
                () = stop.cancelled() => return Some(LaneEnd::Stopped),
                () = self.app.clock.sleep(rest) => {}
            }
        }
    }

    /// Begins whatever can begin now.
    fn begin(&mut self, now: Duration) {
        fail::fail_point!("courier::turn");
        if matches!(self.mode, Mode::Finishing { .. }) {
            self.ledger.hurry();
        } else {
            self.send_what_may_leave(now);
            self.check_credentials(now);
        }
        if now < self.store_rest_until() {
            return;
        }
        self.write(now);
        self.settle(now);
        if matches!(self.mode, Mode::Working) {
            self.take(now);
            self.read(now);
        }
    }

    /// How long nothing can begin, unless something happens.
    fn wait(&self, now: Duration) -> Duration {
        let working = matches!(self.mode, Mode::Working);
        let by = match self.mode {
            Mode::Working => None,
            Mode::Finishing { by, .. } => Some(by),
        };
        let stored = [
            self.ledger.write_at(),
            self.ledger.settle_at(),
            working.then(|| self.next_take()).flatten(),
            working.then(|| self.next_read(now)).flatten(),
        ];
        let stored = stored.into_iter().flatten().min().map(|at| at.max(self.store_rest_until()));
        let sent = [working.then(|| self.next_send(now)).flatten(), working.then(|| self.next_check()).flatten(), by];
        let at = sent.into_iter().flatten().chain(stored).min().unwrap_or(now + LOOK_EVERY);
        at.saturating_sub(now).max(TICK)
    }

    /// Takes nothing more, and puts back what has not left.
    fn finish(&mut self, end: LaneEnd) {
        if matches!(self.mode, Mode::Finishing { .. }) {
            return;
        }
        self.mode = Mode::Finishing { by: self.app.clock.monotonic() + self.lane.patience, end };
        self.put_back_all(self.app.clock.now(), "the courier stopped before it left");
    }

    /// Whether finishing has come to its end.
    fn finished(&self, now: Duration) -> Option<LaneEnd> {
        let Mode::Finishing { by, end } = self.mode else { return None };
        let done = self.hand.flying == 0 && !self.reading.is_under_way() && self.ledger.is_done();
        if !done && now < by {
            return None;
        }
        if !done {
            let (flying, unwritten) = (self.hand.flying, self.ledger.unwritten());
            warn!(lane = self.lane.name, flying, unwritten, "the courier ends with messages in doubt");
        }
        Some(end)
    }

    // What the store's answers have in common.

    fn store_rest_until(&self) -> Duration {
        self.store_rest.map_or(Duration::ZERO, |(until, _)| until)
    }

    fn store_answered(&mut self) {
        if self.store_rest.take().is_some() {
            info!(lane = self.lane.name, "the store answers again");
        }
    }

    /// Whether the lane's work ends with it.
    fn store_failed(&mut self, what: &str, error: &StoreError) -> Option<LaneEnd> {
        self.app.metrics.store_failed(Part::Courier, error);
        if let StoreError::Fenced { .. } = error {
            debug!(lane = self.lane.name, "the lease is in other hands");
            return Some(LaneEnd::Lost);
        }
        let rest = self.store_rest.map_or(STORE_REST_FIRST, |(_, rest)| (rest * 2).min(STORE_REST_MAX));
        warn!(lane = self.lane.name, %error, rest_ms = rest.as_millis(), "{what} failed; trying again");
        self.store_rest = Some((self.app.clock.monotonic() + rest, rest));
        None
    }
}
