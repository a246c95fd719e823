//! Phrases that say that a trade ends, a part of it, or that its levels were moved.

use super::super::vocabulary::{PhraseNumber, PhraseToken, VocabularyWord};
use super::super::{ExitSignal, PositionChange};
use super::{CALLED_AFTER, ClosingPhrase, Phrase, PhraseMeaning, PhrasePlace};
use crate::market::Side;

/// The most numbers that a target has.
const TARGETS_MAX: u32 = 20;

impl Phrase<'_> {
    /// `close long`, `sell to close`, `Close entry(s) order Long`, `Exit Long TP`.
    pub(super) fn exit(&self) -> PhraseMeaning {
        let covers = self.has(&[VocabularyWord::Cover]);
        let end = self.find(&[VocabularyWord::Exit, VocabularyWord::Close, VocabularyWord::Cover]).unwrap_or(0);
        let to =
            self.pair(&[VocabularyWord::To], &[VocabularyWord::Exit, VocabularyWord::Close, VocabularyWord::Cover]);
        let side = match (self.side(), self.order()) {
            (Some(Side::Buy), _) if covers => return PhraseMeaning::Unclear(None),
            (Some(side), _) => Some(side),
            (None, _) if covers => Some(Side::Sell),
            (None, Some(order)) if to => Some(order.opposite()),
            // The trade is named after the word: `exit buy`. Before it, it may be the order: `sell exit`.
            (None, Some(order))
                if self.find(&[VocabularyWord::Buy, VocabularyWord::Sell]).is_some_and(|at| at > end) =>
            {
                Some(order)
            }
            (None, Some(order)) if self.place != PhrasePlace::Remark => return PhraseMeaning::Unclear(Some(order)),
            // The order beside it tells whose exit it is.
            (None, Some(_) | None) => None,
        };
        let told = self.reason();
        let firm = self.has(&[VocabularyWord::Exit, VocabularyWord::Cover]) || self.closes() || !self.runs_out();
        PhraseMeaning::Closing(ClosingPhrase { side, firm, ..told })
    }

    /// `TP1 hit`, `Long SL`, `trailing stop`: a level, and what is told of it.
    pub(super) fn level(&self) -> PhraseMeaning {
        let told = self.reason();
        let firm = self.has(&[VocabularyWord::Hit, VocabularyWord::Stopped]);
        let closing = PhraseMeaning::Closing(ClosingPhrase { side: self.named_side(), firm, ..told });
        if firm {
            return closing;
        }
        // `stop entry` is an entry's kind; `EMA cross TP 2%` and `risk 1%, stop 95` describe one.
        let loose_number = self.numbers().any(|number| !number.glued);
        let describes = self.has(&[VocabularyWord::Entry])
            || loose_number && self.has(&[VocabularyWord::Chart, VocabularyWord::Bar, VocabularyWord::Modifier]);
        if describes {
            return PhraseMeaning::Unknown;
        }
        if !self.describes_levels() {
            return closing;
        }
        match (self.place, self.side()) {
            (PhrasePlace::Action, _) => PhraseMeaning::Unknown,
            // `Long TP 2% / SL 1%`: with the order beside it it is known what it is.
            (_, Some(side)) => PhraseMeaning::Closing(ClosingPhrase { side: Some(side), ..ClosingPhrase::default() }),
            (_, None) => PhraseMeaning::Nothing,
        }
    }

    /// `TP 110 / SL 95` are an entry's levels; `TP/SL 1` is the name of an order.
    pub(super) fn describes_levels(&self) -> bool {
        let loose: Vec<_> = self.numbers().filter(|number| !number.glued).collect();
        let prices = loose.len() > 1 || loose.iter().any(|number| !is_index(number));
        let several = self.words().filter(|word| *word == VocabularyWord::Target).count() > 1;
        let both = self.takes_profit() && (self.stops() || several && self.place == PhrasePlace::Remark);
        prices && both && !self.exits() && !self.has(&[VocabularyWord::Hit, VocabularyWord::Stopped])
    }

    /// Reason and target.
    pub(super) fn reason(&self) -> ClosingPhrase {
        let loose = self.has(&[VocabularyWord::Trail, VocabularyWord::Drawdown]) || self.has(CALLED_AFTER);
        let reason = match (self.takes_profit(), self.stops()) {
            (true, false) if !self.has(&[VocabularyWord::Trail]) => Some(ExitSignal::TpHit),
            (false, true) if !loose => Some(ExitSignal::SlHit),
            _ => None,
        };
        let mut numbers = self.numbers().filter(|number| !number.percent);
        let number = numbers.next();
        let target = number.and_then(|number| number.whole).filter(|target| (1..=TARGETS_MAX).contains(target));
        // `TP1 @ 110`: the first is the target's number.
        let price = if target.is_none() { number } else { numbers.find(|number| !number.glued && !is_index(number)) };
        let level = reason.is_some() && !self.exits();
        ClosingPhrase {
            reason,
            target: target.filter(|_| reason == Some(ExitSignal::TpHit)),
            priced: price.and_then(|number| number.value).filter(|_| level),
            ..ClosingPhrase::default()
        }
    }

    /// A level was moved.
    pub(super) fn read_managed(&self, breakeven: bool) -> PhraseMeaning {
        let change = if breakeven {
            PositionChange::Breakeven
        } else if self.stops() && !self.takes_profit() || self.has(&[VocabularyWord::Trail]) {
            PositionChange::StopMoved
        } else if self.takes_profit() || self.exits() {
            return PhraseMeaning::Unclear(self.side());
        } else {
            // `trend change`.
            return PhraseMeaning::Unknown;
        };
        let reason = (breakeven && self.takes_profit()).then_some(ExitSignal::TpHit);
        self.closing(reason, Some(change))
    }

    /// `Sold`, `Panic sell`, `Sell all`, `Bought back`: as names of orders they say what became of what was held.
    pub(super) fn read_sold(&self) -> Option<PhraseMeaning> {
        const OF_SALES: &[VocabularyWord] = &[
            VocabularyWord::Sold,
            VocabularyWord::Sell,
            VocabularyWord::Long,
            VocabularyWord::Panic,
            VocabularyWord::All,
            VocabularyWord::Out,
            VocabularyWord::Off,
            VocabularyWord::Half,
            VocabularyWord::Percent,
            VocabularyWord::Of,
            VocabularyWord::On,
            VocabularyWord::Trade,
            VocabularyWord::Filler,
            VocabularyWord::Market,
        ];
        const OF_PURCHASES: &[VocabularyWord] = &[
            VocabularyWord::Bought,
            VocabularyWord::Buy,
            VocabularyWord::Back,
            VocabularyWord::To,
            VocabularyWord::Trade,
            VocabularyWord::Filler,
            VocabularyWord::Market,
        ];
        let only = |words: &[VocabularyWord]| self.words().all(|word| words.contains(&word)) && self.has_no_letters();
        let sold = self.has(&[VocabularyWord::Sold])
            || self.has(&[VocabularyWord::Sell])
                && self.has(&[VocabularyWord::Panic, VocabularyWord::All, VocabularyWord::Out, VocabularyWord::Half]);
        let bought_back = self.pair(&[VocabularyWord::Bought, VocabularyWord::Buy], &[VocabularyWord::Back]);
        if bought_back && only(OF_PURCHASES) {
            return Some(PhraseMeaning::Closing(ClosingPhrase { side: Some(Side::Sell), ..ClosingPhrase::default() }));
        }
        (sold && only(OF_SALES) && self.place == PhrasePlace::Remark).then(|| {
            let in_part = self.has(&[VocabularyWord::Half]) || self.percents();
            let change = in_part.then_some(PositionChange::Reduced);
            PhraseMeaning::Closing(ClosingPhrase { side: Some(Side::Buy), change, ..ClosingPhrase::default() })
        })
    }

    pub(super) fn has_no_letters(&self) -> bool {
        self.tokens.iter().all(|token| matches!(token, PhraseToken::Word(_) | PhraseToken::Number(_)))
    }

    /// Whether only a part of the position is closed.
    pub(super) fn parts(&self) -> bool {
        let closing = self.exits() || self.takes_profit() || self.stops();
        let sells = self.has(&[VocabularyWord::Sell, VocabularyWord::Sold]) && !closing;
        let enters = self.has(&[VocabularyWord::Enter, VocabularyWord::Entry, VocabularyWord::Add]);
        self.has(&[VocabularyWord::Partial, VocabularyWord::Reduce]) && !enters
            || self.pair(&[VocabularyWord::Scale], &[VocabularyWord::Out])
            || closing && self.has(&[VocabularyWord::Half])
            || (self.has(&[VocabularyWord::Half]) || self.percents())
                && self.has(&[VocabularyWord::Off, VocabularyWord::Out])
                && !sells
            || self.percent_closed()
    }

    pub(super) fn percents(&self) -> bool {
        self.numbers().any(|number| number.percent && number.below_hundred)
    }

    /// `close 50%`, `close long 50 %`, `50% exit`; not `exit long tp 2%`, whose percentage is the level's.
    pub(super) fn percent_closed(&self) -> bool {
        let Some(exit) = self.find(&[VocabularyWord::Exit, VocabularyWord::Close]) else { return false };
        let before = exit.checked_sub(1).and_then(|before| self.tokens.get(before));
        if matches!(before, Some(PhraseToken::Number(number)) if number.percent && number.below_hundred) {
            return true;
        }
        let mut before_level = self.tokens[exit..].iter().take_while(|token| {
            !token
                .word()
                .is_some_and(|w| matches!(w, VocabularyWord::Target | VocabularyWord::StopLoss | VocabularyWord::Stop))
        });
        before_level.any(|token| matches!(token, PhraseToken::Number(number) if number.percent && number.below_hundred))
    }

    pub(super) fn read_reduced(&self) -> PhraseMeaning {
        let reason = match (self.takes_profit(), self.stops()) {
            (true, false) => Some(ExitSignal::TpHit),
            (false, true) => Some(ExitSignal::SlHit),
            (true, true) | (false, false) => None,
        };
        self.closing(reason, Some(PositionChange::Reduced))
    }

    /// A stop at the entry's price: that it was moved there, or that it was hit.
    pub(super) fn at_breakeven(&self) -> PhraseMeaning {
        let ended = self.exits() || self.has(&[VocabularyWord::Hit, VocabularyWord::Stopped]);
        let reason = (!ended && self.takes_profit()).then_some(ExitSignal::TpHit);
        self.closing(reason, (!ended).then_some(PositionChange::Breakeven))
    }

    /// A closing phrase of the side that is named.
    fn closing(&self, reason: Option<ExitSignal>, change: Option<PositionChange>) -> PhraseMeaning {
        let side = self.named_side();
        PhraseMeaning::Closing(ClosingPhrase { side, reason, change, firm: true, ..ClosingPhrase::default() })
    }
}

/// Whether it may be the number of a target.
fn is_index(number: &PhraseNumber) -> bool {
    !number.percent && number.whole.is_some_and(|whole| (1..=TARGETS_MAX).contains(&whole))
}
