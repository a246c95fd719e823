//! Processes die and hang.

use std::time::Duration;

use rand::RngExt as _;

use super::{PROCESSES, Stage, setting};

const ROUNDS: u64 = 5;
/// Longer than a lease lives.
const HANGS_FOR: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_die_and_hang_lose_and_double_nothing() {
    let rounds = setting("ALERTCAST_FAULT_ROUNDS").unwrap_or(ROUNDS);
    let mut stage = Stage::open().await;
    for round in 1..=rounds {
        stage.pause(500..2_500).await;
        let victim = stage.random.random_range(0..PROCESSES);
        // Every kind of trouble happens in five rounds.
        if round % 2 == 0 {
            stage.fleet.hang(victim, HANGS_FOR).await;
        } else {
            stage.fleet.kill(victim).await;
            stage.pause(0..2_000).await;
            stage.fleet.up(victim).await;
        }
        eprintln!("round {round} of {rounds}: {} answered", stage.traffic.answered_so_far());
    }
    stage.end(&format!("ALERTCAST_FAULT_ROUNDS={rounds}")).await;
}
