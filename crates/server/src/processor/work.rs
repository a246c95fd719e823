//! One configuration's alerts, one after the other: those that may be are planned and committed together.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use alertcast_core::alert::document::{Alert, AlertError};
use alertcast_core::id::ConfigId;
use alertcast_core::store::{LeaseFence, StoreError};
use futures::FutureExt as _;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::{OwnedPartition, batch, order, run};
use crate::app::App;
use crate::base::Base;
use crate::degraded::TroubleKind;
use crate::metrics::StorePart;
use crate::notices::{self, NoticeTrouble};

/// After so many failures an alert is parked.
const ATTEMPTS_MAX: i64 = 5;
/// Alerts that waited together share one look at the change log for so long: they had all come before it.
const AUDIENCE_AGE_MAX: Duration = Duration::from_millis(50);
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// After so many conflicts: alerts on different configurations change the quotas of the same users, and those who met once
/// are not to meet again. Short at first, then longer, and always of another length.
pub(super) fn pause_after(conflicts: u32) -> Duration {
    let millis_max = (2_u64 << conflicts.min(8)).min(500);
    Duration::from_millis(rand::random_range(0..=millis_max))
}

/// Why work on an alert ended without finishing it.
#[derive(Debug)]
pub(super) enum WorkHalt {
    /// We are to stop, or somebody else works on it.
    Later,
    /// The store is away: nothing is wrong with the alert.
    Away(StoreError),
    /// The lease is in other hands.
    Fenced,
    /// What a chunk rested on has changed.
    Conflict,
    /// Something is wrong with the alert, or with what it needs.
    Failed(String),
}

impl From<StoreError> for WorkHalt {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Fenced { .. } => Self::Fenced,
            StoreError::Unavailable(_) => Self::Away(error),
            other => Self::Failed(other.to_string()),
        }
    }
}

/// Works on the alerts of one configuration until they are done, one cannot be done now, or `stop`. Answers the
/// configuration.
pub(super) async fn on_config(
    app: App,
    config: ConfigId,
    fence: LeaseFence,
    mut alerts: Vec<Alert>,
    stop: CancellationToken,
) -> ConfigId {
    let mut queue: Vec<Alert> = std::iter::from_fn(|| order::take_next(&mut alerts)).collect();
    let mut caught_up = None;
    while !queue.is_empty() && !stop.is_cancelled() {
        let together = AssertUnwindSafe(work_together(&app, &mut caught_up, &queue, config, &fence)).catch_unwind();
        // Whatever the trouble is, the first one alone meets it too.
        let done = together.await.unwrap_or(0);
        queue.drain(..done);
        if done > 0 {
            continue;
        }
        let alert = queue.remove(0);
        let work = async {
            catch_up(&app, &mut caught_up).await?;
            run::process(&app, &alert, config, &fence, &stop).await
        };
        let halt = match AssertUnwindSafe(work).catch_unwind().await {
            Ok(Ok(())) => continue,
            Ok(Err(halt)) => halt,
            Err(_) => WorkHalt::Failed("processing it panicked".to_owned()),
        };
        if !can_go_on(&app, &alert, &fence, halt).await {
            break;
        }
    }
    config
}

/// Works on the first alerts together; answers how many are done with.
async fn work_together(
    app: &App,
    caught_up: &mut Option<Duration>,
    queue: &[Alert],
    config: ConfigId,
    fence: &LeaseFence,
) -> usize {
    let together = batch::list_together(queue);
    if together.is_empty() || catch_up(app, caught_up).await.is_err() {
        return 0;
    }
    batch::process_together(app, together, config, fence).await
}

/// What work on an alert came to that did not finish it. Answers whether those behind it may go on: the order holds.
async fn can_go_on(app: &App, alert: &Alert, fence: &LeaseFence, halt: WorkHalt) -> bool {
    match halt {
        WorkHalt::Fenced => app.members.look_again(),
        WorkHalt::Away(error) => {
            warn!(%error, "the alert waits");
            app.metrics.store_failed(StorePart::Processor, &error);
            app.members.store_was_away();
        }
        WorkHalt::Later | WorkHalt::Conflict => {}
        WorkHalt::Failed(reason) => {
            let attempts = alert.alertcast.attempts.0.saturating_add(1);
            return record_failure(app, alert, fence, reason, attempts).await;
        }
    }
    app.clock.sleep(PAUSE_FIRST).await;
    false
}

/// Sees every change that was made before the alerts that are worked on were read, and none later than a moment ago.
async fn catch_up(app: &App, last: &mut Option<Duration>) -> Result<(), WorkHalt> {
    let now = app.clock.monotonic();
    if last.is_none_or(|last| now.saturating_sub(last) >= AUDIENCE_AGE_MAX) {
        app.audience.catch_up(&*app.store).await?;
        *last = Some(now);
    }
    Ok(())
}

/// Parks an alert that does not say any more of which configuration it is: nobody would ever work on it.
pub(super) async fn park_stray(base: &Base, alert: &Alert, ours: &BTreeMap<i32, OwnedPartition>) {
    let fence = alert.alertcast.partition.and_then(|partition| ours.get(&partition)).map(|ours| &ours.fence);
    if let Some(fence) = fence {
        let reason = "it does not say any more for which configuration it was accepted".to_owned();
        record_failure(base, alert, fence, reason, ATTEMPTS_MAX).await;
    }
}

/// Notes a failure, with which there were so many; true where the alert is parked and the next one may go.
async fn record_failure(base: &Base, alert: &Alert, fence: &LeaseFence, reason: String, attempts: i64) -> bool {
    let now = base.clock.now();
    let park = attempts >= ATTEMPTS_MAX;
    base.metrics.not_processed(park);
    error!(alert = %alert.id, attempts, park, reason, "an alert could not be processed");
    let trouble = NoticeTrouble {
        group: format!("processing:{reason}"),
        title: format!("An alert on {} could not be processed", alert.alert_data.symbol),
        lines: vec![reason.clone(), "It is parked as failed; subscribers did not get it.".to_owned()],
        alert: Some(alert.id),
    };
    let notices = if park { notices::notices(base, &trouble, now) } else { Vec::new() };
    let failure = AlertError::new(reason, now);
    if let Err(error) = base.store.record_failure(fence, alert.id, failure, park, notices).await {
        warn!(alert = %alert.id, %error, "the failure could not be noted");
        base.clock.sleep(PAUSE_FIRST).await;
        return false;
    }
    if !park {
        let doublings = u32::try_from(attempts).unwrap_or(16).min(16);
        base.clock.sleep((PAUSE_FIRST * 2_u32.pow(doublings)).min(PAUSE_MAX)).await;
    }
    if park {
        let text = format!(
            "Alert {} and maybe others kept failing and were set aside; subscribers did not get them. The operators' chat \
             and the log say why. It can be processed by hand once that is mended; this is told until the next restart.",
            alert.id
        );
        base.degraded.set(TroubleKind::ParkedWork, super::ALERTS, text);
    }
    base.wake.deliveries_came();
    park
}
