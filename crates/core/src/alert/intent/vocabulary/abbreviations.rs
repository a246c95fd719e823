//! Abbreviations. Each is another thing's name, too: they count only where all of a phrase is known with them.

use super::{Abbreviation, Word};

/// Those of option orders. `BTC`, to buy to close, is none of them: it is a coin.
pub(super) const ABBREVIATIONS: &[Abbreviation] = &[
    ("bto", &[Word::Buy, Word::To, Word::Enter]),
    ("sto", &[Word::Sell, Word::To, Word::Enter]),
    ("stc", &[Word::Sell, Word::To, Word::Close]),
];

/// Those that orders are called by.
pub(super) const OF_REMARKS: &[Abbreviation] = &[
    ("cl", &[Word::Close, Word::Long]),
    ("lc", &[Word::Close, Word::Long]),
    ("cs", &[Word::Close, Word::Short]),
    ("sc", &[Word::Close, Word::Short]),
    ("lsl", &[Word::Long, Word::StopLoss]),
    ("sll", &[Word::Long, Word::StopLoss]),
    ("ssl", &[Word::Short, Word::StopLoss]),
    ("sls", &[Word::Short, Word::StopLoss]),
    ("ltp", &[Word::Long, Word::Target]),
    ("tpl", &[Word::Long, Word::Target]),
    // A stop, or the take profit of a short trade: the order tells which trade ends, and nothing tells why.
    ("stp", &[Word::Trail]),
];
