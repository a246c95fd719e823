//! What operators do by hand: one function an action. Each reads, decides by the domain, and commits the act together with
//! its audit entry; where others were in the way it reads and decides again.
//!
//! Documents are made, changed and deleted in `edit`, the same way. Who may do an act is judged before it is called; who may
//! edit which field, here, by what the actor holds. Nothing here knows of HTTP.

mod accept;
mod actor;
mod audit;
mod close;
pub(crate) mod edit;
mod erase;
mod rehearse;
mod resend;
mod subscriptions;
mod unblock;

use alertcast_core::admin::Permission;
use alertcast_core::alert::document::AlertStatus;
use alertcast_core::alert::intent::ReadAs;
use alertcast_core::alert::rule_violation::RuleViolation;
use alertcast_core::delivery::DeliveryState;
use alertcast_core::id::AlertId;
use alertcast_core::store::{Collection, DocumentWrite, StoreError, read};
use alertcast_core::subscription::lifecycle::LifecycleError;
use alertcast_core::time::Time;
use alertcast_core::trade::document::TradeStatus;
use bson::oid::ObjectId;
use serde::de::DeserializeOwned;
use tracing::warn;

pub use self::accept::{accept_refused, accept_rejected};
pub use self::actor::Actor;
pub(crate) use self::audit::AuditedDeed;
pub use self::close::close_trade;
pub use self::erase::{ErasureResult, erase_user};
pub use self::rehearse::{RehearsedRequest, SampleMessage, rehearse};
pub use self::resend::resend;
pub use self::subscriptions::{approve_subscription, cancel_subscription, reject_subscription};
pub use self::unblock::unblock;
use crate::app::App;
use crate::base::Base;

/// Where others are in the way, an act is decided anew so often.
pub(crate) const TRIES_MAX: u32 = 8;

/// One act: who, why, and what is to be committed with it beside its audit entry (the record of an idempotency key, say).
#[derive(Debug, Clone)]
pub struct OperatorAction {
    pub who: Actor,
    pub reason: Option<String>,
    /// When the document had last been changed as the caller has seen it, where nothing is to be done to any other.
    pub seen: Option<Time>,
    pub also: Vec<DocumentWrite>,
}

/// Why an act was not done.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ActError {
    #[error("there is no such document")]
    NotFound,
    #[error("{what} takes the permission {permission}, which {username} has not")]
    NotPermitted { what: String, permission: Permission, username: String },
    #[error("the trade is {0}, not open")]
    NotOpen(TradeStatus),
    #[error("a delivery that is {0} is not sent again: only one that is expired or dead is")]
    NotFailed(DeliveryState),
    #[error("the alert is {0}: only one that was refused or parked can be accepted after the fact")]
    NotRefused(AlertStatus),
    #[error("the alert was understood, and has been parked: it is taken up again as it was, without \"as\"")]
    Understood,
    #[error("{0} needs a side: that of the trade that opens, BUY or SELL")]
    NoSide(ReadAs),
    #[error("{0}")]
    StillUnreadable(String),
    #[error("neither the subscriber's chat nor their address is marked as one that refuses us")]
    NotBlocked,
    /// The subscriber could do nothing with the message.
    #[error("there is nothing to follow any more: {0}")]
    NothingToFollow(&'static str),
    /// Never empty.
    #[error("the alert still breaks {} of the rules", .0.len())]
    StillBroken(Vec<RuleViolation>),
    /// A subscription's rules stand against it. `told` also says who decided before, where somebody has.
    #[error("{told}")]
    Refused { why: LifecycleError, told: String },
    /// Its `alert_id` has been accepted under another id meanwhile.
    #[error("the same alert was accepted as {of}")]
    Duplicate { of: AlertId },
    /// It is not as the caller has seen it.
    #[error("it has been changed meanwhile: read it again")]
    Changed,
    #[error("others were in the way all the time; nothing was changed: try again")]
    Busy,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The result of an act.
pub type ActionResult<T> = std::result::Result<T, ActError>;

/// The document with this id, as its type.
async fn one<T: DeserializeOwned>(base: &Base, collection: Collection, id: ObjectId) -> ActionResult<T> {
    let found = base.store.get(collection, &[id]).await?.into_iter().next().ok_or(ActError::NotFound)?;
    Ok(read(collection, found)?)
}

/// Lets every part of this process see a change that was written. Nothing rests on it: they look by themselves.
async fn show_change(app: &App) {
    if let Err(error) = app.audience.catch_up(&*app.store).await {
        warn!(%error, "a change by an operator is seen a moment later");
    }
}
