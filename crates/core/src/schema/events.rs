//! What happened: alerts, and the trades that came of them.

use super::field::FieldKind::{
    Anything, Currency, Date, Document, Documents, Flag, Id, List, Object, Symbol, Text, Word,
};
use super::field::{ANY_NUMBER, ANY_WHOLE, COUNT, defaulted, expected, internal, object, optional, recorded, required};
use super::{
    CONFIG_ID, CREATED, FieldDeclaration, FieldDefault, FieldUnit, ID, OWN_LEVEL, SUBSCRIPTION_ID, StoreRule,
    UNREADABLE, UPDATED, USER_ID,
};
use crate::alert::document::{AlertStatus, Source, TradeAction};
use crate::market::{ExitReason, Side, Signal};
use crate::trade::document::TradeStatus;
use crate::user::RiskLevel;

const SYMBOL: &str = "The symbol.";
const TIMEFRAME: &str = "The length of the chart's bars.";
const STRATEGY: &str = "The strategy's name.";
const TAKE_PROFIT: &str = "The take profit.";
const STOP_LOSS: &str = "The stop loss.";
const WHEN_MADE: FieldDefault = FieldDefault::WhenMade;
const ZERO: FieldDefault = FieldDefault::Whole(0);
const EMPTY: FieldDefault = FieldDefault::EmptyList;

/// Seed 2.6.
pub(super) const TRADES: &[FieldDeclaration] = &recorded([
    ID,
    required("tradeNumber", COUNT, "Counts from 1 for each subscriber and configuration."),
    required("userId", Id, USER_ID),
    required("alertConfigId", Id, CONFIG_ID),
    required("subscriptionId", Id, SUBSCRIPTION_ID).told(),
    required("tradeData", Object, "What was signalled."),
    required("tradeData.symbol", Symbol, SYMBOL).held_to(StoreRule::Filled).told().like("BTCUSDT"),
    required("tradeData.timeframe", Text, TIMEFRAME).held_to(StoreRule::Filled).told().like("1h"),
    required("tradeData.strategy", Text, STRATEGY).held_to(StoreRule::Filled).told().like("EMA Cross"),
    required("tradeData.signal", Word(Side::WORDS), "Its side."),
    required("tradeData.entryPrice", ANY_NUMBER, "The price at which it was opened."),
    optional("tradeData.takeProfitPrice", ANY_NUMBER, TAKE_PROFIT),
    optional("tradeData.stopLossPrice", ANY_NUMBER, STOP_LOSS),
    optional("tradeData.exitPrice", ANY_NUMBER, "The price at which it ended.").told(),
    optional("tradeData.exitReason", Word(ExitReason::WORDS), "Why it ended.").told(),
    defaulted("status", Word(TradeStatus::WORDS), FieldDefault::Text(TradeStatus::Open.as_str()), "Where it stands."),
    object("pnl", "Profit or loss, once it has ended."),
    optional("pnl.amount", ANY_NUMBER, "For one unit, or for the entry's quantity.").counts(FieldUnit::MainUnit).told(),
    optional("pnl.percentage", ANY_NUMBER, "In percent of the entry's price.").counts(FieldUnit::Percent).told(),
    defaulted("pnl.currency", Currency, FieldDefault::Text("USD"), "The amount's currency, by its three letters.")
        .told()
        .like("USD"),
    object("timestamps", "When it opened and ended."),
    defaulted("timestamps.openedAt", Date, WHEN_MADE, "When it was opened.").told(),
    optional("timestamps.closedAt", Date, "When it ended.").told(),
    optional("timestamps.replacedAt", Date, "When it was replaced.").told(),
    object("alerts", "The alerts that opened and ended it."),
    optional("alerts.entryAlertId", Id, "The alert that opened it.").told(),
    optional("alerts.exitAlertId", Id, "The alert that ended it.").told(),
    object("metadata", "What else is known of it."),
    optional("metadata.replacedBy", Id, "The trade that took its place.").told(),
    optional("metadata.replacementReason", Text, "Why it was replaced.").told(),
    optional("metadata.notes", Text, "What was noted about it.").told(),
    CREATED,
    UPDATED,
    OWN_LEVEL,
    optional("alertcast.rev", COUNT, "Raised by each change."),
    optional("alertcast.quantity", ANY_NUMBER, "Units, where the entry gave them."),
    optional("alertcast.tradeRef", Text, "The entry's own name for the trade (`trade_id`)."),
    optional("alertcast.targets", List(&ANY_NUMBER), "The take profits behind the first, in their order."),
    optional("alertcast.decimals", COUNT, "With how many decimals its prices are shown."),
    optional("alertcast.exitInferred", Flag, "Whether something of its end was worked out, and not said by the alert."),
    optional(
        "alertcast.unreached",
        Flag,
        "Whether nobody heard of its entry: it counts nowhere, and its exit tells nothing.",
    ),
    internal("alertcast.preferenceId", Id, "The preferences whose counters the entry raised."),
    internal("alertcast.entryDeliveries", List(&Document), "The deliveries that announced the entry, by channel."),
    internal("alertcast.endDeliveries", List(&Document), "The deliveries that tell of its end, by channel."),
    UNREADABLE,
]);

/// Seed 2.7.
pub(super) const ALERTS: &[FieldDeclaration] = &recorded([
    ID,
    defaulted("source", Word(Source::WORDS), FieldDefault::Text(Source::TradingView.as_str()), "Where it comes from.")
        .told(),
    required("webhook", Object, "How it came in."),
    defaulted("webhook.receivedAt", Date, WHEN_MADE, "When it was received: who gets it is judged as of then."),
    optional("webhook.processedAt", Date, "When its trades and messages were committed.").told(),
    required("webhook.rawPayload", Document, "The body as it was read, without secrets."),
    optional("webhook.signature", Text, "The signature that a relay sent with it.").told(),
    optional("webhook.ipAddress", Text, "The address that it came from.").told(),
    required("alertData", Object, "What it says."),
    required("alertData.symbol", Symbol, SYMBOL).held_to(StoreRule::Filled).like("BTCUSDT"),
    required("alertData.timeframe", Text, TIMEFRAME).held_to(StoreRule::Filled).like("1h"),
    required("alertData.strategy", Text, STRATEGY).held_to(StoreRule::Filled).like("EMA Cross"),
    required("alertData.signal", Word(Signal::WORDS), "An entry on a side, or an exit."),
    required("alertData.price", ANY_NUMBER, "The price."),
    optional("alertData.takeProfitPrice", ANY_NUMBER, TAKE_PROFIT),
    optional("alertData.stopLossPrice", ANY_NUMBER, STOP_LOSS),
    required("alertData.timestamp", Date, "When it fired, as it says itself."),
    optional("alertData.additionalData", Document, "Every other field of the body."),
    object("processing", "What became of it."),
    defaulted(
        "processing.status",
        Word(AlertStatus::WORDS),
        FieldDefault::Text(AlertStatus::Received.as_str()),
        "Where it stands.",
    ),
    optional("processing.alertConfigId", Id, CONFIG_ID),
    defaulted(
        "processing.matchedUsers",
        Documents(MATCHED),
        EMPTY,
        "Whom it was for, once its messages have ended; not in lists.",
    )
    .shown_alone()
    .told(),
    defaulted(
        "processing.tradeActions",
        Documents(ACTIONS),
        EMPTY,
        "What it did to trades, once its messages have ended; not in lists.",
    )
    .shown_alone()
    .told(),
    defaulted(
        "processing.errors",
        Documents(ERRORS),
        EMPTY,
        "What went wrong, and what an operator said that it means.",
    )
    .told(),
    object("statistics", "Counters."),
    optional("statistics.processingTime", COUNT, "Milliseconds from its receipt to its last commit.")
        .counts(FieldUnit::Milliseconds)
        .told(),
    defaulted("statistics.deliveryCount", COUNT, ZERO, "Messages that were sent.").told(),
    defaulted("statistics.failureCount", COUNT, ZERO, "Messages that expired or were given up.").told(),
    CREATED,
    UPDATED,
    OWN_LEVEL,
    optional("alertcast.quantity", ANY_NUMBER, "Units, where it gave them."),
    optional("alertcast.tradeRef", Text, "Its own name for the trade (`trade_id`)."),
    optional("alertcast.tradeRefExplicit", Flag, "Whether that name stood in a field of its own."),
    optional("alertcast.risk", Word(RiskLevel::WORDS), "How much risk it carries."),
    optional("alertcast.comment", Text, "The order's comment."),
    optional("alertcast.testing", Flag, "Whether its configuration was in testing."),
    optional("alertcast.intent", Anything, "What it asks for, where that is more than its signal."),
    optional("alertcast.refusedFor", List(&Text), "The rules that it was refused for."),
    optional("alertcast.settledAt", Date, "When all of its messages had ended."),
    optional("alertcast.recipientsIn", Text, "Where its recipients are, where they are too many to stand here."),
    internal("alertcast.seq", COUNT, "Its place in the order of acceptance."),
    internal("alertcast.after", COUNT, "The place up to which alerts had been answered when it was received."),
    internal("alertcast.spooledAt", Date, "When it was written to a spool, because the store was away."),
    internal("alertcast.offeredAt", Date, "When it was offered to a store that other processes use too."),
    internal("alertcast.partition", ANY_WHOLE, "Which share of the work it belongs to."),
    internal("alertcast.delayedFeed", Text, "The feed that it came of, where its data are marked as delayed."),
    internal("alertcast.cursor", Id, "The last subscriber whose chunk is committed."),
    internal("alertcast.attempts", COUNT, "How often processing it failed."),
    internal("alertcast.acceptedAt", Date, "When an operator accepted it after the fact."),
    internal("alertcast.resends", COUNT, "How often one of its messages was sent again."),
    UNREADABLE,
]);

const MATCHED: &[FieldDeclaration] = &recorded([
    expected("userId", Id, USER_ID),
    expected("subscriptionId", Id, SUBSCRIPTION_ID),
    defaulted("delivered", Flag, FieldDefault::Flag(false), "Whether it arrived by any way."),
    optional("deliveredAt", Date, "When it was first sent."),
    optional("error", Text, "Why it was not sent."),
]);

const ACTIONS: &[FieldDeclaration] = &recorded([
    expected("action", Word(TradeAction::WORDS), "What was done."),
    expected("tradeId", Id, "The trade; where one was replaced, the new one."),
    expected("userId", Id, USER_ID),
]);

const ERRORS: &[FieldDeclaration] = &recorded([
    expected("message", Text, "What went wrong."),
    defaulted("timestamp", Date, WHEN_MADE, "When it did."),
    optional("stack", Text, "Where in the program it did."),
]);
