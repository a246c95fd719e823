//! The documents of the API, field by field, in the seed's order and names (`id` for `_id`).

use alertcast_core::admin::AdminStatus;
use alertcast_core::alert::document::{AlertStatus, Source, TradeAction};
use alertcast_core::alert::intent::ReadAs;
use alertcast_core::alert_configuration::{ConfigStatus, RequiredField};
use alertcast_core::delivery::{CauseKind, Channel, DeliveryState, MessageKind};
use alertcast_core::market::{ExitReason, Side, Signal, Timeframe};
use alertcast_core::plan::PlanStatus;
use alertcast_core::subscription::{PaymentMethod, PaymentStatus, SubscriptionStatus};
use alertcast_core::trade::document::TradeStatus;
use alertcast_core::user::{RiskLevel, UserStatus};

use super::shape::ShapeKind::{Anything, Digits, Flag, Id, List, Object, Text, Time};
use super::shape::{ShapeField, ShapeKind, field, may, must};

/// The spellings of an enumeration.
macro_rules! words {
    ($kind:ty) => {{
        const WORDS: [&str; <$kind>::ALL.len()] = {
            let mut words = [""; <$kind>::ALL.len()];
            let mut at = 0;
            while at < words.len() {
                words[at] = <$kind>::ALL[at].as_str();
                at += 1;
            }
            words
        };
        ShapeKind::Word(&WORDS)
    }};
}

const COUNT: ShapeKind = ShapeKind::Whole { min: 0, max: i64::MAX };
const ANY_WHOLE: ShapeKind = ShapeKind::Whole { min: i64::MIN, max: i64::MAX };
const AMOUNT: ShapeKind = ShapeKind::Number { min: Some(0), above: false };
const ANY_NUMBER: ShapeKind = ShapeKind::Number { min: None, above: false };
const PRICE: ShapeKind = ShapeKind::Number { min: Some(0), above: true };

const CURRENCY: ShapeKind = ShapeKind::Spelled(r"^\s*[A-Za-z]{3}\s*$");
/// Seed 7.1.
const EMAIL: ShapeKind = ShapeKind::Spelled(r"^\s*[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}\s*$");

const ID: ShapeField = field("id", Id).make_kept();
const CREATED: ShapeField = field("createdAt", Time).make_kept();
const UPDATED: ShapeField = field("updatedAt", Time).make_kept();
/// What of a document of others cannot be read.
const UNREADABLE: ShapeField =
    may("unreadable", List(&Object(&[field("field", Text), field("message", Text)]))).make_kept();
const OWN: ShapeField = may("alertcast", Object(&[UNREADABLE]));

/// Seed 2.3.
pub(super) const CONFIGURATION: &[ShapeField] = &[
    ID,
    must("name", Text),
    may("description", Text),
    must("symbol", Text),
    must("timeframe", words!(Timeframe)),
    must("strategy", Text),
    field(
        "tradeManagement",
        Object(&[
            field("maxOpenTrades", ShapeKind::Whole { min: 1, max: 5 }),
            field("allowOppositeSignals", Flag),
            field("replaceOnSameSignal", Flag),
            field("autoCloseOnTPSL", Flag),
        ]),
    ),
    field(
        "alertTypes",
        Object(&[
            field("entry", Object(&[field("enabled", Flag), field("signals", List(&ENTRY_SIGNAL))])),
            field("exit", Object(&[field("enabled", Flag), field("signals", List(&EXIT_SIGNAL))])),
        ]),
    ),
    field(
        "validation",
        Object(&[
            field("requiredFields", List(&REQUIRED_FIELD)),
            field("priceValidation", Object(&[field("enabled", Flag), field("tolerance", AMOUNT)])),
        ]),
    ),
    field("status", words!(ConfigStatus)),
    field(
        "statistics",
        Object(&[
            field("totalAlerts", COUNT),
            field("totalTrades", COUNT),
            field("successRate", AMOUNT),
            may("lastAlertAt", Time),
        ]),
    )
    .make_kept(),
    CREATED,
    UPDATED,
    may(
        "alertcast",
        Object(&[
            may("currency", CURRENCY),
            may("closedByTp", COUNT).make_kept(),
            may("closedBySl", COUNT).make_kept(),
            UNREADABLE,
        ]),
    ),
];
const ENTRY_SIGNAL: ShapeKind = words!(Side);
const EXIT_SIGNAL: ShapeKind = ShapeKind::Word(&[Signal::TpHit.as_str(), Signal::SlHit.as_str()]);
const REQUIRED_FIELD: ShapeKind = words!(RequiredField);

/// Seed 2.2.
pub(super) const PLAN: &[ShapeField] = &[
    ID,
    must("name", Text),
    must("description", Text),
    must(
        "pricing",
        Object(&[
            must("amount", AMOUNT),
            field("currency", CURRENCY),
            must(
                "duration",
                Object(&[
                    must("months", ShapeKind::Whole { min: 1, max: 1_200 }),
                    field("days", ShapeKind::Whole { min: 0, max: 36_500 }),
                ]),
            ),
        ]),
    ),
    field(
        "features",
        Object(&[
            field("maxAlertConfigs", ShapeKind::Whole { min: -1, max: i64::MAX }),
            field("maxOpenTrades", ShapeKind::Whole { min: 1, max: i64::MAX }),
            field("prioritySupport", Flag),
            field("advancedAnalytics", Flag),
        ]),
    ),
    field("alertConfigurations", List(&Id)),
    field("status", words!(PlanStatus)),
    field(
        "metadata",
        Object(&[field("displayOrder", ANY_WHOLE), field("isPopular", Flag), field("tags", List(&Text))]),
    ),
    CREATED,
    UPDATED,
    OWN,
];

/// Seed 2.1.
pub(super) const USER: &[ShapeField] = &[
    ID,
    must("email", EMAIL),
    must(
        "telegram",
        Object(&[
            must("userId", Digits),
            may("username", Text),
            may("firstName", Text),
            may("lastName", Text),
            may("chatId", Digits),
        ]),
    ),
    must("profile", Object(&[must("name", Text), may("phone", Text), field("timezone", Text)])),
    field("status", words!(UserStatus)),
    field(
        "preferences",
        Object(&[
            field(
                "notifications",
                Object(&[field("email", Flag), field("telegram", Flag), field("renewalReminders", Flag)]),
            ),
            field("trading", Object(&[field("riskLevel", words!(RiskLevel)), field("maxDailyAlerts", COUNT)])),
        ]),
    ),
    CREATED,
    UPDATED,
    may("lastLoginAt", Time).make_kept(),
    may(
        "alertcast",
        Object(&[
            may("botId", Digits),
            may("topicId", ShapeKind::Whole { min: 1, max: 2_147_483_647 }),
            may("chatBlockedAt", Time).clearable(),
            may("blockedChatId", Text).make_kept(),
            may("emailBouncedAt", Time).clearable(),
            may("bouncedEmail", Text).make_kept(),
            may("subscriptionsRev", COUNT).make_kept(),
            UNREADABLE,
        ]),
    ),
];

/// Seed 2.4.
pub(super) const SUBSCRIPTION: &[ShapeField] = &[
    ID,
    must("userId", Id),
    must("subscriptionPlanId", Id),
    must(
        "payment",
        Object(&[
            must("transactionId", Digits),
            must("amount", AMOUNT),
            field("currency", CURRENCY),
            field("method", words!(PaymentMethod)),
            may("proofUrl", Text),
            field("status", words!(PaymentStatus)),
            may("approvedBy", Id),
            may("approvedAt", Time),
            may("rejectionReason", Text),
        ]),
    ),
    field(
        "subscription",
        Object(&[
            may("startDate", Time),
            may("endDate", Time),
            field("status", words!(SubscriptionStatus)),
            field("autoRenew", Flag),
            field("renewalNotificationSent", Flag),
        ]),
    ),
    field(
        "usage",
        Object(&[field("alertsReceived", COUNT), field("tradesOpened", COUNT), may("lastActivityAt", Time)]),
    )
    .make_kept(),
    CREATED,
    UPDATED,
    may("alertcast", Object(&[may("picks", List(&Id)), may("approvedByAdmin", Id).make_kept(), UNREADABLE])),
];

/// Seed 2.5.
pub(super) const PREFERENCE: &[ShapeField] = &[
    ID,
    must("userId", Id),
    must("subscriptionId", Id),
    must("alertConfigId", Id),
    field(
        "preferences",
        Object(&[
            field("enabled", Flag),
            field("alertTypes", Object(&[field("entry", Flag), field("exit", Flag), field("replacement", Flag)])),
            field("notifications", Object(&[field("telegram", Flag), field("email", Flag)])),
            field(
                "customSettings",
                Object(&[may("minPrice", PRICE), may("maxPrice", PRICE), may("riskLevel", words!(RiskLevel))]),
            ),
        ]),
    ),
    field(
        "statistics",
        Object(&[field("alertsReceived", COUNT), field("tradesOpened", COUNT), may("lastAlertAt", Time)]),
    )
    .make_kept(),
    CREATED,
    UPDATED,
    OWN,
];

/// Seed 2.8. The password goes in and never comes out.
pub(super) const ADMIN: &[ShapeField] = &[
    ID,
    must("username", Text),
    must("email", EMAIL),
    must("password", Text).secret(),
    must("profile", Object(&[must("firstName", Text), must("lastName", Text), may("phone", Text)])),
    field(
        "permissions",
        Object(&[
            field("users", Object(&[field("view", Flag), field("edit", Flag), field("delete", Flag)])),
            field("subscriptions", Object(&[field("view", Flag), field("approve", Flag), field("edit", Flag)])),
            field("alerts", Object(&[field("view", Flag), field("configure", Flag)])),
            field("system", Object(&[field("settings", Flag), field("logs", Flag)])),
        ]),
    ),
    field("status", words!(AdminStatus)),
    field(
        "security",
        Object(&[
            may("lastLoginAt", Time),
            may("lastLoginIP", Text),
            field("failedLoginAttempts", COUNT),
            may("lockedUntil", Time),
            may("passwordChangedAt", Time),
        ]),
    )
    .make_kept(),
    CREATED,
    UPDATED,
    OWN,
];

/// Seed 2.6.
pub(super) const TRADE: &[ShapeField] = &[
    ID,
    field("tradeNumber", COUNT),
    field("userId", Id),
    field("alertConfigId", Id),
    field("subscriptionId", Id),
    field(
        "tradeData",
        Object(&[
            field("symbol", Text),
            field("timeframe", Text),
            field("strategy", Text),
            field("signal", words!(Side)),
            field("entryPrice", ANY_NUMBER),
            may("takeProfitPrice", ANY_NUMBER),
            may("stopLossPrice", ANY_NUMBER),
            may("exitPrice", ANY_NUMBER),
            may("exitReason", words!(ExitReason)),
        ]),
    ),
    field("status", words!(TradeStatus)),
    field("pnl", Object(&[may("amount", ANY_NUMBER), may("percentage", ANY_NUMBER), field("currency", Text)])),
    field("timestamps", Object(&[field("openedAt", Time), may("closedAt", Time), may("replacedAt", Time)])),
    field("alerts", Object(&[may("entryAlertId", Id), may("exitAlertId", Id)])),
    field("metadata", Object(&[may("replacedBy", Id), may("replacementReason", Text), may("notes", Text)])),
    CREATED,
    UPDATED,
    may(
        "alertcast",
        Object(&[
            may("rev", COUNT),
            may("quantity", ANY_NUMBER),
            may("tradeRef", Text),
            may("targets", List(&ANY_NUMBER)),
            may("decimals", COUNT),
            may("exitInferred", Flag),
            may("unreached", Flag),
            UNREADABLE,
        ]),
    ),
];

/// Seed 2.7.
pub(super) const ALERT: &[ShapeField] = &[
    ID,
    field("source", words!(Source)),
    field(
        "webhook",
        Object(&[
            field("receivedAt", Time),
            may("processedAt", Time),
            field("rawPayload", Anything),
            may("signature", Text),
            may("ipAddress", Text),
        ]),
    ),
    field(
        "alertData",
        Object(&[
            field("symbol", Text),
            field("timeframe", Text),
            field("strategy", Text),
            field("signal", words!(Signal)),
            field("price", ANY_NUMBER),
            may("takeProfitPrice", ANY_NUMBER),
            may("stopLossPrice", ANY_NUMBER),
            field("timestamp", Time),
            may("additionalData", Anything),
        ]),
    ),
    field(
        "processing",
        Object(&[
            field("status", words!(AlertStatus)),
            may("alertConfigId", Id),
            field("matchedUsers", List(&MATCHED)).long(),
            field("tradeActions", List(&ACTION)).long(),
            field("errors", List(&ALERT_ERROR)),
        ]),
    ),
    field(
        "statistics",
        Object(&[may("processingTime", COUNT), field("deliveryCount", COUNT), field("failureCount", COUNT)]),
    ),
    CREATED,
    UPDATED,
    may(
        "alertcast",
        Object(&[
            may("quantity", ANY_NUMBER),
            may("tradeRef", Text),
            may("tradeRefExplicit", Flag),
            may("risk", words!(RiskLevel)),
            may("comment", Text),
            may("testing", Flag),
            may("intent", Anything),
            may("refusedFor", List(&Text)),
            may("settledAt", Time),
            may("recipientsIn", Text),
            UNREADABLE,
        ]),
    ),
];
const MATCHED: ShapeKind = Object(&[
    field("userId", Id),
    field("subscriptionId", Id),
    field("delivered", Flag),
    may("deliveredAt", Time),
    may("error", Text),
]);
const ACTION: ShapeKind = Object(&[field("action", words!(TradeAction)), field("tradeId", Id), field("userId", Id)]);
const ALERT_ERROR: ShapeKind = Object(&[field("message", Text), field("timestamp", Time), may("stack", Text)]);

/// A message on its way to one person.
pub(super) const DELIVERY: &[ShapeField] = &[
    ID,
    field("cause", Object(&[field("kind", words!(CauseKind)), field("id", Id)])),
    may("alertId", Id),
    may("alertConfigId", Id),
    may("userId", Id),
    may("subscriptionId", Id),
    may("tradeId", Id),
    field("channel", words!(Channel)),
    field("kind", words!(MessageKind)),
    field("to", Text),
    field("state", words!(DeliveryState)),
    field("priority", ANY_WHOLE),
    field("queuedAt", Time),
    field("dueAt", Time),
    field("deadlineAt", Time),
    may("entryDeadlineAt", Time),
    may("supersededBy", Id),
    may("combines", Id),
    may("alsoEnded", List(&Anything)),
    field("attempts", COUNT),
    field("possibleRepeat", Flag),
    may("topicGone", Flag),
    may("lastError", Text),
    may("messageId", ANY_WHOLE),
    may("endedAt", Time),
    field("facts", Anything),
    may("decimals", COUNT),
    CREATED,
    UPDATED,
    OWN,
];

/// A request that was no alert.
pub(super) const REJECTED: &[ShapeField] = &[
    ID,
    field("receivedAt", Time),
    may("ipAddress", Text),
    field("body", Text),
    field("query", Text),
    field("errors", List(&Text)),
    field("status", ANY_WHOLE),
    OWN,
];

/// One act of an operator.
pub(super) const AUDIT: &[ShapeField] = &[
    ID,
    field("at", Time),
    field("adminId", Id),
    field("username", Text),
    field("action", Text),
    field("collection", Text),
    field("documentId", Id),
    may("before", Anything),
    may("after", Anything),
    may("reason", Text),
    may("ipAddress", Text),
    OWN,
];

/// A token, without its digest.
pub(super) const TOKEN: &[ShapeField] =
    &[ID, field("adminId", Id), may("label", Text), may("expiresAt", Time), CREATED];

/// What was decided about one subscriber, and what they were sent.
pub(super) const RECIPIENT: &[ShapeField] = &[
    field("userId", Id),
    may("subscriptionId", Id),
    field("verdict", words!(alertcast_core::decision::Verdict)),
    field("actions", List(&DECIDED)),
    field("deliveries", List(&Object(DELIVERY))),
];
const DECIDED: ShapeKind = Object(&[field("action", words!(TradeAction)), field("tradeId", Id)]);

/// A permission by its path.
pub(super) const PERMISSION: ShapeKind = words!(alertcast_core::admin::Permission);

/// What closing a trade by hand takes.
pub(super) const CLOSING: &[ShapeField] = &[must("price", PRICE), may("reason", Text)];

/// As what an alert is meant that does not say so clearly.
pub(super) const MEANING: &[ShapeField] = &[field("as", words!(ReadAs)), field("side", words!(Side))];

/// What an alert would come to.
pub(super) const REHEARSAL: &[ShapeField] = &[
    field("outcome", ShapeKind::Word(&["unreadable", "refused", "duplicate", "accepted"])),
    field("errors", List(&ERROR)),
    may("alertConfigId", Id),
    may("duplicateOf", Id),
    may("testing", Flag),
    may("leftOut", List(&ERROR)),
    may("verdicts", Anything),
    may("subscribers", List(&Object(REHEARSED))),
    may("opened", COUNT),
    may("ended", COUNT),
    may("messages", Anything),
    may("operators", List(&Object(&[field("kind", Text), field("title", Text), field("lines", List(&Text))]))),
    may(
        "texts",
        List(&Object(&[
            may("userId", Id),
            field("channel", words!(Channel)),
            field("kind", words!(MessageKind)),
            field("html", Text),
            field("plain", Text),
        ])),
    ),
];
const ERROR: ShapeKind = Object(&[field("field", Text), field("code", Text), field("message", Text)]);
const REHEARSED: &[ShapeField] = &[
    field("userId", Id),
    may("subscriptionId", Id),
    field("verdict", words!(alertcast_core::decision::Verdict)),
    field("actions", List(&DECIDED)),
];
