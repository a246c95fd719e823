//! The trade machine: open trades and what is asked of them -> what ends, what opens, and what is only told.
//!
//! Pure, and for one user in one configuration. It knows nothing of preferences, quotas and channels: whoever holds the
//! entry part back drops it, and the exit part stands as it is.

use crate::alert::intent::{ExitSignal, Intent};
use crate::delivery::EndedTrade;
use crate::id::{AlertId, TradeId};
use crate::market::{ExitReason, Side};
use crate::money::{Amount, Price};
use crate::time::Time;

use super::ask::Ask;
use super::document::{Trade, TradeEnd, TradeStatus};
use super::exit::{Exit, matching};
use super::pnl::{ProfitLoss, profit_loss};

/// The rules that hold for this user in this configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
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
pub struct Step<'t> {
    /// The trades that end, oldest first. A replaced one is not among them: see `entry`.
    pub ends: Vec<Ending<'t>>,
    /// What becomes of the new trade, where one is asked for.
    pub entry: Option<Admission<'t>>,
    /// What holders are told without any change.
    pub notice: Option<Notice<'t>>,
    /// A mere exit was asked for, and none of the trades that the subscriber knows of matches it. (That a turn finds
    /// nothing to close is no fault: its entry stands.)
    pub unmatched: bool,
}

/// The end of one trade.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ending<'t> {
    pub trade: &'t Trade,
    pub reason: ExitReason,
    /// The reason was worked out from the sign of the P&L.
    pub inferred: bool,
    pub price: Price,
    pub result: ProfitLoss,
}

/// Whether a new trade opens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Admission<'t> {
    Open,
    /// In the place of an older one, which ends.
    Replace(Ending<'t>),
    Refused(Refusal),
}

/// Why no new trade opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    LimitReached,
    OppositeOpen,
}

/// What is told to a holder, about these trades.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice<'t> {
    pub news: News,
    /// At least one; oldest first.
    pub trades: Vec<&'t Trade>,
}

/// What a notice says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// A level was reached, or the position has ended; closing is left to the subscriber.
    LevelReached,
    /// A part of the position was closed.
    PartialExit,
}

/// What the ask makes of a user's open trades in a configuration.
///
/// Trades whose entry never arrived (`alertcast.unreached`) are a world of their own: they count toward no limit and
/// block nothing, nothing is told of them, and an exit ends those that it matches among them.
///
/// # Errors
/// `NotOpen` for a trade that has ended.
pub fn step<'t>(open: &'t [Trade], ask: &Ask, settings: &Settings) -> Result<Step<'t>, NotOpen> {
    let held = Held::new(open)?;
    let price = ask.price;
    Ok(match (ask.intent, settings.auto_close) {
        (Intent::Entry { side }, _) => {
            Step { entry: Some(admit(&held.known, side, price, settings)), ..Step::default() }
        }
        (Intent::Exit { reason, side, .. }, true) => {
            held.end(|trades| matched(&of_side(trades, side), ask, reason, settings), Some(reason), price)
        }
        (Intent::Exit { reason, side, .. }, false) => {
            held.tell(|trades| matched(&of_side(trades, side), ask, reason, settings), News::LevelReached)
        }
        (Intent::Flat { side, reason }, true) => held.end(|trades| of_side(trades, side), reason, price),
        (Intent::Flat { side, .. }, false) => held.tell(|trades| of_side(trades, side), News::LevelReached),
        (Intent::Turn { closes, reason, opens }, true) => Step {
            entry: Some(admit(&of_side(&held.known, Some(closes.opposite())), opens, price, settings)),
            unmatched: false,
            ..held.end(|trades| of_side(trades, Some(closes)), reason, price)
        },
        (Intent::Turn { closes, opens, .. }, false) => Step {
            entry: Some(admit(&held.known, opens, price, settings)),
            unmatched: false,
            ..held.tell(|trades| of_side(trades, Some(closes)), News::LevelReached)
        },
        (Intent::Partial { side, .. }, _) => held.tell(|trades| of_side(trades, side), News::PartialExit),
    })
}

/// The end of a trade by an operator's hand, at a price.
///
/// # Errors
/// `NotOpen` for a trade that has ended.
pub fn close_by_hand(trade: &Trade, price: Price) -> Result<Ending<'_>, NotOpen> {
    require_open(trade)?;
    Ok(Ending::new(trade, ExitReason::Manual, false, price))
}

/// A user's open trades, oldest first.
struct Held<'t> {
    /// Those whose entry reached the subscriber, or is on its way.
    known: Vec<&'t Trade>,
    unreached: Vec<&'t Trade>,
}

impl<'t> Held<'t> {
    fn new(open: &'t [Trade]) -> Result<Self, NotOpen> {
        open.iter().try_for_each(require_open)?;
        let mut trades: Vec<&Trade> = open.iter().collect();
        trades.sort_by_key(|trade| (trade.trade_number, trade.id));
        let (unreached, known) = trades.into_iter().partition(|trade| trade.alertcast.unreached);
        Ok(Self { known, unreached })
    }

    /// Ends those that `choose` picks, in both worlds.
    fn end(
        &self,
        choose: impl Fn(&[&'t Trade]) -> Vec<&'t Trade>,
        reason: Option<ExitSignal>,
        price: Price,
    ) -> Step<'t> {
        let known = choose(&self.known);
        let unmatched = known.is_empty() && !self.known.is_empty();
        let chosen = known.into_iter().chain(choose(&self.unreached));
        Step {
            ends: chosen.map(|trade| Ending::by_alert(trade, reason, price)).collect(),
            unmatched,
            ..Step::default()
        }
    }

    /// Tells of those that `choose` picks among the known ones.
    fn tell(&self, choose: impl Fn(&[&'t Trade]) -> Vec<&'t Trade>, news: News) -> Step<'t> {
        let trades = choose(&self.known);
        let found = !trades.is_empty();
        Step {
            unmatched: !found && !self.known.is_empty(),
            notice: found.then_some(Notice { news, trades }),
            ..Step::default()
        }
    }
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

fn matched<'t>(trades: &[&'t Trade], ask: &Ask, hit: ExitSignal, settings: &Settings) -> Vec<&'t Trade> {
    let exit = Exit { hit, price: ask.price, trade_ref: ask.trade_ref.as_deref(), tolerance: settings.tolerance };
    matching(trades, &exit)
}

/// Whether a trade of `side` may open beside these, which are sorted by age.
fn admit<'t>(open: &[&'t Trade], side: Side, price: Price, settings: &Settings) -> Admission<'t> {
    let same = open.iter().find(|trade| trade.trade_data.signal == side);
    let opposite_open = open.iter().any(|trade| trade.trade_data.signal != side);
    if opposite_open && !settings.allow_opposite_signals {
        return Admission::Refused(Refusal::OppositeOpen);
    }
    match (open.len() < settings.limit.max(1), settings.replace_on_same_signal, same) {
        (true, _, _) => Admission::Open,
        (false, true, Some(oldest)) => Admission::Replace(Ending::new(oldest, ExitReason::Replaced, false, price)),
        (false, true, None) | (false, false, _) => Admission::Refused(Refusal::LimitReached),
    }
}

impl<'t> Ending<'t> {
    fn new(trade: &'t Trade, reason: ExitReason, inferred: bool, price: Price) -> Self {
        let data = &trade.trade_data;
        Self {
            trade,
            reason,
            inferred,
            price,
            result: profit_loss(data.signal, data.entry_price, price, trade.alertcast.quantity),
        }
    }

    /// Without a stated reason the sign of the P&L gives it: a gain is TP_HIT, the rest SL_HIT.
    fn by_alert(trade: &'t Trade, reason: Option<ExitSignal>, price: Price) -> Self {
        let stated = Self::new(trade, reason.unwrap_or(ExitSignal::SlHit).into(), reason.is_none(), price);
        match reason {
            None if stated.result.is_gain() => Self { reason: ExitReason::TpHit, ..stated },
            _ => stated,
        }
    }

    /// As a commit applies it. `replaced_by`: the new trade, for one that was replaced.
    pub fn commit(&self, at: Time, exit_alert: Option<AlertId>, replaced_by: Option<TradeId>) -> TradeEnd {
        let replaced = self.reason == ExitReason::Replaced;
        TradeEnd {
            trade: self.trade.id,
            status: if replaced { TradeStatus::Replaced } else { TradeStatus::Closed },
            reason: self.reason,
            exit_price: self.price,
            inferred: self.inferred,
            pnl_amount: self.result.amount,
            pnl_percentage: self.result.percentage,
            at,
            exit_alert,
            replaced_by,
            replacement_reason: replaced.then(|| REPLACEMENT_REASON.to_owned()),
        }
    }

    /// As a message tells of it.
    pub fn told(&self) -> EndedTrade {
        let (trade, data) = (self.trade, &self.trade.trade_data);
        EndedTrade {
            number: trade.trade_number,
            side: data.signal,
            entry_price: data.entry_price,
            exit_price: self.price,
            reason: self.reason,
            inferred: self.inferred,
            opened_at: trade.timestamps.opened_at,
            pnl_amount: self.result.amount,
            pnl_percentage: self.result.percentage,
            currency: trade.pnl.currency.clone(),
        }
    }
}

/// Why trades are replaced: there is one cause so far (seed 2.6 `replacementReason`).
pub const REPLACEMENT_REASON: &str = "Replaced by a newer signal of the same side at the open-trade limit";

#[cfg(test)]
mod tests;
