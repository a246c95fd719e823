//! Who does which share of the work. What is written under a lease carries its epoch, so a lost lease costs nothing but
//! work done in vain.
//!
//! Over a store that only this process can reach, a lease is taken as soon as it is wanted ([`alone`]). Over one that
//! several processes share, each keeps one lease alive, `process:ID` ([`heartbeat`]): the other leases name their owner and are
//! written only when they change hands. Each process looks once a second who is alive and who has what ([`manager`]), by
//! its own monotonic clock alone, and takes or gives back so that all have fair [`shares`].
//!
//! Not in here: what is done under a lease.

mod alone;
mod broken;
mod heartbeat;
mod manager;
mod reading_marks;
mod shares;
mod silence;
mod spooled;

use std::time::Duration;

use alertcast_core::store::{Lease, LeaseFence};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::base::Base;
use crate::spool::SpoolingFlag;
pub use manager::{LeaseManager, run};
pub use reading_marks::{least_mark, show_mark};
pub use spooled::wait_settled;

/// Whoever has not been heard of for this long may be taken for dead.
pub const TTL: Duration = Duration::from_secs(6);

/// What is done by one process for all.
pub const SCHEDULER: &str = "scheduler";

/// How the names of partitions' leases begin.
const PARTITION: &str = "partition:";
/// How the names begin of the leases by which processes show that they are alive.
const PROCESS: &str = "process:";
/// How the names begin of the leases by which processes show that they hold alerts that are not in the store yet.
const SPOOL: &str = "spool:";
/// How the names begin of the leases by which processes show how far they have read the change log.
const CHANGES: &str = "changes:";

/// The name of a partition's lease.
#[must_use]
pub fn of_partition(partition: i32) -> String {
    format!("{PARTITION}{partition:02}")
}

/// What work under leases stands on. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LeaseContext {
    pub base: Base,
    /// This process among those that share the store.
    pub members: LeaseManager,
    /// Whether this process holds alerts that the store has not.
    pub spooling: SpoolingFlag,
}

/// A lease in our hands, until it is given back or dropped.
#[derive(Debug)]
pub struct HeldLease {
    context: LeaseContext,
    lease: Lease,
    lost: CancellationToken,
    ending: CancellationToken,
}

impl HeldLease {
    /// The right to work that it gives.
    #[must_use]
    pub fn fence(&self) -> LeaseFence {
        self.lease.fence()
    }

    /// Cancelled when the lease is in other hands, or may be.
    #[must_use]
    pub const fn lost_token(&self) -> &CancellationToken {
        &self.lost
    }

    /// Cancelled when no further work is to be begun under it: the program stops, others are to have it, or it is lost.
    #[must_use]
    pub const fn ending_token(&self) -> &CancellationToken {
        &self.ending
    }

    /// Gives the lease back, so that another need not wait for it to run out.
    pub async fn release(self) {
        self.ending.cancel();
        self.lost.cancel();
        if let Err(error) = self.context.base.store.release_lease(&self.lease).await {
            debug!(lease = self.lease.name, %error, "a lease could not be given back; it will run out");
        }
    }
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        self.context.members.put_down(&self.lease);
    }
}

/// Takes the lease, waiting for as long as it is in other hands, or others are to have it. None when `stop` came first.
/// One task at a time may ask for a lease.
pub async fn hold(context: &LeaseContext, name: &str, stop: &CancellationToken) -> Option<HeldLease> {
    if context.base.store.is_exclusive() {
        return alone::hold(context, name, stop).await;
    }
    let mut granted = context.members.want(name, stop);
    tokio::select! {
        held = &mut granted => held.ok(),
        () = stop.cancelled() => {
            context.members.want_no_more(name);
            granted.close();
            if let Ok(held) = granted.try_recv() {
                held.release().await;
            }
            None
        }
    }
}
