//! E-mail over SMTP: one message to one person, and what the server's answers mean.
//!
//! lettre makes the mails and speaks SMTP, but not as a whole: its transport tells neither how far a mail had come when
//! something went wrong, nor puts an end to waiting for a server that says nothing. So [`session`] takes the steps one
//! by one over lettre's connection, and knows at each of them what a failure means:
//!
//! | what went wrong | the message |
//! |---|---|
//! | the server cannot be reached, or breaks off or falls silent before it is given the mail | waits; it did not arrive |
//! | … after it was given the mail | is in doubt |
//! | the log-in, or our own address as the sender, is refused for good | waits, and with it all others |
//! | the recipient is refused for good, or the mail is | is dead |
//! | the recipient is refused for now (greylisting) | waits; the server is well |
//! | anything else is refused for now | waits |
//!
//! The password stands in no error and no debug print, and errors hold no address.

mod answer;
mod bounded;
mod html;
mod mail;
mod server;
mod session;

use std::num::NonZeroU32;
use std::sync::Arc;

use alertcast_core::limiter::SendLimits;
use async_trait::async_trait;
use lettre::message::Mailbox;
use url::Url;

pub(crate) use self::mail::subject;
pub use self::server::{MailServer, ServerError};
use self::session::MailSession;
use super::{Channel, ChannelAnswer, OutgoingMessage, SendMode};
use crate::clock::Clock;
use crate::settings::EmailSettings;
use crate::unsubscribe::LinkKey;

/// No limit for an address: mails are few, and the limits for chats are Telegram's.
const ADDRESS_PER_SECOND: u32 = 1_000;
const ADDRESS_PER_MINUTE: u32 = 6_000;

/// The mail server, and how mails look.
#[derive(Debug)]
pub struct EmailChannel {
    line: MailSession,
    from: Mailbox,
    links: Option<UnsubscribeLinks>,
    clock: Arc<dyn Clock>,
}

/// Where a subscriber stops the mails.
#[derive(Debug, Clone)]
pub struct UnsubscribeLinks {
    /// Where the program is reached from outside.
    pub public_url: Url,
    pub key: LinkKey,
}

/// Why no mail can be sent.
#[derive(Debug, thiserror::Error)]
pub enum EmailError {
    #[error("email.smtp_url is not set")]
    NoServer,
    #[error("email.smtp_url {0}")]
    Server(#[from] ServerError),
    #[error("email.from is not set")]
    NoSender,
    #[error("no encrypted connection can be made: {0}")]
    Tls(String),
}

impl EmailChannel {
    /// The mail server of the settings.
    ///
    /// # Errors
    /// The settings name no server or no sender, or the machine's certificates cannot be read.
    pub fn new(
        settings: &EmailSettings,
        links: Option<UnsubscribeLinks>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, EmailError> {
        crate::tls::choose_provider();
        let server = MailServer::read(settings.smtp_url.as_ref().ok_or(EmailError::NoServer)?)?;
        let mut from = settings.from.clone().ok_or(EmailError::NoSender)?;
        from.name = settings.provider.clone().or(from.name);
        let line = MailSession::new(server, from.email.clone(), settings.timeout, Arc::clone(&clock))?;
        Ok(Self { line, from, links, clock })
    }
}

#[async_trait]
impl Channel for EmailChannel {
    async fn send(&self, outgoing: &OutgoingMessage) -> ChannelAnswer {
        if let SendMode::Edit { .. } = outgoing.act {
            return ChannelAnswer::Refused { error: "a mail that was sent cannot be changed".to_owned() };
        }
        let Some(to) = mail::address(&outgoing.to) else {
            return ChannelAnswer::Refused { error: "the address is no e-mail address".to_owned() };
        };
        let link =
            self.links.as_ref().zip(outgoing.user).and_then(|(links, user)| links.key.link(&links.public_url, user));
        match mail::compose(outgoing, &self.from, &to, link.as_deref(), self.clock.now()) {
            Ok(mail) => match self.line.send(&to, &mail).await {
                Ok(()) => ChannelAnswer::Sent { message_id: None },
                Err(trouble) => answer::of(&trouble, &to),
            },
            Err(error) => ChannelAnswer::Refused { error: format!("the mail cannot be made: {error}") },
        }
    }

    async fn check(&self) -> Result<(), String> {
        self.line.check().await.map_err(|trouble| trouble.to_string())
    }
}

/// A lane's share of what the server is given.
#[must_use]
pub fn limits(settings: &EmailSettings) -> SendLimits {
    SendLimits {
        bot_per_second: share(settings.per_second, settings.shards),
        chat_per_second: NonZeroU32::new(ADDRESS_PER_SECOND).unwrap_or(NonZeroU32::MIN),
        group_per_minute: NonZeroU32::new(ADDRESS_PER_MINUTE).unwrap_or(NonZeroU32::MIN),
    }
}

/// How many mails a lane has under way at once.
#[must_use]
pub fn concurrency(settings: &EmailSettings) -> usize {
    usize::try_from(share(settings.concurrency, settings.shards).get()).unwrap_or(1)
}

/// At least one.
fn share(whole: NonZeroU32, shards: NonZeroU32) -> NonZeroU32 {
    NonZeroU32::new(whole.get() / shards.get()).unwrap_or(NonZeroU32::MIN)
}
