//! Rules of [`FileStore`](alertcast_core::store::FileStore): a file stands whole under its digest, or not at all.

use std::sync::Arc;

use super::StoreHarness;
use super::random::{RandomSequence, cut_off};
use super::scene::{at_once, doors};
use alertcast_core::fixtures::at;
use alertcast_core::store::{FILE_BYTES_MAX, FileContent, FileDigest, Store, StoreError};

/// File `n`: of several pieces where an engine cuts files up.
fn content(n: u8) -> FileContent {
    FileContent::new((0..700_000_usize).map(|i| n.wrapping_add((i % 251) as u8)).collect()).unwrap()
}

async fn put(store: &dyn Store, content: &FileContent) {
    assert_eq!(store.put_file(content.clone()).await, Ok(content.digest()));
}

async fn assert_stands(store: &dyn Store, content: &FileContent) {
    let read = store.read_file(content.digest()).await.unwrap();
    assert!(read.as_deref() == Some(content.bytes()), "{content:?} stands whole");
    assert_eq!(store.has_file(content.digest()).await, Ok(true));
}

async fn assert_gone(store: &dyn Store, digest: FileDigest) {
    assert_eq!(store.read_file(digest).await, Ok(None));
    assert_eq!(store.has_file(digest).await, Ok(false));
}

pub async fn a_file_comes_back_as_it_was_put(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    for n in 1..=3 {
        put(&*store, &content(n)).await;
    }
    for n in 1..=3 {
        assert_stands(&*store, &content(n)).await;
    }
}

pub async fn a_file_that_is_not_there_is_none(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let unknown = content(1).digest();
    assert_gone(&*store, unknown).await;
    put(&*store, &content(2)).await;
    assert_gone(&*store, unknown).await;
}

pub async fn the_same_bytes_are_one_file_however_often_they_are_put(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let content = content(1);
    put(&*store, &content).await;
    put(&*store, &content).await;
    assert_stands(&*store, &content).await;
    assert_eq!(store.files(None, 10).await, Ok(vec![content.digest()]));
    store.delete_file(content.digest()).await.unwrap();
    assert_gone(&*store, content.digest()).await;
}

pub async fn an_empty_file_is_a_file(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let empty = FileContent::new(Vec::new()).unwrap();
    assert_gone(&*store, empty.digest()).await;
    put(&*store, &empty).await;
    assert_stands(&*store, &empty).await;
    store.delete_file(empty.digest()).await.unwrap();
    assert_gone(&*store, empty.digest()).await;
}

pub async fn a_file_of_the_greatest_size_is_kept(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let largest = FileContent::new(vec![9; FILE_BYTES_MAX]).unwrap();
    put(&*store, &largest).await;
    assert_stands(&*store, &largest).await;
    assert!(FileContent::new(vec![9; FILE_BYTES_MAX + 1]).is_err(), "and no larger one comes to a store");
}

pub async fn a_deleted_file_is_gone_and_deleting_it_again_is_nothing(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let (goes, stays) = (content(1), content(2));
    store.delete_file(goes.digest()).await.unwrap();
    put(&*store, &goes).await;
    put(&*store, &stays).await;
    for _ in 0..2 {
        store.delete_file(goes.digest()).await.unwrap();
        assert_gone(&*store, goes.digest()).await;
    }
    assert_stands(&*store, &stays).await;
    put(&*store, &goes).await;
    assert_stands(&*store, &goes).await;
}

pub async fn files_are_listed_in_the_order_of_their_names(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    assert_eq!(store.files(None, 3).await, Ok(Vec::new()));
    let mut names = Vec::new();
    for n in 0..40_u8 {
        let small = FileContent::new(vec![n]).unwrap();
        put(&*store, &small).await;
        names.push(small.digest());
    }
    names.sort();
    let mut listed = Vec::new();
    loop {
        let page = store.files(listed.last().copied(), 7).await.unwrap();
        assert!(page.len() <= 7);
        if page.is_empty() {
            break;
        }
        listed.extend(page);
    }
    assert_eq!(listed, names);
}

pub async fn a_damaged_file_is_an_error_and_is_put_in_order_by_its_bytes(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let (damaged, whole) = (content(1), content(2));
    put(&*store, &damaged).await;
    put(&*store, &whole).await;
    harness.damage_file(damaged.digest()).await;
    let answer = store.read_file(damaged.digest()).await;
    assert!(matches!(&answer, Err(StoreError::Corrupt(why)) if why.contains("damaged")), "no other bytes are answered");
    assert_eq!(store.has_file(damaged.digest()).await, Ok(true));
    assert_stands(&*store, &whole).await;
    put(&*store, &damaged).await;
    assert_stands(&*store, &damaged).await;
    harness.damage_file(damaged.digest()).await;
    store.delete_file(damaged.digest()).await.unwrap();
    assert_gone(&*store, damaged.digest()).await;
}

pub async fn of_many_who_put_the_same_bytes_at_once_one_file_comes(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let doors = doors(harness, &store, 2).await;
    let content = content(1);
    let puts = (0..8).zip(doors.into_iter().cycle()).map(|(_, store)| {
        let content = content.clone();
        async move { store.put_file(content).await }
    });
    for answer in at_once(puts).await {
        assert_eq!(answer, Ok(content.digest()));
    }
    assert_stands(&*store, &content).await;
    assert_eq!(store.files(None, 10).await, Ok(vec![content.digest()]));
    store.delete_file(content.digest()).await.unwrap();
    assert_gone(&*store, content.digest()).await;
}

pub async fn files_put_and_deleted_at_once_stand_whole_or_not_at_all(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let doors = doors(harness, &store, 2).await;
    let content = content(1);
    for _ in 0..5 {
        let acts = (0..9).zip(doors.iter().cloned().cycle()).map(|(n, store)| {
            let content = content.clone();
            async move {
                match n % 3 {
                    0 => store.put_file(content).await.map(drop),
                    1 => store.delete_file(content.digest()).await,
                    _ => {
                        let read = store.read_file(content.digest()).await?;
                        assert!(read.is_none_or(|read| read == content.bytes()));
                        Ok(())
                    }
                }
            }
        });
        for answer in at_once(acts).await {
            assert_eq!(answer, Ok(()));
        }
        put(&*store, &content).await;
        assert_stands(&*store, &content).await;
    }
    store.delete_file(content.digest()).await.unwrap();
    assert_gone(&*store, content.digest()).await;
}

pub async fn files_survive_a_crash(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let (goes, stays) = (content(1), content(2));
    put(&*store, &goes).await;
    put(&*store, &stays).await;
    store.delete_file(goes.digest()).await.unwrap();
    let store = harness.reopen(store).await;
    assert_stands(&*store, &stays).await;
    assert_gone(&*store, goes.digest()).await;
    assert_eq!(store.files(None, 10).await, Ok(vec![stays.digest()]));
}

pub async fn a_put_that_is_cut_off_leaves_the_whole_file_or_nothing(harness: &dyn StoreHarness) {
    let mut sequence = RandomSequence::new(15);
    let mut store = harness.fresh().await;
    for n in 0..24 {
        let content = content(n);
        let answer = cut_off(&mut sequence, store.put_file(content.clone())).await;
        if n % 8 == 7 {
            store = harness.reopen(store).await;
        }
        match store.read_file(content.digest()).await {
            Ok(read) => {
                assert!(read.as_deref().map_or(answer.is_none(), |read| read == content.bytes()), "{content:?}")
            }
            Err(error) => assert!(answer.is_none(), "{content:?}: {error}"),
        }
        put(&*store, &content).await;
        assert_stands(&*store, &content).await;
    }
    assert_eq!(store.files(None, 100).await.unwrap().len(), 24);
}

pub async fn what_unfinished_operations_left_is_removed_and_files_stay(harness: &dyn StoreHarness) {
    let store: Arc<dyn Store> = harness.fresh().await;
    let content = content(1);
    put(&*store, &content).await;
    harness.leave_unfinished_file(&content).await;
    let store = harness.reopen(store).await;
    store.remove_unfinished_files(at(i64::from(u32::MAX))).await.unwrap();
    assert_eq!(harness.count_unfinished_files().await, 0);
    assert_stands(&*store, &content).await;
    assert_eq!(store.files(None, 10).await, Ok(vec![content.digest()]));
}
