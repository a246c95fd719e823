//! What is sold: alert configurations and subscription plans.

use alertcast_core::alert_configuration::{ConfigStatus, RequiredField};
use alertcast_core::market::{Side, Signal, Timeframe};
use alertcast_core::plan::PlanStatus;

use super::super::shape::ShapeKind::{Flag, Id, List, Object, Text, Time};
use super::super::shape::{ShapeField, ShapeKind, field, may, must};
use super::{AMOUNT, ANY_WHOLE, COUNT, CREATED, CURRENCY, ID, OWN, OWN_TEXT, UNREADABLE, UPDATED, words};

const ENTRY_SIGNAL: ShapeKind = words!(Side);
const EXIT_SIGNAL: ShapeKind = ShapeKind::Word(&[Signal::TpHit.as_str(), Signal::SlHit.as_str()]);
const REQUIRED_FIELD: ShapeKind = words!(RequiredField);

/// Seed 2.3.
pub(in super::super) const CONFIGURATION: &[ShapeField] = &[
    ID,
    must("name", Text, "What people call it.").like("Bitcoin, hourly"),
    may("description", Text, "What it is, for people."),
    must(
        "symbol",
        Text,
        "The symbol as TradingView names it, in capitals; with symbol, timeframe and strategy unique.",
    )
    .like("BTCUSDT"),
    must("timeframe", words!(Timeframe), "The length of the chart's bars."),
    must("strategy", Text, "The strategy's name, as its alerts give it.").like("EMA Cross"),
    field("tradeManagement", Object(TRADE_MANAGEMENT), "How entries and exits turn into trades."),
    field(
        "alertTypes",
        Object(&[
            field(
                "entry",
                Object(&[
                    field("enabled", Flag, "Whether entries are taken."),
                    field("signals", List(&ENTRY_SIGNAL), "Which entries are taken; empty: all."),
                ]),
                "Entries.",
            ),
            field(
                "exit",
                Object(&[
                    field("enabled", Flag, "Whether exits are taken."),
                    field("signals", List(&EXIT_SIGNAL), "Which exits are taken; empty: all."),
                ]),
                "Exits.",
            ),
        ]),
        "Which signals are taken.",
    ),
    field("validation", Object(VALIDATION), "What an alert must bring beyond its schema."),
    field("status", words!(ConfigStatus), "Whether alerts are taken; in testing they reach the operators alone."),
    field(
        "statistics",
        Object(&[
            field("totalAlerts", COUNT, "Alerts that were accepted."),
            field("totalTrades", COUNT, "Trades that were opened."),
            field("successRate", AMOUNT, "In percent: trades closed by take profit, of those closed by either level."),
            may("lastAlertAt", Time, "When the last alert was accepted."),
        ]),
        "Counters.",
    )
    .make_kept(),
    CREATED,
    UPDATED,
    may(
        "alertcast",
        Object(&[
            may("currency", CURRENCY, "The currency of its trades' profit and loss; USD where it is absent.")
                .like("USD"),
            may("closedByTp", COUNT, "Trades closed by take profit.").make_kept(),
            may("closedBySl", COUNT, "Trades closed by stop loss.").make_kept(),
            UNREADABLE,
        ]),
        OWN_TEXT,
    ),
];

const TRADE_MANAGEMENT: &[ShapeField] = &[
    field(
        "maxOpenTrades",
        ShapeKind::Whole { min: 1, max: 5 },
        "Open trades of one subscriber in this configuration; never more than three, whatever stands here.",
    ),
    field("allowOppositeSignals", Flag, "Whether a trade may be opened while one of the other side is open."),
    field("replaceOnSameSignal", Flag, "Whether an entry at the limit replaces the oldest trade of its side."),
    field("autoCloseOnTPSL", Flag, "Whether exits close trades; where not, their holders are only told."),
];

const VALIDATION: &[ShapeField] = &[
    field("requiredFields", List(&REQUIRED_FIELD), "Fields that an alert must have."),
    field(
        "priceValidation",
        Object(&[
            field("enabled", Flag, "Whether a price far from the last is refused."),
            field("tolerance", AMOUNT, "How far a price may be from the last, as a fraction: 0.05 is 5 %."),
        ]),
        "The guard against a slipped digit.",
    ),
];

/// Seed 2.2.
pub(in super::super) const PLAN: &[ShapeField] = &[
    ID,
    must("name", Text, "What people call it; unique.").like("Crypto"),
    must("description", Text, "What it brings, for people.").like("Every Bitcoin signal"),
    must("pricing", Object(PRICING), "What it costs, and for how long."),
    field("features", Object(FEATURES), "What it grants."),
    field("alertConfigurations", List(&Id), "The configurations whose alerts it brings, in the provider's order."),
    field("status", words!(PlanStatus), "Whether it is sold and served; archived: served to the end, and not sold."),
    field(
        "metadata",
        Object(&[
            field("displayOrder", ANY_WHOLE, "Its place where plans are shown; lower goes first."),
            field("isPopular", Flag, "Whether it is shown as popular."),
            field("tags", List(&Text), "Words that it is found by."),
        ]),
        "How it is shown.",
    ),
    CREATED,
    UPDATED,
    OWN,
];

const PRICING: &[ShapeField] = &[
    must("amount", AMOUNT, "The price, in the currency's main unit."),
    field("currency", CURRENCY, "The price's currency, by its three letters.").like("INR"),
    must(
        "duration",
        Object(&[
            must("months", ShapeKind::Whole { min: 1, max: 1_200 }, "Calendar months."),
            field("days", ShapeKind::Whole { min: 0, max: 36_500 }, "Days after the months."),
        ]),
        "How long it lasts.",
    ),
];

const FEATURES: &[ShapeField] = &[
    field(
        "maxAlertConfigs",
        ShapeKind::Whole { min: -1, max: i64::MAX },
        "How many configurations a subscription follows; -1: all of the plan's.",
    ),
    field(
        "maxOpenTrades",
        ShapeKind::Whole { min: 1, max: i64::MAX },
        "Open trades of one subscriber in one configuration.",
    ),
    field("prioritySupport", Flag, "Whether its messages go out before those of other plans."),
    field("advancedAnalytics", Flag, "Whether it brings advanced figures."),
];
