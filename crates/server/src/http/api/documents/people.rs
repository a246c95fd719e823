//! Who subscribes and who operates: users, what they bought and want, administrators and their tokens.

use alertcast_core::admin::AdminStatus;
use alertcast_core::subscription::{PaymentMethod, PaymentStatus, SubscriptionStatus};
use alertcast_core::user::{RiskLevel, UserStatus};

use super::super::shape::ShapeKind::{Digits, Flag, Id, List, Object, Text, Time};
use super::super::shape::{ShapeField, ShapeKind, field, may, must};
use super::{
    AMOUNT, CONFIG_ID, COUNT, CREATED, CURRENCY, EMAIL, ID, OWN, OWN_TEXT, PRICE, UNREADABLE, UPDATED, USER_ID, words,
};

/// Seed 2.1.
pub(in super::super) const USER: &[ShapeField] = &[
    ID,
    must("email", EMAIL, "The e-mail address, in small letters; unique.").like("asha@example.com"),
    must(
        "telegram",
        Object(&[
            must("userId", Digits, "Telegram's number for the person; unique.").like("1111"),
            may("username", Text, "The name that begins with @ on Telegram.").like("asha"),
            may("firstName", Text, "The first name on Telegram."),
            may("lastName", Text, "The last name on Telegram."),
            may("chatId", Digits, "The chat to write to; of a private chat the person's own number.").like("1111"),
        ]),
        "The Telegram account.",
    ),
    must(
        "profile",
        Object(&[
            must("name", Text, "What the person is called.").like("Asha"),
            may("phone", Text, "The telephone number."),
            field("timezone", Text, "The time zone by its IANA name: days and times are counted in it.")
                .like("Asia/Kolkata"),
        ]),
        "Who it is.",
    ),
    field(
        "status",
        words!(UserStatus),
        "Whether messages are sent: to who is inactive exits alone, to who is suspended none.",
    ),
    field("preferences", Object(GENERAL), "What is wanted of all configurations."),
    CREATED,
    UPDATED,
    may("lastLoginAt", Time, "When the person was last there.").make_kept(),
    may("alertcast", Object(USER_OWN), OWN_TEXT),
];

const GENERAL: &[ShapeField] = &[
    field(
        "notifications",
        Object(&[
            field("email", Flag, "Whether e-mails may be sent at all."),
            field("telegram", Flag, "Whether Telegram messages may be sent at all."),
            field("renewalReminders", Flag, "Whether it is told that a subscription ends soon."),
        ]),
        "Which ways may be used.",
    ),
    field(
        "trading",
        Object(&[
            field("riskLevel", words!(RiskLevel), "Entries of a higher risk are held back."),
            field("maxDailyAlerts", COUNT, "Entries a day, by the person's own days."),
        ]),
        "Limits on what is sent.",
    ),
];

const USER_OWN: &[ShapeField] = &[
    may("botId", Digits, "The bot that may write to the chat, by its number."),
    may("topicId", ShapeKind::Whole { min: 1, max: 2_147_483_647 }, "The topic of the group to write to."),
    may("chatBlockedAt", Time, "Since when the chat refuses messages.").clearable(),
    may("blockedChatId", Text, "The chat that refused.").make_kept(),
    may("emailBouncedAt", Time, "Since when the address takes no mail.").clearable(),
    may("bouncedEmail", Text, "The address that took none.").make_kept(),
    may("subscriptionsRev", COUNT, "Raised when the person's subscriptions change.").make_kept(),
    UNREADABLE,
];

/// Seed 2.4.
pub(in super::super) const SUBSCRIPTION: &[ShapeField] = &[
    ID,
    must("userId", Id, USER_ID),
    must("subscriptionPlanId", Id, "The plan's id."),
    must(
        "payment",
        Object(&[
            must("transactionId", Digits, "The bank's or UPI's reference; used once, whatever its case.")
                .like("UPI-0001"),
            must("amount", AMOUNT, "What was paid: the plan's price."),
            field("currency", CURRENCY, "The currency of the amount, by its three letters.").like("INR"),
            field("method", words!(PaymentMethod), "How it was paid."),
            may("proofUrl", Text, "Where the proof of the payment is."),
            field("status", words!(PaymentStatus), "What was decided about the payment."),
            may("approvedBy", Id, "The user that the approving administrator is linked to."),
            may("approvedAt", Time, "When it was approved."),
            may("rejectionReason", Text, "Why it was rejected; the subscriber reads it."),
        ]),
        "What was paid.",
    ),
    field(
        "subscription",
        Object(&[
            may("startDate", Time, "The first moment that is covered."),
            may("endDate", Time, "The first moment that is not covered any more; none: it runs on."),
            field("status", words!(SubscriptionStatus), "Where the subscription stands."),
            field("autoRenew", Flag, "Whether the next term is offered by itself."),
            field("renewalNotificationSent", Flag, "Whether it has been told that the end is near."),
        ]),
        "From when to when, and where it stands.",
    ),
    field(
        "usage",
        Object(&[
            field("alertsReceived", COUNT, "Alerts that were received under it."),
            field("tradesOpened", COUNT, "Trades that were opened under it."),
            may("lastActivityAt", Time, "When it was last used."),
        ]),
        "Counters.",
    )
    .make_kept(),
    CREATED,
    UPDATED,
    may(
        "alertcast",
        Object(&[
            may("picks", List(&Id), "The configurations that the subscriber picked, where the plan caps their number."),
            may("approvedByAdmin", Id, "The administrator who approved the payment.").make_kept(),
            UNREADABLE,
        ]),
        OWN_TEXT,
    ),
];

/// Seed 2.5.
pub(in super::super) const PREFERENCE: &[ShapeField] = &[
    ID,
    must("userId", Id, USER_ID),
    must("subscriptionId", Id, "The id of the subscription that brings the configuration."),
    must("alertConfigId", Id, CONFIG_ID),
    field("preferences", Object(WANTED), "What is wanted of this configuration."),
    field(
        "statistics",
        Object(&[
            field("alertsReceived", COUNT, "Alerts that were received of the configuration."),
            field("tradesOpened", COUNT, "Trades that were opened in it."),
            may("lastAlertAt", Time, "When the last alert was received."),
        ]),
        "Counters.",
    )
    .make_kept(),
    CREATED,
    UPDATED,
    OWN,
];

const WANTED: &[ShapeField] = &[
    field("enabled", Flag, "Whether entries of the configuration are wanted."),
    field(
        "alertTypes",
        Object(&[
            field("entry", Flag, "Whether entries are wanted."),
            field("exit", Flag, "Whether exits are wanted."),
            field("replacement", Flag, "Whether entries that would replace a trade are wanted."),
        ]),
        "Which messages are wanted.",
    ),
    field(
        "notifications",
        Object(&[
            field("telegram", Flag, "Whether they come by Telegram."),
            field("email", Flag, "Whether they come by e-mail."),
        ]),
        "By which ways they come.",
    ),
    field(
        "customSettings",
        Object(&[
            may("minPrice", PRICE, "Entries below this price are held back."),
            may("maxPrice", PRICE, "Entries above this price are held back."),
            may("riskLevel", words!(RiskLevel), "Entries of a higher risk are held back; goes before the general one."),
        ]),
        "Bounds of this configuration alone.",
    ),
];

/// Seed 2.8. The password goes in and never comes out.
pub(in super::super) const ADMIN: &[ShapeField] = &[
    ID,
    must("username", Text, "The name to log in by, in small letters; unique.").like("chief"),
    must("email", EMAIL, "The e-mail address, in small letters; unique.").like("chief@example.com"),
    must("password", Text, "12 characters to 72 bytes. Kept as a bcrypt hash, and never given out.").secret(),
    must(
        "profile",
        Object(&[
            must("firstName", Text, "The first name.").like("Ravi"),
            must("lastName", Text, "The last name.").like("Menon"),
            may("phone", Text, "The telephone number."),
        ]),
        "Who it is.",
    ),
    field("permissions", Object(PERMISSIONS), "What the administrator may do."),
    field("status", words!(AdminStatus), "Whether the administrator may log in, and the tokens open anything."),
    field(
        "security",
        Object(&[
            may("lastLoginAt", Time, "When the administrator last logged in."),
            may("lastLoginIP", Text, "From which address."),
            field("failedLoginAttempts", COUNT, "Wrong passwords since the last right one."),
            may("lockedUntil", Time, "Until when nobody may log in by this name."),
            may("passwordChangedAt", Time, "When the password was last changed: older tokens open nothing."),
        ]),
        "What concerns logging in.",
    )
    .make_kept(),
    CREATED,
    UPDATED,
    OWN,
];

const PERMISSIONS: &[ShapeField] = &[
    field(
        "users",
        Object(&[
            field("view", Flag, "To see users and their preferences."),
            field("edit", Flag, "To make and change them."),
            field("delete", Flag, "To delete them."),
        ]),
        "About users.",
    ),
    field(
        "subscriptions",
        Object(&[
            field("view", Flag, "To see plans and subscriptions."),
            field(
                "approve",
                Flag,
                "To decide about payments, and whatever else makes or extends what somebody may get.",
            ),
            field("edit", Flag, "To make and change plans and subscriptions."),
        ]),
        "About plans and subscriptions.",
    ),
    field(
        "alerts",
        Object(&[
            field("view", Flag, "To see configurations, alerts, trades and messages."),
            field("configure", Flag, "To change configurations, and act on alerts, trades and messages."),
        ]),
        "About alerts.",
    ),
    field(
        "system",
        Object(&[
            field("settings", Flag, "To see and change administrators and their tokens."),
            field("logs", Flag, "To see the audit log and rejected webhooks."),
        ]),
        "About the system.",
    ),
];

/// A token, without its digest.
pub(in super::super) const TOKEN: &[ShapeField] = &[
    ID,
    field("adminId", Id, "The administrator whose token it is."),
    may("label", Text, "What it is for.").like("shop"),
    may("expiresAt", Time, "From when it opens nothing any more."),
    CREATED,
];
