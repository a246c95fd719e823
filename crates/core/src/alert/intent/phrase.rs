//! One phrase of a message, a signal's word, an order's id or a comment, understood as a whole or not at all.
//!
//! A phrase counts where each of its words is known: `Close entry(s) order Long` does, `closed above EMA` does not. Case,
//! punctuation, emoji and whether words are joined make no difference.

mod closing;
mod endings;
mod in_part;

use rust_decimal::Decimal;

use super::vocabulary::{PhraseNumber, PhraseToken, VocabularyWord, read_abbreviated, tokens};
use super::{ExitSignal, PositionChange};
use crate::alert::names;
use crate::market::Side;

/// What a phrase says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::alert) enum PhraseMeaning {
    /// An order's direction: `buy`, `SELL`.
    Order(Side),
    /// The side of a trade: `long`, `short`. Alone it opens one, beside an exit it names the one that ends.
    Side(Side),
    /// An opening word: `enter_long`, `open`, `entry`.
    Enter(Option<Side>),
    /// A trade ends, or a part of it.
    Closing(ClosingPhrase),
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
pub(in crate::alert) struct ClosingPhrase {
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
pub(in crate::alert) enum PhrasePlace {
    /// Where an action is told. `stop` is a stop loss there.
    Action,
    /// `type`, `order`: where kinds of order stand. `stop` is one there.
    Kind,
    /// An order's id, a comment, a reason: words of any sense.
    Remark,
}

/// What an exit may be called after.
const CALLED_AFTER: &[VocabularyWord] = &[
    VocabularyWord::Modifier,
    VocabularyWord::Panic,
    VocabularyWord::Chart,
    VocabularyWord::Time,
    VocabularyWord::Period,
    VocabularyWord::Bar,
    VocabularyWord::Hold,
    VocabularyWord::Most,
];

/// Labels that say that nothing is held any more, or that a contract gives way to the next. Their words say nothing of it
/// by themselves, and beside an order that cannot bring it about these say nothing either.
const ENDS_AS_A_WHOLE: &[&str] = &[
    "noposition",
    "nopositions",
    "noopenposition",
    "noopenpositions",
    "noopentrade",
    "noopentrades",
    "positionzero",
    "zeroposition",
    "hedgeoff",
    "unhedge",
    "unhedged",
    "rollover",
    "rollingover",
    "rolledover",
    "contractroll",
    "contractrollover",
    "futuresrollover",
    "positionrollover",
    "rolloverposition",
];

/// Understands a phrase.
pub(in crate::alert) fn understand(text: &str, place: PhrasePlace) -> PhraseMeaning {
    if let Some(entry) = closed_entry(text) {
        return closes_entry(entry);
    }
    let normal = names::normal(text);
    if normal == "reduceonly" || place == PhrasePlace::Remark && ENDS_AS_A_WHOLE.contains(&normal.as_str()) {
        return PhraseMeaning::Closing(ClosingPhrase { firm: normal == "reduceonly", ..ClosingPhrase::default() });
    }
    if let Some(tokens) = read_abbreviated(text, place == PhrasePlace::Remark).filter(|_| place != PhrasePlace::Kind) {
        let phrase = Phrase { tokens: &tokens, place };
        // `SSL cross` is an indicator's, `SC long` another name's.
        let is_another = phrase.has(&[VocabularyWord::Chart])
            || phrase.has(&[VocabularyWord::Long]) && phrase.has(&[VocabularyWord::Short]);
        return if is_another { PhraseMeaning::Unknown } else { unlike_words(phrase.whole()) };
    }
    let tokens = tokens(text);
    let phrase = Phrase { tokens: &tokens, place };
    // A comparison of prices (`close > open`), or a letter alone.
    let ends = phrase.has(&[VocabularyWord::Exit, VocabularyWord::Cover, VocabularyWord::Hit, VocabularyWord::Stopped])
        || !phrase.ended_sides().is_empty();
    let compares = place == PhrasePlace::Remark && text.contains(['<', '>', '≥', '≤']) && !ends;
    if tokens.is_empty() || compares || matches!(tokens[..], [PhraseToken::Letter(_)]) {
        return PhraseMeaning::Unknown;
    }
    if tokens.contains(&PhraseToken::Other) {
        return phrase.in_part();
    }
    if !tokens.contains(&PhraseToken::Initial) {
        return phrase.whole();
    }
    // `Exit A` is the exit of A; alone, a letter may stand for anything.
    let closes = matches!(tokens[..], [PhraseToken::Word(VocabularyWord::Close), PhraseToken::Initial, ..]);
    if closes || phrase.has(&[VocabularyWord::Exit, VocabularyWord::Cover]) || phrase.names_a_level_by_letter() {
        let named: Vec<PhraseToken> = tokens.iter().copied().filter(|token| *token != PhraseToken::Initial).collect();
        return Phrase { tokens: &named, place }.whole();
    }
    phrase.in_part()
}

/// Abbreviations are other names too (`CL` is crude oil): beside an order that cannot bring it about, they say nothing.
fn unlike_words(saying: PhraseMeaning) -> PhraseMeaning {
    match saying {
        PhraseMeaning::Closing(closing) => PhraseMeaning::Closing(ClosingPhrase { firm: false, ..closing }),
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
fn closes_entry(id: &str) -> PhraseMeaning {
    let tokens = tokens(id);
    let known = !tokens.iter().any(|token| matches!(token, PhraseToken::Other | PhraseToken::Initial));
    let phrase = Phrase { tokens: &tokens, place: PhrasePlace::Remark };
    let side = phrase.side().or_else(|| phrase.order()).filter(|_| known);
    PhraseMeaning::Closing(ClosingPhrase { side, firm: true, ..ClosingPhrase::default() })
}

struct Phrase<'t> {
    tokens: &'t [PhraseToken],
    place: PhrasePlace,
}

impl Phrase<'_> {
    fn words(&self) -> impl Iterator<Item = VocabularyWord> + '_ {
        self.tokens.iter().filter_map(|token| token.word())
    }

    fn has(&self, wanted: &[VocabularyWord]) -> bool {
        self.words().any(|word| wanted.contains(&word))
    }

    fn find(&self, wanted: &[VocabularyWord]) -> Option<usize> {
        self.tokens.iter().position(|token| token.word().is_some_and(|word| wanted.contains(&word)))
    }

    /// One word right after the other.
    fn pair(&self, first: &[VocabularyWord], second: &[VocabularyWord]) -> bool {
        let is =
            |token: &PhraseToken, wanted: &[VocabularyWord]| token.word().is_some_and(|word| wanted.contains(&word));
        self.tokens.windows(2).any(|two| is(&two[0], first) && is(&two[1], second))
    }

    /// The one side that is named; none where both are.
    fn side(&self) -> Option<Side> {
        one_of(self.words().filter_map(VocabularyWord::trade_side))
    }

    fn order(&self) -> Option<Side> {
        one_of(self.words().filter_map(VocabularyWord::order_side))
    }

    fn whole(&self) -> PhraseMeaning {
        let breakeven =
            self.has(&[VocabularyWord::Breakeven]) || self.pair(&[VocabularyWord::Break], &[VocabularyWord::Even]);
        let closing =
            self.exits() || self.takes_profit() || self.stops() || breakeven || self.has(&[VocabularyWord::Trail]);
        if self.has(&[VocabularyWord::Idle]) {
            // `cancel and close` does something.
            if self.exits() { PhraseMeaning::Unclear(self.side()) } else { PhraseMeaning::Idle }
        } else if self.has(&[VocabularyWord::Reverse]) {
            self.turn()
        } else if self.has(&[VocabularyWord::Move]) {
            self.read_managed(breakeven)
        } else if self.parts() {
            self.read_reduced()
        } else if self.is_kind() {
            PhraseMeaning::Nothing
        } else if self.has(&[VocabularyWord::With]) && !self.exits() {
            // `with trailing stop` describes an order.
            PhraseMeaning::Unknown
        } else if closing && self.opens_something() {
            if self.describes_levels() { PhraseMeaning::Unknown } else { self.ends_and_opens() }
        } else if breakeven {
            self.at_breakeven()
        } else if self.exits() {
            self.exit()
        } else if closing {
            self.level()
        } else {
            self.read_opening()
        }
    }

    /// An opening word that is no moment, as the market's open is in `Exit at open`.
    fn opens_something(&self) -> bool {
        let is_moment = |at: usize| {
            let before = self.tokens[..at].iter().rev().map(|token| token.word());
            let mut told = before.skip_while(|word| {
                matches!(word, Some(VocabularyWord::Market | VocabularyWord::Bar | VocabularyWord::Period))
            });
            at + 1 == self.tokens.len() && told.next() == Some(Some(VocabularyWord::On))
        };
        let opens = |(at, token): (usize, &PhraseToken)| match token.word() {
            Some(VocabularyWord::Enter) => !is_moment(at),
            word => word == Some(VocabularyWord::Add),
        };
        self.tokens.iter().enumerate().any(opens)
    }

    /// `buy stop` and `stop limit` are kinds of order, and so is `stop` where those stand.
    fn is_kind(&self) -> bool {
        const KINDS: &[VocabularyWord] =
            &[VocabularyWord::Stop, VocabularyWord::Limit, VocabularyWord::Market, VocabularyWord::Order];
        let all = |also: &[VocabularyWord]| {
            self.tokens.iter().all(|token| token.word().is_some_and(|w| KINDS.contains(&w) || also.contains(&w)))
        };
        let pending = self.tokens.len() > 1 && self.has(&[VocabularyWord::Stop, VocabularyWord::Limit]);
        match self.place {
            PhrasePlace::Kind => all(&[]) || pending && all(&[VocabularyWord::Buy, VocabularyWord::Sell]),
            PhrasePlace::Action => pending && all(&[VocabularyWord::Buy, VocabularyWord::Sell]),
            PhrasePlace::Remark => false,
        }
    }

    fn turn(&self) -> PhraseMeaning {
        if self.place == PhrasePlace::Remark && (self.exits() || self.stops()) {
            // `exit & reverse` turns, `closed by reverse signal` closes.
            return PhraseMeaning::Unclear(None);
        }
        if self.place == PhrasePlace::Remark && !self.turns() {
            // `reverse signal` is what the order came of.
            return PhraseMeaning::Unknown;
        }
        let after = self.find(&[VocabularyWord::To]).map_or(0, |to| to + 1);
        let told = Phrase { tokens: &self.tokens[after..], place: self.place };
        PhraseMeaning::Turn { opens: told.side().or_else(|| told.order()) }
    }

    /// Nothing but the turn, its side and what is turned.
    fn turns(&self) -> bool {
        const OF_TURNS: &[VocabularyWord] = &[
            VocabularyWord::Reverse,
            VocabularyWord::To,
            VocabularyWord::Long,
            VocabularyWord::Short,
            VocabularyWord::Buy,
            VocabularyWord::Sell,
            VocabularyWord::Trade,
            VocabularyWord::Filler,
        ];
        self.tokens.iter().all(|token| match token {
            PhraseToken::Word(word) => OF_TURNS.contains(word),
            PhraseToken::Number(number) => !number.percent,
            PhraseToken::Letter(_) | PhraseToken::Initial | PhraseToken::Other => false,
        })
    }

    /// `Close Short & Open Long`; `close open position`.
    fn ends_and_opens(&self) -> PhraseMeaning {
        let (Some(end), Some(open)) = (
            self.find(&[
                VocabularyWord::Exit,
                VocabularyWord::Close,
                VocabularyWord::Cover,
                VocabularyWord::Target,
                VocabularyWord::StopLoss,
                VocabularyWord::Stop,
                VocabularyWord::Stopped,
            ]),
            self.find(&[VocabularyWord::Enter, VocabularyWord::Add]),
        ) else {
            return PhraseMeaning::Unclear(self.side());
        };
        if open == end + 1 && self.tokens.len() > open {
            let rest: Vec<PhraseToken> =
                self.tokens.iter().enumerate().filter(|(at, _)| *at != open).map(|(_, token)| *token).collect();
            return Phrase { tokens: &rest, place: self.place }.whole();
        }
        let part = |tokens: &[PhraseToken]| {
            one_of(tokens.iter().filter_map(|t| t.word()).filter_map(VocabularyWord::trade_side))
        };
        let (first, second) = self.tokens.split_at(open.max(end));
        match (part(first), part(second)) {
            (Some(closes), Some(opens)) if end < open && closes != opens => PhraseMeaning::Turn { opens: Some(opens) },
            (Some(opens), Some(closes)) if open < end && closes != opens => PhraseMeaning::Turn { opens: Some(opens) },
            _ => PhraseMeaning::Unclear(self.side()),
        }
    }

    fn numbers(&self) -> impl Iterator<Item = PhraseNumber> + '_ {
        self.tokens.iter().filter_map(|token| match token {
            PhraseToken::Number(number) => Some(*number),
            _ => None,
        })
    }

    /// The trade's side; buy and sell name it too beside a level.
    fn named_side(&self) -> Option<Side> {
        self.side().or_else(|| self.order())
    }

    /// No word of closing.
    fn read_opening(&self) -> PhraseMeaning {
        if let Some(sold) = self.read_sold() {
            return sold;
        }
        let enters = self.has(&[VocabularyWord::Enter, VocabularyWord::Entry, VocabularyWord::Add])
            || self.pair(&[VocabularyWord::Scale], &[VocabularyWord::In]);
        let letters = self.tokens.iter().any(|token| matches!(token, PhraseToken::Letter(_)));
        let says_more = self.numbers().any(|number| number.percent)
            || letters
            || self.has(&[
                VocabularyWord::Hit,
                VocabularyWord::Half,
                VocabularyWord::Out,
                VocabularyWord::Off,
                VocabularyWord::Square,
                VocabularyWord::Margin,
                VocabularyWord::Call,
            ])
            || self.has(&[
                VocabularyWord::Percent,
                VocabularyWord::Loss,
                VocabularyWord::Partial,
                VocabularyWord::Reduce,
                VocabularyWord::Close,
                VocabularyWord::Drawdown,
            ])
            || self.has(&[
                VocabularyWord::With,
                VocabularyWord::On,
                VocabularyWord::Of,
                VocabularyWord::End,
                VocabularyWord::RunOut,
            ])
            || self.has(&[
                VocabularyWord::Sold,
                VocabularyWord::Bought,
                VocabularyWord::Back,
                VocabularyWord::Kill,
                VocabularyWord::Switch,
                VocabularyWord::Get,
                VocabularyWord::Cash,
            ])
            || self.has(CALLED_AFTER);
        let sides = self.words().filter(|word| word.trade_side().is_some() || word.order_side().is_some()).count();
        if says_more || self.has(&[VocabularyWord::Limit]) && sides > 0 {
            return PhraseMeaning::Unknown;
        }
        if self.has(&[VocabularyWord::All]) && self.order().is_some() {
            // `sell all` is no entry.
            return PhraseMeaning::Unclear(None);
        }
        match (self.order(), self.side()) {
            (Some(order), Some(side)) if order == side => PhraseMeaning::Enter(Some(side)),
            // To sell what is long, and to buy what is short.
            (Some(_), Some(side)) if !enters => {
                PhraseMeaning::Closing(ClosingPhrase { side: Some(side), firm: true, ..ClosingPhrase::default() })
            }
            (Some(_), Some(_)) => PhraseMeaning::Unknown,
            (None, None) if sides > 0 => PhraseMeaning::Unknown,
            (order, side) if enters => PhraseMeaning::Enter(side.or(order)),
            (Some(order), None) => PhraseMeaning::Order(order),
            (None, Some(side)) => PhraseMeaning::Side(side),
            (None, None) => PhraseMeaning::Nothing,
        }
    }
}

/// The one value that all agree on.
fn one_of(mut sides: impl Iterator<Item = Side>) -> Option<Side> {
    let first = sides.next()?;
    sides.all(|side| side == first).then_some(first)
}
