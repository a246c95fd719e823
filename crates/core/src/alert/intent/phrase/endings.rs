//! Whether a phrase says that something ends, and what.

use super::super::vocabulary::{Token, Word};
use super::{Phrase, Place};

impl Phrase<'_> {
    pub(super) fn exits(&self) -> bool {
        self.has(&[Word::Exit, Word::Cover])
            || self.closes()
            || self.pair(&[Word::Square], &[Word::Out, Word::Off])
            || self.pair(&[Word::Margin], &[Word::Call])
            || self.place == Place::Remark && (self.pair(&[Word::Get, Word::Cash], &[Word::Out]) || self.is_out())
            || self.runs_out()
    }

    /// A word of closing that is about a trade: bars close, too (`daily close`), and prices (`close crossover`).
    pub(super) fn closes(&self) -> bool {
        const NAMED: &[Word] = &[Word::Long, Word::Short, Word::Buy, Word::Sell];
        let is = |token: Option<&Token>, wanted: &[Word]| {
            token.and_then(|token| token.word()).is_some_and(|word| wanted.contains(&word))
        };
        let is_moment = |at: usize| {
            let next = self.tokens[at + 1..].iter().find(|token| !is(Some(token), &[Word::Of]));
            let before = |steps: usize| at.checked_sub(steps).and_then(|before| self.tokens.get(before));
            is(before(1), &[Word::On, Word::Bar])
                || is(before(1), &[Word::Market]) && is(before(2), &[Word::On])
                || is(next, &[Word::Bar])
        };
        let of_chart = self.has(&[Word::Chart, Word::Strong]) && !self.pair(&[Word::Close], NAMED);
        let is_price = of_chart || self.pair(&[Word::Close], &[Word::To]);
        let mut closes = self.tokens.iter().enumerate().filter(|(_, token)| is(Some(token), &[Word::Close]));
        !is_price && closes.any(|(at, _)| !is_moment(at))
    }

    /// `Long out`: of a trade, where it is said of nothing else.
    pub(super) fn is_out(&self) -> bool {
        const OF_TRADES: &[Word] = &[Word::Out, Word::Long, Word::Short, Word::All, Word::Trade, Word::Filler];
        self.has(&[Word::Out]) && self.words().all(|word| OF_TRADES.contains(&word)) && self.has_no_letters()
    }

    /// Whether a level has a letter for its trade behind it: `TP A`.
    pub(super) fn names_a_level_by_letter(&self) -> bool {
        let is_level = |token: &Token| matches!(token, Token::Word(Word::Target | Word::StopLoss));
        let letter = |at: usize| self.tokens[at] == Token::Initial;
        (0..self.tokens.len()).filter(|at| letter(*at)).all(|at| at > 0 && is_level(&self.tokens[at - 1]))
    }

    /// The trade's time is over, or the session's: `EOD`, `end of day`, `max bars`; or what it may lose.
    pub(super) fn runs_out(&self) -> bool {
        let ended = self.has(&[Word::RunOut]) || self.has(&[Word::End]) && self.has(&[Word::Period, Word::Market]);
        let trade = self.pair(&[Word::Trade], &[Word::End]) || self.pair(&[Word::End], &[Word::Trade]);
        let most = self.has(&[Word::Most]) && self.has(&[Word::Hold, Word::Bar, Word::Time, Word::Hit]);
        let time = self.has(&[Word::Time]) && self.has(&[Word::Limit, Word::Out]);
        let lost = self.has(&[Word::Drawdown]) && self.has(&[Word::Most, Word::Hit, Word::Limit]);
        let opens = self.has(&[Word::Buy, Word::Sell, Word::Enter, Word::Entry, Word::Add]);
        !opens
            && (self.has(&[Word::Kill])
                || self.pair(&[Word::Panic], &[Word::Switch])
                || ended
                || trade
                || most
                || time
                || lost)
    }

    pub(super) fn takes_profit(&self) -> bool {
        self.has(&[Word::Target])
    }

    pub(super) fn stops(&self) -> bool {
        self.has(&[Word::StopLoss, Word::Stop, Word::Stopped, Word::Loss])
    }
}
