//! The chunks of one alert, read from the store: the same for an alert that is processed and for one that is rehearsed.
//! Nothing is written here.

use alertcast_core::alert::document::Alert;
use alertcast_core::alert_configuration::AlertConfiguration;
use alertcast_core::id::UserId;
use alertcast_core::matching::chunk::{
    PlannedChunk, entries_for_targets, learn_targets, list_entering, plan_chunk, span,
};
use alertcast_core::matching::job::{MatchingJob, MessageChannels};
use alertcast_core::matching::walk::{CHUNK_USERS_MAX, ChunkUsers, ChunkWalk};
use alertcast_core::store::{ChunkState, Collection, LeaseFence, StoreResult, read};
use alertcast_core::time::Time;
use bson::Document;
use bson::oid::ObjectId;
use tracing::warn;

use crate::app::App;
use crate::base::Base;
use crate::settings::bot_id;

/// How messages leave this house, as it is set up.
pub(crate) fn outlets(base: &Base) -> MessageChannels {
    MessageChannels {
        default_bot: base.settings.telegram.tokens.first().and_then(bot_id),
        mail_shards: base.settings.email.lanes(),
        entry_deadline: base.settings.delivery.entry_deadline,
    }
}

/// The work on an alert, its prices shown as the configuration's last ones are. `fence`: the right under which it is done.
///
/// # Errors
/// `Corrupt` where the alert's intent is unreadable.
pub(crate) async fn prepare_job<'a>(
    app: &App,
    alert: &Alert,
    config: &'a AlertConfiguration,
    outlets: &'a MessageChannels,
    fence: Option<&LeaseFence>,
) -> StoreResult<MatchingJob<'a>> {
    let job = MatchingJob::new(alert, config, outlets)?;
    if job.ask.opens().is_none() {
        return Ok(job);
    }
    Ok(job.after(&app.prices.history(&*app.store, config.id, fence).await))
}

/// The walk over an alert's users.
#[derive(Debug)]
pub(crate) struct ChunkLoader<'a> {
    app: &'a App,
    job: &'a MatchingJob<'a>,
    walk: ChunkWalk,
}

impl<'a> ChunkLoader<'a> {
    /// From behind `cursor` on, over the candidates as the audience knows them now.
    pub(crate) fn new(app: &'a App, job: &'a MatchingJob<'a>, cursor: Option<UserId>) -> Self {
        let candidates = app.audience.with(|audience| audience.candidates(job.config.id));
        Self { app, job, walk: ChunkWalk::new(job, candidates, CHUNK_USERS_MAX, cursor) }
    }

    pub(crate) const fn walk(&self) -> &ChunkWalk {
        &self.walk
    }

    /// The users of the next chunk.
    pub(crate) async fn next(&self) -> StoreResult<ChunkUsers> {
        let holders = match self.walk.count_holders_wanted() {
            Some(limit) => self.app.store.holders(self.job.config.id, self.walk.cursor(), limit).await?,
            None => Vec::new(),
        };
        Ok(self.walk.next(&holders))
    }

    /// What the decisions about these users rest on. The entries of older trades are read only for an alert that asks how
    /// many targets a trade has.
    pub(crate) async fn load(&self, chunk: &ChunkUsers, now: Time) -> StoreResult<ChunkState> {
        let (app, job) = (self.app, self.job);
        let Some(span) = span(&chunk.users) else { return Ok(ChunkState::default()) };
        let entering = app.audience.with(|audience| list_entering(job, audience, &chunk.users, now));
        let mut state = app.store.load_chunk(job.config.id, span, &entering).await?;
        let wanted: Vec<ObjectId> = entries_for_targets(job, &state).into_iter().map(|alert| alert.0).collect();
        if !wanted.is_empty() {
            let entries = app.store.get(Collection::Alerts, &wanted).await?;
            learn_targets(&mut state, &entries.into_iter().filter_map(read_entry).collect::<Vec<_>>());
        }
        Ok(state)
    }

    /// Plans a chunk on what was loaded.
    ///
    /// # Errors
    /// `Corrupt` where the state holds a trade that is not open.
    pub(crate) fn plan(&self, chunk: &ChunkUsers, state: &ChunkState, now: Time) -> StoreResult<PlannedChunk> {
        let (app, chunk) = (self.app, chunk.with(state));
        app.audience.with(|audience| plan_chunk(self.job, audience, &chunk, now, &*app.ids))
    }

    /// Goes on behind these users.
    pub(crate) fn move_on(&mut self, chunk: &ChunkUsers) {
        self.walk.move_on(chunk);
    }

    /// Goes on from where it stood before.
    pub(super) const fn return_to(&mut self, cursor: Option<UserId>) {
        self.walk.return_to(cursor);
    }
}

fn read_entry(document: Document) -> Option<Alert> {
    read::<Alert>(Collection::Alerts, document)
        .inspect_err(|error| warn!(%error, "an entry cannot be read: its trades count as without further targets"))
        .ok()
}
