//! Telegram's Bot API: one `sendMessage` or `editMessageText`, and what its answer means.
//!
//! The token is part of the URL. It stands in no error and no debug print: errors are stripped of their URL, and the
//! URL is kept where `Debug` does not look.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::time::Duration;

use alertcast_core::delivery::{chat_of, topic_of};
use alertcast_core::limiter::SendLimits;
use async_trait::async_trait;
use frankenstein::ParseMode;
use frankenstein::methods::{EditMessageTextParams, SendMessageParams};
use frankenstein::types::{ChatId, LinkPreviewOptions, ReplyParameters};
use reqwest::{Client, RequestBuilder, Response, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};

use super::{Channel, ChannelAnswer, MessageForm, OutgoingMessage, RetryAfter, SendMode};
use crate::settings::{TelegramSettings, bot_id};

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Unused connections are closed before the other side does so: a request on a closed connection is in doubt.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Answers to a sent message are a few kilobytes, with the message that it answers in them; what is longer than this is
/// none.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Without paid broadcasts a bot may send this many messages a second.
const FREE_PER_SECOND: u32 = 30;
const ERROR_CHARS_MAX: usize = 300;

/// One bot.
#[derive(Debug)]
pub struct TelegramChannel {
    http: Client,
    urls: BotUrls,
    /// The settings ask for more than is free of charge.
    paid_broadcast: bool,
}

/// Addresses that hold the token.
struct BotUrls {
    send_message: Url,
    edit_message_text: Url,
    get_me: Url,
}

impl fmt::Debug for BotUrls {
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

impl TelegramChannel {
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
            urls: BotUrls {
                send_message: url("sendMessage")?,
                edit_message_text: url("editMessageText")?,
                get_me: url("getMe")?,
            },
            paid_broadcast: settings.limits.bot_per_second.get() > FREE_PER_SECOND,
        })
    }

    /// What to ask for. None where it names a message that cannot be there.
    fn request(&self, outgoing: &OutgoingMessage) -> Option<RequestBuilder> {
        Some(match outgoing.act {
            SendMode::Send { reply_to } => {
                let reply_to = reply_to.and_then(|id| i32::try_from(id).ok());
                self.http.post(self.urls.send_message.clone()).json(&self.new_message(outgoing, reply_to))
            }
            SendMode::Edit { message_id } => {
                let message_id = i32::try_from(message_id).ok()?;
                self.http.post(self.urls.edit_message_text.clone()).json(&edited_message(outgoing, message_id))
            }
        })
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
        let Some(request) = self.request(outgoing) else {
            return ChannelAnswer::Refused { error: "there is no message of that number".to_owned() };
        };
        let answer = match request.send().await {
            Ok(response) => read_answer(response).await,
            Err(error) => failure(error),
        };
        match (outgoing.act, answer) {
            (SendMode::Edit { message_id }, answer) => answer_edit(message_id, answer),
            (SendMode::Send { .. }, answer) => answer,
        }
    }

    async fn check(&self) -> Result<(), String> {
        let answer = match self.http.post(self.urls.get_me.clone()).send().await {
            Ok(response) => read_answer(response).await,
            Err(error) => failure(error),
        };
        match answer {
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

/// What an answer means for an edit: one that was made already, by an attempt that was in doubt, is as good as made now.
fn answer_edit(message_id: i64, answer: ChannelAnswer) -> ChannelAnswer {
    match answer {
        ChannelAnswer::Sent { .. } => ChannelAnswer::Sent { message_id: Some(message_id) },
        ChannelAnswer::Refused { error } if error.to_ascii_lowercase().contains("message is not modified") => {
            ChannelAnswer::Sent { message_id: Some(message_id) }
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
    let to = chat_of(to);
    to.parse().map_or_else(|_| ChatId::String(to.to_owned()), ChatId::Integer)
}

/// No answer came: was the request written?
fn failure(error: reqwest::Error) -> ChannelAnswer {
    let error = error.without_url();
    let not_written = error.is_connect() || error.is_builder() || broken_pipe(&error);
    ChannelAnswer::Failed { error: describe(&error), in_doubt: !not_written }
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

/// What the Bot API answers, each field read by itself and held at what it can mean: one that is of no sense is as if it
/// were not there.
#[derive(Debug)]
struct BotApiAnswer {
    ok: bool,
    description: Option<String>,
    error_code: Option<u16>,
    retry_after: Option<RetryAfter>,
    migrate_to_chat_id: Option<i64>,
    /// Of the message as it was sent only its number is of interest.
    message_id: Option<i64>,
}

impl BotApiAnswer {
    /// None: it is not the Bot API that speaks.
    fn read(body: &[u8]) -> Option<Self> {
        let Ok(Value::Object(answer)) = serde_json::from_slice(body) else { return None };
        let object = |name: &str| answer.get(name).and_then(Value::as_object);
        let parameter = |name: &str| object("parameters").and_then(|parameters| parameters.get(name));
        Some(Self {
            ok: answer.get("ok")?.as_bool()?,
            description: answer.get("description").and_then(Value::as_str).map(clip),
            error_code: answer.get("error_code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok()),
            retry_after: parameter("retry_after").and_then(retry_after),
            migrate_to_chat_id: parameter("migrate_to_chat_id").and_then(Value::as_i64),
            message_id: object("result").and_then(message_id),
        })
    }
}

/// Seconds, as a number of any kind or in text.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float is cut to what a u64 holds")]
fn retry_after(asked: &Value) -> Option<RetryAfter> {
    let seconds = match asked {
        Value::Number(number) => number.as_u64().or_else(|| number.as_f64().map(|seconds| seconds.ceil() as u64)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    seconds.map(RetryAfter::seconds)
}

/// The Bot API's numbers of messages are positive and have 32 bits: no other can be answered or edited.
fn message_id(message: &Map<String, Value>) -> Option<i64> {
    message.get("message_id").and_then(Value::as_i64).filter(|id| (1..=i64::from(i32::MAX)).contains(id))
}

async fn read_answer(mut response: Response) -> ChannelAnswer {
    let status = response.status().as_u16();
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= ANSWER_BYTES_MAX => body.extend_from_slice(&chunk),
            Ok(Some(_)) => return unreadable(status),
            Ok(None) => return classify(status, &body),
            Err(error) => return ChannelAnswer::Failed { error: describe(&error.without_url()), in_doubt: true },
        }
    }
}

fn classify(status: u16, body: &[u8]) -> ChannelAnswer {
    let Some(envelope) = BotApiAnswer::read(body) else {
        return unreadable(status);
    };
    let is_success = (200..300).contains(&status);
    if envelope.ok && is_success {
        return ChannelAnswer::Sent { message_id: envelope.message_id };
    }
    let error = envelope.description.unwrap_or_else(|| format!("Telegram answered {status}"));
    if envelope.ok {
        // It contradicts itself: the message may be there.
        return ChannelAnswer::Failed { error, in_doubt: true };
    }
    // Groups have negative ids, and so have what they become.
    let moved_to = envelope.migrate_to_chat_id.filter(|chat| *chat < 0);
    match if status >= 500 { status } else { envelope.error_code.unwrap_or(status) } {
        429 => ChannelAnswer::Throttled { retry_after: envelope.retry_after.unwrap_or(RetryAfter::UNKNOWN) },
        401 | 404 => ChannelAnswer::Unauthorized { error },
        403 => ChannelAnswer::Blocked { error },
        400 if error.to_ascii_lowercase().contains("can't parse entities") => ChannelAnswer::BadMarkup { error },
        400 if is_about_topic(&error) => ChannelAnswer::NoTopic { error },
        400 if moved_to.is_none() && closes_chat(&error) => ChannelAnswer::Blocked { error },
        400 if moved_to.is_some() => {
            moved_to.map_or(ChannelAnswer::Refused { error }, |chat| ChannelAnswer::Moved { chat: chat.to_string() })
        }
        400..=499 => ChannelAnswer::Refused { error },
        _ => ChannelAnswer::Failed { error, in_doubt: true },
    }
}

/// Whether Telegram refuses the topic, not the chat: it was deleted or closed, or the group has topics no more.
fn is_about_topic(error: &str) -> bool {
    let error = error.to_ascii_lowercase();
    ["message thread not found", "topic_deleted", "topic_closed"].iter().any(|what| error.contains(what))
}

/// Whether Telegram refuses the chat for good with a 400, as it does with a 403: the bot may not write there, or nobody is
/// there any more. "Chat not found" is none: it is what Telegram says until a person has pressed Start, and then no more.
fn closes_chat(error: &str) -> bool {
    let error = error.to_ascii_lowercase();
    let signs = [
        "chat_write_forbidden",
        "chat_restricted",
        "not enough rights to send",
        "have no rights to send",
        "need administrator rights",
        "user_is_blocked",
        "user is deactivated",
        "input_user_deactivated",
        "group chat was deactivated",
    ];
    signs.iter().any(|sign| error.contains(sign))
}

/// Something between us and Telegram spoke, or Telegram was cut short.
fn unreadable(status: u16) -> ChannelAnswer {
    match status {
        429 => ChannelAnswer::Throttled { retry_after: RetryAfter::UNKNOWN },
        _ => ChannelAnswer::Failed { error: format!("an answer {status} that is not the Bot API's"), in_doubt: true },
    }
}

/// As much of a text as is kept, in one line.
fn clip(text: &str) -> String {
    text.chars().take(ERROR_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: &str) -> ChannelAnswer {
        classify(status, body.as_bytes())
    }

    #[test]
    fn every_answer_means_one_thing() {
        let error = |code: u16, text: &str| format!(r#"{{"ok":false,"error_code":{code},"description":"{text}"}}"#);
        assert_eq!(
            answered(200, r#"{"ok":true,"result":{"message_id":7,"date":0}}"#),
            ChannelAnswer::Sent { message_id: Some(7) }
        );
        let blocked = "Forbidden: bot was blocked by the user";
        assert_eq!(answered(403, &error(403, blocked)), ChannelAnswer::Blocked { error: blocked.to_owned() });
        let entities = "Bad Request: can't parse entities: Unsupported start tag";
        assert_eq!(answered(400, &error(400, entities)), ChannelAnswer::BadMarkup { error: entities.to_owned() });
        for topic in
            ["message thread not found", "TOPIC_DELETED", "TOPIC_CLOSED"].map(|text| format!("Bad Request: {text}"))
        {
            assert_eq!(answered(400, &error(400, &topic)), ChannelAnswer::NoTopic { error: topic.clone() });
        }
        for closed in [
            "not enough rights to send text messages to the chat",
            "have no rights to send a message",
            "need administrator rights in the channel chat",
            "CHAT_WRITE_FORBIDDEN",
            "USER_IS_BLOCKED",
            "group chat was deactivated",
        ] {
            let closed = format!("Bad Request: {closed}");
            assert_eq!(answered(400, &error(400, &closed)), ChannelAnswer::Blocked { error: closed.clone() });
        }
        let chat = "Bad Request: chat not found";
        assert_eq!(answered(400, &error(400, chat)), ChannelAnswer::Refused { error: chat.to_owned() });
        for status in [401, 404] {
            assert!(matches!(answered(status, &error(status, "Unauthorized")), ChannelAnswer::Unauthorized { .. }));
        }
    }

    #[test]
    fn an_edit_that_was_made_before_is_made() {
        let refused = |error: &str| ChannelAnswer::Refused { error: format!("Bad Request: {error}") };
        let not_modified =
            "message is not modified: specified new message content and reply markup are exactly the same";
        for made in [ChannelAnswer::Sent { message_id: None }, refused(not_modified)] {
            assert_eq!(answer_edit(7, made), ChannelAnswer::Sent { message_id: Some(7) });
        }
        for failed in [refused("message can't be edited"), refused("message to edit not found")] {
            assert_eq!(answer_edit(7, failed.clone()), failed);
        }
    }

    #[test]
    fn what_may_have_arrived_is_in_doubt() {
        let in_doubt = |answer| matches!(answer, ChannelAnswer::Failed { in_doubt: true, .. });
        assert!(in_doubt(answered(502, "<html>Bad Gateway</html>")));
        assert!(in_doubt(answered(500, r#"{"ok":true,"result":{"message_id":7}}"#)));
        assert!(in_doubt(answered(200, "not json")));
        assert!(in_doubt(answered(403, "<html>a proxy's page</html>")), "not Telegram's word on the chat");
    }

    #[test]
    fn retry_after_is_read_whatever_its_length() {
        let body =
            r#"{"ok":false,"error_code":429,"description":"Too Many Requests","parameters":{"retry_after":90000}}"#;
        assert_eq!(answered(429, body), ChannelAnswer::Throttled { retry_after: RetryAfter::seconds(90_000) });
        assert_eq!(answered(429, "slow down"), ChannelAnswer::Throttled { retry_after: RetryAfter::UNKNOWN });
    }

    #[test]
    fn what_telegram_asks_for_is_obeyed_up_to_an_hour_whatever_it_is() {
        for (asked, seconds, is_cut) in [
            ("0", 1, false),
            ("1", 1, false),
            ("3600", 3_600, false),
            ("3601", 3_600, true),
            ("1000000000", 3_600, true),
            ("18446744073709551615", 3_600, true),
            ("18446744073709551616", 3_600, true),
            ("1e300", 3_600, true),
            ("-1", 1, false),
            ("-9223372036854775808", 1, false),
            ("2.5", 3, false),
            ("\"7\"", 7, false),
            ("null", 5, false),
            ("[]", 5, false),
            ("\"soon\"", 5, false),
        ] {
            let body = format!(r#"{{"ok":false,"error_code":429,"parameters":{{"retry_after":{asked}}}}}"#);
            let ChannelAnswer::Throttled { retry_after } = answered(429, &body) else { panic!("{asked}") };
            assert_eq!((retry_after.wait().as_secs(), retry_after.is_cut()), (seconds, is_cut), "{asked}");
        }
    }

    #[test]
    fn one_field_of_no_sense_costs_no_other() {
        for id in ["0", "-1", "2147483648", "9223372036854775808", "1e99", "\"7\"", "null", "{}"] {
            let body = format!(r#"{{"ok":true,"result":{{"message_id":{id},"date":"x"}}}}"#);
            assert_eq!(answered(200, &body), ChannelAnswer::Sent { message_id: None }, "{id}");
        }
        let body = r#"{"ok":false,"error_code":70000,"description":7,"parameters":{"migrate_to_chat_id":"x"}}"#;
        assert_eq!(answered(400, body), ChannelAnswer::Refused { error: "Telegram answered 400".to_owned() });
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        for body in [r#"{"ok":1}"#, "[true]", "7", "", &deep, &format!(r#"{{"ok":true,"result":{deep}}}"#)] {
            assert!(matches!(answered(200, body), ChannelAnswer::Failed { in_doubt: true, .. }), "{body:.20}");
        }
        let contradiction = answered(403, r#"{"ok":true,"result":{"message_id":7}}"#);
        assert!(matches!(contradiction, ChannelAnswer::Failed { in_doubt: true, .. }));
    }

    #[test]
    fn an_error_is_one_short_line() {
        let body = format!(r#"{{"ok":false,"error_code":400,"description":"a\nb\u001b{}"}}"#, "x".repeat(10_000));
        let ChannelAnswer::Refused { error } = answered(400, &body) else { panic!() };
        assert!(error.starts_with("a b x") && error.chars().count() == ERROR_CHARS_MAX, "{error}");
    }

    #[test]
    fn a_group_with_another_id_is_no_refusal() {
        let body = r#"{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat","parameters":{"migrate_to_chat_id":-1001}}"#;
        assert_eq!(answered(400, body), ChannelAnswer::Moved { chat: "-1001".to_owned() });
    }
}
