//! What the Bot API's answers mean.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::{ChannelAnswer, RetryAfter};

const ERROR_CHARS_MAX: usize = 300;

/// What an answer means.
pub(super) fn classify(status: u16, body: &[u8]) -> ChannelAnswer {
    let is_success = (200..300).contains(&status);
    if is_success && let Some(message_id) = sent_message_id(body) {
        return ChannelAnswer::Sent { message_id: Some(message_id) };
    }
    let Some(envelope) = BotApiAnswer::read(body) else {
        return unreadable(status);
    };
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
pub(super) fn unreadable(status: u16) -> ChannelAnswer {
    match status {
        429 => ChannelAnswer::Throttled { retry_after: RetryAfter::UNKNOWN },
        _ => ChannelAnswer::Failed { error: format!("an answer {status} that is not the Bot API's"), in_doubt: true },
    }
}

/// As much of a text as is kept, in one line.
pub(super) fn clip(text: &str) -> String {
    text.chars().take(ERROR_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// What an answer means for an edit: one that was made already, by an attempt that was in doubt, is as good as made now.
pub(super) fn answer_edit(message_id: i64, answer: ChannelAnswer) -> ChannelAnswer {
    match answer {
        ChannelAnswer::Sent { .. } => ChannelAnswer::Sent { message_id: Some(message_id) },
        ChannelAnswer::Refused { error } if error.to_ascii_lowercase().contains("message is not modified") => {
            ChannelAnswer::Sent { message_id: Some(message_id) }
        }
        answer => answer,
    }
}

/// The number of a message that was sent or edited: by far the most answers, and read without keeping the rest of them.
fn sent_message_id(body: &[u8]) -> Option<i64> {
    #[derive(Deserialize)]
    struct SentAnswer {
        ok: bool,
        result: SentMessage,
    }
    #[derive(Deserialize)]
    struct SentMessage {
        message_id: i64,
    }
    let answer: SentAnswer = serde_json::from_slice(body).ok()?;
    Some(answer.result.message_id).filter(|id| answer.ok && is_message_id(*id))
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

fn message_id(message: &Map<String, Value>) -> Option<i64> {
    message.get("message_id").and_then(Value::as_i64).filter(|id| is_message_id(*id))
}

/// The Bot API's numbers of messages are positive and have 32 bits: no other can be answered or edited.
fn is_message_id(id: i64) -> bool {
    (1..=i64::from(i32::MAX)).contains(&id)
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
