//! Files in GridFS, as other processes and other programs leave them.

use alertcast_conformance::StoreHarness as _;
use alertcast_core::fixtures::at;
use alertcast_core::store::{FileContent, StoreError};
use bson::oid::ObjectId;
use bson::{DateTime, Document, doc};
use futures::io::{AsyncReadExt as _, AsyncWriteExt as _};
use mongodb::Database;
use mongodb::gridfs::GridFsBucket;
use mongodb::options::GridFsBucketOptions;

use crate::support::{CHUNKS, FILES, MongoHarness};

fn content() -> FileContent {
    FileContent::new(vec![7; 600_000]).unwrap()
}

fn bucket(db: &Database) -> GridFsBucket {
    db.gridfs_bucket(GridFsBucketOptions::builder().bucket_name("alertcast_files".to_owned()).build())
}

async fn upload(db: &Database, content: &FileContent) {
    let mut stream = bucket(db).open_upload_stream(content.digest().to_string()).await.unwrap();
    stream.write_all(content.bytes()).await.unwrap();
    stream.close().await.unwrap();
}

async fn count(db: &Database, collection: &str) -> u64 {
    db.collection::<Document>(collection).count_documents(doc! {}).await.unwrap()
}

/// A file's document without its pieces, with an id before or behind all others.
async fn insert_hollow(db: &Database, content: &FileContent, seconds: u32) {
    let hollow = doc! {
        "_id": ObjectId::from_parts(seconds, [0; 5], [0; 3]), "length": content.bytes().len() as i64,
        "chunkSize": 255 * 1024, "uploadDate": DateTime::from_millis(0), "filename": content.digest().to_string(),
    };
    db.collection(FILES).insert_one(hollow).await.unwrap();
}

#[tokio::test]
async fn a_file_can_be_read_by_whoever_reads_gridfs() {
    let harness = MongoHarness::new();
    let store = harness.fresh().await;
    let content = content();
    store.put_file(content.clone()).await.unwrap();
    let db = harness.raw().await;
    let mut stream = bucket(&db).open_download_stream_by_name(content.digest().to_string()).await.unwrap();
    let mut read = Vec::new();
    stream.read_to_end(&mut read).await.unwrap();
    assert!(read == content.bytes());
    store.delete_file(content.digest()).await.unwrap();
    assert_eq!((count(&db, FILES).await, count(&db, CHUNKS).await), (0, 0));
}

#[tokio::test]
async fn of_several_copies_one_is_listed_and_the_next_put_removes_the_others() {
    let harness = MongoHarness::new();
    let store = harness.fresh().await;
    let (db, content) = (harness.raw().await, content());
    for _ in 0..3 {
        upload(&db, &content).await;
    }
    assert_eq!(store.files(None, 2).await, Ok(vec![content.digest()]));
    assert_eq!(store.files(Some(content.digest()), 2).await, Ok(vec![]));
    store.put_file(content.clone()).await.unwrap();
    assert_eq!((count(&db, FILES).await, count(&db, CHUNKS).await), (1, 3));
    upload(&db, &content).await;
    store.delete_file(content.digest()).await.unwrap();
    assert_eq!((count(&db, FILES).await, count(&db, CHUNKS).await), (0, 0), "all of them are the file");
}

#[tokio::test]
async fn a_copy_that_is_damaged_is_in_no_whole_ones_way() {
    let harness = MongoHarness::new();
    let store = harness.fresh().await;
    let (db, content) = (harness.raw().await, content());
    insert_hollow(&db, &content, 1).await;
    let answer = store.read_file(content.digest()).await;
    assert!(matches!(answer, Err(StoreError::Corrupt(why)) if why.contains("damaged")));
    store.put_file(content.clone()).await.unwrap();
    assert_eq!(count(&db, FILES).await, 1, "the damaged one is gone");
    insert_hollow(&db, &content, 1).await;
    insert_hollow(&db, &content, u32::MAX).await;
    assert!(store.read_file(content.digest()).await.unwrap().is_some_and(|read| read == content.bytes()));
    store.put_file(content.clone()).await.unwrap();
    assert_eq!((count(&db, FILES).await, count(&db, CHUNKS).await), (1, 3), "the whole one has stayed");
    assert!(store.read_file(content.digest()).await.unwrap().is_some());
}

#[tokio::test]
async fn pieces_of_what_may_be_under_way_are_left() {
    let harness = MongoHarness::new();
    let store = harness.fresh().await;
    let content = content();
    harness.leave_unfinished_file(&content).await;
    assert_eq!(store.remove_unfinished_files(at(0)).await, Ok(0), "they came later");
    assert_eq!(harness.count_unfinished_files().await, 1);
    store.put_file(content.clone()).await.unwrap();
    assert_eq!(store.remove_unfinished_files(at(i64::from(u32::MAX))).await, Ok(1));
    assert_eq!(harness.count_unfinished_files().await, 0);
    assert!(store.read_file(content.digest()).await.unwrap().is_some());
}

/// A process that died amid a put, at whichever of its statements, holds up no later one.
#[tokio::test]
async fn a_put_after_one_that_died_succeeds() {
    let harness = MongoHarness::new();
    let store = harness.fresh().await;
    let (db, content) = (harness.raw().await, content());
    harness.leave_unfinished_file(&content).await;
    store.put_file(content.clone()).await.unwrap();
    assert_eq!(store.files(None, 10).await, Ok(vec![content.digest()]));
    let mut indexes = db.collection::<Document>(CHUNKS).list_index_names().await.unwrap();
    indexes.sort();
    assert_eq!(indexes, ["_id_", "files_id_1_n_1"], "pieces are found by their file");
}

#[tokio::test]
async fn what_no_driver_reads_as_a_file_is_in_nobodys_way() {
    let harness = MongoHarness::new();
    let store = harness.fresh().await;
    let (db, content) = (harness.raw().await, content());
    let name = content.digest().to_string();
    let other = FileContent::new(vec![9; 10]).unwrap();
    store.put_file(other.clone()).await.unwrap();
    for broken in [
        doc! { "length": "long", "filename": &name },
        doc! { "length": 600_000_i64, "chunkSize": "large", "uploadDate": 1, "filename": &name },
        doc! { "length": -1_i64, "filename": &name },
        doc! { "filename": 5 },
    ] {
        db.collection(FILES).insert_one(broken).await.unwrap();
    }
    assert!(matches!(store.read_file(content.digest()).await, Err(StoreError::Corrupt(_))));
    store.put_file(content.clone()).await.unwrap();
    assert_eq!(store.read_file(content.digest()).await, Ok(Some(content.bytes().to_vec())));
    let mut both = vec![content.digest(), other.digest()];
    both.sort();
    assert_eq!(store.files(None, 9).await, Ok(both));
    // A piece of another type.
    let pieces = db.collection::<Document>(CHUNKS);
    pieces.update_many(doc! {}, doc! { "$set": { "data": "text" } }).await.unwrap();
    assert!(matches!(store.read_file(content.digest()).await, Err(StoreError::Corrupt(_))));
    store.put_file(content.clone()).await.unwrap();
    assert_eq!(store.read_file(content.digest()).await, Ok(Some(content.bytes().to_vec())));
    store.delete_file(content.digest()).await.unwrap();
    assert_eq!(store.has_file(content.digest()).await, Ok(false));
}
