//! Settling an alert: once no delivery of it is open, who got it is written into it. The lists are made by a reader; the
//! writer only checks again and writes.

use std::collections::HashMap;

use alertcast_core::alert::document::{AlertStatus, MatchedUser, RECIPIENTS_INLINE_MAX, TradeActionTaken};
use alertcast_core::decision::{Decision, DecisionChunk, Verdict};
use alertcast_core::delivery::{Delivery, DeliveryState, MessageKind};
use alertcast_core::id::{AlertId, SubscriptionId, UserId};
use alertcast_core::store::{Collection, Result as StoreResult, Settled, document};
use alertcast_core::time::Time;
use bson::Bson;

use crate::documents::{bound, decisions, deliveries_of};
use crate::ended::Kept;
use crate::failpoints::Op;
use crate::fault::Result;
use crate::queue::Lane;
use crate::raw::{self, Edit, Value};
use crate::rows::{Blob, Bytes, Rows};
use crate::schema::UNSETTLED;
use crate::store::SqliteStore;

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
    if raw::lookup(&document, "alertcast.settledAt")?.and_then(Value::as_time).is_some() {
        return Ok(Err(Settled::Before));
    }
    let status = raw::lookup(&document, "processing.status")?.and_then(Value::as_str);
    if status != Some(AlertStatus::Processed.as_str()) || has_open(rows, alert)? {
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
    let mut edit = Edit::new();
    edit.set("alertcast.settledAt", now);
    edit.set("updatedAt", now);
    match matched(rows, alert)? {
        Some(matched) => {
            let mut received = received(rows, alert)?;
            keep_earlier(&mut received, &kept)?;
            write_lists(&mut edit, &matched, &received)?;
        }
        None => edit.set("alertcast.recipientsIn", "deliveries"),
    }
    Ok(Ok((edit, raw::counter(&kept, RESENDS)?)))
}

/// What was delivered when the alert was settled before stays so: its deliveries may not be kept any more.
fn keep_earlier(received: &mut HashMap<UserId, Received>, alert: &[u8]) -> Result<()> {
    for matched in raw::lookup(alert, "processing.matchedUsers")?.map(Value::items).into_iter().flatten() {
        let matched = matched?.value;
        let user = matched.field("userId")?.and_then(Value::as_id).map(UserId);
        let at = matched.field("deliveredAt")?.and_then(Value::as_time);
        let (Some(user), Some(at)) = (user, at) else { continue };
        received.entry(user).or_default().arrived(at);
    }
    Ok(())
}

/// The decisions about those whom the alert was for; none where they are too many to stand in it.
fn matched(rows: Rows<'_>, alert: AlertId) -> Result<Option<Vec<Decision>>> {
    let mut matched = Vec::new();
    let mut after = None;
    loop {
        let chunks: Vec<DecisionChunk> = decisions(rows, alert, after, PAGE / 100)?;
        let Some(last) = chunks.last() else { break };
        after = Some(last.last_user);
        let all = chunks.into_iter().flat_map(|chunk| chunk.decisions);
        matched.extend(all.filter(|decision| decision.verdict == Verdict::Sent || !decision.actions.is_empty()));
        if matched.len() > RECIPIENTS_INLINE_MAX {
            return Ok(None);
        }
    }
    Ok(Some(matched))
}

/// What a user's deliveries of one alert came to.
#[derive(Debug, Default)]
struct Received {
    subscription: Option<SubscriptionId>,
    /// The first time that any channel delivered.
    delivered_at: Option<Time>,
    error: Option<String>,
}

impl Received {
    fn arrived(&mut self, at: Time) {
        self.delivered_at = Some(self.delivered_at.map_or(at, |first| first.min(at)));
    }
}

fn received(rows: Rows<'_>, alert: AlertId) -> Result<HashMap<UserId, Received>> {
    let mut received: HashMap<UserId, Received> = HashMap::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = deliveries_of(rows, alert, after.as_deref(), PAGE)?;
        let Some(last) = page.last() else { break };
        after = Some(last.key.bytes.clone());
        for delivery in page.into_iter().filter(|delivery| delivery.kind != MessageKind::Result) {
            if let Some(user) = delivery.user_id {
                note(rows, received.entry(user).or_default(), delivery)?;
            }
        }
    }
    Ok(received)
}

fn note(rows: Rows<'_>, received: &mut Received, delivery: Delivery) -> Result<()> {
    received.subscription = received.subscription.or(delivery.subscription_id);
    // What was told in another message arrived where that one did.
    let told_by = delivery.superseded_by.map(|by| Kept::load(rows, by)).transpose()?.flatten();
    let told_by = told_by.map_or(delivery, |kept| kept.delivery);
    if told_by.state == DeliveryState::Sent {
        let at = told_by.ended_at.unwrap_or(told_by.updated_at);
        received.arrived(at);
    } else {
        received.error = received.error.take().or(told_by.last_error);
    }
    Ok(())
}

fn write_lists(edit: &mut Edit, matched: &[Decision], received: &HashMap<UserId, Received>) -> Result<()> {
    let mut users = Vec::with_capacity(matched.len());
    let mut actions = Vec::new();
    let nothing = Received::default();
    for decision in matched {
        let received = received.get(&decision.user).unwrap_or(&nothing);
        let user = MatchedUser {
            user_id: decision.user,
            subscription_id: decision.subscription.or(received.subscription).unwrap_or(SubscriptionId::MIN),
            delivered: received.delivered_at.is_some(),
            delivered_at: received.delivered_at,
            error: received.error.clone().filter(|_| received.delivered_at.is_none()),
        };
        users.push(Bson::Document(document(&user)?));
        for action in &decision.actions {
            let action = TradeActionTaken { action: action.action, trade_id: action.trade, user_id: decision.user };
            actions.push(Bson::Document(document(&action)?));
        }
    }
    edit.set("processing.matchedUsers", users);
    edit.set("processing.tradeActions", actions);
    Ok(())
}
