//! The ways to a subscriber: which channels are switched on and usable, and which lane serves them.

use std::borrow::Cow;

use crate::delivery::{Channel, LaneName, place};
use crate::id::UserId;
use crate::preference::WantedChannels;

use super::audience::UserView;
use super::job::MessageChannels;

/// What a message is for: a blocked chat takes no new entry, but an exit is owed and is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MessagePurpose {
    Entry,
    Exit,
}

/// The channels to one subscriber.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct SubscriberRoutes<'a> {
    user: Option<UserId>,
    /// Bot, chat and topic.
    telegram: Option<(&'a str, &'a str, Option<i64>)>,
    /// Shards and address.
    email: Option<(u32, &'a str)>,
}

/// One channel to one subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SubscriberRoute<'a> {
    pub(super) channel: Channel,
    pub(super) lane: LaneName,
    pub(super) to: Cow<'a, str>,
}

impl<'a> SubscriberRoutes<'a> {
    /// The channels that the user's general switches and the preference's both allow, and that lead somewhere.
    pub(super) fn to(
        user: &UserView<'a>,
        wanted: WantedChannels,
        outlets: &'a MessageChannels,
        purpose: MessagePurpose,
    ) -> Self {
        let bot = user.bot_id.or(outlets.default_bot.as_deref());
        let open = !user.chat_blocked || purpose == MessagePurpose::Exit;
        let telegram = user.notifications.telegram && wanted.telegram && open;
        let has_mailbox = outlets.mail_shards > 0 && !user.email.is_empty() && !user.email_bounced;
        let email = user.notifications.email && wanted.email && has_mailbox;
        Self {
            user: Some(user.id),
            telegram: bot.zip(user.chat_id).filter(|_| telegram).map(|(bot, chat)| (bot, chat, user.topic_id)),
            email: email.then_some((outlets.mail_shards, user.email)),
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.telegram.is_none() && self.email.is_none()
    }

    /// Each channel with its lane.
    pub(super) fn iter(self) -> impl Iterator<Item = SubscriberRoute<'a>> {
        let telegram = self.telegram.map(|(bot, chat, topic)| SubscriberRoute {
            channel: Channel::Telegram,
            lane: LaneName::of_bot(bot),
            to: topic.map_or(Cow::Borrowed(chat), |_| Cow::Owned(place(chat, topic))),
        });
        let email = self.email.zip(self.user).map(|((shards, address), user)| SubscriberRoute {
            channel: Channel::Email,
            lane: LaneName::of_mail_to(user, shards),
            to: Cow::Borrowed(address),
        });
        telegram.into_iter().chain(email)
    }
}
