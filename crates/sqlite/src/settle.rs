//! Settling an alert: once no delivery of it is open, who got it is written into it. The lists are made by a reader; the
//! writer only checks again and writes.

use alertcast_core::alert::document::AlertStatus;
use alertcast_core::alert::settling::{self, AlertStanding, Recipients};
use alertcast_core::decision::DecisionChunk;
use alertcast_core::delivery::Delivery;
use alertcast_core::id::{AlertId, UserId};
use alertcast_core::store::{Collection, Result as StoreResult, Settled};
use alertcast_core::time::Time;

use crate::documents::{bound, decisions, deliveries_of};
use crate::failpoints::Op;
use crate::fault::Result;
use crate::queue::Lane;
use crate::raw::{self, Edit, Value};
use crate::rows::{Blob, Bytes, Rows, decode};
use crate::schema::UNSETTLED;
use crate::store::SqliteStore;
use crate::working_set::edit_of;

/// How many decision chunks or deliveries are in memory at once.
const PAGE: usize = 1_000;

/// Raised by each resend of one of the alert's deliveries.
pub(crate) const RESENDS: &str = "alertcast.resends";

pub(crate) async fn settle(store: &SqliteStore, alert: AlertId, now: Time) -> StoreResult<Settled> {
    let edit = match store.read(move |rows| prepare(rows, alert, now)).await? {
        Ok(edit) => edit,
        Err(settled) => return Ok(settled),
    };
    let (edit, resends) = edit;
    store
        .write(Lane::Short, Op::Settle, move |tx| match standing(tx.rows, alert)? {
            // One that was sent again, and has ended again, is not in the lists.
            Ok(document) if raw::counter(&document, RESENDS)? != resends => Ok(Settled::NotYet),
            Ok(document) => {
                tx.rows.edit(Collection::Alerts, &document, &edit)?;
                Ok(Settled::Now)
            }
            Err(settled) => Ok(settled),
        })
        .await
}

pub(crate) fn unsettled(rows: Rows<'_>, after: Option<AlertId>, limit: usize) -> Result<Vec<AlertId>> {
    let after = after.map_or_else(Vec::new, |alert| alert.bytes().to_vec());
    rows.all(&unsettled_sql(), (after, bound(limit)), |row| Ok(AlertId(row.get::<_, Blob>(0)?.id())))
}

pub(crate) fn unsettled_sql() -> String {
    format!(
        r#"SELECT "_id" FROM alerts INDEXED BY "alerts.unsettled" WHERE {UNSETTLED} AND "_id" > ?1 ORDER BY "_id" LIMIT ?2"#
    )
}

pub(crate) const HAS_OPEN: &str =
    r#"SELECT 1 FROM deliveries WHERE "alertId" = ?1 AND "state" IN ('pending', 'sending', 'held')"#;

/// An entry that is superseded is as open as the exit that tells it.
pub(crate) const IS_TOLD_BY_OPEN: &str = r#"SELECT 1 FROM deliveries
    WHERE "combinesAlert" = ?1 AND "combinesAlert" IS NOT NULL AND "state" IN ('pending', 'sending', 'held')"#;

fn has_open(rows: Rows<'_>, alert: AlertId) -> Result<bool> {
    Ok(rows.any(HAS_OPEN, [Blob::from(alert)])? || rows.any(IS_TOLD_BY_OPEN, [Blob::from(alert)])?)
}

/// The alert's document where it can be settled; else what it is.
fn standing(rows: Rows<'_>, alert: AlertId) -> Result<std::result::Result<Bytes, Settled>> {
    let Some(document) = rows.find(Collection::Alerts, alert)? else {
        return Ok(Err(Settled::NotYet));
    };
    let status = raw::lookup(&document, "processing.status")?.and_then(Value::as_str);
    let standing = AlertStanding {
        seq: raw::counter(&document, "alertcast.seq")?,
        settled_at: raw::lookup(&document, "alertcast.settledAt")?.and_then(Value::as_time),
        status: status.and_then(AlertStatus::from_exact),
    };
    if let Some(settled) = standing.refusal() {
        return Ok(Err(settled));
    }
    if has_open(rows, alert)? {
        return Ok(Err(Settled::NotYet));
    }
    Ok(Ok(document))
}

/// The lists, and how often something had been sent again when they were made.
fn prepare(rows: Rows<'_>, alert: AlertId, now: Time) -> Result<std::result::Result<(Edit, i64), Settled>> {
    let kept = match standing(rows, alert)? {
        Ok(kept) => kept,
        Err(settled) => return Ok(Err(settled)),
    };
    let recipients = recipients(rows, alert, &kept)?;
    let edit = edit_of(&settling::settle(recipients.as_ref(), now)?);
    Ok(Ok((edit, raw::counter(&kept, RESENDS)?)))
}

/// Whom the alert was for, and what they received; none where they are too many to stand in it.
fn recipients(rows: Rows<'_>, alert: AlertId, kept: &[u8]) -> Result<Option<Recipients>> {
    let mut recipients = Recipients::default();
    let mut after = None;
    loop {
        let chunks: Vec<DecisionChunk> = decisions(rows, alert, after, PAGE / 100)?;
        let Some(last) = chunks.last() else { break };
        after = Some(last.last_user);
        for chunk in chunks {
            if !recipients.decided(chunk) {
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
            recipients.delivered(delivery, told_by.as_ref().unwrap_or(delivery));
        }
    }
    for matched in raw::lookup(kept, "processing.matchedUsers")?.map(Value::items).into_iter().flatten() {
        let matched = matched?.value;
        let user = matched.field("userId")?.and_then(Value::as_id).map(UserId);
        let at = matched.field("deliveredAt")?.and_then(Value::as_time);
        let (Some(user), Some(at)) = (user, at) else { continue };
        recipients.delivered_before(user, at);
    }
    Ok(Some(recipients))
}
