//! The last look at the recipient before a message leaves: the delivery was made from what was true then.

use alertcast_core::delivery::{Channel, Delivery, MessageKind};
use alertcast_core::id::UserId;
use alertcast_core::matching::audience::{Audience, UserView};
use alertcast_core::user::UserStatus;
use jiff::tz::TimeZone;

use crate::app::App;

/// Where a message goes now.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum RecipientStatus {
    Reachable {
        /// Chat or address.
        to: String,
        zone: TimeZone,
        /// Whether it is this bot that the person started last. What another bot is told says nothing of this one.
        own_bot: bool,
        /// The chat refused us before: what arrives there shows that it is open again.
        was_blocked: bool,
    },
    /// May not get it any more.
    Barred(&'static str),
    /// Has blocked the bot, and is owed nothing.
    Blocked,
    /// Has an address without a mailbox.
    NoMailbox,
}

/// How the delivery's recipient stands now. `bot`: the lane's.
pub(super) fn find_status(app: &App, delivery: &Delivery, bot: Option<&str>) -> RecipientStatus {
    let Some(user) = delivery.user_id else {
        return RecipientStatus::Reachable {
            to: delivery.to.clone(),
            zone: TimeZone::UTC,
            own_bot: true,
            was_blocked: false,
        };
    };
    app.audience.with(|audience| match audience.user(user) {
        None => RecipientStatus::Barred("the subscriber was removed"),
        Some(view) => judge(&view, delivery, bot),
    })
}

/// The chat that a delivery to this user would go to now, else as it has it: its place in the queue is beside that chat's others.
pub(super) fn address(audience: &Audience, channel: Channel, user: Option<UserId>, to: String) -> String {
    let user = user.filter(|_| channel == Channel::Telegram).and_then(|user| audience.user(user));
    user.and_then(|view| view.place()).unwrap_or(to)
}

/// Whether it tells holders what they must know: it is tried, although the chat refused us before.
const fn is_owed(kind: MessageKind) -> bool {
    match kind {
        MessageKind::Exit | MessageKind::Replacement | MessageKind::Notice => true,
        MessageKind::Entry | MessageKind::Result | MessageKind::Operator | MessageKind::OperatorMore => false,
    }
}

fn judge(user: &UserView<'_>, delivery: &Delivery, bot: Option<&str>) -> RecipientStatus {
    match user.status {
        UserStatus::Active => {}
        UserStatus::Inactive => return RecipientStatus::Barred("the subscriber is inactive"),
        UserStatus::Suspended => return RecipientStatus::Barred("the subscriber is suspended"),
    }
    let zone = user.zone.clone();
    match delivery.channel {
        Channel::Email if !user.notifications.email => {
            RecipientStatus::Barred("the subscriber has switched e-mail off")
        }
        Channel::Email if user.email_bounced => RecipientStatus::NoMailbox,
        Channel::Email => {
            RecipientStatus::Reachable { to: user.email.to_owned(), zone, own_bot: true, was_blocked: false }
        }
        Channel::Telegram if !user.notifications.telegram => {
            RecipientStatus::Barred("the subscriber has switched Telegram off")
        }
        Channel::Telegram if user.chat_blocked && !is_owed(delivery.kind) => RecipientStatus::Blocked,
        Channel::Telegram => match user.place() {
            None => RecipientStatus::Barred("the subscriber has no chat any more"),
            Some(to) => {
                let own_bot = user.bot_id.is_none() || bot.is_none() || user.bot_id == bot;
                RecipientStatus::Reachable { to, zone, own_bot, was_blocked: user.chat_blocked }
            }
        },
    }
}
