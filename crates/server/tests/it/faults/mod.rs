//! Several processes over one MongoDB, any of which is killed or hangs, and the database restarted, stalled and away, or
//! one of three nodes that dies, hangs or is cut off:
//! every alert that was answered 202 is processed once, in order for each configuration; no trade is doubled, no delivery
//! is lost, and of two copies of a message at least one is marked.
//!
//! `ALERTCAST_FAULT_ROUNDS` sets the number of rounds (5), `ALERTCAST_FAULT_SEED` repeats a run: alerts, victims and
//! moments are drawn from it. What the machine makes of these moments differs from run to run.

mod database;
mod nonsense;
mod processes;
mod replica_set;
mod traffic;

use std::time::Duration;

use mongodb_rig::ReplicaSet;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use telegram_sim::SimConfig;

use self::traffic::Traffic;
use crate::crash::load;
use crate::harness::{Fleet, Place, mongod};

/// Processes that share the work.
const PROCESSES: usize = 3;

/// Between the answer to one alert and the next on the same connection.
const PAUSE: Duration = Duration::from_millis(300);

/// What every test of this kind begins and ends with.
struct Stage {
    database: ReplicaSet,
    fleet: Fleet,
    traffic: Traffic,
    random: StdRng,
    seed: u64,
}

impl Stage {
    async fn open() -> Self {
        Self::with_pauses(PAUSE).await
    }

    /// With rests of another length between the alerts of a connection.
    async fn with_pauses(pause: Duration) -> Self {
        Self::over(mongod::one_node().await, pause).await
    }

    /// The same over this database.
    async fn over(database: ReplicaSet, pause: Duration) -> Self {
        let seed = setting("ALERTCAST_FAULT_SEED").unwrap_or_else(rand::random);
        eprintln!("ALERTCAST_FAULT_SEED={seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let place = Place::on(&database.uri());
        let sim = SimConfig::default().no_limits().latency_ms(2);
        let fleet = Fleet::start(place, load::world(), sim, PROCESSES).await;
        let traffic = Traffic::start(&fleet, random.random(), pause);
        Self { database, fleet, traffic, random, seed }
    }

    /// Lets things go on for a moment that is drawn.
    async fn pause(&mut self, millis: std::ops::Range<u64>) {
        tokio::time::sleep(Duration::from_millis(self.random.random_range(millis))).await;
    }

    /// No more alerts; waits until everything is done, and holds it against every rule.
    async fn end(self, context: &str) {
        let posts = self.traffic.stop().await;
        let context = format!("{context}, ALERTCAST_FAULT_SEED={}", self.seed);
        let books = self.fleet.finish(&traffic::answered(&posts), &context).await;
        let broken = traffic::out_of_order(&posts, &books);
        assert!(broken.is_empty(), "{context}: out of order:\n{}", broken.join("\n"));
        let answered = posts.iter().filter(|post| post.answered.is_some()).count();
        eprintln!("  {context}: {} alerts posted, {answered} answered, {} trades", posts.len(), books.trades.len());
        assert!(!books.trades.is_empty(), "{context}: nothing happened");
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text}")))
}
