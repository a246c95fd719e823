//! What happens by the clock: `JOBS`, each done by one process for all, or by each process for itself.

use std::time::Duration;

use alertcast_core::id::{AlertId, SubscriptionId};
use alertcast_core::store::{StoreError, StoreResult, SubscriptionStore as _};
use alertcast_core::subscription::lifecycle::{self, DecisionMaker, SubscriptionEvent};
use futures::future::{BoxFuture, join_all};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use crate::app::App;
use crate::base::Base;
use crate::leases;
use crate::metrics::StorePart;

/// What is done over and over.
struct ScheduledJob {
    /// For the log.
    name: &'static str,
    /// At once, and then so long after each time.
    every: Duration,
    share: JobShare,
    run: for<'a> fn(&'a App) -> BoxFuture<'a, StoreResult<()>>,
}

/// Who does a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JobShare {
    EachProcess,
    /// One process, under a lease.
    OneForAll,
}

/// What is done by the clock.
static JOBS: [ScheduledJob; 7] = [
    ScheduledJob {
        name: "reading changes",
        every: Duration::from_secs(1),
        share: JobShare::EachProcess,
        run: |app| Box::pin(app.audience.catch_up(&*app.store)),
    },
    ScheduledJob {
        name: "showing how far changes are read",
        every: Duration::from_secs(10 * 60),
        share: JobShare::EachProcess,
        run: |app| Box::pin(show_mark(app)),
    },
    ScheduledJob {
        name: "ending what is overdue",
        every: Duration::from_secs(5),
        share: JobShare::OneForAll,
        run: |app| Box::pin(expire_deliveries(app)),
    },
    ScheduledJob {
        name: "ending subscriptions",
        every: Duration::from_secs(20),
        share: JobShare::OneForAll,
        run: |app| Box::pin(expire_subscriptions(app)),
    },
    ScheduledJob {
        name: "settling alerts",
        every: Duration::from_secs(30),
        share: JobShare::OneForAll,
        run: |app| Box::pin(settle_left_overs(app)),
    },
    ScheduledJob {
        name: "removing what is old",
        every: Duration::from_secs(60 * 60),
        share: JobShare::OneForAll,
        run: |app| Box::pin(purge(app)),
    },
    ScheduledJob {
        name: "removing unfinished files",
        every: Duration::from_secs(60 * 60),
        share: JobShare::OneForAll,
        run: |app| Box::pin(remove_unfinished_files(app)),
    },
];

/// Where others are in the way, the end of a subscription is decided anew so often; then at the next turn.
const TRIES_MAX: usize = 5;

/// What works on a file is over by then, whatever has become of it.
const FILE_WORK_DURATION_MAX: Duration = Duration::from_secs(60 * 60);

/// So many entries of the change log are left even where every process has read them: who lags a little need not load
/// everything anew.
const CHANGES_KEPT: i64 = 10_000;

/// How many documents one step ends, settles or removes: short enough not to hold up others.
const STEP: usize = 500;

/// Runs until `stop`.
pub async fn run(app: App, stop: CancellationToken) {
    tokio::join!(run_jobs(&app, JobShare::EachProcess, &stop), for_all(&app, &stop));
}

/// Does what one process does for all, whenever it falls to this one.
async fn for_all(app: &App, stop: &CancellationToken) {
    while let Some(held) = leases::hold(&app.lease_context(), leases::SCHEDULER, stop).await {
        // What is done twice here does no harm: a sweep under way when the lease is lost comes to its end.
        run_jobs(app, JobShare::OneForAll, held.ending_token()).await;
        held.release().await;
    }
}

/// Does these jobs side by side until `stop`.
async fn run_jobs(app: &App, share: JobShare, stop: &CancellationToken) {
    let jobs: Vec<&ScheduledJob> = JOBS.iter().filter(|job| job.share == share).collect();
    join_all(jobs.into_iter().map(|job| repeat(app, job, stop))).await;
}

/// Does a job over and over. A failure is logged, and the next turn tries again.
async fn repeat(app: &App, job: &ScheduledJob, stop: &CancellationToken) {
    loop {
        if let Err(error) = (job.run)(app).await {
            app.metrics.store_failed(StorePart::Scheduler, &error);
            warn!(%error, "{} failed; it is tried again", job.name);
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = app.clock.sleep(job.every) => {}
        }
    }
}

/// Ends deliveries past their deadline, and settles their alerts.
async fn expire_deliveries(base: &Base) -> StoreResult<()> {
    fail::fail_point!("scheduler::turn");
    loop {
        let (alerts, more) = base.store.expire_overdue(base.clock.now(), STEP).await?;
        base.metrics.overdue(alerts.len());
        settle_each(base, alerts).await?;
        if !more {
            return Ok(());
        }
    }
}

/// Ends the subscriptions whose end has come. Nobody waits for it: what has ended entitles to nothing, whatever stands in
/// its status.
async fn expire_subscriptions(base: &Base) -> StoreResult<()> {
    let mut after = None;
    loop {
        let due = base.store.due_subscriptions(base.clock.now(), after).await?;
        for subscription in due.ids {
            expire_subscription(base, subscription).await?;
        }
        after = due.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// One that cannot be read (`doctor` names it), or has another end by now, holds up no other.
async fn expire_subscription(base: &Base, subscription: SubscriptionId) -> StoreResult<()> {
    for _ in 0..TRIES_MAX {
        let seen = match base.store.load_subscription(subscription).await {
            Ok(Some(seen)) => seen,
            Ok(None) | Err(StoreError::Corrupt(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        let by = DecisionMaker::default();
        let decided = lifecycle::decide(&seen.context, &SubscriptionEvent::Expire, by, base.clock.now());
        let Ok(change) = decided else { return Ok(()) };
        match base.store.commit_subscription(&seen, &change, Vec::new()).await {
            Err(StoreError::Conflict) => {}
            Err(error @ StoreError::Unavailable(_)) => return Err(error),
            // What decides nothing here is not as the store wants it, and has to be mended first.
            Err(error) => {
                debug!(%subscription, %error, "a subscription that is over cannot be ended");
                return Ok(());
            }
            Ok(()) => return Ok(()),
        }
    }
    Ok(())
}

/// Settles processed alerts all of whose deliveries have ended.
pub(crate) async fn settle_left_overs(base: &Base) -> StoreResult<()> {
    let mut after: Option<AlertId> = None;
    loop {
        let alerts = base.store.unsettled(after, STEP).await?;
        let full = alerts.len() == STEP;
        after = alerts.last().copied();
        settle_each(base, alerts).await?;
        if !full {
            return Ok(());
        }
    }
}

/// One that cannot be read holds up no other.
async fn settle_each(base: &Base, alerts: Vec<AlertId>) -> StoreResult<()> {
    for alert in alerts {
        match base.store.settle(alert, base.clock.now()).await {
            Err(error @ StoreError::Corrupt(_)) => {
                base.metrics.store_failed(StorePart::Scheduler, &error);
                error!(%alert, %error, "an alert cannot be settled");
            }
            settled => drop(settled?),
        }
    }
    Ok(())
}

/// Nothing is shown of a log that is kept whole.
async fn show_mark(app: &App) -> StoreResult<()> {
    match app.audience.applied().await {
        read @ CHANGES_KEPT.. => leases::show_mark(&app.lease_context(), read).await,
        _ => Ok(()),
    }
}

async fn purge(app: &App) -> StoreResult<()> {
    let retention = &app.settings.retention;
    let now = app.clock.now();
    while app.store.purge(now - retention.deliveries, now - retention.rejected_webhooks, now, STEP).await? {
        // Others first.
        tokio::task::yield_now().await;
    }
    purge_changes(app).await?;
    debug!("what was past its retention has been removed");
    Ok(())
}

async fn purge_changes(app: &App) -> StoreResult<()> {
    let own = app.audience.applied().await;
    if own < CHANGES_KEPT {
        return Ok(());
    }
    let Some(read) = leases::least_mark(&app.lease_context(), own).await? else { return Ok(()) };
    while app.store.purge_changes(read - CHANGES_KEPT, STEP).await? {
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Removes what processes left that died while they put or deleted a file.
async fn remove_unfinished_files(base: &Base) -> StoreResult<()> {
    let removed = base.store.remove_unfinished_files(base.clock.now() - FILE_WORK_DURATION_MAX).await?;
    if removed > 0 {
        debug!(removed, "unfinished files have been removed");
    }
    Ok(())
}
