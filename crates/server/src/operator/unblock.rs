//! A chat or an address that refused us is written to again.

use alertcast_core::id::UserId;
use alertcast_core::store::{Collection, StoreError};
use alertcast_core::user::{blocked_chat, bounced_email};
use bson::doc;

use super::{Act, ActError, Deed, Result, TRIES_MAX};
use crate::app::App;
use crate::blocking::{MARKS, unmarked};

/// Removes the marks that a subscriber's chat or address refuses us: the next message is tried again.
///
/// # Errors
/// `NotFound`, `NotBlocked`, `Busy`, or the store's.
pub async fn unblock(app: &App, act: &Act, user: UserId) -> Result<()> {
    for _ in 0..TRIES_MAX {
        let found = app.store.get(Collection::Users, &[user.0]).await?;
        let kept = found.into_iter().next().ok_or(ActError::NotFound)?;
        blocked_chat(&kept).or(bounced_email(&kept)).ok_or(ActError::NotBlocked)?;
        let since = |mark: &str| kept.get_document("alertcast").ok().and_then(|ours| ours.get(mark));
        let deed = Deed {
            action: "unblock",
            collection: Collection::Users,
            about: user.0,
            before: Some(doc! {
                "alertcast.chatBlockedAt": since("chatBlockedAt"),
                "alertcast.emailBouncedAt": since("emailBouncedAt"),
            }),
            after: None,
        };
        let mut writes = vec![unmarked(app, user, &kept, &MARKS)];
        writes.extend(act.beside(app, deed)?);
        match app.store.write(writes).await {
            Ok(()) => return Ok(()),
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ActError::Busy)
}
