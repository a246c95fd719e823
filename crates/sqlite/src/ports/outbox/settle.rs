//! Settling an alert: once no delivery of it is open, who got it is written into it. The lists are made by a reader; the
//! writer only checks again and writes.

use alertcast_core::alert::document::AlertStatus;
use alertcast_core::alert::settling::{self, AlertRecipients, AlertStanding};
use alertcast_core::decision::DecisionChunk;
use alertcast_core::delivery::Delivery;
use alertcast_core::id::{AlertId, UserId};
use alertcast_core::store::{Collection, SettlingOutcome, StoreResult};
use alertcast_core::time::Time;

use crate::engine::failpoints::WriteOperation;
use crate::engine::queue::JobPriority;
use crate::engine::raw::{self, RawEdit, RawValue};
use crate::engine::rows::{DocumentBytes, IdBlob, RowAccess, decode};
use crate::engine::schema::{UNSETTLED, is_open};
use crate::error::SqliteResult;
use crate::ports::documents::{bound_limit, decisions, deliveries_of};
use crate::ports::outbox::working_set::edit_of;
use crate::store::SqliteStore;

/// How many decision chunks or deliveries are in memory at once.
const PAGE: usize = 1_000;

/// Raised by each resend of one of the alert's deliveries.
pub(crate) const RESENDS: &str = "alertcast.resends";

pub(crate) async fn settle(store: &SqliteStore, alert: AlertId, now: Time) -> StoreResult<SettlingOutcome> {
    let edit = match store.read(move |rows| prepare(rows, alert, now)).await? {
        Ok(edit) => edit,
        Err(settled) => return Ok(settled),
    };
    let (edit, resends) = edit;
    store
        .write(JobPriority::Short, WriteOperation::Settle, move |tx| match load_standing(tx.rows, alert)? {
            // One that was sent again, and has ended again, is not in the lists.
            Ok(document) if raw::counter(&document, RESENDS)? != resends => Ok(SettlingOutcome::NotYet),
            Ok(document) => {
                tx.rows.edit(Collection::Alerts, &document, &edit)?;
                Ok(SettlingOutcome::Now)
            }
            Err(settled) => Ok(settled),
        })
        .await
}

pub(crate) fn find_unsettled(rows: RowAccess<'_>, after: Option<AlertId>, limit: usize) -> SqliteResult<Vec<AlertId>> {
    let after = after.map_or_else(Vec::new, |alert| alert.bytes().to_vec());
    rows.all(&unsettled_sql(), (after, bound_limit(limit)), |row| Ok(AlertId(row.get::<_, IdBlob>(0)?.id())))
}

pub(crate) fn unsettled_sql() -> String {
    format!(
        r#"SELECT "_id" FROM alerts INDEXED BY "alerts.unsettled" WHERE {UNSETTLED} AND "_id" > ?1 ORDER BY "_id" LIMIT ?2"#
    )
}

pub(crate) const HAS_OPEN: &str = concat!(r#"SELECT 1 FROM deliveries WHERE "alertId" = ?1 AND "#, is_open!());

/// An entry that is superseded is as open as the exit that tells it.
pub(crate) const IS_TOLD_BY_OPEN: &str =
    concat!(r#"SELECT 1 FROM deliveries WHERE "combinesAlert" = ?1 AND "combinesAlert" IS NOT NULL AND "#, is_open!());

fn has_open(rows: RowAccess<'_>, alert: AlertId) -> SqliteResult<bool> {
    Ok(rows.any(HAS_OPEN, [IdBlob::from(alert)])? || rows.any(IS_TOLD_BY_OPEN, [IdBlob::from(alert)])?)
}

/// The alert's document where it can be settled; else what it is.
fn load_standing(
    rows: RowAccess<'_>,
    alert: AlertId,
) -> SqliteResult<std::result::Result<DocumentBytes, SettlingOutcome>> {
    let Some(document) = rows.find(Collection::Alerts, alert)? else {
        return Ok(Err(SettlingOutcome::NotYet));
    };
    let status = raw::lookup(&document, "processing.status")?.and_then(RawValue::as_str);
    let standing = AlertStanding {
        seq: raw::counter(&document, "alertcast.seq")?,
        settled_at: raw::lookup(&document, "alertcast.settledAt")?.and_then(RawValue::as_time),
        status: status.and_then(AlertStatus::from_exact),
    };
    if let Some(settled) = standing.refusal() {
        return Ok(Err(settled));
    }
    if has_open(rows, alert)? {
        return Ok(Err(SettlingOutcome::NotYet));
    }
    Ok(Ok(document))
}

/// The lists, and how often something had been sent again when they were made.
fn prepare(
    rows: RowAccess<'_>,
    alert: AlertId,
    now: Time,
) -> SqliteResult<std::result::Result<(RawEdit, i64), SettlingOutcome>> {
    let kept = match load_standing(rows, alert)? {
        Ok(kept) => kept,
        Err(settled) => return Ok(Err(settled)),
    };
    let recipients = recipients(rows, alert, &kept)?;
    let edit = edit_of(settling::settle(recipients.as_ref(), now)?);
    Ok(Ok((edit, raw::counter(&kept, RESENDS)?)))
}

/// Whom the alert was for, and what they received; none where they are too many to stand in it.
fn recipients(rows: RowAccess<'_>, alert: AlertId, kept: &[u8]) -> SqliteResult<Option<AlertRecipients>> {
    let mut recipients = AlertRecipients::default();
    let mut after = None;
    loop {
        let chunks: Vec<DecisionChunk> = decisions(rows, alert, after, PAGE / 100)?;
        let Some(last) = chunks.last() else { break };
        after = Some(last.last_user);
        for chunk in chunks {
            if !recipients.note_decisions(chunk) {
                return Ok(None);
            }
        }
    }
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = deliveries_of(rows, alert, after.as_deref(), PAGE)?;
        let Some(last) = page.last() else { break };
        after = Some(last.key.bytes.clone());
        for delivery in &page {
            let told_by = delivery.told_in().map(|by| rows.find(Collection::Deliveries, by)).transpose()?.flatten();
            let told_by: Option<Delivery> = told_by.and_then(|bytes| decode(Collection::Deliveries, &bytes).ok());
            recipients.note_delivery(delivery, told_by.as_ref().unwrap_or(delivery));
        }
    }
    for matched in raw::lookup(kept, "processing.matchedUsers")?.map(RawValue::items).into_iter().flatten() {
        let matched = matched?.value;
        let user = matched.field("userId")?.and_then(RawValue::as_id).map(UserId);
        let at = matched.field("deliveredAt")?.and_then(RawValue::as_time);
        let (Some(user), Some(at)) = (user, at) else { continue };
        recipients.delivered_before(user, at);
    }
    Ok(Some(recipients))
}
