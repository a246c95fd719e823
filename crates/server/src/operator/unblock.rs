//! A chat or an address that refused us is written to again.

use alertcast_core::id::UserId;
use alertcast_core::store::{Collection, StoreError};
use alertcast_core::user::{blocked_chat, bounced_email};
use bson::doc;

use super::{ActError, ActionResult, AuditedDeed, OperatorAction, TRIES_MAX};
use crate::base::Base;
use crate::blocked_recipients::{MARKS, unmark_write};

/// Removes the marks that a subscriber's chat or address refuses us: the next message is tried again.
///
/// # Errors
/// `NotFound`, `NotBlocked`, `Busy`, or the store's.
pub async fn unblock(base: &Base, act: &OperatorAction, user: UserId) -> ActionResult<()> {
    for _ in 0..TRIES_MAX {
        let found = base.store.get(Collection::Users, &[user.0]).await?;
        let kept = found.into_iter().next().ok_or(ActError::NotFound)?;
        blocked_chat(&kept).or(bounced_email(&kept)).ok_or(ActError::NotBlocked)?;
        let since = |mark: &str| kept.get_document("alertcast").ok().and_then(|ours| ours.get(mark));
        let deed = AuditedDeed {
            action: "unblock",
            collection: Collection::Users,
            about: user.0,
            before: Some(doc! {
                "alertcast.chatBlockedAt": since("chatBlockedAt"),
                "alertcast.emailBouncedAt": since("emailBouncedAt"),
            }),
            after: None,
        };
        let mut writes = vec![unmark_write(base, user, &kept, &MARKS)];
        writes.extend(act.beside(base, deed)?);
        match base.store.write(writes).await {
            Ok(()) => return Ok(()),
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ActError::Busy)
}
