//! Reading what the decisions of a chunk rest on: the same for an alert that is processed and for one that is rehearsed.

use alertcast_core::alert::document::Alert;
use alertcast_core::id::UserId;
use alertcast_core::matching::chunk::{entries_for_targets, learn_targets, list_entering, span};
use alertcast_core::matching::job::MatchingJob;
use alertcast_core::store::{ChunkState, Collection, StoreResult, read};
use alertcast_core::time::Time;
use bson::oid::ObjectId;
use tracing::warn;

use crate::app::App;

/// What the decisions about these users rest on. The entries of older trades are read only for an alert that asks how
/// many targets a trade has.
pub(crate) async fn load_chunk(
    app: &App,
    job: &MatchingJob<'_>,
    users: &[UserId],
    now: Time,
) -> StoreResult<ChunkState> {
    let Some(span) = span(users) else { return Ok(ChunkState::default()) };
    let entering = app.audience.with(|audience| list_entering(job, audience, users, now));
    let mut state = app.store.load_chunk(job.config.id, span, &entering).await?;
    let wanted: Vec<ObjectId> = entries_for_targets(job, &state).into_iter().map(|alert| alert.0).collect();
    if !wanted.is_empty() {
        let entries = app.store.get(Collection::Alerts, &wanted).await?;
        let readable = |document| match read::<Alert>(Collection::Alerts, document) {
            Ok(alert) => Some(alert),
            Err(error) => {
                warn!(%error, "an entry cannot be read: its trades count as without further targets");
                None
            }
        };
        learn_targets(&mut state, &entries.into_iter().filter_map(readable).collect::<Vec<_>>());
    }
    Ok(state)
}
