//! From the laid-over values to the settings: which key goes where, and what each may be.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use alertcast_core::delivery::read_place;
use ipnet::IpNet;
use lettre::message::Mailbox;
use secrecy::{ExposeSecret as _, SecretString};

use super::key::{self, SettingKey};
use super::layer::{RawSetting, SettingLayers};
use super::problem::ConfigProblem;
use super::value::{self, WrongSetting, wrong};
use crate::channel::email::MailServer;
use crate::settings::{
    ApiSettings, DeliverySettings, EmailSettings, LimitSettings, LogFormat, LogLevel, LogSettings, MetricsSettings,
    RetentionSettings, Settings, StoreChoice, TRADINGVIEW_ADDRESSES, TelegramSettings, WebhookSettings, bot_id,
};

/// A shorter webhook secret could be guessed.
const SECRET_LENGTH_MIN: usize = 16;
const SECRET_HINT: &str = "make one with `openssl rand -hex 24`";

const DAYS_MAX: u32 = 36_500;
const DAY: u64 = 24 * 60 * 60;

/// Longer names are no names.
const PROVIDER_CHARS_MAX: usize = 64;

/// Builds the settings. A key with a problem keeps its default; the problem is added to the list.
pub(super) fn settings(layers: &SettingLayers, problems: &mut Vec<ConfigProblem>) -> Settings {
    let defaults = Settings::default();
    let mut read = SettingsReader { layers, problems };
    Settings {
        listen: read.or(&key::LISTEN, defaults.listen, |raw| {
            value::parse_value(raw, "address with a port", "127.0.0.1:8080, or 0.0.0.0:8080 for every interface")
        }),
        public_url: read.optional(&key::PUBLIC_URL, value::http_url),
        data_dir: read.or(&key::DATA_DIR, defaults.data_dir, data_dir),
        store: read.or(&key::STORE, defaults.store, store),
        redis_url: read
            .optional(&key::REDIS_URL, |raw| value::secret_url(raw, &["redis", "rediss"], "redis://127.0.0.1:6379")),
        webhook: webhook(&mut read, defaults.webhook),
        api: ApiSettings {
            requests_a_minute: read.number(&key::API_REQUESTS_A_MINUTE, defaults.api.requests_a_minute, 1_000_000),
        },
        telegram: telegram(&mut read, defaults.telegram),
        email: email(&mut read, defaults.email),
        delivery: DeliverySettings {
            entry_deadline: read
                .optional(&key::ENTRY_DEADLINE, |raw| value::number(raw, 7 * 24 * 60))
                .map(|minutes| Duration::from_secs(u64::from(minutes.get()) * 60)),
        },
        retention: RetentionSettings {
            deliveries: read.days(&key::KEEP_DELIVERIES, defaults.retention.deliveries),
            rejected_webhooks: read.days(&key::KEEP_REJECTED, defaults.retention.rejected_webhooks),
        },
        log: LogSettings {
            level: read.or(&key::LOG_LEVEL, defaults.log.level, log_level),
            format: read.or(&key::LOG_FORMAT, defaults.log.format, |raw| {
                value::word(raw, &[("text", LogFormat::Text), ("json", LogFormat::Json)])
            }),
        },
        metrics: MetricsSettings { token: read.optional(&key::METRICS_TOKEN, long_secret) },
    }
}

fn webhook(read: &mut SettingsReader<'_>, defaults: WebhookSettings) -> WebhookSettings {
    let mut allowed_addresses = read.or(&key::ALLOWED_ADDRESSES, defaults.allowed_addresses, value::networks);
    if read.or(&key::CHECK_ADDRESSES, false, value::flag) {
        allowed_addresses.extend(TRADINGVIEW_ADDRESSES.map(IpNet::from));
    }
    WebhookSettings {
        secrets: read.or(&key::WEBHOOK_SECRETS, defaults.secrets, webhook_secrets),
        allowed_addresses,
        trusted_proxies: read.or(&key::TRUSTED_PROXIES, defaults.trusted_proxies, value::networks),
        hmac_key: read.optional(&key::HMAC_KEY, long_secret),
        requests_a_minute: read.number(&key::REQUESTS_A_MINUTE, defaults.requests_a_minute, 1_000_000),
    }
}

fn telegram(read: &mut SettingsReader<'_>, defaults: TelegramSettings) -> TelegramSettings {
    let seconds = read.optional(&key::TELEGRAM_TIMEOUT, |raw| value::number(raw, 300));
    let concurrency = read.optional(&key::TELEGRAM_CONCURRENCY, |raw| value::number(raw, 1_000));
    let limits = defaults.limits;
    TelegramSettings {
        tokens: read.or(&key::TELEGRAM_TOKENS, defaults.tokens, telegram_tokens),
        api_url: read.or(&key::TELEGRAM_API_URL, defaults.api_url, value::http_url),
        operator_chats: read.or(&key::OPERATOR_CHATS, defaults.operator_chats, operator_chats),
        limits: LimitSettings {
            bot_per_second: read.number(&key::BOT_PER_SECOND, limits.bot_per_second, 10_000),
            chat_per_second: read.number(&key::CHAT_PER_SECOND, limits.chat_per_second, 1_000),
            group_per_minute: read.number(&key::GROUP_PER_MINUTE, limits.group_per_minute, 10_000),
        },
        timeout: seconds.map_or(defaults.timeout, |seconds| Duration::from_secs(seconds.get().into())),
        concurrency: concurrency.map_or(defaults.concurrency, |n| usize::try_from(n.get()).unwrap_or(usize::MAX)),
    }
}

fn email(read: &mut SettingsReader<'_>, defaults: EmailSettings) -> EmailSettings {
    let seconds = read.optional(&key::EMAIL_TIMEOUT, |raw| value::number(raw, 600));
    let smtp_url = read.optional(&key::SMTP_URL, smtp_url);
    if smtp_url.is_some() && !read.is_set(&key::EMAIL_FROM) {
        let fix = "set email.from too: \"Signals <alerts@example.com>\"";
        read.refuse(&key::SMTP_URL, "is set, but not email.from: mails would be from nobody", fix);
    }
    EmailSettings {
        smtp_url,
        from: read.optional(&key::EMAIL_FROM, sender),
        provider: read.optional(&key::PROVIDER_NAME, provider),
        shards: read.number(&key::EMAIL_SHARDS, defaults.shards, 64),
        per_second: read.number(&key::EMAIL_PER_SECOND, defaults.per_second, 1_000),
        concurrency: read.number(&key::EMAIL_CONCURRENCY, defaults.concurrency, 256),
        timeout: seconds.map_or(defaults.timeout, |seconds| Duration::from_secs(seconds.get().into())),
    }
}

fn smtp_url(raw: &RawSetting) -> Result<SecretString, WrongSetting> {
    let url = SecretString::from(value::text(raw)?);
    match MailServer::read(&url) {
        Ok(_) => Ok(url),
        Err(error) => wrong(error.to_string(), error.fix()),
    }
}

/// A line of text, of which something is to be seen.
fn provider(raw: &RawSetting) -> Result<String, WrongSetting> {
    let name = value::text(raw)?;
    if name.is_empty() || name.chars().count() > PROVIDER_CHARS_MAX || name.chars().any(char::is_control) {
        return wrong(format!("is {name:?}, which is no name"), "write one line of at most 64 characters");
    }
    Ok(name)
}

/// Whom mails are from. The address is part of every mail's identity, and the domain is how we greet the server.
fn sender(raw: &RawSetting) -> Result<Mailbox, WrongSetting> {
    let text = value::text(raw)?;
    let mailbox = text.parse::<Mailbox>().ok().filter(|mailbox| {
        let address: &str = mailbox.email.as_ref();
        address.is_ascii() && mailbox.email.domain().contains(|c: char| c.is_ascii_alphabetic())
    });
    mailbox.map_or_else(
        || {
            wrong(
                format!("is {text:?}, which is no sender"),
                "write alerts@example.com, or Signals <alerts@example.com>",
            )
        },
        Ok,
    )
}

fn data_dir(raw: &RawSetting) -> Result<PathBuf, WrongSetting> {
    let path = value::text(raw)?;
    if path.is_empty() { wrong("is empty", "write the path of a folder, `data` say") } else { Ok(path.into()) }
}

fn store(raw: &RawSetting) -> Result<StoreChoice, WrongSetting> {
    let text = value::text(raw)?;
    if text == "embedded" {
        return Ok(StoreChoice::Embedded);
    }
    // A list of hosts, which is usual here, is no URL to the URL parser.
    if ["mongodb://", "mongodb+srv://"].iter().any(|scheme| text.starts_with(scheme)) {
        return Ok(StoreChoice::MongoDb(text.into()));
    }
    wrong("is no store", "write embedded, or mongodb://host:27017/database?replicaSet=rs0")
}

fn webhook_secrets(raw: &RawSetting) -> Result<Vec<SecretString>, WrongSetting> {
    let secrets = value::list(raw)?;
    for secret in &secrets {
        if secret.chars().count() < SECRET_LENGTH_MIN {
            let what = format!("holds a secret of {} characters, which could be guessed", secret.chars().count());
            return wrong(what, format!("use at least {SECRET_LENGTH_MIN} random ones: {SECRET_HINT}"));
        }
        if !secret.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~')) {
            return wrong(
                "holds a secret with characters that a URL would change",
                format!("use letters, digits and - . _ ~ only: {SECRET_HINT}"),
            );
        }
    }
    Ok(secrets.into_iter().map(SecretString::from).collect())
}

/// A secret that never stands in a URL.
fn long_secret(raw: &RawSetting) -> Result<SecretString, WrongSetting> {
    let text = value::text(raw)?;
    if text.chars().count() < SECRET_LENGTH_MIN {
        return wrong("is shorter than 16 characters and could be guessed", SECRET_HINT);
    }
    Ok(text.into())
}

fn telegram_tokens(raw: &RawSetting) -> Result<Vec<SecretString>, WrongSetting> {
    let mut bots = Vec::new();
    let tokens: Vec<SecretString> = value::list(raw)?.into_iter().map(SecretString::from).collect();
    for token in &tokens {
        let rest = token.expose_secret().split_once(':').map_or("", |(_, rest)| rest);
        let spelled = rest.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        let Some(bot) = bot_id(token).filter(|_| spelled) else {
            return wrong(
                "holds something that is no bot token",
                "copy the whole token that @BotFather gave: 123456789:ABC…",
            );
        };
        if bots.contains(&bot) {
            return wrong(format!("names the bot {bot} twice"), "name each bot once");
        }
        bots.push(bot);
    }
    Ok(tokens)
}

fn operator_chats(raw: &RawSetting) -> Result<Vec<String>, WrongSetting> {
    let chats = value::list(raw)?;
    for chat in &chats {
        if read_place(chat, true).is_err() {
            return wrong(
                format!("holds {chat:?}, which is no chat"),
                "write the chat's number (-100… for groups), or @name for a public channel; a topic of a group is \
                 written -100…:5",
            );
        }
    }
    Ok(chats)
}

fn log_level(raw: &RawSetting) -> Result<LogLevel, WrongSetting> {
    value::word(
        raw,
        &[
            ("error", LogLevel::Error),
            ("warn", LogLevel::Warn),
            ("info", LogLevel::Info),
            ("debug", LogLevel::Debug),
            ("trace", LogLevel::Trace),
        ],
    )
}

/// Reads keys and gathers the problems.
struct SettingsReader<'a> {
    layers: &'a SettingLayers,
    problems: &'a mut Vec<ConfigProblem>,
}

impl SettingsReader<'_> {
    fn optional<T>(
        &mut self,
        key: &SettingKey,
        read: impl FnOnce(&RawSetting) -> Result<T, WrongSetting>,
    ) -> Option<T> {
        let found = self.layers.get(key)?;
        match read(&found.raw) {
            Ok(value) => Some(value),
            Err(WrongSetting { what, fix }) => {
                self.problems.push(ConfigProblem { key: key.path.to_owned(), origin: found.origin.clone(), what, fix });
                None
            }
        }
    }

    fn is_set(&self, key: &SettingKey) -> bool {
        self.layers.get(key).is_some()
    }

    /// Notes what is wrong with a value beside others.
    fn refuse(&mut self, key: &SettingKey, what: &str, fix: &str) {
        if let Some(found) = self.layers.get(key) {
            self.problems.push(ConfigProblem {
                key: key.path.to_owned(),
                origin: found.origin.clone(),
                what: what.to_owned(),
                fix: fix.to_owned(),
            });
        }
    }

    fn or<T>(&mut self, key: &SettingKey, default: T, read: impl FnOnce(&RawSetting) -> Result<T, WrongSetting>) -> T {
        self.optional(key, read).unwrap_or(default)
    }

    fn number(&mut self, key: &SettingKey, default: NonZeroU32, max: u32) -> NonZeroU32 {
        self.or(key, default, |raw| value::number(raw, max))
    }

    fn days(&mut self, key: &SettingKey, default: Duration) -> Duration {
        let days = self.optional(key, |raw| value::number(raw, DAYS_MAX));
        days.map_or(default, |days| Duration::from_secs(u64::from(days.get()) * DAY))
    }
}
