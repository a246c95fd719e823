//! Hop 2: accepted alerts become trades and deliveries. Owns partitions by lease; the alerts of one configuration go one
//! after the other, configurations side by side. It decides nothing: the domain plans a chunk, the store commits it.
//!
//! Failpoints: `processor::before_commit`, `processor::after_commit`, `processor::before_settle`.

mod batch;
mod chunks;
mod effects;
mod ending;
mod order;
mod run;
mod work;

pub(crate) use chunks::{ChunkLoader, outlets, prepare_job};

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alertcast_core::alert::document::Alert;
use alertcast_core::id::ConfigId;
use alertcast_core::store::{LeaseFence, PARTITIONS, StoreError, partition_of};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::app::App;
use crate::base::Base;
use crate::degraded::TroubleKind;
use crate::leases;
use crate::metrics;
use crate::supervise;
use crate::supervised_part::SupervisedPart;

/// Configurations worked on at once.
const CONFIGS_AT_ONCE: usize = 8;
/// Alerts looked at together.
const WINDOW: usize = 512;
/// Even without a knock, the store is looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Who has waited longer is late.
const LATE: Duration = Duration::from_secs(60);
/// What is late, or set aside.
const ALERTS: &str = "alerts";
/// How long requests under way are waited for before alerts are put in order.
const ARRIVAL_PATIENCE: Duration = Duration::from_secs(2);

/// The partitions in our hands, as they are at a moment.
type PartitionMap = Arc<BTreeMap<i32, OwnedPartition>>;
/// The partitions in our hands.
type OwnedPartitions = Arc<Mutex<PartitionMap>>;

/// A partition in our hands.
#[derive(Debug, Clone)]
struct OwnedPartition {
    /// The right to work on it.
    fence: LeaseFence,
    /// Work on it is to stop after its chunk.
    ending: CancellationToken,
    /// The work on it that is under way.
    work: TaskTracker,
}

/// Runs until `stop`, then finishes the chunks under way.
pub async fn run(app: App, stop: CancellationToken) {
    let owned = OwnedPartitions::default();
    let mut owners = JoinSet::new();
    for partition in 0..PARTITIONS {
        let (app, owned, stop) = (app.clone(), Arc::clone(&owned), stop.clone());
        owners.spawn(async move {
            let own = |_| own(&app, partition, &owned, &stop);
            supervise::keep_at_work(&app, SupervisedPart::Partition, &partition.to_string(), &stop, own).await;
        });
    }
    work_on(&app, &owned, &stop).await;
    while owners.join_next().await.is_some() {}
}

/// Holds one partition's lease, again and again, until `stop`. It is given back when no work on it is under way any more.
async fn own(app: &App, partition: i32, owned: &OwnedPartitions, stop: &CancellationToken) {
    while let Some(held) = leases::hold(&app.lease_context(), &leases::of_partition(partition), stop).await {
        let work = TaskTracker::new();
        let ours = OwnedPartition { fence: held.fence(), ending: held.ending_token().clone(), work: work.clone() };
        Arc::make_mut(&mut lock(owned)).insert(partition, ours);
        app.wake.alerts_came();
        held.ending_token().cancelled().await;
        Arc::make_mut(&mut lock(owned)).remove(&partition);
        work.close();
        tokio::select! {
            () = work.wait() => held.release().await,
            () = held.lost_token().cancelled() => {}
        }
    }
}

fn lock(owned: &OwnedPartitions) -> std::sync::MutexGuard<'_, PartitionMap> {
    owned.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn work_on(app: &App, owned: &OwnedPartitions, stop: &CancellationToken) {
    let mut knocks = app.wake.on_alerts();
    let (mut work, leases) = (PartitionWork::default(), app.lease_context());
    while !stop.is_cancelled() {
        if leases::wait_settled(&leases, stop).await {
            // What was drained meanwhile may belong before.
            work.found.clear();
        }
        work.begin(app, owned, &mut knocks).await;
        let has_room = work.has_room();
        tokio::select! {
            () = stop.cancelled() => {}
            // While all places are taken there is nothing to begin: only an end of work matters.
            _ = knocks.changed(), if has_room => {}
            Some(done) = work.under_way.join_next() => {
                match done {
                    Ok(config) => { work.busy.remove(&config); }
                    // `work` catches panics itself: only an aborted task ends so.
                    Err(error) => warn!(%error, "work on a configuration ended early"),
                }
            }
            () = app.clock.sleep(LOOK_EVERY) => {}
        }
    }
    while work.under_way.join_next().await.is_some() {}
}

/// Says so where alerts wait that should have been processed long ago.
fn tell_if_late(base: &Base, pending: &[Alert]) {
    let now = base.clock.now();
    let waits = |alert: &Alert| now.since(alert.webhook.received_at) > LATE;
    let late = pending.iter().filter(|alert| waits(alert)).count();
    if late == 0 {
        return base.degraded.clear(TroubleKind::LateWork, ALERTS);
    }
    let text = format!(
        "{late} accepted alerts have waited for more than {} s to be processed: the log says what holds them up.",
        LATE.as_secs()
    );
    base.degraded.set(TroubleKind::LateWork, ALERTS, text);
}

/// The configuration that an alert was matched to when it was accepted, as its share of the work bears out; none where
/// somebody else has changed that.
fn config_of(alert: &Alert) -> Option<ConfigId> {
    alert.processing.alert_config_id.filter(|config| alert.alertcast.partition == Some(partition_of(*config)))
}

/// What is worked on, and what was found that waits for a place.
#[derive(Debug, Default)]
struct PartitionWork {
    under_way: JoinSet<ConfigId>,
    busy: HashSet<ConfigId>,
    /// None of them is busy, and those that were found by one look stand in the order of their oldest alerts.
    found: VecDeque<FoundAlerts>,
}

/// The alerts of one configuration that were found by a look.
#[derive(Debug)]
struct FoundAlerts {
    config: ConfigId,
    alerts: Vec<Alert>,
    /// Under which nobody else can have worked on them since.
    fence: LeaseFence,
    /// The store's, when they were found.
    interruptions: u64,
}

impl PartitionWork {
    fn has_room(&self) -> bool {
        self.busy.len() < CONFIGS_AT_ONCE
    }

    /// Begins work on as many further configurations as there are places. A look at the store finds more than there are
    /// places for: they wait here, so that not each of them is looked for anew.
    async fn begin(&mut self, app: &App, owned: &OwnedPartitions, knocks: &mut watch::Receiver<u64>) {
        let ours = Arc::clone(&lock(owned));
        self.begin_found(app, &ours);
        if self.has_room() {
            knocks.mark_unchanged();
            self.look(app, &ours).await;
            self.begin_found(app, &ours);
        }
    }

    fn begin_found(&mut self, app: &App, ours: &BTreeMap<i32, OwnedPartition>) {
        while self.has_room() {
            let Some(FoundAlerts { config, alerts, fence, interruptions }) = self.found.pop_front() else { return };
            let ours = ours.get(&partition_of(config)).filter(|ours| ours.fence == fence);
            // Others may have worked on them, or have spooled what belongs before them: they are looked for anew.
            let Some(ours) = ours.filter(|_| app.store.interruptions() == interruptions) else { continue };
            self.busy.insert(config);
            let work = work::on_config(app.clone(), config, fence, alerts, ours.ending.clone());
            self.under_way.spawn(ours.work.track_future(work));
        }
    }

    /// Finds what there is to do, beside what is being done.
    async fn look(&mut self, app: &App, ours: &BTreeMap<i32, OwnedPartition>) {
        if ours.is_empty() {
            return;
        }
        fail::fail_point!("processor::look");
        let interruptions = app.store.interruptions();
        let partitions: Vec<i32> = ours.keys().copied().collect();
        let except: Vec<ConfigId> = self.busy.iter().copied().collect();
        // Those who are being taken in now may belong before what we find.
        app.in_flight.wait_arrived(&*app.clock, ARRIVAL_PATIENCE).await;
        let pending = match app.store.pending_alerts(&partitions, &except, WINDOW).await {
            Ok(pending) => pending,
            Err(error) => {
                app.metrics.store_failed(metrics::StorePart::Processor, &error);
                if let StoreError::Unavailable(_) = error {
                    app.members.store_was_away();
                }
                return warn!(%error, "the alerts to process could not be read; trying again");
            }
        };
        app.metrics.alerts_waiting(pending.len());
        tell_if_late(app, &pending);
        let mut by_config: BTreeMap<ConfigId, Vec<Alert>> = BTreeMap::new();
        let mut in_order = Vec::new();
        for alert in pending {
            let Some(config) = config_of(&alert) else {
                work::park_stray(app, &alert, ours).await;
                continue;
            };
            let alerts = by_config.entry(config).or_default();
            if alerts.is_empty() {
                in_order.push(config);
            }
            alerts.push(alert);
        }
        let found = in_order.into_iter().filter_map(|config| {
            let fence = ours.get(&partition_of(config))?.fence.clone();
            Some(FoundAlerts { config, alerts: by_config.remove(&config)?, fence, interruptions })
        });
        self.found = found.collect();
    }
}
