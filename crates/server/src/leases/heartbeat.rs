//! How a process shows that it is alive: it renews one lease, and knows at once when it has not managed to.

use std::time::Duration;

use alertcast_core::delivery::LaneName;
use alertcast_core::store::{Lease, StoreResult};
use tracing::{info, warn};

use super::LeaseContext;
use super::{CHANGES, PROCESS, SPOOL, TTL};

/// The lease is renewed every third time, or each time while somebody waits to hear from everybody.
const BEAT: Duration = Duration::from_millis(500);
const BEATS: u32 = 3;

/// A process among others.
#[derive(Debug)]
pub(super) struct ProcessHeartbeat {
    pub(super) id: String,
    lease: Lease,
    /// Others may take it for dead from here on, by our own clock.
    alive_until: Duration,
    /// Shows that this process holds alerts that are not in the store yet.
    spool: Option<Lease>,
}

impl ProcessHeartbeat {
    /// Shows the others that this process is there, and which lanes it can serve. None: the name is taken.
    pub(super) async fn begin(context: &LeaseContext, lanes: &[LaneName]) -> StoreResult<Option<Self>> {
        let id = context.base.ids.next().to_hex();
        // Before the spool is shown: one that belongs to nobody for longer is removed.
        let alive_until = context.base.clock.monotonic() + TTL;
        // Nobody is to see the process before they can see that.
        let spool = if context.spooling.is_spooling() { Some(hold_spool(context, &id).await?) } else { None };
        let names = std::iter::once(id.as_str()).chain(lanes.iter().map(LaneName::as_str));
        let owner = names.collect::<Vec<_>>().join(" ");
        let lease = context.base.store.take_lease(&format!("{PROCESS}{id}"), &owner, None).await?;
        Ok(lease.map(|lease| Self { id, lease, alive_until, spool }))
    }

    /// Beats until the others may take this process for dead.
    pub(super) async fn beat(&mut self, context: &LeaseContext) {
        let mut hurry = false;
        loop {
            for _ in 0..BEATS {
                context.base.clock.sleep(BEAT).await;
                if hurry || context.members.is_awaited() || context.base.clock.monotonic() >= self.alive_until {
                    break;
                }
            }
            let begun = context.base.clock.monotonic();
            if begun >= self.alive_until {
                return warn!("this process was not heard of for {TTL:?}: others may have taken over its work");
            }
            let left = self.alive_until - begun;
            let renewed = tokio::select! {
                renewed = self.renew(context) => renewed,
                // The next turn says that it is over.
                () = context.base.clock.sleep(left) => continue,
            };
            hurry = renewed.is_err();
            match renewed {
                Ok(true) => self.alive_until = begun + TTL,
                Ok(false) => return warn!("others took this process for dead, and may have taken over its work"),
                Err(error) => warn!(%error, "the others could not be told that this process is alive; trying again"),
            }
        }
    }

    async fn renew(&mut self, context: &LeaseContext) -> StoreResult<bool> {
        let spooling = context.spooling.is_spooling();
        if spooling && self.spool.is_none() {
            self.spool = Some(hold_spool(context, &self.id).await?);
        }
        let renewed = context.base.store.renew_lease(&self.lease).await?;
        if !spooling && self.spool.is_some() {
            forget(context, &format!("{SPOOL}{}", self.id)).await?;
            self.spool = None;
        }
        Ok(renewed)
    }

    /// Shows the others that this process is not there any more.
    pub(super) async fn end(&self, context: &LeaseContext) -> StoreResult<()> {
        forget(context, &self.lease.name).await?;
        forget(context, &format!("{SPOOL}{}", self.id)).await?;
        forget(context, &format!("{CHANGES}{}", self.id)).await?;
        info!(process = self.id, "the other processes know that this one has left");
        Ok(())
    }
}

async fn hold_spool(context: &LeaseContext, id: &str) -> StoreResult<Lease> {
    let name = format!("{SPOOL}{id}");
    loop {
        if let Some(lease) = find(context, &name).await? {
            return Ok(lease);
        }
        if let Some(lease) = context.base.store.take_lease(&name, id, None).await? {
            return Ok(lease);
        }
    }
}

async fn forget(context: &LeaseContext, name: &str) -> StoreResult<()> {
    match find(context, name).await? {
        Some(seen) => context.base.store.forget_lease(&seen).await,
        None => Ok(()),
    }
}

pub(super) async fn find(context: &LeaseContext, name: &str) -> StoreResult<Option<Lease>> {
    Ok(context.base.store.leases(name).await?.into_iter().find(|lease| lease.name == name))
}
