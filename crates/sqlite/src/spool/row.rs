//! A record's bytes: an operation of intake with its arguments, as BSON.

use alertcast_core::alert::document::Alert;
use alertcast_core::delivery::Delivery;
use alertcast_core::id::AlertId;
use alertcast_core::reading;
use alertcast_core::store::{IntakeKey, OperatorNotice, RejectedWebhook, StoreError, StoreResult};
use alertcast_core::time::Time;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::SpoolEntry;
use crate::engine::rows::encode;
use crate::error::SqliteResult;

/// An entry as its row.
pub(super) struct SpoolRow {
    pub(super) kind: &'static str,
    pub(super) body: Vec<u8>,
    /// Of an accepted alert: its id, its keys, and when they are claimed.
    pub(super) claim: Option<(AlertId, Vec<IntakeKey>, Time)>,
}

impl SpoolRow {
    pub(super) fn of(entry: &SpoolEntry) -> SqliteResult<Self> {
        Ok(match entry {
            SpoolEntry::Accept { alert, keys, now, tried } => {
                let kept = keys.iter().map(|key| KeptKey { key: key.key.clone(), until: key.until }).collect();
                let body = encode(&AcceptedRow { alert: (**alert).clone(), keys: kept, now: *now, tried: *tried })?;
                Self { kind: "accept", body, claim: Some((alert.id, keys.clone(), *now)) }
            }
            SpoolEntry::Refuse { alert, notices } => {
                let body = encode(&RefusedRow { alert: (**alert).clone(), notices: keep_notices(notices) })?;
                Self { kind: "refuse", body, claim: None }
            }
            SpoolEntry::Reject { rejected, notices } => {
                let body = encode(&RejectedRow { rejected: (**rejected).clone(), notices: keep_notices(notices) })?;
                Self { kind: "reject", body, claim: None }
            }
        })
    }
}

#[derive(Serialize, Deserialize)]
struct AcceptedRow {
    alert: Alert,
    keys: Vec<KeptKey>,
    now: Time,
    tried: bool,
}

#[derive(Serialize, Deserialize)]
struct RefusedRow {
    alert: Alert,
    notices: Vec<KeptNotice>,
}

#[derive(Serialize, Deserialize)]
struct RejectedRow {
    rejected: RejectedWebhook,
    notices: Vec<KeptNotice>,
}

#[derive(Serialize, Deserialize)]
struct KeptKey {
    key: String,
    until: Time,
}

#[derive(Serialize, Deserialize)]
struct KeptNotice {
    first: Delivery,
    more: Delivery,
}

fn keep_notices(notices: &[OperatorNotice]) -> Vec<KeptNotice> {
    notices.iter().map(|notice| KeptNotice { first: notice.first.clone(), more: notice.more.clone() }).collect()
}

/// The entry of a row.
pub(super) fn decode(kind: &str, body: &[u8]) -> StoreResult<SpoolEntry> {
    let told = |notices: Vec<KeptNotice>| {
        notices.into_iter().map(|KeptNotice { first, more }| OperatorNotice { first, more }).collect::<Vec<_>>()
    };
    match kind {
        "accept" => {
            let AcceptedRow { alert, keys, now, tried } = body_of(body)?;
            let keys = keys.into_iter().map(|KeptKey { key, until }| IntakeKey { key, until }).collect();
            Ok(SpoolEntry::Accept { alert: Box::new(alert), keys, now, tried })
        }
        "refuse" => {
            let RefusedRow { alert, notices } = body_of(body)?;
            Ok(SpoolEntry::Refuse { alert: Box::new(alert), notices: told(notices) })
        }
        "reject" => {
            let RejectedRow { rejected, notices } = body_of(body)?;
            Ok(SpoolEntry::Reject { rejected: Box::new(rejected), notices: told(notices) })
        }
        other => Err(StoreError::Corrupt(format!("spool: {other:?} is no kind of record"))),
    }
}

fn body_of<T: DeserializeOwned>(body: &[u8]) -> StoreResult<T> {
    reading::decode(body).map_err(|error| StoreError::Corrupt(format!("spool: a record cannot be read: {error}")))
}
