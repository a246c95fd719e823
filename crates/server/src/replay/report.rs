//! What a rehearsal came to: for people through the command line, for programs as JSON.

use std::collections::BTreeMap;

use alertcast_core::delivery::LaneName;
use alertcast_core::figures;
use alertcast_core::market::ExitReason;
use alertcast_core::money::Amount;
use alertcast_core::trade::document::{TradeEnd, TradeStatus};
use rust_decimal::Decimal;
use serde::Serialize;

/// Lines that are named of each rule that was broken.
const LINES_MAX: usize = 20;

/// Everything that there is to say.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplayReport {
    pub alerts: ReplayTotals,
    /// What was refused, by the rule that was broken.
    pub refused: Vec<RefusalGroup>,
    /// What the webhook would have taken for a resend, by what is the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resends: Vec<RefusalGroup>,
    /// What the operators would have heard of the others, by kind.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<RefusalGroup>,
    pub configurations: Vec<ConfigReport>,
    /// Over all configurations.
    pub trades: TradeTally,
    /// How long sending would take, by bot.
    pub sending: Vec<LaneForecast>,
    /// One subscriber's story, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<SubscriberStory>,
}

/// How many alerts came to what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplayTotals {
    pub read: usize,
    pub accepted: usize,
    pub duplicates: usize,
    pub refused: usize,
    /// Outside of the asked time, or of another configuration.
    pub left_out: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_at: Option<String>,
}

/// One rule, and the alerts that broke it; or one kind of resend or remark, and the alerts that it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusalGroup {
    pub rule: String,
    pub count: usize,
    /// The first of their lines.
    pub lines: Vec<u64>,
    /// What the first of them was told.
    pub message: String,
}

/// One configuration.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigReport {
    pub id: String,
    pub name: String,
    pub symbol: String,
    pub timeframe: String,
    pub strategy: String,
    /// It is in testing: nobody but the operators would have heard of it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub testing: bool,
    pub alerts: usize,
    /// Different subscribers who would have got a message.
    pub recipients: usize,
    pub messages: usize,
    /// Decisions by verdict, each for one alert and one subscriber.
    pub verdicts: BTreeMap<&'static str, usize>,
    pub trades: TradeTally,
}

/// Trades, over all subscribers who would have had them.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TradeTally {
    pub opened: usize,
    pub replaced: usize,
    /// By reason.
    pub closed: BTreeMap<&'static str, usize>,
    pub still_open: usize,
    /// Ended with a profit, and with a loss.
    pub won: usize,
    pub lost: usize,
    /// Of those that ended, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub win_rate: Option<f64>,
    /// Those closed by their targets, of those closed by targets or stops, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_rate: Option<f64>,
    /// Of all that ended, in percent of their entry prices.
    pub pnl_percent: f64,
    #[serde(skip)]
    pnl: Decimal,
}

impl TradeTally {
    pub(super) fn end(&mut self, end: &TradeEnd) {
        if end.status == TradeStatus::Replaced {
            self.replaced += 1;
        } else {
            *self.closed.entry(end.reason.as_str()).or_default() += 1;
        }
        let pnl = end.pnl_percentage.get();
        self.won += usize::from(pnl > Decimal::ZERO);
        self.lost += usize::from(pnl < Decimal::ZERO);
        self.pnl = self.pnl.saturating_add(pnl);
        self.work_out();
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.opened += other.opened;
        self.replaced += other.replaced;
        self.still_open += other.still_open;
        self.won += other.won;
        self.lost += other.lost;
        self.pnl = self.pnl.saturating_add(other.pnl);
        for (reason, count) in &other.closed {
            *self.closed.entry(reason).or_default() += count;
        }
        self.work_out();
    }

    fn work_out(&mut self) {
        self.win_rate = share(self.won, self.count_ended());
        let by_tp = self.closed_by(ExitReason::TpHit);
        self.success_rate = share(by_tp, by_tp + self.closed_by(ExitReason::SlHit));
        self.pnl_percent = Amount::new(self.pnl).map_or(0.0, Amount::to_f64);
    }

    /// The P&L in percent of all that ended together, and on average, as people read it.
    #[must_use]
    pub fn pnl_shown(&self) -> (String, String) {
        let ended = Decimal::from(self.count_ended().max(1));
        let mean = self.pnl.checked_div(ended).unwrap_or_default();
        (figures::percent(self.pnl), figures::percent(mean))
    }

    /// Trades that ended, however.
    #[must_use]
    pub fn count_ended(&self) -> usize {
        self.replaced + self.closed.values().sum::<usize>()
    }

    /// Trades closed for this reason.
    fn closed_by(&self, reason: ExitReason) -> usize {
        self.closed.get(reason.as_str()).copied().unwrap_or(0)
    }
}

/// In percent, to a tenth.
fn share(of: usize, all: usize) -> Option<f64> {
    let number = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    (all > 0).then(|| (number(of) * 1_000.0 / number(all)).round() / 10.0)
}

/// What one bot would have had to send.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LaneForecast {
    /// `tg:BOT`.
    pub lane: LaneName,
    pub messages: usize,
    /// The alert whose last message would have come latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst: Option<SlowestAlert>,
}

/// An alert that took long.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SlowestAlert {
    pub line: u64,
    pub messages: usize,
    /// From its receipt to its last message.
    pub seconds: f64,
}

/// What one subscriber would have seen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SubscriberStory {
    pub id: String,
    /// What the subscriber is called; none where nobody has said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub lines: Vec<StoryLine>,
}

/// One alert, as it concerned that subscriber.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StoryLine {
    pub line: u64,
    pub at: String,
    pub alert: String,
    pub verdict: &'static str,
    /// What became of the subscriber's trades.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trades: Vec<String>,
}

/// Refusals in the making.
#[derive(Debug, Default)]
pub(super) struct RefusalGroups {
    by_rule: BTreeMap<String, RefusalGroup>,
}

impl RefusalGroups {
    pub(super) fn add(&mut self, rule: &str, line: u64, message: &str) {
        let refusal = self.by_rule.entry(rule.to_owned()).or_insert_with(|| RefusalGroup {
            rule: rule.to_owned(),
            count: 0,
            lines: Vec::new(),
            message: message.to_owned(),
        });
        refusal.count += 1;
        if refusal.lines.len() < LINES_MAX {
            refusal.lines.push(line);
        }
    }

    pub(super) fn finish(self) -> Vec<RefusalGroup> {
        let mut all: Vec<RefusalGroup> = self.by_rule.into_values().collect();
        all.sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.rule.cmp(&other.rule)));
        all
    }
}
