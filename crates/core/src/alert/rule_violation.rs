//! What is wrong with an alert, in words for the person who can change it.

use serde::{Deserialize, Serialize};

use crate::market::words;

/// The most characters of a value that a message repeats.
const SHOWN_CHARS_MAX: usize = 60;

words! {
    /// Which rule a problem breaks. The spellings are stable: programs may rely on them.
    ProblemCode {
        /// A field that every alert needs, or that the configuration requires, is not there.
        Missing = "missing",
        /// A price or a level that cannot be read as a number.
        NotANumber = "not_a_number",
        /// A price or a level of an entry that is zero or below.
        NotPositive = "not_positive",
        /// A `{{…}}` that TradingView did not fill.
        Placeholder = "placeholder",
        /// A symbol that is too long or has characters no symbol has.
        BadSymbol = "bad_symbol",
        /// A signal that is none of the four.
        UnknownSignal = "unknown_signal",
        /// A timeframe that the seed does not have.
        UnknownTimeframe = "unknown_timeframe",
        /// A market position that is none of long, short and flat.
        UnknownPosition = "unknown_position",
        /// A timestamp that cannot be read.
        BadTimestamp = "bad_timestamp",
        /// A timestamp more than five minutes old (seed 5.1).
        Stale = "stale",
        /// A timestamp more than a minute ahead.
        Ahead = "ahead",
        /// No configuration has this symbol, timeframe and strategy (seed 5.1).
        UnknownConfiguration = "unknown_configuration",
        /// The configuration's document cannot be read in what entries depend on.
        ConfigurationUnreadable = "configuration_unreadable",
        /// The configuration takes no entries now.
        ConfigurationInactive = "configuration_inactive",
        /// The configuration's `alertTypes` leave this signal out (seed 5.1).
        SignalDisabled = "signal_disabled",
        /// The take profit stands on the wrong side of the price (seed 5.1).
        TpSide = "tp_side",
        /// The stop loss stands on the wrong side of the price (seed 5.1).
        SlSide = "sl_side",
        /// The price is too far from the last one (`priceValidation`).
        PriceTolerance = "price_tolerance",
        /// A target that is not farther from the price than the one before it.
        TargetOrder = "target_order",
        /// A list, an object, or true or false, where one value belongs.
        WrongType = "wrong_type",
        /// A text that is longer than its field may be.
        TooLong = "too_long",
        /// Fields that cannot all be true.
        Contradictory = "contradictory",
    }
}

/// One thing that is wrong with an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleViolation {
    /// The field's canonical name: `symbol`, `timeframe`, `strategy`, `signal`, `price`, `tp`, `sl`, `timestamp`, …
    pub field: String,
    /// Which rule it breaks.
    pub code: ProblemCode,
    /// What is wrong and what to change. It repeats little of the alert and none of its secrets.
    pub message: String,
}

impl RuleViolation {
    /// A problem of one field.
    pub fn new(field: &str, code: ProblemCode, message: impl Into<String>) -> Self {
        Self { field: field.to_owned(), code, message: message.into() }
    }
}

/// A value as a message shows it: in quotes, on one line, at most some sixty characters.
pub fn show_value(value: &str) -> String {
    format!("\"{}\"", plain(value))
}

/// The same without the quotes, for names.
pub(super) fn plain(value: &str) -> String {
    let mut out = String::new();
    let mut count = 0;
    for c in value.chars() {
        let piece = if invisible(c) { c.escape_unicode().to_string() } else { c.to_string() };
        count += piece.chars().count();
        if count > SHOWN_CHARS_MAX {
            out.push('…');
            break;
        }
        out.push_str(&piece);
    }
    out
}

/// Characters that would break a line, hide themselves, or turn the text after them round.
fn invisible(c: char) -> bool {
    c.is_control()
        || (c.is_whitespace() && c != ' ')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_value_is_short_and_plain() {
        assert_eq!(show_value("AAPL"), "\"AAPL\"");
        assert_eq!(show_value("a\nb"), "\"a\\u{a}b\"");
        assert_eq!(show_value(&"x".repeat(100)).chars().count(), 63);
        assert!(!show_value("\u{202e}abc").contains('\u{202e}'));
        assert!(show_value(&"\0".repeat(70)).chars().count() <= 63);
    }

    #[test]
    fn a_code_is_spelt_in_snake_case() {
        let json = serde_json::to_string(&RuleViolation::new("price", ProblemCode::NotANumber, "x")).unwrap();
        assert_eq!(json, r#"{"field":"price","code":"not_a_number","message":"x"}"#);
    }
}
