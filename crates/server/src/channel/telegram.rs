//! Telegram's Bot API: one `sendMessage` or `editMessageText`, and what its answer means.
//!
//! The token is part of the URL. It stands in no error and no debug print: errors are stripped of their URL, and the
//! URL is kept where `Debug` does not look.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::time::Duration;

use alertcast_core::limiter::Limits;
use async_trait::async_trait;
use frankenstein::ParseMode;
use frankenstein::methods::{EditMessageTextParams, SendMessageParams};
use frankenstein::types::{ChatId, LinkPreviewOptions, ReplyParameters};
use reqwest::{Client, RequestBuilder, Response, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::{Act, Answer, Channel, Form, Letter};
use crate::settings::{TelegramSettings, bot_id};

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Unused connections are closed before the other side does so: a request on a closed connection is in doubt.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Answers to a sent message are a few hundred bytes; what is longer than this is none.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Without paid broadcasts a bot may send this many messages a second.
const FREE_PER_SECOND: u32 = 30;
/// Where a 429 does not say how long.
const RETRY_AFTER_UNKNOWN: Duration = Duration::from_secs(5);
const ERROR_CHARS_MAX: usize = 300;

/// One bot.
#[derive(Debug)]
pub struct Telegram {
    http: Client,
    urls: Urls,
    /// The settings ask for more than is free of charge.
    paid_broadcast: bool,
}

/// Addresses that hold the token.
struct Urls {
    send_message: Url,
    edit_message_text: Url,
    get_me: Url,
}

impl fmt::Debug for Urls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Urls(…)")
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
    Client(reqwest::Error),
}

impl Telegram {
    /// The bot with this token.
    ///
    /// # Errors
    /// The token is not of the right form, or no HTTP client can be made.
    pub fn new(settings: &TelegramSettings, token: &SecretString) -> Result<Self, TelegramError> {
        bot_id(token).ok_or(TelegramError::Token)?;
        let url = |method: &str| {
            let base = settings.api_url.as_str().trim_end_matches('/');
            Url::parse(&format!("{base}/bot{}/{method}", token.expose_secret())).map_err(|_| TelegramError::Url)
        };
        Ok(Self {
            http: client(settings)?,
            urls: Urls {
                send_message: url("sendMessage")?,
                edit_message_text: url("editMessageText")?,
                get_me: url("getMe")?,
            },
            paid_broadcast: settings.limits.bot_per_second.get() > FREE_PER_SECOND,
        })
    }

    /// What to ask for. None where it names a message that cannot be there.
    fn request(&self, letter: &Letter) -> Option<RequestBuilder> {
        Some(match letter.act {
            Act::Send { reply_to } => {
                let reply_to = reply_to.and_then(|id| i32::try_from(id).ok());
                self.http.post(self.urls.send_message.clone()).json(&self.new_message(letter, reply_to))
            }
            Act::Edit { message_id } => {
                let message_id = i32::try_from(message_id).ok()?;
                self.http.post(self.urls.edit_message_text.clone()).json(&edited_message(letter, message_id))
            }
        })
    }

    fn new_message(&self, letter: &Letter, reply_to: Option<i32>) -> SendMessageParams {
        SendMessageParams::builder()
            .chat_id(chat_id(&letter.to))
            .text(text(letter))
            .maybe_parse_mode(parse_mode(letter))
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
impl Channel for Telegram {
    async fn send(&self, letter: &Letter) -> Answer {
        let Some(request) = self.request(letter) else {
            return Answer::Refused { error: "there is no message of that number".to_owned() };
        };
        let answer = match request.send().await {
            Ok(response) => read_answer(response).await,
            Err(error) => failure(error),
        };
        match (letter.act, answer) {
            (Act::Edit { message_id }, answer) => edited(message_id, answer),
            (Act::Send { .. }, answer) => answer,
        }
    }

    async fn check(&self) -> Result<(), String> {
        let answer = match self.http.post(self.urls.get_me.clone()).send().await {
            Ok(response) => read_answer(response).await,
            Err(error) => failure(error),
        };
        match answer {
            Answer::Sent { .. } => Ok(()),
            Answer::Throttled { .. } => Err("Telegram asks to wait".to_owned()),
            Answer::Blocked { error }
            | Answer::BadMarkup { error }
            | Answer::Refused { error }
            | Answer::Deferred { error }
            | Answer::Unauthorized { error }
            | Answer::Failed { error, .. } => Err(error),
        }
    }
}

fn edited_message(letter: &Letter, message_id: i32) -> EditMessageTextParams {
    EditMessageTextParams::builder()
        .chat_id(chat_id(&letter.to))
        .message_id(message_id)
        .text(text(letter))
        .maybe_parse_mode(parse_mode(letter))
        .link_preview_options(LinkPreviewOptions::DISABLED)
        .build()
}

fn text(letter: &Letter) -> &str {
    match letter.form {
        Form::Rich => &letter.message.html,
        Form::Plain => &letter.message.plain,
    }
}

const fn parse_mode(letter: &Letter) -> Option<ParseMode> {
    match letter.form {
        Form::Rich => Some(ParseMode::Html),
        Form::Plain => None,
    }
}

/// What an answer means for an edit: one that was made already, by an attempt that was in doubt, is as good as made now.
fn edited(message_id: i64, answer: Answer) -> Answer {
    match answer {
        Answer::Sent { .. } => Answer::Sent { message_id: Some(message_id) },
        Answer::Refused { error } if error.to_ascii_lowercase().contains("message is not modified") => {
            Answer::Sent { message_id: Some(message_id) }
        }
        answer => answer,
    }
}

pub(crate) fn client(settings: &TelegramSettings) -> Result<Client, TelegramError> {
    crate::tls::choose_provider();
    Client::builder()
        .user_agent(concat!("alertcast/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(settings.timeout)
        .pool_max_idle_per_host(settings.concurrency.max(1))
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tcp_nodelay(true)
        // The token must not travel to wherever an answer points.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| TelegramError::Client(error.without_url()))
}

fn chat_id(to: &str) -> ChatId {
    to.parse().map_or_else(|_| ChatId::String(to.to_owned()), ChatId::Integer)
}

/// No answer came: was the request written?
fn failure(error: reqwest::Error) -> Answer {
    let error = error.without_url();
    let not_written = error.is_connect() || error.is_builder() || broken_pipe(&error);
    Answer::Failed { error: describe(&error), in_doubt: !not_written }
}

/// Writing fails so when the other side had closed the connection before: then it did not read the request. A request
/// of which a part was read is not acted on.
fn broken_pipe(error: &reqwest::Error) -> bool {
    sources(error)
        .any(|source| source.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe))
}

pub(crate) fn describe(error: &reqwest::Error) -> String {
    let what = if error.is_timeout() {
        "Telegram did not answer in time"
    } else if error.is_connect() {
        "Telegram cannot be reached"
    } else {
        "the connection to Telegram was lost"
    };
    let cause = sources(error).last().map(|cause| format!(": {cause}")).unwrap_or_default();
    clip(&format!("{what}{cause}"))
}

fn sources(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |&error| error.source())
}

/// What the Bot API answers. The crate's own types take neither a `retry_after` above 18 hours nor the description of
/// an error that lacks a code.
#[derive(Debug, Deserialize)]
struct Envelope {
    ok: bool,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    error_code: Option<u16>,
    #[serde(default)]
    parameters: Option<Parameters>,
    #[serde(default)]
    result: Option<Sent>,
}

#[derive(Debug, Deserialize)]
struct Parameters {
    #[serde(default)]
    retry_after: Option<u64>,
    #[serde(default)]
    migrate_to_chat_id: Option<i64>,
}

/// Of the message as it was sent only its number is of interest.
#[derive(Debug, Deserialize)]
struct Sent {
    #[serde(default)]
    message_id: Option<i64>,
}

async fn read_answer(mut response: Response) -> Answer {
    let status = response.status().as_u16();
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= ANSWER_BYTES_MAX => body.extend_from_slice(&chunk),
            Ok(Some(_)) => return unreadable(status),
            Ok(None) => return classify(status, &body),
            Err(error) => return Answer::Failed { error: describe(&error.without_url()), in_doubt: true },
        }
    }
}

fn classify(status: u16, body: &[u8]) -> Answer {
    let Ok(envelope) = serde_json::from_slice::<Envelope>(body) else {
        return unreadable(status);
    };
    if envelope.ok && status < 500 {
        return Answer::Sent { message_id: envelope.result.and_then(|sent| sent.message_id) };
    }
    let parameters = envelope.parameters.unwrap_or(Parameters { retry_after: None, migrate_to_chat_id: None });
    let mut error = clip(&envelope.description.unwrap_or_else(|| format!("Telegram answered {status}")));
    if let Some(chat) = parameters.migrate_to_chat_id {
        error = format!("{error}: its new id is {chat}");
    }
    match if status >= 500 { status } else { envelope.error_code.unwrap_or(status) } {
        429 => Answer::Throttled {
            retry_after: parameters.retry_after.map_or(RETRY_AFTER_UNKNOWN, |s| Duration::from_secs(s.max(1))),
        },
        401 | 404 => Answer::Unauthorized { error },
        403 => Answer::Blocked { error },
        400 if error.to_ascii_lowercase().contains("can't parse entities") => Answer::BadMarkup { error },
        400..=499 => Answer::Refused { error },
        _ => Answer::Failed { error, in_doubt: true },
    }
}

/// Something between us and Telegram spoke, or Telegram was cut short.
fn unreadable(status: u16) -> Answer {
    match status {
        429 => Answer::Throttled { retry_after: RETRY_AFTER_UNKNOWN },
        _ => Answer::Failed { error: format!("an answer {status} that is not the Bot API's"), in_doubt: true },
    }
}

fn clip(text: &str) -> String {
    text.chars().take(ERROR_CHARS_MAX).collect()
}

/// Telegram's limits as they are set.
#[must_use]
pub const fn limits(settings: &TelegramSettings) -> Limits {
    let limits = settings.limits;
    Limits {
        bot_per_second: limits.bot_per_second,
        chat_per_second: limits.chat_per_second,
        group_per_minute: limits.group_per_minute,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: &str) -> Answer {
        classify(status, body.as_bytes())
    }

    #[test]
    fn every_answer_means_one_thing() {
        let error = |code: u16, text: &str| format!(r#"{{"ok":false,"error_code":{code},"description":"{text}"}}"#);
        assert_eq!(
            answered(200, r#"{"ok":true,"result":{"message_id":7,"date":0}}"#),
            Answer::Sent { message_id: Some(7) }
        );
        let blocked = "Forbidden: bot was blocked by the user";
        assert_eq!(answered(403, &error(403, blocked)), Answer::Blocked { error: blocked.to_owned() });
        let entities = "Bad Request: can't parse entities: Unsupported start tag";
        assert_eq!(answered(400, &error(400, entities)), Answer::BadMarkup { error: entities.to_owned() });
        let chat = "Bad Request: chat not found";
        assert_eq!(answered(400, &error(400, chat)), Answer::Refused { error: chat.to_owned() });
        for status in [401, 404] {
            assert!(matches!(answered(status, &error(status, "Unauthorized")), Answer::Unauthorized { .. }));
        }
    }

    #[test]
    fn an_edit_that_was_made_before_is_made() {
        let refused = |error: &str| Answer::Refused { error: format!("Bad Request: {error}") };
        let not_modified =
            "message is not modified: specified new message content and reply markup are exactly the same";
        for made in [Answer::Sent { message_id: None }, refused(not_modified)] {
            assert_eq!(edited(7, made), Answer::Sent { message_id: Some(7) });
        }
        for failed in [refused("message can't be edited"), refused("message to edit not found")] {
            assert_eq!(edited(7, failed.clone()), failed);
        }
    }

    #[test]
    fn what_may_have_arrived_is_in_doubt() {
        let in_doubt = |answer| matches!(answer, Answer::Failed { in_doubt: true, .. });
        assert!(in_doubt(answered(502, "<html>Bad Gateway</html>")));
        assert!(in_doubt(answered(500, r#"{"ok":true,"result":{"message_id":7}}"#)));
        assert!(in_doubt(answered(200, "not json")));
        assert!(in_doubt(answered(403, "<html>a proxy's page</html>")), "not Telegram's word on the chat");
    }

    #[test]
    fn retry_after_is_read_whatever_its_length() {
        let body =
            r#"{"ok":false,"error_code":429,"description":"Too Many Requests","parameters":{"retry_after":90000}}"#;
        assert_eq!(answered(429, body), Answer::Throttled { retry_after: Duration::from_secs(90_000) });
        assert_eq!(answered(429, "slow down"), Answer::Throttled { retry_after: RETRY_AFTER_UNKNOWN });
    }

    #[test]
    fn the_operator_learns_a_groups_new_id() {
        let body = r#"{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat","parameters":{"migrate_to_chat_id":-1001}}"#;
        assert_eq!(
            answered(400, body),
            Answer::Refused {
                error: "Bad Request: group chat was upgraded to a supergroup chat: its new id is -1001".to_owned()
            }
        );
    }
}
