//! Alerts of one configuration that wait together, and whose users fit into one chunk: loaded once, planned one after the
//! other on what those before come to, and committed together. It saves work and changes nothing: whatever stands in the
//! way of one ends the batch before it, and it is worked on alone.

use std::collections::BTreeSet;

use alertcast_core::alert::document::Alert;
use alertcast_core::alert_configuration::AlertConfiguration;
use alertcast_core::figures::PriceHistory;
use alertcast_core::id::{ConfigId, UserId};
use alertcast_core::matching::ahead::PlanningState;
use alertcast_core::matching::chunk::{ChunkTally, entries_for_targets, list_entering, next_users, plan_chunk, span};
use alertcast_core::matching::job::{MatchingJob, MessageChannels};
use alertcast_core::matching::walk::CHUNK_USERS_MAX;
use alertcast_core::store::{ChunkState, LeaseFence, StoreError, StoreResult};
use alertcast_core::time::Time;

use super::chunks::outlets;
use super::effects::CommitEffects;
use super::run::{AlertRun, ReadyCommit};
use crate::app::App;

/// Alerts to a batch.
const ALERTS_MAX: usize = 64;
/// Decisions to a batch, about: what all of them come to is one transaction of some milliseconds.
const DECISIONS_MAX: usize = 2 * CHUNK_USERS_MAX;

/// The first of these alerts, as many as may be committed together; they stand in their order. Empty where the first is
/// to be worked on alone: it is the only one, or it was begun or has failed before.
pub(super) fn list_together(alerts: &[Alert]) -> &[Alert] {
    let is_fresh = |alert: &&Alert| alert.alertcast.cursor.is_none() && alert.alertcast.attempts.0 == 0;
    let count = alerts.iter().take(ALERTS_MAX).take_while(is_fresh).count();
    if count > 1 { &alerts[..count] } else { &[] }
}

/// Works out the first of these alerts of a configuration. Answers how many are done with.
pub(super) async fn process_together(app: &App, alerts: &[Alert], config: ConfigId, fence: &LeaseFence) -> usize {
    let Some(config) = app.audience.with(|audience| audience.config(config).cloned()) else { return 0 };
    let outlets = outlets(app);
    let batch = AlertBatch { app, config: &config, outlets: &outlets, fence };
    match batch.plan(alerts).await {
        Some(ready) => batch.commit(ready).await,
        None => 0,
    }
}

struct AlertBatch<'a> {
    app: &'a App,
    config: &'a AlertConfiguration,
    outlets: &'a MessageChannels,
    fence: &'a LeaseFence,
}

impl AlertBatch<'_> {
    /// The commits of the first alerts. None where there are not several, or the store did not tell what they rest on:
    /// then the first is tried alone, and meets the same.
    async fn plan(&self, alerts: &[Alert]) -> Option<Vec<ReadyCommit>> {
        let candidates = self.app.audience.with(|audience| audience.candidates(self.config.id));
        if candidates.len() > CHUNK_USERS_MAX {
            return None;
        }
        let mut jobs: Vec<MatchingJob<'_>> =
            alerts.iter().map_while(|alert| MatchingJob::new(alert, self.config, self.outlets).ok()).collect();
        let now = self.app.clock.now();
        let mut planning = self.load(candidates, &mut jobs, now).await.ok()??;
        let mut history = self.history(&jobs).await;
        let mut ready = Vec::with_capacity(jobs.len());
        for (alert, job) in alerts.iter().zip(jobs) {
            let job = job.after(&history);
            let Some(planned) = self.plan_one(alert, &job, &mut planning, now).await else { break };
            history.note(alert.alert_data.price);
            ready.push(planned);
        }
        (ready.len() > 1).then_some(ready)
    }

    /// The prices before the first of them; asked for only where one is shown.
    async fn history(&self, jobs: &[MatchingJob<'_>]) -> PriceHistory {
        let app = self.app;
        match jobs.iter().any(|job| job.ask.opens().is_some()) {
            true => app.prices.history(&*app.store, self.config.id, Some(self.fence)).await,
            false => PriceHistory::default(),
        }
    }

    /// What the jobs rest on, of which as many stay as may go together. None where their users do not fit into one chunk,
    /// or something that cannot be read is to be set aside first.
    async fn load(
        &self,
        candidates: Vec<UserId>,
        jobs: &mut Vec<MatchingJob<'_>>,
        now: Time,
    ) -> StoreResult<Option<PlanningState>> {
        let (app, config) = (self.app, self.config.id);
        let limit = CHUNK_USERS_MAX + 1;
        let holders = match jobs.iter().any(MatchingJob::concerns_holders) {
            true => app.store.holders(config, None, limit).await?,
            false => Vec::new(),
        };
        let users = next_users(&candidates, &holders, None, limit);
        if users.len() == limit {
            return Ok(None);
        }
        jobs.truncate(DECISIONS_MAX.checked_div(users.len()).unwrap_or(ALERTS_MAX));
        let Some(span) = span(&users) else { return Ok(Some(PlanningState::new(candidates, ChunkState::default()))) };
        let entering: BTreeSet<UserId> = app
            .audience
            .with(|audience| jobs.iter().flat_map(|job| list_entering(job, audience, &candidates, now)).collect());
        let entering: Vec<UserId> = entering.into_iter().collect();
        let state = app.store.load_chunk(config, span, &entering).await?;
        Ok(state.unreadable_quotas.is_empty().then(|| PlanningState::new(candidates, state)))
    }

    /// Plans one alert, and takes what it comes to for done. None where it is to be worked on alone.
    async fn plan_one(
        &self,
        alert: &Alert,
        job: &MatchingJob<'_>,
        planning: &mut PlanningState,
        now: Time,
    ) -> Option<ReadyCommit> {
        let app = self.app;
        let users = planning.users(job);
        if users.users.len() > CHUNK_USERS_MAX || !entries_for_targets(job, planning.state()).is_empty() {
            return None;
        }
        let chunk = users.with(planning.state());
        let planned = app.audience.with(|audience| plan_chunk(job, audience, &chunk, now, &*app.ids)).ok()?;
        planning.apply(&planned.plan);
        let run = AlertRun { app, alert, job, fence: self.fence };
        let cursors = (None, users.users.last().copied());
        run.make_ready(cursors, planned, true, &ChunkTally::default()).await.ok()
    }

    /// Commits them, and does what follows, up to the first that could not be committed. Answers how many could.
    async fn commit(&self, ready: Vec<ReadyCommit>) -> usize {
        let (commits, effects): (Vec<_>, Vec<CommitEffects>) =
            ready.into_iter().map(|ready| (ready.commit, ready.effects)).unzip();
        for _ in &commits {
            fail::fail_point!("processor::before_commit");
        }
        let outcomes = self.app.store.commit_all(commits).await;
        let done = outcomes.iter().take_while(|outcome| outcome.is_ok()).count();
        if outcomes.get(done) == Some(&Err(StoreError::Conflict)) {
            self.app.metrics.count_conflict();
        }
        for effects in effects.into_iter().take(done) {
            effects.follow_up(self.app).await;
        }
        done
    }
}
