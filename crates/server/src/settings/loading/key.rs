//! Every key that can be set: its place in the file, its variable, and whether it is a secret.

/// One setting.
#[derive(Debug, PartialEq, Eq)]
pub struct SettingKey {
    /// Its place in the file: `webhook.secrets`.
    pub path: &'static str,
    /// Its environment variable.
    pub variable: &'static str,
    /// Never shown, not accepted as a flag (others could read it in the list of processes), and readable from a file of
    /// its own: `…_file` in the file, `…_FILE` in the environment.
    pub secret: bool,
}

const fn key(path: &'static str, variable: &'static str) -> SettingKey {
    SettingKey { path, variable, secret: false }
}

const fn secret(path: &'static str, variable: &'static str) -> SettingKey {
    SettingKey { path, variable, secret: true }
}

pub(super) const LISTEN: SettingKey = key("listen", "ALERTCAST_LISTEN");
pub(super) const PUBLIC_URL: SettingKey = key("public_url", "ALERTCAST_PUBLIC_URL");
pub(super) const DATA_DIR: SettingKey = key("data_dir", "ALERTCAST_DATA_DIR");
pub(super) const STORE: SettingKey = secret("store", "ALERTCAST_STORE");
pub(super) const REDIS_URL: SettingKey = secret("redis_url", "ALERTCAST_REDIS_URL");
pub(super) const WEBHOOK_SECRETS: SettingKey = secret("webhook.secrets", "ALERTCAST_WEBHOOK_SECRETS");
pub(super) const CHECK_ADDRESSES: SettingKey = key("webhook.check_addresses", "ALERTCAST_WEBHOOK_CHECK_ADDRESSES");
pub(super) const ALLOWED_ADDRESSES: SettingKey =
    key("webhook.allowed_addresses", "ALERTCAST_WEBHOOK_ALLOWED_ADDRESSES");
pub(super) const TRUSTED_PROXIES: SettingKey = key("webhook.trusted_proxies", "ALERTCAST_WEBHOOK_TRUSTED_PROXIES");
pub(super) const HMAC_KEY: SettingKey = secret("webhook.hmac_key", "ALERTCAST_WEBHOOK_HMAC_KEY");
pub(super) const REQUESTS_A_MINUTE: SettingKey =
    key("webhook.requests_a_minute", "ALERTCAST_WEBHOOK_REQUESTS_A_MINUTE");
pub(super) const API_REQUESTS_A_MINUTE: SettingKey = key("api.requests_a_minute", "ALERTCAST_API_REQUESTS_A_MINUTE");
pub(super) const TELEGRAM_TOKENS: SettingKey = secret("telegram.tokens", "ALERTCAST_TELEGRAM_TOKENS");
pub(super) const TELEGRAM_API_URL: SettingKey = key("telegram.api_url", "ALERTCAST_TELEGRAM_API_URL");
pub(super) const OPERATOR_CHATS: SettingKey = key("telegram.operator_chats", "ALERTCAST_OPERATOR_CHATS");
pub(super) const TELEGRAM_TIMEOUT: SettingKey = key("telegram.timeout_seconds", "ALERTCAST_TELEGRAM_TIMEOUT_SECONDS");
pub(super) const TELEGRAM_CONCURRENCY: SettingKey = key("telegram.concurrency", "ALERTCAST_TELEGRAM_CONCURRENCY");
pub(super) const BOT_PER_SECOND: SettingKey =
    key("telegram.limits.bot_per_second", "ALERTCAST_TELEGRAM_BOT_PER_SECOND");
pub(super) const CHAT_PER_SECOND: SettingKey =
    key("telegram.limits.chat_per_second", "ALERTCAST_TELEGRAM_CHAT_PER_SECOND");
pub(super) const GROUP_PER_MINUTE: SettingKey =
    key("telegram.limits.group_per_minute", "ALERTCAST_TELEGRAM_GROUP_PER_MINUTE");
pub(super) const PROVIDER_NAME: SettingKey = key("provider.name", "ALERTCAST_PROVIDER_NAME");
pub(super) const SMTP_URL: SettingKey = secret("email.smtp_url", "ALERTCAST_SMTP_URL");
pub(super) const EMAIL_FROM: SettingKey = key("email.from", "ALERTCAST_EMAIL_FROM");
pub(super) const EMAIL_SHARDS: SettingKey = key("email.shards", "ALERTCAST_EMAIL_SHARDS");
pub(super) const EMAIL_PER_SECOND: SettingKey = key("email.per_second", "ALERTCAST_EMAIL_PER_SECOND");
pub(super) const EMAIL_CONCURRENCY: SettingKey = key("email.concurrency", "ALERTCAST_EMAIL_CONCURRENCY");
pub(super) const EMAIL_TIMEOUT: SettingKey = key("email.timeout_seconds", "ALERTCAST_EMAIL_TIMEOUT_SECONDS");
pub(super) const ENTRY_DEADLINE: SettingKey =
    key("delivery.entry_deadline_minutes", "ALERTCAST_ENTRY_DEADLINE_MINUTES");
pub(super) const KEEP_DELIVERIES: SettingKey = key("retention.deliveries_days", "ALERTCAST_RETENTION_DELIVERIES_DAYS");
pub(super) const KEEP_REJECTED: SettingKey =
    key("retention.rejected_webhooks_days", "ALERTCAST_RETENTION_REJECTED_WEBHOOKS_DAYS");
pub(super) const LOG_LEVEL: SettingKey = key("log.level", "ALERTCAST_LOG_LEVEL");
pub(super) const LOG_FORMAT: SettingKey = key("log.format", "ALERTCAST_LOG_FORMAT");
pub(super) const METRICS_TOKEN: SettingKey = secret("metrics.token", "ALERTCAST_METRICS_TOKEN");

/// All of them, in the order of the default file.
pub const KEYS: &[SettingKey] = &[
    LISTEN,
    PUBLIC_URL,
    DATA_DIR,
    STORE,
    REDIS_URL,
    WEBHOOK_SECRETS,
    CHECK_ADDRESSES,
    ALLOWED_ADDRESSES,
    TRUSTED_PROXIES,
    HMAC_KEY,
    REQUESTS_A_MINUTE,
    API_REQUESTS_A_MINUTE,
    TELEGRAM_TOKENS,
    TELEGRAM_API_URL,
    OPERATOR_CHATS,
    TELEGRAM_TIMEOUT,
    TELEGRAM_CONCURRENCY,
    BOT_PER_SECOND,
    CHAT_PER_SECOND,
    GROUP_PER_MINUTE,
    PROVIDER_NAME,
    SMTP_URL,
    EMAIL_FROM,
    EMAIL_PER_SECOND,
    EMAIL_CONCURRENCY,
    EMAIL_TIMEOUT,
    EMAIL_SHARDS,
    ENTRY_DEADLINE,
    KEEP_DELIVERIES,
    KEEP_REJECTED,
    LOG_LEVEL,
    LOG_FORMAT,
    METRICS_TOKEN,
];

impl SettingKey {
    /// The key at that place in the file.
    #[must_use]
    pub fn at(path: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.path == path)
    }

    /// The same place, but for the file that holds a secret.
    pub(super) fn file_path(&self) -> String {
        format!("{}_file", self.path)
    }

    /// The variable that names the file that holds a secret.
    pub(super) fn file_variable(&self) -> String {
        format!("{}_FILE", self.variable)
    }
}
