//! What the seed's eight collections require of a document (seed 2, 5.1 and 7.1): the fields, their types and their
//! words. An engine that can check what is written to it, whoever writes it, makes its own form of this.
//!
//! Fields that are not named here are always allowed: other applications keep theirs beside ours.

use super::Collection;
use crate::admin::AdminStatus;
use crate::alert::document::{AlertStatus, Source, TradeAction};
use crate::alert_configuration::{ConfigStatus, RequiredField};
use crate::market::{ExitReason, Side, Signal, Timeframe};
use crate::plan::PlanStatus;
use crate::subscription::{PaymentMethod, PaymentStatus, SubscriptionStatus};
use crate::trade::document::TradeStatus;
use crate::user::{RiskLevel, UserStatus};

/// The pattern of an e-mail address (seed 7.1).
pub const EMAIL_PATTERN: &str = r"^[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}$";

/// A field of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldDeclaration {
    /// Its dotted path.
    pub path: &'static str,
    pub kind: FieldKind,
    pub presence: FieldPresence,
    pub weight: FieldWeight,
}

/// What it means for alerts that a field cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldWeight {
    /// Nothing is to rest on a guess: entries are held back.
    Decides,
    /// Something else stands in for it, and nothing is held back.
    Told,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
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
    List(&'static FieldKind),
    /// A list of documents with these fields.
    Documents(&'static [FieldDeclaration]),
}

/// Whether a field must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldPresence {
    Required,
    /// It may be absent, or null (as Mongoose has it), and has its default then.
    Defaulted,
    /// It may be absent, or null.
    Optional,
}

impl FieldDeclaration {
    const fn make_required(self) -> Self {
        Self { presence: FieldPresence::Required, ..self }
    }

    const fn optional(self) -> Self {
        Self { presence: FieldPresence::Optional, ..self }
    }

    const fn make_told(self) -> Self {
        Self { weight: FieldWeight::Told, ..self }
    }
}

/// What a collection requires; none of ours is checked by the engine.
pub const fn fields(collection: Collection) -> &'static [FieldDeclaration] {
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
#[cfg(any(test, feature = "fixtures"))]
pub fn levels_and_fields(collection: Collection) -> Vec<(&'static str, FieldWeight)> {
    let mut places: Vec<(&'static str, FieldWeight)> = Vec::new();
    for field in fields(collection) {
        let levels = field.path.match_indices('.').map(|(end, _)| &field.path[..end]);
        for path in levels.chain([field.path]) {
            match places.iter_mut().find(|place| place.0 == path) {
                Some(place) if field.weight == FieldWeight::Decides => place.1 = field.weight,
                Some(_) => {}
                None => places.push((path, field.weight)),
            }
        }
    }
    places
}

const fn field(path: &'static str, kind: FieldKind) -> FieldDeclaration {
    FieldDeclaration { path, kind, presence: FieldPresence::Defaulted, weight: FieldWeight::Decides }
}

use FieldKind::{AtLeast, Date, Document, Documents, Email, Flag, Id, List, Name, Number, Text, Within, Word};

const CREATED: FieldDeclaration = field("createdAt", Date).make_told();
const UPDATED: FieldDeclaration = field("updatedAt", Date).make_told();

const USERS: &[FieldDeclaration] = &[
    field("email", Email).make_required().make_told(),
    field("telegram.userId", Text).make_required().make_told(),
    field("telegram.username", Text).optional().make_told(),
    field("telegram.firstName", Text).optional().make_told(),
    field("telegram.lastName", Text).optional().make_told(),
    field("telegram.chatId", Text).optional().make_told(),
    field("profile.name", Name).make_required().make_told(),
    field("profile.phone", Text).optional().make_told(),
    field("profile.timezone", Text).make_told(),
    field("status", Word(UserStatus::WORDS)),
    field("preferences.notifications.email", Flag),
    field("preferences.notifications.telegram", Flag),
    field("preferences.notifications.renewalReminders", Flag).make_told(),
    field("preferences.trading.riskLevel", Word(RiskLevel::WORDS)),
    field("preferences.trading.maxDailyAlerts", Number),
    CREATED,
    UPDATED,
    field("lastLoginAt", Date).optional().make_told(),
];

const PLANS: &[FieldDeclaration] = &[
    field("name", Name).make_required().make_told(),
    field("description", Text).make_required().make_told(),
    field("pricing.amount", AtLeast(0)).make_required().make_told(),
    field("pricing.currency", Text).make_told(),
    field("pricing.duration.months", AtLeast(1)).make_required().make_told(),
    field("pricing.duration.days", Number).make_told(),
    field("features.maxAlertConfigs", Number),
    field("features.maxOpenTrades", Number),
    field("features.prioritySupport", Flag).make_told(),
    field("features.advancedAnalytics", Flag).make_told(),
    field("alertConfigurations", List(&Id)).make_told(),
    field("status", Word(PlanStatus::WORDS)),
    field("metadata.displayOrder", Number).make_told(),
    field("metadata.isPopular", Flag).make_told(),
    field("metadata.tags", List(&Text)).make_told(),
    CREATED,
    UPDATED,
];

const CONFIGS: &[FieldDeclaration] = &[
    field("name", Name).make_required().make_told(),
    field("description", Text).optional().make_told(),
    field("symbol", Name).make_required(),
    field("timeframe", Word(Timeframe::WORDS)).make_required(),
    field("strategy", Name).make_required(),
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
    field("statistics.totalAlerts", Number).make_told(),
    field("statistics.totalTrades", Number).make_told(),
    field("statistics.successRate", Number).make_told(),
    field("statistics.lastAlertAt", Date).optional().make_told(),
    CREATED,
    UPDATED,
];
const EXIT_SIGNALS: &[&str] = &[Signal::TpHit.as_str(), Signal::SlHit.as_str()];

const SUBSCRIPTIONS: &[FieldDeclaration] = &[
    field("userId", Id).make_required(),
    field("subscriptionPlanId", Id).make_required(),
    field("payment.transactionId", Name).make_required().make_told(),
    field("payment.amount", Number).make_required().make_told(),
    field("payment.currency", Text).make_told(),
    field("payment.method", Word(PaymentMethod::WORDS)).make_told(),
    field("payment.proofUrl", Text).optional().make_told(),
    field("payment.status", Word(PaymentStatus::WORDS)),
    field("payment.approvedBy", Id).optional().make_told(),
    field("payment.approvedAt", Date).optional().make_told(),
    field("payment.rejectionReason", Text).optional().make_told(),
    field("subscription.startDate", Date).optional(),
    field("subscription.endDate", Date).optional(),
    field("subscription.status", Word(SubscriptionStatus::WORDS)),
    field("subscription.autoRenew", Flag).make_told(),
    field("subscription.renewalNotificationSent", Flag).make_told(),
    field("usage.alertsReceived", Number).make_told(),
    field("usage.tradesOpened", Number).make_told(),
    field("usage.lastActivityAt", Date).optional().make_told(),
    CREATED,
    UPDATED,
];

const PREFERENCES: &[FieldDeclaration] = &[
    field("userId", Id).make_required(),
    field("subscriptionId", Id).make_required().make_told(),
    field("alertConfigId", Id).make_required(),
    field("preferences.enabled", Flag),
    field("preferences.alertTypes.entry", Flag),
    field("preferences.alertTypes.exit", Flag),
    field("preferences.alertTypes.replacement", Flag),
    field("preferences.notifications.telegram", Flag),
    field("preferences.notifications.email", Flag),
    field("preferences.customSettings.minPrice", Number).optional(),
    field("preferences.customSettings.maxPrice", Number).optional(),
    field("preferences.customSettings.riskLevel", Word(RiskLevel::WORDS)).optional(),
    field("statistics.alertsReceived", Number).make_told(),
    field("statistics.tradesOpened", Number).make_told(),
    field("statistics.lastAlertAt", Date).optional().make_told(),
    CREATED,
    UPDATED,
];

const TRADES: &[FieldDeclaration] = &[
    field("tradeNumber", Number).make_required(),
    field("userId", Id).make_required(),
    field("alertConfigId", Id).make_required(),
    field("subscriptionId", Id).make_required().make_told(),
    field("tradeData.symbol", Name).make_required().make_told(),
    field("tradeData.timeframe", Name).make_required().make_told(),
    field("tradeData.strategy", Name).make_required().make_told(),
    field("tradeData.signal", Word(Side::WORDS)).make_required(),
    field("tradeData.entryPrice", Number).make_required(),
    field("tradeData.takeProfitPrice", Number).optional(),
    field("tradeData.stopLossPrice", Number).optional(),
    field("tradeData.exitPrice", Number).optional().make_told(),
    field("tradeData.exitReason", Word(ExitReason::WORDS)).optional().make_told(),
    field("status", Word(TradeStatus::WORDS)),
    field("pnl.amount", Number).optional().make_told(),
    field("pnl.percentage", Number).optional().make_told(),
    field("pnl.currency", Text).make_told(),
    field("timestamps.openedAt", Date).make_told(),
    field("timestamps.closedAt", Date).optional().make_told(),
    field("timestamps.replacedAt", Date).optional().make_told(),
    field("alerts.entryAlertId", Id).optional().make_told(),
    field("alerts.exitAlertId", Id).optional().make_told(),
    field("metadata.replacedBy", Id).optional().make_told(),
    field("metadata.replacementReason", Text).optional().make_told(),
    field("metadata.notes", Text).optional().make_told(),
    CREATED,
    UPDATED,
];

const ALERTS: &[FieldDeclaration] = &[
    field("source", Word(Source::WORDS)).make_told(),
    field("webhook.receivedAt", Date),
    field("webhook.processedAt", Date).optional().make_told(),
    field("webhook.rawPayload", Document).make_required(),
    field("webhook.signature", Text).optional().make_told(),
    field("webhook.ipAddress", Text).optional().make_told(),
    field("alertData.symbol", Name).make_required(),
    field("alertData.timeframe", Name).make_required(),
    field("alertData.strategy", Name).make_required(),
    field("alertData.signal", Word(Signal::WORDS)).make_required(),
    field("alertData.price", Number).make_required(),
    field("alertData.takeProfitPrice", Number).optional(),
    field("alertData.stopLossPrice", Number).optional(),
    field("alertData.timestamp", Date).make_required(),
    field("alertData.additionalData", Document).optional(),
    field("processing.status", Word(AlertStatus::WORDS)),
    field("processing.alertConfigId", Id).optional(),
    field("processing.matchedUsers", Documents(MATCHED)).make_told(),
    field("processing.tradeActions", Documents(ACTIONS)).make_told(),
    field("processing.errors", Documents(ERRORS)).make_told(),
    field("statistics.processingTime", Number).optional().make_told(),
    field("statistics.deliveryCount", Number).make_told(),
    field("statistics.failureCount", Number).make_told(),
    CREATED,
    UPDATED,
];
const MATCHED: &[FieldDeclaration] = &[
    field("userId", Id),
    field("subscriptionId", Id),
    field("delivered", Flag),
    field("deliveredAt", Date).optional(),
    field("error", Text).optional(),
];
const ACTIONS: &[FieldDeclaration] =
    &[field("action", Word(TradeAction::WORDS)), field("tradeId", Id), field("userId", Id)];
const ERRORS: &[FieldDeclaration] =
    &[field("message", Text), field("timestamp", Date), field("stack", Text).optional()];

const ADMINS: &[FieldDeclaration] = &[
    field("username", Name).make_required(),
    field("email", Name).make_required().make_told(),
    field("password", Name).make_required(),
    field("profile.firstName", Text).make_required().make_told(),
    field("profile.lastName", Text).make_required().make_told(),
    field("profile.phone", Text).optional().make_told(),
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
    field("security.lastLoginAt", Date).optional().make_told(),
    field("security.lastLoginIP", Text).optional().make_told(),
    field("security.failedLoginAttempts", Number).make_told(),
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
                assert!(declared.is_some_and(|field| field.presence != FieldPresence::Optional), "{collection} {path}");
            }
        }
    }
}
