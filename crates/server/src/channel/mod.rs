//! The ways to a person: a [`Channel`] sends or edits one message once, and says what became of it in words that a courier can
//! act on. When to send, whether again, and what it means for the delivery is the courier's business, not a channel's.

pub mod email;
pub mod message;
pub mod telegram;

use std::fmt;
use std::time::Duration;

use alertcast_core::id::{DeliveryId, UserId};
use async_trait::async_trait;

use self::message::MessageText;

/// One message for one recipient.
#[derive(Debug, Clone)]
pub struct OutgoingMessage {
    /// Whose message it is: an e-mail's Message-ID is made of it.
    pub delivery: DeliveryId,
    /// Whom it is for; none for the operators.
    pub user: Option<UserId>,
    /// Telegram chat or e-mail address.
    pub to: String,
    pub message: MessageText,
    pub form: MessageForm,
    pub act: SendMode,
    /// The delivery that this one answers, where it was sent: e-mails are threaded by it.
    pub answers: Option<DeliveryId>,
    /// An e-mail's subject, where it is not the message's first line.
    pub subject: Option<String>,
    /// What opens an e-mail, where its subject is an older one's.
    pub opening: Option<String>,
}

/// What is done with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendMode {
    /// It is a new one; `reply_to`: the message in the same chat that it answers.
    Send { reply_to: Option<i64> },
    /// It takes the place of this one in the same chat. Telegram alone can do that.
    Edit { message_id: i64 },
}

/// Which form of a message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageForm {
    /// With markup.
    Rich,
    /// As it stands, for when the markup was refused.
    Plain,
}

/// What became of one attempt. Errors are short, and hold neither secrets nor personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelAnswer {
    Sent {
        message_id: Option<i64>,
    },
    /// Too many messages. About the chat or about all of them: the answer does not say.
    Throttled {
        retry_after: RetryAfter,
    },
    /// The chat has this id now.
    Moved {
        chat: String,
    },
    /// The recipient does not let us write to them.
    Blocked {
        error: String,
    },
    /// There is no such mailbox.
    NoMailbox {
        error: String,
    },
    /// The markup is not understood; the same as plain text may be.
    BadMarkup {
        error: String,
    },
    /// The group's topic is not there, or takes no messages; the group itself may.
    NoTopic {
        error: String,
    },
    /// It will never be accepted.
    Refused {
        error: String,
    },
    /// Not now, says the recipient's side (greylisting, a full mailbox): nothing is wrong with the way there.
    Deferred {
        error: String,
    },
    /// Our own credentials are not accepted: nothing is wrong with the message.
    Unauthorized {
        error: String,
    },
    /// `in_doubt`: it may have arrived all the same.
    Failed {
        error: String,
        in_doubt: bool,
    },
}

/// How long a server asks us to wait: to the second, and never longer than an hour. Whatever it said, nobody is silenced for
/// years by one answer; where it asked for more, one message tries each hour whether it still does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryAfter {
    wait: Duration,
    is_cut: bool,
}

impl RetryAfter {
    /// The longest that is obeyed.
    pub const MAX: Duration = Duration::from_secs(60 * 60);
    /// Where it is not said how long.
    pub const UNKNOWN: Self = Self { wait: Duration::from_secs(5), is_cut: false };

    /// What was asked for, in seconds.
    #[must_use]
    pub const fn seconds(asked: u64) -> Self {
        let is_cut = asked > Self::MAX.as_secs();
        let seconds = if is_cut { Self::MAX.as_secs() } else { asked };
        Self { wait: Duration::from_secs(if seconds == 0 { 1 } else { seconds }), is_cut }
    }

    /// How long nothing is sent: from a second to an hour.
    #[must_use]
    pub const fn wait(self) -> Duration {
        self.wait
    }

    /// Whether it asked for longer.
    #[must_use]
    pub const fn is_cut(self) -> bool {
        self.is_cut
    }
}

/// A way to a person.
#[async_trait]
pub trait Channel: Send + Sync + fmt::Debug {
    /// Sends it once. Tries nothing again by itself.
    async fn send(&self, outgoing: &OutgoingMessage) -> ChannelAnswer;

    /// Whether our credentials are accepted, asked without sending anything.
    ///
    /// # Errors
    /// What is wrong, in one line.
    async fn check(&self) -> Result<(), String>;
}
