//! One phrase of a message, a signal's word, an order's id or a comment, understood as a whole or not at all.
//!
//! A phrase counts where each of its words is known: `Close entry(s) order Long` does, `closed above EMA` does not. Case,
//! punctuation, emoji and whether words are joined make no difference.

mod closing;
mod endings;
mod in_part;

use rust_decimal::Decimal;

use super::vocabulary::{Number, Token, Word, abbreviated, tokens};
use super::{ExitSignal, PositionChange};
use crate::alert::names;
use crate::market::Side;

/// What a phrase says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::alert) enum Saying {
    /// An order's direction: `buy`, `SELL`.
    Order(Side),
    /// The side of a trade: `long`, `short`. Alone it opens one, beside an exit it names the one that ends.
    Side(Side),
    /// An opening word: `enter_long`, `open`, `entry`.
    Enter(Option<Side>),
    /// A trade ends, or a part of it.
    Closing(Closing),
    /// `reverse`, `close short open long`: the side that is opened, where it is told.
    Turn { opens: Option<Side> },
    /// Only words that say nothing: `market`, `limit`, `signal`.
    Nothing,
    /// It concerns a trade that is open, but cannot be read: `tp moved`, `sell exit`, words around `exit long`.
    Unclear(Option<Side>),
    /// Nothing is to be done: `test`, `cancel`.
    Idle,
    /// Not understood as a whole.
    Unknown,
}

/// How a phrase says that a trade ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::alert) struct Closing {
    /// The trade's side, where the phrase names it.
    pub(in crate::alert) side: Option<Side>,
    pub(in crate::alert) reason: Option<ExitSignal>,
    /// The target's number: `TP2`.
    pub(in crate::alert) target: Option<u32>,
    /// The trade stays open, and this was done to it.
    pub(in crate::alert) change: Option<PositionChange>,
    /// It says that something happened (`exit`, `hit`, `stopped out`), so that it cannot describe an entry's levels.
    pub(in crate::alert) firm: bool,
    /// The price of the level (`SL 95`), as descriptions of entries give it too.
    pub(in crate::alert) priced: Option<Decimal>,
}

/// Where a phrase stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::alert) enum Place {
    /// Where an action is told. `stop` is a stop loss there.
    Action,
    /// `type`, `order`: where kinds of order stand. `stop` is one there.
    Kind,
    /// An order's id, a comment, a reason: words of any sense.
    Remark,
}

/// What an exit may be called after.
const CALLED_AFTER: &[Word] =
    &[Word::Modifier, Word::Panic, Word::Chart, Word::Time, Word::Period, Word::Bar, Word::Hold, Word::Most];

/// Understands a phrase.
pub(in crate::alert) fn understand(text: &str, place: Place) -> Saying {
    if let Some(entry) = closed_entry(text) {
        return closes_entry(entry);
    }
    if names::normal(text) == "reduceonly" {
        return Saying::Closing(Closing { firm: true, ..Closing::default() });
    }
    if let Some(tokens) = abbreviated(text, place == Place::Remark).filter(|_| place != Place::Kind) {
        let phrase = Phrase { tokens: &tokens, place };
        // `SSL cross` is an indicator's, `SC long` another name's.
        let is_another = phrase.has(&[Word::Chart]) || phrase.has(&[Word::Long]) && phrase.has(&[Word::Short]);
        return if is_another { Saying::Unknown } else { unlike_words(phrase.whole()) };
    }
    let tokens = tokens(text);
    let phrase = Phrase { tokens: &tokens, place };
    // A comparison of prices (`close > open`), or a letter alone.
    let ends = phrase.has(&[Word::Exit, Word::Cover, Word::Hit, Word::Stopped]) || !phrase.ended_sides().is_empty();
    let compares = place == Place::Remark && text.contains(['<', '>', '≥', '≤']) && !ends;
    if tokens.is_empty() || compares || matches!(tokens[..], [Token::Letter(_)]) {
        return Saying::Unknown;
    }
    if tokens.contains(&Token::Other) {
        return phrase.in_part();
    }
    if !tokens.contains(&Token::Initial) {
        return phrase.whole();
    }
    // `Exit A` is the exit of A; alone, a letter may stand for anything.
    let closes = matches!(tokens[..], [Token::Word(Word::Close), Token::Initial, ..]);
    if closes || phrase.has(&[Word::Exit, Word::Cover]) || phrase.names_a_level_by_letter() {
        let named: Vec<Token> = tokens.iter().copied().filter(|token| *token != Token::Initial).collect();
        return Phrase { tokens: &named, place }.whole();
    }
    phrase.in_part()
}

/// Abbreviations are other names too (`CL` is crude oil): beside an order that cannot bring it about, they say nothing.
fn unlike_words(saying: Saying) -> Saying {
    match saying {
        Saying::Closing(closing) => Saying::Closing(Closing { firm: false, ..closing }),
        other => other,
    }
}

/// The entry's id in `Close entry(s) order ID`, as TradingView itself calls the order of `strategy.close`.
fn closed_entry(text: &str) -> Option<&str> {
    const STARTS: &[&str] = &["close entry(s) order", "close entries order", "close entry order"];
    let text = text.trim();
    let head = |start: &&&str| text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start));
    STARTS.iter().find(head).map(|start| text.get(start.len()..).unwrap_or_default())
}

/// Whatever the entry is called; where its id is a side, that side ends.
fn closes_entry(id: &str) -> Saying {
    let tokens = tokens(id);
    let known = !tokens.iter().any(|token| matches!(token, Token::Other | Token::Initial));
    let phrase = Phrase { tokens: &tokens, place: Place::Remark };
    let side = phrase.side().or_else(|| phrase.order()).filter(|_| known);
    Saying::Closing(Closing { side, firm: true, ..Closing::default() })
}

struct Phrase<'t> {
    tokens: &'t [Token],
    place: Place,
}

impl Phrase<'_> {
    fn words(&self) -> impl Iterator<Item = Word> + '_ {
        self.tokens.iter().filter_map(|token| token.word())
    }

    fn has(&self, wanted: &[Word]) -> bool {
        self.words().any(|word| wanted.contains(&word))
    }

    fn find(&self, wanted: &[Word]) -> Option<usize> {
        self.tokens.iter().position(|token| token.word().is_some_and(|word| wanted.contains(&word)))
    }

    /// One word right after the other.
    fn pair(&self, first: &[Word], second: &[Word]) -> bool {
        let is = |token: &Token, wanted: &[Word]| token.word().is_some_and(|word| wanted.contains(&word));
        self.tokens.windows(2).any(|two| is(&two[0], first) && is(&two[1], second))
    }

    /// The one side that is named; none where both are.
    fn side(&self) -> Option<Side> {
        one_of(self.words().filter_map(Word::trade_side))
    }

    fn order(&self) -> Option<Side> {
        one_of(self.words().filter_map(Word::order_side))
    }

    fn whole(&self) -> Saying {
        let breakeven = self.has(&[Word::Breakeven]) || self.pair(&[Word::Break], &[Word::Even]);
        let closing = self.exits() || self.takes_profit() || self.stops() || breakeven || self.has(&[Word::Trail]);
        if self.has(&[Word::Idle]) {
            // `cancel and close` does something.
            if self.exits() { Saying::Unclear(self.side()) } else { Saying::Idle }
        } else if self.has(&[Word::Reverse]) {
            self.turn()
        } else if self.has(&[Word::Move]) {
            self.managed(breakeven)
        } else if self.parts() {
            self.reduced()
        } else if self.is_kind() {
            Saying::Nothing
        } else if self.has(&[Word::With]) && !self.exits() {
            // `with trailing stop` describes an order.
            Saying::Unknown
        } else if closing && self.has(&[Word::Enter, Word::Add]) {
            if self.describes_levels() { Saying::Unknown } else { self.ends_and_opens() }
        } else if breakeven {
            self.at_breakeven()
        } else if self.exits() {
            self.exit()
        } else if closing {
            self.level()
        } else {
            self.opening()
        }
    }

    /// `buy stop` and `stop limit` are kinds of order, and so is `stop` where those stand.
    fn is_kind(&self) -> bool {
        const KINDS: &[Word] = &[Word::Stop, Word::Limit, Word::Market, Word::Order];
        let all = |also: &[Word]| {
            self.tokens.iter().all(|token| token.word().is_some_and(|w| KINDS.contains(&w) || also.contains(&w)))
        };
        let pending = self.tokens.len() > 1 && self.has(&[Word::Stop, Word::Limit]);
        match self.place {
            Place::Kind => all(&[]) || pending && all(&[Word::Buy, Word::Sell]),
            Place::Action => pending && all(&[Word::Buy, Word::Sell]),
            Place::Remark => false,
        }
    }

    fn turn(&self) -> Saying {
        if self.place == Place::Remark && (self.exits() || self.stops()) {
            // `exit & reverse` turns, `closed by reverse signal` closes.
            return Saying::Unclear(None);
        }
        if self.place == Place::Remark && !self.turns() {
            // `reverse signal` is what the order came of.
            return Saying::Unknown;
        }
        let after = self.find(&[Word::To]).map_or(0, |to| to + 1);
        let told = Phrase { tokens: &self.tokens[after..], place: self.place };
        Saying::Turn { opens: told.side().or_else(|| told.order()) }
    }

    /// Nothing but the turn, its side and what is turned.
    fn turns(&self) -> bool {
        const OF_TURNS: &[Word] =
            &[Word::Reverse, Word::To, Word::Long, Word::Short, Word::Buy, Word::Sell, Word::Trade, Word::Filler];
        self.tokens.iter().all(|token| match token {
            Token::Word(word) => OF_TURNS.contains(word),
            Token::Number(number) => !number.percent,
            Token::Letter(_) | Token::Initial | Token::Other => false,
        })
    }

    /// `Close Short & Open Long`; `close open position`.
    fn ends_and_opens(&self) -> Saying {
        let (Some(end), Some(open)) = (
            self.find(&[Word::Exit, Word::Close, Word::Cover, Word::Target, Word::StopLoss, Word::Stop, Word::Stopped]),
            self.find(&[Word::Enter, Word::Add]),
        ) else {
            return Saying::Unclear(self.side());
        };
        if open == end + 1 && self.tokens.len() > open {
            let rest: Vec<Token> =
                self.tokens.iter().enumerate().filter(|(at, _)| *at != open).map(|(_, token)| *token).collect();
            return Phrase { tokens: &rest, place: self.place }.whole();
        }
        let part = |tokens: &[Token]| one_of(tokens.iter().filter_map(|t| t.word()).filter_map(Word::trade_side));
        let (first, second) = self.tokens.split_at(open.max(end));
        match (part(first), part(second)) {
            (Some(closes), Some(opens)) if end < open && closes != opens => Saying::Turn { opens: Some(opens) },
            (Some(opens), Some(closes)) if open < end && closes != opens => Saying::Turn { opens: Some(opens) },
            _ => Saying::Unclear(self.side()),
        }
    }

    fn numbers(&self) -> impl Iterator<Item = Number> + '_ {
        self.tokens.iter().filter_map(|token| match token {
            Token::Number(number) => Some(*number),
            _ => None,
        })
    }

    /// The trade's side; buy and sell name it too beside a level.
    fn named(&self) -> Option<Side> {
        self.side().or_else(|| self.order())
    }

    /// No word of closing.
    fn opening(&self) -> Saying {
        if let Some(sold) = self.sold() {
            return sold;
        }
        let enters = self.has(&[Word::Enter, Word::Entry, Word::Add]) || self.pair(&[Word::Scale], &[Word::In]);
        let letters = self.tokens.iter().any(|token| matches!(token, Token::Letter(_)));
        let says_more = self.numbers().any(|number| number.percent)
            || letters
            || self.has(&[Word::Hit, Word::Half, Word::Out, Word::Off, Word::Square, Word::Margin, Word::Call])
            || self.has(&[Word::Percent, Word::Loss, Word::Partial, Word::Reduce, Word::Close, Word::Drawdown])
            || self.has(&[Word::With, Word::On, Word::Of, Word::End, Word::RunOut])
            || self.has(&[Word::Sold, Word::Bought, Word::Back, Word::Kill, Word::Switch, Word::Get, Word::Cash])
            || self.has(CALLED_AFTER);
        let sides = self.words().filter(|word| word.trade_side().is_some() || word.order_side().is_some()).count();
        if says_more || self.has(&[Word::Limit]) && sides > 0 {
            return Saying::Unknown;
        }
        if self.has(&[Word::All]) && self.order().is_some() {
            // `sell all` is no entry.
            return Saying::Unclear(None);
        }
        match (self.order(), self.side()) {
            (Some(order), Some(side)) if order == side => Saying::Enter(Some(side)),
            // To sell what is long, and to buy what is short.
            (Some(_), Some(side)) if !enters => {
                Saying::Closing(Closing { side: Some(side), firm: true, ..Closing::default() })
            }
            (Some(_), Some(_)) => Saying::Unknown,
            (None, None) if sides > 0 => Saying::Unknown,
            (order, side) if enters => Saying::Enter(side.or(order)),
            (Some(order), None) => Saying::Order(order),
            (None, Some(side)) => Saying::Side(side),
            (None, None) => Saying::Nothing,
        }
    }
}

/// The one value that all agree on.
fn one_of(mut sides: impl Iterator<Item = Side>) -> Option<Side> {
    let first = sides.next()?;
    sides.all(|side| side == first).then_some(first)
}
