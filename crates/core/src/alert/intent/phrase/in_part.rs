//! Phrases with words that are not known.

use super::super::vocabulary::{Token, Word};
use super::{Closing, Phrase, Place, Saying, one_of};
use crate::market::Side;

impl Phrase<'_> {
    /// A phrase with words that are not known, but with a piece that tells of an exit: `Exit Long - RSI overbought`.
    pub(super) fn in_part(&self) -> Saying {
        const LEVELS: &[Word] = &[Word::Target, Word::StopLoss, Word::Stop, Word::Loss];
        let ended = self.ended_sides();
        if self.has(&[Word::Enter]) && !ended.is_empty() {
            return Saying::Unclear(None);
        }
        if self.has(&[Word::Enter, Word::Entry, Word::Add]) {
            return Saying::Unknown;
        }
        if !ended.is_empty() {
            return match one_of(ended.into_iter()) {
                Some(side) => Saying::Closing(Closing { side: Some(side), firm: true, ..Closing::default() }),
                None => Saying::Unclear(None),
            };
        }
        let hit = self.pair(LEVELS, &[Word::Hit])
            || self.pair(&[Word::Stopped], &[Word::Out])
            || self.tokens.windows(3).any(|three| {
                matches!(three, [Token::Word(level), Token::Number(_), Token::Word(Word::Hit)] if LEVELS.contains(level))
            });
        if hit || self.is_called_an_exit() { Saying::Unclear(self.side()) } else { Saying::Unknown }
    }

    /// The sides that end by `exit long` and `long exit` within other words. Behind a side `close` may be the price's:
    /// `Long: close above EMA`.
    pub(super) fn ended_sides(&self) -> Vec<Side> {
        let word = |at: usize| self.tokens.get(at).and_then(|token| token.word());
        let ended = |at: usize| match (word(at)?, word(at + 1)?) {
            (Word::Exit | Word::Close, side) => side.trade_side(),
            (side, Word::Exit) => side.trade_side(),
            (side, Word::Close) if at + 2 == self.tokens.len() => side.trade_side(),
            _ => None,
        };
        (0..self.tokens.len()).filter_map(ended).collect()
    }

    /// An exit's name begins or ends with the word (`Exit MACD flip`, `Death Cross Exit`); but for the exit from
    /// something.
    pub(super) fn is_called_an_exit(&self) -> bool {
        let exit = |token: Option<&Token>| matches!(token, Some(Token::Word(Word::Exit)));
        // Where an action is told, or its kind, a level's word says enough there.
        let level = |token: Option<&Token>| {
            self.place != Place::Remark && matches!(token, Some(Token::Word(Word::StopLoss | Word::Target)))
        };
        let (first, last) = (self.tokens.first(), self.tokens.last());
        let from = matches!(self.tokens.get(1), Some(Token::Word(Word::Of)));
        let short = self.tokens.len() <= 5 || self.place != Place::Remark;
        short && (exit(first) && !from || exit(last)) || level(first) || level(last)
    }
}
