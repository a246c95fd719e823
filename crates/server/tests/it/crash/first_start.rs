//! The first start is cut off: by a death at each of its steps or at any moment, or by a disk without room. The next start
//! comes up by itself and takes alerts.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use alertcast::clock::{Clock as _, SystemClock};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use telegram_sim::SimConfig;

use super::failpoints::small_world;
use super::kill::setting;
use crate::harness::place::mongodb_uri;
use crate::harness::post::{alert, with};
use crate::harness::{Allowances, Place, Site};

/// What a failpoint ends the program with.
const SIGABRT: i32 = 6;
/// The steps by which a file is made, in their order.
const STEPS: [&str; 6] = ["created", "made", "carried_over", "closed", "synced", "renamed"];
/// So many folders, each with several deaths.
const ROUNDS: u64 = 4;
const DEATHS_A_ROUND: u32 = 6;
/// One that died while it set up a database is waited for, for five seconds.
const DEATHS_ON_MONGODB: u32 = 2;
/// How much a file may hold, in blocks of 512 bytes: nothing, less than a page, part of what is made, nearly all of it.
const ROOM: [u32; 6] = [0, 1, 8, 40, 200, 700];

/// A folder with nothing in it, and for the spool a database with nothing in it.
async fn bare(place: Place) -> Site {
    Site::bare(place, small_world(), SimConfig::default().no_limits()).await
}

/// Whether there is a MongoDB to test against.
fn has_mongodb() -> bool {
    let has = std::env::var_os("ALERTCAST_TEST_MONGODB_URI").is_some();
    if !has {
        eprintln!("skipped: ALERTCAST_TEST_MONGODB_URI names no MongoDB; ./test starts one");
    }
    has
}

/// It starts as if nothing had been, nothing half made is left, and an alert goes its whole way.
async fn comes_up(site: &Site, after: &str) {
    let status = site.start().await.terminate().await;
    assert_eq!(status.code(), Some(0), "after {after}:\n{}", site.last_words());
    let names = std::fs::read_dir(site.dir()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let left: Vec<String> = names.filter(|name| name.contains(".new")).collect();
    assert!(left.is_empty(), "after {after}: {left:?}");
    site.fill().await;
    let program = site.start().await;
    let body = with(alert(1, "BUY", 100.0), json!({ "tp": 105.0, "sl": 95.0, "alert_id": "first" }));
    let answered = BTreeMap::from([("first".to_owned(), site.sender().accept(&body).await)]);
    let books = site.finish(program, &answered, Allowances::default(), &format!("after {after}")).await;
    assert!(!books.trades.is_empty(), "after {after}: nothing happened");
}

async fn dies_at_each_step(place: fn() -> Place) {
    for step in STEPS {
        let (site, point) = (bare(place()).await, format!("sqlite::file::{step}"));
        let mut program = site.spawn_as(&[], &[(alertcast::failpoints::VARIABLE, &point)]);
        assert!(!site.ready(&mut program).await, "it makes a file before it takes alerts");
        assert_eq!(program.ended().await.signal(), Some(SIGABRT), "{point}:\n{}", site.last_words());
        comes_up(&site, &point).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_at_each_step_of_the_first_start_leaves_the_next_one_nothing_to_do() {
    dies_at_each_step(Place::embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_at_each_step_of_the_first_start_of_a_spool_leaves_the_next_one_nothing_to_do() {
    if has_mongodb() {
        dies_at_each_step(|| Place::on(&mongodb_uri())).await;
    }
}

/// Killed so often, at moments drawn from those that a whole first start takes.
async fn dies_at_any_moment(place: fn() -> Place, rounds: u64, deaths: u32) {
    let seed = setting("ALERTCAST_CRASH_SEED").unwrap_or_else(rand::random);
    eprintln!("{rounds} rounds, ALERTCAST_CRASH_SEED={seed}");
    let (mut random, clock) = (StdRng::seed_from_u64(seed), SystemClock::new());
    let whole = bare(place()).await;
    let begun = clock.monotonic();
    let program = whole.start().await;
    let takes = u64::try_from((clock.monotonic() - begun).as_millis()).unwrap().max(1);
    program.kill().await;
    for round in 1..=rounds {
        let site = bare(place()).await;
        for _ in 0..deaths {
            let program = site.spawn();
            tokio::time::sleep(Duration::from_millis(random.random_range(0..takes))).await;
            program.kill().await;
        }
        comes_up(&site, &format!("round {round} of {rounds}, ALERTCAST_CRASH_SEED={seed}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_at_any_moment_of_the_first_start_costs_nothing() {
    let rounds = setting("ALERTCAST_CRASH_ROUNDS").unwrap_or(ROUNDS);
    dies_at_any_moment(Place::embedded, rounds, DEATHS_A_ROUND).await;
}

/// Collections and indexes are half made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_at_any_moment_of_the_first_start_over_mongodb_costs_nothing() {
    if has_mongodb() {
        let rounds = setting("ALERTCAST_CRASH_ROUNDS").unwrap_or(1);
        dies_at_any_moment(|| Place::on(&mongodb_uri()), rounds, DEATHS_ON_MONGODB).await;
    }
}

/// Started where no file may become larger than this, it says so and ends; with room, it comes up.
async fn starts_without_room(place: fn() -> Place, rooms: &[u32]) {
    for room in rooms {
        let site = bare(place()).await;
        let limit = format!("trap '' XFSZ; ulimit -f {room}; exec \"$0\" \"$@\"");
        let mut program = site.spawn_as(&["sh", "-c", &limit], &[]);
        assert!(!site.ready(&mut program).await, "{room} blocks are not enough");
        let status = program.ended().await;
        assert_eq!(status.code(), Some(1), "{room} blocks: {status}\n{}", site.last_words());
        let whole = site.dir().join(if site.is_embedded() { "alertcast.db" } else { "spool.db" });
        assert!(!whole.exists(), "{room} blocks: half of a file has its name");
        comes_up(&site, &format!("a first start with room for {room} blocks")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_or_not_a_first_start_on_a_full_disk_is_told_and_the_next_one_comes_up() {
    starts_without_room(Place::embedded, &ROOM).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_or_not_a_first_start_of_a_spool_on_a_full_disk_is_told_and_the_next_one_comes_up() {
    if has_mongodb() {
        starts_without_room(|| Place::on(&mongodb_uri()), &ROOM[..3]).await;
    }
}
