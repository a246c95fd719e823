//! How fast the embedded store is on this machine: `cargo run --release -p alertcast-sqlite --example measure [users] [fan-out]`.
//!
//! - Accepted alerts a second from 64 callers at once, beside the syncs a second that the disk can do one by one.
//! - One alert to all users (trades, deliveries, quotas, usage, decisions, 500 users a commit), beside a bare insert of
//!   the same rows into the same tables; and what intake waits for meanwhile.
//! - The courier's cycle: due, take, record.

#![expect(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods, reason = "a tool that measures")]

use alertcast_core::delivery::Channel;
use alertcast_core::fixtures::sent_outcome;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use alertcast_conformance::scene::{TELEGRAM, finish_commit, opening_commit, people};
use alertcast_core::fixtures::*;
use alertcast_core::store::{
    AlertIntake, AttemptRecord, ChunkCommit, DeliveryOutbox, DocumentStore, LeaseStore, ProcessorStore, QuotaChange,
};
use alertcast_sqlite::{SqliteOptions, SqliteStore};
use rusqlite::Connection;
use rusqlite::types::Value;

const CHUNK: u32 = 500;
const CALLERS: u32 = 64;
const A_WHILE: Duration = Duration::from_secs(3);

fn main() {
    let users: u32 = std::env::args().nth(1).map_or(100_000, |text| text.parse().unwrap());
    let all = std::env::args().nth(2).is_none_or(|only| only != "fan-out");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let dir = tempfile::TempDir::new_in(".").unwrap();
    if all {
        syncs(dir.path());
    }
    let store = Arc::new(SqliteStore::open(&dir.path().join("data"), &SqliteOptions::default()).unwrap());
    if all {
        runtime.block_on(accepts(&store));
    }
    runtime.block_on(populate(&store, users));
    runtime.block_on(fan_out(&store, users, 1_000_001, false));
    runtime.block_on(fan_out(&store, users, 1_000_002, true));
    if all {
        runtime.block_on(courier(&store, users));
    }
    let log = dir.path().join("data/alertcast.db-wal").metadata().unwrap().len();
    println!("the write-ahead log has grown to {} MiB", log >> 20);
    let opened = Instant::now();
    drop(store);
    println!("closing: {:?}", opened.elapsed());
    let opened = Instant::now();
    drop(SqliteStore::open(&dir.path().join("data"), &SqliteOptions::default()).unwrap());
    println!("opening and closing again: {:?}", opened.elapsed());
    bare(&dir.path().join("data"), &dir.path().join("bare"), users);
}

/// One writer, one page, one sync at a time.
fn syncs(dir: &Path) {
    let mut file = File::create(dir.join("syncs")).unwrap();
    file.write_all(&vec![0; 64 << 20]).unwrap();
    file.sync_all().unwrap();
    let began = Instant::now();
    let mut count = 0;
    while began.elapsed() < A_WHILE {
        file.seek(SeekFrom::Start(count * 4096 % (64 << 20))).unwrap();
        file.write_all(&[1; 4096]).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    println!("disk: {:.0} single writes with a sync a second", rate(count, began));
}

async fn accepts(store: &Arc<SqliteStore>) {
    let next = Arc::new(AtomicU32::new(1));
    let began = Instant::now();
    let callers = (0..CALLERS).map(|_| {
        let (store, next) = (Arc::clone(store), Arc::clone(&next));
        tokio::spawn(async move {
            let mut waits = Vec::new();
            while began.elapsed() < A_WHILE {
                waits.push(accept(&store, next.fetch_add(1, Ordering::Relaxed)).await);
            }
            waits
        })
    });
    let mut waits = Vec::new();
    for caller in callers.collect::<Vec<_>>() {
        waits.extend(caller.await.unwrap());
    }
    println!("accepts: {:.0} a second from {CALLERS} callers; {}", rate(waits.len() as u64, began), spread(&mut waits));
    let began = Instant::now();
    let mut count = 0;
    while began.elapsed() < A_WHILE {
        accept(store, next.fetch_add(1, Ordering::Relaxed)).await;
        count += 1;
    }
    println!("accepts: {:.0} a second from one caller", rate(count, began));
}

async fn accept(store: &SqliteStore, n: u32) -> Duration {
    let began = Instant::now();
    let keys = vec![own_key(n), key(&format!("other-{n}"), at(600))];
    store.accept_alert(alert(n, 9), keys, at(0)).await.unwrap();
    began.elapsed()
}

async fn populate(store: &SqliteStore, users: u32) {
    let began = Instant::now();
    let mut writes = people(users, 1).into_iter();
    loop {
        let some: Vec<_> = writes.by_ref().take(2_000).collect();
        if some.is_empty() {
            break;
        }
        store.write(some).await.unwrap();
    }
    println!("populated: {users} users in {:?}", began.elapsed());
}

fn chunks(fence: &alertcast_core::store::LeaseFence, by: u32, users: u32, rev: Option<i64>) -> Vec<ChunkCommit> {
    let mut cursor_seen = None;
    let starts = (1..=users).step_by(CHUNK as usize);
    starts
        .map(|first| {
            let last = users.min(first + CHUNK - 1);
            let mut chunk = opening_commit(fence, by, 1, first..=last, TELEGRAM);
            chunk.cursor_seen = cursor_seen.replace(user_id(last));
            if rev.is_some() {
                chunk.plan.open_seen.as_mut().unwrap().1 =
                    (first..=last).map(|user| (trade_id(by - 1, user), 1)).collect();
            }
            let quotas =
                (first..=last).map(|user| QuotaChange { rev_seen: rev, after: quota(user, rev.unwrap_or(0) + 1, 1) });
            chunk.plan.quotas = quotas.collect();
            if last == users { finish_commit(chunk, at(1)) } else { chunk }
        })
        .collect()
}

async fn fan_out(store: &Arc<SqliteStore>, users: u32, by: u32, with_intake: bool) {
    let lease = match store.leases(WORK).await.unwrap().pop() {
        Some(lease) => lease,
        None => store.take_lease(WORK, "us", None).await.unwrap().unwrap(),
    };
    let mut alert = alert(by, 1);
    alert.webhook.received_at = at(0);
    store.accept_alert(alert, vec![], at(0)).await.unwrap();
    let chunks = chunks(&lease.fence(), by, users, with_intake.then_some(1));
    let done = Arc::new(AtomicBool::new(false));
    let intake = with_intake.then(|| {
        let (store, done) = (Arc::clone(store), Arc::clone(&done));
        tokio::spawn(async move {
            let mut waits = Vec::new();
            let mut n = 500_000;
            while !done.load(Ordering::Relaxed) {
                waits.push(accept(&store, n).await);
                n += 1;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            waits
        })
    });
    let (began, worked) = (Instant::now(), cpu());
    let mut longest = Duration::ZERO;
    for chunk in chunks {
        let began = Instant::now();
        store.commit(chunk).await.unwrap();
        longest = longest.max(began.elapsed());
    }
    let took = began.elapsed();
    done.store(true, Ordering::Relaxed);
    println!(
        "fan-out: {users} users in {took:?} ({:.2} s of processor), {:.0} users a second, longest chunk {longest:?}",
        cpu() - worked,
        f64::from(users) / took.as_secs_f64()
    );
    if let Some(intake) = intake {
        println!("  intake meanwhile: {}", spread(&mut intake.await.unwrap()));
    }
}

async fn courier(store: &SqliteStore, users: u32) {
    let lease = store.take_lease(BOT, "us", None).await.unwrap().unwrap();
    let now = at(2_000_000);
    let began = Instant::now();
    let first = store.due(&lane(Channel::Telegram), now, 30).await.unwrap();
    println!("due with {} pending: {:?}", users * 2, began.elapsed());
    assert_eq!(first.len(), 30);
    let (mut finding, mut taking, mut recording) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let rounds = 300;
    for _ in 0..rounds {
        let began = Instant::now();
        let due: Vec<_> =
            store.due(&lane(Channel::Telegram), now, 30).await.unwrap().iter().map(|delivery| delivery.id).collect();
        finding += began.elapsed();
        let began = Instant::now();
        let taken = store.take(&lease.fence(), &due, now).await.unwrap().taken;
        taking += began.elapsed();
        let began = Instant::now();
        let records = taken.iter().map(|taken| AttemptRecord { delivery: taken.delivery.id, outcome: sent_outcome(1) });
        store.record_attempts(&lease.fence(), records.collect(), now).await.unwrap();
        recording += began.elapsed();
    }
    println!(
        "courier, 30 at a time: due {:?}, take {:?}, record {:?}",
        finding / rounds,
        taking / rounds,
        recording / rounds
    );
}

/// The rows of the first fan-out, inserted as they are.
fn bare(from: &Path, to: &Path, users: u32) {
    drop(SqliteStore::open(to, &SqliteOptions::default()).unwrap());
    let source = Connection::open(from.join("alertcast.db")).unwrap();
    let target = Connection::open(to.join("alertcast.db")).unwrap();
    target.execute_batch("PRAGMA synchronous = FULL; PRAGMA cache_size = -65536").unwrap();
    let per = users.div_ceil(CHUNK) as usize;
    let read = |table: &str, limit: u32| {
        let mut statement = source.prepare(&format!("SELECT * FROM {table} LIMIT {limit}")).unwrap();
        let columns = statement.column_count();
        let rows = statement.query_map([], |row| (0..columns).map(|at| row.get::<_, Value>(at)).collect());
        rows.unwrap().collect::<Result<Vec<Vec<Value>>, _>>().unwrap()
    };
    let tables = [("trades", users), ("deliveries", users), ("quotas", users), ("decisions", per as u32)];
    let rows = tables.map(|(table, limit)| read(table, limit));
    let (began, worked) = (Instant::now(), cpu());
    for chunk in 0..per {
        target.execute_batch("BEGIN IMMEDIATE").unwrap();
        for ((table, _), rows) in tables.iter().zip(&rows) {
            let size = rows.len().div_ceil(per);
            let places = vec!["?"; rows[0].len()].join(", ");
            let mut statement = target.prepare_cached(&format!("INSERT INTO {table} VALUES ({places})")).unwrap();
            for row in rows.iter().skip(chunk * size).take(size) {
                statement.execute(rusqlite::params_from_iter(row)).unwrap();
            }
        }
        target.execute_batch("COMMIT").unwrap();
    }
    let took = began.elapsed();
    println!(
        "bare insert of the same rows: {took:?} ({:.2} s of processor), {:.0} users a second",
        cpu() - worked,
        f64::from(users) / took.as_secs_f64()
    );
}

/// Seconds of processor time that this process has used, in user code and in the kernel.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn rate(count: u64, began: Instant) -> f64 {
    count as f64 / began.elapsed().as_secs_f64()
}

fn spread(waits: &mut [Duration]) -> String {
    waits.sort_unstable();
    let part = |of: f64| waits[((waits.len() - 1) as f64 * of) as usize];
    format!("p50 {:?}, p99 {:?}, longest {:?}", part(0.5), part(0.99), part(1.0))
}
