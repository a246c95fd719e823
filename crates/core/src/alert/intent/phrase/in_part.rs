//! Phrases with words that are not known.

use super::super::vocabulary::{PhraseToken, VocabularyWord};
use super::{ClosingPhrase, Phrase, PhraseMeaning, PhrasePlace, one_of};
use crate::market::Side;

impl Phrase<'_> {
    /// A phrase with words that are not known, but with a piece that tells of an exit: `Exit Long - RSI overbought`.
    pub(super) fn in_part(&self) -> PhraseMeaning {
        const LEVELS: &[VocabularyWord] =
            &[VocabularyWord::Target, VocabularyWord::StopLoss, VocabularyWord::Stop, VocabularyWord::Loss];
        let ended = self.ended_sides();
        if self.has(&[VocabularyWord::Enter]) && !ended.is_empty() {
            return PhraseMeaning::Unclear(None);
        }
        if self.has(&[VocabularyWord::Enter, VocabularyWord::Entry, VocabularyWord::Add]) {
            return PhraseMeaning::Unknown;
        }
        if !ended.is_empty() {
            return match one_of(ended.into_iter()) {
                Some(side) => {
                    PhraseMeaning::Closing(ClosingPhrase { side: Some(side), firm: true, ..ClosingPhrase::default() })
                }
                None => PhraseMeaning::Unclear(None),
            };
        }
        let hit = self.pair(LEVELS, &[VocabularyWord::Hit])
            || self.pair(&[VocabularyWord::Stopped], &[VocabularyWord::Out])
            || self.tokens.windows(3).any(|three| {
                matches!(three, [PhraseToken::Word(level), PhraseToken::Number(_), PhraseToken::Word(VocabularyWord::Hit)] if LEVELS.contains(level))
            });
        if hit || self.is_called_an_exit() { PhraseMeaning::Unclear(self.side()) } else { PhraseMeaning::Unknown }
    }

    /// The sides that end by `exit long` and `long exit` within other words. Behind a side `close` may be the price's:
    /// `Long: close above EMA`.
    pub(super) fn ended_sides(&self) -> Vec<Side> {
        let word = |at: usize| self.tokens.get(at).and_then(|token| token.word());
        let ended = |at: usize| match (word(at)?, word(at + 1)?) {
            (VocabularyWord::Exit | VocabularyWord::Close, side) => side.trade_side(),
            (side, VocabularyWord::Exit) => side.trade_side(),
            (side, VocabularyWord::Close) if at + 2 == self.tokens.len() => side.trade_side(),
            _ => None,
        };
        (0..self.tokens.len()).filter_map(ended).collect()
    }

    /// An exit's name begins or ends with the word (`Exit MACD flip`, `Death Cross Exit`); but for the exit from
    /// something.
    pub(super) fn is_called_an_exit(&self) -> bool {
        let exit = |token: Option<&PhraseToken>| matches!(token, Some(PhraseToken::Word(VocabularyWord::Exit)));
        // Where an action is told, or its kind, a level's word says enough there.
        let level = |token: Option<&PhraseToken>| {
            self.place != PhrasePlace::Remark
                && matches!(token, Some(PhraseToken::Word(VocabularyWord::StopLoss | VocabularyWord::Target)))
        };
        let (first, last) = (self.tokens.first(), self.tokens.last());
        let from = matches!(self.tokens.get(1), Some(PhraseToken::Word(VocabularyWord::Of)));
        let short = self.tokens.len() <= 5 || self.place != PhrasePlace::Remark;
        short && (exit(first) && !from || exit(last)) || level(first) || level(last)
    }
}
