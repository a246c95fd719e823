//! `kill -9` at random moments, under load.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use telegram_sim::SimConfig;
use tokio::task::JoinSet;

use super::load::{self, Alerts, Load};
use crate::harness::told::Told;
use crate::harness::{Allowances, Site};

const ROUNDS: u64 = 10;
/// After so many rounds the books are checked, and the next begin with a new folder: so an hour's quota is never used
/// up, and a broken rule is found near its cause.
const ROUNDS_A_FOLDER: u64 = 10;
const CONNECTIONS: usize = 4;
const ALERTS_A_ROUND: usize = 14;
/// The test server sends, for all that it costs it, a hundred messages a second.
const ALERTS_A_ROUND_ON_MONGODB: usize = 5;
/// The program is killed within this time after it takes requests; or, every fifth time, while it starts.
const KILL_WITHIN_MS: u64 = 450;
const KILL_STARTING_WITHIN_MS: u64 = 60;

pub(super) fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_at_random_moments_under_load_loses_and_doubles_nothing() {
    let rounds = setting("ALERTCAST_CRASH_ROUNDS").unwrap_or(ROUNDS);
    let seed = setting("ALERTCAST_CRASH_SEED").unwrap_or_else(rand::random);
    eprintln!("{rounds} rounds, ALERTCAST_CRASH_SEED={seed}");
    let mut left = rounds;
    let mut folder_seed = seed;
    while left > 0 {
        let now = left.min(ROUNDS_A_FOLDER);
        one_folder(now, folder_seed).await;
        left -= now;
        folder_seed = folder_seed.wrapping_add(1);
        eprintln!("{} of {rounds} rounds", rounds - left);
    }
}

async fn one_folder(rounds: u64, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut alerts = Alerts::from_seed(random.random());
    let site = Site::new(load::world(), SimConfig::default().no_limits().latency_ms(2)).await;
    let alerts_a_round = if site.is_embedded() { ALERTS_A_ROUND } else { ALERTS_A_ROUND_ON_MONGODB };
    let load = Load::new();
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        connections.spawn(load.clone().connection(site.resender()));
    }
    for round in 1..=rounds {
        load.add((0..alerts_a_round).map(|_| alerts.draw()));
        let mut program = site.spawn();
        if random.random_range(0..5_u32) == 0 {
            tokio::time::sleep(Duration::from_millis(random.random_range(0..KILL_STARTING_WITHIN_MS))).await;
        } else {
            let moment = Duration::from_millis(random.random_range(0..KILL_WITHIN_MS));
            assert!(site.ready(&mut program).await, "it ended at its start:\n{}", site.last_words());
            load.up(round);
            tokio::time::sleep(moment).await;
            load.down();
        }
        program.kill().await;
    }
    let program = site.start().await;
    load.up(rounds + 1);
    load.posted().await;
    let context = format!("ALERTCAST_CRASH_SEED={seed} ALERTCAST_CRASH_ROUNDS={rounds}");
    let books = site.finish(program, &load.answered(), Allowances::default(), &context).await;
    // A panic in a connection is a broken rule too.
    while let Some(ended) = connections.try_join_next() {
        ended.unwrap();
    }
    connections.shutdown().await;
    let (messages, trades) = (site.sim.messages(), books.trades.len());
    let repeats = messages.iter().filter(|message| Told::by(message).marked).count();
    let (alerts, sent) = (books.alerts.len(), messages.len());
    eprintln!("  {context}: {alerts} alerts, {trades} trades, {sent} messages, {repeats} of them marked as repeats");
    assert!(!books.trades.is_empty(), "{context}: nothing happened");
}
