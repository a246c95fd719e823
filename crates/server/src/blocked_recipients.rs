//! Chats and mailboxes that refused us. Whatever shows that such a chat is open again removes the mark with the user: a
//! message that arrived there does, and the person's `/start`. Another chat or address is written to; an operator can
//! remove both marks ([`unblock`](crate::operator::unblock)).

use alertcast_core::id::UserId;
use alertcast_core::store::{Collection, DocumentWrite, StoreError, StoreResult};
use alertcast_core::user::{BOUNCE_FIELDS, CHAT_BLOCK_FIELDS, RefusingRecipient, blocked_chat};
use bson::{Bson, Document, doc};

use crate::base::Base;
use crate::notices::NoticeTrouble;

/// Where others are in the way, it is tried so often.
const TRIES_MAX: u32 = 5;

/// The marks of a user's chat and address.
pub(crate) const MARKS: [&str; 4] = [CHAT_BLOCK_FIELDS[0], CHAT_BLOCK_FIELDS[1], BOUNCE_FIELDS[0], BOUNCE_FIELDS[1]];

/// The user's chat takes messages: the mark that it refused us is removed. A mark about another chat stays. Answers
/// whether there was one.
///
/// # Errors
/// Those of the store; `Conflict` where others were in the way all the time.
pub async fn chat_opened(base: &Base, user: UserId, chat: &str) -> StoreResult<bool> {
    for _ in 0..TRIES_MAX {
        let Some(kept) = base.store.get(Collection::Users, &[user.0]).await?.into_iter().next() else {
            return Ok(false);
        };
        if blocked_chat(&kept) != Some(chat) {
            return Ok(false);
        }
        match base.store.write(vec![unmark_write(base, user, &kept, &CHAT_BLOCK_FIELDS)]).await {
            Ok(()) => return Ok(true),
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error),
        }
    }
    Err(StoreError::Conflict)
}

/// What the operators hear of a subscriber who will have no messages any more. Said once for many.
pub(crate) fn trouble(user: UserId, refuser: &RefusingRecipient) -> NoticeTrouble {
    let (group, title, sorted, ends) = match refuser {
        RefusingRecipient::Chat(_) => (
            "chat blocked",
            "A subscriber has blocked the bot",
            "chatBlockedAt",
            "No entries go to that chat until a message arrives there, they have another chat, or you unblock them",
        ),
        RefusingRecipient::Mailbox(_) => (
            "no mailbox",
            "A subscriber's e-mail address has no mailbox",
            "emailBouncedAt",
            "No mail goes there until they have another address, or you unblock them",
        ),
    };
    let lines =
        vec![format!("Subscriber {user}"), ends.to_owned(), format!("All of them: GET /api/v1/users?sort=-{sorted}")];
    NoticeTrouble { group: group.to_owned(), title: title.to_owned(), lines, alert: None }
}

/// The write that removes marks, as long as they are those that were seen.
pub(crate) fn unmark_write(base: &Base, user: UserId, kept: &Document, fields: &[&str]) -> DocumentWrite {
    let field = |path: &str| {
        path.split('.').try_fold(None, |within: Option<&Bson>, name| match within {
            None => kept.get(name).map(Some),
            Some(Bson::Document(within)) => within.get(name).map(Some),
            Some(_) => None,
        })
    };
    let seen = |path: &str| (path.to_owned(), field(path).flatten().cloned().unwrap_or(Bson::Null));
    DocumentWrite::Update {
        collection: Collection::Users,
        id: user.0,
        set: doc! { "updatedAt": base.clock.now() },
        unset: fields.iter().map(|field| (*field).to_owned()).collect(),
        expect: fields.iter().copied().map(seen).collect(),
    }
}
