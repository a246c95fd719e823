//! Who subscribes, what they bought and what they want.

use super::field::FieldKind::{Currency, Date, Document, Email, Flag, Id, List, NumberName, Object, Text, TimeZone};
use super::field::FieldKind::{Whole, Word};
use super::field::{AMOUNT, COUNT, PRICE, defaulted, internal, object, optional, required};
use super::{
    CONFIG_ID, CREATED, FieldDeclaration, FieldDefault, FieldUnit, ID, OWN_LEVEL, StoreRule, UNREADABLE, UPDATED,
    USER_ID,
};
use crate::subscription::{PaymentMethod, PaymentStatus, SubscriptionStatus};
use crate::user::{RiskLevel, UserStatus};

const TRUE: FieldDefault = FieldDefault::Flag(true);
const FALSE: FieldDefault = FieldDefault::Flag(false);
const ZERO: FieldDefault = FieldDefault::Whole(0);

/// Seed 2.1.
pub(super) const USERS: &[FieldDeclaration] = &[
    ID,
    required("email", Email, "The e-mail address, in small letters; unique.")
        .held_to(StoreRule::EmailPattern)
        .told()
        .like("asha@example.com"),
    required("telegram", Object, "The Telegram account."),
    required("telegram.userId", NumberName, "Telegram's number for the person; unique.").told().like("1111"),
    optional("telegram.username", Text, "The name that begins with @ on Telegram.").told().like("asha"),
    optional("telegram.firstName", Text, "The first name on Telegram.").told(),
    optional("telegram.lastName", Text, "The last name on Telegram.").told(),
    optional("telegram.chatId", NumberName, "The chat to write to; of a private chat the person's own number.")
        .told()
        .like("1111"),
    required("profile", Object, "Who it is."),
    required("profile.name", Text, "What the person is called.").held_to(StoreRule::Filled).told().like("Asha"),
    optional("profile.phone", Text, "The telephone number.").told(),
    defaulted(
        "profile.timezone",
        TimeZone,
        FieldDefault::Text("UTC"),
        "The time zone by its IANA name: days and times are counted in it.",
    )
    .told()
    .like("Asia/Kolkata"),
    defaulted(
        "status",
        Word(UserStatus::WORDS),
        FieldDefault::Text(UserStatus::Active.as_str()),
        "Whether messages are sent: to who is inactive exits alone, to who is suspended none.",
    ),
    object("preferences", "What is wanted of all configurations."),
    object("preferences.notifications", "Which ways may be used."),
    defaulted("preferences.notifications.email", Flag, TRUE, "Whether e-mails may be sent at all."),
    defaulted("preferences.notifications.telegram", Flag, TRUE, "Whether Telegram messages may be sent at all."),
    defaulted(
        "preferences.notifications.renewalReminders",
        Flag,
        TRUE,
        "Whether it is told that a subscription ends soon.",
    )
    .told(),
    object("preferences.trading", "Limits on what is sent."),
    defaulted(
        "preferences.trading.riskLevel",
        Word(RiskLevel::WORDS),
        FieldDefault::Text(RiskLevel::Medium.as_str()),
        "Entries of a higher risk are held back.",
    ),
    defaulted(
        "preferences.trading.maxDailyAlerts",
        COUNT,
        FieldDefault::Whole(50),
        "Entries a day, by the person's own days.",
    )
    .counts(FieldUnit::AlertsADay),
    CREATED,
    UPDATED,
    optional("lastLoginAt", Date, "When the person was last there.").told().kept(),
    OWN_LEVEL,
    optional("alertcast.botId", NumberName, "The bot that may write to the chat, by its number."),
    optional("alertcast.topicId", Whole { min: 1, max: 2_147_483_647 }, "The topic of the group to write to."),
    optional("alertcast.chatBlockedAt", Date, "Since when the chat refuses messages.").clearable(),
    optional("alertcast.blockedChatId", Text, "The chat that refused.").kept(),
    optional("alertcast.emailBouncedAt", Date, "Since when the address takes no mail.").clearable(),
    optional("alertcast.bouncedEmail", Text, "The address that took none.").kept(),
    optional("alertcast.subscriptionsRev", COUNT, "Raised when the person's subscriptions change.").kept(),
    internal("alertcast.erasedAt", Date, "When the person was erased."),
    UNREADABLE,
];

/// Seed 2.4.
pub(super) const SUBSCRIPTIONS: &[FieldDeclaration] = &[
    ID,
    required("userId", Id, USER_ID),
    required("subscriptionPlanId", Id, "The plan's id."),
    required("payment", Object, "What was paid."),
    required("payment.transactionId", NumberName, "The bank's or UPI's reference; used once, whatever its case.")
        .held_to(StoreRule::Filled)
        .told()
        .like("UPI-0001"),
    required("payment.amount", AMOUNT, "What was paid: the plan's price.").counts(FieldUnit::MainUnit).told(),
    defaulted(
        "payment.currency",
        Currency,
        FieldDefault::Text("INR"),
        "The currency of the amount, by its three letters.",
    )
    .told()
    .like("INR"),
    defaulted(
        "payment.method",
        Word(PaymentMethod::WORDS),
        FieldDefault::Text(PaymentMethod::Upi.as_str()),
        "How it was paid.",
    )
    .told(),
    optional("payment.proofUrl", Text, "Where the proof of the payment is.").told(),
    defaulted(
        "payment.status",
        Word(PaymentStatus::WORDS),
        FieldDefault::Text(PaymentStatus::Pending.as_str()),
        "What was decided about the payment.",
    ),
    optional("payment.approvedBy", Id, "The user that the approving administrator is linked to.").told(),
    optional("payment.approvedAt", Date, "When it was approved.").told(),
    optional("payment.rejectionReason", Text, "Why it was rejected; the subscriber reads it.").told(),
    object("subscription", "From when to when, and where it stands."),
    optional("subscription.startDate", Date, "The first moment that is covered."),
    optional("subscription.endDate", Date, "The first moment that is not covered any more; none: it runs on."),
    defaulted(
        "subscription.status",
        Word(SubscriptionStatus::WORDS),
        FieldDefault::Text(SubscriptionStatus::Pending.as_str()),
        "Where the subscription stands.",
    ),
    defaulted("subscription.autoRenew", Flag, FALSE, "Whether the next term is offered by itself.").told(),
    defaulted("subscription.renewalNotificationSent", Flag, FALSE, "Whether it has been told that the end is near.")
        .told(),
    object("usage", "Counters.").kept(),
    defaulted("usage.alertsReceived", COUNT, ZERO, "Alerts that were received under it.").told(),
    defaulted("usage.tradesOpened", COUNT, ZERO, "Trades that were opened under it.").told(),
    optional("usage.lastActivityAt", Date, "When it was last used.").told(),
    CREATED,
    UPDATED,
    OWN_LEVEL,
    optional(
        "alertcast.picks",
        List(&Id),
        "The configurations that the subscriber picked, where the plan caps their number.",
    ),
    optional("alertcast.approvedByAdmin", Id, "The administrator who approved the payment.").kept(),
    internal("alertcast.transactionKey", Text, "What the transaction's id is compared by."),
    optional("alertcast.cancelledAt", Date, "When it was cancelled; it may run on until its end.").kept(),
    internal("alertcast.payment", Document, "What became of the payment: rejections, and who rejected it."),
    internal("alertcast.refund", Document, "What was paid back."),
    UNREADABLE,
];

/// Seed 2.5.
pub(super) const PREFERENCES: &[FieldDeclaration] = &[
    ID,
    required("userId", Id, USER_ID),
    required("subscriptionId", Id, "The id of the subscription that brings the configuration.").told(),
    required("alertConfigId", Id, CONFIG_ID),
    object("preferences", "What is wanted of this configuration."),
    defaulted("preferences.enabled", Flag, TRUE, "Whether entries of the configuration are wanted."),
    object("preferences.alertTypes", "Which messages are wanted."),
    defaulted("preferences.alertTypes.entry", Flag, TRUE, "Whether entries are wanted."),
    defaulted("preferences.alertTypes.exit", Flag, TRUE, "Whether exits are wanted."),
    defaulted(
        "preferences.alertTypes.replacement",
        Flag,
        TRUE,
        "Whether entries that would replace a trade are wanted.",
    ),
    object("preferences.notifications", "By which ways they come."),
    defaulted("preferences.notifications.telegram", Flag, TRUE, "Whether they come by Telegram."),
    defaulted("preferences.notifications.email", Flag, FALSE, "Whether they come by e-mail."),
    object("preferences.customSettings", "Bounds of this configuration alone."),
    optional("preferences.customSettings.minPrice", PRICE, "Entries below this price are held back."),
    optional("preferences.customSettings.maxPrice", PRICE, "Entries above this price are held back."),
    optional(
        "preferences.customSettings.riskLevel",
        Word(RiskLevel::WORDS),
        "Entries of a higher risk are held back; goes before the general one.",
    ),
    object("statistics", "Counters.").kept(),
    defaulted("statistics.alertsReceived", COUNT, ZERO, "Alerts that were received of the configuration.").told(),
    defaulted("statistics.tradesOpened", COUNT, ZERO, "Trades that were opened in it.").told(),
    optional("statistics.lastAlertAt", Date, "When the last alert was received.").told(),
    CREATED,
    UPDATED,
    OWN_LEVEL,
    UNREADABLE,
];
