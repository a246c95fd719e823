//! What is kept of a person, made small: 100,000 of them are in memory at once.

use std::collections::HashMap;

use jiff::tz::TimeZone;

use crate::delivery::place;
use crate::id::{ConfigId, PlanId, PreferenceId, SubscriptionId, UserId};
use crate::money::Price;
use crate::preference::{AlertChoices, AlertPreference, CustomSettings, WantedChannels, WantedTypes};
use crate::subscription::{PaymentStatus, Subscription, SubscriptionStatus};
use crate::time::Time;
use crate::user::{NotificationChannels, RiskLevel, User, UserStatus};

/// What is known of a user.
#[derive(Debug, Clone)]
pub struct UserView<'a> {
    pub id: UserId,
    pub status: UserStatus,
    /// The Telegram chat to write to; none until the person has started a bot.
    pub chat_id: Option<&'a str>,
    /// The topic in it.
    pub topic_id: Option<i64>,
    /// The bot that the person started: only that one can write to them.
    pub bot_id: Option<&'a str>,
    /// Telegram refuses messages to the chat (403).
    pub chat_blocked: bool,
    pub email: &'a str,
    /// There is no mailbox of that address.
    pub email_bounced: bool,
    /// The general switches.
    pub notifications: NotificationChannels,
    /// The general risk level.
    pub risk_level: RiskLevel,
    /// Entries a local day.
    pub max_daily_alerts: i64,
    /// The user's time zone; UTC where the name in the document is none.
    pub zone: &'a TimeZone,
}

impl UserView<'_> {
    /// Where to write to: the chat, and the topic in it.
    pub fn place(&self) -> Option<String> {
        self.chat_id.map(|chat| place(chat, self.topic_id))
    }
}

/// What is known of a subscription.
#[derive(Debug, Clone, Copy)]
pub struct SubscriptionView<'a> {
    pub id: SubscriptionId,
    pub plan: PlanId,
    pub status: SubscriptionStatus,
    /// Its payment was rejected: it entitles to nothing.
    pub is_rejected: bool,
    pub start: Option<Time>,
    /// The first moment that is not covered any more.
    pub end: Option<Time>,
    /// The subscriber's picks, without doubles.
    pub picks: Option<&'a [ConfigId]>,
}

/// What a user wants of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PreferenceView {
    /// None where the defaults hold.
    pub id: Option<PreferenceId>,
    pub choices: AlertChoices,
}

/// A person: a user, where known, with subscriptions and preferences.
#[derive(Debug, Clone, Default)]
pub(super) struct AudienceMember {
    user: Option<UserEntry>,
    /// By id.
    subscriptions: Vec<SubscriptionEntry>,
    /// By configuration, then id.
    preferences: Vec<PreferenceEntry>,
}

#[derive(Debug, Clone)]
struct UserEntry {
    chat_id: Option<Box<str>>,
    /// Rarely set.
    topic_id: Option<Box<i64>>,
    bot_id: Option<Box<str>>,
    email: Box<str>,
    max_daily_alerts: i64,
    zone: u16,
    status: UserStatus,
    risk_level: RiskLevel,
    notifications: NotificationChannels,
    chat_blocked: bool,
    email_bounced: bool,
}

#[derive(Debug, Clone)]
struct SubscriptionEntry {
    id: SubscriptionId,
    plan: PlanId,
    status: SubscriptionStatus,
    is_rejected: bool,
    start: Option<Time>,
    end: Option<Time>,
    picks: Option<Box<[ConfigId]>>,
}

#[derive(Debug, Clone)]
struct PreferenceEntry {
    config: ConfigId,
    id: PreferenceId,
    enabled: bool,
    types: WantedTypes,
    channels: WantedChannels,
    risk_level: Option<RiskLevel>,
    /// Rarely set: minimum and maximum price.
    bounds: Option<Box<(Option<Price>, Option<Price>)>>,
}

impl AudienceMember {
    pub(super) fn is_user(&self) -> bool {
        self.user.is_some()
    }

    pub(super) fn is_nobody(&self) -> bool {
        self.user.is_none() && self.subscriptions.is_empty() && self.preferences.is_empty()
    }

    pub(super) fn user_view<'a>(&'a self, id: UserId, zones: &'a TimeZones) -> Option<UserView<'a>> {
        let user = self.user.as_ref()?;
        Some(UserView {
            id,
            status: user.status,
            chat_id: user.chat_id.as_deref(),
            topic_id: user.topic_id.as_deref().copied(),
            bot_id: user.bot_id.as_deref(),
            chat_blocked: user.chat_blocked,
            email: &user.email,
            email_bounced: user.email_bounced,
            notifications: user.notifications.clone(),
            risk_level: user.risk_level,
            max_daily_alerts: user.max_daily_alerts,
            zone: zones.get(user.zone),
        })
    }

    pub(super) fn subscriptions(&self) -> impl Iterator<Item = SubscriptionView<'_>> {
        self.subscriptions.iter().map(|entry| SubscriptionView {
            id: entry.id,
            plan: entry.plan,
            status: entry.status,
            is_rejected: entry.is_rejected,
            start: entry.start,
            end: entry.end,
            picks: entry.picks.as_deref(),
        })
    }

    pub(super) fn preference(&self, config: ConfigId) -> PreferenceView {
        let found = self.preferences.iter().find(|entry| entry.config == config);
        found.map_or_else(PreferenceView::default, PreferenceEntry::view)
    }

    pub(super) fn set_user(&mut self, user: &User, zones: &mut TimeZones) {
        let text = |text: &Option<String>| {
            let text = text.as_deref().map_or("", str::trim);
            (!text.is_empty()).then(|| text.into())
        };
        self.user = Some(UserEntry {
            chat_id: text(&user.telegram.chat_id),
            topic_id: user.alertcast.topic_id.map(|topic| Box::new(topic.0)),
            bot_id: text(&user.alertcast.bot_id),
            email: user.email.trim().into(),
            max_daily_alerts: user.preferences.trading.max_daily_alerts.0,
            zone: zones.number(&user.profile.timezone),
            status: user.status,
            risk_level: user.preferences.trading.risk_level,
            notifications: user.preferences.notifications.clone(),
            chat_blocked: user.chat_blocked_since().is_some(),
            email_bounced: user.email_bounced_since().is_some(),
        });
    }

    pub(super) fn clear_user(&mut self) {
        self.user = None;
    }

    pub(super) fn add_subscription(&mut self, subscription: &Subscription) {
        let mut picks = subscription.alertcast.picks.clone();
        if let Some(picks) = &mut picks {
            let mut seen = std::collections::BTreeSet::new();
            picks.retain(|config| seen.insert(*config));
        }
        let at = self.subscriptions.partition_point(|entry| entry.id < subscription.id);
        self.subscriptions.reserve_exact(1);
        self.subscriptions.insert(
            at,
            SubscriptionEntry {
                id: subscription.id,
                plan: subscription.subscription_plan_id,
                status: subscription.subscription.status,
                is_rejected: subscription.payment.status == PaymentStatus::Rejected,
                start: subscription.subscription.start_date,
                end: subscription.subscription.end_date,
                picks: picks.map(Into::into),
            },
        );
    }

    /// Removes a subscription; the plan that it was to.
    pub(super) fn take_subscription(&mut self, id: SubscriptionId) -> Option<PlanId> {
        let at = self.subscriptions.iter().position(|entry| entry.id == id)?;
        Some(self.subscriptions.remove(at).plan)
    }

    pub(super) fn add_preference(&mut self, preference: &AlertPreference) {
        let choices = &preference.preferences;
        let custom = &choices.custom_settings;
        let bounded = custom.min_price.is_some() || custom.max_price.is_some();
        let entry = PreferenceEntry {
            config: preference.alert_config_id,
            id: preference.id,
            enabled: choices.enabled,
            types: choices.alert_types,
            channels: choices.notifications,
            risk_level: custom.risk_level,
            bounds: bounded.then(|| Box::new((custom.min_price, custom.max_price))),
        };
        let place = (entry.config, entry.id);
        let at = self.preferences.partition_point(|other| (other.config, other.id) < place);
        self.preferences.reserve_exact(1);
        self.preferences.insert(at, entry);
    }

    pub(super) fn remove_preference(&mut self, id: PreferenceId) {
        self.preferences.retain(|entry| entry.id != id);
    }
}

impl PreferenceEntry {
    fn view(&self) -> PreferenceView {
        let (min_price, max_price) = self.bounds.as_deref().copied().unwrap_or_default();
        PreferenceView {
            id: Some(self.id),
            choices: AlertChoices {
                enabled: self.enabled,
                alert_types: self.types,
                notifications: self.channels,
                custom_settings: CustomSettings { min_price, max_price, risk_level: self.risk_level },
            },
        }
    }
}

/// The time zones in use, each once. Their number is bounded by the time zone database: a name that is not in it is
/// UTC.
#[derive(Debug, Clone)]
pub(super) struct TimeZones {
    zones: Vec<TimeZone>,
    numbers: HashMap<String, u16>,
}

impl Default for TimeZones {
    fn default() -> Self {
        Self { zones: vec![TimeZone::UTC], numbers: HashMap::from([("UTC".to_owned(), 0)]) }
    }
}

impl TimeZones {
    fn get(&self, number: u16) -> &TimeZone {
        self.zones.get(usize::from(number)).unwrap_or(const { &TimeZone::UTC })
    }

    fn number(&mut self, name: &str) -> u16 {
        let name = name.trim();
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let Ok(zone) = TimeZone::get(name) else { return 0 };
        // A name in another case is another spelling of the same zone: only the database's own is remembered.
        let canonical = zone.iana_name().unwrap_or("UTC").to_owned();
        if let Some(number) = self.numbers.get(&canonical) {
            return *number;
        }
        let Ok(number) = u16::try_from(self.zones.len()) else {
            return 0;
        };
        self.zones.push(zone);
        self.numbers.insert(canonical, number);
        number
    }
}
