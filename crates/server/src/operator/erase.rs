//! Erasing a person.

use alertcast_core::id::UserId;
use alertcast_core::store::{Collection, DocumentWrite, EraseUser, ErasureOutcome, StoreError};
use alertcast_core::user::User;
use bson::{Bson, doc};
use tracing::warn;

use super::{ActError, ActionResult, AuditedDeed, OperatorAction, TRIES_MAX, one};
use crate::app::App;
use crate::base::Base;

/// What erasing a person came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErasureResult {
    /// There was no history: the document is gone.
    Deleted,
    /// The person is gone, the numbers stay.
    Erased(ErasureOutcome),
}

/// Erases a person; one without a history is deleted. May be repeated. `seen`: what the user's document must still hold
/// (field, value), where the caller has looked at it.
///
/// # Errors
/// `NotFound`, `Changed`, `Busy`, or the store's.
pub async fn erase_user(
    app: &App,
    act: &OperatorAction,
    user: UserId,
    seen: Vec<(String, Bson)>,
) -> ActionResult<ErasureResult> {
    let mut expect = seen;
    for _ in 0..TRIES_MAX {
        let kept: User = one(app, Collection::Users, user.0).await?;
        let has_history = app.store.has_history(user).await?;
        let deed = AuditedDeed {
            action: "erase_user",
            collection: Collection::Users,
            about: user.0,
            before: Some(doc! { "status": kept.status }),
            after: Some(doc! { "deleted": !has_history }),
        };
        let also = act.beside(app, deed)?;
        let done = match has_history {
            true => erase(app, user, &mut expect, also).await,
            false => delete(app, user, &mut expect, also).await,
        };
        match done {
            Ok(erasure) => {
                app.audience.catch_up(&*app.store).await?;
                return Ok(erasure);
            }
            Err(StoreError::Conflict) if !expect.is_empty() => return Err(ActError::Changed),
            // A history has begun meanwhile, or others were in the way.
            Err(StoreError::Conflict | StoreError::MissingReference { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ActError::Busy)
}

type ExpectedFields = Vec<(String, Bson)>;

/// Erases first: the audit log may tell of the person. A crash between the two leaves a person who is erased; repeated,
/// this deletes what is left.
async fn delete(
    base: &Base,
    user: UserId,
    expect: &mut ExpectedFields,
    mut also: Vec<DocumentWrite>,
) -> std::result::Result<ErasureResult, StoreError> {
    erase(base, user, expect, Vec::new()).await?;
    also.push(DocumentWrite::Delete { collection: Collection::Users, id: user.0 });
    base.store.write(also).await?;
    Ok(ErasureResult::Deleted)
}

async fn erase(
    base: &Base,
    user: UserId,
    expect: &mut ExpectedFields,
    also: Vec<DocumentWrite>,
) -> std::result::Result<ErasureResult, StoreError> {
    let now = base.clock.now();
    let erased = base.store.erase_user(EraseUser { user, now, expect: expect.clone(), also }).await?;
    // From here on it is this that has changed the user.
    expect.clear();
    for alert in &erased.settle {
        if let Err(error) = base.store.settle(*alert, now).await {
            warn!(%alert, %error, "an alert is not settled now; the courier looks for such");
        }
    }
    Ok(ErasureResult::Erased(erased))
}
