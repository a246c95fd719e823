//! The words of a phrase: found whatever case, punctuation and joints they come in.

mod abbreviations;
mod languages;
mod words;

use self::languages::OTHER_LANGUAGES;
use rust_decimal::Decimal;

use self::abbreviations::{ABBREVIATIONS, OF_REMARKS};
use self::words::{NEVER_JOINED, ORDINALS, OTHERS, WORDS};
use crate::alert::letters;
use crate::market::Side;

/// The most characters of a phrase that are looked at. What is longer is no phrase.
const CHARS_MAX: usize = 200;

/// A word's sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VocabularyWord {
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
    /// Sold or bought: what became of a trade, in an order's name.
    Sold,
    Bought,
    Back,
    Get,
    Cash,
    Kill,
    Switch,
    /// `panic`, `emergency`: what an exit is called after, and a sale.
    Panic,
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
    /// What an exit may be called after: `manual exit`.
    Modifier,
    /// What is seen on a chart: exits are called after it, and prices close above or below it.
    Chart,
    Time,
    /// A stretch of trading: `session`, `day`. With a word of ending it is the end of trades, too.
    Period,
    /// What ends trades by itself, in one word: `EOD`, `expired`, `liquidation`.
    RunOut,
    End,
    /// What closes by itself, as `daily` and `candle` in `daily close` say.
    Bar,
    Hold,
    Most,
    Drawdown,
    /// A signal is, or a bar's close.
    Strong,
    All,
    With,
    On,
    Of,
    /// Nothing is to be done.
    Idle,
    /// What an order came of: `reverse signal`.
    Signal,
    /// What ends, where it is said to: `trade over`.
    Trade,
    /// Says nothing.
    Filler,
}

impl VocabularyWord {
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
pub(super) struct PhraseNumber {
    /// Its value, where it is a small whole number.
    pub(super) whole: Option<u32>,
    pub(super) value: Option<Decimal>,
    pub(super) below_hundred: bool,
    pub(super) percent: bool,
    /// Right after a letter: `TP1`.
    pub(super) glued: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PhraseToken {
    Word(VocabularyWord),
    /// A single letter that stands for a word in an order's id: `L`, `S`, `X`.
    Letter(VocabularyWord),
    Number(PhraseNumber),
    /// A single letter that may be a trade's name.
    Initial,
    /// A word that is not known.
    Other,
}

impl PhraseToken {
    pub(super) const fn word(self) -> Option<VocabularyWord> {
        match self {
            Self::Word(word) | Self::Letter(word) => Some(word),
            Self::Number(_) | Self::Initial | Self::Other => None,
        }
    }
}

/// The words and numbers of a text, in order.
pub(super) fn tokens(text: &str) -> Vec<PhraseToken> {
    if text.chars().count() > CHARS_MAX {
        return vec![PhraseToken::Other];
    }
    // The plural in brackets, as in TradingView's own `Close entry(s) order`.
    let text = letters::unstyled_text(&text.replace("(s)", "").replace("(S)", "").replace('@', " at "));
    let as_written = tokens_of(&text, &[]);
    if !as_written.contains(&PhraseToken::Other) {
        return as_written;
    }
    // Capitals need not mean that a word begins: `eXiT`.
    let in_one_case = tokens_of(&text.to_lowercase(), &[]);
    if in_one_case.contains(&PhraseToken::Other) { as_written } else { in_one_case }
}

/// The words of a text with abbreviations in it, where with them all of it is known. `remark`: it is an order's name.
pub(super) fn read_abbreviated(text: &str, remark: bool) -> Option<Vec<PhraseToken>> {
    if text.chars().count() > CHARS_MAX || !tokens(text).contains(&PhraseToken::Other) {
        return None;
    }
    let known = [ABBREVIATIONS, if remark { OF_REMARKS } else { &[] }];
    let tokens = tokens_of(&letters::unstyled_text(&text.replace('@', " at ")), &known);
    (!tokens.contains(&PhraseToken::Other) && !tokens.contains(&PhraseToken::Initial)).then_some(tokens)
}

fn tokens_of(text: &str, abbreviations: &[&[LabelAbbreviation]]) -> Vec<PhraseToken> {
    let mut tokens = Vec::new();
    for piece in join_pieces(pieces(text)) {
        match piece {
            PhrasePiece::Number { text, percent, glued } => {
                tokens.push(PhraseToken::Number(number(&text, percent, glued)))
            }
            // `1st`, `2nd`.
            PhrasePiece::Letters(end) if is_ordinal(&end) && matches!(tokens.last(), Some(PhraseToken::Number(_))) => {}
            PhrasePiece::Letters(letters) => {
                match abbreviations.iter().copied().flatten().find(|(short, _)| *short == letters) {
                    Some((_, words)) => tokens.extend(words.iter().map(|word| PhraseToken::Word(*word))),
                    None => tokens.extend(read(&letters)),
                }
            }
        }
    }
    spell_out(tokens)
}

fn is_ordinal(letters: &str) -> bool {
    matches!(letters, "st" | "nd" | "rd" | "th")
}

/// A few letters, and the words that they stand for.
type LabelAbbreviation = (&'static str, &'static [VocabularyWord]);

#[derive(Debug)]
enum PhrasePiece {
    /// In lower case.
    Letters(String),
    Number {
        text: String,
        percent: bool,
        glued: bool,
    },
}

/// Splits where letters end, where camel case starts a word, and between letters and digits.
fn pieces(text: &str) -> Vec<PhrasePiece> {
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
            pieces.push(PhrasePiece::Number { text, percent, glued });
        } else if at(index).is_alphabetic() {
            index += 1;
            while at(index).is_alphabetic() && !(at(index).is_uppercase() && at(index - 1).is_lowercase()) {
                index += 1;
            }
            pieces.push(PhrasePiece::Letters(chars[start..index].iter().flat_map(|c| c.to_lowercase()).collect()));
        } else {
            index += 1;
        }
    }
    pieces
}

/// Single letters in a row are one word: `S/L`, `T.P.`, `L-X`.
fn join_pieces(pieces: Vec<PhrasePiece>) -> Vec<PhrasePiece> {
    let mut out: Vec<PhrasePiece> = Vec::new();
    let mut open = false;
    for piece in pieces {
        let single = matches!(&piece, PhrasePiece::Letters(letters) if letters.chars().count() == 1);
        match (out.last_mut(), piece) {
            (Some(PhrasePiece::Letters(before)), PhrasePiece::Letters(letter)) if open && single => {
                before.push_str(&letter)
            }
            (_, piece) => out.push(piece),
        }
        open = single;
    }
    out
}

fn number(text: &str, percent: bool, glued: bool) -> PhraseNumber {
    let plain = text.replace(',', "");
    let below_hundred = plain.split('.').next().is_some_and(|whole| whole.trim_start_matches('0').len() < 3);
    PhraseNumber { whole: plain.parse().ok(), value: plain.parse().ok(), below_hundred, percent, glued }
}

/// The words that letters without a gap make: `closelong` is two.
fn read(letters: &str) -> Vec<PhraseToken> {
    match letters {
        "l" => return vec![PhraseToken::Letter(VocabularyWord::Long)],
        "s" => return vec![PhraseToken::Letter(VocabularyWord::Short)],
        "t" => return vec![PhraseToken::Letter(VocabularyWord::Target)],
        "x" => return vec![PhraseToken::Letter(VocabularyWord::Exit)],
        // That of a ratio: `TP 2R`.
        "r" => {}
        letter if letter.len() == 1 => return vec![PhraseToken::Initial],
        _ => {}
    }
    if let Some((_, value)) = ORDINALS.iter().find(|(word, _)| *word == letters) {
        let (whole, value) = (Some(*value), Some((*value).into()));
        return vec![PhraseToken::Number(PhraseNumber {
            whole,
            value,
            below_hundred: true,
            percent: false,
            glued: true,
        })];
    }
    match split(letters, 0) {
        Some(words) => words.into_iter().map(PhraseToken::Word).collect(),
        None => vec![PhraseToken::Other],
    }
}

/// As few words as make up the letters.
fn split(letters: &str, depth: usize) -> Option<Vec<VocabularyWord>> {
    const WORDS_MAX: usize = 5;
    if letters.is_empty() {
        return Some(Vec::new());
    }
    if depth == WORDS_MAX || OTHERS.iter().any(|other| letters.contains(other)) {
        return None;
    }
    let mut best: Option<Vec<VocabularyWord>> = None;
    let english = WORDS.iter().map(|(spelling, words)| (*spelling, *words, true));
    let others = OTHER_LANGUAGES.iter().map(|(spelling, word)| (*spelling, std::slice::from_ref(word), false));
    for (spelling, words, is_english) in english.chain(others) {
        let Some(rest) = letters.strip_prefix(spelling) else { continue };
        let whole = depth == 0 && rest.is_empty();
        if !whole && !is_part(spelling, is_english) {
            continue;
        }
        if let Some(rest) = split(rest, depth + 1) {
            let found: Vec<VocabularyWord> = words.iter().copied().chain(rest).collect();
            if best.as_ref().is_none_or(|best| found.len() < best.len()) {
                best = Some(found);
            }
        }
    }
    best
}

/// Whether a word is found within others. Two letters are too little for that, but for the levels.
fn is_part(spelling: &str, is_english: bool) -> bool {
    let latin = spelling.chars().any(|c| c.is_ascii_alphabetic());
    let long = spelling.len() > 2 || matches!(spelling, "tp" | "sl" | "to" | "be");
    !latin || is_english && long && !NEVER_JOINED.contains(&spelling)
}

/// A lone `T` is a target only before a number, and `percent` belongs to the number before it.
fn spell_out(mut tokens: Vec<PhraseToken>) -> Vec<PhraseToken> {
    for index in 0..tokens.len() {
        let next = tokens.get(index + 1).copied();
        if tokens[index] == PhraseToken::Letter(VocabularyWord::Target) {
            let number = matches!(next, Some(PhraseToken::Number(number)) if number.glued);
            tokens[index] = if number { PhraseToken::Word(VocabularyWord::Target) } else { PhraseToken::Other };
        }
        if let (PhraseToken::Number(number), Some(PhraseToken::Word(VocabularyWord::Percent))) =
            (&mut tokens[index], next)
        {
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
        let long = [PhraseToken::Word(VocabularyWord::Close), PhraseToken::Word(VocabularyWord::Long)];
        for text in [
            "close long",
            "CLOSE_LONG",
            "closeLong",
            "closelong",
            "CloseLong",
            "⛔ close-long!!",
            "Close(long)",
            "cLoSe LoNg",
            "𝗖𝗹𝗼𝘀𝗲 𝗟𝗼𝗻𝗴",
            "cl\u{200b}ose long",
            "закрыть лонг",
        ] {
            assert_eq!(tokens(text), long, "{text}");
        }
        for text in ["sl", "S/L", "s.l.", "S L", "ＳＬ", "止损", "損切り"] {
            assert_eq!(tokens(text), [PhraseToken::Word(VocabularyWord::StopLoss)], "{text}");
        }
        for text in ["slow", "http", "clothes", "exitus", "enclose", "topic", "tpx", "Выше", "breakout"] {
            assert_eq!(tokens(text), [PhraseToken::Other], "{text}");
        }
        assert_eq!(tokens("🚀 !!"), []);
    }

    #[test]
    fn numbers_tell_whether_they_are_percentages_and_where_they_stand() {
        let number = |text: &str| {
            tokens(text).into_iter().find_map(|token| match token {
                PhraseToken::Number(number) => Some(number),
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
        assert_eq!(tokens(&"close".repeat(1_000)), [PhraseToken::Other]);
        assert_eq!(tokens(&"tosl".repeat(49)), [PhraseToken::Other]);
    }
}
