//! One phrase of a message, a signal's word, an order's id or a comment, understood as a whole or not at all.
//!
//! A phrase counts where each of its words is known: `Close entry(s) order Long` does, `closed above EMA` does not. Case,
//! punctuation, emoji and whether words are joined make no difference.

use super::vocabulary::{Token, Word, tokens};
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
    Turn { opens: Option<Side>, both_told: bool },
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
    /// It gives a level's price (`SL 95`), as descriptions of entries do.
    pub(in crate::alert) priced: bool,
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
    &[Word::Modifier, Word::Chart, Word::Time, Word::Period, Word::Bar, Word::Hold, Word::Most];

/// The most numbers that a target has.
const TARGETS_MAX: u32 = 20;

/// Understands a phrase.
pub(in crate::alert) fn understand(text: &str, place: Place) -> Saying {
    if let Some(entry) = closed_entry(text) {
        return closes_entry(entry);
    }
    if names::normal(text) == "reduceonly" {
        return Saying::Closing(Closing { firm: true, ..Closing::default() });
    }
    let tokens = tokens(text);
    let phrase = Phrase { tokens: &tokens, place };
    // A comparison of prices (`close > open`), or a letter alone.
    let ends = phrase.has(&[Word::Exit, Word::Cover, Word::Hit, Word::Stopped]) || !phrase.ended_sides().is_empty();
    let compares = place == Place::Remark && text.contains(['<', '>', '≥', '≤']) && !ends;
    if tokens.is_empty() || compares || matches!(tokens[..], [Token::Letter(_)]) {
        return Saying::Unknown;
    }
    if tokens.iter().any(|token| matches!(token, Token::Other)) { phrase.in_part() } else { phrase.whole() }
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
    let known = !tokens.iter().any(|token| matches!(token, Token::Other));
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

    fn exits(&self) -> bool {
        self.has(&[Word::Exit, Word::Cover])
            || self.closes()
            || self.pair(&[Word::Square], &[Word::Out, Word::Off])
            || self.pair(&[Word::Margin], &[Word::Call])
            || self.runs_out()
    }

    /// A word of closing that is about a trade: bars close, too (`daily close`), and prices (`close crossover`).
    fn closes(&self) -> bool {
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

    /// The trade's time is over, or the session's: `EOD`, `end of day`, `max bars`; or what it may lose.
    fn runs_out(&self) -> bool {
        let ended = self.has(&[Word::RunOut]) || self.has(&[Word::End]) && self.has(&[Word::Period, Word::Market]);
        let most = self.has(&[Word::Most]) && self.has(&[Word::Hold, Word::Bar, Word::Time, Word::Hit]);
        let time = self.has(&[Word::Time]) && self.has(&[Word::Limit, Word::Out]);
        let lost = self.has(&[Word::Drawdown]) && self.has(&[Word::Most, Word::Hit, Word::Limit]);
        let opens = self.has(&[Word::Buy, Word::Sell, Word::Enter, Word::Entry, Word::Add]);
        !opens && (ended || most || time || lost)
    }

    fn takes_profit(&self) -> bool {
        self.has(&[Word::Target])
    }

    fn stops(&self) -> bool {
        self.has(&[Word::StopLoss, Word::Stop, Word::Stopped, Word::Loss])
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
        let after = self.find(&[Word::To]).map_or(0, |to| to + 1);
        let told = Phrase { tokens: &self.tokens[after..], place: self.place };
        Saying::Turn { opens: told.side().or_else(|| told.order()), both_told: false }
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
            (Some(closes), Some(opens)) if end < open && closes != opens => {
                Saying::Turn { opens: Some(opens), both_told: true }
            }
            (Some(opens), Some(closes)) if open < end && closes != opens => {
                Saying::Turn { opens: Some(opens), both_told: true }
            }
            _ => Saying::Unclear(self.side()),
        }
    }

    /// A level was moved.
    fn managed(&self, breakeven: bool) -> Saying {
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

    /// Whether only a part of the position is closed.
    fn parts(&self) -> bool {
        let closing = self.exits() || self.takes_profit() || self.stops();
        let enters = self.has(&[Word::Enter, Word::Entry, Word::Add]);
        self.has(&[Word::Partial, Word::Reduce]) && !enters
            || self.pair(&[Word::Scale], &[Word::Out])
            || closing && self.has(&[Word::Half])
            || (self.has(&[Word::Half]) || self.percents()) && self.has(&[Word::Off, Word::Out])
            || self.percent_closed()
    }

    fn percents(&self) -> bool {
        self.numbers().any(|number| number.percent && number.below_hundred)
    }

    /// `close 50%`, `close long 50 %`, `50% exit`; not `exit long tp 2%`, whose percentage is the level's.
    fn percent_closed(&self) -> bool {
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

    fn reduced(&self) -> Saying {
        let reason = match (self.takes_profit(), self.stops()) {
            (true, false) => Some(ExitSignal::TpHit),
            (false, true) => Some(ExitSignal::SlHit),
            (true, true) | (false, false) => None,
        };
        let change = Some(PositionChange::Reduced);
        Saying::Closing(Closing { side: self.named(), reason, change, firm: true, ..Closing::default() })
    }

    /// A stop at the entry's price: that it was moved there, or that it was hit.
    fn at_breakeven(&self) -> Saying {
        let ended = self.exits() || self.has(&[Word::Hit, Word::Stopped]);
        let reason = (!ended && self.takes_profit()).then_some(ExitSignal::TpHit);
        let change = (!ended).then_some(PositionChange::Breakeven);
        Saying::Closing(Closing { side: self.named(), reason, change, firm: true, ..Closing::default() })
    }

    /// `close long`, `sell to close`, `Close entry(s) order Long`, `Exit Long TP`.
    fn exit(&self) -> Saying {
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
    fn level(&self) -> Saying {
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
    fn describes_levels(&self) -> bool {
        let is_index = |number: &super::vocabulary::Number| {
            !number.percent && number.whole.is_some_and(|whole| (1..=TARGETS_MAX).contains(&whole))
        };
        let loose: Vec<_> = self.numbers().filter(|number| !number.glued).collect();
        let prices = loose.len() > 1 || loose.iter().any(|number| !is_index(number));
        let several = self.words().filter(|word| *word == Word::Target).count() > 1;
        let both = self.takes_profit() && (self.stops() || several && self.place == Place::Remark);
        prices && both && !self.exits() && !self.has(&[Word::Hit, Word::Stopped])
    }

    /// Reason and target.
    fn reason(&self) -> Closing {
        let loose = self.has(&[Word::Trail, Word::Drawdown]) || self.has(CALLED_AFTER);
        let reason = match (self.takes_profit(), self.stops()) {
            (true, false) if !self.has(&[Word::Trail]) => Some(ExitSignal::TpHit),
            (false, true) if !loose => Some(ExitSignal::SlHit),
            _ => None,
        };
        let mut numbers = self.numbers().filter(|number| !number.percent);
        let number = numbers.next();
        let target = number.and_then(|number| number.whole).filter(|target| (1..=TARGETS_MAX).contains(target));
        let level = reason.is_some() && !self.exits();
        Closing {
            reason,
            target: target.filter(|_| reason == Some(ExitSignal::TpHit)),
            priced: level && number.is_some() && target.is_none(),
            ..Closing::default()
        }
    }

    fn numbers(&self) -> impl Iterator<Item = super::vocabulary::Number> + '_ {
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
        let enters = self.has(&[Word::Enter, Word::Entry, Word::Add]) || self.pair(&[Word::Scale], &[Word::In]);
        let letters = self.tokens.iter().any(|token| matches!(token, Token::Letter(_)));
        let says_more = self.numbers().any(|number| number.percent)
            || letters
            || self.has(&[Word::Hit, Word::Half, Word::Out, Word::Off, Word::Square, Word::Margin, Word::Call])
            || self.has(&[Word::Percent, Word::Loss, Word::Partial, Word::Reduce, Word::Close, Word::Drawdown])
            || self.has(&[Word::With, Word::On, Word::Of, Word::End, Word::RunOut])
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

    /// A phrase with words that are not known, but with a piece that tells of an exit: `Exit Long - RSI overbought`.
    fn in_part(&self) -> Saying {
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
    fn ended_sides(&self) -> Vec<Side> {
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
    fn is_called_an_exit(&self) -> bool {
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

/// The one value that all agree on.
fn one_of(mut sides: impl Iterator<Item = Side>) -> Option<Side> {
    let first = sides.next()?;
    sides.all(|side| side == first).then_some(first)
}
