//! What the program is told from outside, checked and typed. `loading` reads it from file, environment and flags.

pub mod loading;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use alertcast_core::alert::known_secrets::KnownSecrets;
use alertcast_core::delivery::LaneName;
use lettre::message::Mailbox;
use secrecy::{ExposeSecret as _, SecretString};

/// TradingView posts from these addresses.
pub const TRADINGVIEW_ADDRESSES: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(52, 89, 214, 238)),
    IpAddr::V4(Ipv4Addr::new(34, 212, 75, 30)),
    IpAddr::V4(Ipv4Addr::new(54, 218, 53, 128)),
    IpAddr::V4(Ipv4Addr::new(52, 32, 178, 7)),
];

/// Everything that can be set.
#[derive(Debug, Clone)]
pub struct Settings {
    pub listen: SocketAddr,
    /// Where the program is reached from outside, where that is not `listen`.
    pub public_url: Option<url::Url>,
    pub data_dir: PathBuf,
    pub store: StoreChoice,
    /// Used with the MongoDB store only.
    pub redis_url: Option<SecretString>,
    pub webhook: WebhookSettings,
    pub api: ApiSettings,
    pub telegram: TelegramSettings,
    pub email: EmailSettings,
    pub delivery: DeliverySettings,
    pub retention: RetentionSettings,
    pub log: LogSettings,
    pub metrics: MetricsSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            public_url: None,
            data_dir: PathBuf::from("data"),
            store: StoreChoice::Embedded,
            redis_url: None,
            webhook: WebhookSettings::default(),
            api: ApiSettings::default(),
            telegram: TelegramSettings::default(),
            email: EmailSettings::default(),
            delivery: DeliverySettings::default(),
            retention: RetentionSettings::default(),
            log: LogSettings::default(),
            metrics: MetricsSettings::default(),
        }
    }
}

impl Settings {
    /// Every secret in the settings, so that none is kept where a stranger's message repeats it.
    #[must_use]
    pub fn known_secrets(&self) -> KnownSecrets {
        let database = match &self.store {
            StoreChoice::Embedded => None,
            StoreChoice::MongoDb(address) => Some(address),
        };
        let passwords = [database, self.redis_url.as_ref(), self.email.smtp_url.as_ref()];
        let passwords = passwords.into_iter().flatten().filter_map(|address| password(address.expose_secret()));
        let webhook = self.webhook.secrets.iter().chain(&self.webhook.hmac_key);
        let others = self.telegram.tokens.iter().chain(&self.metrics.token);
        KnownSecrets::new(webhook.chain(others).map(|secret| secret.expose_secret()).chain(passwords))
    }
}

/// The password in an address, as it is written there.
fn password(address: &str) -> Option<&str> {
    let (_, rest) = address.split_once("://")?;
    let (login, _) = rest.split(['/', '?']).next()?.rsplit_once('@')?;
    login.split_once(':').map(|(_, password)| password)
}

/// Where the truth is kept.
#[derive(Debug, Clone)]
pub enum StoreChoice {
    /// One SQLite file in the data folder.
    Embedded,
    /// A MongoDB replica set, by its connection string.
    MongoDb(SecretString),
}

/// How alerts come in.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// Each is valid; two while one replaces the other.
    pub secrets: Vec<SecretString>,
    /// Only these addresses may post; empty: any.
    pub allowed_addresses: Vec<ipnet::IpNet>,
    /// Their `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// Where set, every request must carry `X-Signature`: HMAC-SHA256 of the body under this key.
    pub hmac_key: Option<SecretString>,
    /// Requests with a wrong secret a minute from one address; above, 429. A right secret meets no limit.
    pub requests_a_minute: NonZeroU32,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self {
            secrets: Vec::new(),
            allowed_addresses: Vec::new(),
            trusted_proxies: Vec::new(),
            hmac_key: None,
            requests_a_minute: count(60),
        }
    }
}

/// How programs use the API.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// Requests a minute with one token; above, 429.
    pub requests_a_minute: NonZeroU32,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self { requests_a_minute: count(600) }
    }
}

/// How Telegram is reached, and how fast.
#[derive(Debug, Clone)]
pub struct TelegramSettings {
    /// One for each bot. The first is the one for whoever has not started another, and for the operators.
    pub tokens: Vec<SecretString>,
    /// `https://api.telegram.org`, or a stand-in.
    pub api_url: url::Url,
    /// Who hears of refused alerts and other trouble.
    pub operator_chats: Vec<String>,
    pub limits: LimitSettings,
    /// How long to wait for an answer before the message is in doubt.
    pub timeout: Duration,
    /// Messages under way at once, for each bot.
    pub concurrency: usize,
}

impl Default for TelegramSettings {
    fn default() -> Self {
        Self {
            tokens: Vec::new(),
            #[expect(clippy::expect_used, reason = "the address is a constant, and a test reads it")]
            api_url: url::Url::parse("https://api.telegram.org").expect("a constant address"),
            operator_chats: Vec::new(),
            limits: LimitSettings::default(),
            timeout: Duration::from_secs(15),
            concurrency: 16,
        }
    }
}

/// Telegram's published limits. Raised for bots with paid broadcasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitSettings {
    /// Messages a second from one bot.
    pub bot_per_second: NonZeroU32,
    /// Messages a second to one private chat.
    pub chat_per_second: NonZeroU32,
    /// Messages a minute to one group or channel.
    pub group_per_minute: NonZeroU32,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self { bot_per_second: count(30), chat_per_second: count(1), group_per_minute: count(20) }
    }
}

/// How e-mail leaves.
#[derive(Debug, Clone)]
pub struct EmailSettings {
    /// `smtp://user:password@host:port`. Without it no e-mail is sent.
    pub smtp_url: Option<SecretString>,
    /// Who the mails are from. There, where `smtp_url` is.
    pub from: Option<Mailbox>,
    /// The provider, as subscribers know them; none: the name in `from`.
    pub provider: Option<String>,
    /// The mails are shared out in this many lanes.
    pub shards: NonZeroU32,
    /// Mails a second that the server is given, by all lanes together.
    pub per_second: NonZeroU32,
    /// Mails under way at once, in all lanes together.
    pub concurrency: NonZeroU32,
    /// How long to wait for the server: until it will take a mail, and then for its answer to it.
    pub timeout: Duration,
}

impl Default for EmailSettings {
    fn default() -> Self {
        Self {
            smtp_url: None,
            from: None,
            provider: None,
            shards: count(1),
            per_second: count(10),
            concurrency: count(4),
            timeout: Duration::from_secs(30),
        }
    }
}

impl EmailSettings {
    /// How many lanes send mail: none where there is no mail server.
    #[must_use]
    pub const fn lanes(&self) -> u32 {
        if self.smtp_url.is_some() { self.shards.get() } else { 0 }
    }
}

impl Settings {
    /// The lanes that a program with these settings serves.
    #[must_use]
    pub fn lane_names(&self) -> Vec<LaneName> {
        let mail = (0..self.email.lanes()).map(LaneName::of_mail);
        let bots = self.telegram.tokens.iter().filter_map(bot_id).map(|bot| LaneName::of_bot(&bot));
        mail.chain(bots).collect()
    }
}

/// How long messages are of use.
#[derive(Debug, Clone, Default)]
pub struct DeliverySettings {
    /// An entry's deadline after its alert; unset: one bar, at least five minutes.
    pub entry_deadline: Option<Duration>,
}

/// How long things are kept.
#[derive(Debug, Clone)]
pub struct RetentionSettings {
    pub deliveries: Duration,
    pub rejected_webhooks: Duration,
}

impl Default for RetentionSettings {
    fn default() -> Self {
        Self { deliveries: days(alertcast_core::delivery::KEPT_DAYS), rejected_webhooks: days(30) }
    }
}

/// What is logged, and how.
#[derive(Debug, Clone, Default)]
pub struct LogSettings {
    pub level: LogLevel,
    pub format: LogFormat,
}

/// Who may read `/metrics`.
#[derive(Debug, Clone, Default)]
pub struct MetricsSettings {
    /// Whoever shows it may; without one, only who asks from the machine itself.
    pub token: Option<SecretString>,
}

/// How much Alertcast's own parts log. Others' log warnings only: their details could name secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// For people, or for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// The numeric part of a bot's token, which names the bot. None where the token is not of the form `123456:ABC…`.
#[must_use]
pub fn bot_id(token: &SecretString) -> Option<String> {
    let (id, rest) = token.expose_secret().split_once(':')?;
    let fits = !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()) && !rest.is_empty();
    fits.then(|| id.to_owned())
}

/// A constant that is not zero.
const fn count(n: u32) -> NonZeroU32 {
    match NonZeroU32::new(n) {
        Some(n) => n,
        None => NonZeroU32::MIN,
    }
}

const fn days(n: u32) -> Duration {
    Duration::from_secs(n as u64 * 24 * 60 * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_secret_of_the_settings_is_known() {
        let settings = Settings {
            store: StoreChoice::MongoDb("mongodb://app:pass%2Fword-1@a,b/db?x=1".into()),
            redis_url: Some("redis://:redis-password@cache".into()),
            webhook: WebhookSettings {
                secrets: vec!["first-secret".into(), "second-secret".into()],
                hmac_key: Some("key-of-relays".into()),
                ..WebhookSettings::default()
            },
            telegram: TelegramSettings { tokens: vec!["123456:bot-token".into()], ..TelegramSettings::default() },
            email: EmailSettings { smtp_url: Some("smtps://me:mail-password@h:1".into()), ..EmailSettings::default() },
            metrics: MetricsSettings { token: Some("metrics-token".into()) },
            ..Settings::default()
        };
        let text = "first-secret second-secret key-of-relays 123456:bot-token pass%2Fword-1 pass/word-1 redis-password \
                    mail-password metrics-token app";
        let cut = settings.known_secrets().cut(text.as_bytes()).into_owned();
        assert_eq!(String::from_utf8(cut).unwrap(), "[removed] ".repeat(9) + "app");
    }
}
