//! What is sold: subscription plans and alert configurations.

use super::field::FieldKind::{Currency, Date, Flag, Id, List, Object, Symbol, Text, Whole, Word};
use super::field::{AMOUNT, ANY_WHOLE, COUNT, defaulted, object, optional, required};
use super::{CREATED, FieldDeclaration, FieldDefault, FieldUnit, ID, OWN_LEVEL, StoreRule, UNREADABLE, UPDATED};
use crate::alert_configuration::{ConfigStatus, RequiredField};
use crate::market::{Side, Signal, Timeframe};
use crate::plan::PlanStatus;

const TRUE: FieldDefault = FieldDefault::Flag(true);
const FALSE: FieldDefault = FieldDefault::Flag(false);
const ZERO: FieldDefault = FieldDefault::Whole(0);
const EMPTY: FieldDefault = FieldDefault::EmptyList;

/// Seed 2.2.
pub(super) const PLANS: &[FieldDeclaration] = &[
    ID,
    required("name", Text, "What people call it; unique.").held_to(StoreRule::Filled).told().like("Crypto"),
    required("description", Text, "What it brings, for people.").told().like("Every Bitcoin signal"),
    required("pricing", Object, "What it costs, and for how long."),
    required("pricing.amount", AMOUNT, "The price, in the currency's main unit.")
        .held_to(StoreRule::AtLeast(0))
        .counts(FieldUnit::MainUnit)
        .told(),
    defaulted("pricing.currency", Currency, FieldDefault::Text("INR"), "The price's currency, by its three letters.")
        .told()
        .like("INR"),
    required("pricing.duration", Object, "How long it lasts."),
    required("pricing.duration.months", Whole { min: 1, max: 1_200 }, "Calendar months.")
        .held_to(StoreRule::AtLeast(1))
        .counts(FieldUnit::Months)
        .told(),
    defaulted("pricing.duration.days", Whole { min: 0, max: 36_500 }, ZERO, "Days after the months.")
        .counts(FieldUnit::Days)
        .told(),
    object("features", "What it grants."),
    defaulted(
        "features.maxAlertConfigs",
        Whole { min: -1, max: i64::MAX },
        FieldDefault::Whole(-1),
        "How many configurations a subscription follows; -1: all of the plan's.",
    ),
    defaulted(
        "features.maxOpenTrades",
        Whole { min: 1, max: i64::MAX },
        FieldDefault::Whole(3),
        "Open trades of one subscriber in one configuration.",
    ),
    defaulted("features.prioritySupport", Flag, FALSE, "Whether its messages go out before those of other plans.")
        .told(),
    defaulted("features.advancedAnalytics", Flag, FALSE, "Whether it brings advanced figures.").told(),
    defaulted(
        "alertConfigurations",
        List(&Id),
        EMPTY,
        "The configurations whose alerts it brings, in the provider's order.",
    )
    .told(),
    defaulted(
        "status",
        Word(PlanStatus::WORDS),
        FieldDefault::Text(PlanStatus::Active.as_str()),
        "Whether it is sold and served; archived: served to the end, and not sold.",
    ),
    object("metadata", "How it is shown."),
    defaulted("metadata.displayOrder", ANY_WHOLE, ZERO, "Its place where plans are shown; lower goes first.").told(),
    defaulted("metadata.isPopular", Flag, FALSE, "Whether it is shown as popular.").told(),
    defaulted("metadata.tags", List(&Text), EMPTY, "Words that it is found by.").told(),
    CREATED,
    UPDATED,
    OWN_LEVEL,
    UNREADABLE,
];

/// Seed 2.3.
pub(super) const CONFIGS: &[FieldDeclaration] = &[
    ID,
    required("name", Text, "What people call it.").held_to(StoreRule::Filled).told().like("Bitcoin, hourly"),
    optional("description", Text, "What it is, for people.").told(),
    required(
        "symbol",
        Symbol,
        "The symbol as TradingView names it, in capitals; with symbol, timeframe and strategy unique.",
    )
    .held_to(StoreRule::Filled)
    .like("BTCUSDT"),
    required("timeframe", Word(Timeframe::WORDS), "The length of the chart's bars."),
    required("strategy", Text, "The strategy's name, as its alerts give it.")
        .held_to(StoreRule::Filled)
        .like("EMA Cross"),
    object("tradeManagement", "How entries and exits turn into trades."),
    defaulted(
        "tradeManagement.maxOpenTrades",
        Whole { min: 1, max: 5 },
        FieldDefault::Whole(3),
        "Open trades of one subscriber in this configuration; never more than three, whatever stands here.",
    )
    .held_to(StoreRule::Within(1, 5)),
    defaulted(
        "tradeManagement.allowOppositeSignals",
        Flag,
        TRUE,
        "Whether a trade may be opened while one of the other side is open.",
    ),
    defaulted(
        "tradeManagement.replaceOnSameSignal",
        Flag,
        TRUE,
        "Whether an entry at the limit replaces the oldest trade of its side.",
    ),
    defaulted(
        "tradeManagement.autoCloseOnTPSL",
        Flag,
        TRUE,
        "Whether exits close trades; where not, their holders are only told.",
    ),
    object("alertTypes", "Which signals are taken."),
    object("alertTypes.entry", "Entries."),
    defaulted("alertTypes.entry.enabled", Flag, TRUE, "Whether entries are taken."),
    defaulted("alertTypes.entry.signals", List(&Word(Side::WORDS)), EMPTY, "Which entries are taken; empty: all."),
    object("alertTypes.exit", "Exits."),
    defaulted("alertTypes.exit.enabled", Flag, TRUE, "Whether exits are taken."),
    defaulted("alertTypes.exit.signals", List(&Word(EXIT_SIGNALS)), EMPTY, "Which exits are taken; empty: all."),
    object("validation", "What an alert must bring beyond its schema."),
    defaulted("validation.requiredFields", List(&Word(RequiredField::WORDS)), EMPTY, "Fields that an alert must have."),
    object("validation.priceValidation", "The guard against a slipped digit."),
    defaulted("validation.priceValidation.enabled", Flag, TRUE, "Whether a price far from the last is refused."),
    defaulted(
        "validation.priceValidation.tolerance",
        AMOUNT,
        FieldDefault::Number(0.05),
        "How far a price may be from the last, as a fraction: 0.05 is 5 %.",
    )
    .counts(FieldUnit::Fraction),
    defaulted(
        "status",
        Word(ConfigStatus::WORDS),
        FieldDefault::Text(ConfigStatus::Active.as_str()),
        "Whether alerts are taken; in testing they reach the operators alone.",
    ),
    object("statistics", "Counters.").kept(),
    defaulted("statistics.totalAlerts", COUNT, ZERO, "Alerts that were accepted.").told(),
    defaulted("statistics.totalTrades", COUNT, ZERO, "Trades that were opened.").told(),
    defaulted(
        "statistics.successRate",
        AMOUNT,
        ZERO,
        "In percent: trades closed by take profit, of those closed by either level.",
    )
    .counts(FieldUnit::Percent)
    .told(),
    optional("statistics.lastAlertAt", Date, "When the last alert was accepted.").told(),
    CREATED,
    UPDATED,
    OWN_LEVEL,
    optional("alertcast.currency", Currency, "The currency of its trades' profit and loss; USD where it is absent.")
        .like("USD"),
    optional("alertcast.closedByTp", COUNT, "Trades closed by take profit.").kept(),
    optional("alertcast.closedBySl", COUNT, "Trades closed by stop loss.").kept(),
    UNREADABLE,
];
const EXIT_SIGNALS: &[&str] = &[Signal::TpHit.as_str(), Signal::SlHit.as_str()];
