//! The field's small words: side, signal, timeframe, symbol.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant),+
        }

        impl $name {
            /// Every value, in the seed's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Their spellings in documents.
            pub const WORDS: &'static [&'static str] = &[$($text),+];

            /// The spelling in documents.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The value spelt exactly so.
            pub fn from_exact(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text)
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl From<$name> for bson::Bson {
            fn from(value: $name) -> Self {
                Self::String(value.as_str().to_owned())
            }
        }
    };
}
pub(crate) use words;

words! {
    /// The direction of an entry and of a trade (seed 2.6 `signal`).
    Side { Buy = "BUY", Sell = "SELL" }
}

impl Side {
    /// The other direction.
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }
}

words! {
    /// What an alert says (seed 2.7 `signal`).
    Signal { Buy = "BUY", Sell = "SELL", TpHit = "TP_HIT", SlHit = "SL_HIT" }
}

impl Signal {
    /// The side that this signal opens; none for an exit.
    pub const fn entry_side(self) -> Option<Side> {
        match self {
            Self::Buy => Some(Side::Buy),
            Self::Sell => Some(Side::Sell),
            Self::TpHit | Self::SlHit => None,
        }
    }
}

impl From<Side> for Signal {
    fn from(side: Side) -> Self {
        match side {
            Side::Buy => Self::Buy,
            Side::Sell => Self::Sell,
        }
    }
}

words! {
    /// Why a trade ended (seed 2.6 `exitReason`).
    ExitReason { TpHit = "TP_HIT", SlHit = "SL_HIT", Replaced = "REPLACED", Manual = "MANUAL" }
}

words! {
    /// A bar's length (seed 2.3 `timeframe`).
    Timeframe {
        M1 = "1m", M5 = "5m", M15 = "15m", M30 = "30m", H1 = "1h", H2 = "2h", H4 = "4h", H6 = "6h", H12 = "12h",
        D1 = "1d", W1 = "1w",
    }
}

/// The text is no timeframe that the seed knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTimeframe {
    /// TradingView's `1M`: a month, which the seed has not.
    #[error(
        "is a month in TradingView's spelling, which is not supported; use one of 1m 5m 15m 30m 1h 2h 4h 6h 12h 1d 1w"
    )]
    Month,
    /// Anything else.
    #[error("is not a timeframe; use one of 1m 5m 15m 30m 1h 2h 4h 6h 12h 1d 1w")]
    Unknown,
}

impl Timeframe {
    /// One bar's duration.
    pub const fn duration(self) -> Duration {
        let minutes = match self {
            Self::M1 => 1,
            Self::M5 => 5,
            Self::M15 => 15,
            Self::M30 => 30,
            Self::H1 => 60,
            Self::H2 => 120,
            Self::H4 => 240,
            Self::H6 => 360,
            Self::H12 => 720,
            Self::D1 => 1_440,
            Self::W1 => 10_080,
        };
        Duration::from_secs(minutes * 60)
    }
}

impl FromStr for Timeframe {
    type Err = BadTimeframe;

    /// Reads the seed's spelling and TradingView's `{{interval}}`. Case counts for one letter only: `1M` is a month.
    fn from_str(text: &str) -> Result<Self, BadTimeframe> {
        let text = text.trim();
        if text == "1M" || text == "M" {
            return Err(BadTimeframe::Month);
        }
        let spelled = match text {
            "1" => "1m",
            "5" => "5m",
            "15" => "15m",
            "30" => "30m",
            "60" => "1h",
            "120" => "2h",
            "240" => "4h",
            "360" => "6h",
            "720" => "12h",
            "D" | "d" => "1d",
            "W" | "w" => "1w",
            other => other,
        };
        Self::ALL.iter().copied().find(|tf| tf.as_str().eq_ignore_ascii_case(spelled)).ok_or(BadTimeframe::Unknown)
    }
}

/// An instrument, upper-case and trimmed (seed 2.3); never empty. An exchange prefix (`NASDAQ:`) may stand before it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Symbol(String);

/// How TradingView ends the name of an exchange whose data come late.
const DELAYED: [&str; 2] = ["_DLY", "_DL"];

impl Symbol {
    /// The most characters a symbol may have.
    pub const LENGTH_MAX: usize = 64;

    /// The symbol in upper case; none where nothing is left of it or it is longer than 64 characters.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim().to_uppercase();
        (!text.is_empty() && text.chars().count() <= Self::LENGTH_MAX).then_some(Self(text))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the colon: the exchange, or the feed; none where nothing does.
    pub fn exchange(&self) -> Option<&str> {
        self.0.split_once(':').map(|(exchange, _)| exchange)
    }

    /// The symbol at that exchange: `NASDAQ:AAPL` of `AAPL`; none where it has an exchange.
    pub fn at_exchange(&self, exchange: &str) -> Option<Self> {
        self.exchange().is_none().then(|| Self::new(&format!("{}:{}", exchange.trim(), self.0)))?
    }

    /// The symbol of the same instrument as it is now, where this is that of a delayed feed: `NSE:RELIANCE` of
    /// `NSE_DLY:RELIANCE`.
    pub fn without_delay(&self) -> Option<Self> {
        let (feed, rest) = self.0.split_once(':')?;
        DELAYED.iter().find_map(|mark| feed.strip_suffix(mark)).and_then(|now| Self::new(&format!("{now}:{rest}")))
    }

    /// The symbol without its exchange prefix: `AAPL` of `NASDAQ:AAPL`; none where it has no prefix.
    pub fn without_exchange(&self) -> Option<Self> {
        self.0.split_once(':').and_then(|(_, rest)| Self::new(rest))
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tradingview_intervals_are_timeframes() {
        let table = [
            ("1", "1m"),
            ("5", "5m"),
            ("15", "15m"),
            ("30", "30m"),
            ("60", "1h"),
            ("120", "2h"),
            ("240", "4h"),
            ("360", "6h"),
            ("720", "12h"),
            ("D", "1d"),
            ("1D", "1d"),
            ("W", "1w"),
            ("1W", "1w"),
            ("1H", "1h"),
            ("1m", "1m"),
            ("15M", "15m"),
            ("4h", "4h"),
        ];
        for (text, want) in table {
            assert_eq!(text.parse::<Timeframe>().map(Timeframe::as_str), Ok(want), "{text}");
        }
        assert_eq!("1M".parse::<Timeframe>(), Err(BadTimeframe::Month));
        assert_eq!("3h".parse::<Timeframe>(), Err(BadTimeframe::Unknown));
    }

    #[test]
    fn a_symbol_is_upper_case_and_loses_its_exchange_on_request() {
        let symbol = Symbol::new(" nasdaq:aapl ").unwrap();
        assert_eq!(symbol.as_str(), "NASDAQ:AAPL");
        assert_eq!(symbol.without_exchange().unwrap().as_str(), "AAPL");
        assert_eq!(Symbol::new("AAPL").unwrap().without_exchange(), None);
        assert_eq!(Symbol::new("  "), None);
        assert_eq!(Symbol::new("AAPL").unwrap().at_exchange(" nasdaq ").unwrap(), symbol);
        assert_eq!(symbol.at_exchange("NYSE"), None);
    }

    #[test]
    fn a_delayed_feed_is_known_by_its_name() {
        let now = |text: &str| Symbol::new(text).unwrap().without_delay().map(|symbol| symbol.to_string());
        assert_eq!(now("NSE_DLY:RELIANCE").as_deref(), Some("NSE:RELIANCE"));
        assert_eq!(now("CME_MINI_DL:ES1!").as_deref(), Some("CME_MINI:ES1!"));
        for other in ["NSE:RELIANCE", "RELIANCE", "RELIANCE_DLY", "NSE:A_DLY"] {
            assert_eq!(now(other), None, "{other}");
        }
    }
}
