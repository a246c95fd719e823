//! The primary of three nodes dies, holds still, or is cut off from everybody: alerts are answered all the while, and
//! within the time of an election messages go out again.

use std::time::Duration;

use alertcast::clock::{Clock as _, SystemClock};
use mongodb_rig::ReplicaSet;

use super::Stage;
use crate::harness::mongod;

/// Each of the first two primaries has its trouble.
const ROUNDS: usize = 2;
/// Between the answer to one alert and the next on the same connection: three nodes on one disk take more time for each.
const PAUSE: Duration = Duration::from_millis(800);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_a_primary_that_dies_costs_nothing() {
    let mend = async |set: &mut ReplicaSet, n: usize| set.up(n).await.unwrap();
    primaries("killed", async |set, n| set.kill(n).await.unwrap(), mend).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_a_primary_that_holds_still_costs_nothing() {
    primaries("stopped", async |set, n| set.stop(n).unwrap(), async |set, n| set.go_on(n).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_a_primary_that_is_cut_off_costs_nothing() {
    primaries("cut off", async |set, n| set.cut_off(n), async |set, n| set.mend(n)).await;
}

/// One primary after the other has this trouble, which is mended once everything goes on with another.
async fn primaries(
    what: &str,
    trouble: impl AsyncFn(&mut ReplicaSet, usize),
    mend: impl AsyncFn(&mut ReplicaSet, usize),
) {
    let Some(database) = mongod::three_nodes().await else {
        eprintln!("skipped: the server that stands in for MongoDB forms no set of three nodes");
        return;
    };
    let clock = SystemClock::new();
    let mut stage = Stage::over(database, PAUSE).await;
    for round in 1..=ROUNDS {
        stage.pause(2_000..4_000).await;
        let primary = stage.database.primary(None).await.unwrap();
        let (begun, answered) = (clock.monotonic(), stage.traffic.answered_so_far());
        trouble(&mut stage.database, primary).await;
        let next = stage.database.primary(Some(primary)).await.unwrap();
        let elected = clock.monotonic() - begun;
        let taken_in = stage.traffic.answered_so_far() - answered;
        let before = stage.fleet.site.sim.stats().messages;
        stage.fleet.site.until("messages go out again", || stage.fleet.site.sim.stats().messages > before + 20).await;
        let going_on = clock.monotonic() - begun;
        eprintln!(
            "  {what}, {round} of {ROUNDS}: node {next} after {elected:?}, {taken_in} alerts meanwhile; {going_on:?}"
        );
        assert!(taken_in > 0, "alerts are taken in without a primary");
        stage.pause(1_000..2_000).await;
        mend(&mut stage.database, primary).await;
    }
    stage.pause(2_000..3_000).await;
    stage.end(what).await;
}
