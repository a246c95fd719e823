//! What an alert asks for: an entry, an exit, or, of a strategy's order, what it made of the position.

pub(super) mod phrase;
pub(super) mod reading;
pub(super) mod signs;
mod vocabulary;

use std::cmp::Ordering;
use std::fmt;

use bson::Document;
use serde::{Deserialize, Serialize};

use super::names;
use crate::market::{ExitReason, Side, Signal, words};
use crate::reading::{DecodeFailure, decode};

words! {
    /// How a trade came to its end, where the alert says so.
    ExitSignal { TpHit = "TP_HIT", SlHit = "SL_HIT" }
}

impl From<ExitSignal> for Signal {
    fn from(exit: ExitSignal) -> Self {
        match exit {
            ExitSignal::TpHit => Self::TpHit,
            ExitSignal::SlHit => Self::SlHit,
        }
    }
}

impl From<ExitSignal> for ExitReason {
    fn from(exit: ExitSignal) -> Self {
        match exit {
            ExitSignal::TpHit => Self::TpHit,
            ExitSignal::SlHit => Self::SlHit,
        }
    }
}

words! {
    /// What a partial exit did to the position.
    PositionChange { Reduced = "reduced", Breakeven = "breakeven", StopMoved = "stop_moved" }
}

impl Default for PositionChange {
    fn default() -> Self {
        Self::usual()
    }
}

impl PositionChange {
    /// What one is where nothing else is told, and what every one stored before was.
    const fn usual() -> Self {
        Self::Reduced
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
    fn is_usual(&self) -> bool {
        *self == Self::usual()
    }
}

/// What an alert asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Intent {
    /// Open a trade. A strategy's order that adds to its position is one too.
    Entry {
        /// The new trade's side.
        side: Side,
    },
    /// End the trade whose level was reached.
    Exit {
        /// Which of its levels.
        reason: ExitSignal,
        /// Only trades of this side, where the alert tells one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        side: Option<Side>,
        /// The number of the target reached, from 1, where the alert tells one (`TP2`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<u32>,
    },
    /// The strategy's position has ended: every open trade of that side ends, whatever its levels.
    Flat {
        /// The side of the position that ended; both where the alert does not tell.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        side: Option<Side>,
        /// What the signal, or the order's comment or id, says; else it is inferred from each trade's P&L.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<ExitSignal>,
    },
    /// The strategy's position was turned round: the trades of the old side end as with `Flat`, and one opens.
    Turn {
        /// The old side.
        closes: Side,
        /// As with `Flat`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<ExitSignal>,
        /// The new side, the opposite of the old.
        opens: Side,
    },
    /// The position was made smaller or its stop moved, and it stays open: a notice to its holders, no change of trades.
    Partial {
        /// The position's side; both where the alert does not tell.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        side: Option<Side>,
        /// As with `Flat`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<ExitSignal>,
        /// What was done.
        #[serde(default = "PositionChange::usual", skip_serializing_if = "PositionChange::is_usual")]
        change: PositionChange,
    },
}

impl Intent {
    /// An exit by a level, of either side and no particular target.
    pub const fn exit(reason: ExitSignal) -> Self {
        Self::Exit { reason, side: None, target: None }
    }

    /// The side of the trade it opens, if it opens one.
    pub const fn opens(self) -> Option<Side> {
        match self {
            Self::Entry { side } | Self::Turn { opens: side, .. } => Some(side),
            Self::Exit { .. } | Self::Flat { .. } | Self::Partial { .. } => None,
        }
    }

    /// The side of the trades that end, or that it tells of; none: those of both, or of none.
    pub const fn closes(self) -> Option<Side> {
        match self {
            Self::Entry { .. } => None,
            Self::Exit { side, .. } | Self::Flat { side, .. } | Self::Partial { side, .. } => side,
            Self::Turn { closes, .. } => Some(closes),
        }
    }

    /// Whether it ends trades, or tells of a part of one ending.
    pub const fn exits(self) -> bool {
        !matches!(self, Self::Entry { .. })
    }

    /// Why trades end, where the alert says so.
    pub const fn reason(self) -> Option<ExitSignal> {
        match self {
            Self::Entry { .. } => None,
            Self::Exit { reason, .. } => Some(reason),
            Self::Flat { reason, .. } | Self::Turn { reason, .. } | Self::Partial { reason, .. } => reason,
        }
    }

    /// The seed's word for it (seed 2.7 `signal`). A turn is what it opens. An exit without a reason is stored as
    /// TP_HIT: the seed has no word for "it ended", and BUY or SELL, which the order's action says, would be taken for
    /// an entry. Each trade's own `exitReason` is inferred from its P&L.
    pub fn signal(self) -> Signal {
        match (self.opens(), self.reason()) {
            (Some(side), _) => side.into(),
            (None, Some(reason)) => reason.into(),
            (None, None) => Signal::TpHit,
        }
    }

    /// The sub-document `alerts.alertcast.intent`; none where the signal says it all.
    pub fn to_document(self) -> Option<Document> {
        match self {
            Self::Entry { .. } | Self::Exit { side: None, target: None, .. } => None,
            Self::Exit { .. } | Self::Flat { .. } | Self::Turn { .. } | Self::Partial { .. } => {
                crate::store::document(&self).ok()
            }
        }
    }

    /// The intent of a stored alert: its sub-document, else what its signal says.
    ///
    /// # Errors
    /// The sub-document is none that `to_document` writes.
    pub fn from_document(signal: Signal, document: Option<&Document>) -> Result<Self, DecodeFailure> {
        match document {
            Some(document) => decode(&document.to_vec()?),
            None => Ok(signal.into()),
        }
    }
}

/// As people name it: `partial exit of the long position`.
impl fmt::Display for Intent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Entry { side } => write!(f, "{side}"),
            Self::Exit { reason, side, target } => {
                match target {
                    Some(target) if reason == ExitSignal::TpHit => write!(f, "target {target}")?,
                    _ => write!(f, "{reason}")?,
                }
                side.map_or(Ok(()), |side| write!(f, " of {}", position_words(Some(side))))
            }
            Self::Flat { side, reason } => {
                f.write_str("exit of ")?;
                f.write_str(position_words(side))?;
                reason.map_or(Ok(()), |reason| write!(f, " by {reason}"))
            }
            Self::Turn { closes, opens, .. } => write!(f, "turn from {closes} to {opens}"),
            Self::Partial { side, change, .. } => {
                let what = match change {
                    PositionChange::Reduced => "partial exit",
                    PositionChange::Breakeven => "stop at breakeven",
                    PositionChange::StopMoved => "moved stop",
                };
                write!(f, "{what} of {}", position_words(side))
            }
        }
    }
}

const fn position_words(side: Option<Side>) -> &'static str {
    match side {
        Some(Side::Buy) => "the long position",
        Some(Side::Sell) => "the short position",
        None => "the position",
    }
}

impl From<Signal> for Intent {
    fn from(signal: Signal) -> Self {
        match signal {
            Signal::Buy => Self::Entry { side: Side::Buy },
            Signal::Sell => Self::Entry { side: Side::Sell },
            Signal::TpHit => Self::exit(ExitSignal::TpHit),
            Signal::SlHit => Self::exit(ExitSignal::SlHit),
        }
    }
}

words! {
    /// As what an operator reads an alert that does not say clearly what it is.
    ReadAs { Exit = "exit", Entry = "entry", Turn = "turn" }
}

/// What an operator says that an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperatorReading {
    pub read_as: ReadAs,
    /// Of an exit, whose trades end (none: those of both sides); else the side of the trade that opens.
    pub side: Option<Side>,
}

impl OperatorReading {
    /// What is to be done; `reason` is what the message says of why trades end. None where the side is needed.
    pub fn intent(self, reason: Option<ExitSignal>) -> Option<Intent> {
        Some(match self.read_as {
            ReadAs::Exit => Intent::Flat { side: self.side, reason },
            ReadAs::Entry => Intent::Entry { side: self.side? },
            ReadAs::Turn => {
                let opens = self.side?;
                Intent::Turn { closes: opens.opposite(), reason, opens }
            }
        })
    }
}

impl std::fmt::Display for OperatorReading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.read_as, self.side) {
            (ReadAs::Exit, None) => f.write_str("an exit"),
            (ReadAs::Exit, Some(side)) => write!(f, "an exit of {side} trades"),
            (ReadAs::Entry, None) => f.write_str("an entry"),
            (ReadAs::Entry, Some(side)) => write!(f, "an entry, {side}"),
            (ReadAs::Turn, None) => f.write_str("a turn"),
            (ReadAs::Turn, Some(side)) => write!(f, "a turn to {side}"),
        }
    }
}

/// A strategy's position: `{{strategy.market_position}}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StrategyPosition {
    Flat,
    Held(Side),
}

impl StrategyPosition {
    pub(super) fn from_word(word: &str) -> Option<Self> {
        match names::normal(word).as_str() {
            "flat" | "0" => Some(Self::Flat),
            "long" => Some(Self::Held(Side::Buy)),
            "short" => Some(Self::Held(Side::Sell)),
            _ => None,
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::Held(Side::Buy) => "long",
            Self::Held(Side::Sell) => "short",
        }
    }
}

/// What an alert says of an order and the position around it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OrderSigns {
    /// `action` and its like: BUY and SELL are the order's direction, TP_HIT and SL_HIT its reason.
    pub(super) signal: Option<Signal>,
    /// The position after the order.
    pub(super) now: Option<StrategyPosition>,
    /// The position before it.
    pub(super) prev: Option<StrategyPosition>,
    /// The position's size after the order, compared with that before; unless both are told, none.
    pub(super) growth: Option<Ordering>,
    /// What the order's comment or id says of the reason.
    pub(super) remark: Option<ExitSignal>,
}

/// Why an order cannot be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UnclearOrder {
    /// Neither signal nor positions say what to do.
    NoSignal,
    /// An order against the previous position: whether that ended, shrank or turned, only the new one says.
    NoPosition,
    /// The order cannot have led from the one position to the other.
    Contradiction,
}

/// What the signal says of the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OrderClaim {
    Direction(Side),
    Reason(ExitSignal),
    Nothing,
}

/// What an order asks for.
///
/// The order's direction is certain (a buy never makes a long position smaller); sizes settle what direction and
/// positions leave open, and may contradict them. Equal sizes say nothing: they come rounded.
pub(super) fn resolve(order: &OrderSigns) -> Result<Intent, UnclearOrder> {
    use OrderClaim::{Direction, Nothing, Reason};
    use StrategyPosition::{Flat, Held};

    let told = match order.signal {
        Some(Signal::Buy) => Direction(Side::Buy),
        Some(Signal::Sell) => Direction(Side::Sell),
        Some(Signal::TpHit) => Reason(ExitSignal::TpHit),
        Some(Signal::SlHit) => Reason(ExitSignal::SlHit),
        None => Nothing,
    };
    let reason = if let Reason(reason) = told { Some(reason) } else { order.remark };
    let grew = order.growth == Some(Ordering::Greater);
    let shrank = order.growth == Some(Ordering::Less);

    match (order.now, order.prev, told) {
        // No position after the order: the signal is all there is.
        (None, _, Reason(reason)) => Ok(Intent::exit(reason)),
        (None, _, Nothing) => Err(UnclearOrder::NoSignal),
        (None, None | Some(Flat), Direction(side)) => Ok(Intent::Entry { side }),
        (None, Some(Held(held)), Direction(side)) if held == side => Ok(Intent::Entry { side }),
        (None, Some(Held(_)), Direction(_)) => Err(UnclearOrder::NoPosition),

        // The position has ended.
        (Some(Flat), Some(Held(held)), Direction(side)) if held == side => Err(UnclearOrder::Contradiction),
        (Some(Flat), Some(Held(held)), _) => Ok(Intent::Flat { side: Some(held), reason }),
        (Some(Flat), None, Direction(side)) => Ok(Intent::Flat { side: Some(side.opposite()), reason }),
        (Some(Flat), None, Reason(_) | Nothing) => Ok(Intent::Flat { side: None, reason }),
        (Some(Flat), Some(Flat), _) => Err(UnclearOrder::Contradiction),

        // A position where none was.
        (Some(Held(held)), Some(Flat), Direction(side)) if held == side => Ok(Intent::Entry { side }),
        (Some(Held(held)), Some(Flat), Nothing) => Ok(Intent::Entry { side: held }),
        (Some(Held(_)), Some(Flat), Direction(_) | Reason(_)) => Err(UnclearOrder::Contradiction),

        // The position was turned round.
        (Some(Held(held)), Some(Held(old)), Direction(side)) if held != old && held == side => {
            Ok(Intent::Turn { closes: old, reason, opens: side })
        }
        (Some(Held(held)), Some(Held(old)), Nothing) if held != old => {
            Ok(Intent::Turn { closes: old, reason, opens: held })
        }
        (Some(Held(held)), Some(Held(old)), _) if held != old => Err(UnclearOrder::Contradiction),

        // The same position before and after, or nothing told of before.
        (Some(Held(held)), _, Direction(side)) if held == side && !shrank => Ok(Intent::Entry { side }),
        (Some(Held(held)), _, Direction(side)) if held != side && !grew => Ok(reduce_intent(held, reason)),
        (Some(Held(held)), _, Reason(_)) if !grew => Ok(reduce_intent(held, reason)),
        (Some(Held(_)), _, Direction(_) | Reason(_)) => Err(UnclearOrder::Contradiction),
        (Some(Held(held)), _, Nothing) if grew => Ok(Intent::Entry { side: held }),
        (Some(Held(held)), _, Nothing) if shrank => Ok(reduce_intent(held, reason)),
        (Some(Held(_)), _, Nothing) => Err(UnclearOrder::NoSignal),
    }
}

fn reduce_intent(side: Side, reason: Option<ExitSignal>) -> Intent {
    Intent::Partial { side: Some(side), reason, change: PositionChange::Reduced }
}

/// What an order's comment or id says of why the position ended: `TP1`, `Long SL`, `take profit`, `stop-loss`. None
/// where it names both (`TP/SL`, as one exit order for both is called) or a trailing stop, which may be either.
pub(super) fn remark(text: &str) -> Option<ExitSignal> {
    let words = words_of(text);
    let pair = |a: &str, b: &str| words.windows(2).any(|w| w[0] == a && w[1] == b);
    let word = |names: &[&str]| words.iter().any(|w| names.contains(&w.as_str()));
    let tp = word(&["tp", "takeprofit"]) || pair("take", "profit") || pair("profit", "target");
    let sl = word(&["sl", "stoploss"]) || pair("stop", "loss") || pair("stopped", "out");
    if words.iter().any(|w| w.starts_with("trail")) {
        return None;
    }
    match (tp, sl) {
        (true, false) => Some(ExitSignal::TpHit),
        (false, true) => Some(ExitSignal::SlHit),
        (true, true) | (false, false) => None,
    }
}

/// The words of a text in lower case, split where letters end and where camel case starts a new one.
fn words_of(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in text.chars().take(200) {
        let starts = !c.is_alphabetic() || (c.is_uppercase() && before.is_lowercase());
        if starts && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c.is_alphabetic(), words.last_mut()) {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words
}

#[cfg(test)]
mod spellings;
#[cfg(test)]
mod tests;
