//! Several processes over one MongoDB: who does which share of the work, and what each hears of the others. The processes
//! are whole programs in this one, each with a clock of its own that goes no faster than the world's, and that can
//! be stopped: then the process hangs for all that it knows.

mod hearing;
mod sharing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alertcast::app::App as Parts;
use alertcast::clock::{Clock as _, ManualClock};
use alertcast::running::{self, RunningProgram};
use alertcast_core::store::{Lease, PARTITIONS, Store};
use telegram_sim::{SimConfig, SimServer};
use tokio::task::JoinHandle;

use crate::harness::app::{START, settings, start_chats};
use crate::harness::place::{Place, mongodb_uri};
use crate::harness::{BOT, OTHER_BOT, PATIENCE, TestPeople, prepare_process};

/// Nothing takes longer in real time, unless it hangs.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How far a process's clock goes on at each look.
const STEP: Duration = LOOK_EVERY;

/// What the processes share.
struct House {
    place: Place,
    server: SimServer,
    store: Arc<dyn Store>,
}

impl House {
    async fn open(world: TestPeople) -> Self {
        prepare_process();
        let sim = SimConfig::default().bot(BOT).bot(OTHER_BOT).strict().no_limits();
        let server = telegram_sim::start(sim, "127.0.0.1:0").await.unwrap();
        start_chats(&server.sim(), &world);
        let place = Place::on(&mongodb_uri());
        let store = place.open().await;
        store.setup().await.unwrap();
        store.write(world.writes()).await.unwrap();
        place.keep_what_is_over();
        Self { place, server, store }
    }

    /// Starts one more process.
    async fn process(&self) -> Process {
        let clock = ManualClock::at(START);
        let store = self.place.open().await;
        let app = running::prepare(store, clock.clone(), settings(&self.server)).await.unwrap();
        app.audience.load(&*app.store).await.unwrap();
        let running = running::start(app.clone()).await.unwrap();
        let hangs = Arc::new(AtomicBool::new(false));
        let ticking = tokio::spawn(tick(Arc::clone(&clock), Arc::clone(&hangs)));
        Process { app, clock, running, hangs, ticking }
    }

    /// Who has how many of the leases whose names begin so.
    async fn counts(&self, prefix: &str) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for lease in self.leases(prefix).await.into_iter().filter(|lease| !lease.owner.is_empty()) {
            *counts.entry(lease.owner).or_default() += 1;
        }
        counts
    }

    async fn leases(&self, prefix: &str) -> Vec<Lease> {
        self.store.leases(prefix).await.unwrap()
    }

    /// Waits until each of so many processes has its share of the partitions and bots. Answers who has how many partitions.
    async fn shared_by(&self, processes: usize) -> BTreeMap<String, usize> {
        let all = usize::try_from(PARTITIONS).unwrap();
        let is_shared = |counts: &BTreeMap<String, usize>| {
            let most = all.div_ceil(processes);
            counts.len() == processes && counts.values().sum::<usize>() == all && counts.values().all(|n| *n <= most)
        };
        until(&format!("{processes} share the work"), async || {
            let (partitions, bots) = (self.counts("partition:").await, self.counts("tg:").await);
            let are_served =
                bots.values().sum::<usize>() == 2 && bots.keys().all(|owner| partitions.contains_key(owner));
            let is_fair = bots.len() == processes.min(2);
            (is_shared(&partitions) && are_served && is_fair).then_some(partitions)
        })
        .await
    }
}

/// A process over the house's store. Dropped, it dies as it stands.
struct Process {
    app: Parts,
    clock: Arc<ManualClock>,
    running: RunningProgram,
    hangs: Arc<AtomicBool>,
    ticking: JoinHandle<()>,
}

impl Process {
    /// Its clock stands still, or goes on.
    fn hang(&self, hangs: bool) {
        self.hangs.store(hangs, Ordering::SeqCst);
    }

    /// Stops it in order.
    async fn stop(self) {
        self.running.stop().await;
        self.ticking.abort();
    }

    /// Ends it in the midst of what it does.
    fn die(self) {
        self.ticking.abort();
        drop(self.running);
    }

    /// The owner of most that has not been seen before: this process, started last.
    fn name_in(counts: &BTreeMap<String, usize>, before: &BTreeMap<String, usize>) -> String {
        counts.keys().find(|owner| !before.contains_key(*owner)).unwrap().clone()
    }

    fn elapsed(&self) -> Duration {
        self.clock.monotonic()
    }
}

async fn tick(clock: Arc<ManualClock>, hangs: Arc<AtomicBool>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if !hangs.load(Ordering::SeqCst) {
            clock.advance(STEP);
        }
    }
}

/// Waits for an answer.
async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(answer) = look().await {
                return answer;
            }
            tokio::time::sleep(LOOK_EVERY * 5).await;
        }
    };
    match tokio::time::timeout(PATIENCE, looking).await {
        Ok(answer) => answer,
        Err(_) => panic!("not within {PATIENCE:?}: {what}"),
    }
}
