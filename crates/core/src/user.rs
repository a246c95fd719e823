//! A subscriber: the `users` document (seed 2.1).

use bson::{Document, doc};
use serde::{Deserialize, Serialize};

use crate::erasure::FieldChange;
use crate::id::UserId;
use crate::market::words;
use crate::money::Count;
use crate::time::Time;

words! {
    /// Whether a subscriber takes part (seed 2.1 `status`).
    UserStatus { Active = "active", Inactive = "inactive", Suspended = "suspended" }
}

words! {
    /// How much risk a subscriber takes, and how much an alert carries; ordered from low to high.
    RiskLevel { Low = "low", Medium = "medium", High = "high" }
}

/// A subscriber.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    #[serde(rename = "_id")]
    pub id: UserId,
    /// Lower-case and trimmed; unique.
    pub email: String,
    pub telegram: TelegramAccount,
    pub profile: Profile,
    #[serde(default = "active")]
    pub status: UserStatus,
    #[serde(default)]
    pub preferences: Preferences,
    #[serde(default)]
    pub created_at: Time,
    #[serde(default)]
    pub updated_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_login_at: Option<Time>,
    #[serde(default, skip_serializing_if = "UserExtension::is_empty")]
    pub alertcast: UserExtension,
}

const fn active() -> UserStatus {
    UserStatus::Active
}

/// The subscriber's Telegram account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TelegramAccount {
    /// Telegram's number for the person, as text; unique.
    pub user_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// Where to write to; absent until the person has started a bot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat_id: Option<String>,
}

/// Who the subscriber is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// An IANA time zone; `UTC` where none is given.
    #[serde(default = "utc")]
    pub timezone: String,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// The subscriber's general preferences.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Preferences {
    pub notifications: NotificationChannels,
    pub trading: TradingLimits,
}

/// Which channels may be used at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NotificationChannels {
    pub email: bool,
    pub telegram: bool,
    pub renewal_reminders: bool,
}

impl Default for NotificationChannels {
    fn default() -> Self {
        Self { email: true, telegram: true, renewal_reminders: true }
    }
}

/// The subscriber's limits on what they are sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TradingLimits {
    pub risk_level: RiskLevel,
    /// Entries a day, by the user's local day.
    pub max_daily_alerts: Count,
}

impl Default for TradingLimits {
    fn default() -> Self {
        Self { risk_level: RiskLevel::Medium, max_daily_alerts: Count(50) }
    }
}

/// What Alertcast keeps with a user, under `alertcast`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UserExtension {
    /// The bot that the person started: the numeric part of its token. Only that bot can write to them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bot_id: Option<String>,
    /// The topic of the chat to write to, where that is a group with topics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic_id: Option<Count>,
    /// Since when Telegram refuses messages to the chat (403). Preferences stay. The mark is about one chat: it is removed
    /// by whatever shows that the chat is open again, and by an operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat_blocked_at: Option<Time>,
    /// The chat that refuses us; none where that was noted before it was kept: then it is the chat that the user has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked_chat_id: Option<String>,
    /// Since when the mail server of the address says that there is no such mailbox. It is about one address: another one
    /// is written to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_bounced_at: Option<Time>,
    /// That address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bounced_email: Option<String>,
    /// Raised with each write that makes one of the user's subscriptions active: of two such writes that both saw four
    /// active ones, one finds that it was overtaken (seed 5.1: at most five).
    #[serde(skip_serializing_if = "Count::is_zero")]
    pub subscriptions_rev: Count,
    /// When the person was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<Time>,
}

impl User {
    /// Since when the chat that the user has now refuses us.
    pub fn chat_blocked_since(&self) -> Option<Time> {
        let (chat, blocked) = (self.telegram.chat_id.as_deref()?.trim(), self.alertcast.blocked_chat_id.as_deref());
        self.alertcast.chat_blocked_at.filter(|_| blocked.is_none_or(|blocked| blocked == chat))
    }
}

/// Who will not have our messages, as an attempt found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefusingRecipient {
    /// A Telegram chat.
    Chat(String),
    /// An e-mail address: there is no such mailbox.
    Mailbox(String),
}

impl User {
    /// Since when there is no mailbox of the address that the user has now.
    pub fn email_bounced_since(&self) -> Option<Time> {
        let bounced = self.alertcast.bounced_email.as_deref()?;
        self.alertcast.email_bounced_at.filter(|_| bounced == self.email.trim())
    }
}

/// Where a user's document says that there is no mailbox of an address.
pub const BOUNCE_FIELDS: [&str; 2] = ["alertcast.emailBouncedAt", "alertcast.bouncedEmail"];

/// What becomes of a user's document when a message was refused: a chat or an address that is not the user's any more,
/// and one that is marked already, change nothing.
pub fn with_refuser(user: &Document, refuser: &RefusingRecipient, now: Time) -> Option<FieldChange> {
    match refuser {
        RefusingRecipient::Chat(chat) => with_chat_blocked(user, chat, now),
        RefusingRecipient::Mailbox(address) => {
            let is_theirs = user.get_str("email").is_ok_and(|email| email.trim() == address);
            if !is_theirs || bounced_email(user) == Some(address) {
                return None;
            }
            let [at, named] = BOUNCE_FIELDS;
            Some(FieldChange { set: doc! { at: now, named: address, "updatedAt": now }, unset: Vec::new() })
        }
    }
}

/// The address of which a user's document says that it has no mailbox.
pub fn bounced_email(user: &Document) -> Option<&str> {
    let kept = user.get_document("alertcast").ok()?;
    kept.get_datetime("emailBouncedAt").ok()?;
    kept.get_str("bouncedEmail").ok()
}

/// What becomes of a user's document when their chat has another id; nothing where theirs is another chat.
pub fn with_chat_moved(user: &Document, from: &str, to: &str, now: Time) -> Option<FieldChange> {
    let chat = chat_of(user).filter(|chat| *chat == from)?;
    let mut set = doc! { "telegram.chatId": to, "updatedAt": now };
    if blocked_chat(user) == Some(chat) {
        set.insert(CHAT_BLOCK_FIELDS[1], to);
    }
    Some(FieldChange { set, unset: Vec::new() })
}

/// Where a user's document says that a chat refuses us.
pub const CHAT_BLOCK_FIELDS: [&str; 2] = ["alertcast.chatBlockedAt", "alertcast.blockedChatId"];

/// What becomes of a user's document when a message to `chat` was refused: a chat that is not the user's any more, and
/// one that is marked already, change nothing.
fn with_chat_blocked(user: &Document, chat: &str, now: Time) -> Option<FieldChange> {
    if chat_of(user) != Some(chat) || blocked_chat(user) == Some(chat) {
        return None;
    }
    let [at, named] = CHAT_BLOCK_FIELDS;
    Some(FieldChange { set: doc! { at: now, named: chat, "updatedAt": now }, unset: Vec::new() })
}

/// The chat of which a user's document says that it refuses us.
pub fn blocked_chat(user: &Document) -> Option<&str> {
    let kept = user.get_document("alertcast").ok()?;
    kept.get_datetime("chatBlockedAt").ok()?;
    kept.get_str("blockedChatId").ok().or_else(|| chat_of(user))
}

fn chat_of(user: &Document) -> Option<&str> {
    user.get_document("telegram").ok()?.get_str("chatId").ok().map(str::trim)
}

impl UserExtension {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
