//! The trade machine: open trades and what is asked of them -> what ends, what opens, and what is only told.
//!
//! Pure, and for one user in one configuration. It knows nothing of preferences, quotas and channels: whoever holds the
//! entry part back drops it, and the exit part stands as it is.

use crate::alert::intent::{ExitSignal, Intent, PositionChange};
use crate::delivery::{EndedTrade, ExitInference};
use crate::id::{AlertId, TradeId};
use crate::market::{ExitReason, Side};
use crate::money::{Amount, Price};
use crate::time::Time;

use super::document::{Trade, TradeEnd, TradeStatus};
use super::exit::{ExitRequest, is_far_off, level, list_matching};
use super::pnl::{ProfitLoss, profit_loss};
use super::request::TradeRequest;

pub(crate) use super::exit::nth_target;

/// The rules that hold for this user in this configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TradeRules {
    /// Open trades, at least one.
    pub limit: usize,
    pub replace_on_same_signal: bool,
    pub allow_opposite_signals: bool,
    /// Off: an exit is only told, and changes nothing.
    pub auto_close: bool,
    /// How near an exit's price must be to a level, as a fraction of the level.
    pub tolerance: Amount,
}

/// A trade was given to the machine that is not open: what has ended never changes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("trade {trade} is {status}, not open")]
pub struct NotOpen {
    pub trade: TradeId,
    pub status: TradeStatus,
}

/// What follows from one ask.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TradeStep<'t> {
    /// The trades that end, oldest first. A replaced one is not among them: see `entry`.
    pub ends: Vec<TradeEnding<'t>>,
    /// What becomes of the new trade, where one is asked for.
    pub entry: Option<TradeAdmission<'t>>,
    /// What holders are told without any change.
    pub notice: Option<HolderNotice<'t>>,
    /// A mere exit was asked for, and none of the trades that the subscriber knows of matches it. (That a turn finds
    /// nothing to close is no fault: its entry stands.)
    pub unmatched: bool,
    /// Trades that the subscriber knows of and that the exit is about, but that stay open: it gives no price, and they
    /// have no level of the kind that was hit. Oldest first.
    pub left_open: Vec<&'t Trade>,
}

/// The end of one trade.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TradeEnding<'t> {
    pub trade: &'t Trade,
    pub reason: ExitReason,
    /// What of it is not what the alert said, and had to be worked out.
    pub inference: Option<ExitInference>,
    pub price: Price,
    pub result: ProfitLoss,
    /// The price is far from all that the trade knows of: the operators should look at it.
    pub far_off: bool,
}

/// Whether a new trade opens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TradeAdmission<'t> {
    Open,
    /// In the place of an older one, which ends.
    Replace(TradeEnding<'t>),
    Refused(EntryRefusal),
}

/// Why no new trade opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryRefusal {
    LimitReached,
    OppositeOpen,
}

/// What is told to a holder, about these trades.
#[derive(Debug, Clone, PartialEq)]
pub struct HolderNotice<'t> {
    pub news: HolderNews,
    /// At least one; oldest first.
    pub trades: Vec<&'t Trade>,
}

/// What a notice says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HolderNews {
    /// A level was reached, or the position has ended; closing is left to the subscriber.
    LevelReached,
    /// A target was reached behind which the trades have others.
    TargetReached { number: u32 },
    /// The position was made smaller, or its stop moved.
    PartialExit(PositionChange),
}

/// What the ask makes of a user's open trades in a configuration.
///
/// Trades whose entry never arrived (`alertcast.unreached`) are a world of their own: they count toward no limit and
/// block nothing, nothing is told of them, and an exit ends those that it matches among them.
///
/// # Errors
/// `NotOpen` for a trade that has ended.
pub fn step<'t>(open: &'t [Trade], ask: &TradeRequest, settings: &TradeRules) -> Result<TradeStep<'t>, NotOpen> {
    let held = HeldTrades::new(open)?;
    let price = ask.price;
    let exit = TradeDeparture { ask, settings };
    Ok(match (ask.intent, settings.auto_close) {
        (Intent::Entry { side }, _) => {
            TradeStep { entry: Some(admit(&held.known, side, price, settings)), ..TradeStep::default() }
        }
        (Intent::Exit { reason, side, target }, true) => {
            held.end(|trades| exit.match_trades(&of_side(trades, side), reason, target), &exit, Some(reason), target)
        }
        (Intent::Exit { reason, side, target }, false) => held
            .tell(|trades| exit.match_trades(&of_side(trades, side), reason, target), HolderNews::LevelReached)
            .with(target),
        (Intent::Flat { side, reason }, true) => held.end(|trades| of_side(trades, side), &exit, reason, None),
        (Intent::Flat { side, .. }, false) => held.tell(|trades| of_side(trades, side), HolderNews::LevelReached),
        (Intent::Turn { closes, reason, opens }, true) => TradeStep {
            entry: Some(admit(&of_side(&held.known, Some(closes.opposite())), opens, price, settings)),
            unmatched: false,
            ..held.end(|trades| of_side(trades, Some(closes)), &exit, reason, None)
        },
        (Intent::Turn { closes, opens, .. }, false) => TradeStep {
            entry: Some(admit(&held.known, opens, price, settings)),
            unmatched: false,
            ..held.tell(|trades| of_side(trades, Some(closes)), HolderNews::LevelReached)
        },
        (Intent::Partial { side, change, .. }, _) => {
            held.tell(|trades| of_side(trades, side), HolderNews::PartialExit(change))
        }
    })
}

/// The end of a trade by an operator's hand, at a price. `tolerance`: the configuration's, by which a price is far off.
///
/// # Errors
/// `NotOpen` for a trade that has ended.
pub fn close_by_hand(trade: &Trade, price: Price, tolerance: Amount) -> Result<TradeEnding<'_>, NotOpen> {
    require_open(trade)?;
    let far_off = is_far_off(trade, price, tolerance);
    Ok(TradeEnding { far_off, ..TradeEnding::new(trade, ExitReason::Manual, price) })
}

/// A user's open trades, oldest first.
struct HeldTrades<'t> {
    /// Those whose entry reached the subscriber, or is on its way.
    known: Vec<&'t Trade>,
    unreached: Vec<&'t Trade>,
}

impl<'t> HeldTrades<'t> {
    fn new(open: &'t [Trade]) -> Result<Self, NotOpen> {
        open.iter().try_for_each(require_open)?;
        let mut trades: Vec<&Trade> = open.iter().collect();
        trades.sort_by_key(|trade| (trade.trade_number, trade.id));
        let (unreached, known) = trades.into_iter().partition(|trade| trade.alertcast.unreached);
        Ok(Self { known, unreached })
    }

    /// Ends those that `choose` picks, in both worlds, as far as there is a price for them. Of one that has targets
    /// beyond the one that was reached, its holder is only told.
    fn end(
        &self,
        choose: impl Fn(&[&'t Trade]) -> Vec<&'t Trade>,
        exit: &TradeDeparture<'_>,
        reason: Option<ExitSignal>,
        target: Option<u32>,
    ) -> TradeStep<'t> {
        let known = choose(&self.known);
        let mut step = TradeStep { unmatched: known.is_empty() && !self.known.is_empty(), ..TradeStep::default() };
        let mut told = Vec::new();
        for trade in known.into_iter().chain(choose(&self.unreached)) {
            let is_known = !trade.alertcast.unreached;
            if target.is_some_and(|number| has_targets_beyond(trade, number)) {
                told.extend(is_known.then_some(trade));
                continue;
            }
            match exit.end_trade(trade, reason, target) {
                Some(ending) => step.ends.push(ending),
                None => step.left_open.extend(is_known.then_some(trade)),
            }
        }
        let notice = |number| HolderNotice { news: HolderNews::TargetReached { number }, trades: told };
        step.notice = target.map(notice).filter(|notice| !notice.trades.is_empty());
        step
    }

    /// Tells of those that `choose` picks among the known ones.
    fn tell(&self, choose: impl Fn(&[&'t Trade]) -> Vec<&'t Trade>, news: HolderNews) -> TradeStep<'t> {
        let trades = choose(&self.known);
        let found = !trades.is_empty();
        TradeStep {
            unmatched: !found && !self.known.is_empty(),
            notice: found.then_some(HolderNotice { news, trades }),
            ..TradeStep::default()
        }
    }
}

impl TradeStep<'_> {
    /// Where only a notice comes of a TPn: that it was this target, if a trade has others behind it.
    fn with(mut self, target: Option<u32>) -> Self {
        if let (Some(number), Some(notice)) = (target, &mut self.notice) {
            let has_more = notice.trades.iter().any(|trade| has_targets_beyond(trade, number));
            notice.news = if has_more { HolderNews::TargetReached { number } } else { notice.news };
        }
        self
    }
}

fn has_targets_beyond(trade: &Trade, number: u32) -> bool {
    nth_target(trade, number.saturating_add(1)).is_some()
}

fn require_open(trade: &Trade) -> Result<(), NotOpen> {
    match trade.status {
        TradeStatus::Open => Ok(()),
        status @ (TradeStatus::Closed | TradeStatus::Replaced) => Err(NotOpen { trade: trade.id, status }),
    }
}

fn of_side<'t>(trades: &[&'t Trade], side: Option<Side>) -> Vec<&'t Trade> {
    let wanted = |trade: &&Trade| side.is_none_or(|side| trade.trade_data.signal == side);
    trades.iter().copied().filter(wanted).collect()
}

/// How trades leave by an alert.
#[derive(Debug, Clone, Copy)]
struct TradeDeparture<'a> {
    ask: &'a TradeRequest,
    settings: &'a TradeRules,
}

impl TradeDeparture<'_> {
    fn match_trades<'t>(&self, trades: &[&'t Trade], hit: ExitSignal, target: Option<u32>) -> Vec<&'t Trade> {
        let (ask, tolerance) = (self.ask, self.settings.tolerance);
        let target = target.filter(|_| hit == ExitSignal::TpHit);
        list_matching(
            trades,
            &ExitRequest { hit, price: ask.price, target, trade_ref: ask.trade_ref.as_ref(), tolerance },
        )
    }

    /// The trade's end; none where the alert gives no price, and the trade has no level of the kind that was hit.
    fn end_trade<'t>(
        &self,
        trade: &'t Trade,
        reason: Option<ExitSignal>,
        target: Option<u32>,
    ) -> Option<TradeEnding<'t>> {
        if self.ask.price.is_positive() {
            return Some(TradeEnding::by_alert(trade, reason, self.ask.price, self.settings.tolerance));
        }
        let level = level(trade, reason?, target).filter(|level| level.is_positive())?;
        let ending = TradeEnding::by_alert(trade, reason, level, self.settings.tolerance);
        Some(TradeEnding { inference: ending.inference.or(Some(ExitInference::AtLevel)), ..ending })
    }
}

/// Whether a trade of `side` may open beside these, which are sorted by age.
fn admit<'t>(open: &[&'t Trade], side: Side, price: Price, settings: &TradeRules) -> TradeAdmission<'t> {
    let same = open.iter().find(|trade| trade.trade_data.signal == side);
    let opposite_open = open.iter().any(|trade| trade.trade_data.signal != side);
    if opposite_open && !settings.allow_opposite_signals {
        return TradeAdmission::Refused(EntryRefusal::OppositeOpen);
    }
    match (open.len() < settings.limit.max(1), settings.replace_on_same_signal, same) {
        (true, _, _) => TradeAdmission::Open,
        (false, true, Some(oldest)) => TradeAdmission::Replace(TradeEnding::new(oldest, ExitReason::Replaced, price)),
        (false, true, None) | (false, false, _) => TradeAdmission::Refused(EntryRefusal::LimitReached),
    }
}

impl<'t> TradeEnding<'t> {
    fn new(trade: &'t Trade, reason: ExitReason, price: Price) -> Self {
        let data = &trade.trade_data;
        Self {
            trade,
            reason,
            inference: None,
            price,
            result: profit_loss(data.signal, data.entry_price, price, trade.alertcast.quantity),
            far_off: false,
        }
    }

    /// Without a stated reason the sign of the P&L gives it: a gain is TP_HIT, the rest SL_HIT. A take profit is no
    /// loss: one that is told at a loss is SL_HIT. (A stop may be in profit: it was moved.)
    fn by_alert(trade: &'t Trade, stated: Option<ExitSignal>, price: Price, tolerance: Amount) -> Self {
        let ending = Self::new(trade, ExitReason::SlHit, price);
        let (reason, inference) = match stated {
            None if ending.result.is_gain() => (ExitReason::TpHit, Some(ExitInference::BySign)),
            None => (ExitReason::SlHit, Some(ExitInference::BySign)),
            Some(ExitSignal::TpHit) if ending.result.is_loss() => (ExitReason::SlHit, Some(ExitInference::AtALoss)),
            Some(stated) => (stated.into(), None),
        };
        Self { reason, inference, far_off: is_far_off(trade, price, tolerance), ..ending }
    }

    /// As a commit applies it. `replaced_by`: the new trade, for one that was replaced.
    pub fn commit(&self, at: Time, exit_alert: Option<AlertId>, replaced_by: Option<TradeId>) -> TradeEnd {
        let replaced = self.reason == ExitReason::Replaced;
        TradeEnd {
            trade: self.trade.id,
            status: if replaced { TradeStatus::Replaced } else { TradeStatus::Closed },
            reason: self.reason,
            exit_price: self.price,
            inferred: self.inference.is_some(),
            pnl_amount: self.result.amount,
            pnl_percentage: self.result.percentage,
            at,
            exit_alert,
            replaced_by,
            replacement_reason: replaced.then(|| REPLACEMENT_REASON.to_owned()),
            told_by: Vec::new(),
        }
    }

    /// As a message tells of it.
    pub fn ended_trade(&self) -> EndedTrade {
        let (trade, data) = (self.trade, &self.trade.trade_data);
        EndedTrade {
            number: trade.trade_number,
            side: data.signal,
            entry_price: data.entry_price,
            exit_price: self.price,
            reason: self.reason,
            inferred: self.inference.is_some(),
            inference: self.inference,
            opened_at: trade.timestamps.opened_at,
            pnl_amount: self.result.amount,
            pnl_percentage: self.result.percentage,
            currency: trade.pnl.currency.clone(),
            decimals: trade.alertcast.decimals,
            note: None,
        }
    }
}

/// Why trades are replaced: there is one cause so far (seed 2.6 `replacementReason`).
pub const REPLACEMENT_REASON: &str = "Replaced by a newer signal of the same side at the open-trade limit";

#[cfg(test)]
mod tests;
