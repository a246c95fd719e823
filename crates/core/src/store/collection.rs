//! The collections: names, indexes, references. One declaration serves both engines.

use std::fmt;

use bson::Bson;

use super::{StoreError, StoreResult};
use crate::schema::FieldWeight;

/// A collection of documents; in the embedded store a table of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Collection {
    Users,
    SubscriptionPlans,
    AlertConfigurations,
    UserSubscriptions,
    UserAlertPreferences,
    Trades,
    Alerts,
    AdminUsers,
    Deliveries,
    Decisions,
    Quotas,
    IntakeKeys,
    RejectedWebhooks,
    Changes,
    Leases,
    ApiTokens,
    AuditLog,
    IdempotencyKeys,
    Secrets,
    /// Operators' chats that have another id than the settings name.
    MovedChats,
}

impl Collection {
    /// All of them: the seed's eight, then ours.
    pub const ALL: &'static [Self] = &[
        Self::Users,
        Self::SubscriptionPlans,
        Self::AlertConfigurations,
        Self::UserSubscriptions,
        Self::UserAlertPreferences,
        Self::Trades,
        Self::Alerts,
        Self::AdminUsers,
        Self::Deliveries,
        Self::Decisions,
        Self::Quotas,
        Self::IntakeKeys,
        Self::RejectedWebhooks,
        Self::Changes,
        Self::Leases,
        Self::ApiTokens,
        Self::AuditLog,
        Self::IdempotencyKeys,
        Self::Secrets,
        Self::MovedChats,
    ];

    /// Its name in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::SubscriptionPlans => "subscription_plans",
            Self::AlertConfigurations => "alert_configurations",
            Self::UserSubscriptions => "user_subscriptions",
            Self::UserAlertPreferences => "user_alert_preferences",
            Self::Trades => "trades",
            Self::Alerts => "alerts",
            Self::AdminUsers => "admin_users",
            Self::Deliveries => "deliveries",
            Self::Decisions => "decisions",
            Self::Quotas => "quotas",
            Self::IntakeKeys => "intake_keys",
            Self::RejectedWebhooks => "rejected_webhooks",
            Self::Changes => "changes",
            Self::Leases => "leases",
            Self::ApiTokens => "api_tokens",
            Self::AuditLog => "audit_log",
            Self::IdempotencyKeys => "idempotency_keys",
            Self::Secrets => "secrets",
            Self::MovedChats => "moved_chats",
        }
    }

    /// The collection of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|collection| collection.name() == name)
    }

    /// Whether it is one of the seed's eight, whose documents others write too.
    pub const fn is_in_seed(self) -> bool {
        matches!(
            self,
            Self::Users
                | Self::SubscriptionPlans
                | Self::AlertConfigurations
                | Self::UserSubscriptions
                | Self::UserAlertPreferences
                | Self::Trades
                | Self::Alerts
                | Self::AdminUsers
        )
    }

    /// What it means that something cannot be read which Alertcast keeps in its documents under `alertcast`.
    pub const fn own_weight(self) -> FieldWeight {
        match self {
            Self::Users | Self::AlertConfigurations | Self::AdminUsers => FieldWeight::Told,
            _ => FieldWeight::Decides,
        }
    }

    /// Whether the audience is made of its documents, so that a change of one stands in the change log.
    pub const fn makes_audience(self) -> bool {
        matches!(
            self,
            Self::Users
                | Self::SubscriptionPlans
                | Self::AlertConfigurations
                | Self::UserSubscriptions
                | Self::UserAlertPreferences
        )
    }

    /// Holds that at most one of its documents has the same values in these fields.
    ///
    /// # Errors
    /// `Corrupt` where they are neither `_id` nor the fields of an index that is unique, or that our own writes keep so.
    pub fn check_unique_by(self, fields: &[(&str, Bson)]) -> StoreResult<()> {
        let is_of_these = |index: &IndexDeclaration| {
            index.keys.len() == fields.len() && fields.iter().all(|(f, _)| index.keys.iter().any(|key| key.0 == *f))
        };
        let mut unique = self.indexes().iter().filter(|index| index.unique || index.guards.is_some());
        if matches!(fields, [("_id", _)]) || unique.any(is_of_these) {
            return Ok(());
        }
        let names: Vec<&str> = fields.iter().map(|(field, _)| *field).collect();
        Err(StoreError::Corrupt(format!("{self} is not unique by {}", names.join(", "))))
    }

    /// Its indexes.
    pub const fn indexes(self) -> &'static [IndexDeclaration] {
        match self {
            Self::Users => USERS,
            Self::SubscriptionPlans => PLANS,
            Self::AlertConfigurations => CONFIGS,
            Self::UserSubscriptions => SUBSCRIPTIONS,
            Self::UserAlertPreferences => PREFERENCES,
            Self::Trades => TRADES,
            Self::Alerts => ALERTS,
            Self::AdminUsers => ADMINS,
            Self::Deliveries => DELIVERIES,
            Self::Decisions => DECISIONS,
            Self::IntakeKeys => INTAKE_KEYS,
            Self::RejectedWebhooks => REJECTED,
            Self::ApiTokens => API_TOKENS,
            Self::AuditLog => AUDIT,
            Self::IdempotencyKeys => IDEMPOTENCY,
            Self::Quotas | Self::Changes | Self::Leases | Self::Secrets | Self::MovedChats => &[],
        }
    }

    /// Its references that must lead somewhere (seed 5.2, and those that the seed's `required` refs imply).
    pub const fn references(self) -> &'static [FieldReference] {
        match self {
            Self::UserSubscriptions => &[
                FieldReference { field: "userId", to: Self::Users },
                FieldReference { field: "subscriptionPlanId", to: Self::SubscriptionPlans },
            ],
            Self::UserAlertPreferences => &[
                FieldReference { field: "userId", to: Self::Users },
                FieldReference { field: "subscriptionId", to: Self::UserSubscriptions },
                FieldReference { field: "alertConfigId", to: Self::AlertConfigurations },
            ],
            Self::Trades => &[
                FieldReference { field: "userId", to: Self::Users },
                FieldReference { field: "alertConfigId", to: Self::AlertConfigurations },
            ],
            Self::ApiTokens => &[FieldReference { field: "adminId", to: Self::AdminUsers }],
            Self::SubscriptionPlans => {
                &[FieldReference { field: "alertConfigurations", to: Self::AlertConfigurations }]
            }
            _ => &[],
        }
    }
}

impl fmt::Display for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A field (or each element of a list) that holds the id of a document in another collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldReference {
    pub field: &'static str,
    pub to: Collection,
}

/// Which way a key sorts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortDirection {
    Up,
    Down,
}

/// One index. Keys are dotted paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexDeclaration {
    pub keys: &'static [(&'static str, SortDirection)],
    pub unique: bool,
    /// Only documents whose field has one of these values are in it.
    pub only: Option<(&'static str, &'static [&'static str])>,
    /// Only documents in which this field is a number above zero are in it (MongoDB).
    pub above_zero: Option<&'static str>,
    /// MongoDB removes a document when the date in the key has passed.
    pub ttl: bool,
    /// Who asks for it.
    pub source: IndexSource,
    /// For an index that the embedded store leaves out: the keys of the one that covers it, as a prefix or read the
    /// other way.
    pub covered_by: Option<&'static [(&'static str, SortDirection)]>,
    /// The embedded store leaves it out: none of our lists and operations goes by it.
    pub unused: bool,
    /// In the embedded store, only documents that have the first key are in it: no list by it has the others.
    pub sparse: bool,
    /// No two documents that we write have the same value in its only key, though the index itself lets it pass (other
    /// applications write the collection too): `Documents::write` sees to it. Here stands the field that is told then.
    pub guards: Option<&'static str>,
}

/// Who asks for an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexSource {
    /// The seed, section 2 or 6.1.
    Seed,
    /// One of our own operations.
    Alertcast,
}

use SortDirection::{Down, Up};

type IndexKeys = &'static [(&'static str, SortDirection)];

const fn index(keys: IndexKeys) -> IndexDeclaration {
    IndexDeclaration {
        keys,
        unique: false,
        only: None,
        above_zero: None,
        ttl: false,
        source: IndexSource::Seed,
        covered_by: None,
        unused: false,
        sparse: false,
        guards: None,
    }
}

impl IndexDeclaration {
    const fn unique(self) -> Self {
        Self { unique: true, ..self }
    }

    const fn ours(self) -> Self {
        Self { source: IndexSource::Alertcast, ..self }
    }

    const fn covered_by(self, keys: IndexKeys) -> Self {
        Self { covered_by: Some(keys), ..self }
    }

    const fn unused(self) -> Self {
        Self { unused: true, ..self }
    }

    const fn sparse(self) -> Self {
        Self { sparse: true, ..self }
    }

    /// Whether the embedded store has it. Each one is a tree that every document of the collection is written to.
    pub const fn is_embedded(&self) -> bool {
        self.covered_by.is_none() && !self.unused
    }

    const fn only(self, field: &'static str, values: &'static [&'static str]) -> Self {
        Self { only: Some((field, values)), ..self }
    }

    const fn guard_field(self, field: &'static str) -> Self {
        Self { guards: Some(field), ..self }
    }

    const fn ttl(self) -> Self {
        Self { ttl: true, ..self }
    }
}

const USERS: &[IndexDeclaration] = &[
    index(&[("email", Up)]).unique(),
    index(&[("telegram.userId", Up)]).unique(),
    index(&[("telegram.chatId", Up)]),
    index(&[("status", Up)]).covered_by(STATUS_ID),
    index(&[("createdAt", Up)]).covered_by(CREATED_ID),
    // Lists of one status, and by age: an import makes many at one moment.
    index(STATUS_ID).ours(),
    index(CREATED_ID).ours(),
    // Lists of those whose chat or mailbox refuses us.
    index(BLOCKED_ID).ours(),
    index(BOUNCED_ID).ours(),
];
const BLOCKED_ID: IndexKeys = &[("alertcast.chatBlockedAt", Up), ("_id", Up)];
const BOUNCED_ID: IndexKeys = &[("alertcast.emailBouncedAt", Up), ("_id", Up)];
const CREATED_ID: IndexKeys = &[("createdAt", Up), ("_id", Up)];
const STATUS_ID: IndexKeys = &[("status", Up), ("_id", Up)];

const PLANS: &[IndexDeclaration] = &[
    index(&[("name", Up)]).unique(),
    index(&[("status", Up)]),
    index(&[("metadata.displayOrder", Up)]),
    index(&[("pricing.amount", Up)]),
];

const SYMBOL_TIMEFRAME_STRATEGY: IndexKeys = &[("symbol", Up), ("timeframe", Up), ("strategy", Up)];
const CONFIGS: &[IndexDeclaration] = &[
    index(SYMBOL_TIMEFRAME_STRATEGY).unique(),
    index(&[("status", Up)]),
    index(&[("symbol", Up)]).covered_by(SYMBOL_TIMEFRAME_STRATEGY),
    index(&[("timeframe", Up)]),
    index(&[("strategy", Up)]),
];

const USER_STATUS_END: IndexKeys = &[("userId", Up), ("subscription.status", Up), ("subscription.endDate", Up)];
const SUBSCRIPTIONS: &[IndexDeclaration] = &[
    index(&[("userId", Up)]).covered_by(USER_STATUS_END),
    index(&[("subscriptionPlanId", Up)]).covered_by(PLAN_ID),
    index(&[("payment.transactionId", Up)]).unique(),
    index(&[("payment.status", Up)]).covered_by(PAYMENT_STATUS_ID),
    index(&[("subscription.status", Up)]).covered_by(SUBSCRIPTION_STATUS_END),
    index(&[("subscription.endDate", Up)]),
    index(&[("userId", Up), ("subscription.status", Up)]).covered_by(USER_STATUS_END),
    index(USER_STATUS_END),
    // Lists: a plan's subscriptions, the queue of payments, and what ends next.
    index(PLAN_ID).ours(),
    index(PAYMENT_STATUS_ID).ours(),
    index(SUBSCRIPTION_STATUS_END).ours(),
    // A transaction id is used once, whatever its case.
    index(&[("alertcast.transactionKey", Up)]).ours().guard_field("payment.transactionId"),
];
const PLAN_ID: IndexKeys = &[("subscriptionPlanId", Up), ("_id", Up)];
const PAYMENT_STATUS_ID: IndexKeys = &[("payment.status", Up), ("_id", Up)];
const SUBSCRIPTION_STATUS_END: IndexKeys = &[("subscription.status", Up), ("subscription.endDate", Up)];

const USER_CONFIG: IndexKeys = &[("userId", Up), ("alertConfigId", Up)];
const PREFERENCES: &[IndexDeclaration] = &[
    index(&[("userId", Up)]).covered_by(USER_CONFIG),
    index(&[("subscriptionId", Up)]),
    index(&[("alertConfigId", Up)]).covered_by(CONFIG_ID),
    index(USER_CONFIG).unique(),
    index(&[("preferences.enabled", Up)]),
    // A configuration's preferences, as a list.
    index(CONFIG_ID).ours(),
];
const CONFIG_ID: IndexKeys = &[("alertConfigId", Up), ("_id", Up)];

const USER_CONFIG_STATUS: IndexKeys = &[("userId", Up), ("alertConfigId", Up), ("status", Up)];
const CONFIG_STATUS_USER: IndexKeys = &[("alertConfigId", Up), ("status", Up), ("userId", Up)];
const TRADES: &[IndexDeclaration] = &[
    index(&[("tradeNumber", Up)]).unused(),
    index(&[("userId", Up)]).covered_by(USER_CONFIG_STATUS),
    index(&[("alertConfigId", Up)]).covered_by(CONFIG_STATUS_USER),
    index(&[("status", Up)]).covered_by(STATUS_OPENED),
    index(&[("tradeData.symbol", Up)]).covered_by(SYMBOL_OPENED),
    // Of one user there are few: what else is asked of them is sorted out among these.
    index(&[("userId", Up), ("status", Up)]).unused(),
    index(&[("alertConfigId", Up), ("status", Up)]).covered_by(CONFIG_STATUS_USER),
    index(&[("timestamps.openedAt", Up)]),
    index(&[("timestamps.closedAt", Up)]).sparse(),
    index(USER_CONFIG_STATUS),
    // A chunk's open trades, and an exit's holders: one range each.
    index(CONFIG_STATUS_USER).ours(),
    // The last trade number of a user: one seek.
    index(&[("alertConfigId", Up), ("userId", Up), ("tradeNumber", Down)]).ours(),
    // Lists, newest first.
    index(STATUS_OPENED).ours(),
    index(SYMBOL_OPENED).ours(),
    index(&[("alertConfigId", Up), ("timestamps.openedAt", Up)]).ours(),
];
const STATUS_OPENED: IndexKeys = &[("status", Up), ("timestamps.openedAt", Up)];
const SYMBOL_OPENED: IndexKeys = &[("tradeData.symbol", Up), ("timestamps.openedAt", Up)];

const RECEIVED: IndexKeys = &[("webhook.receivedAt", Up)];
const ALERT_NAMED: IndexKeys =
    &[("alertData.symbol", Up), ("alertData.timeframe", Up), ("alertData.strategy", Up), ("webhook.receivedAt", Down)];
const ALERTS: &[IndexDeclaration] = &[
    index(RECEIVED),
    index(&[("alertData.symbol", Up)]).covered_by(SYMBOL_RECEIVED),
    index(&[("alertData.timeframe", Up)]).unused(),
    index(&[("alertData.strategy", Up)]).unused(),
    index(&[("alertData.signal", Up)]).covered_by(SIGNAL_RECEIVED),
    index(&[("processing.status", Up)]).covered_by(PROCESSING_RECEIVED),
    index(&[("processing.alertConfigId", Up)]).covered_by(CONFIG_RECEIVED),
    index(&[("alertData.symbol", Up), ("alertData.timeframe", Up), ("alertData.strategy", Up)]).covered_by(ALERT_NAMED),
    index(&[("webhook.receivedAt", Down)]).covered_by(RECEIVED),
    index(ALERT_NAMED),
    // A configuration's recent prices.
    index(CONFIG_RECEIVED).ours(),
    // The work that is to be done, in its order.
    index(&[("alertcast.partition", Up), ("alertcast.seq", Up)])
        .only("processing.status", &["received", "processing"])
        .ours(),
    // Lists, newest first.
    index(SYMBOL_RECEIVED).ours(),
    index(SIGNAL_RECEIVED).ours(),
    index(PROCESSING_RECEIVED).ours(),
];
const SYMBOL_RECEIVED: IndexKeys = &[("alertData.symbol", Up), ("webhook.receivedAt", Up)];
const SIGNAL_RECEIVED: IndexKeys = &[("alertData.signal", Up), ("webhook.receivedAt", Up)];
const PROCESSING_RECEIVED: IndexKeys = &[("processing.status", Up), ("webhook.receivedAt", Up)];
const CONFIG_RECEIVED: IndexKeys = &[("processing.alertConfigId", Up), ("webhook.receivedAt", Down)];

const ADMINS: &[IndexDeclaration] =
    &[index(&[("username", Up)]).unique(), index(&[("email", Up)]).unique(), index(&[("status", Up)])];

const DELIVERIES: &[IndexDeclaration] = &[
    index(&[("key", Up)]).unique().ours(),
    // A lane's queue, in the order of sending.
    index(&[("lane", Up), ("priority", Up), ("queuedAt", Up), ("rotation", Up), ("dueAt", Up)])
        .only("state", &["pending"])
        .ours()
        .unused(),
    index(&[("lane", Up), ("dueAt", Up)]).only("state", &["pending"]).ours().unused(),
    index(&[("to", Up)]).only("state", &["pending"]).ours(),
    index(&[("state", Up), ("to", Up)]).only("state", &["held"]).ours(),
    index(&[("deadlineAt", Up)]).only("state", &["pending"]).ours(),
    // What a crash leaves behind.
    index(&[("lane", Up)]).only("state", &["sending"]).ours(),
    // Whether an alert has an open delivery.
    index(&[("alertId", Up)]).only("state", &["pending", "sending", "held"]).ours(),
    index(&[("state", Up), ("endedAt", Up)])
        .only("state", &["sent", "expired", "dead", "superseded", "dropped"])
        .ours(),
    // A person's: in a list, and when the person is erased.
    index(&[("userId", Up)]).ours(),
];

const DECISIONS: &[IndexDeclaration] = &[index(&[("alertId", Up), ("firstUser", Up)]).unique().ours()];

const INTAKE_KEYS: &[IndexDeclaration] = &[index(&[("until", Up)]).ttl().ours()];

const API_TOKENS: &[IndexDeclaration] = &[index(&[("digest", Up)]).unique().ours(), index(&[("adminId", Up)]).ours()];

const AUDIT: &[IndexDeclaration] = &[
    index(&[("at", Up)]).ours(),
    index(&[("adminId", Up), ("at", Up)]).ours(),
    // What was done to one document.
    index(&[("documentId", Up), ("at", Up)]).ours(),
];

const IDEMPOTENCY: &[IndexDeclaration] = &[
    index(&[("until", Up)]).ttl().ours(),
    // Answers that tell of a person, when that one is erased.
    index(&[("userId", Up)]).ours(),
];

const REJECTED: &[IndexDeclaration] = &[index(RECEIVED_TOP).ours()];
const RECEIVED_TOP: IndexKeys = &[("receivedAt", Up)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_covered_by_an_index_that_stands() {
        for collection in Collection::ALL {
            for index in collection.indexes() {
                let Some(cover) = index.covered_by else { continue };
                let standing = collection.indexes().iter().find(|other| other.keys == cover).unwrap();
                assert_eq!(standing.covered_by, None, "{collection} {:?}", index.keys);
                let same = |(a, b): (&(&str, SortDirection), &(&str, SortDirection))| a.0 == b.0;
                assert!(index.keys.len() <= cover.len() && index.keys.iter().zip(cover).all(same));
            }
        }
    }
}
