//! What happened: trades, alerts, messages, refused requests and the audit log.

use alertcast_core::alert::document::{AlertStatus, Source, TradeAction};
use alertcast_core::delivery::{CauseKind, Channel, DeliveryState, MessageKind};
use alertcast_core::market::{ExitReason, Side, Signal};
use alertcast_core::trade::document::TradeStatus;
use alertcast_core::user::RiskLevel;

use super::super::shape::ShapeKind::{Anything, Flag, Id, List, Object, Text, Time};
use super::super::shape::{ShapeField, ShapeKind, field, may};
use super::{
    ANY_NUMBER, ANY_WHOLE, CONFIG_ID, COUNT, CREATED, ID, OWN, OWN_TEXT, SUBSCRIPTION_ID, UNREADABLE, UPDATED, USER_ID,
    words,
};

const SYMBOL: ShapeField = field("symbol", Text, "The symbol.").like("BTCUSDT");
const TIMEFRAME: ShapeField = field("timeframe", Text, "The length of the chart's bars.").like("1h");
const STRATEGY: ShapeField = field("strategy", Text, "The strategy's name.").like("EMA Cross");
const TAKE_PROFIT: ShapeField = may("takeProfitPrice", ANY_NUMBER, "The take profit.");
const STOP_LOSS: ShapeField = may("stopLossPrice", ANY_NUMBER, "The stop loss.");

/// Seed 2.6.
pub(in super::super) const TRADE: &[ShapeField] = &[
    ID,
    field("tradeNumber", COUNT, "Counts from 1 for each subscriber and configuration."),
    field("userId", Id, USER_ID),
    field("alertConfigId", Id, CONFIG_ID),
    field("subscriptionId", Id, SUBSCRIPTION_ID),
    field(
        "tradeData",
        Object(&[
            SYMBOL,
            TIMEFRAME,
            STRATEGY,
            field("signal", words!(Side), "Its side."),
            field("entryPrice", ANY_NUMBER, "The price at which it was opened."),
            TAKE_PROFIT,
            STOP_LOSS,
            may("exitPrice", ANY_NUMBER, "The price at which it ended."),
            may("exitReason", words!(ExitReason), "Why it ended."),
        ]),
        "What was signalled.",
    ),
    field("status", words!(TradeStatus), "Where it stands."),
    field(
        "pnl",
        Object(&[
            may("amount", ANY_NUMBER, "For one unit, or for the entry's quantity."),
            may("percentage", ANY_NUMBER, "In percent of the entry's price."),
            field("currency", Text, "The amount's currency, by its three letters.").like("USD"),
        ]),
        "Profit or loss, once it has ended.",
    ),
    field(
        "timestamps",
        Object(&[
            field("openedAt", Time, "When it was opened."),
            may("closedAt", Time, "When it ended."),
            may("replacedAt", Time, "When it was replaced."),
        ]),
        "When it opened and ended.",
    ),
    field(
        "alerts",
        Object(&[
            may("entryAlertId", Id, "The alert that opened it."),
            may("exitAlertId", Id, "The alert that ended it."),
        ]),
        "The alerts that opened and ended it.",
    ),
    field(
        "metadata",
        Object(&[
            may("replacedBy", Id, "The trade that took its place."),
            may("replacementReason", Text, "Why it was replaced."),
            may("notes", Text, "What was noted about it."),
        ]),
        "What else is known of it.",
    ),
    CREATED,
    UPDATED,
    may("alertcast", Object(TRADE_OWN), OWN_TEXT),
];

const TRADE_OWN: &[ShapeField] = &[
    may("rev", COUNT, "Raised by each change."),
    may("quantity", ANY_NUMBER, "Units, where the entry gave them."),
    may("tradeRef", Text, "The entry's own name for the trade (`trade_id`)."),
    may("targets", List(&ANY_NUMBER), "The take profits behind the first, in their order."),
    may("decimals", COUNT, "With how many decimals its prices are shown."),
    may("exitInferred", Flag, "Whether something of its end was worked out, and not said by the alert."),
    may("unreached", Flag, "Whether nobody heard of its entry: it counts nowhere, and its exit tells nothing."),
    UNREADABLE,
];

/// Seed 2.7.
pub(in super::super) const ALERT: &[ShapeField] = &[
    ID,
    field("source", words!(Source), "Where it comes from."),
    field(
        "webhook",
        Object(&[
            field("receivedAt", Time, "When it was received: who gets it is judged as of then."),
            may("processedAt", Time, "When its trades and messages were committed."),
            field("rawPayload", Anything, "The body as it was read, without secrets."),
            may("signature", Text, "The signature that a relay sent with it."),
            may("ipAddress", Text, "The address that it came from."),
        ]),
        "How it came in.",
    ),
    field("alertData", Object(ALERT_DATA), "What it says."),
    field(
        "processing",
        Object(&[
            field("status", words!(AlertStatus), "Where it stands."),
            may("alertConfigId", Id, CONFIG_ID),
            field("matchedUsers", List(&MATCHED), "Whom it was for, once its messages have ended; not in lists.")
                .long(),
            field("tradeActions", List(&ACTION), "What it did to trades, once its messages have ended; not in lists.")
                .long(),
            field("errors", List(&ALERT_ERROR), "What went wrong, and what an operator said that it means."),
        ]),
        "What became of it.",
    ),
    field(
        "statistics",
        Object(&[
            may("processingTime", COUNT, "Milliseconds from its receipt to its last commit."),
            field("deliveryCount", COUNT, "Messages that were sent."),
            field("failureCount", COUNT, "Messages that expired or were given up."),
        ]),
        "Counters.",
    ),
    CREATED,
    UPDATED,
    may("alertcast", Object(ALERT_OWN), OWN_TEXT),
];

const ALERT_DATA: &[ShapeField] = &[
    SYMBOL,
    TIMEFRAME,
    STRATEGY,
    field("signal", words!(Signal), "An entry on a side, or an exit."),
    field("price", ANY_NUMBER, "The price."),
    TAKE_PROFIT,
    STOP_LOSS,
    field("timestamp", Time, "When it fired, as it says itself."),
    may("additionalData", Anything, "Every other field of the body."),
];

const ALERT_OWN: &[ShapeField] = &[
    may("quantity", ANY_NUMBER, "Units, where it gave them."),
    may("tradeRef", Text, "Its own name for the trade (`trade_id`)."),
    may("tradeRefExplicit", Flag, "Whether that name stood in a field of its own."),
    may("risk", words!(RiskLevel), "How much risk it carries."),
    may("comment", Text, "The order's comment."),
    may("testing", Flag, "Whether its configuration was in testing."),
    may("intent", Anything, "What it asks for, where that is more than its signal."),
    may("refusedFor", List(&Text), "The rules that it was refused for."),
    may("settledAt", Time, "When all of its messages had ended."),
    may("recipientsIn", Text, "Where its recipients are, where they are too many to stand here."),
    UNREADABLE,
];
const MATCHED: ShapeKind = Object(&[
    field("userId", Id, USER_ID),
    field("subscriptionId", Id, SUBSCRIPTION_ID),
    field("delivered", Flag, "Whether it arrived by any way."),
    may("deliveredAt", Time, "When it was first sent."),
    may("error", Text, "Why it was not sent."),
]);
const ACTION: ShapeKind = Object(&[
    field("action", words!(TradeAction), "What was done."),
    field("tradeId", Id, "The trade; where one was replaced, the new one."),
    field("userId", Id, USER_ID),
]);
const ALERT_ERROR: ShapeKind = Object(&[
    field("message", Text, "What went wrong."),
    field("timestamp", Time, "When it did."),
    may("stack", Text, "Where in the program it did."),
]);

/// A message on its way to one person.
pub(in super::super) const DELIVERY: &[ShapeField] = &[
    ID,
    field(
        "cause",
        Object(&[
            field("kind", words!(CauseKind), "What kind of cause it is."),
            field("id", Id, "The id of the alert, subscription or act."),
        ]),
        "What gave rise to it.",
    ),
    may("alertId", Id, "The alert that it tells of."),
    may("alertConfigId", Id, CONFIG_ID),
    may("userId", Id, "The subscriber's id; none: it is for the operators."),
    may("subscriptionId", Id, SUBSCRIPTION_ID),
    may("tradeId", Id, "The trade that it tells of; of a replacement the new one."),
    field("channel", words!(Channel), "By which way it goes."),
    field("kind", words!(MessageKind), "What it is about."),
    field("to", Text, "The chat or the e-mail address."),
    field("state", words!(DeliveryState), "Where it stands."),
    field("priority", ANY_WHOLE, "Lower goes first."),
    field("queuedAt", Time, "When its alert came in: among equals the older goes first."),
    field("dueAt", Time, "Not sent before."),
    field("deadlineAt", Time, "Not sent after."),
    may("entryDeadlineAt", Time, "Until when a replacement's new entry may be followed."),
    may("supersededBy", Id, "The message that tells its news instead."),
    may("combines", Id, "The entry that this exit tells too."),
    may("alsoEnded", List(&Anything), "The ends of other trades that it tells too."),
    field("attempts", COUNT, "How often sending it was begun."),
    field("possibleRepeat", Flag, "Whether an earlier attempt may have arrived."),
    may("topicGone", Flag, "Whether it stands in the general topic, because its own is gone."),
    may("lastError", Text, "Why it was not sent the last time."),
    may("messageId", ANY_WHOLE, "Telegram's number for the message."),
    may("endedAt", Time, "When it was sent or given up."),
    field("facts", Anything, "What it says beyond its alert and configuration."),
    may("decimals", COUNT, "With how many decimals prices are shown."),
    CREATED,
    UPDATED,
    OWN,
];

/// A request that was no alert.
pub(in super::super) const REJECTED: &[ShapeField] = &[
    ID,
    field("receivedAt", Time, "When it was received."),
    may("ipAddress", Text, "The address that it came from."),
    field("body", Text, "What was sent, without secrets."),
    field("query", Text, "The query of its address."),
    field("errors", List(&Text), "What was wrong with it."),
    field("status", ANY_WHOLE, "The HTTP status that it was answered with."),
    OWN,
];

/// One act of an operator.
pub(in super::super) const AUDIT: &[ShapeField] = &[
    ID,
    field("at", Time, "When it was done."),
    field("adminId", Id, "The administrator who did it."),
    field("username", Text, "What that administrator was called then."),
    field("action", Text, "What was done.").like("update"),
    field("collection", Text, "In which collection.").like("users"),
    field("documentId", Id, "To which document."),
    may("before", Anything, "What it was before."),
    may("after", Anything, "What it is since."),
    may("reason", Text, "Why, as the header X-Reason said."),
    may("ipAddress", Text, "From which address."),
    OWN,
];
