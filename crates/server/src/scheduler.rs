//! What happens by the clock: deadlines, settling what a crash left unsettled, and retention, done by one process for
//! all; and each process's own look at the change log.

use std::time::Duration;

use alertcast_core::id::AlertId;
use alertcast_core::store::{StoreError, StoreResult};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use crate::app::App;
use crate::leases;
use crate::metrics::StorePart;

const AUDIENCE_EVERY: Duration = Duration::from_secs(1);
const DEADLINES_EVERY: Duration = Duration::from_secs(5);
const UNSETTLED_EVERY: Duration = Duration::from_secs(30);
const RETENTION_EVERY: Duration = Duration::from_secs(60 * 60);

/// How many documents one step ends, settles or removes: short enough not to hold up others.
const STEP: usize = 500;

/// Runs until `stop`.
pub async fn run(app: App, stop: CancellationToken) {
    tokio::join!(
        every(&app, AUDIENCE_EVERY, &stop, "reading changes", || app.audience.catch_up(&*app.store)),
        for_all(&app, &stop),
    );
}

/// Does what one process does for all, whenever it falls to this one.
async fn for_all(app: &App, stop: &CancellationToken) {
    while let Some(held) = leases::hold(app, leases::SCHEDULER, stop).await {
        let ending = held.ending_token();
        // What is done twice here does no harm: a sweep under way when the lease is lost comes to its end.
        tokio::join!(
            every(app, DEADLINES_EVERY, ending, "ending what is overdue", || expire(app)),
            every(app, UNSETTLED_EVERY, ending, "settling alerts", || settle_left_overs(app)),
            every(app, RETENTION_EVERY, ending, "removing what is old", || purge(app)),
        );
        held.release().await;
    }
}

/// Does something at once and then in intervals. A failure is logged, and the next interval tries again.
async fn every<F: Future<Output = StoreResult<()>>>(
    app: &App,
    interval: Duration,
    stop: &CancellationToken,
    what: &str,
    mut act: impl FnMut() -> F,
) {
    loop {
        if let Err(error) = act().await {
            app.metrics.store_failed(StorePart::Scheduler, &error);
            warn!(%error, "{what} failed; it is tried again");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = app.clock.sleep(interval) => {}
        }
    }
}

/// Ends deliveries past their deadline, and settles their alerts.
async fn expire(app: &App) -> StoreResult<()> {
    fail::fail_point!("scheduler::turn");
    loop {
        let (alerts, more) = app.store.expire_overdue(app.clock.now(), STEP).await?;
        app.metrics.overdue(alerts.len());
        settle_each(app, alerts).await?;
        if !more {
            return Ok(());
        }
    }
}

/// Settles processed alerts all of whose deliveries have ended.
pub(crate) async fn settle_left_overs(app: &App) -> StoreResult<()> {
    let mut after: Option<AlertId> = None;
    loop {
        let alerts = app.store.unsettled(after, STEP).await?;
        let full = alerts.len() == STEP;
        after = alerts.last().copied();
        settle_each(app, alerts).await?;
        if !full {
            return Ok(());
        }
    }
}

/// One that cannot be read holds up no other.
async fn settle_each(app: &App, alerts: Vec<AlertId>) -> StoreResult<()> {
    for alert in alerts {
        match app.store.settle(alert, app.clock.now()).await {
            Err(error @ StoreError::Corrupt(_)) => {
                app.metrics.store_failed(StorePart::Scheduler, &error);
                error!(%alert, %error, "an alert cannot be settled");
            }
            settled => drop(settled?),
        }
    }
    Ok(())
}

async fn purge(app: &App) -> StoreResult<()> {
    let retention = &app.settings.retention;
    let now = app.clock.now();
    while app.store.purge(now - retention.deliveries, now - retention.rejected_webhooks, now, STEP).await? {
        // Others first.
        tokio::task::yield_now().await;
    }
    debug!("what was past its retention has been removed");
    Ok(())
}
