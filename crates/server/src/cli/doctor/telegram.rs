//! The bots, the operators' chats, and this machine's clock, which is held against Telegram's.

use std::sync::Arc;
use std::time::Duration;

use alertcast_core::delivery::{chat_of, moved_to};
use alertcast_core::time::Time;
use hyper::header;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};

use super::DoctorFinding;
use super::server::PATIENCE;
use crate::channel::telegram::{bot_path, client, describe, to_json};
use crate::clock::Clock;
use crate::http_client::{HttpAnswer, HttpClient};
use crate::settings::{Settings, TelegramSettings, bot_id};

/// An alert may be a minute ahead of its receipt: half of that leaves room.
const CLOCK_BAD: Duration = Duration::from_secs(30);
/// A clock that is kept by the network is much nearer.
const CLOCK_ATTENTION: Duration = Duration::from_secs(5);

pub(super) async fn look(settings: &Settings, clock: &dyn Clock) -> Vec<DoctorFinding> {
    let telegram = &settings.telegram;
    let mut findings = Vec::new();
    if telegram.tokens.is_empty() {
        findings.push(DoctorFinding::bad(
            "No bot token is configured: no message can be sent",
            "ask @BotFather in Telegram for a bot (/newbot), and set its token as ALERTCAST_TELEGRAM_TOKENS or \
             telegram.tokens",
        ));
        return findings;
    }
    let Ok(http) = client(&TelegramSettings { timeout: PATIENCE.min(telegram.timeout), ..telegram.clone() }) else {
        return vec![no_client()];
    };
    let mut offset = None;
    for token in &telegram.tokens {
        let asked = ask(&http, telegram, token, "getMe", &json!({})).await;
        offset = offset.or_else(|| asked.date.map(|date| (date, clock.now())));
        findings.push(bot(token, asked.said));
    }
    // Only the first bot writes to the operators.
    if let Some(token) = telegram.tokens.first() {
        findings.extend(operators(&http, telegram, token).await);
    }
    findings.extend(offset.map(|(theirs, ours)| time(theirs, ours)));
    findings
}

/// Asks Telegram about each bot by itself.
pub(in crate::cli) fn bots(
    telegram: &TelegramSettings,
) -> Vec<impl Future<Output = DoctorFinding> + Send + 'static + use<>> {
    let telegram = Arc::new(TelegramSettings { timeout: PATIENCE.min(telegram.timeout), ..telegram.clone() });
    let http = client(&telegram).ok().map(Arc::new);
    telegram
        .tokens
        .clone()
        .into_iter()
        .map(|token| {
            let (telegram, http) = (Arc::clone(&telegram), http.clone());
            async move {
                let Some(http) = http else { return no_client() };
                bot(&token, ask(&http, &telegram, &token, "getMe", &json!({})).await.said)
            }
        })
        .collect()
}

fn no_client() -> DoctorFinding {
    DoctorFinding::bad("No HTTP client can be made", "check the certificates of this machine")
}

/// What the Bot API said, and when by its clock.
struct BotReply {
    said: BotStatement,
    date: Option<Time>,
}

enum BotStatement {
    Yes(Value),
    /// `moved`: the id that a group has now.
    No {
        code: u16,
        description: String,
        moved: Option<i64>,
    },
    Nothing(String),
}

#[derive(Debug, Deserialize)]
struct ReplyEnvelope {
    ok: bool,
    #[serde(default)]
    result: Value,
    #[serde(default)]
    error_code: Option<u16>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    parameters: Value,
}

async fn ask(
    http: &HttpClient,
    settings: &TelegramSettings,
    token: &SecretString,
    method: &str,
    params: &Value,
) -> BotReply {
    let nothing = |why: String| BotReply { said: BotStatement::Nothing(why), date: None };
    let (Some(path), Ok(params)) = (bot_path(&settings.api_url, token, method), to_json(params)) else {
        return nothing("telegram.api_url and the token make no address".to_owned());
    };
    match http.post(&path, params).await {
        Ok(answer) => BotReply { said: read_statement(&answer), date: date_of(&answer) },
        Err(failure) => nothing(describe(&failure)),
    }
}

fn date_of(answer: &HttpAnswer) -> Option<Time> {
    let date = httpdate::parse_http_date(answer.headers.get(header::DATE)?.to_str().ok()?).ok()?;
    let since = date.duration_since(std::time::SystemTime::UNIX_EPOCH).ok()?;
    Some(Time::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
}

fn read_statement(answer: &HttpAnswer) -> BotStatement {
    match serde_json::from_slice::<ReplyEnvelope>(&answer.body) {
        Ok(envelope) if envelope.ok => BotStatement::Yes(envelope.result),
        Ok(envelope) => BotStatement::No {
            code: envelope.error_code.unwrap_or(answer.status),
            description: envelope.description.unwrap_or_default(),
            moved: envelope.parameters["migrate_to_chat_id"].as_i64(),
        },
        Err(_) => BotStatement::Nothing(format!("an answer {} that is not the Bot API's", answer.status)),
    }
}

fn bot(token: &SecretString, said: BotStatement) -> DoctorFinding {
    let id = bot_id(token).unwrap_or_default();
    match said {
        BotStatement::Yes(me) => {
            let name = me["username"].as_str().unwrap_or("without a name");
            DoctorFinding::good(format!("Bot {id} is @{name}"))
        }
        BotStatement::No { code: 401 | 404, .. } => DoctorFinding::bad(
            format!("Telegram does not know the token of bot {id}"),
            "write to @BotFather: /mybots, choose the bot, API Token; then set the whole token. After a /revoke only \
             the new one is valid",
        ),
        BotStatement::No { code: 429, .. } => DoctorFinding::attention(
            format!("Telegram asks bot {id} to wait"),
            "run `alertcast doctor` again in a minute; a running server is not harmed",
        ),
        BotStatement::No { description, .. } => DoctorFinding::bad(
            format!("Telegram refuses bot {id}: {description}"),
            "ask @BotFather about the bot: /mybots",
        ),
        BotStatement::Nothing(why) => DoctorFinding::bad(
            format!("Bot {id} could not be asked: {why}"),
            "check this machine's way to the Internet, and telegram.api_url",
        ),
    }
}

async fn operators(http: &HttpClient, settings: &TelegramSettings, token: &SecretString) -> Vec<DoctorFinding> {
    if settings.operator_chats.is_empty() {
        return vec![DoctorFinding::attention(
            "No operators' chat is configured: nobody hears of refused alerts and other trouble",
            "press Start in your bot, or add it to a group, and set the chat's number as ALERTCAST_OPERATOR_CHATS or \
             telegram.operator_chats",
        )];
    }
    let mut findings = Vec::new();
    for chat in &settings.operator_chats {
        let asked = ask(http, settings, token, "getChat", &json!({ "chat_id": chat_of(chat) })).await;
        findings.push(operators_chat(chat, asked.said));
    }
    findings
}

fn operators_chat(chat: &str, said: BotStatement) -> DoctorFinding {
    match said {
        BotStatement::Yes(found) => {
            let kind = found["type"].as_str().unwrap_or("chat");
            let name = found["title"].as_str().map_or_else(String::new, |title| format!(" “{title}”"));
            DoctorFinding::good(format!("The operators' chat {chat} is there: {kind}{name}"))
        }
        BotStatement::No { moved: Some(now), .. } => moved_finding(chat, &moved_to(chat, &now.to_string())),
        BotStatement::No { code: 400 | 403, description, .. } => DoctorFinding::bad(
            format!("The operators' chat {chat} is closed to the first bot: {description}"),
            "open the bot in Telegram and press Start, or add it to the group; numbers of groups begin with -, those \
             of supergroups and channels with -100",
        ),
        // That the bot itself is not let in has been told.
        BotStatement::No { description, .. } => DoctorFinding::attention(
            format!("The operators' chat {chat} could not be looked at: {description}"),
            "mend the first bot's token, then run `alertcast doctor` again",
        ),
        BotStatement::Nothing(why) => DoctorFinding::attention(
            format!("The operators' chat {chat} could not be looked at: {why}"),
            "mend the way to Telegram, then run `alertcast doctor` again",
        ),
    }
}

/// A group became a supergroup.
pub(super) fn moved_finding(chat: &str, now: &str) -> DoctorFinding {
    DoctorFinding::attention(
        format!("The operators' chat {chat} became a supergroup and is {now} now; messages follow it there"),
        format!("set {now} in the place of {chat}, in ALERTCAST_OPERATOR_CHATS or telegram.operator_chats"),
    )
}

/// Held against the `Date` of an answer, which is in whole seconds.
fn time(theirs: Time, ours: Time) -> DoctorFinding {
    let (ahead, behind) = (ours.since(theirs), theirs.since(ours));
    let off = ahead.max(behind);
    let seconds = off.as_secs();
    let way = if ahead > behind { "ahead of" } else { "behind" };
    let fix = "let the network keep it: `timedatectl set-ntp true`, or install chrony";
    if off > CLOCK_BAD {
        let consequence = if ahead > behind {
            "alerts would be refused as stale too early"
        } else {
            "alerts would be refused for lying in the future"
        };
        return DoctorFinding::bad(format!("This machine's clock is {seconds} s {way} Telegram's: {consequence}"), fix);
    }
    if off > CLOCK_ATTENTION {
        return DoctorFinding::attention(format!("This machine's clock is {seconds} s {way} Telegram's"), fix);
    }
    DoctorFinding::good("This machine's clock agrees with Telegram's")
}

#[cfg(test)]
mod tests {
    use super::super::FindingMark;
    use super::*;

    #[test]
    fn a_clock_is_judged_by_how_far_it_is_off_either_way() {
        let at = |seconds: i64| Time::from_millis(1_750_000_000_000 + seconds * 1_000);
        let table = [
            (0, FindingMark::Good),
            (4, FindingMark::Good),
            (-5, FindingMark::Good),
            (6, FindingMark::Attention),
            (-30, FindingMark::Attention),
            (31, FindingMark::Bad),
            (-31, FindingMark::Bad),
        ];
        for (seconds, mark) in table {
            assert_eq!(time(at(0), at(seconds)).mark, mark, "{seconds}");
        }
        assert!(time(at(0), at(90)).what.contains("90 s ahead of") && time(at(0), at(90)).what.contains("stale"));
        assert!(time(at(0), at(-90)).what.contains("90 s behind"));
    }
}
