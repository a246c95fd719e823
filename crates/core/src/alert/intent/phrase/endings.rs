//! Whether a phrase says that something ends, and what.

use super::super::vocabulary::{PhraseToken, VocabularyWord};
use super::{Phrase, PhrasePlace};

impl Phrase<'_> {
    pub(super) fn exits(&self) -> bool {
        self.has(&[VocabularyWord::Exit, VocabularyWord::Cover])
            || self.closes()
            || self.pair(&[VocabularyWord::Square], &[VocabularyWord::Out, VocabularyWord::Off])
            || self.pair(&[VocabularyWord::Margin], &[VocabularyWord::Call])
            || self.place == PhrasePlace::Remark
                && (self.pair(&[VocabularyWord::Get, VocabularyWord::Cash], &[VocabularyWord::Out]) || self.is_out())
            || self.runs_out()
    }

    /// A word of closing that is about a trade: bars close, too (`daily close`), and prices (`close crossover`).
    pub(super) fn closes(&self) -> bool {
        const NAMED: &[VocabularyWord] =
            &[VocabularyWord::Long, VocabularyWord::Short, VocabularyWord::Buy, VocabularyWord::Sell];
        let is = |token: Option<&PhraseToken>, wanted: &[VocabularyWord]| {
            token.and_then(|token| token.word()).is_some_and(|word| wanted.contains(&word))
        };
        let is_moment = |at: usize| {
            let next = self.tokens[at + 1..].iter().find(|token| !is(Some(token), &[VocabularyWord::Of]));
            let before = |steps: usize| at.checked_sub(steps).and_then(|before| self.tokens.get(before));
            is(before(1), &[VocabularyWord::On, VocabularyWord::Bar])
                || is(before(1), &[VocabularyWord::Market]) && is(before(2), &[VocabularyWord::On])
                || is(next, &[VocabularyWord::Bar])
        };
        let of_chart =
            self.has(&[VocabularyWord::Chart, VocabularyWord::Strong]) && !self.pair(&[VocabularyWord::Close], NAMED);
        let is_price = of_chart || self.pair(&[VocabularyWord::Close], &[VocabularyWord::To]);
        let mut closes = self.tokens.iter().enumerate().filter(|(_, token)| is(Some(token), &[VocabularyWord::Close]));
        !is_price && closes.any(|(at, _)| !is_moment(at))
    }

    /// `Long out`: of a trade, where it is said of nothing else.
    pub(super) fn is_out(&self) -> bool {
        const OF_TRADES: &[VocabularyWord] = &[
            VocabularyWord::Out,
            VocabularyWord::Long,
            VocabularyWord::Short,
            VocabularyWord::All,
            VocabularyWord::Trade,
            VocabularyWord::Filler,
        ];
        self.has(&[VocabularyWord::Out]) && self.words().all(|word| OF_TRADES.contains(&word)) && self.has_no_letters()
    }

    /// Whether a level has a letter for its trade behind it: `TP A`.
    pub(super) fn names_a_level_by_letter(&self) -> bool {
        let is_level =
            |token: &PhraseToken| matches!(token, PhraseToken::Word(VocabularyWord::Target | VocabularyWord::StopLoss));
        let letter = |at: usize| self.tokens[at] == PhraseToken::Initial;
        (0..self.tokens.len()).filter(|at| letter(*at)).all(|at| at > 0 && is_level(&self.tokens[at - 1]))
    }

    /// The trade's time is over, or the session's: `EOD`, `end of day`, `max bars`; or what it may lose.
    pub(super) fn runs_out(&self) -> bool {
        let ended = self.has(&[VocabularyWord::RunOut])
            || self.has(&[VocabularyWord::End]) && self.has(&[VocabularyWord::Period, VocabularyWord::Market]);
        let trade = self.pair(&[VocabularyWord::Trade], &[VocabularyWord::End])
            || self.pair(&[VocabularyWord::End], &[VocabularyWord::Trade]);
        let most = self.has(&[VocabularyWord::Most])
            && self.has(&[VocabularyWord::Hold, VocabularyWord::Bar, VocabularyWord::Time, VocabularyWord::Hit]);
        let time = self.has(&[VocabularyWord::Time]) && self.has(&[VocabularyWord::Limit, VocabularyWord::Out]);
        let lost = self.has(&[VocabularyWord::Drawdown])
            && self.has(&[VocabularyWord::Most, VocabularyWord::Hit, VocabularyWord::Limit]);
        let opens = self.has(&[
            VocabularyWord::Buy,
            VocabularyWord::Sell,
            VocabularyWord::Enter,
            VocabularyWord::Entry,
            VocabularyWord::Add,
        ]);
        !opens
            && (self.has(&[VocabularyWord::Kill])
                || self.pair(&[VocabularyWord::Panic], &[VocabularyWord::Switch])
                || ended
                || trade
                || most
                || time
                || lost)
    }

    pub(super) fn takes_profit(&self) -> bool {
        self.has(&[VocabularyWord::Target])
    }

    pub(super) fn stops(&self) -> bool {
        self.has(&[VocabularyWord::StopLoss, VocabularyWord::Stop, VocabularyWord::Stopped, VocabularyWord::Loss])
    }
}
