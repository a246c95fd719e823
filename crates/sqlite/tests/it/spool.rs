//! The spool: what it was given comes back in order, whatever happens to the process, and nothing is taken for more than
//! it is.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alertcast_core::fixtures::*;
use alertcast_core::store::{AlertAcceptance, RejectedWebhook, StoreError};
use alertcast_sqlite::{OpenError, SPOOL, Spool, SpoolContent, SpoolEntry, SpoolOptions};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::harness::{FIRST, FOLDER, killed_after};

fn open(dir: &Path) -> Spool {
    Spool::open(dir, &SpoolOptions::default()).unwrap()
}

fn accept(n: u32) -> SpoolEntry {
    SpoolEntry::Accept { alert: Box::new(alert(n, 1)), keys: vec![own_key(n)], now: at(0), tried: n.is_multiple_of(2) }
}

fn reject(n: u32, bytes: usize) -> SpoolEntry {
    let rejected = RejectedWebhook {
        id: oid(14, 0, n),
        received_at: at(0),
        ip_address: Some("192.0.2.1".to_owned()),
        body: "x".repeat(bytes),
        query: String::new(),
        errors: vec!["what it is".to_owned()],
        status: 400,
    };
    SpoolEntry::Reject { rejected: Box::new(rejected), notices: vec![notice(1, n)] }
}

async fn entries(spool: &Spool) -> Vec<SpoolEntry> {
    spool.oldest(100_000).await.unwrap().into_iter().map(|record| record.entry.unwrap()).collect()
}

/// The numbers of the accepted alerts, in order.
async fn numbers(spool: &Spool) -> Vec<u32> {
    let of = |entry: SpoolEntry| match entry {
        SpoolEntry::Accept { alert, .. } => number(alert.id.0),
        other => panic!("{other:?}"),
    };
    entries(spool).await.into_iter().map(of).collect()
}

#[tokio::test]
async fn everything_comes_back_as_it_was_and_in_order() {
    let dir = TempDir::new().unwrap();
    let refuse = SpoolEntry::Refuse { alert: Box::new(refused_alert(3, 1, &["price"])), notices: vec![notice(1, 2)] };
    let given = vec![accept(2), refuse, reject(4, 10), accept(1)];
    let spool = open(dir.path());
    for entry in &given {
        assert_eq!(spool.append(entry.clone()).await, Ok(AlertAcceptance::Stored));
    }
    assert_eq!((entries(&spool).await, spool.count_waiting()), (given.clone(), 4));
    let first = spool.oldest(1).await.unwrap().remove(0);
    assert_eq!(first.entry.as_ref(), Ok(&given[0]));
    drop(spool);
    let spool = open(dir.path());
    assert_eq!((entries(&spool).await, spool.count_waiting()), (given.clone(), 4));
    spool.remove(vec![first.position]).await.unwrap();
    spool.remove(vec![first.position]).await.unwrap();
    assert_eq!((entries(&spool).await, spool.count_waiting()), (given[1..].to_vec(), 3));
    assert_eq!(spool.recount().await, Ok(3));
}

#[tokio::test]
async fn a_place_is_not_given_twice() {
    let dir = TempDir::new().unwrap();
    let spool = open(dir.path());
    spool.append(accept(1)).await.unwrap();
    let first = spool.oldest(1).await.unwrap()[0].position;
    spool.remove(vec![first]).await.unwrap();
    drop(spool);
    let spool = open(dir.path());
    spool.append(accept(2)).await.unwrap();
    assert!(spool.oldest(1).await.unwrap()[0].position > first);
}

#[tokio::test]
async fn of_alerts_with_a_common_key_one_is_kept_until_its_time_is_over_or_it_is_gone() {
    let dir = TempDir::new().unwrap();
    let spool = Arc::new(open(dir.path()));
    let offer = |n: u32, until: i64, now: i64| {
        let (alert, keys) = (Box::new(alert(n, 1)), vec![own_key(n), key("shared", at(until))]);
        SpoolEntry::Accept { alert, keys, now: at(now), tried: false }
    };
    let rivals: Vec<_> = (1..=20)
        .map(|n| {
            let (spool, entry) = (Arc::clone(&spool), offer(n, 10, 0));
            tokio::spawn(async move { spool.append(entry).await.unwrap() })
        })
        .collect();
    let mut answers = Vec::new();
    for rival in rivals {
        answers.push(rival.await.unwrap());
    }
    let kept = numbers(&spool).await;
    assert_eq!(kept.len(), 1);
    let of = alert_id(kept[0]);
    assert_eq!(answers.iter().filter(|answer| **answer == AlertAcceptance::Duplicate { of }).count(), 19);
    assert_eq!(spool.append(offer(kept[0], 10, 0)).await, Ok(AlertAcceptance::Stored), "the same again");
    assert_eq!(spool.count_waiting(), 1);
    assert_eq!(spool.holder(&[key("shared", at(0))], at(9)).await, Ok(Some(of)));
    assert_eq!(spool.holder(&[key("shared", at(0))], at(10)).await, Ok(None));
    assert_eq!(spool.append(offer(30, 20, 10)).await, Ok(AlertAcceptance::Stored), "its time is over");
    let positions = spool.oldest(10).await.unwrap().iter().map(|record| record.position).collect();
    spool.remove(positions).await.unwrap();
    assert_eq!(spool.holder(&[key("shared", at(0))], at(11)).await, Ok(None));
}

#[tokio::test]
async fn what_is_set_aside_stays_and_is_tried_again_later() {
    let dir = TempDir::new().unwrap();
    let spool = open(dir.path());
    for n in 1..=3 {
        spool.append(accept(n)).await.unwrap();
    }
    let first = spool.oldest(1).await.unwrap()[0].position;
    spool.park(first, "the store will not have it".to_owned()).await.unwrap();
    assert_eq!((numbers(&spool).await, spool.count_waiting(), spool.count_parked()), (vec![2, 3], 2, 1));
    assert_eq!(spool.holder(&[own_key(1)], at(0)).await, Ok(Some(alert_id(1))), "it was accepted");
    let seen = Some(SpoolContent { waiting: 2, parked: 1 });
    assert_eq!(Spool::look(dir.path()).unwrap(), seen, "beside its process");
    drop(spool);
    assert_eq!(Spool::look(dir.path()).unwrap(), seen, "without it");
    assert_eq!(Spool::look(&dir.path().join("elsewhere")).unwrap(), None);
    let spool = open(dir.path());
    assert_eq!((numbers(&spool).await, spool.count_waiting(), spool.count_parked()), (vec![1, 2, 3], 3, 0));
}

#[tokio::test]
async fn the_bound_is_told_and_got_over() {
    let dir = TempDir::new().unwrap();
    let spool = Spool::open(dir.path(), &SpoolOptions { records_max: 2, ..SpoolOptions::default() }).unwrap();
    spool.append(accept(1)).await.unwrap();
    spool.append(accept(2)).await.unwrap();
    let full = spool.append(accept(3)).await.unwrap_err();
    assert!(matches!(&full, StoreError::Unavailable(why) if why.contains("full")), "{full}");
    assert_eq!(spool.append(accept(2)).await, Ok(AlertAcceptance::Stored), "it is there");
    let first = spool.oldest(1).await.unwrap()[0].position;
    spool.remove(vec![first]).await.unwrap();
    assert_eq!(spool.append(accept(3)).await, Ok(AlertAcceptance::Stored));
}

#[tokio::test]
async fn a_full_disk_takes_nothing_with_it() {
    let dir = TempDir::new().unwrap();
    let spool = Spool::open(dir.path(), &SpoolOptions { pages_max: 60, ..SpoolOptions::default() }).unwrap();
    let mut kept = 0;
    let full = loop {
        match spool.append(reject(kept, 9_000)).await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(&full, StoreError::Unavailable(why) if why.contains("full")), "{full}");
    assert_eq!(spool.recount().await, Ok(u64::from(kept)));
    let positions = spool.oldest(100).await.unwrap().iter().map(|record| record.position).collect();
    spool.remove(positions).await.unwrap();
    assert_eq!((spool.append(accept(1)).await, spool.recount().await), (Ok(AlertAcceptance::Stored), Ok(1)));
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_not_written() {
    let dir = TempDir::new().unwrap();
    let spool = open(dir.path());
    let stall = spool.stall_for_tests();
    let given_up = timeout(Duration::from_millis(50), spool.append(accept(1))).await;
    assert!(given_up.is_err(), "the writer is stalled");
    drop(stall);
    spool.append(accept(2)).await.unwrap();
    assert_eq!(numbers(&spool).await, [2]);
}

#[tokio::test]
async fn a_spool_has_one_process_and_says_so() {
    let dir = TempDir::new().unwrap();
    let _spool = open(dir.path());
    let error = Spool::open(dir.path(), &SpoolOptions::default()).unwrap_err();
    assert!(matches!(error, OpenError::InUse(_)) && error.to_string().contains("another process"), "{error}");
}

#[tokio::test]
async fn a_damaged_file_is_told_and_left_alone() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join(SPOOL);
    let spool = open(dir.path());
    for n in 1..=200 {
        spool.append(accept(n)).await.unwrap();
    }
    drop(spool);
    let whole = fs::read(&file).unwrap();
    // The header, and a page in the middle.
    for from in [0, 5 * 4096] {
        let mut damaged = whole.clone();
        damaged[from..from + 64].fill(0xa5);
        fs::write(&file, &damaged).unwrap();
        let error = Spool::open(dir.path(), &SpoolOptions::default()).unwrap_err();
        assert!(matches!(error, OpenError::DamagedSpool { .. }), "{error}");
        assert!(error.to_string().contains("Keep the file"), "{error}");
        assert_eq!(fs::read(&file).unwrap(), damaged, "it is left as it is");
    }
    fs::write(&file, whole).unwrap();
    assert_eq!(numbers(&open(dir.path())).await, (1..=200).collect::<Vec<_>>());
}

/// The log cut off anywhere, as a crash of the machine leaves it: everything that was answered before is there.
#[tokio::test]
async fn a_torn_log_costs_nothing_that_was_answered() {
    let dir = TempDir::new().unwrap();
    let log = dir.path().join(format!("{SPOOL}-wal"));
    let spool = open(dir.path());
    let mut answered = Vec::new();
    for n in 1..=12 {
        spool.append(accept(n)).await.unwrap();
        answered.push(usize::try_from(fs::metadata(&log).unwrap().len()).unwrap());
    }
    let (file, log) = (fs::read(dir.path().join(SPOOL)).unwrap(), fs::read(&log).unwrap());
    for cut in (answered[0]..=log.len()).step_by(1_371) {
        let left = TempDir::new().unwrap();
        fs::write(left.path().join(SPOOL), &file).unwrap();
        fs::write(left.path().join(format!("{SPOOL}-wal")), &log[..cut]).unwrap();
        let found = numbers(&open(left.path())).await;
        let told = answered.iter().filter(|length| **length <= cut).count();
        assert_eq!(found, (1..=u32::try_from(told).unwrap()).collect::<Vec<_>>(), "cut at {cut}");
    }
}

/// What the process does that is killed; nothing where it is not one.
#[test]
fn child_spools() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let first: u32 = std::env::var(FIRST).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).enable_all().build().unwrap();
    runtime.block_on(async {
        let spool = Arc::new(open(Path::new(&folder)));
        let senders = (0..4).map(|sender| {
            let spool = Arc::clone(&spool);
            tokio::spawn(async move {
                for n in (first + sender..).step_by(4) {
                    spool.append(accept(n)).await.unwrap();
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "told {n}").unwrap();
                    out.flush().unwrap();
                }
            })
        });
        for sender in senders.collect::<Vec<_>>() {
            sender.await.unwrap();
        }
    });
}

#[tokio::test]
async fn a_killed_process_leaves_everything_that_it_was_told() {
    let dir = TempDir::new().unwrap();
    let mut told = Vec::new();
    for round in 0..3 {
        let lines = killed_after("spool::child_spools", dir.path(), round * 10_000 + 1, 60);
        told.extend(lines.iter().map(|n| n.parse::<u32>().unwrap()));
    }
    let found = numbers(&open(dir.path())).await;
    for n in told {
        assert!(found.contains(&n), "{n} was told, and is not there");
    }
}
