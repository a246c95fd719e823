//! How a process shows that it is alive: it renews one lease, and knows at once when it has not managed to.

use std::time::Duration;

use alertcast_core::store::{Lease, StoreResult};
use tracing::{info, warn};

use super::{PROCESS, SPOOL, TTL};
use crate::app::App;

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
    pub(super) async fn begin(app: &App, lanes: &[String]) -> StoreResult<Option<Self>> {
        let id = app.ids.next().to_hex();
        // Before the spool is shown: one that belongs to nobody for longer is removed.
        let alive_until = app.clock.monotonic() + TTL;
        // Nobody is to see the process before they can see that.
        let spool = if app.spooling.is_spooling() { Some(hold_spool(app, &id).await?) } else { None };
        let owner = std::iter::once(&id).chain(lanes).map(String::as_str).collect::<Vec<_>>().join(" ");
        let lease = app.store.take_lease(&format!("{PROCESS}{id}"), &owner, None).await?;
        Ok(lease.map(|lease| Self { id, lease, alive_until, spool }))
    }

    /// Beats until the others may take this process for dead.
    pub(super) async fn beat(&mut self, app: &App) {
        let mut hurry = false;
        loop {
            for _ in 0..BEATS {
                app.clock.sleep(BEAT).await;
                if hurry || app.members.is_awaited() || app.clock.monotonic() >= self.alive_until {
                    break;
                }
            }
            let begun = app.clock.monotonic();
            if begun >= self.alive_until {
                return warn!("this process was not heard of for {TTL:?}: others may have taken over its work");
            }
            let left = self.alive_until - begun;
            let renewed = tokio::select! {
                renewed = self.renew(app) => renewed,
                // The next turn says that it is over.
                () = app.clock.sleep(left) => continue,
            };
            hurry = renewed.is_err();
            match renewed {
                Ok(true) => self.alive_until = begun + TTL,
                Ok(false) => return warn!("others took this process for dead, and may have taken over its work"),
                Err(error) => warn!(%error, "the others could not be told that this process is alive; trying again"),
            }
        }
    }

    async fn renew(&mut self, app: &App) -> StoreResult<bool> {
        let spooling = app.spooling.is_spooling();
        if spooling && self.spool.is_none() {
            self.spool = Some(hold_spool(app, &self.id).await?);
        }
        let renewed = app.store.renew_lease(&self.lease).await?;
        if !spooling && self.spool.is_some() {
            forget(app, &format!("{SPOOL}{}", self.id)).await?;
            self.spool = None;
        }
        Ok(renewed)
    }

    /// Shows the others that this process is not there any more.
    pub(super) async fn end(&self, app: &App) -> StoreResult<()> {
        forget(app, &self.lease.name).await?;
        forget(app, &format!("{SPOOL}{}", self.id)).await?;
        info!(process = self.id, "the other processes know that this one has left");
        Ok(())
    }
}

async fn hold_spool(app: &App, id: &str) -> StoreResult<Lease> {
    let name = format!("{SPOOL}{id}");
    loop {
        if let Some(lease) = find(app, &name).await? {
            return Ok(lease);
        }
        if let Some(lease) = app.store.take_lease(&name, id, None).await? {
            return Ok(lease);
        }
    }
}

async fn forget(app: &App, name: &str) -> StoreResult<()> {
    match find(app, name).await? {
        Some(seen) => app.store.forget_lease(&seen).await,
        None => Ok(()),
    }
}

async fn find(app: &App, name: &str) -> StoreResult<Option<Lease>> {
    Ok(app.store.leases(name).await?.into_iter().find(|lease| lease.name == name))
}
