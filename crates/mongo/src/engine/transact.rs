//! A transaction: all of it or nothing, tried again while others are in the way, and never without an end.

use std::sync::Arc;
use std::time::Duration;

use alertcast_core::reading::{UnreadableDocument, read_bytes, unpack_what_is_there};
use alertcast_core::store::{Collection, LeaseFence, StoreError, StoreResult};
use bson::{Bson, Document, RawDocumentBuf, doc};
use futures::TryStreamExt;
use futures::future::BoxFuture;
use mongodb::error::UNKNOWN_TRANSACTION_COMMIT_RESULT;
use mongodb::options::{ReadConcern, TransactionOptions, UpdateModifications};
use mongodb::{ClientSession, Database};
use serde::de::DeserializeOwned;
use tokio::time::{sleep, timeout};

use crate::engine::link::no_answer;
use crate::engine::literal_update::{force_update, forced_bson};
use crate::engine::query::{BATCH, MongoQuery, whole};
use crate::error::{MongoError, MongoResult, is_senseless, of_write_error, senseless};
use crate::store::{MongoStore, durable};

/// No operation takes longer than this, its attempts and waits included.
pub(crate) const OPERATION_DURATION_MAX: Duration = Duration::from_secs(30);

/// No attempt goes on for longer when nobody waits for it any more: by then the server has ended its transaction.
const ATTEMPT_DURATION_MAX: Duration = Duration::from_secs(60);

/// A transaction that others' changes undo is tried so often.
const ATTEMPTS_MAX: u32 = 200;
/// One that others wait behind, so often.
const BRIEF_ATTEMPTS_MAX: u32 = 3;

/// A commit whose answer was lost is asked for so often.
const COMMITS_MAX: u32 = 5;

/// So many updates go in one statement; the server takes 100,000 and 48 MB.
const UPDATES_MAX: usize = 5_000;

/// What a transaction does. It may be called several times, and must not do anything outside.
pub(crate) type TransactionBody<X, T> = for<'a> fn(&'a mut MongoTransaction, &'a X) -> BoxFuture<'a, MongoResult<T>>;

/// An open transaction. Dropped before its commit, it is aborted in the background.
pub(crate) struct MongoTransaction {
    db: Database,
    session: ClientSession,
    /// A document did not bear a change in the attempt before: a counter, say, that is no number.
    counts_anew: bool,
}

/// One update in a statement of many.
#[derive(Debug, Clone)]
pub(crate) struct BulkUpdate {
    pub(crate) filter: Document,
    pub(crate) update: Bson,
    pub(crate) upsert: bool,
}

impl BulkUpdate {
    pub(crate) fn new(filter: Document, update: impl Into<Bson>) -> Self {
        Self { filter, update: update.into(), upsert: false }
    }

    pub(crate) fn upsert(filter: Document, update: impl Into<Bson>) -> Self {
        Self { filter, update: update.into(), upsert: true }
    }
}

impl MongoStore {
    /// Runs `body` in a transaction and commits it. Where others were in the way it is run again, from the start.
    ///
    /// Dropping the future while it waits for its turn or between attempts cancels it; an attempt that was begun goes on
    /// to its end.
    pub(crate) async fn transact<X, T>(&self, locks: &[&str], x: X, body: TransactionBody<X, T>) -> StoreResult<T>
    where
        X: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.link
            .run_bounded(async {
                let _turn = self.locks.pass(locks).await;
                self.run_retried(x, body, TransactionEnd::Commit, ATTEMPTS_MAX).await
            })
            .await
    }

    /// Runs `body` in a transaction and commits it. None where others were in the way, and still are after a moment.
    pub(crate) async fn transact_briefly<X, T>(&self, x: X, body: TransactionBody<X, T>) -> StoreResult<Option<T>>
    where
        X: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.link
            .run_bounded(async {
                match self.run_retried(x, body, TransactionEnd::Commit, BRIEF_ATTEMPTS_MAX).await {
                    Err(fault) if fault.is_transient() => Ok(None),
                    answer => answer.map(Some),
                }
            })
            .await
    }

    /// Runs `body`, which only reads, on one snapshot.
    pub(crate) async fn snapshot<X, T>(&self, x: X, body: TransactionBody<X, T>) -> StoreResult<T>
    where
        X: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.link.run_bounded(self.run_retried(x, body, TransactionEnd::Abort, ATTEMPTS_MAX)).await
    }

    /// Each attempt is a task of its own: cut off in a statement or in its commit, a transaction might stay open on the
    /// server, with its documents locked, for a minute.
    async fn run_retried<X, T>(
        &self,
        x: X,
        body: TransactionBody<X, T>,
        end: TransactionEnd,
        attempts_max: u32,
    ) -> MongoResult<T>
    where
        X: Send + Sync + 'static,
        T: Send + 'static,
    {
        let x = Arc::new(x);
        let mut failed = 0;
        let mut counts_anew = false;
        loop {
            let tx = MongoTransaction::begin(self.db(), counts_anew);
            let attempt = timeout(ATTEMPT_DURATION_MAX, attempt(tx, Arc::clone(&x), body, end));
            let answer = tokio::spawn(async { attempt.await.unwrap_or_else(|_| Err(no_answer().into())) }).await;
            match answer {
                Ok(Err(fault)) if fault.is_unfit() && !counts_anew => counts_anew = true,
                Ok(Err(fault)) if fault.is_transient() && failed + 1 < attempts_max => {
                    failed += 1;
                    sleep(pause(failed)).await;
                }
                Ok(answer) => return answer,
                Err(_) => {
                    self.link.distrust();
                    return Err(MongoError::Store(StoreError::Unavailable("the operation broke off".to_owned())));
                }
            }
        }
    }
}

async fn attempt<X, T>(
    tx: impl Future<Output = MongoResult<MongoTransaction>>,
    x: Arc<X>,
    body: TransactionBody<X, T>,
    end: TransactionEnd,
) -> MongoResult<T> {
    let mut tx = tx.await?;
    match (body(&mut tx, &x).await, end) {
        (Ok(value), TransactionEnd::Commit) => tx.commit().await.map(|()| value),
        (Ok(value), TransactionEnd::Abort) => {
            tx.abort().await;
            Ok(value)
        }
        (Err(fault), _) => Err(tx.abort_for(fault).await),
    }
}

/// How a transaction ends whose body succeeded.
#[derive(Debug, Clone, Copy)]
enum TransactionEnd {
    Commit,
    /// It has only read. Left open, it would stand in the way of whoever makes a collection or an index.
    Abort,
}

/// A short wait, longer and more spread after each failure, so that rivals do not meet again.
fn pause(failed: u32) -> Duration {
    let millis_max = 4_u64.saturating_mul(1 << failed.min(5));
    Duration::from_millis(rand::random_range(1..=millis_max))
}

impl MongoTransaction {
    async fn begin(db: Database, counts_anew: bool) -> MongoResult<Self> {
        let options =
            TransactionOptions::builder().read_concern(ReadConcern::snapshot()).write_concern(durable()).build();
        let mut session = db.client().start_session().await?;
        session.start_transaction().with_options(options).await?;
        Ok(Self { db, session, counts_anew })
    }

    /// An update as it is, or whatever stands in its way: where a document did not bear it in the attempt before.
    fn forced_where_unfit(&self, update: Document) -> UpdateModifications {
        match self.counts_anew.then(|| force_update(&update)).flatten() {
            Some(stages) => UpdateModifications::Pipeline(stages),
            None => UpdateModifications::Document(update),
        }
    }

    /// Asks again where the answer is lost: to commit what is committed changes nothing.
    async fn commit(mut self) -> MongoResult<()> {
        let mut tried = 1;
        loop {
            match self.session.commit_transaction().await {
                Err(error) if is_unknown(&error) && tried < COMMITS_MAX => {
                    sleep(pause(tried)).await;
                    tried += 1;
                }
                answer => return Ok(answer?),
            }
        }
    }

    /// Frees what the transaction holds. One that the server or the connection ended needs no word.
    async fn abort_for(mut self, fault: MongoError) -> MongoError {
        if !matches!(fault, MongoError::Driver(_)) {
            self.abort().await;
        }
        fault
    }

    async fn abort(&mut self) {
        // What cannot be aborted ends by itself.
        let _ = self.session.abort_transaction().await;
    }

    fn collection(&self, name: &str) -> mongodb::Collection<Document> {
        self.db.collection(name)
    }

    /// Makes sure that work goes on under the lease's epoch. A read would not do: only a write makes this transaction and
    /// a take-over exclude each other.
    pub(crate) async fn fence(&mut self, fence: &LeaseFence) -> MongoResult<()> {
        let filter = doc! { "_id": &fence.lease, "epoch": fence.epoch };
        let update = doc! { "$inc": { "commits": 1_i64 } };
        match self.update_one(Collection::Leases, filter, update).await? {
            1 => Ok(()),
            _ => Err(MongoError::Store(StoreError::Fenced { lease: fence.lease.clone() })),
        }
    }

    pub(crate) async fn find(&mut self, collection: Collection, query: MongoQuery) -> MongoResult<Vec<Document>> {
        let found = self.find_raw(collection, query).await?;
        Ok(found.iter().map(|raw| unpack_what_is_there(collection, raw.as_bytes())).collect())
    }

    /// The same, each with its bytes and as its type, or why it cannot be read.
    pub(crate) async fn find_each<T: DeserializeOwned>(
        &mut self,
        collection: Collection,
        query: MongoQuery,
    ) -> MongoResult<Vec<(RawDocumentBuf, std::result::Result<T, UnreadableDocument>)>> {
        let found = self.find_raw(collection, query).await?;
        Ok(found
            .into_iter()
            .map(|raw| (read_bytes(collection, raw.as_bytes()), raw))
            .map(|(read, raw)| (raw, read))
            .collect())
    }

    /// As bytes: serde's way for documents would take what somebody's data look like for what they are not.
    async fn find_raw(&mut self, collection: Collection, query: MongoQuery) -> MongoResult<Vec<RawDocumentBuf>> {
        if query.is_void() {
            return Ok(Vec::new());
        }
        let options = query.options();
        let these = self.db.collection::<RawDocumentBuf>(collection.name());
        let mut cursor = these.find(query.filter).with_options(options).session(&mut self.session).await?;
        Ok(cursor.stream(&mut self.session).try_collect().await?)
    }

    pub(crate) async fn find_one(&mut self, collection: Collection, filter: Document) -> MongoResult<Option<Document>> {
        Ok(self.find(collection, MongoQuery::new(filter).limit(1)).await?.pop())
    }

    pub(crate) async fn aggregate(
        &mut self,
        collection: Collection,
        stages: Vec<Document>,
    ) -> MongoResult<Vec<Document>> {
        let these = self.db.collection::<RawDocumentBuf>(collection.name());
        let stages = these.aggregate(stages).batch_size(BATCH).with_type::<RawDocumentBuf>();
        let mut cursor = stages.session(&mut self.session).await?;
        let found: Vec<RawDocumentBuf> = cursor.stream(&mut self.session).try_collect().await?;
        Ok(found.iter().map(|raw| unpack_what_is_there(collection, raw.as_bytes())).collect())
    }

    /// Changes one document; answers how many matched.
    pub(crate) async fn update_one(
        &mut self,
        collection: Collection,
        filter: Document,
        update: Document,
    ) -> MongoResult<u64> {
        let update = self.forced_where_unfit(update);
        let done = self.collection(collection.name()).update_one(filter, update).session(&mut self.session).await?;
        Ok(done.matched_count)
    }

    /// Changes all that match; answers how many did.
    pub(crate) async fn update_many(
        &mut self,
        collection: Collection,
        filter: Document,
        update: Document,
    ) -> MongoResult<u64> {
        let done = self.collection(collection.name()).update_many(filter, update).session(&mut self.session).await?;
        Ok(done.matched_count)
    }

    /// Changes a document, or makes it, and answers it as it is then.
    pub(crate) async fn change_counter(
        &mut self,
        name: &str,
        id: &str,
        update: impl Into<mongodb::options::UpdateModifications>,
    ) -> MongoResult<Document> {
        let counters = self.collection(name);
        let changed = counters.find_one_and_update(doc! { "_id": id }, update).upsert(true);
        let changed = changed.return_document(mongodb::options::ReturnDocument::After);
        match changed.session(&mut self.session).await? {
            Some(counter) => Ok(counter),
            None => Err(senseless("a document that was just made is not there")),
        }
    }

    /// Many updates in few statements; answers how many found their document, or made it.
    pub(crate) async fn updates(&mut self, collection: &str, updates: Vec<BulkUpdate>) -> MongoResult<usize> {
        let mut matched = 0;
        let anew = self.counts_anew;
        let mut statements = updates.into_iter().map(|one| {
            let update = if anew { forced_bson(one.update) } else { one.update };
            doc! { "q": one.filter, "u": update, "upsert": one.upsert }
        });
        loop {
            let some: Vec<Bson> = statements.by_ref().take(UPDATES_MAX).map(Bson::Document).collect();
            if some.is_empty() {
                return Ok(matched);
            }
            let command = doc! { "update": collection, "updates": some, "ordered": true };
            let answer = self.db.run_command(command).session(&mut self.session).await?;
            matched += matched_in(&answer)?;
        }
    }

    pub(crate) async fn insert(&mut self, collection: Collection, documents: Vec<Document>) -> MongoResult<()> {
        if !documents.is_empty() {
            self.collection(collection.name()).insert_many(documents).session(&mut self.session).await?;
        }
        Ok(())
    }

    pub(crate) async fn delete(&mut self, collection: Collection, filter: Document) -> MongoResult<()> {
        self.collection(collection.name()).delete_many(filter).session(&mut self.session).await?;
        Ok(())
    }
}

/// Whether the commit may have happened: its answer was lost, or made no sense.
fn is_unknown(error: &mongodb::error::Error) -> bool {
    error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) || is_senseless(&error.kind)
}

/// The answer to a statement of updates is a success although single ones failed.
fn matched_in(answer: &Document) -> MongoResult<usize> {
    if let Some(Bson::Document(error)) = answer.get_array("writeErrors").ok().and_then(|errors| errors.first()) {
        let code = error.get("code").and_then(whole).and_then(|code| i32::try_from(code).ok()).unwrap_or(0);
        return Err(of_write_error(code, error.get_str("errmsg").unwrap_or("a write failed")));
    }
    let matched = answer.get("n").and_then(whole).and_then(|n| usize::try_from(n).ok());
    matched.ok_or_else(|| senseless("statements without a count"))
}
