//! Telegram's Bot API: one `sendMessage` or `editMessageText`, and what its answer means.
//!
//! The token is part of the path that is asked for. It stands in no error and no debug print: the client names no path in
//! either, and the paths are kept where `Debug` does not look.

mod answer;

use std::fmt;

use alertcast_core::delivery::{chat_of, topic_of};
use alertcast_core::limiter::SendLimits;
use async_trait::async_trait;
use frankenstein::ParseMode;
use frankenstein::methods::{EditMessageTextParams, SendMessageParams};
use frankenstein::types::{ChatId, LinkPreviewOptions, ReplyParameters};
use hyper::Uri;
use hyper::body::Bytes;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use url::Url;

use self::answer::{answer_edit, classify, clip, unreadable};
use super::{Channel, ChannelAnswer, MessageForm, OutgoingMessage, SendMode};
use crate::http_client::{ConnectorError, HttpClient, HttpFailure};
use crate::settings::{TelegramSettings, bot_id};

/// Without paid broadcasts a bot may send this many messages a second.
const FREE_PER_SECOND: u32 = 30;

/// One bot.
#[derive(Debug)]
pub struct TelegramChannel {
    http: HttpClient,
    paths: BotPaths,
    /// The settings ask for more than is free of charge.
    paid_broadcast: bool,
}

/// Where a bot is asked for what. They hold the token.
struct BotPaths {
    send_message: Uri,
    edit_message_text: Uri,
    get_me: Uri,
}

impl fmt::Debug for BotPaths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BotPaths(…)")
    }
}

/// Why a bot cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelegramError {
    #[error("a bot's token has the form 123456:ABC…")]
    Token,
    #[error("telegram.api_url is not an http or https address")]
    Url,
    #[error("the HTTP client cannot be made: {0}")]
    Client(String),
}

impl TelegramChannel {
    /// The bot with this token.
    ///
    /// # Errors
    /// The token is not of the right form, or no HTTP client can be made.
    pub fn new(settings: &TelegramSettings, token: &SecretString) -> Result<Self, TelegramError> {
        bot_id(token).ok_or(TelegramError::Token)?;
        let path = |method| bot_path(&settings.api_url, token, method).ok_or(TelegramError::Url);
        Ok(Self {
            http: client(settings)?,
            paths: BotPaths {
                send_message: path("sendMessage")?,
                edit_message_text: path("editMessageText")?,
                get_me: path("getMe")?,
            },
            paid_broadcast: settings.limits.bot_per_second.get() > FREE_PER_SECOND,
        })
    }

    /// What to ask for. None where it names a message that cannot be there.
    fn request(&self, outgoing: &OutgoingMessage) -> Option<(&Uri, serde_json::Result<Bytes>)> {
        Some(match outgoing.act {
            SendMode::Send { reply_to } => {
                let reply_to = reply_to.and_then(|id| i32::try_from(id).ok());
                (&self.paths.send_message, to_json(&self.new_message(outgoing, reply_to)))
            }
            SendMode::Edit { message_id } => {
                let message_id = i32::try_from(message_id).ok()?;
                (&self.paths.edit_message_text, to_json(&edited_message(outgoing, message_id)))
            }
        })
    }

    async fn ask(&self, path: &Uri, body: serde_json::Result<Bytes>) -> ChannelAnswer {
        let body = match body {
            Ok(body) => body,
            Err(error) => return ChannelAnswer::Failed { error: clip(&error.to_string()), in_doubt: false },
        };
        match self.http.post(path, body).await {
            Ok(answer) => classify(answer.status, &answer.body),
            Err(HttpFailure::TooLong { status }) => unreadable(status),
            Err(failure) => ChannelAnswer::Failed { error: describe(&failure), in_doubt: failure.is_in_doubt() },
        }
    }

    fn new_message(&self, outgoing: &OutgoingMessage, reply_to: Option<i32>) -> SendMessageParams {
        SendMessageParams::builder()
            .chat_id(chat_id(&outgoing.to))
            .maybe_message_thread_id(topic_of(&outgoing.to).and_then(|topic| i32::try_from(topic).ok()))
            .text(text(outgoing))
            .maybe_parse_mode(parse_mode(outgoing))
            .link_preview_options(LinkPreviewOptions::DISABLED)
            .maybe_allow_paid_broadcast(self.paid_broadcast.then_some(true))
            .maybe_reply_parameters(reply_to.map(|message_id| {
                // The subscriber may have deleted the entry; that must not keep its exit away.
                ReplyParameters::builder().message_id(message_id).allow_sending_without_reply(true).build()
            }))
            .build()
    }
}

#[async_trait]
impl Channel for TelegramChannel {
    async fn send(&self, outgoing: &OutgoingMessage) -> ChannelAnswer {
        let Some((path, body)) = self.request(outgoing) else {
            return ChannelAnswer::Refused { error: "there is no message of that number".to_owned() };
        };
        match (outgoing.act, self.ask(path, body).await) {
            (SendMode::Edit { message_id }, answer) => answer_edit(message_id, answer),
            (SendMode::Send { .. }, answer) => answer,
        }
    }

    async fn check(&self) -> Result<(), String> {
        match self.ask(&self.paths.get_me, Ok(Bytes::from_static(b"{}"))).await {
            ChannelAnswer::Sent { .. } => Ok(()),
            ChannelAnswer::Throttled { .. } | ChannelAnswer::Moved { .. } => Err("Telegram asks to wait".to_owned()),
            ChannelAnswer::Blocked { error }
            | ChannelAnswer::NoMailbox { error }
            | ChannelAnswer::BadMarkup { error }
            | ChannelAnswer::NoTopic { error }
            | ChannelAnswer::Refused { error }
            | ChannelAnswer::Deferred { error }
            | ChannelAnswer::Unauthorized { error }
            | ChannelAnswer::Failed { error, .. } => Err(error),
        }
    }
}

fn edited_message(outgoing: &OutgoingMessage, message_id: i32) -> EditMessageTextParams {
    EditMessageTextParams::builder()
        .chat_id(chat_id(&outgoing.to))
        .message_id(message_id)
        .text(text(outgoing))
        .maybe_parse_mode(parse_mode(outgoing))
        .link_preview_options(LinkPreviewOptions::DISABLED)
        .build()
}

fn text(outgoing: &OutgoingMessage) -> &str {
    match outgoing.form {
        MessageForm::Rich => &outgoing.message.html,
        MessageForm::Plain => &outgoing.message.plain,
    }
}

const fn parse_mode(outgoing: &OutgoingMessage) -> Option<ParseMode> {
    match outgoing.form {
        MessageForm::Rich => Some(ParseMode::Html),
        MessageForm::Plain => None,
    }
}

/// What asks the Bot API.
///
/// # Errors
/// The settings make none.
pub(crate) fn client(settings: &TelegramSettings) -> Result<HttpClient, TelegramError> {
    HttpClient::new(&settings.api_url, settings.concurrency, settings.timeout).map_err(|error| match error {
        ConnectorError::Address => TelegramError::Url,
        error @ (ConnectorError::Proxy | ConnectorError::Certificates(_)) => TelegramError::Client(error.to_string()),
    })
}

/// Where a bot is asked for this. It holds the token.
pub(crate) fn bot_path(api_url: &Url, token: &SecretString, method: &str) -> Option<Uri> {
    let base = api_url.as_str().trim_end_matches('/');
    let url = Url::parse(&format!("{base}/bot{}/{method}", token.expose_secret())).ok()?;
    url.path().parse().ok()
}

pub(crate) fn to_json(params: &impl Serialize) -> serde_json::Result<Bytes> {
    serde_json::to_vec(params).map(Bytes::from)
}

fn chat_id(to: &str) -> ChatId {
    let to = chat_of(to);
    to.parse().map_or_else(|_| ChatId::String(to.to_owned()), ChatId::Integer)
}

/// Why there is no answer, in a line.
pub(crate) fn describe(failure: &HttpFailure) -> String {
    let what = match failure {
        HttpFailure::Unreachable(_) => "Telegram cannot be reached",
        HttpFailure::TimedOut { .. } => "Telegram did not answer in time",
        HttpFailure::Lost { .. } => "the connection to Telegram was lost",
        HttpFailure::TooLong { .. } => "Telegram's answer has no end",
    };
    let cause = failure.cause().map(|cause| format!(": {cause}")).unwrap_or_default();
    clip(&format!("{what}{cause}"))
}

/// Telegram's limits as they are set.
#[must_use]
pub const fn limits(settings: &TelegramSettings) -> SendLimits {
    let limits = settings.limits;
    SendLimits {
        bot_per_second: limits.bot_per_second,
        chat_per_second: limits.chat_per_second,
        group_per_minute: limits.group_per_minute,
    }
}
