//! Files, in GridFS: the bucket [`BUCKET`], each under its digest as `filename`.
//!
//! GridFS writes a file's pieces first, under an id of their own, and its document last; it removes the document first. So
//! an operation that breaks off leaves pieces without a document, which nobody reads, and which are removed later. Where
//! several put the same bytes at once there may be a copy of each for a moment: the first that is whole is kept, by its
//! id, and every other is removed.

use alertcast_core::store::{FILE_BYTES_MAX, FileContent, FileDigest, FileStore, StoreResult};
use alertcast_core::time::Time;
use async_trait::async_trait;
use bson::oid::ObjectId;
use bson::{Bson, Document, RawBsonRef, RawDocument, RawDocumentBuf, doc};
use futures::TryStreamExt as _;
use futures::io::{AsyncReadExt as _, AsyncWriteExt as _};
use mongodb::Collection;
use mongodb::error::{Error, ErrorKind, GridFsErrorKind};
use mongodb::gridfs::GridFsBucket;
use mongodb::options::GridFsBucketOptions;

use crate::error::{MongoError, MongoResult, senseless};
use crate::store::MongoStore;

/// The bucket's name: its collections are this with `.files` and `.chunks` behind it.
const BUCKET: &str = "alertcast_files";
const CHUNKS: &str = "alertcast_files.chunks";
const DOCUMENTS: &str = "alertcast_files.files";

/// How often a file is looked for whose copies others change.
const LOOKS_MAX: u32 = 5;

/// So many left-overs one sweep removes.
const SWEPT_MAX: i32 = 1_000;

#[async_trait]
impl FileStore for MongoStore {
    async fn put_file(&self, content: FileContent) -> StoreResult<FileDigest> {
        let digest = content.digest();
        self.link.run_bounded(self.files_bucket().put(&content)).await.map(|()| digest)
    }

    async fn read_file(&self, digest: FileDigest) -> StoreResult<Option<Vec<u8>>> {
        self.link.run_bounded(self.files_bucket().read(digest)).await
    }

    async fn has_file(&self, digest: FileDigest) -> StoreResult<bool> {
        self.link.run_bounded(async { Ok(!self.files_bucket().copies(digest).await?.is_empty()) }).await
    }

    async fn files(&self, after: Option<FileDigest>, limit: usize) -> StoreResult<Vec<FileDigest>> {
        self.link.run_bounded(self.files_bucket().list(after, limit)).await
    }

    async fn delete_file(&self, digest: FileDigest) -> StoreResult<()> {
        self.link.run_bounded(self.files_bucket().delete(digest)).await
    }

    async fn remove_unfinished_files(&self, begun_before: Time) -> StoreResult<u64> {
        self.link.run_bounded(remove_unfinished(self, begun_before)).await
    }
}

impl MongoStore {
    fn files_bucket(&self) -> FilesBucket {
        let options = GridFsBucketOptions::builder().bucket_name(BUCKET.to_owned()).build();
        // It reads and writes as the client does: what a majority has.
        FilesBucket { bucket: self.db().gridfs_bucket(options), documents: self.db().collection(DOCUMENTS) }
    }
}

/// The bucket, as it is reached now.
struct FilesBucket {
    bucket: GridFsBucket,
    /// As bytes: one that the driver cannot read is in nobody's way.
    documents: Collection<RawDocumentBuf>,
}

/// A file as its document tells of it.
#[derive(Debug, PartialEq)]
struct StoredCopy {
    id: Bson,
    /// In bytes; none where it does not say.
    length: Option<u64>,
}

impl FilesBucket {
    async fn put(&self, content: &FileContent) -> MongoResult<()> {
        if self.keep_one(content.digest()).await? {
            return Ok(());
        }
        let mut upload = self.bucket.open_upload_stream(content.digest().to_string()).await?;
        upload.write_all(content.bytes()).await.map_err(of_stream)?;
        upload.close().await.map_err(of_stream)?;
        // None stands any more where somebody has deleted the file meanwhile.
        self.keep_one(content.digest()).await.map(drop)
    }

    /// Whether a whole copy stands; every other is removed.
    async fn keep_one(&self, digest: FileDigest) -> MongoResult<bool> {
        let mut kept = false;
        for copy in self.copies(digest).await? {
            if kept || self.read_copy(&copy, digest).await?.is_none() {
                unless_gone(self.bucket.delete(copy.id).await)?;
            } else {
                kept = true;
            }
        }
        Ok(kept)
    }

    async fn read(&self, digest: FileDigest) -> MongoResult<Option<Vec<u8>>> {
        let mut copies = self.copies(digest).await?;
        for _ in 0..LOOKS_MAX {
            if copies.is_empty() {
                return Ok(None);
            }
            for copy in &copies {
                if let Some(bytes) = self.read_copy(copy, digest).await? {
                    return Ok(Some(bytes));
                }
            }
            let standing = self.copies(digest).await?;
            if standing == copies {
                return Err(digest.damage_error().into());
            }
            copies = standing;
        }
        Err(MongoError::Again)
    }

    /// A copy's bytes; none where they are not the file's, or are being removed.
    async fn read_copy(&self, copy: &StoredCopy, digest: FileDigest) -> MongoResult<Option<Vec<u8>>> {
        if copy.length.is_none_or(|length| length > FILE_BYTES_MAX as u64) {
            return Ok(None);
        }
        let read = async {
            let mut bytes = Vec::new();
            let mut download = self.bucket.open_download_stream(copy.id.clone()).await?;
            download.read_to_end(&mut bytes).await.map_err(of_stream)?;
            MongoResult::Ok(bytes)
        };
        match read.await {
            Ok(bytes) => Ok(digest.verify(bytes).ok()),
            Err(MongoError::Driver(error)) if is_damage(&error) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// The copies that stand, by their ids.
    async fn copies(&self, digest: FileDigest) -> MongoResult<Vec<StoredCopy>> {
        let these = doc! { "filename": digest.to_string() };
        let told = doc! { "_id": 1, "length": 1 };
        let found = self.documents.find(these).sort(doc! { "_id": 1 }).projection(told).await?;
        let found: Vec<RawDocumentBuf> = found.try_collect().await?;
        Ok(found.iter().filter_map(|raw| StoredCopy::of(raw)).collect())
    }

    async fn list(&self, after: Option<FileDigest>, limit: usize) -> MongoResult<Vec<FileDigest>> {
        let after = after.map(|after| after.to_string()).unwrap_or_default();
        let these = doc! { "filename": { "$gt": after, "$regex": "^[0-9a-f]{64}$" } };
        let limit = i64::try_from(limit.max(1)).unwrap_or(i64::MAX);
        let in_order = doc! { "filename": 1, "uploadDate": 1 };
        let told = doc! { "filename": 1 };
        let found: Vec<RawDocumentBuf> =
            self.documents.find(these).sort(in_order).limit(limit).projection(told).await?.try_collect().await?;
        let mut names: Vec<FileDigest> =
            found.iter().filter_map(|file| file.get_str("filename").ok()?.parse().ok()).collect();
        names.dedup();
        Ok(names)
    }

    async fn delete(&self, digest: FileDigest) -> MongoResult<()> {
        for copy in self.copies(digest).await? {
            unless_gone(self.bucket.delete(copy.id).await)?;
        }
        Ok(())
    }
}

impl StoredCopy {
    fn of(raw: &RawDocument) -> Option<Self> {
        let id = Bson::try_from(raw.get("_id").ok()??).ok()?;
        let length = match raw.get("length") {
            Ok(Some(RawBsonRef::Int32(length))) => u64::try_from(length).ok(),
            Ok(Some(RawBsonRef::Int64(length))) => u64::try_from(length).ok(),
            _ => None,
        };
        Some(Self { id, length })
    }
}

/// Removes pieces without a document whose id was given before.
async fn remove_unfinished(store: &MongoStore, begun_before: Time) -> MongoResult<u64> {
    let chunks = store.db().collection::<Document>(CHUNKS);
    let stages = vec![
        doc! { "$match": { "files_id": { "$lt": first_id_of(begun_before) } } },
        doc! { "$group": { "_id": "$files_id" } },
        doc! { "$lookup": { "from": DOCUMENTS, "localField": "_id", "foreignField": "_id", "as": "file" } },
        doc! { "$match": { "file": { "$size": 0 } } },
        doc! { "$limit": SWEPT_MAX },
    ];
    let left: Vec<Document> = chunks.aggregate(stages).await?.try_collect().await?;
    let ids: Vec<Bson> = left.into_iter().filter_map(|mut left| left.remove("_id")).collect();
    let count = ids.len() as u64;
    if count > 0 {
        chunks.delete_many(doc! { "files_id": { "$in": ids } }).await?;
    }
    Ok(count)
}

/// The lowest id of a second, as clients give them.
fn first_id_of(moment: Time) -> ObjectId {
    let seconds = u32::try_from(moment.millis().max(0) / 1_000).unwrap_or(u32::MAX);
    ObjectId::from_parts(seconds, [0; 5], [0; 3])
}

/// Whether it is about what a file's document or pieces hold, and not about the way to them.
fn is_damage(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::GridFs(_) | ErrorKind::BsonDeserialization(_) | ErrorKind::Bson(_))
}

/// What was to be removed may be gone.
fn unless_gone(answer: Result<(), Error>) -> MongoResult<()> {
    match answer {
        Err(error) if matches!(&*error.kind, ErrorKind::GridFs(GridFsErrorKind::FileNotFound { .. })) => Ok(()),
        answer => Ok(answer?),
    }
}

/// The driver's error within that of a stream.
fn of_stream(error: std::io::Error) -> MongoError {
    let inner = error.into_inner().and_then(|inner| inner.downcast::<Error>().ok());
    inner.map_or_else(|| senseless("a file's pieces"), MongoError::Driver)
}
