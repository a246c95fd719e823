//! What the operators should hear of an alert that was worked out: the same whether it was processed or rehearsed.

use std::collections::BTreeSet;
use std::fmt;

use super::chunk::ChunkTally;
use super::job::MatchingJob;
use crate::alert::intent::Intent;
use crate::alert::rule_violation::show_value;
use crate::id::UserId;
use crate::trade::document::Trade;

/// More numbers of trades than this are not listed.
const NUMBERS_MAX: usize = 10;

/// Something that the operators should hear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorRemark {
    /// What is the same, for one configuration.
    pub kind: RemarkKind,
    /// One line.
    pub title: String,
    /// What happened and what to look at, a line each.
    pub lines: Vec<String>,
    /// What is noted with the alert itself; none of a mere test.
    pub note: Option<String>,
}

/// What a remark is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RemarkKind {
    /// An exit found no trade.
    NoMatchingTrade,
    /// Trades stayed open, because neither the exit nor they themselves have a price for it.
    LeftOpen,
    /// Trades were closed at a price far from all that they know of.
    FarOff,
    /// A take profit was told at a loss.
    AtALoss,
    /// Open trades cannot be read: the exit may have been for them.
    UnreadableTrades,
    /// The data that the alert rests on are delayed.
    Delayed,
    /// The configuration is in testing.
    Testing,
}

impl RemarkKind {
    /// A word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoMatchingTrade => "no_matching_trade",
            Self::LeftOpen => "left_open",
            Self::FarOff => "far_off",
            Self::AtALoss => "take_profit_at_a_loss",
            Self::UnreadableTrades => "unreadable_trades",
            Self::Delayed => "delayed",
            Self::Testing => "testing",
        }
    }
}

/// Trades of some subscribers, as far as operators want to know them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TradeRoll {
    pub trades: usize,
    /// Whose they are.
    pub users: usize,
    /// The lowest of their numbers, each once.
    numbers: BTreeSet<i64>,
}

impl TradeRoll {
    /// Adds one user's.
    pub(super) fn add<'t>(&mut self, trades: impl IntoIterator<Item = &'t Trade>) {
        let before = self.trades;
        for trade in trades {
            self.trades += 1;
            self.note(trade.trade_number.0);
        }
        self.users += usize::from(self.trades > before);
    }

    /// Adds those of other users.
    pub(super) fn merge(&mut self, other: &Self) {
        self.trades += other.trades;
        self.users += other.users;
        other.numbers.iter().for_each(|number| self.note(*number));
    }

    /// One more than is listed is kept, to tell that there are more.
    fn note(&mut self, number: i64) {
        self.numbers.insert(number);
        if self.numbers.len() > NUMBERS_MAX + 1 {
            self.numbers.pop_last();
        }
    }

    const fn is_empty(&self) -> bool {
        self.trades == 0
    }
}

/// `3 trades of 2 subscribers (#1, #4)`.
impl fmt::Display for TradeRoll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        let mut numbers: Vec<String> =
            self.numbers.iter().take(NUMBERS_MAX).map(|number| format!("#{number}")).collect();
        if self.numbers.len() > NUMBERS_MAX {
            numbers.push("…".to_owned());
        }
        let (trades, users) = (counted(self.trades, "trade"), counted(self.users, "subscriber"));
        write!(f, "{trades} of {users} ({})", numbers.join(", "))
    }
}

/// What makes one kind of remark, given the configuration's name.
type RemarkMaker = fn(&MatchingJob<'_>, &ChunkTally, &str) -> Option<OperatorRemark>;

/// The remarks on an alert of which this is the whole tally.
#[must_use]
pub fn remarks(job: &MatchingJob<'_>, total: &ChunkTally) -> Vec<OperatorRemark> {
    let name = format!("{} {} {}", job.config.symbol.as_str(), job.config.timeframe, job.config.strategy);
    let all: [RemarkMaker; 7] =
        [no_matching_trade, remark_delay, left_open, unreadable_trades, far_off, at_a_loss, remark_test];
    all.into_iter().filter_map(|make| make(job, total, &name)).collect()
}

fn remark_delay(job: &MatchingJob<'_>, _: &ChunkTally, name: &str) -> Option<OperatorRemark> {
    job.delayed_feed.as_ref().map(|feed| OperatorRemark {
        kind: RemarkKind::Delayed,
        title: format!("Delayed data: {feed}"),
        lines: vec![
            format!("Alerts for {name} come of {feed}, whose data TradingView gets late: often by 10 to 15 minutes."),
            "Subscribers get prices that the market has left. Buy the exchange's data in real time, and make the alert \
             anew on the chart of that feed."
                .to_owned(),
        ],
        note: None,
    })
}

fn left_open(job: &MatchingJob<'_>, total: &ChunkTally, name: &str) -> Option<OperatorRemark> {
    (!total.left_open.is_empty()).then(|| OperatorRemark {
        kind: RemarkKind::LeftOpen,
        title: format!("Still open after an exit without a price: {name}"),
        lines: vec![
            format!(
                "{} came with the price {}: trades close at their own level.",
                job.ask.intent,
                job.show_price(job.ask.price)
            ),
            format!("{} have none of that kind, and stay open: close them by hand.", total.left_open),
            "Put the price into the message: \"price\": {{close}}.".to_owned(),
        ],
        note: Some(format!("left_open: {} have no level to close at, and the alert gives no price", total.left_open)),
    })
}

fn unreadable_trades(job: &MatchingJob<'_>, total: &ChunkTally, name: &str) -> Option<OperatorRemark> {
    if total.unreadable.is_empty() {
        return None;
    }
    let users = list_users(&total.unreadable);
    Some(OperatorRemark {
        kind: RemarkKind::UnreadableTrades,
        title: format!("Exit for trades that cannot be read: {name}"),
        lines: vec![
            format!(
                "{} at {}: it may be for open trades that cannot be read, of users {users}.",
                job.ask.intent,
                job.show_price(job.ask.price)
            ),
            untold_holders(total),
            "Nothing was closed. Mend the documents: `alertcast doctor` names each and what is wrong with it."
                .to_owned(),
        ],
        note: Some(format!("unreadable_trades: open trades of users {users} cannot be read")),
    })
}

fn far_off(job: &MatchingJob<'_>, total: &ChunkTally, name: &str) -> Option<OperatorRemark> {
    (!total.far_off.is_empty()).then(|| OperatorRemark {
        kind: RemarkKind::FarOff,
        title: format!("Exit at a price far off: {name}"),
        lines: vec![
            format!(
                "{} at {}: far from the entries and levels of what it closed.",
                job.ask.intent,
                job.show_price(job.ask.price)
            ),
            format!("{} were closed at it, and their subscribers were told so.", total.far_off),
            "If it is a slipped digit, tell your subscribers: what has ended is not changed.".to_owned(),
        ],
        note: Some(format!("far_off: {} were closed at a price far from all they know of", total.far_off)),
    })
}

fn at_a_loss(job: &MatchingJob<'_>, total: &ChunkTally, name: &str) -> Option<OperatorRemark> {
    (!total.at_a_loss.is_empty()).then(|| OperatorRemark {
        kind: RemarkKind::AtALoss,
        title: format!("Take profit at a loss: {name}"),
        lines: vec![
            format!(
                "{} at {}, which is a loss for {}.",
                job.ask.intent,
                job.show_price(job.ask.price),
                total.at_a_loss
            ),
            "They count as stopped out (SL_HIT), and their messages say so: check the price and the signal.".to_owned(),
        ],
        note: Some(format!("take_profit_at_a_loss: {} count as stopped out", total.at_a_loss)),
    })
}

fn remark_test(job: &MatchingJob<'_>, total: &ChunkTally, name: &str) -> Option<OperatorRemark> {
    job.testing.then(|| OperatorRemark {
        kind: RemarkKind::Testing,
        title: format!("Test alert: {} {name} at {}", job.ask.intent, job.show_price(job.ask.price)),
        lines: vec![
            format!("{} subscribers would have got it.", total.sent),
            "The configuration is in testing: no trade was changed, and nobody else hears of it.".to_owned(),
        ],
        note: None,
    })
}

/// Who of those whose trades cannot be read hears of an exit.
fn untold_holders(total: &ChunkTally) -> String {
    if total.untold.is_empty() {
        return "They are told of it as the alert has it, without a result.".to_owned();
    }
    format!(
        "They are told of it as the alert has it, but for those who want no exits or cannot be reached: {}.",
        list_users(&total.untold)
    )
}

fn list_users(users: &[UserId]) -> String {
    let users: Vec<String> = users.iter().map(ToString::to_string).collect();
    users.join(", ")
}

/// An exit that ended nothing and told nobody.
fn no_matching_trade(job: &MatchingJob<'_>, total: &ChunkTally, name: &str) -> Option<OperatorRemark> {
    let found = total.matched > 0 || total.left_open.trades > 0 || !total.unreadable.is_empty();
    if job.ask.opens().is_some() || found || (total.unmatched == 0 && job.testing) {
        return None;
    }
    let first = match total.unmatched {
        0 => "no_matching_trade: nobody holds an open trade in this configuration".to_owned(),
        holders => format!("no_matching_trade: {holders} hold open trades, none of which this alert matches"),
    };
    let advice = match &job.ask.trade_ref {
        Some(named) if named.explicit && total.unmatched > 0 => format!(
            "Its trade_id {} names none of them, no level was reached, and several could be meant: close the right one by \
             hand, and give exits the trade_id of their entry.",
            show_value(&named.name)
        ),
        _ => "If that is a surprise, compare its price and trade_id with the entry's.".to_owned(),
    };
    let title = match job.ask.intent {
        Intent::Exit { reason, side: None, target: None } => format!("Exit without a trade: {reason} {name}"),
        intent => format!("{} without a trade: {name}", capital(intent)),
    };
    Some(OperatorRemark {
        kind: RemarkKind::NoMatchingTrade,
        title,
        lines: vec![format!("{first}."), advice],
        note: Some(first),
    })
}

fn capital(intent: Intent) -> String {
    let words = intent.to_string();
    let mut rest = words.chars();
    rest.next().map(|first| first.to_uppercase().chain(rest).collect()).unwrap_or_default()
}
