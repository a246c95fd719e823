//! Leases whose documents cannot be read. Nobody takes one, and who holds it mostly loses it. One that has stood as it is,
//! byte for byte, for longer than a lease lives is freed, whatever is done under it.

use std::time::Duration;

use alertcast_core::store::{BrokenLease, Collection, StoreResult};
use tracing::info;

use super::LeaseContext;
use super::silence::WatchedValue;
use super::{CHANGES, PROCESS, SPOOL, TTL};

/// What has been seen of them.
#[derive(Debug, Default)]
pub(super) struct BrokenLeases {
    watched: WatchedValue<Vec<u8>>,
}

impl BrokenLeases {
    /// A look at all of them, which ends those that are over.
    pub(super) async fn look(&mut self, context: &LeaseContext, now: Duration) -> StoreResult<()> {
        let broken = match context.base.store.unreadables().knows_of(Collection::Leases) {
            true => context.base.store.broken_leases().await?,
            false => Vec::new(),
        };
        self.watched.look(now, broken.iter().map(|lease| (lease.name.clone(), lease.bytes.clone())));
        for lease in broken.iter().filter(|lease| self.watched.of(&lease.name) > TTL) {
            info!(lease = lease.name, "a lease that cannot be read is freed");
            end(context, lease).await?;
        }
        Ok(())
    }
}

/// Frees it. One that only shows that somebody is there is removed.
///
/// Epochs are held against each other for equality alone. Those that were counted up from one are far below any number of
/// milliseconds since 1970, and no lease changes hands a thousand times a second: so no work under the broken lease, nor
/// under one that was freed like this before, carries the new one's.
async fn end(context: &LeaseContext, lease: &BrokenLease) -> StoreResult<()> {
    if [PROCESS, SPOOL, CHANGES].iter().any(|sign| lease.name.starts_with(sign)) {
        return context.base.store.remove_broken_lease(lease).await;
    }
    context.base.store.free_lease(lease, context.base.clock.now().millis()).await.map(drop)
}
