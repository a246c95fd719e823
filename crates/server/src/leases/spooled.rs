//! After the store was away: alerts that were taken in meanwhile may still be in the spools of some processes, and belong
//! before those that are in the store.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use alertcast_core::store::StoreResult;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::LeaseContext;
use super::silence::WatchedValue;
use super::{PROCESS, SPOOL, TTL};

/// Nobody's spool is waited for longer than this after the store came back.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// So often a process must have been heard of: the first time it may have begun to say so before it knew.
const HEARD_MIN: i64 = 2;

/// Waits until every process that is alive has been heard of since the store came back, and none of them holds alerts in
/// its spool; until `stop`; and at the latest for some time. False, at once, where nobody saw the store away.
pub async fn wait_settled(context: &LeaseContext, stop: &CancellationToken) -> bool {
    let was_away =
        context.members.forgets_absence(context.base.store.interruptions()) || context.spooling.is_spooling();
    if !was_away || context.base.store.is_exclusive() {
        return false;
    }
    let _awaited = context.members.awaits_all();
    let mut hearing = SpoolReports::begin(context);
    loop {
        match hearing.look(context).await {
            Ok(true) => {
                info!("the store is back, and no process holds alerts in its spool: work goes on");
                return true;
            }
            Ok(false) => {}
            // It is away again.
            Err(_) => hearing = SpoolReports::begin(context),
        }
        if context.base.clock.monotonic().saturating_sub(hearing.begun) >= PATIENCE {
            warn!("work goes on after {PATIENCE:?}, though some process still holds alerts in its spool");
            return true;
        }
        tokio::select! {
            () = stop.cancelled() => return true,
            () = context.base.clock.sleep(LOOK_EVERY) => {}
        }
    }
}

/// What was heard of whom.
struct SpoolReports {
    begun: Duration,
    first: BTreeMap<String, i64>,
    last: WatchedValue<i64>,
}

impl SpoolReports {
    fn begin(context: &LeaseContext) -> Self {
        Self { begun: context.base.clock.monotonic(), first: BTreeMap::new(), last: WatchedValue::default() }
    }

    /// Whether everybody was heard of, and has an empty spool.
    async fn look(&mut self, context: &LeaseContext) -> StoreResult<bool> {
        // In this order: whoever is seen alive has shown before whether anything is in its spool.
        let processes = context.base.store.leases(PROCESS).await?;
        let spools = context.base.store.leases(SPOOL).await?;
        let spooling: BTreeSet<&str> = spools.iter().filter_map(|lease| lease.name.strip_prefix(SPOOL)).collect();
        let now = context.base.clock.monotonic();
        self.last.look(now, processes.iter().map(|lease| (lease.name.clone(), lease.renewal)));
        let mut all_empty = !processes.is_empty();
        for lease in &processes {
            let first = *self.first.entry(lease.name.clone()).or_insert(lease.renewal);
            let is_dead = self.last.of(&lease.name) >= TTL;
            let is_heard = lease.renewal.saturating_sub(first) >= HEARD_MIN;
            let id = lease.name.strip_prefix(PROCESS).unwrap_or_default();
            all_empty &= is_dead || (is_heard && !spooling.contains(id));
        }
        Ok(all_empty)
    }
}
