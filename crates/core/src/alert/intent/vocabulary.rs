//! The words of a phrase: found whatever case, punctuation and joints they come in.

use crate::market::Side;

/// The most characters of a phrase that are looked at. What is longer is no phrase.
const CHARS_MAX: usize = 200;

/// A word's sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Buy,
    Sell,
    Long,
    Short,
    /// To open.
    Enter,
    /// The noun: it names an order where something closes it.
    Entry,
    Add,
    Exit,
    /// Apart from `Exit`: a bar closes, too.
    Close,
    Cover,
    Target,
    StopLoss,
    Stop,
    Stopped,
    Loss,
    Trail,
    Partial,
    Reduce,
    Half,
    Scale,
    In,
    Out,
    Off,
    Square,
    Margin,
    Call,
    Break,
    Even,
    Breakeven,
    Move,
    Reverse,
    To,
    Hit,
    Market,
    Limit,
    Order,
    Percent,
    /// What an exit may be called after: `time exit`.
    Modifier,
    /// Nothing is to be done.
    Idle,
    /// Says nothing.
    Filler,
}

impl Word {
    pub(super) const fn trade_side(self) -> Option<Side> {
        match self {
            Self::Long => Some(Side::Buy),
            Self::Short => Some(Side::Sell),
            _ => None,
        }
    }

    pub(super) const fn order_side(self) -> Option<Side> {
        match self {
            Self::Buy => Some(Side::Buy),
            Self::Sell => Some(Side::Sell),
            _ => None,
        }
    }
}

/// A number in a phrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    /// Its value, where it is a small whole number.
    pub(super) whole: Option<u32>,
    pub(super) below_hundred: bool,
    pub(super) percent: bool,
    /// Right after a letter: `TP1`.
    pub(super) glued: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Word(Word),
    /// A single letter that stands for a word in an order's id: `L`, `S`, `X`.
    Letter(Word),
    Number(Number),
    /// A word that is not known.
    Other,
}

impl Token {
    pub(super) const fn word(self) -> Option<Word> {
        match self {
            Self::Word(word) | Self::Letter(word) => Some(word),
            Self::Number(_) | Self::Other => None,
        }
    }
}

/// Spellings, in lower case.
const WORDS: &[(&str, &[Word])] = &[
    ("buy", &[Word::Buy]),
    ("buys", &[Word::Buy]),
    ("sell", &[Word::Sell]),
    ("sells", &[Word::Sell]),
    ("long", &[Word::Long]),
    ("longs", &[Word::Long]),
    ("short", &[Word::Short]),
    ("shorts", &[Word::Short]),
    ("enter", &[Word::Enter]),
    ("entered", &[Word::Enter]),
    ("entering", &[Word::Enter]),
    ("open", &[Word::Enter]),
    ("opened", &[Word::Enter]),
    ("opening", &[Word::Enter]),
    ("go", &[Word::Enter]),
    ("entry", &[Word::Entry]),
    ("entries", &[Word::Entry]),
    ("add", &[Word::Add]),
    ("increase", &[Word::Add]),
    ("pyramid", &[Word::Add]),
    ("exit", &[Word::Exit]),
    ("exits", &[Word::Exit]),
    ("exited", &[Word::Exit]),
    ("exiting", &[Word::Exit]),
    ("flat", &[Word::Exit]),
    ("flatten", &[Word::Exit]),
    ("flattened", &[Word::Exit]),
    ("liquidate", &[Word::Exit]),
    ("liquidated", &[Word::Exit]),
    ("liquidation", &[Word::Exit]),
    ("unwind", &[Word::Exit]),
    ("close", &[Word::Close]),
    ("closes", &[Word::Close]),
    ("closed", &[Word::Close]),
    ("closing", &[Word::Close]),
    ("cover", &[Word::Cover]),
    ("covered", &[Word::Cover]),
    ("covering", &[Word::Cover]),
    ("le", &[Word::Long, Word::Entry]),
    ("se", &[Word::Short, Word::Entry]),
    ("xl", &[Word::Exit, Word::Long]),
    ("lx", &[Word::Exit, Word::Long]),
    ("xs", &[Word::Exit, Word::Short]),
    ("sx", &[Word::Exit, Word::Short]),
    ("tp", &[Word::Target]),
    ("tps", &[Word::Target]),
    ("pt", &[Word::Target]),
    ("target", &[Word::Target]),
    ("targets", &[Word::Target]),
    ("profit", &[Word::Target]),
    ("profits", &[Word::Target]),
    ("take", &[Word::Filler]),
    ("book", &[Word::Filler]),
    ("booked", &[Word::Filler]),
    ("sl", &[Word::StopLoss]),
    ("stop", &[Word::Stop]),
    ("stops", &[Word::Stop]),
    ("stopped", &[Word::Stopped]),
    ("loss", &[Word::Loss]),
    ("trail", &[Word::Trail]),
    ("trailing", &[Word::Trail]),
    ("tsl", &[Word::Trail]),
    ("partial", &[Word::Partial]),
    ("partials", &[Word::Partial]),
    ("partially", &[Word::Partial]),
    ("reduce", &[Word::Reduce]),
    ("reduced", &[Word::Reduce]),
    ("reducing", &[Word::Reduce]),
    ("decrease", &[Word::Reduce]),
    ("trim", &[Word::Reduce]),
    ("trimmed", &[Word::Reduce]),
    ("half", &[Word::Half]),
    ("scale", &[Word::Scale]),
    ("scaled", &[Word::Scale]),
    ("scaling", &[Word::Scale]),
    ("in", &[Word::In]),
    ("out", &[Word::Out]),
    ("off", &[Word::Off]),
    ("square", &[Word::Square]),
    ("squared", &[Word::Square]),
    ("margin", &[Word::Margin]),
    ("call", &[Word::Call]),
    ("break", &[Word::Break]),
    ("even", &[Word::Even]),
    ("breakeven", &[Word::Breakeven]),
    ("be", &[Word::Breakeven]),
    ("move", &[Word::Move]),
    ("moved", &[Word::Move]),
    ("moving", &[Word::Move]),
    ("update", &[Word::Move]),
    ("updated", &[Word::Move]),
    ("modify", &[Word::Move]),
    ("modified", &[Word::Move]),
    ("adjust", &[Word::Move]),
    ("adjusted", &[Word::Move]),
    ("raise", &[Word::Move]),
    ("raised", &[Word::Move]),
    ("tighten", &[Word::Move]),
    ("tightened", &[Word::Move]),
    ("change", &[Word::Move]),
    ("changed", &[Word::Move]),
    ("activated", &[Word::Move]),
    ("reverse", &[Word::Reverse]),
    ("reversed", &[Word::Reverse]),
    ("flip", &[Word::Reverse]),
    ("flipped", &[Word::Reverse]),
    ("to", &[Word::To]),
    ("hit", &[Word::Hit]),
    ("reached", &[Word::Hit]),
    ("triggered", &[Word::Hit]),
    ("filled", &[Word::Hit]),
    ("executed", &[Word::Hit]),
    ("met", &[Word::Hit]),
    ("achieved", &[Word::Hit]),
    ("taken", &[Word::Hit]),
    ("done", &[Word::Hit]),
    ("market", &[Word::Market]),
    ("mkt", &[Word::Market]),
    ("limit", &[Word::Limit]),
    ("lmt", &[Word::Limit]),
    ("order", &[Word::Order]),
    ("orders", &[Word::Order]),
    ("percent", &[Word::Percent]),
    ("pct", &[Word::Percent]),
    ("time", &[Word::Modifier]),
    ("timed", &[Word::Modifier]),
    ("eod", &[Word::Modifier]),
    ("manual", &[Word::Modifier]),
    ("manually", &[Word::Modifier]),
    ("early", &[Word::Modifier]),
    ("force", &[Word::Modifier]),
    ("forced", &[Word::Modifier]),
    ("emergency", &[Word::Modifier]),
    ("test", &[Word::Idle]),
    ("testing", &[Word::Idle]),
    ("cancel", &[Word::Idle]),
    ("canceled", &[Word::Idle]),
    ("cancelled", &[Word::Idle]),
    ("position", &[Word::Filler]),
    ("positions", &[Word::Filler]),
    ("trade", &[Word::Filler]),
    ("trades", &[Word::Filler]),
    ("signal", &[Word::Filler]),
    ("alert", &[Word::Filler]),
    ("all", &[Word::Filler]),
    ("only", &[Word::Filler]),
    ("full", &[Word::Filler]),
    ("fully", &[Word::Filler]),
    ("and", &[Word::Filler]),
    ("by", &[Word::Filler]),
    ("at", &[Word::Filler]),
    ("the", &[Word::Filler]),
    ("from", &[Word::Filler]),
    ("price", &[Word::Filler]),
    ("level", &[Word::Filler]),
    ("number", &[Word::Filler]),
    ("strategy", &[Word::Filler]),
    ("final", &[Word::Filler]),
    ("last", &[Word::Filler]),
];

/// Numbers in words.
const ORDINALS: &[(&str, u32)] =
    &[("first", 1), ("second", 2), ("third", 3), ("fourth", 4), ("one", 1), ("two", 2), ("three", 3)];

/// The words and numbers of a text, in order.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    if text.chars().count() > CHARS_MAX {
        return vec![Token::Other];
    }
    // The plural in brackets, as in TradingView's own `Close entry(s) order`.
    let text: String = text.replace("(s)", "").replace("(S)", "").chars().map(narrow).collect();
    let mut tokens = Vec::new();
    for piece in joined(pieces(&text)) {
        match piece {
            Piece::Number { text, percent, glued } => tokens.push(Token::Number(number(&text, percent, glued))),
            Piece::Letters(letters) => tokens.extend(read(&letters)),
        }
    }
    spell_out(tokens)
}

/// Wide forms of letters and digits, as keyboards of East Asia have them, are the letters and digits.
fn narrow(c: char) -> char {
    match u32::from(c) {
        wide @ 0xff01..=0xff5e => char::from_u32(wide - 0xfee0).unwrap_or(c),
        _ => c,
    }
}

#[derive(Debug)]
enum Piece {
    /// In lower case.
    Letters(String),
    Number {
        text: String,
        percent: bool,
        glued: bool,
    },
}

/// Splits where letters end, where camel case starts a word, and between letters and digits.
fn pieces(text: &str) -> Vec<Piece> {
    let chars: Vec<char> = text.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or(' ');
    let mut pieces = Vec::new();
    let mut index = 0;
    while index < chars.len() {
        let start = index;
        if at(index).is_ascii_digit() {
            let inner = |i: usize| matches!(at(i), '.' | ',') && at(i + 1).is_ascii_digit();
            while at(index).is_ascii_digit() || inner(index) {
                index += 1;
            }
            let glued = start > 0 && at(start - 1).is_alphabetic();
            let text: String = chars[start..index].iter().collect();
            // A fraction: `1/2`.
            let fraction = !glued && at(index) == '/' && at(index + 1).is_ascii_digit();
            while fraction && (at(index) == '/' || at(index).is_ascii_digit()) {
                index += 1;
            }
            let sign = (index..chars.len()).find(|i| !at(*i).is_whitespace());
            let percent = fraction || sign.is_some_and(|i| at(i) == '%');
            pieces.push(Piece::Number { text, percent, glued });
        } else if at(index).is_alphabetic() {
            index += 1;
            while at(index).is_alphabetic() && !(at(index).is_uppercase() && at(index - 1).is_lowercase()) {
                index += 1;
            }
            pieces.push(Piece::Letters(chars[start..index].iter().flat_map(|c| c.to_lowercase()).collect()));
        } else {
            index += 1;
        }
    }
    pieces
}

/// Single letters in a row are one word: `S/L`, `T.P.`, `L-X`.
fn joined(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::new();
    let mut open = false;
    for piece in pieces {
        let single = matches!(&piece, Piece::Letters(letters) if letters.chars().count() == 1);
        match (out.last_mut(), piece) {
            (Some(Piece::Letters(before)), Piece::Letters(letter)) if open && single => before.push_str(&letter),
            (_, piece) => out.push(piece),
        }
        open = single;
    }
    out
}

fn number(text: &str, percent: bool, glued: bool) -> Number {
    let plain = text.replace(',', "");
    let below_hundred = plain.split('.').next().is_some_and(|whole| whole.trim_start_matches('0').len() < 3);
    Number { whole: plain.parse().ok(), below_hundred, percent, glued }
}

/// The words that letters without a gap make: `closelong` is two.
fn read(letters: &str) -> Vec<Token> {
    match letters {
        "l" => return vec![Token::Letter(Word::Long)],
        "s" => return vec![Token::Letter(Word::Short)],
        "t" => return vec![Token::Letter(Word::Target)],
        "x" => return vec![Token::Letter(Word::Exit)],
        _ => {}
    }
    if let Some((_, value)) = ORDINALS.iter().find(|(word, _)| *word == letters) {
        return vec![Token::Number(Number { whole: Some(*value), below_hundred: true, percent: false, glued: true })];
    }
    match split(letters, 0) {
        Some(words) => words.into_iter().map(Token::Word).collect(),
        None => vec![Token::Other],
    }
}

/// As few words as make up the letters.
fn split(letters: &str, depth: usize) -> Option<Vec<Word>> {
    const WORDS_MAX: usize = 5;
    if letters.is_empty() {
        return Some(Vec::new());
    }
    if depth == WORDS_MAX {
        return None;
    }
    let mut best: Option<Vec<Word>> = None;
    for (spelling, words) in WORDS {
        let Some(rest) = letters.strip_prefix(spelling) else { continue };
        // Two letters are too little to find a word by within others, but for the levels.
        let whole = depth == 0 && rest.is_empty();
        if spelling.len() < 3 && !whole && !matches!(*spelling, "tp" | "sl" | "to" | "be") {
            continue;
        }
        if let Some(rest) = split(rest, depth + 1) {
            let found: Vec<Word> = words.iter().copied().chain(rest).collect();
            if best.as_ref().is_none_or(|best| found.len() < best.len()) {
                best = Some(found);
            }
        }
    }
    best
}

/// A lone `T` is a target only before a number, and `percent` belongs to the number before it.
fn spell_out(mut tokens: Vec<Token>) -> Vec<Token> {
    for index in 0..tokens.len() {
        let next = tokens.get(index + 1).copied();
        if tokens[index] == Token::Letter(Word::Target) {
            let number = matches!(next, Some(Token::Number(number)) if number.glued);
            tokens[index] = if number { Token::Word(Word::Target) } else { Token::Other };
        }
        if let (Token::Number(number), Some(Token::Word(Word::Percent))) = (&mut tokens[index], next) {
            number.percent = true;
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_whatever_joins_them() {
        let long = [Token::Word(Word::Close), Token::Word(Word::Long)];
        for text in
            ["close long", "CLOSE_LONG", "closeLong", "closelong", "CloseLong", "⛔ close-long!!", "Close(long)"]
        {
            assert_eq!(tokens(text), long, "{text}");
        }
        for text in ["sl", "S/L", "s.l.", "S L", "ＳＬ"] {
            assert_eq!(tokens(text), [Token::Word(Word::StopLoss)], "{text}");
        }
        for text in ["slow", "http", "clothes", "exitus", "enclose", "topic", "tpx", "Вход"] {
            assert_eq!(tokens(text), [Token::Other], "{text}");
        }
        assert_eq!(tokens("🚀 !!"), []);
    }

    #[test]
    fn numbers_tell_whether_they_are_percentages_and_where_they_stand() {
        let number = |text: &str| {
            tokens(text).into_iter().find_map(|token| match token {
                Token::Number(number) => Some(number),
                _ => None,
            })
        };
        let tp1 = number("TP1").unwrap();
        assert_eq!((tp1.whole, tp1.glued, tp1.percent), (Some(1), true, false));
        let half = number("close 50 %").unwrap();
        assert_eq!((half.whole, half.glued, half.percent, half.below_hundred), (Some(50), false, true, true));
        assert!(number("close 50 percent").unwrap().percent);
        assert!(!number("close 100%").unwrap().below_hundred);
        assert_eq!(number("SL 42,000.5").unwrap().whole, None);
        assert_eq!(number("second target").unwrap().whole, Some(2));
    }

    #[test]
    fn what_is_long_is_no_phrase_and_costs_nothing() {
        assert_eq!(tokens(&"close".repeat(1_000)), [Token::Other]);
        assert_eq!(tokens(&"tosl".repeat(49)), [Token::Other]);
    }
}
