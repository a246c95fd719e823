//! Leases of a store that only this process can reach: nobody else's lease can be alive.

use std::time::Duration;

use alertcast_core::store::{Lease, StoreResult};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::HeldLease;
use super::LeaseContext;

/// After a failure of the store.
const REST: Duration = Duration::from_secs(1);

/// Takes the lease. None when `stop` came first.
pub(super) async fn hold(context: &LeaseContext, name: &str, stop: &CancellationToken) -> Option<HeldLease> {
    let owner = context.base.ids.next().to_hex();
    while !stop.is_cancelled() {
        match take(context, name, &owner).await {
            Ok(Some(lease)) => {
                let (lost, ending) = (CancellationToken::new(), stop.child_token());
                return Some(HeldLease { context: context.clone(), lease, lost, ending });
            }
            Ok(None) => {}
            Err(error) => warn!(lease = name, %error, "a lease could not be taken; trying again"),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = context.base.clock.sleep(REST) => {}
        }
    }
    None
}

async fn take(context: &LeaseContext, name: &str, owner: &str) -> StoreResult<Option<Lease>> {
    let seen = context.base.store.leases(name).await?.into_iter().find(|lease| lease.name == name);
    context.base.store.take_lease(name, owner, seen.as_ref()).await
}
