//! What the seed's eight collections require of a document (seed 2, 5.1 and 7.1): the fields, their types and their
//! words. An engine that can check what is written to it, whoever writes it, makes its own form of this.
//!
//! Fields that are not named here are always allowed: other applications keep theirs beside ours.

use super::Collection;
use crate::admin::AdminStatus;
use crate::alert::document::{AlertStatus, Source, TradeAction};
use crate::config::{ConfigStatus, RequiredField};
use crate::market::{ExitReason, Side, Signal, Timeframe};
use crate::plan::PlanStatus;
use crate::subscription::{PaymentMethod, PaymentStatus, SubscriptionStatus};
use crate::trade::document::TradeStatus;
use crate::user::{RiskLevel, UserStatus};

/// The pattern of an e-mail address (seed 7.1).
pub const EMAIL_PATTERN: &str = r"^[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}$";

/// A field of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its dotted path.
    pub path: &'static str,
    pub kind: Kind,
    pub presence: Presence,
    pub weight: Weight,
}

/// What it means for alerts that a field cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Nothing is to rest on a guess: entries are held back.
    Decides,
    /// Something else stands in for it, and nothing is held back.
    Told,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// Text that is not empty.
    Name,
    Email,
    /// One of these.
    Word(&'static [&'static str]),
    /// Any BSON number, as JavaScript writes them.
    Number,
    AtLeast(i32),
    /// A number from one to another, both included.
    Within(i32, i32),
    Flag,
    Date,
    Id,
    Document,
    List(&'static Kind),
    /// A list of documents with these fields.
    Documents(&'static [Field]),
}

/// Whether a field must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    Required,
    /// It may be absent, or null (as Mongoose has it), and has its default then.
    Defaulted,
    /// It may be absent, or null.
    Optional,
}

impl Field {
    const fn required(self) -> Self {
        Self { presence: Presence::Required, ..self }
    }

    const fn optional(self) -> Self {
        Self { presence: Presence::Optional, ..self }
    }

    const fn told(self) -> Self {
        Self { weight: Weight::Told, ..self }
    }
}

/// What a collection requires; none of ours is checked by the engine.
pub const fn fields(collection: Collection) -> &'static [Field] {
    match collection {
        Collection::Users => USERS,
        Collection::SubscriptionPlans => PLANS,
        Collection::AlertConfigurations => CONFIGS,
        Collection::UserSubscriptions => SUBSCRIPTIONS,
        Collection::UserAlertPreferences => PREFERENCES,
        Collection::Trades => TRADES,
        Collection::Alerts => ALERTS,
        Collection::AdminUsers => ADMINS,
        _ => &[],
    }
}

/// The paths of a collection's fields and of the objects around them; an object weighs as the weightiest within.
#[cfg(any(test, feature = "conformance"))]
pub fn levels_and_fields(collection: Collection) -> Vec<(&'static str, Weight)> {
    let mut places: Vec<(&'static str, Weight)> = Vec::new();
    for field in fields(collection) {
        let levels = field.path.match_indices('.').map(|(end, _)| &field.path[..end]);
        for path in levels.chain([field.path]) {
            match places.iter_mut().find(|place| place.0 == path) {
                Some(place) if field.weight == Weight::Decides => place.1 = field.weight,
                Some(_) => {}
                None => places.push((path, field.weight)),
            }
        }
    }
    places
}

const fn field(path: &'static str, kind: Kind) -> Field {
    Field { path, kind, presence: Presence::Defaulted, weight: Weight::Decides }
}

use Kind::{AtLeast, Date, Document, Documents, Email, Flag, Id, List, Name, Number, Text, Within, Word};

const CREATED: Field = field("createdAt", Date).told();
const UPDATED: Field = field("updatedAt", Date).told();

const USERS: &[Field] = &[
    field("email", Email).required().told(),
    field("telegram.userId", Text).required().told(),
    field("telegram.username", Text).optional().told(),
    field("telegram.firstName", Text).optional().told(),
    field("telegram.lastName", Text).optional().told(),
    field("telegram.chatId", Text).optional().told(),
    field("profile.name", Name).required().told(),
    field("profile.phone", Text).optional().told(),
    field("profile.timezone", Text).told(),
    field("status", Word(UserStatus::WORDS)),
    field("preferences.notifications.email", Flag),
    field("preferences.notifications.telegram", Flag),
    field("preferences.notifications.renewalReminders", Flag).told(),
    field("preferences.trading.riskLevel", Word(RiskLevel::WORDS)),
    field("preferences.trading.maxDailyAlerts", Number),
    CREATED,
    UPDATED,
    field("lastLoginAt", Date).optional().told(),
];

const PLANS: &[Field] = &[
    field("name", Name).required().told(),
    field("description", Text).required().told(),
    field("pricing.amount", AtLeast(0)).required().told(),
    field("pricing.currency", Text).told(),
    field("pricing.duration.months", AtLeast(1)).required().told(),
    field("pricing.duration.days", Number).told(),
    field("features.maxAlertConfigs", Number),
    field("features.maxOpenTrades", Number),
    field("features.prioritySupport", Flag).told(),
    field("features.advancedAnalytics", Flag).told(),
    field("alertConfigurations", List(&Id)).told(),
    field("status", Word(PlanStatus::WORDS)),
    field("metadata.displayOrder", Number).told(),
    field("metadata.isPopular", Flag).told(),
    field("metadata.tags", List(&Text)).told(),
    CREATED,
    UPDATED,
];

const CONFIGS: &[Field] = &[
    field("name", Name).required().told(),
    field("description", Text).optional().told(),
    field("symbol", Name).required(),
    field("timeframe", Word(Timeframe::WORDS)).required(),
    field("strategy", Name).required(),
    field("tradeManagement.maxOpenTrades", Within(1, 5)),
    field("tradeManagement.allowOppositeSignals", Flag),
    field("tradeManagement.replaceOnSameSignal", Flag),
    field("tradeManagement.autoCloseOnTPSL", Flag),
    field("alertTypes.entry.enabled", Flag),
    field("alertTypes.entry.signals", List(&Word(Side::WORDS))),
    field("alertTypes.exit.enabled", Flag),
    field("alertTypes.exit.signals", List(&Word(EXIT_SIGNALS))),
    field("validation.requiredFields", List(&Word(RequiredField::WORDS))),
    field("validation.priceValidation.enabled", Flag),
    field("validation.priceValidation.tolerance", Number),
    field("status", Word(ConfigStatus::WORDS)),
    field("statistics.totalAlerts", Number).told(),
    field("statistics.totalTrades", Number).told(),
    field("statistics.successRate", Number).told(),
    field("statistics.lastAlertAt", Date).optional().told(),
    CREATED,
    UPDATED,
];
const EXIT_SIGNALS: &[&str] = &[Signal::TpHit.as_str(), Signal::SlHit.as_str()];

const SUBSCRIPTIONS: &[Field] = &[
    field("userId", Id).required(),
    field("subscriptionPlanId", Id).required(),
    field("payment.transactionId", Name).required().told(),
    field("payment.amount", Number).required().told(),
    field("payment.currency", Text).told(),
    field("payment.method", Word(PaymentMethod::WORDS)).told(),
    field("payment.proofUrl", Text).optional().told(),
    field("payment.status", Word(PaymentStatus::WORDS)),
    field("payment.approvedBy", Id).optional().told(),
    field("payment.approvedAt", Date).optional().told(),
    field("payment.rejectionReason", Text).optional().told(),
    field("subscription.startDate", Date).optional(),
    field("subscription.endDate", Date).optional(),
    field("subscription.status", Word(SubscriptionStatus::WORDS)),
    field("subscription.autoRenew", Flag).told(),
    field("subscription.renewalNotificationSent", Flag).told(),
    field("usage.alertsReceived", Number).told(),
    field("usage.tradesOpened", Number).told(),
    field("usage.lastActivityAt", Date).optional().told(),
    CREATED,
    UPDATED,
];

const PREFERENCES: &[Field] = &[
    field("userId", Id).required(),
    field("subscriptionId", Id).required().told(),
    field("alertConfigId", Id).required(),
    field("preferences.enabled", Flag),
    field("preferences.alertTypes.entry", Flag),
    field("preferences.alertTypes.exit", Flag),
    field("preferences.alertTypes.replacement", Flag),
    field("preferences.notifications.telegram", Flag),
    field("preferences.notifications.email", Flag),
    field("preferences.customSettings.minPrice", Number).optional(),
    field("preferences.customSettings.maxPrice", Number).optional(),
    field("preferences.customSettings.riskLevel", Word(RiskLevel::WORDS)).optional(),
    field("statistics.alertsReceived", Number).told(),
    field("statistics.tradesOpened", Number).told(),
    field("statistics.lastAlertAt", Date).optional().told(),
    CREATED,
    UPDATED,
];

const TRADES: &[Field] = &[
    field("tradeNumber", Number).required(),
    field("userId", Id).required(),
    field("alertConfigId", Id).required(),
    field("subscriptionId", Id).required().told(),
    field("tradeData.symbol", Name).required().told(),
    field("tradeData.timeframe", Name).required().told(),
    field("tradeData.strategy", Name).required().told(),
    field("tradeData.signal", Word(Side::WORDS)).required(),
    field("tradeData.entryPrice", Number).required(),
    field("tradeData.takeProfitPrice", Number).optional(),
    field("tradeData.stopLossPrice", Number).optional(),
    field("tradeData.exitPrice", Number).optional().told(),
    field("tradeData.exitReason", Word(ExitReason::WORDS)).optional().told(),
    field("status", Word(TradeStatus::WORDS)),
    field("pnl.amount", Number).optional().told(),
    field("pnl.percentage", Number).optional().told(),
    field("pnl.currency", Text).told(),
    field("timestamps.openedAt", Date).told(),
    field("timestamps.closedAt", Date).optional().told(),
    field("timestamps.replacedAt", Date).optional().told(),
    field("alerts.entryAlertId", Id).optional().told(),
    field("alerts.exitAlertId", Id).optional().told(),
    field("metadata.replacedBy", Id).optional().told(),
    field("metadata.replacementReason", Text).optional().told(),
    field("metadata.notes", Text).optional().told(),
    CREATED,
    UPDATED,
];

const ALERTS: &[Field] = &[
    field("source", Word(Source::WORDS)).told(),
    field("webhook.receivedAt", Date),
    field("webhook.processedAt", Date).optional().told(),
    field("webhook.rawPayload", Document).required(),
    field("webhook.signature", Text).optional().told(),
    field("webhook.ipAddress", Text).optional().told(),
    field("alertData.symbol", Name).required(),
    field("alertData.timeframe", Name).required(),
    field("alertData.strategy", Name).required(),
    field("alertData.signal", Word(Signal::WORDS)).required(),
    field("alertData.price", Number).required(),
    field("alertData.takeProfitPrice", Number).optional(),
    field("alertData.stopLossPrice", Number).optional(),
    field("alertData.timestamp", Date).required(),
    field("alertData.additionalData", Document).optional(),
    field("processing.status", Word(AlertStatus::WORDS)),
    field("processing.alertConfigId", Id).optional(),
    field("processing.matchedUsers", Documents(MATCHED)).told(),
    field("processing.tradeActions", Documents(ACTIONS)).told(),
    field("processing.errors", Documents(ERRORS)).told(),
    field("statistics.processingTime", Number).optional().told(),
    field("statistics.deliveryCount", Number).told(),
    field("statistics.failureCount", Number).told(),
    CREATED,
    UPDATED,
];
const MATCHED: &[Field] = &[
    field("userId", Id),
    field("subscriptionId", Id),
    field("delivered", Flag),
    field("deliveredAt", Date).optional(),
    field("error", Text).optional(),
];
const ACTIONS: &[Field] = &[field("action", Word(TradeAction::WORDS)), field("tradeId", Id), field("userId", Id)];
const ERRORS: &[Field] = &[field("message", Text), field("timestamp", Date), field("stack", Text).optional()];

const ADMINS: &[Field] = &[
    field("username", Name).required(),
    field("email", Name).required().told(),
    field("password", Name).required(),
    field("profile.firstName", Text).required().told(),
    field("profile.lastName", Text).required().told(),
    field("profile.phone", Text).optional().told(),
    field("permissions.users.view", Flag),
    field("permissions.users.edit", Flag),
    field("permissions.users.delete", Flag),
    field("permissions.subscriptions.view", Flag),
    field("permissions.subscriptions.approve", Flag),
    field("permissions.subscriptions.edit", Flag),
    field("permissions.alerts.view", Flag),
    field("permissions.alerts.configure", Flag),
    field("permissions.system.settings", Flag),
    field("permissions.system.logs", Flag),
    field("status", Word(AdminStatus::WORDS)),
    field("security.lastLoginAt", Date).optional().told(),
    field("security.lastLoginIP", Text).optional().told(),
    field("security.failedLoginAttempts", Number).told(),
    field("security.lockedUntil", Date).optional(),
    // Tokens that were made before it have ended.
    field("security.passwordChangedAt", Date).optional(),
    CREATED,
    UPDATED,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_declared_once_and_is_no_part_of_another() {
        for collection in Collection::ALL {
            let paths: Vec<&str> = fields(*collection).iter().map(|field| field.path).collect();
            for (n, path) in paths.iter().enumerate() {
                let within = |other: &&str| other == path || other.starts_with(&format!("{path}."));
                assert!(!paths[n + 1..].iter().any(&within), "{collection} {path}");
                assert!(!paths[..n].iter().any(within), "{collection} {path}");
            }
        }
    }

    #[test]
    fn what_must_be_unique_and_what_refers_is_required_or_has_a_default() {
        for collection in Collection::ALL.iter().filter(|collection| !fields(**collection).is_empty()) {
            let unique = collection.indexes().iter().filter(|index| index.unique).flat_map(|index| index.keys);
            let refer = collection.references().iter().map(|reference| reference.field);
            for path in unique.map(|key| key.0).chain(refer) {
                let declared = fields(*collection).iter().find(|field| field.path == path);
                assert!(declared.is_some_and(|field| field.presence != Presence::Optional), "{collection} {path}");
            }
        }
    }
}
