//! Intake: from a request to an accepted alert.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bson::oid::ObjectId;
use serde::{Deserialize, Serialize};

use super::StoreResult;
use crate::alert::document::{Alert, PricePoint};
use crate::delivery::Delivery;
use crate::id::{AlertId, ConfigId};
use crate::time::Time;

/// A key that makes a second alert a duplicate of the first until a given moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntakeKey {
    /// A digest; no secret can be read from it.
    pub key: String,
    pub until: Time,
}

/// What became of an alert that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertAcceptance {
    /// It is kept; it will be processed once.
    Stored,
    /// One of its keys is taken; nothing was written.
    Duplicate { of: AlertId },
}

/// A request that is no alert: unreadable, or lacking what the `alerts` schema requires. Or an alert that was accepted
/// (status 202) while the store was away, which then would not have it. The `rejected_webhooks` document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RejectedWebhook {
    #[serde(rename = "_id")]
    pub id: ObjectId,
    pub received_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
    /// The body as text, without secrets, cut to 64 KiB.
    pub body: String,
    /// The URL's query, without secrets.
    pub query: String,
    /// One line each: the field and what to change.
    pub errors: Vec<String>,
    /// The HTTP status that was answered.
    pub status: i32,
}

/// A message to the operators that is sent once, and then counted. If no delivery with `first`'s key exists, `first` is
/// inserted. Otherwise `more` is inserted unless one with its key exists, and its `facts.count` is raised by one where
/// it is still pending.
#[derive(Debug, Clone, PartialEq)]
pub struct OperatorNotice {
    pub first: Delivery,
    /// Its `facts.count` starts at 0.
    pub more: Delivery,
}

/// What the webhook needs.
#[async_trait]
pub trait AlertIntake: Send + Sync + fmt::Debug {
    /// A mark `m` such that every alert of `config` whose acceptance was answered before this call has `seq <= m`, and
    /// every one offered after this is answered has `seq > m`. The caller keeps it in the next alert's
    /// `alertcast.after`.
    async fn receipt_mark(&self, config: ConfigId) -> StoreResult<i64>;

    /// The BUY and SELL prices of a configuration received since `since`: newest first, at most 8. Of the refused ones
    /// only those whose only offence was their price (`alertcast.refusedFor` is `["price_tolerance"]`).
    async fn recent_prices(&self, config: ConfigId, since: Time) -> StoreResult<Vec<PricePoint>>;

    /// The alert that holds one of these keys at `now`.
    async fn find_duplicate(&self, keys: &[IntakeKey], now: Time) -> StoreResult<Option<AlertId>>;

    /// Claims the keys and stores the alert (status `received`), or neither. A key whose `until` is not after `now` is
    /// free. The store sets `alertcast.seq`, higher than that of every alert of its configuration accepted before; those
    /// of different configurations may be alike, and tell of their order only about. Exact under concurrency: of several
    /// alerts with a common key one is stored.
    ///
    /// Dropping the future before the write began cancels it; an alert whose write had begun may still be stored.
    async fn accept_alert(&self, alert: Alert, keys: Vec<IntakeKey>, now: Time) -> StoreResult<AlertAcceptance>;

    /// Keeps an alert that breaks a rule (status `failed`), and tells the operators. Nothing happens where an alert with
    /// its id is kept already.
    async fn refuse_alert(&self, alert: Alert, notices: Vec<OperatorNotice>) -> StoreResult<()>;

    /// Keeps a request that is no alert, and tells the operators. Nothing happens where one with its id is kept already.
    async fn reject_webhook(&self, rejected: RejectedWebhook, notices: Vec<OperatorNotice>) -> StoreResult<()>;
}

/// How long an operation on the intake path may take before the sender is told to come again.
pub const INTAKE_DEADLINE: Duration = Duration::from_secs(2);

/// A store that answers nothing at all for so long is away, and what comes in is kept elsewhere. Whoever shares the store
/// has to notice in less.
pub const SILENCE: Duration = Duration::from_secs(1);
