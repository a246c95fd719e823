//! A process that is killed while it writes leaves a whole database with everything that it was told is written.

use alertcast_core::fixtures::sent_outcome;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use alertcast_conformance::scene::{TELEGRAM, finish_commit, opening_commit, people};
use alertcast_core::delivery::{Channel, DeliveryState};
use alertcast_core::fixtures::*;
use alertcast_core::store::{
    AlertIntake, AttemptRecord, Collection, DeliveryOutbox, DocumentStore, LeaseFence, LeaseStore, ProcessorStore,
    QuotaChange, StoreError,
};
use alertcast_sqlite::SqliteStore;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::harness::{FIRST, FOLDER, killed_after, open};

const USERS: u32 = 60;
const ROUNDS: u32 = 4;
const ALERTS_A_ROUND: u32 = 10_000;

/// What the process does that is killed; nothing where it is not one. Each line that it prints is something that it was
/// told is written.
#[test]
fn child_writes() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let first: u32 = std::env::var(FIRST).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Arc::new(open(Path::new(&folder)));
        let take = async |name: &str| {
            let seen = store.leases(name).await.unwrap().pop();
            store.take_lease(name, "child", seen.as_ref()).await.unwrap().unwrap().fence()
        };
        let (work, bot) = (take(WORK).await, take(BOT).await);
        let intake = tokio::spawn(offers(Arc::clone(&store), first));
        let courier = tokio::spawn(deliveries(Arc::clone(&store), bot));
        chunks(&store, &work, first).await;
        intake.await.unwrap();
        courier.await.unwrap();
    });
}

pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "told {line}").unwrap();
    out.flush().unwrap();
}

async fn offers(store: Arc<SqliteStore>, first: u32) {
    for n in (first + ALERTS_A_ROUND / 2).. {
        store.accept_alert(alert(n, 9), vec![own_key(n)], at(0)).await.unwrap();
        say(&format!("accepted {n}"));
    }
}

/// One alert after the other, each to all users in two chunks.
async fn chunks(store: &SqliteStore, work: &LeaseFence, first: u32) {
    for by in first.. {
        store.accept_alert(alert(by, 1), vec![own_key(by)], at(0)).await.unwrap();
        say(&format!("accepted {by}"));
        let half = USERS / 2;
        for users in [1..=half, half + 1..=USERS] {
            let (first_user, last_user) = (*users.start(), *users.end());
            let mut chunk = opening_commit(work, by, 1, users.clone(), TELEGRAM);
            chunk.plan.open_seen = None;
            chunk.cursor_seen = (first_user > 1).then(|| user_id(first_user - 1));
            chunk.plan.quotas = quotas(store, users).await;
            let chunk = if last_user == USERS { finish_commit(chunk, at(1)) } else { chunk };
            store.commit(chunk).await.unwrap();
            say(&format!("chunk {by} {first_user} {last_user}"));
        }
    }
}

async fn quotas(store: &SqliteStore, users: std::ops::RangeInclusive<u32>) -> Vec<QuotaChange> {
    let ids: Vec<_> = users.clone().map(user_id).collect();
    let span = alertcast_core::store::UserSpan { first: ids[0], last: ids[ids.len() - 1] };
    let kept = store.load_chunk(config_id(2), span, &ids).await.unwrap().quotas;
    let changed = users.map(|n| {
        let rev_seen = kept.get(&user_id(n)).map(|quota| quota.rev.0);
        QuotaChange { rev_seen, after: quota(n, rev_seen.unwrap_or(0) + 1, rev_seen.unwrap_or(0) + 1) }
    });
    changed.collect()
}

async fn deliveries(store: Arc<SqliteStore>, bot: LeaseFence) {
    let now = at(1_000_000);
    store.recover(&bot, now).await.unwrap();
    loop {
        let due: Vec<_> =
            store.due(&lane(Channel::Telegram), now, 10).await.unwrap().iter().map(|delivery| delivery.id).collect();
        let taken = store.take(&bot, &due, now).await.unwrap().taken;
        let records = taken.iter().map(|taken| AttemptRecord { delivery: taken.delivery.id, outcome: sent_outcome(1) });
        store.record_attempts(&bot, records.collect(), now).await.unwrap();
        for delivery in taken {
            say(&format!("sent {}", delivery.delivery.id));
        }
    }
}

#[tokio::test]
async fn a_killed_process_leaves_a_whole_database() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    store.write(people(USERS, 1)).await.unwrap();
    drop(store);
    let mut told = Vec::new();
    for round in 0..ROUNDS {
        told.extend(killed_after(
            "crash::child_writes",
            dir.path(),
            round * ALERTS_A_ROUND + 1,
            40 + 60 * round as usize,
        ));
        check_file(dir.path());
    }
    let store = open(dir.path());
    for line in &told {
        check(&store, line).await;
    }
    check_counters(&store).await;
}

fn check_file(dir: &Path) {
    let conn = Connection::open(dir.join("alertcast.db")).unwrap();
    let found: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(found, "ok");
}

async fn check(store: &SqliteStore, line: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    let number = |at: usize| words[at].parse::<u32>().unwrap();
    match words[0] {
        "accepted" => {
            let n = number(1);
            assert_eq!(store.get(Collection::Alerts, &[alert_id(n).0]).await.unwrap().len(), 1, "{line}");
            assert_eq!(store.find_duplicate(&[own_key(n)], at(0)).await, Ok(Some(alert_id(n))), "{line}");
        }
        "chunk" => {
            let users = number(2)..=number(3);
            let trades: Vec<_> = users.clone().map(|user| trade_id(number(1), user).0).collect();
            let found = store.get(Collection::Trades, &trades).await.unwrap();
            assert_eq!(found.len(), trades.len(), "{line}");
            let deliveries: Vec<_> = users.map(|user| delivery_id(Channel::Telegram, number(1), user).0).collect();
            let found = store.get(Collection::Deliveries, &deliveries).await.unwrap();
            assert_eq!(found.len(), trades.len(), "{line}");
        }
        "sent" => {
            let id = bson::oid::ObjectId::parse_str(words[1]).unwrap();
            let found = store.get(Collection::Deliveries, &[id]).await.unwrap();
            assert_eq!(found[0].get_str("state").unwrap(), DeliveryState::Sent.as_str(), "{line}");
        }
        other => panic!("{other}"),
    }
}

/// Counters agree with what they count, whatever was cut off.
async fn check_counters(store: &SqliteStore) {
    let trades = store.count(Collection::Trades).await.unwrap();
    assert_eq!(trades % u64::from(USERS / 2), 0, "chunks are whole");
    let config: alertcast_core::alert_configuration::AlertConfiguration =
        one(store, Collection::AlertConfigurations, config_id(1).0).await;
    assert_eq!(u64::try_from(config.statistics.total_trades.0), Ok(trades));
    let mut opened = 0;
    for n in 1..=USERS {
        let subscription: alertcast_core::subscription::Subscription =
            one(store, Collection::UserSubscriptions, subscription_id(n).0).await;
        opened += subscription.usage.trades_opened.0;
    }
    assert_eq!(u64::try_from(opened), Ok(trades));
    let alerts = store.page(Collection::Alerts, None, 1_000_000).await.unwrap();
    let sent: i32 = alerts
        .iter()
        .map(|alert| alert.get_document("statistics").and_then(|counters| counters.get_i32("deliveryCount")).unwrap())
        .sum();
    let deliveries = store.page(Collection::Deliveries, None, 1_000_000).await.unwrap();
    let ended = deliveries.iter().filter(|delivery| delivery.get_str("state").unwrap() == "sent").count();
    assert_eq!(usize::try_from(sent), Ok(ended));
    assert_eq!(deliveries.len() as u64, trades);
}

async fn one<T: serde::de::DeserializeOwned>(
    store: &SqliteStore,
    collection: Collection,
    id: bson::oid::ObjectId,
) -> T {
    let found = store.get(collection, &[id]).await.unwrap().pop();
    let found = found.ok_or(StoreError::Conflict).unwrap();
    alertcast_core::store::read(collection, found).unwrap()
}
