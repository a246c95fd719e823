//! The database dies, holds still, and is away.

use std::time::Duration;

use super::Stage;

/// The database holds still for this long.
const STALL: Duration = Duration::from_secs(5);
/// The database is away for this long.
const AWAY: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_killed_and_started_again_costs_nothing() {
    let mut stage = Stage::open().await;
    for _ in 0..2 {
        stage.pause(1_000..2_000).await;
        stage.database.kill(0).await.unwrap();
        stage.database.up(0).await.unwrap();
    }
    stage.pause(2_000..3_000).await;
    stage.end("restarted").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_holds_still_costs_nothing() {
    let mut stage = Stage::open().await;
    stage.pause(1_000..2_000).await;
    stage.database.stop(0).unwrap();
    tokio::time::sleep(STALL).await;
    stage.database.go_on(0).unwrap();
    stage.pause(2_000..3_000).await;
    stage.end("stalled").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_away_alerts_are_taken_in_and_worked_off_afterwards() {
    // All of it is worked off afterwards, by a server that is slow with long queues.
    let mut stage = Stage::with_pauses(Duration::from_millis(2_500)).await;
    stage.pause(1_000..2_000).await;
    stage.database.kill(0).await.unwrap();
    // What was under way when it went may have no answer.
    tokio::time::sleep(STALL).await;
    let before = stage.traffic.answered_so_far();
    tokio::time::sleep(AWAY - STALL).await;
    let taken_in = stage.traffic.answered_so_far() - before;
    assert!(taken_in > 50, "{taken_in} alerts were taken in while the database was away");
    stage.database.up(0).await.unwrap();
    stage.pause(2_000..3_000).await;
    stage.end("away").await;
}
