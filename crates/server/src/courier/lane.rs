//! A courier at work: one loop that begins whatever can begin, then waits for the first thing that happens. Everything
//! that takes time runs beside it and comes back as an [`LaneEvent`]; so no send waits for the store, and the state has one
//! owner.

mod reading;
mod replying;
mod sending;
mod writing;

use std::panic::resume_unwind;
use std::time::Duration;

use alertcast_core::delivery::Delivery;
use alertcast_core::id::AlertId;
use alertcast_core::limiter::{REPLIES_ONE_IN, SendLimiter, SendTurns};
use alertcast_core::store::{LeaseFence, StoreError, StoreResult};
use alertcast_core::time::Time;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use self::reading::{QueueReading, TakenBatch};
use self::replying::AnsweredReply;
use self::sending::AnsweredMessage;
use super::attempt_records::{AttemptRecords, PendingRecord};
use super::due_queue::{DueDelivery, DueQueue};
use super::health::LaneHealth;
use super::message_sources::AlertCache;
use super::outcome::ExcusedAttempts;
use super::replies::LaneReplies;
use super::taken::TakenDeliveries;
use super::throttle::ThrottleState;
use super::{CourierLane, LaneEnd};
use crate::app::App;
use crate::channel::message::SharedTexts;
use crate::handover::HandoverReceiver;
use crate::metrics::{LaneGauges, StorePart};

/// Even without a knock, the store is looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The loop turns no faster: at a thousand messages a second, a few leave together.
const TICK: Duration = Duration::from_millis(4);
const STORE_REST_FIRST: Duration = Duration::from_millis(250);
const STORE_REST_MAX: Duration = Duration::from_secs(10);

/// Something that ran beside the loop has ended.
pub(super) enum LaneEvent {
    /// The deliveries that are due, how many were asked for, and when the next one becomes due.
    Read(StoreResult<(Vec<Delivery>, Option<Time>)>, usize),
    Taken(Vec<DueDelivery>, StoreResult<TakenBatch>),
    Answered(Box<AnsweredMessage>),
    Replied(Box<AnsweredReply>),
    Recorded(Vec<PendingRecord>, StoreResult<Vec<AlertId>>),
    /// Alerts that could not be settled.
    Settled(Vec<AlertId>),
    /// Whether more is overdue.
    Expired(StoreResult<(Vec<AlertId>, bool)>),
    Checked(std::result::Result<(), String>),
}

/// What the courier is about.
#[derive(Debug, Clone, Copy)]
enum LaneMode {
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
    lane: &'a mut CourierLane,
    fence: LeaseFence,
    mode: LaneMode,
    limiter: SendLimiter,
    /// Between deliveries and replies.
    turns: SendTurns,
    replies: LaneReplies,
    /// What this process commits for the lane.
    handover: HandoverReceiver,
    throttle: ThrottleState,
    health: LaneHealth,
    checking: bool,
    due_queue: DueQueue,
    reading: QueueReading,
    taken_deliveries: TakenDeliveries,
    alert_cache: AlertCache,
    /// What several readers get alike.
    texts: SharedTexts,
    records: AttemptRecords,
    excused: ExcusedAttempts,
    /// After a failure of the store: not before, and how long the next rest is.
    store_rest: Option<(Duration, Duration)>,
    tasks: JoinSet<LaneEvent>,
    gauges: LaneGauges,
}

impl<'a> Courier<'a> {
    pub(super) fn new(app: &'a App, lane: &'a mut CourierLane, fence: LeaseFence) -> Self {
        let now = app.clock.monotonic();
        let per_second = usize::try_from(lane.limits.bot_per_second.get()).unwrap_or(usize::MAX);
        Self {
            app,
            fence,
            mode: LaneMode::Working,
            limiter: SendLimiter::new(lane.limits, now),
            turns: SendTurns::new(REPLIES_ONE_IN),
            replies: app.replies.open(&lane.name),
            handover: app.wake.handover.open(&lane.name),
            throttle: ThrottleState::default(),
            health: LaneHealth::default(),
            checking: false,
            due_queue: DueQueue::new(per_second),
            reading: QueueReading::new(per_second),
            taken_deliveries: TakenDeliveries::default(),
            alert_cache: AlertCache::default(),
            texts: SharedTexts::default(),
            records: AttemptRecords::default(),
            excused: ExcusedAttempts::default(),
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
            self.gauges.set(
                self.due_queue.len(),
                self.taken_deliveries.count_waiting() + self.taken_deliveries.flying,
                self.records.unwritten(),
            );
            if let Some(end) = self.check_finished(now) {
                return end;
            }
            let (clock, wait) = (&*self.app.clock, self.wait(now));
            let working = matches!(self.mode, LaneMode::Working);
            let event = tokio::select! {
                biased;
                () = lost.cancelled() => return LaneEnd::Lost,
                () = stop.cancelled(), if working => {
                    self.finish(LaneEnd::Stopped);
                    continue;
                }
                Some(done) = self.tasks.join_next() => Some(done),
                Ok(()) = knocks.changed(), if working => {
                    self.reading.note_knock();
                    None
                }
                () = self.replies.came(), if working => None,
                () = self.handover.came(), if working => None,
                () = clock.sleep(wait) => None,
            };
            if let Some(end) = self.take_in(event) {
                return end;
            }
        }
    }

    /// Takes in what has ended, and whatever else has meanwhile.
    fn take_in(&mut self, first: Option<std::result::Result<LaneEvent, JoinError>>) -> Option<LaneEnd> {
        let mut next = first;
        while let Some(done) = next {
            let end = match done {
                Ok(event) => self.on(event),
                Err(error) => {
                    error!(lane = self.lane.name.as_str(), %error, "a part of the courier failed; what it had in hand is in doubt");
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

    fn on(&mut self, event: LaneEvent) -> Option<LaneEnd> {
        match event {
            LaneEvent::Read(result, limit) => self.on_read(result, limit),
            LaneEvent::Taken(asked, result) => self.on_taken(asked, result),
            LaneEvent::Answered(answered) => {
                self.on_answered(*answered);
                None
            }
            LaneEvent::Replied(answered) => {
                self.on_replied(*answered);
                None
            }
            LaneEvent::Recorded(batch, result) => self.on_recorded(batch, result),
            LaneEvent::Settled(left) => {
                self.on_settled(left);
                None
            }
            LaneEvent::Expired(result) => self.on_expired(result),
            LaneEvent::Checked(result) => {
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
                    info!(
                        lane = self.lane.name.as_str(),
                        count, "deliveries in doubt go out again, marked as possible repeats"
                    );
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
        if matches!(self.mode, LaneMode::Finishing { .. }) {
            self.records.hurry();
        } else {
            self.send_what_may_leave(now);
            self.check_credentials(now);
        }
        if now < self.store_rest_until() {
            return;
        }
        self.write(now);
        self.settle(now);
        if matches!(self.mode, LaneMode::Working) {
            self.receive_handed();
            self.take(now);
            self.read(now);
        }
    }

    /// How long nothing can begin, unless something happens.
    fn wait(&self, now: Duration) -> Duration {
        let working = matches!(self.mode, LaneMode::Working);
        let by = match self.mode {
            LaneMode::Working => None,
            LaneMode::Finishing { by, .. } => Some(by),
        };
        let stored = [
            self.records.write_at(),
            self.records.settle_at(),
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
        if matches!(self.mode, LaneMode::Finishing { .. }) {
            return;
        }
        self.mode = LaneMode::Finishing { by: self.app.clock.monotonic() + self.lane.patience, end };
        self.put_back_all(self.app.clock.now(), "the courier stopped before it left");
        self.replies.close();
    }

    /// Whether finishing has come to its end.
    fn check_finished(&self, now: Duration) -> Option<LaneEnd> {
        let LaneMode::Finishing { by, end } = self.mode else { return None };
        let done = self.taken_deliveries.flying == 0 && !self.reading.is_under_way() && self.records.is_done();
        if !done && now < by {
            return None;
        }
        if !done {
            let (flying, unwritten) = (self.taken_deliveries.flying, self.records.unwritten());
            warn!(lane = self.lane.name.as_str(), flying, unwritten, "the courier ends with messages in doubt");
        }
        Some(end)
    }

    // What the store's answers have in common.

    fn store_rest_until(&self) -> Duration {
        self.store_rest.map_or(Duration::ZERO, |(until, _)| until)
    }

    fn store_answered(&mut self) {
        if self.store_rest.take().is_some() {
            info!(lane = self.lane.name.as_str(), "the store answers again");
        }
    }

    /// Whether the lane's work ends with it.
    fn store_failed(&mut self, what: &str, error: &StoreError) -> Option<LaneEnd> {
        self.app.metrics.store_failed(StorePart::Courier, error);
        if let StoreError::Fenced { .. } = error {
            debug!(lane = self.lane.name.as_str(), "the lease is in other hands");
            return Some(LaneEnd::Lost);
        }
        let rest = self.store_rest.map_or(STORE_REST_FIRST, |(_, rest)| (rest * 2).min(STORE_REST_MAX));
        warn!(lane = self.lane.name.as_str(), %error, rest_ms = rest.as_millis(), "{what} failed; trying again");
        self.store_rest = Some((self.app.clock.monotonic() + rest, rest));
        None
    }
}
