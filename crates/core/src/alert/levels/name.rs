//! What a field's name says of a level: `tp`, `takeProfit2`, `stop_loss_price`, `sl_pct`, `target_1_pips`, `tp_type`.
//!
//! A name is taken apart into known words, from its start; a name with any other word in it is no level's (`tp_enabled`,
//! `target_symbol`, `tpsl`), and is left among the additional data.

use super::super::names;
use crate::market::Side;

/// A target's number above this is no number of a target: `tp100` is something else.
pub(super) const NUMBER_MAX: u32 = 99;

/// On which side of the price a level ends a trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LevelKind {
    TakeProfit,
    StopLoss,
}

/// What a level is given in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LevelUnit {
    Price,
    /// Percent of the entry's price: 2 is 2 %, and 0.02 is 0.02 %.
    Percent,
    /// Pips, ticks, points, ATRs, money: of these no price can be made without knowing the instrument.
    Distance,
}

/// What a field of such a name holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LevelNameSense {
    Level(LevelUnit),
    /// In which unit the level is given that stands beside it: `tp_type`, `sl_unit`.
    UnitOfIt,
}

/// A level's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LevelName {
    pub(super) kind: LevelKind,
    /// Of several levels, which one; from 1, up to `NUMBER_MAX`.
    pub(super) number: Option<u32>,
    pub(super) says: LevelNameSense,
    /// Whether the name is no other thing's in a level's object, as `stop` and `target` may be.
    pub(super) is_plain: bool,
    /// It is a name of several levels: `targets`.
    pub(super) is_plural: bool,
    /// It may be another thing's name: `t1`, a target or a time.
    pub(super) is_weak: bool,
    /// Of which trades it is the level: `tp_long`, where a script sends those of both sides.
    pub(super) side: Option<Side>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum NameWord {
    Stem(LevelKind),
    Price,
    Percent,
    Distance,
    Unit,
    /// A level's number in words.
    Number(u32),
    Side(Side),
    /// Says nothing of the level.
    Plain,
}

/// Words that may stand anywhere in a name. Of those that fit, the longest counts.
const WORDS: &[(&str, NameWord)] = &[
    ("takeprofits", NameWord::Stem(LevelKind::TakeProfit)),
    ("takeprofit", NameWord::Stem(LevelKind::TakeProfit)),
    ("profittargets", NameWord::Stem(LevelKind::TakeProfit)),
    ("profittarget", NameWord::Stem(LevelKind::TakeProfit)),
    ("targets", NameWord::Stem(LevelKind::TakeProfit)),
    ("target", NameWord::Stem(LevelKind::TakeProfit)),
    ("tps", NameWord::Stem(LevelKind::TakeProfit)),
    ("tp", NameWord::Stem(LevelKind::TakeProfit)),
    ("tgts", NameWord::Stem(LevelKind::TakeProfit)),
    ("tgt", NameWord::Stem(LevelKind::TakeProfit)),
    ("pt", NameWord::Stem(LevelKind::TakeProfit)),
    ("stoplosses", NameWord::Stem(LevelKind::StopLoss)),
    ("stoploss", NameWord::Stem(LevelKind::StopLoss)),
    ("stops", NameWord::Stem(LevelKind::StopLoss)),
    ("stop", NameWord::Stem(LevelKind::StopLoss)),
    ("sl", NameWord::Stem(LevelKind::StopLoss)),
    ("invalidation", NameWord::Stem(LevelKind::StopLoss)),
    ("percentage", NameWord::Percent),
    ("percent", NameWord::Percent),
    ("perc", NameWord::Percent),
    ("pct", NameWord::Percent),
    ("prc", NameWord::Percent),
    ("price", NameWord::Price),
    ("first", NameWord::Number(1)),
    ("second", NameWord::Number(2)),
    ("third", NameWord::Number(3)),
    ("long", NameWord::Side(Side::Buy)),
    ("short", NameWord::Side(Side::Sell)),
    ("final", NameWord::Plain),
    ("initial", NameWord::Plain),
    ("hard", NameWord::Plain),
    ("protective", NameWord::Plain),
    ("signal", NameWord::Plain),
    ("strategy", NameWord::Plain),
];

const PLURALS: &[&str] = &["takeprofits", "profittargets", "targets", "tps", "tgts", "stoplosses", "stops"];

/// Words that count before the stem, too.
const WORDS_BEFORE: &[(&str, NameWord)] = &[("limit", NameWord::Price)];

/// A stem that is a level's name with its number alone: `pt1`.
const NEEDS_A_NUMBER: &str = "pt";

/// Words that count behind the stem only.
const WORDS_BEHIND: &[(&str, NameWord)] = &[
    ("stopprice", NameWord::Price),
    ("levels", NameWord::Price),
    ("level", NameWord::Price),
    ("prices", NameWord::Price),
    ("limit", NameWord::Price),
    ("trigger", NameWord::Price),
    ("values", NameWord::Price),
    ("value", NameWord::Price),
    ("val", NameWord::Price),
    ("one", NameWord::Number(1)),
    ("two", NameWord::Number(2)),
    ("three", NameWord::Number(3)),
    ("order", NameWord::Plain),
    ("in", NameWord::Plain),
    ("absolute", NameWord::Price),
    ("abs", NameWord::Price),
    ("rate", NameWord::Price),
    ("px", NameWord::Price),
    ("at", NameWord::Price),
    ("offset", NameWord::Distance),
    ("pips", NameWord::Distance),
    ("pip", NameWord::Distance),
    ("ticks", NameWord::Distance),
    ("tick", NameWord::Distance),
    ("points", NameWord::Distance),
    ("point", NameWord::Distance),
    ("pts", NameWord::Distance),
    ("atr", NameWord::Distance),
    ("distance", NameWord::Distance),
    ("dist", NameWord::Distance),
    ("delta", NameWord::Distance),
    ("bps", NameWord::Distance),
    ("ratio", NameWord::Distance),
    ("rr", NameWord::Distance),
    ("r", NameWord::Distance),
    ("multiplier", NameWord::Distance),
    ("multiple", NameWord::Distance),
    ("mult", NameWord::Distance),
    ("factor", NameWord::Distance),
    ("amount", NameWord::Distance),
    ("money", NameWord::Distance),
    ("cash", NameWord::Distance),
    ("dollars", NameWord::Distance),
    ("usdt", NameWord::Distance),
    ("usd", NameWord::Distance),
    ("inr", NameWord::Distance),
    ("eur", NameWord::Distance),
    ("type", NameWord::Unit),
    ("mode", NameWord::Unit),
    ("method", NameWord::Unit),
    ("units", NameWord::Unit),
    ("unit", NameWord::Unit),
    ("kind", NameWord::Unit),
];

impl LevelName {
    /// What a field's name says of a level, if it names one.
    pub(super) fn of(name: &str) -> Option<Self> {
        if let Some(number) = weakly_numbered(&names::normal(name)) {
            return Some(Self::weak(number));
        }
        let numbers = name.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty()).count();
        let normal = names::normal(name);
        let mut words = NameWords {
            rest: &normal,
            kind: None,
            number: None,
            stem: "",
            says: Vec::new(),
            starts_with_limit: false,
            side: None,
        };
        while numbers < 2 && !words.rest.is_empty() {
            words.take()?;
        }
        let (kind, number) = (words.kind?, words.number);
        let is_name = words.rest.is_empty() && (number.is_some() || words.stem != NEEDS_A_NUMBER);
        is_name.then_some(())?;
        let says = if words.says.contains(&NameWord::Unit) {
            LevelNameSense::UnitOfIt
        } else if words.says.contains(&NameWord::Distance) {
            LevelNameSense::Level(LevelUnit::Distance)
        } else if words.says.contains(&NameWord::Percent) || name.contains('%') {
            LevelNameSense::Level(LevelUnit::Percent)
        } else {
            LevelNameSense::Level(LevelUnit::Price)
        };
        let is_plain = !matches!(words.stem, "stop" | "stops" | "target" | "targets");
        Some(Self {
            kind,
            number,
            says,
            is_plain,
            is_plural: PLURALS.contains(&words.stem),
            is_weak: false,
            side: words.side,
        })
    }

    const fn weak(number: u32) -> Self {
        let (kind, says) = (LevelKind::TakeProfit, LevelNameSense::Level(LevelUnit::Price));
        Self { kind, number: Some(number), says, is_plain: true, is_plural: false, is_weak: true, side: None }
    }

    /// The number that a word is: `first`.
    pub(super) fn number_named(word: &str) -> Option<u32> {
        let named = WORDS.iter().chain(WORDS_BEHIND).find_map(|(spelt, says)| match says {
            NameWord::Number(number) if *spelt == word => Some(*number),
            _ => None,
        });
        // Within a level's object `t1`, `level1` and `1` are one of several.
        let digits = ["level", "lvl", "t", "p"].iter().find_map(|start| word.strip_prefix(start)).unwrap_or(word);
        named.or_else(|| digits.parse().ok())
    }

    /// The unit that a text names, as in `tp_type: "percent"`; none where it names something else.
    pub(super) fn unit_named(text: &str) -> Option<LevelUnit> {
        if text.trim() == "%" {
            return Some(LevelUnit::Percent);
        }
        let word = names::normal(text);
        let word = word.strip_suffix("based").unwrap_or(&word);
        let known = WORDS.iter().chain(WORDS_BEHIND).find(|(spelt, _)| *spelt == word);
        match known {
            Some((_, NameWord::Percent)) => Some(LevelUnit::Percent),
            Some((_, NameWord::Distance)) => Some(LevelUnit::Distance),
            Some((_, NameWord::Price)) if word != "limit" && word != "trigger" => Some(LevelUnit::Price),
            _ => None,
        }
    }
}

/// `t1` to `t9`, and `pt`: mostly targets, but a time's name, too, or a threshold's.
fn weakly_numbered(normal: &str) -> Option<u32> {
    match normal.as_bytes() {
        b"pt" => Some(1),
        [b't', digit @ b'1'..=b'9'] => Some(u32::from(digit - b'0')),
        _ => None,
    }
}

/// A name that is being taken apart.
struct NameWords<'a> {
    rest: &'a str,
    kind: Option<LevelKind>,
    number: Option<u32>,
    stem: &'static str,
    says: Vec<NameWord>,
    starts_with_limit: bool,
    side: Option<Side>,
}

impl NameWords<'_> {
    /// Takes the next word; none where it is none of ours, or one that cannot stand there.
    fn take(&mut self) -> Option<()> {
        if self.rest.starts_with(|c: char| c.is_ascii_digit()) {
            return self.take_number();
        }
        let behind = if self.kind.is_some() { WORDS_BEHIND } else { WORDS_BEFORE };
        let fits = WORDS.iter().chain(behind).filter(|(spelt, _)| self.rest.starts_with(spelt));
        // `tp_second` is none of several.
        let fits = fits.filter(|(spelt, _)| *spelt != "tps" || !self.rest.starts_with("tpsecond"));
        let (spelt, word) = fits.max_by_key(|(spelt, _)| spelt.len())?;
        if let NameWord::Stem(kind) = word {
            // `take_profit_target` is one level, `sl_tp` are two.
            // `limit_stop` is a kind of order, and so is `stop_limit`.
            (self.says.is_empty() || *spelt != "stop" || !self.starts_with_limit).then_some(())?;
            let before = self.kind.replace(*kind);
            self.stem = spelt;
            before.is_none_or(|before| before == *kind).then_some(())?;
        } else if let NameWord::Side(side) = word {
            self.side.replace(*side).is_none().then_some(())?;
        } else if let NameWord::Number(number) = word {
            self.number.replace(*number).is_none().then_some(())?;
        } else if self.stem == "stop" && *spelt == "limit" {
            return None;
        }
        self.starts_with_limit |= self.kind.is_none() && *spelt == "limit";
        self.says.push(*word);
        self.rest = &self.rest[spelt.len()..];
        Some(())
    }

    /// A level's number stands behind the stem, once.
    fn take_number(&mut self) -> Option<()> {
        self.kind?;
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let number = self.rest[..end].parse().ok().filter(|number| *number <= NUMBER_MAX)?;
        self.rest = &self.rest[end..];
        self.number.replace(number).is_none().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_levels_are_known_by_their_words() {
        use LevelKind::{StopLoss, TakeProfit};
        use LevelUnit::{Distance, Percent, Price};
        let table = [
            ("tp", TakeProfit, None, Price),
            ("TP 1", TakeProfit, Some(1), Price),
            ("takeProfitPrice", TakeProfit, None, Price),
            ("take_profit_2_price", TakeProfit, Some(2), Price),
            ("tp_price_3", TakeProfit, Some(3), Price),
            ("target-12", TakeProfit, Some(12), Price),
            ("price_target", TakeProfit, None, Price),
            ("profitTargets", TakeProfit, None, Price),
            ("takeProfitLevels", TakeProfit, None, Price),
            ("tpLimitPrice", TakeProfit, None, Price),
            ("stoploss", StopLoss, None, Price),
            ("stop_loss_1", StopLoss, Some(1), Price),
            ("stop_price", StopLoss, None, Price),
            ("slStopPrice", StopLoss, None, Price),
            ("stop_loss_trigger_price", StopLoss, None, Price),
            ("take_profit_targets", TakeProfit, None, Price),
            ("tp_target_2", TakeProfit, Some(2), Price),
            ("first_target", TakeProfit, Some(1), Price),
            ("tgt1", TakeProfit, Some(1), Price),
            ("takeProfitLevel1", TakeProfit, Some(1), Price),
            ("sl_price1", StopLoss, Some(1), Price),
            ("limit_tp", TakeProfit, None, Price),
            ("limitTakeProfit2", TakeProfit, Some(2), Price),
            ("target_one", TakeProfit, Some(1), Price),
            ("TargetTwo", TakeProfit, Some(2), Price),
            ("T1", TakeProfit, Some(1), Price),
            ("t_2", TakeProfit, Some(2), Price),
            ("pt", TakeProfit, Some(1), Price),
            ("tp_second", TakeProfit, Some(2), Price),
            ("final_target", TakeProfit, None, Price),
            ("tp_long", TakeProfit, None, Price),
            ("shortStopLoss", StopLoss, None, Price),
            ("PT2", TakeProfit, Some(2), Price),
            ("ｔｐ１", TakeProfit, Some(1), Price),
            ("tp_order_price", TakeProfit, None, Price),
            ("stops", StopLoss, None, Price),
            ("initialStop", StopLoss, None, Price),
            ("strategy.sl", StopLoss, None, Price),
            ("tp_in_percent", TakeProfit, None, Percent),
            ("tp_percent", TakeProfit, None, Percent),
            ("tp1_pct", TakeProfit, Some(1), Percent),
            ("take_profit_percentage", TakeProfit, None, Percent),
            ("pct_sl", StopLoss, None, Percent),
            ("sl %", StopLoss, None, Percent),
            ("tp%2", TakeProfit, Some(2), Percent),
            ("sl_pips", StopLoss, None, Distance),
            ("stopLossOffset", StopLoss, None, Distance),
            ("tp_atr_multiplier", TakeProfit, None, Distance),
            ("tp2_ticks", TakeProfit, Some(2), Distance),
            ("sl_atr_percent", StopLoss, None, Distance),
        ];
        for (name, kind, number, unit) in table {
            let read = LevelName::of(name).map(|name| (name.kind, name.number, name.says));
            assert_eq!(read, Some((kind, number, LevelNameSense::Level(unit))), "{name}");
        }
        for name in ["tp_type", "sl_mode", "take_profit_unit", "stopLossType", "tp1Mode"] {
            assert_eq!(LevelName::of(name).map(|name| name.says), Some(LevelNameSense::UnitOfIt), "{name}");
        }
    }

    #[test]
    fn names_with_other_words_are_no_levels() {
        for name in [
            "tpsl",
            "sl_tp",
            "tp_enabled",
            "use_sl",
            "target_symbol",
            "stop_limit",
            "stop_limit_price",
            "stopped",
            "tp100",
            "1tp",
            "tp_1_2",
            "tp1_hit",
            "slippage",
            "slope",
            "price",
            "percent",
            "limitPrice",
            "stop_time",
            "trailing_stop",
            "limit_stop",
            "long_short_tp",
            "long",
            "limit",
            "t",
            "t0",
            "t10",
            "t1_time",
            "one",
            "",
            "１",
        ] {
            assert_eq!(LevelName::of(name), None, "{name}");
        }
    }

    #[test]
    fn a_unit_is_named_in_words() {
        for (text, unit) in [
            ("percent", Some(LevelUnit::Percent)),
            ("Percentage", Some(LevelUnit::Percent)),
            ("%", Some(LevelUnit::Percent)),
            ("pips", Some(LevelUnit::Distance)),
            ("ATR", Some(LevelUnit::Distance)),
            ("price", Some(LevelUnit::Price)),
            ("limit", None),
            ("stop", None),
            ("market", None),
            ("trailing", None),
        ] {
            assert_eq!(LevelName::unit_named(text), unit, "{text}");
        }
    }
}
