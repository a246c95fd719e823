//! Abbreviations. Each is another thing's name, too: they count only where all of a phrase is known with them.

use super::{LabelAbbreviation, VocabularyWord};

/// Those of option orders. `BTC`, to buy to close, is none of them: it is a coin.
pub(super) const ABBREVIATIONS: &[LabelAbbreviation] = &[
    ("bto", &[VocabularyWord::Buy, VocabularyWord::To, VocabularyWord::Enter]),
    ("sto", &[VocabularyWord::Sell, VocabularyWord::To, VocabularyWord::Enter]),
    ("stc", &[VocabularyWord::Sell, VocabularyWord::To, VocabularyWord::Close]),
];

/// Those that orders are called by.
pub(super) const OF_REMARKS: &[LabelAbbreviation] = &[
    ("cl", &[VocabularyWord::Close, VocabularyWord::Long]),
    ("lc", &[VocabularyWord::Close, VocabularyWord::Long]),
    ("cs", &[VocabularyWord::Close, VocabularyWord::Short]),
    ("sc", &[VocabularyWord::Close, VocabularyWord::Short]),
    ("lsl", &[VocabularyWord::Long, VocabularyWord::StopLoss]),
    ("sll", &[VocabularyWord::Long, VocabularyWord::StopLoss]),
    ("ssl", &[VocabularyWord::Short, VocabularyWord::StopLoss]),
    ("sls", &[VocabularyWord::Short, VocabularyWord::StopLoss]),
    ("ltp", &[VocabularyWord::Long, VocabularyWord::Target]),
    ("tpl", &[VocabularyWord::Long, VocabularyWord::Target]),
    // A stop, or the take profit of a short trade: the order tells which trade ends, and nothing tells why.
    ("stp", &[VocabularyWord::Trail]),
];
