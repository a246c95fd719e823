//! One configuration's alerts, one after the other, each in chunks of users.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use alertcast_core::alert::document::{Alert, AlertError, AlertStatus};
use alertcast_core::decision::{Decision, Verdict};
use alertcast_core::id::{ConfigId, UserId};
use alertcast_core::matching::chunk::{ChunkTally, PlannedChunk};
use alertcast_core::matching::job::MatchingJob;
use alertcast_core::matching::remarks::{OperatorRemark, RemarkKind, remarks};
use alertcast_core::matching::walk::ChunkUsers;
use alertcast_core::money::Count;
use alertcast_core::store::{
    ChunkCommit, ChunkPlan, ChunkState, Collection, LeaseFence, OperatorNotice, ProcessingEnd, StoreError,
};
use alertcast_core::time::Time;
use futures::FutureExt as _;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::chunks::{ChunkLoader, outlets, prepare_job};
use super::{OwnedPartition, order};
use crate::app::App;
use crate::base::Base;
use crate::degraded::TroubleKind;
use crate::metrics::StorePart;
use crate::notices::{self, NoticeTrouble};

/// After so many failures an alert is parked.
const ATTEMPTS_MAX: i64 = 5;
/// A chunk whose assumptions failed is planned anew so often before that counts as a failure.
const CONFLICTS_MAX: u32 = 50;
/// Alerts that waited together share one look at the change log for so long: they had all come before it.
const AUDIENCE_AGE_MAX: Duration = Duration::from_millis(50);
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// After so many conflicts: alerts on different configurations change the quotas of the same users, and those who met once
/// are not to meet again. Short at first, then longer, and always of another length.
fn pause_after(conflicts: u32) -> Duration {
    let millis_max = (2_u64 << conflicts.min(8)).min(500);
    Duration::from_millis(rand::random_range(0..=millis_max))
}

/// Why work on an alert ended without finishing it.
#[derive(Debug)]
enum WorkHalt {
    /// We are to stop, or somebody else works on it.
    Later,
    /// The store is away: nothing is wrong with the alert.
    Away(StoreError),
    /// The lease is in other hands.
    Fenced,
    /// Something is wrong with the alert, or with what it needs.
    Failed(String),
}

impl From<StoreError> for WorkHalt {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Fenced { .. } => Self::Fenced,
            StoreError::Unavailable(_) => Self::Away(error),
            other => Self::Failed(other.to_string()),
        }
    }
}

/// Works on the alerts of one configuration until they are done, one cannot be done now, or `stop`. Answers the
/// configuration.
pub(super) async fn on_config(
    app: App,
    config: ConfigId,
    fence: LeaseFence,
    mut alerts: Vec<Alert>,
    stop: CancellationToken,
) -> ConfigId {
    let mut caught_up = None;
    while let Some(alert) = order::take_next(&mut alerts) {
        if stop.is_cancelled() {
            break;
        }
        let work = async {
            catch_up(&app, &mut caught_up).await?;
            process(&app, &alert, config, &fence, &stop).await
        };
        let done = AssertUnwindSafe(work).catch_unwind().await;
        let halt = match done {
            Ok(Ok(())) => continue,
            Ok(Err(halt)) => halt,
            Err(_) => WorkHalt::Failed("processing it panicked".to_owned()),
        };
        match halt {
            WorkHalt::Fenced => {
                app.members.look_again();
                app.clock.sleep(PAUSE_FIRST).await;
                break;
            }
            WorkHalt::Away(error) => {
                warn!(%error, "the alert waits");
                app.metrics.store_failed(StorePart::Processor, &error);
                app.members.store_was_away();
                app.clock.sleep(PAUSE_FIRST).await;
                break;
            }
            WorkHalt::Later => {
                app.clock.sleep(PAUSE_FIRST).await;
                break;
            }
            WorkHalt::Failed(reason) => {
                let attempts = alert.alertcast.attempts.0.saturating_add(1);
                if !record_failure(&app, &alert, &fence, reason, attempts).await {
                    // It is tried again before those behind it: the order holds.
                    break;
                }
            }
        }
    }
    config
}

/// Sees every change that was made before the alerts that are worked on were read, and none later than a moment ago.
async fn catch_up(app: &App, last: &mut Option<Duration>) -> Result<(), WorkHalt> {
    let now = app.clock.monotonic();
    if last.is_none_or(|last| now.saturating_sub(last) >= AUDIENCE_AGE_MAX) {
        app.audience.catch_up(&*app.store).await?;
        *last = Some(now);
    }
    Ok(())
}

/// Parks an alert that does not say any more of which configuration it is: nobody would ever work on it.
pub(super) async fn park_stray(base: &Base, alert: &Alert, ours: &BTreeMap<i32, OwnedPartition>) {
    let fence = alert.alertcast.partition.and_then(|partition| ours.get(&partition)).map(|ours| &ours.fence);
    if let Some(fence) = fence {
        let reason = "it does not say any more for which configuration it was accepted".to_owned();
        record_failure(base, alert, fence, reason, ATTEMPTS_MAX).await;
    }
}

/// Notes a failure, with which there were so many; true where the alert is parked and the next one may go.
async fn record_failure(base: &Base, alert: &Alert, fence: &LeaseFence, reason: String, attempts: i64) -> bool {
    let now = base.clock.now();
    let park = attempts >= ATTEMPTS_MAX;
    base.metrics.not_processed(park);
    error!(alert = %alert.id, attempts, park, reason, "an alert could not be processed");
    let trouble = NoticeTrouble {
        group: format!("processing:{reason}"),
        title: format!("An alert on {} could not be processed", alert.alert_data.symbol),
        lines: vec![reason.clone(), "It is parked as failed; subscribers did not get it.".to_owned()],
        alert: Some(alert.id),
    };
    let notices = if park { notices::notices(base, &trouble, now) } else { Vec::new() };
    let failure = AlertError::new(reason, now);
    if let Err(error) = base.store.record_failure(fence, alert.id, failure, park, notices).await {
        warn!(alert = %alert.id, %error, "the failure could not be noted");
        base.clock.sleep(PAUSE_FIRST).await;
        return false;
    }
    if !park {
        let doublings = u32::try_from(attempts).unwrap_or(16).min(16);
        base.clock.sleep((PAUSE_FIRST * 2_u32.pow(doublings)).min(PAUSE_MAX)).await;
    }
    if park {
        let text = format!(
            "Alert {} and maybe others kept failing and were set aside; subscribers did not get them. The operators' chat \
             and the log say why. It can be processed by hand once that is mended; this is told until the next restart.",
            alert.id
        );
        base.degraded.set(TroubleKind::ParkedWork, super::ALERTS, text);
    }
    base.wake.deliveries_came();
    park
}

/// What a chunk came to.
struct CommittedChunk {
    /// Whether there is something to send.
    messages: bool,
    /// Whether the alert was settled with it.
    settled: bool,
}

/// One alert in work.
struct AlertRun<'a> {
    app: &'a App,
    alert: &'a Alert,
    job: &'a MatchingJob<'a>,
    fence: &'a LeaseFence,
}

async fn process(
    app: &App,
    alert: &Alert,
    config: ConfigId,
    fence: &LeaseFence,
    stop: &CancellationToken,
) -> Result<(), WorkHalt> {
    let Some(config) = app.audience.with(|audience| audience.config(config).cloned()) else {
        return Err(WorkHalt::Failed("its configuration has been deleted, or cannot be read".to_owned()));
    };
    let outlets = outlets(app);
    let job = prepare_job(app, alert, &config, &outlets, Some(fence)).await?;
    let mut chunks = ChunkLoader::new(app, &job, alert.alertcast.cursor);
    let run = AlertRun { app, alert, job: &job, fence };
    let mut tally = ChunkTally::default();
    let settled = loop {
        let chunk = chunks.next().await?;
        let committed = run.commit_chunk(&chunks, &chunk, &mut tally).await?;
        chunks.move_on(&chunk);
        if committed.messages {
            app.wake.deliveries_came();
        }
        fail::fail_point!("processor::after_commit");
        if chunk.is_last {
            break committed.settled;
        }
        if stop.is_cancelled() {
            return Err(WorkHalt::Later);
        }
    };
    debug!(alert = %alert.id, sent = tally.sent, "an alert was processed");
    app.prices.note(config.id, alert.alert_data.price);
    if settled {
        return Ok(());
    }
    fail::fail_point!("processor::before_settle");
    // With deliveries open this answers NotYet, and the courier settles it.
    app.store.settle(alert.id, app.clock.now()).await?;
    Ok(())
}

impl AlertRun<'_> {
    /// Plans and commits one chunk, anew for as long as what it rested on changes under it.
    async fn commit_chunk(
        &self,
        chunks: &ChunkLoader<'_>,
        chunk: &ChunkUsers,
        tally: &mut ChunkTally,
    ) -> Result<CommittedChunk, WorkHalt> {
        let store = &self.app.store;
        let cursors = (chunks.walk().cursor(), chunks.walk().cursor_after(chunk));
        for conflicts in 0..CONFLICTS_MAX {
            let now = self.app.clock.now();
            let state = self.load(chunks, chunk, now).await?;
            let PlannedChunk { plan, tally: told } = chunks.plan(chunk, &state, now)?;
            let mut total = tally.clone();
            total.add(&told);
            let (opened, ended) = (plan.opened.len(), plan.ended.iter().map(|end| end.status).collect::<Vec<_>>());
            let commit = self.commit(cursors, plan, chunk.is_last.then_some(&total)).await?;
            let committed = CommittedChunk {
                messages: !(commit.plan.deliveries.is_empty() && commit.notices.is_empty()),
                settled: commit.finish.as_ref().is_some_and(|finish| finish.settles),
            };
            fail::fail_point!("processor::before_commit");
            match store.commit(commit).await {
                Ok(()) => {
                    *tally = total;
                    self.app.metrics.count_committed(opened, ended);
                    if chunk.is_last {
                        self.app.metrics.count_processed(now.since(self.alert.webhook.received_at));
                    }
                    return Ok(committed);
                }
                Err(StoreError::Conflict) => {
                    self.app.metrics.count_conflict();
                    // A cursor that stands elsewhere is a conflict too: somebody else's work, or our own that we did not
                    // hear of. Reading the alert again tells.
                    if self.is_elsewhere(cursors.0).await? {
                        return Err(WorkHalt::Later);
                    }
                    self.app.clock.sleep(pause_after(conflicts)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(WorkHalt::Failed(format!("a chunk was planned {CONFLICTS_MAX} times, and its trades changed every time")))
    }

    /// What the chunk rests on. Quotas that cannot be read are removed and counted anew: their users are not kept from
    /// entries by them.
    async fn load(&self, chunks: &ChunkLoader<'_>, chunk: &ChunkUsers, now: Time) -> Result<ChunkState, WorkHalt> {
        let state = chunks.load(chunk, now).await?;
        if state.unreadable_quotas.is_empty() {
            return Ok(state);
        }
        for quota in &state.unreadable_quotas {
            self.app.store.set_aside(quota, now, Vec::new()).await?;
        }
        Ok(chunks.load(chunk, now).await?)
    }

    /// Whether the alert is not where this run left it.
    async fn is_elsewhere(&self, cursor: Option<UserId>) -> Result<bool, WorkHalt> {
        let found = self.app.store.get(Collection::Alerts, &[self.alert.id.0]).await?;
        let Some(document) = found.into_iter().next() else { return Ok(true) };
        // One that cannot be read any more is set aside by others.
        let Ok(alert) = alertcast_core::store::read::<Alert>(Collection::Alerts, document) else { return Ok(true) };
        let open = matches!(alert.processing.status, AlertStatus::Received | AlertStatus::Processing);
        Ok(!open || alert.alertcast.cursor != cursor)
    }

    /// The commit of a plan; with `total`, the alert's last one.
    async fn commit(
        &self,
        (cursor_seen, cursor): (Option<UserId>, Option<UserId>),
        plan: ChunkPlan,
        total: Option<&ChunkTally>,
    ) -> Result<ChunkCommit, WorkHalt> {
        let now = self.app.clock.now();
        let (finish, notices) = match total {
            Some(total) => self.finish(total, &plan, now).await?,
            None => (None, Vec::new()),
        };
        Ok(ChunkCommit {
            fence: self.fence.clone(),
            alert: self.alert.id,
            config: self.job.config.id,
            now,
            cursor_seen,
            cursor,
            plan,
            notices,
            finish,
        })
    }

    /// The alert's end, and what the operators should know of it.
    async fn finish(
        &self,
        run: &ChunkTally,
        plan: &ChunkPlan,
        now: Time,
    ) -> Result<(Option<ProcessingEnd>, Vec<OperatorNotice>), WorkHalt> {
        let total = self.whole(run, plan).await?;
        let remarks = remarks(self.job, &total);
        let error = |message: &String| AlertError::new(message.clone(), now);
        let errors = remarks.iter().filter_map(|remark| remark.note.as_ref()).map(error).collect();
        let elapsed = now.since(self.alert.webhook.received_at);
        let finish = ProcessingEnd {
            processed_at: now,
            processing_time: Count(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)),
            errors,
            settles: self.is_for_nobody(plan),
        };
        let notices = remarks.into_iter().flat_map(|remark| match remark.kind {
            RemarkKind::Delayed => notices::notices_once(self.app, &self.trouble(remark), now),
            _ => notices::notices(self.app, &self.trouble(remark), now),
        });
        Ok((Some(finish), notices.collect()))
    }

    /// Grouped by configuration; a test is each alert's own.
    fn trouble(&self, remark: OperatorRemark) -> NoticeTrouble {
        let group = match remark.kind {
            RemarkKind::Testing => format!("{}{}", notices::TESTING, self.alert.id),
            RemarkKind::Delayed => format!("delayed:{}", self.job.delayed_feed.as_deref().unwrap_or_default()),
            kind => format!("{}:{}", kind.as_str(), self.job.config.id),
        };
        NoticeTrouble { group, title: remark.title, lines: remark.lines, alert: Some(self.alert.id) }
    }

    /// Whether the plan is all that comes of the alert, and holds nothing that its settling would have to wait for or
    /// to tell.
    fn is_for_nobody(&self, plan: &ChunkPlan) -> bool {
        let is_told = |decision: &Decision| decision.verdict == Verdict::Sent || !decision.actions.is_empty();
        let decisions = plan.decisions.iter().flat_map(|chunk| &chunk.decisions);
        self.alert.alertcast.cursor.is_none() && plan.deliveries.is_empty() && !decisions.into_iter().any(is_told)
    }

    /// The tally of the whole alert: of one that a crash cut in two, from its decisions.
    async fn whole(&self, run: &ChunkTally, plan: &ChunkPlan) -> Result<ChunkTally, WorkHalt> {
        if self.alert.alertcast.cursor.is_none() {
            return Ok(run.clone());
        }
        let mut total = ChunkTally::default();
        let mut count = |decisions: &[Decision]| {
            for decision in decisions {
                total.sent += usize::from(decision.verdict == Verdict::Sent);
                total.matched += decision.actions.len();
                let is_unread = decision.verdict == Verdict::TradeUnreadable && self.job.concerns_holders();
                let is_news = is_unread && !run.unreadable.contains(&decision.user);
                total.unreadable.extend(is_news.then_some(decision.user));
            }
        };
        let mut after = None;
        loop {
            let chunks = self.app.store.decisions(self.alert.id, after, 100).await?;
            let Some(last) = chunks.last() else { break };
            after = Some(last.last_user);
            chunks.iter().for_each(|chunk| count(&chunk.decisions));
        }
        if let Some(chunk) = &plan.decisions {
            count(&chunk.decisions);
        }
        // Kept decisions do not tell who holds trades that nothing matched, nor which trades stayed open or ended oddly:
        // this run's count is the least.
        let mut whole = ChunkTally { sent: total.sent, matched: total.matched, ..run.clone() };
        whole.add(&ChunkTally { unreadable: total.unreadable, ..ChunkTally::default() });
        Ok(whole)
    }
}
