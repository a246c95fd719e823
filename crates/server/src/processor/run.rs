//! One alert in chunks of users. While a chunk is committed the next one is loaded and planned: its users are others, and
//! where it stands behind is known. At most one is planned ahead.

use alertcast_core::alert::document::{Alert, AlertStatus};
use alertcast_core::id::{ConfigId, UserId};
use alertcast_core::matching::chunk::{ChunkTally, PlannedChunk};
use alertcast_core::matching::job::MatchingJob;
use alertcast_core::matching::walk::ChunkUsers;
use alertcast_core::store::{ChunkCommit, ChunkState, Collection, LeaseFence, StoreError, StoreResult};
use alertcast_core::time::Time;
use tokio_util::sync::CancellationToken;

use super::chunks::{ChunkLoader, outlets, prepare_job};
use super::effects::CommitEffects;
use super::work::{WorkHalt, pause_after};
use crate::app::App;

/// A chunk whose assumptions failed is planned anew so often before that counts as a failure.
const CONFLICTS_MAX: u32 = 50;

/// One alert in work.
pub(super) struct AlertRun<'a> {
    pub(super) app: &'a App,
    pub(super) alert: &'a Alert,
    pub(super) job: &'a MatchingJob<'a>,
    pub(super) fence: &'a LeaseFence,
}

/// Up to where an alert has come.
#[derive(Debug, Clone, Default)]
struct RunPosition {
    /// The last user of what is committed.
    cursor: Option<UserId>,
    /// What was told of it.
    tally: ChunkTally,
}

/// A chunk that is ready to be committed.
pub(super) struct ReadyCommit {
    pub(super) commit: ChunkCommit,
    /// What is told of the alert up to it, and with it.
    total: ChunkTally,
    pub(super) effects: CommitEffects,
}

/// Works an alert out, from where it stands.
pub(super) async fn process(
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
    let mut position = RunPosition { cursor: alert.alertcast.cursor, ..RunPosition::default() };
    let mut conflicts = 0;
    loop {
        let began_at = position.cursor;
        match run.pass(&mut chunks, &mut position, stop).await {
            Err(WorkHalt::Conflict) => {}
            done => return done,
        }
        conflicts = if position.cursor == began_at { conflicts + 1 } else { 1 };
        run.wait_after_conflict(position.cursor, conflicts).await?;
        chunks.return_to(position.cursor);
    }
}

impl AlertRun<'_> {
    /// Plans and commits chunk by chunk, to the alert's end or to the first that cannot be committed.
    async fn pass(
        &self,
        chunks: &mut ChunkLoader<'_>,
        position: &mut RunPosition,
        stop: &CancellationToken,
    ) -> Result<(), WorkHalt> {
        let mut next = self.prepare(chunks, &position.tally).await?;
        loop {
            let is_last = next.commit.finish.is_some();
            let total = next.total.clone();
            let ahead = async {
                let wanted = !is_last && !self.is_resumed() && !stop.is_cancelled();
                if wanted { Some(self.prepare(chunks, &total).await) } else { None }
            };
            let (committed, ahead) = tokio::join!(self.commit(next), ahead);
            *position = RunPosition { cursor: committed?, tally: total };
            if is_last {
                return Ok(());
            }
            if stop.is_cancelled() {
                return Err(WorkHalt::Later);
            }
            next = match ahead {
                Some(prepared) => prepared?,
                None => self.prepare(chunks, &position.tally).await?,
            };
        }
    }

    /// Whether it goes on where a crash, or its own failure, left it. What its end tells then rests on all decisions
    /// before, so that nothing is planned ahead of a commit.
    const fn is_resumed(&self) -> bool {
        self.alert.alertcast.cursor.is_some()
    }

    /// Loads and plans the next chunk; the walk goes on behind it. `before`: what is told of those before it.
    async fn prepare(&self, chunks: &mut ChunkLoader<'_>, before: &ChunkTally) -> Result<ReadyCommit, WorkHalt> {
        let users = chunks.next().await?;
        let now = self.app.clock.now();
        let state = self.load(chunks, &users, now).await?;
        let planned = chunks.plan(&users, &state, now)?;
        let cursors = (chunks.walk().cursor(), chunks.walk().cursor_after(&users));
        chunks.move_on(&users);
        self.make_ready(cursors, planned, users.is_last, before).await
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

    /// The commit of a plan, between these cursors.
    pub(super) async fn make_ready(
        &self,
        (cursor_seen, cursor): (Option<UserId>, Option<UserId>),
        PlannedChunk { plan, tally }: PlannedChunk,
        is_last: bool,
        before: &ChunkTally,
    ) -> Result<ReadyCommit, WorkHalt> {
        let now = self.app.clock.now();
        let mut total = before.clone();
        total.add(&tally);
        let (finish, notices) = match is_last {
            true => self.finish(&total, &plan, now).await?,
            false => (None, Vec::new()),
        };
        let commit = ChunkCommit {
            fence: self.fence.clone(),
            alert: self.alert.id,
            config: self.job.config.id,
            now,
            cursor_seen,
            cursor,
            plan,
            notices,
            finish,
        };
        let effects = CommitEffects::of(&commit, self.alert);
        Ok(ReadyCommit { commit, total, effects })
    }

    /// Commits a chunk. Answers where the alert stands then.
    async fn commit(&self, ReadyCommit { commit, effects, .. }: ReadyCommit) -> Result<Option<UserId>, WorkHalt> {
        fail::fail_point!("processor::before_commit");
        let cursor = commit.cursor;
        match self.app.store.commit(commit).await {
            Ok(()) => {
                effects.follow_up(self.app).await;
                Ok(cursor)
            }
            Err(StoreError::Conflict) => Err(WorkHalt::Conflict),
            Err(error) => Err(error.into()),
        }
    }

    /// After the `count`-th conflict in one place. A cursor that stands elsewhere is a conflict too: somebody else's work,
    /// or our own that we did not hear of. Reading the alert again tells.
    async fn wait_after_conflict(&self, cursor: Option<UserId>, count: u32) -> Result<(), WorkHalt> {
        self.app.metrics.count_conflict();
        if self.is_elsewhere(cursor).await? {
            return Err(WorkHalt::Later);
        }
        if count >= CONFLICTS_MAX {
            let reason = format!("a chunk was planned {CONFLICTS_MAX} times, and its trades changed every time");
            return Err(WorkHalt::Failed(reason));
        }
        self.app.clock.sleep(pause_after(count - 1)).await;
        Ok(())
    }

    /// Whether the alert is not where this run left it.
    async fn is_elsewhere(&self, cursor: Option<UserId>) -> StoreResult<bool> {
        let found = self.app.store.get(Collection::Alerts, &[self.alert.id.0]).await?;
        let Some(document) = found.into_iter().next() else { return Ok(true) };
        // One that cannot be read any more is set aside by others.
        let Ok(alert) = alertcast_core::store::read::<Alert>(Collection::Alerts, document) else { return Ok(true) };
        let open = matches!(alert.processing.status, AlertStatus::Received | AlertStatus::Processing);
        Ok(!open || alert.alertcast.cursor != cursor)
    }
}
