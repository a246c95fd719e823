//! Who does which share of the work: takes leases, keeps them renewed, and says when one is lost.
//!
//! What is written under a lease carries its epoch, so a lost lease costs nothing but work done in vain. Whether a
//! lease may be taken over is judged by this process's own monotonic clock alone: it must not have been renewed for one
//! [`TTL`] of watching.

use std::time::Duration;

use alertcast_core::store::{Fence, Lease, StoreError};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::app::App;

/// A lease that has not been renewed for this long may be taken over.
pub const TTL: Duration = Duration::from_secs(6);
const RENEW_EVERY: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A lease in our hands.
#[derive(Debug)]
pub struct Held {
    app: App,
    lease: Lease,
    lost: CancellationToken,
}

impl Held {
    /// The right to work that it gives.
    #[must_use]
    pub fn fence(&self) -> Fence {
        self.lease.fence()
    }

    /// Cancelled when the lease is in other hands, or could not be renewed in time.
    #[must_use]
    pub const fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Gives the lease back, so that another need not wait for it to run out.
    pub async fn release(self) {
        self.lost.cancel();
        if let Err(error) = self.app.store.release_lease(&self.lease).await {
            debug!(lease = self.lease.name, %error, "a lease could not be given back; it will run out");
        }
    }
}

/// Takes the lease, waiting for as long as it is in other hands. None when `stop` came first.
pub async fn hold(app: &App, name: &str, stop: &CancellationToken) -> Option<Held> {
    let owner = app.ids.next().to_hex();
    let mut watched: Option<(Option<Lease>, Duration)> = None;
    loop {
        match attempt(app, name, &owner, &mut watched).await {
            Ok(Some(lease)) => return Some(keep(app, lease)),
            Ok(None) => {}
            Err(error) => warn!(lease = name, %error, "a lease could not be taken; trying again"),
        }
        tokio::select! {
            () = stop.cancelled() => return None,
            () = app.clock.sleep(LOOK_EVERY) => {}
        }
    }
}

/// Looks at the lease once, and takes it where it may be taken. `watched`: how it stood when it was last seen to
/// change, and when that was.
async fn attempt(
    app: &App,
    name: &str,
    owner: &str,
    watched: &mut Option<(Option<Lease>, Duration)>,
) -> Result<Option<Lease>, StoreError> {
    let seen = app.store.leases(name).await?.into_iter().find(|lease| lease.name == name);
    let now = app.clock.monotonic();
    let free = match &seen {
        None => true,
        Some(lease) => lease.owner.is_empty() || app.store.is_exclusive(),
    };
    let stale = match watched {
        Some((before, since)) if *before == seen => now.saturating_sub(*since) >= TTL,
        _ => {
            *watched = Some((seen.clone(), now));
            false
        }
    };
    if !free && !stale {
        return Ok(None);
    }
    app.store.take_lease(name, owner, seen.as_ref()).await
}

/// Renews the lease until it is lost or given back.
fn keep(app: &App, lease: Lease) -> Held {
    let held = Held { app: app.clone(), lease: lease.clone(), lost: CancellationToken::new() };
    if app.store.is_exclusive() {
        // Nobody else can reach the store: it cannot be lost.
        return held;
    }
    let (app, lost) = (app.clone(), held.lost.clone());
    tokio::spawn(async move {
        let mut renewed_at = app.clock.monotonic();
        loop {
            tokio::select! {
                () = lost.cancelled() => return,
                () = app.clock.sleep(RENEW_EVERY) => {}
            }
            match app.store.renew_lease(&lease).await {
                Ok(true) => renewed_at = app.clock.monotonic(),
                Ok(false) => {
                    warn!(lease = lease.name, "a lease was taken over");
                    return lost.cancel();
                }
                Err(error) => {
                    warn!(lease = lease.name, %error, "a lease could not be renewed");
                    if app.clock.monotonic().saturating_sub(renewed_at) >= TTL {
                        return lost.cancel();
                    }
                }
            }
        }
    });
    held
}
