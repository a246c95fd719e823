//! Chats that refused us: whatever shows that such a chat is open again removes the mark with the user. A message that
//! arrived there does, and the person's `/start`; an operator can ([`unblock`](crate::operator::unblock)).

use alertcast_core::id::UserId;
use alertcast_core::store::{Collection, Result, StoreError, Write};
use alertcast_core::user::{CHAT_BLOCK_FIELDS, blocked_chat};
use bson::{Bson, Document, doc};

use crate::app::App;

/// Where others are in the way, it is tried so often.
const TRIES_MAX: u32 = 5;

/// The user's chat takes messages: the mark that it refused us is removed. A mark about another chat stays. Answers
/// whether there was one.
///
/// # Errors
/// Those of the store; `Conflict` where others were in the way all the time.
pub async fn chat_opened(app: &App, user: UserId, chat: &str) -> Result<bool> {
    for _ in 0..TRIES_MAX {
        let Some(kept) = app.store.get(Collection::Users, &[user.0]).await?.into_iter().next() else {
            return Ok(false);
        };
        if blocked_chat(&kept) != Some(chat) {
            return Ok(false);
        }
        match app.store.write(vec![unmarked(app, user, &kept)]).await {
            Ok(()) => return Ok(true),
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error),
        }
    }
    Err(StoreError::Conflict)
}

/// The write that removes the mark, as long as it is the one that was seen.
pub(crate) fn unmarked(app: &App, user: UserId, kept: &Document) -> Write {
    let field = |path: &str| {
        path.split('.').try_fold(None, |within: Option<&Bson>, name| match within {
            None => kept.get(name).map(Some),
            Some(Bson::Document(within)) => within.get(name).map(Some),
            Some(_) => None,
        })
    };
    let seen = |path: &str| (path.to_owned(), field(path).flatten().cloned().unwrap_or(Bson::Null));
    Write::Update {
        collection: Collection::Users,
        id: user.0,
        set: doc! { "updatedAt": app.clock.now() },
        unset: CHAT_BLOCK_FIELDS.map(str::to_owned).to_vec(),
        expect: CHAT_BLOCK_FIELDS.map(seen).to_vec(),
    }
}
