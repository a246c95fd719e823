//! This process among those that share the store: what it wants and has, and its looks at what the others have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alertcast_core::store::{Lease, StoreResult};
use futures::{StreamExt as _, stream};
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::LeaseContext;
use super::broken::BrokenLeases;
use super::heartbeat::ProcessHeartbeat;
use super::shares::ClusterPicture;
use super::silence::WatchedValue;
use super::{HeldLease, PROCESS, SPOOL, TTL};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// So often that a silence of the store is noticed before it makes another process turn to its spool.
const PULSE: Duration = Duration::from_millis(200);
/// What is free for this long is taken by whoever sees it, share or no share.
const NEGLECTED_AFTER: Duration = Duration::from_secs(3);
/// Leases taken at once: each is a round trip.
const TAKEN_AT_ONCE: usize = 8;

/// What this process wants and has of the work. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct LeaseManager {
    inner: Arc<ManagerShared>,
}

#[derive(Debug, Default)]
struct ManagerShared {
    hands: Mutex<HeldLeases>,
    /// Something is wanted, or was put down.
    changed: Notify,
    store_was_away: AtomicBool,
    /// How many of the store's interruptions are known.
    interruptions: AtomicU64,
    /// How many wait to hear from all processes.
    waiting: AtomicUsize,
    /// What this process is called among the others, where it is one.
    process: Mutex<Option<String>>,
}

#[derive(Debug, Default)]
struct HeldLeases {
    wants: BTreeMap<String, LeaseWish>,
    held: BTreeMap<String, InHand>,
}

/// Somebody waits for a lease.
#[derive(Debug)]
struct LeaseWish {
    grant: oneshot::Sender<HeldLease>,
    stop: CancellationToken,
}

/// A lease that somebody works under.
#[derive(Debug)]
struct InHand {
    lease: Lease,
    lost: CancellationToken,
    ending: CancellationToken,
}

impl InHand {
    fn lose(&self) {
        self.lost.cancel();
        self.ending.cancel();
    }
}

/// Somebody waits to hear from all processes, until this is dropped.
#[derive(Debug)]
pub(super) struct HearingGuard(Arc<ManagerShared>);

impl Drop for HearingGuard {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

impl LeaseManager {
    /// Notes that the store was seen away: before work is begun again, [`settled`](super::settled) is to be waited for.
    pub fn store_was_away(&self) {
        self.inner.store_was_away.store(true, Ordering::SeqCst);
    }

    /// A lease was found to be in other hands: a look is taken at once.
    pub fn look_again(&self) {
        self.inner.changed.notify_one();
    }

    /// Whether, since this was asked last, the store was seen away, or may have been without being seen so.
    pub(super) fn forgets_absence(&self, interruptions: u64) -> bool {
        let was_away = self.inner.store_was_away.swap(false, Ordering::SeqCst);
        self.inner.interruptions.swap(interruptions, Ordering::SeqCst) != interruptions || was_away
    }

    pub(super) fn awaits_all(&self) -> HearingGuard {
        self.inner.waiting.fetch_add(1, Ordering::SeqCst);
        HearingGuard(Arc::clone(&self.inner))
    }

    pub(super) fn is_awaited(&self) -> bool {
        self.inner.waiting.load(Ordering::SeqCst) > 0
    }

    /// What this process is called among the others; none while it is none of them.
    pub(super) fn process(&self) -> Option<String> {
        self.inner.process.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_process(&self, id: Option<String>) {
        *self.inner.process.lock().unwrap_or_else(PoisonError::into_inner) = id;
    }

    pub(super) fn want(&self, name: &str, stop: &CancellationToken) -> oneshot::Receiver<HeldLease> {
        let (grant, granted) = oneshot::channel();
        self.hands().wants.insert(name.to_owned(), LeaseWish { grant, stop: stop.clone() });
        self.inner.changed.notify_one();
        granted
    }

    pub(super) fn want_no_more(&self, name: &str) {
        self.hands().wants.remove(name);
    }

    /// Nobody works under the lease any more.
    pub(super) fn put_down(&self, lease: &Lease) {
        let mut hands = self.hands();
        if hands.held.get(&lease.name).is_some_and(|held| held.lease.epoch == lease.epoch) {
            hands.held.remove(&lease.name);
            self.inner.changed.notify_one();
        }
    }

    /// Everything that is held may be in other hands.
    fn lose_all(&self) {
        let held = std::mem::take(&mut self.hands().held);
        held.values().for_each(InHand::lose);
    }

    /// Whatever is held otherwise than it stands in the store is lost.
    fn compare(&self, me: &str, standing: &BTreeMap<&str, &Lease>) {
        self.hands().held.retain(|name, held| {
            let stands = standing.get(name.as_str());
            let is_ours = stands.is_some_and(|lease| lease.owner == me && lease.epoch == held.lease.epoch);
            if !is_ours && !held.ending.is_cancelled() {
                warn!(lease = name, "a lease was taken over");
            }
            if !is_ours {
                held.lose();
            }
            is_ours
        });
    }

    /// Gives a lease to who wants it; back where nobody does any more.
    fn grant(&self, context: &LeaseContext, lease: Lease) -> Option<HeldLease> {
        let mut hands = self.hands();
        let want = hands.wants.remove(&lease.name);
        let (lost, parent) = (CancellationToken::new(), want.as_ref().map(|want| want.stop.clone()));
        let ending = parent.unwrap_or_default().child_token();
        let in_hand = InHand { lease: lease.clone(), lost: lost.clone(), ending: ending.clone() };
        hands.held.insert(lease.name.clone(), in_hand);
        drop(hands);
        let held = HeldLease { context: context.clone(), lease, lost, ending };
        match want {
            Some(want) => want.grant.send(held).err(),
            None => Some(held),
        }
    }

    async fn all_put_down(&self) {
        while !self.hands().held.is_empty() {
            self.inner.changed.notified().await;
        }
    }

    fn hands(&self) -> MutexGuard<'_, HeldLeases> {
        self.inner.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps this process among those that share the store, and hands out what falls to it, until `stop`; then waits until
/// everything is put down.
pub async fn run(context: LeaseContext, stop: CancellationToken) {
    if context.base.store.is_exclusive() {
        return mend(&context, &stop).await;
    }
    // Where this is not the first time: what was held then, nobody has kept alive since.
    context.members.lose_all();
    let mut former: Option<ProcessHeartbeat> = None;
    while let Some(mut heartbeat) = join(&context, &mut former, &stop).await {
        let id = heartbeat.id.clone();
        info!(process = id, "this process shares the work with the others");
        context.members.set_process(Some(id.clone()));
        let stopped = tokio::select! {
            () = heartbeat.beat(&context) => false,
            () = feel_pulse(&context) => false,
            () = look_on(&context, &id, &stop) => true,
        };
        context.members.lose_all();
        context.members.set_process(None);
        if stopped {
            if let Err(error) = heartbeat.end(&context).await {
                warn!(%error, "the others could not be told that this process has left; they will notice");
            }
            return;
        }
        former = Some(heartbeat);
    }
}

/// Where nobody else can hold a lease, those that cannot be read are all that there is to look at.
async fn mend(context: &LeaseContext, stop: &CancellationToken) {
    let mut broken = BrokenLeases::default();
    while !stop.is_cancelled() {
        if let Err(error) = broken.look(context, context.base.clock.monotonic()).await {
            warn!(%error, "leases that cannot be read could not be looked at; trying again");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = context.base.clock.sleep(LOOK_EVERY) => {}
        }
    }
}

/// Asks the store for little, often enough for its interruptions to be noticed: it counts them itself.
async fn feel_pulse(context: &LeaseContext) {
    loop {
        // How it failed, others say.
        let _ = context.base.store.last_change().await;
        context.base.clock.sleep(PULSE).await;
    }
}

/// Enters among the processes, under a name that never was before. None when `stop` came first.
async fn join(
    context: &LeaseContext,
    former: &mut Option<ProcessHeartbeat>,
    stop: &CancellationToken,
) -> Option<ProcessHeartbeat> {
    while !stop.is_cancelled() {
        match enter(context, former).await {
            Ok(Some(heartbeat)) => return Some(heartbeat),
            Ok(None) => {}
            Err(error) => warn!(%error, "this process cannot take its share of the work yet; trying again"),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = context.base.clock.sleep(LOOK_EVERY) => {}
        }
    }
    None
}

async fn enter(context: &LeaseContext, former: &mut Option<ProcessHeartbeat>) -> StoreResult<Option<ProcessHeartbeat>> {
    if let Some(heartbeat) = former {
        // What was taken under that name is free for everybody.
        heartbeat.end(context).await?;
        *former = None;
    }
    ProcessHeartbeat::begin(context, &context.base.settings.lane_names()).await
}

/// Looks on until `stop`, and returns once everything is put down.
async fn look_on(context: &LeaseContext, me: &str, stop: &CancellationToken) {
    let mut watching = MemberWatch::default();
    while !stop.is_cancelled() {
        if let Err(error) = watching.look(context, me).await {
            warn!(%error, "who does what could not be looked at; trying again");
            // What was seen before says nothing about those who could not write either.
            watching = MemberWatch::default();
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = context.members.inner.changed.notified() => {}
            () = context.base.clock.sleep(LOOK_EVERY) => {}
        }
    }
    context.members.all_put_down().await;
}

/// What has been seen of the others.
#[derive(Debug, Default)]
struct MemberWatch {
    processes: WatchedValue<(i64, i64)>,
    /// Spools of processes that are not there: left by the dead, or shown by one that is about to enter.
    ownerless: WatchedValue<()>,
    free: WatchedValue<()>,
    broken: BrokenLeases,
}

impl MemberWatch {
    /// One look at everything, and what follows from it.
    async fn look(&mut self, context: &LeaseContext, me: &str) -> StoreResult<()> {
        fail::fail_point!("leases::look");
        let leases = context.base.store.leases("").await?;
        let now = context.base.clock.monotonic();
        self.broken.look(context, now).await?;
        let (processes, others): (Vec<&Lease>, Vec<&Lease>) =
            leases.iter().partition(|lease| lease.name.starts_with(PROCESS));
        self.processes.look(now, processes.iter().map(|lease| (lease.name.clone(), (lease.epoch, lease.renewal))));
        let own_name = format!("{PROCESS}{me}");
        if !processes.iter().any(|lease| lease.name == own_name) {
            // The heartbeat will find out.
            return Ok(());
        }
        let (live, dead): (Vec<&Lease>, Vec<&Lease>) =
            processes.into_iter().partition(|lease| lease.name == own_name || self.processes.of(&lease.name) < TTL);
        let live: BTreeMap<&str, BTreeSet<&str>> = live.into_iter().map(process).collect();
        let (spools, shared): (Vec<&Lease>, Vec<&Lease>) =
            others.into_iter().partition(|lease| lease.name.starts_with(SPOOL));
        let ownerless: Vec<&Lease> =
            spools.into_iter().filter(|spool| !live.contains_key(spool.owner.as_str())).collect();
        self.ownerless.look(now, ownerless.iter().map(|spool| (spool.name.clone(), ())));
        let left_behind = ownerless.into_iter().filter(|spool| self.ownerless.of(&spool.name) >= TTL);
        let gone: Vec<&Lease> = dead.into_iter().chain(left_behind).collect();
        let standing: BTreeMap<&str, &Lease> = shared.iter().map(|lease| (lease.name.as_str(), *lease)).collect();
        context.members.compare(me, &standing);
        let owned = shared.iter().filter(|lease| live.contains_key(lease.owner.as_str()));
        let owners = owned.map(|lease| (lease.name.as_str(), lease.owner.as_str())).collect();
        self.share(context, &ClusterPicture { me, live, owners }, &standing, now).await;
        forget(context, &gone).await
    }

    /// Gives back what is too much, and takes what is too little.
    async fn share(
        &mut self,
        context: &LeaseContext,
        picture: &ClusterPicture<'_>,
        standing: &BTreeMap<&str, &Lease>,
        now: Duration,
    ) {
        let (wanted, in_hand) = {
            let hands = context.members.hands();
            let in_hand: BTreeSet<String> = hands
                .held
                .iter()
                .filter(|(_, held)| !held.ending.is_cancelled())
                .map(|(name, _)| name.clone())
                .collect();
            let wanted: BTreeSet<String> =
                hands.wants.keys().filter(|name| !hands.held.contains_key(*name)).cloned().collect();
            (wanted, in_hand)
        };
        let free = wanted.iter().filter(|name| !picture.owners.contains_key(name.as_str()));
        self.free.look(now, free.map(|name| (name.clone(), ())));
        let in_hand: BTreeSet<&str> = in_hand.iter().map(String::as_str).collect();
        for name in picture.to_give_back(&in_hand) {
            if let Some(held) = context.members.hands().held.get(name) {
                held.ending.cancel();
            }
        }
        let wanted: BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
        let is_neglected = |name: &str| self.free.of(name) >= NEGLECTED_AFTER;
        let taking = picture.to_take(&wanted, is_neglected).into_iter().map(|name| {
            let seen = standing.get(name).copied();
            async move { take(context, name, picture.me, seen).await }
        });
        let taking: Vec<_> = taking.collect();
        stream::iter(taking).for_each_concurrent(TAKEN_AT_ONCE, |taking| taking).await;
    }
}

/// A process's number, and the lanes that it can serve.
fn process(lease: &Lease) -> (&str, BTreeSet<&str>) {
    (lease.name.strip_prefix(PROCESS).unwrap_or_default(), lease.owner.split(' ').skip(1).collect())
}

async fn take(context: &LeaseContext, name: &str, me: &str, seen: Option<&Lease>) {
    match context.base.store.take_lease(name, me, seen).await {
        Ok(Some(lease)) => {
            if let Some(unwanted) = context.members.grant(context, lease) {
                unwanted.release().await;
            }
        }
        // Another was faster.
        Ok(None) => {}
        Err(error) => warn!(lease = name, %error, "a lease could not be taken; trying again"),
    }
}

/// Removes what the dead have left. No work is fenced by it.
async fn forget(context: &LeaseContext, gone: &[&Lease]) -> StoreResult<()> {
    for lease in gone {
        info!(lease = lease.name, "a process has not been heard of, and is taken for dead");
        context.base.store.forget_lease(lease).await?;
    }
    Ok(())
}
