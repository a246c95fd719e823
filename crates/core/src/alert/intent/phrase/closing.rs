//! Phrases that say that a trade ends, a part of it, or that its levels were moved.

use super::super::vocabulary::{Number, Token, Word};
use super::super::{ExitSignal, PositionChange};
use super::{CALLED_AFTER, Closing, Phrase, Place, Saying};
use crate::market::Side;

/// The most numbers that a target has.
const TARGETS_MAX: u32 = 20;

impl Phrase<'_> {
    /// `close long`, `sell to close`, `Close entry(s) order Long`, `Exit Long TP`.
    pub(super) fn exit(&self) -> Saying {
        let covers = self.has(&[Word::Cover]);
        let end = self.find(&[Word::Exit, Word::Close, Word::Cover]).unwrap_or(0);
        let to = self.pair(&[Word::To], &[Word::Exit, Word::Close, Word::Cover]);
        let side = match (self.side(), self.order()) {
            (Some(Side::Buy), _) if covers => return Saying::Unclear(None),
            (Some(side), _) => Some(side),
            (None, _) if covers => Some(Side::Sell),
            (None, Some(order)) if to => Some(order.opposite()),
            // The trade is named after the word: `exit buy`. Before it, it may be the order: `sell exit`.
            (None, Some(order)) if self.find(&[Word::Buy, Word::Sell]).is_some_and(|at| at > end) => Some(order),
            (None, Some(order)) if self.place != Place::Remark => return Saying::Unclear(Some(order)),
            // The order beside it tells whose exit it is.
            (None, Some(_) | None) => None,
        };
        let told = self.reason();
        let firm = self.has(&[Word::Exit, Word::Cover]) || self.closes() || !self.runs_out();
        Saying::Closing(Closing { side, firm, ..told })
    }

    /// `TP1 hit`, `Long SL`, `trailing stop`: a level, and what is told of it.
    pub(super) fn level(&self) -> Saying {
        let told = self.reason();
        let firm = self.has(&[Word::Hit, Word::Stopped]);
        let closing = Saying::Closing(Closing { side: self.named(), firm, ..told });
        if firm {
            return closing;
        }
        // `stop entry` is an entry's kind; `EMA cross TP 2%` and `risk 1%, stop 95` describe one.
        let loose_number = self.numbers().any(|number| !number.glued);
        let describes = self.has(&[Word::Entry]) || loose_number && self.has(&[Word::Chart, Word::Bar, Word::Modifier]);
        if describes {
            return Saying::Unknown;
        }
        if !self.describes_levels() {
            return closing;
        }
        match (self.place, self.side()) {
            (Place::Action, _) => Saying::Unknown,
            // `Long TP 2% / SL 1%`: with the order beside it it is known what it is.
            (_, Some(side)) => Saying::Closing(Closing { side: Some(side), ..Closing::default() }),
            (_, None) => Saying::Nothing,
        }
    }

    /// `TP 110 / SL 95` are an entry's levels; `TP/SL 1` is the name of an order.
    pub(super) fn describes_levels(&self) -> bool {
        let loose: Vec<_> = self.numbers().filter(|number| !number.glued).collect();
        let prices = loose.len() > 1 || loose.iter().any(|number| !is_index(number));
        let several = self.words().filter(|word| *word == Word::Target).count() > 1;
        let both = self.takes_profit() && (self.stops() || several && self.place == Place::Remark);
        prices && both && !self.exits() && !self.has(&[Word::Hit, Word::Stopped])
    }

    /// Reason and target.
    pub(super) fn reason(&self) -> Closing {
        let loose = self.has(&[Word::Trail, Word::Drawdown]) || self.has(CALLED_AFTER);
        let reason = match (self.takes_profit(), self.stops()) {
            (true, false) if !self.has(&[Word::Trail]) => Some(ExitSignal::TpHit),
            (false, true) if !loose => Some(ExitSignal::SlHit),
            _ => None,
        };
        let mut numbers = self.numbers().filter(|number| !number.percent);
        let number = numbers.next();
        let target = number.and_then(|number| number.whole).filter(|target| (1..=TARGETS_MAX).contains(target));
        // `TP1 @ 110`: the first is the target's number.
        let price = if target.is_none() { number } else { numbers.find(|number| !number.glued && !is_index(number)) };
        let level = reason.is_some() && !self.exits();
        Closing {
            reason,
            target: target.filter(|_| reason == Some(ExitSignal::TpHit)),
            priced: price.and_then(|number| number.value).filter(|_| level),
            ..Closing::default()
        }
    }

    /// A level was moved.
    pub(super) fn managed(&self, breakeven: bool) -> Saying {
        let change = if breakeven {
            PositionChange::Breakeven
        } else if self.stops() && !self.takes_profit() || self.has(&[Word::Trail]) {
            PositionChange::StopMoved
        } else if self.takes_profit() || self.exits() {
            return Saying::Unclear(self.side());
        } else {
            // `trend change`.
            return Saying::Unknown;
        };
        let reason = (breakeven && self.takes_profit()).then_some(ExitSignal::TpHit);
        Saying::Closing(Closing { side: self.named(), change: Some(change), reason, firm: true, ..Closing::default() })
    }

    /// `Sold`, `Panic sell`, `Sell all`, `Bought back`: as names of orders they say what became of what was held.
    pub(super) fn sold(&self) -> Option<Saying> {
        const OF_SALES: &[Word] = &[
            Word::Sold,
            Word::Sell,
            Word::Long,
            Word::Panic,
            Word::All,
            Word::Out,
            Word::Off,
            Word::Half,
            Word::Percent,
            Word::Of,
            Word::On,
            Word::Trade,
            Word::Filler,
            Word::Market,
        ];
        const OF_PURCHASES: &[Word] =
            &[Word::Bought, Word::Buy, Word::Back, Word::To, Word::Trade, Word::Filler, Word::Market];
        let only = |words: &[Word]| self.words().all(|word| words.contains(&word)) && self.has_no_letters();
        let sold = self.has(&[Word::Sold])
            || self.has(&[Word::Sell]) && self.has(&[Word::Panic, Word::All, Word::Out, Word::Half]);
        let bought_back = self.pair(&[Word::Bought, Word::Buy], &[Word::Back]);
        if bought_back && only(OF_PURCHASES) {
            return Some(Saying::Closing(Closing { side: Some(Side::Sell), ..Closing::default() }));
        }
        (sold && only(OF_SALES) && self.place == Place::Remark).then(|| {
            let in_part = self.has(&[Word::Half]) || self.percents();
            let change = in_part.then_some(PositionChange::Reduced);
            Saying::Closing(Closing { side: Some(Side::Buy), change, ..Closing::default() })
        })
    }

    pub(super) fn has_no_letters(&self) -> bool {
        self.tokens.iter().all(|token| matches!(token, Token::Word(_) | Token::Number(_)))
    }

    /// Whether only a part of the position is closed.
    pub(super) fn parts(&self) -> bool {
        let closing = self.exits() || self.takes_profit() || self.stops();
        let sells = self.has(&[Word::Sell, Word::Sold]) && !closing;
        let enters = self.has(&[Word::Enter, Word::Entry, Word::Add]);
        self.has(&[Word::Partial, Word::Reduce]) && !enters
            || self.pair(&[Word::Scale], &[Word::Out])
            || closing && self.has(&[Word::Half])
            || (self.has(&[Word::Half]) || self.percents()) && self.has(&[Word::Off, Word::Out]) && !sells
            || self.percent_closed()
    }

    pub(super) fn percents(&self) -> bool {
        self.numbers().any(|number| number.percent && number.below_hundred)
    }

    /// `close 50%`, `close long 50 %`, `50% exit`; not `exit long tp 2%`, whose percentage is the level's.
    pub(super) fn percent_closed(&self) -> bool {
        let Some(exit) = self.find(&[Word::Exit, Word::Close]) else { return false };
        let before = exit.checked_sub(1).and_then(|before| self.tokens.get(before));
        if matches!(before, Some(Token::Number(number)) if number.percent && number.below_hundred) {
            return true;
        }
        let mut before_level = self.tokens[exit..]
            .iter()
            .take_while(|token| !token.word().is_some_and(|w| matches!(w, Word::Target | Word::StopLoss | Word::Stop)));
        before_level.any(|token| matches!(token, Token::Number(number) if number.percent && number.below_hundred))
    }

    pub(super) fn reduced(&self) -> Saying {
        let reason = match (self.takes_profit(), self.stops()) {
            (true, false) => Some(ExitSignal::TpHit),
            (false, true) => Some(ExitSignal::SlHit),
            (true, true) | (false, false) => None,
        };
        let change = Some(PositionChange::Reduced);
        Saying::Closing(Closing { side: self.named(), reason, change, firm: true, ..Closing::default() })
    }

    /// A stop at the entry's price: that it was moved there, or that it was hit.
    pub(super) fn at_breakeven(&self) -> Saying {
        let ended = self.exits() || self.has(&[Word::Hit, Word::Stopped]);
        let reason = (!ended && self.takes_profit()).then_some(ExitSignal::TpHit);
        let change = (!ended).then_some(PositionChange::Breakeven);
        Saying::Closing(Closing { side: self.named(), reason, change, firm: true, ..Closing::default() })
    }
}

/// Whether it may be the number of a target.
fn is_index(number: &Number) -> bool {
    !number.percent && number.whole.is_some_and(|whole| (1..=TARGETS_MAX).contains(&whole))
}
