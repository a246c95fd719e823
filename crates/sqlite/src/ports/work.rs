//! The processor's port: the alerts that wait, what a chunk's decisions rest on, and the commit of a chunk.

pub(crate) mod loading;
mod size;
mod sums;

use std::collections::HashSet;

use alertcast_core::alert::document::{Alert, AlertError, AlertStatus};
use alertcast_core::id::{AlertId, ConfigId, TradeId, UserId};
use alertcast_core::money::Count;
use alertcast_core::quota::Quota;
use alertcast_core::store::{
    ChunkCommit, ChunkPlan, ChunkState, ClosedTrades, Collection, ConfigIncrement, FailedConfigurations, FieldEdits,
    LeaseFence, OperatorNotice, ProcessorStore, SetAsideDocuments, StoreResult, UsageIncrement, UserSpan,
};
use alertcast_core::time::Time;
use alertcast_core::trade::document::{TradeEnd, TradeStatus};
use async_trait::async_trait;
use bson::oid::ObjectId;
use rusqlite::Row;
use serde::Serialize;

use crate::engine::alert_rows::{self, AlertRow};
use crate::engine::failpoints::{self, WriteOperation};
use crate::engine::notices::{self, ReadyNotice};
use crate::engine::queue::JobPriority;
use crate::engine::raw::{self, RawEdit, RawValue};
use crate::engine::rows::{DocumentBytes, IdBlob, RowAccess, encode, whole};
use crate::engine::writer::WriterTransaction;
use crate::error::{SqliteError, SqliteResult};
use crate::ports::leases;
use crate::ports::outbox::working_set::edit_of;
use crate::ports::work::loading::{STRAY_TRADES, holders, load_chunk, pending_alerts};
use crate::ports::work::size::{is_small, lane_of};
use crate::ports::work::sums::CounterSums;
use crate::store::SqliteStore;

#[async_trait]
impl ProcessorStore for SqliteStore {
    async fn pending_alerts(&self, partitions: &[i32], except: &[ConfigId], limit: usize) -> StoreResult<Vec<Alert>> {
        // What gets its row between the two looks is found by both.
        let in_log = self.log.first(partitions, except, limit);
        let mut pending = self.pending_rows(partitions, except, limit).await?;
        let with_row: HashSet<AlertId> = pending.iter().map(|alert| alert.id).collect();
        let without_row = in_log.iter().filter(|alert| !with_row.contains(&alert.alert.id));
        pending.extend(without_row.map(|alert| alert.alert.clone()));
        pending.sort_by_key(|alert| alert.alertcast.seq);
        pending.truncate(limit);
        Ok(pending)
    }

    async fn holders(&self, config: ConfigId, after: Option<UserId>, limit: usize) -> StoreResult<Vec<UserId>> {
        self.read(move |rows| holders(rows, config, after, limit)).await
    }

    async fn load_chunk(&self, config: ConfigId, span: UserSpan, entering: &[UserId]) -> StoreResult<ChunkState> {
        let entering = entering.to_vec();
        let (state, unreadable) = self.read(move |rows| load_chunk(rows, config, span, &entering)).await?;
        unreadable.into_iter().for_each(|one| self.unreadables().note(one));
        Ok(state)
    }

    async fn commit_all(&self, chunks: Vec<ChunkCommit>) -> Vec<StoreResult<()>> {
        let count = chunks.len();
        let lane = lane_of(&chunks);
        let committed = match ReadyChunk::pack_all(chunks).await {
            Ok(ready) => self.write(lane, WriteOperation::Chunk, move |tx| commit_all(tx, &ready)).await,
            Err(error) => Err(error),
        };
        committed.unwrap_or_else(|error| vec![Err(error); count])
    }

    async fn record_failure(
        &self,
        fence: &LeaseFence,
        alert: AlertId,
        error: AlertError,
        park: bool,
        notices: Vec<OperatorNotice>,
    ) -> StoreResult<()> {
        let fence = fence.clone();
        let notices = notices::ready(notices)?;
        self.write(JobPriority::Short, WriteOperation::Failure, move |tx| {
            leases::check(tx.rows, &fence)?;
            record_failure(tx, alert, &error, park, &notices)
        })
        .await
    }
}

impl SqliteStore {
    /// Those that have a row; not looked for where it is known that there are none.
    async fn pending_rows(&self, partitions: &[i32], except: &[ConfigId], limit: usize) -> StoreResult<Vec<Alert>> {
        let Some(number) = self.log.may_have_pending_rows() else { return Ok(Vec::new()) };
        let (partitions, except) = (partitions.to_vec(), except.to_vec());
        let (found, there_are) = self.read(move |rows| pending_alerts(rows, &partitions, &except, limit)).await?;
        if !there_are {
            self.log.note_no_pending_rows(number);
        }
        Ok(self.unreadables().sift(found))
    }
}

/// Commits chunks one after the other; a single one as the whole job.
fn commit_all(tx: &WriterTransaction<'_>, chunks: &[ReadyChunk]) -> SqliteResult<Vec<StoreResult<()>>> {
    let mut sums = CounterSums::default();
    if let [only] = chunks {
        only.apply(tx)?;
        sums.add(only);
        return sums.write(tx.rows).map(|()| vec![Ok(())]);
    }
    let (mut outcomes, mut failed) = (Vec::with_capacity(chunks.len()), FailedConfigurations::default());
    for chunk in chunks {
        let outcome = match failed.check(chunk.config) {
            Ok(()) => tx.attempt(|| chunk.apply(tx))?,
            passed_over => passed_over,
        };
        match &outcome {
            Ok(()) => sums.add(chunk),
            Err(_) => failed.note(chunk.config),
        }
        outcomes.push(outcome);
        failpoints::pass(WriteOperation::Chunk.name(), "each")?;
    }
    sums.write(tx.rows)?;
    Ok(outcomes)
}

/// A chunk with its documents packed, so that the writer only writes.
#[derive(Debug)]
struct ReadyChunk {
    fence: LeaseFence,
    alert: AlertId,
    config: ConfigId,
    now: Time,
    cursor_seen: Option<UserId>,
    plan: PackedPlan,
    notices: Vec<ReadyNotice>,
    alert_edits: FieldEdits,
    errors: Vec<AlertError>,
}

/// A plan with its documents packed.
#[derive(Debug)]
struct PackedPlan {
    /// Sorted.
    open_seen: Option<(UserSpan, Vec<(TradeId, i64)>)>,
    quotas: Vec<(Option<i64>, Quota, DocumentBytes)>,
    decisions: Option<DocumentBytes>,
    opened: Vec<DocumentBytes>,
    ended: Vec<TradeEnd>,
    deliveries: Vec<DocumentBytes>,
    usage: Vec<UsageIncrement>,
    config_increment: ConfigIncrement,
}

impl PackedPlan {
    fn of(plan: ChunkPlan) -> SqliteResult<Self> {
        let mut open_seen = plan.open_seen;
        if let Some((_, trades)) = &mut open_seen {
            trades.sort_unstable();
        }
        let quotas = plan.quotas.into_iter().map(|change| {
            let bytes = encode(&change.after)?;
            Ok((change.rev_seen, change.after, bytes))
        });
        Ok(Self {
            open_seen,
            quotas: quotas.collect::<SqliteResult<_>>()?,
            decisions: plan.decisions.map(|decisions| with_id(&decisions)).transpose()?,
            opened: encode_all(&plan.opened)?,
            ended: plan.ended,
            deliveries: encode_all(&plan.deliveries)?,
            usage: plan.usage,
            config_increment: plan.config_increment,
        })
    }
}

impl ReadyChunk {
    /// Packs the documents of chunks, of large ones on other threads than the caller's.
    async fn pack_all(mut chunks: Vec<ChunkCommit>) -> StoreResult<Vec<Self>> {
        let of_all = |chunks: Vec<ChunkCommit>| chunks.into_iter().map(Self::of).collect::<SqliteResult<Vec<_>>>();
        if is_small(&chunks) {
            return Ok(of_all(chunks)?);
        }
        let deliveries: Vec<_> = chunks.iter_mut().map(|chunk| std::mem::take(&mut chunk.plan.deliveries)).collect();
        let deliveries = tokio::task::spawn_blocking(move || {
            deliveries.iter().map(|deliveries| encode_all(deliveries)).collect::<SqliteResult<Vec<_>>>()
        });
        let rest = tokio::task::spawn_blocking(move || of_all(chunks));
        let broken = |_| SqliteError::unavailable("a chunk could not be packed");
        let mut ready = rest.await.map_err(broken)??;
        for (chunk, deliveries) in ready.iter_mut().zip(deliveries.await.map_err(broken)??) {
            chunk.plan.deliveries = deliveries;
        }
        Ok(ready)
    }

    fn of(chunk: ChunkCommit) -> SqliteResult<Self> {
        let alert_edits = chunk.edit_alert();
        Ok(Self {
            fence: chunk.fence,
            alert: chunk.alert,
            config: chunk.config,
            now: chunk.now,
            cursor_seen: chunk.cursor_seen,
            plan: PackedPlan::of(chunk.plan)?,
            notices: notices::ready(chunk.notices)?,
            alert_edits,
            errors: chunk.finish.map(|finish| finish.errors).unwrap_or_default(),
        })
    }

    /// Checks first, then writes all but what is counted: a chunk that does not hold costs nothing.
    fn apply(&self, tx: &WriterTransaction<'_>) -> SqliteResult<()> {
        let (rows, plan) = (tx.rows, &self.plan);
        leases::check(rows, &self.fence)?;
        let alert = self.check_alert(tx)?;
        if let Some((span, seen)) = &plan.open_seen {
            check_open(rows, self.config, *span, seen)?;
        }
        for (rev_seen, quota, bytes) in &plan.quotas {
            change_quota(rows, *rev_seen, quota, bytes)?;
        }
        rows.insert_all(Collection::Trades, plan.opened.iter().map(Vec::as_slice))?;
        for end in &plan.ended {
            end_trade(rows, end, self.now)?;
        }
        rows.insert_all_missing(Collection::Deliveries, plan.deliveries.iter().map(Vec::as_slice))?;
        if let Some(decisions) = &plan.decisions {
            rows.insert(Collection::Decisions, decisions)?;
        }
        notices::give(rows, &self.notices)?;
        self.move_on(tx, &alert)
    }

    fn check_alert(&self, tx: &WriterTransaction<'_>) -> SqliteResult<AlertRow> {
        let alert = alert_rows::find(tx, self.alert)?.ok_or_else(SqliteError::conflict)?;
        let cursor = raw::lookup(&alert.document, "alertcast.cursor")?.and_then(RawValue::as_id).map(UserId);
        if !alert_rows::is_pending(&alert.document)? || cursor != self.cursor_seen {
            return Err(SqliteError::conflict());
        }
        Ok(alert)
    }

    /// Moves the alert's cursor, and ends its processing with the last chunk.
    fn move_on(&self, tx: &WriterTransaction<'_>, alert: &AlertRow) -> SqliteResult<()> {
        let mut edit = edit_of(self.alert_edits.clone());
        push_errors(&mut edit, &alert.document, &self.errors)?;
        alert.edit(tx, &edit)
    }
}

pub(crate) fn encode_all<T: Serialize>(values: &[T]) -> SqliteResult<Vec<DocumentBytes>> {
    values.iter().map(encode).collect()
}

/// A document that has no id of its own gets one, as MongoDB's driver would give it.
fn with_id<T: Serialize>(value: &T) -> SqliteResult<DocumentBytes> {
    #[derive(Serialize)]
    struct WithId<'v, T> {
        #[serde(rename = "_id")]
        id: ObjectId,
        #[serde(flatten)]
        value: &'v T,
    }
    encode(&WithId { id: ObjectId::new(), value })
}

pub(crate) fn push_errors(edit: &mut RawEdit, alert: &[u8], errors: &[AlertError]) -> SqliteResult<()> {
    let new = errors.iter().map(alertcast_core::store::document).collect::<StoreResult<Vec<_>>>()?;
    match raw::lookup(alert, "processing.errors")?.filter(|kept| kept.is_list()) {
        Some(kept) => {
            let count = kept.items().count();
            new.into_iter()
                .enumerate()
                .for_each(|(at, error)| edit.set(format!("processing.errors.{}", count + at), error));
        }
        // What is no list is taken the place of, as a whole: of two changes of one field the whole one holds.
        None if new.is_empty() => {}
        None => edit.set("processing.errors", new),
    }
    Ok(())
}

pub(crate) const OPEN_REVS: &str = r#"SELECT "_id", "alertcast.rev", "userId" FROM trades
    WHERE "alertConfigId" = ?1 AND "status" = 'open' AND "userId" BETWEEN ?2 AND ?3"#;

/// The open trades of the span must be exactly those that were seen.
fn check_open(rows: RowAccess<'_>, config: ConfigId, span: UserSpan, seen: &[(TradeId, i64)]) -> SqliteResult<()> {
    let params = (IdBlob::from(config), IdBlob::from(span.first), IdBlob::from(span.last));
    // What is no id of ours was not seen either, nor what is nobody's: other binary data may lie between two ids.
    let seen_by = |row: &Row<'_>, (id, rev, user): (usize, usize, usize)| -> SqliteResult<Option<(TradeId, i64)>> {
        let (Ok(id), Ok(_)) = (row.get::<_, IdBlob>(id), row.get::<_, IdBlob>(user)) else { return Ok(None) };
        Ok(Some((TradeId(id.id()), whole(row, rev)?)))
    };
    let mut found = rows.all(OPEN_REVS, params, |row| seen_by(row, (0, 1, 2)))?;
    found.extend(rows.all(STRAY_TRADES, params, |row| seen_by(row, (1, 3, 2)))?);
    let mut open: Vec<(TradeId, i64)> = found.into_iter().flatten().collect();
    open.sort_unstable();
    if open == seen { Ok(()) } else { Err(SqliteError::conflict()) }
}

fn change_quota(rows: RowAccess<'_>, rev_seen: Option<i64>, quota: &Quota, bytes: &[u8]) -> SqliteResult<()> {
    let changed = match rev_seen {
        None => rows.insert_missing(Collection::Quotas, bytes)?,
        Some(seen) => {
            let sql = r#"UPDATE quotas SET doc = ?2, rev = ?3 WHERE "_id" = ?1 AND rev = ?4"#;
            rows.run(sql, (IdBlob::from(quota.user), bytes, quota.rev.0, seen))? == 1
        }
    };
    if changed { Ok(()) } else { Err(SqliteError::conflict()) }
}

/// Ends an open trade, by field.
pub(crate) fn end_trade(rows: RowAccess<'_>, end: &TradeEnd, now: Time) -> SqliteResult<()> {
    let Some(trade) = rows.find(Collection::Trades, end.trade)? else {
        return Err(SqliteError::conflict());
    };
    // Nothing there is the default.
    let is_open = |status: RawValue<'_>| status.is_nothing() || status.as_str() == Some(TradeStatus::Open.as_str());
    if !raw::lookup(&trade, "status")?.is_none_or(is_open) {
        return Err(SqliteError::conflict());
    }
    let mut edit = edit_of(end.edit_trade(now)?);
    edit.set("alertcast.rev", Count(raw::counter(&trade, "alertcast.rev")?.saturating_add(1)));
    rows.edit(Collection::Trades, &trade, &edit).map(drop)
}

fn count_config(rows: RowAccess<'_>, config: ConfigId, by: &ConfigIncrement, now: Time) -> SqliteResult<()> {
    if *by == ConfigIncrement::default() {
        return Ok(());
    }
    let Some(document) = rows.find(Collection::AlertConfigurations, config)? else {
        return Ok(());
    };
    let count = |path| raw::counter(&document, path);
    let kept = ClosedTrades { by_tp: count("alertcast.closedByTp")?, by_sl: count("alertcast.closedBySl")? };
    let mut edit = edit_of(by.count_closes(|| kept));
    for (path, by) in [("statistics.totalAlerts", by.alerts), ("statistics.totalTrades", by.trades)] {
        edit.set(path, Count(count(path)? + by));
    }
    let last = raw::lookup(&document, "statistics.lastAlertAt")?.and_then(RawValue::as_time);
    if last < by.last_alert_at {
        edit.set_some("statistics.lastAlertAt", by.last_alert_at);
    }
    edit.set("updatedAt", now);
    rows.edit(Collection::AlertConfigurations, &document, &edit)?;
    Ok(())
}

fn record_failure(
    tx: &WriterTransaction<'_>,
    id: AlertId,
    error: &AlertError,
    park: bool,
    notices: &[ReadyNotice],
) -> SqliteResult<()> {
    let row = alert_rows::find(tx, id)?.ok_or_else(SqliteError::conflict)?;
    let alert = row.document.as_slice();
    if !alert_rows::is_pending(alert)? || is_recorded(alert, error)? {
        return Ok(());
    }
    let mut edit = RawEdit::new();
    push_errors(&mut edit, alert, std::slice::from_ref(error))?;
    edit.set("alertcast.attempts", Count(raw::counter(alert, "alertcast.attempts")?.saturating_add(1)));
    if park {
        edit.set("processing.status", AlertStatus::Failed);
    }
    edit.set("updatedAt", error.timestamp);
    row.edit(tx, &edit)?;
    notices::give(tx.rows, notices)
}

/// Whether this very failure is noted: the caller had no answer and says it again.
fn is_recorded(alert: &[u8], error: &AlertError) -> SqliteResult<bool> {
    let last = raw::lookup(alert, "processing.errors")?.and_then(|errors| errors.items().last());
    let Some(last) = last.transpose()? else { return Ok(false) };
    Ok(last.value.field("message")?.and_then(RawValue::as_str) == Some(error.message.as_str())
        && last.value.field("timestamp")?.and_then(RawValue::as_time) == Some(error.timestamp))
}
