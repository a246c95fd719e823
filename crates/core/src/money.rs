//! Prices, amounts and counts: decimals in the domain, BSON numbers at rest (seed: `Number`).
//!
//! A value read from a document may be any BSON number, as JavaScript writes them. A decimal is stored as the double
//! nearest to it; it is cut to 15 significant digits when it is made, so that it comes back from storage as it went in.

use std::fmt;

use bson::Bson;
use rust_decimal::Decimal;
use rust_decimal::prelude::{FromPrimitive, ToPrimitive};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::reading::NUMBER;

/// A double holds any decimal of this many significant digits exactly enough to give it back.
const DIGITS: u32 = 15;

/// The greatest magnitude that a price or an amount may have. Below it, sums and products stay within a `Decimal`.
pub const MAGNITUDE_MAX: i64 = 1_000_000_000_000;

/// Why a number cannot be a price or an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadNumber {
    /// The text is no decimal number.
    #[error("is not a number")]
    NotANumber,
    /// NaN or infinite.
    #[error("is not finite")]
    NotFinite,
    /// Its magnitude is above 10^12.
    #[error("is larger than 1000000000000")]
    TooLarge,
}

/// Whether a text is spelt as a decimal number: a sign, ASCII digits with a point among them, an exponent. The readers
/// below it take more (`42_5` for 425), which is not what the sender meant.
pub(crate) fn is_number(text: &str) -> bool {
    fn strip_sign(text: &str) -> &str {
        text.strip_prefix(['+', '-']).unwrap_or(text)
    }
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (strip_sign(mantissa), Some(strip_sign(exponent))),
        None => (strip_sign(text), None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent))
}

macro_rules! decimals {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(Decimal);

        impl $name {
            /// Zero.
            pub const ZERO: Self = Self(Decimal::ZERO);

            /// The value, cut to 15 significant digits.
            ///
            /// # Errors
            /// `TooLarge` above a magnitude of 10^12.
            pub fn new(value: Decimal) -> Result<Self, BadNumber> {
                if value.abs() > Decimal::from(MAGNITUDE_MAX) {
                    return Err(BadNumber::TooLarge);
                }
                value.round_sf(DIGITS).map(|value| Self(value.normalize())).ok_or(BadNumber::TooLarge)
            }

            /// The value of a double, by its shortest decimal spelling.
            ///
            /// # Errors
            /// `NotFinite` for NaN and infinities, `TooLarge` above a magnitude of 10^12.
            pub fn from_f64(value: f64) -> Result<Self, BadNumber> {
                if !value.is_finite() {
                    return Err(BadNumber::NotFinite);
                }
                if value.abs() > MAGNITUDE_MAX as f64 {
                    return Err(BadNumber::TooLarge);
                }
                Decimal::from_f64(value).ok_or(BadNumber::NotANumber).and_then(Self::new)
            }

            /// Reads a decimal number: digits, a point, a sign, an exponent.
            ///
            /// # Errors
            /// `NotANumber`, `NotFinite` (for `NaN` and `Infinity`), `TooLarge`.
            pub fn parse(text: &str) -> Result<Self, BadNumber> {
                let text = text.trim();
                let unsigned = text.trim_start_matches(['+', '-']);
                if ["nan", "inf", "infinity"].iter().any(|word| unsigned.eq_ignore_ascii_case(word)) {
                    return Err(BadNumber::NotFinite);
                }
                if !is_number(text) {
                    return Err(BadNumber::NotANumber);
                }
                if let Ok(value) = Decimal::from_str_exact(text).or_else(|_| Decimal::from_scientific(text)) {
                    return Self::new(value);
                }
                // Longer than a Decimal holds: the double nearest to it is near enough.
                text.parse().map_err(|_| BadNumber::NotANumber).and_then(|value| {
                    Self::from_f64(value).map_err(|_| BadNumber::TooLarge)
                })
            }

            /// The number that a stored value is. What is beyond the greatest magnitude, or infinite, is read as the
            /// greatest.
            ///
            /// # Errors
            /// It is NaN, or no number.
            pub fn of(value: &Bson) -> Result<Self, BadNumber> {
                let bounded = |number: f64| {
                    Self::from_f64(number.clamp(-(MAGNITUDE_MAX as f64), MAGNITUDE_MAX as f64))
                };
                match value {
                    Bson::Double(value) => bounded(*value),
                    Bson::Int32(value) => Self::new((*value).into()),
                    Bson::Int64(value) => Self::new((*value).clamp(-MAGNITUDE_MAX, MAGNITUDE_MAX).into()),
                    Bson::Decimal128(value) => {
                        let text = value.to_string();
                        Self::parse(&text).or_else(|_| bounded(text.parse().unwrap_or(f64::NAN)))
                    }
                    _ => Err(BadNumber::NotANumber),
                }
            }

            /// The decimal.
            pub const fn get(self) -> Decimal {
                self.0
            }

            /// The double nearest to it, as it is stored.
            pub fn to_f64(self) -> f64 {
                self.0.to_f64().unwrap_or(f64::NAN)
            }

            /// Whether it is above zero.
            pub fn is_positive(self) -> bool {
                self.0 > Decimal::ZERO
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<$name> for bson::Bson {
            fn from(value: $name) -> Self {
                Self::Double(value.to_f64())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_f64(self.to_f64())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::of(&deserializer.deserialize_newtype_struct(NUMBER, NumberVisitor)?).map_err(de::Error::custom)
            }
        }
    )+};
}

decimals! {
    /// A price of an instrument, in its quote currency. Any sign: that an entry's is positive is a rule (seed 5.1),
    /// checked where alerts are accepted, because a refused alert is kept with the price it came with.
    Price,
    /// An amount of money, a profit or loss, a quantity or a percentage; the field says which, and its unit.
    Amount,
}

/// A count of something, never negative in practice. Stored as the smallest BSON integer that holds it, as the
/// JavaScript driver does; read from any BSON number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Count(pub i64);

impl Count {
    /// The greatest that JavaScript's numbers, and doubles, count exactly. What is stored beyond it is read as it, so that
    /// no sum of counts overflows.
    pub const MAX: i64 = 9_007_199_254_740_991;

    /// Whether nothing was counted.
    pub const fn is_zero(&self) -> bool {
        self.0 == 0
    }

    /// The count that a stored value is: of a number its whole part; none where it is no number.
    #[expect(clippy::cast_possible_truncation, reason = "out of range saturates, and is bounded")]
    pub fn of(value: &Bson) -> Option<Self> {
        let whole = |value: f64| (!value.is_nan()).then_some(value as i64);
        let count = match value {
            Bson::Int32(value) => Some(i64::from(*value)),
            Bson::Int64(value) => Some(*value),
            Bson::Double(value) => whole(*value),
            Bson::Decimal128(value) => value.to_string().parse().ok().and_then(whole),
            _ => None,
        };
        count.map(|count| Self(count.clamp(-Self::MAX, Self::MAX)))
    }
}

impl From<Count> for bson::Bson {
    fn from(count: Count) -> Self {
        i32::try_from(count.0).map_or(Self::Int64(count.0), Self::Int32)
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match i32::try_from(self.0) {
            Ok(small) => serializer.serialize_i32(small),
            Err(_) => serializer.serialize_i64(self.0),
        }
    }
}

/// Reads a count that a later commit is compared with: one that is not exactly what stands would be compared in vain, for
/// ever.
///
/// # Errors
/// It is no whole number, or beyond all counting.
#[expect(clippy::cast_precision_loss, reason = "a count is bounded by what doubles count exactly")]
pub fn read_exact_count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Count, D::Error> {
    let value = deserializer.deserialize_newtype_struct(NUMBER, NumberVisitor)?;
    let count = Count::of(&value).ok_or_else(|| de::Error::custom("not a number"))?;
    let is_exact = match &value {
        Bson::Int64(number) => *number == count.0,
        Bson::Double(number) => *number == count.0 as f64,
        Bson::Decimal128(number) => number.to_string().parse() == Ok(count.0 as f64),
        _ => true,
    };
    if is_exact { Ok(count) } else { Err(de::Error::custom("not a number that was counted to")) }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of(&deserializer.deserialize_newtype_struct(NUMBER, NumberVisitor)?)
            .ok_or_else(|| de::Error::custom("not a number"))
    }
}

struct NumberVisitor;

impl<'de> Visitor<'de> for NumberVisitor {
    type Value = Bson;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_f64<E>(self, number: f64) -> Result<Bson, E> {
        Ok(number.into())
    }

    fn visit_i32<E>(self, number: i32) -> Result<Bson, E> {
        Ok(number.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Bson, E> {
        Ok(number.into())
    }

    fn visit_bytes<E: de::Error>(self, decimal: &[u8]) -> Result<Bson, E> {
        let bytes = decimal.try_into().map_err(E::custom)?;
        Ok(Bson::Decimal128(bson::Decimal128::from_bytes(bytes)))
    }

    /// From any other reader than ours.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Bson, D::Error> {
        Bson::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_that_is_none_says_why() {
        assert_eq!(Price::parse("NaN"), Err(BadNumber::NotFinite));
        assert_eq!(Price::parse("-Infinity"), Err(BadNumber::NotFinite));
        assert_eq!(Price::parse("12,5"), Err(BadNumber::NotANumber));
        assert_eq!(Price::parse("1e400"), Err(BadNumber::TooLarge));
        assert_eq!(Price::parse("1000000000001"), Err(BadNumber::TooLarge));
        assert_eq!(Price::parse(""), Err(BadNumber::NotANumber));
        for text in [
            "42_5",
            "1_000",
            "_1",
            "1_",
            "0x10",
            "0b1",
            "1.2.3",
            "1..2",
            ".",
            "+",
            "-",
            "+-5",
            "--5",
            "1e",
            "e5",
            "1e5e5",
            "1e1_0",
            "１２",
            "4２",
            "٣",
            "1 000",
            "1'000",
            "1\u{a0}000",
            "$5",
            "5.",
            "1f",
            "1d",
        ] {
            let expected = if text == "5." { Price::parse("5") } else { Err(BadNumber::NotANumber) };
            assert_eq!(Price::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn numbers_are_read_in_every_spelling() {
        for (text, want) in [
            ("100", "100"),
            (" 1.50 ", "1.5"),
            ("1e3", "1000"),
            ("-0.25", "-0.25"),
            ("+7", "7"),
            (".5", "0.5"),
            ("4e5", "400000"),
            ("4.2E+1", "42"),
            ("125e-2", "1.25"),
            ("1.0000000000000000000000000000000000001", "1"),
        ] {
            assert_eq!(Price::parse(text).map(|p| p.to_string()), Ok(want.to_owned()), "{text}");
        }
        assert_eq!(Price::parse("0.00001234").unwrap().to_string(), "0.00001234");
    }

    #[test]
    fn any_bson_number_is_read() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Numbers {
            price: Price,
            count: Count,
        }
        let numbers = |document: bson::Document| crate::reading::decode::<Numbers>(&document.to_vec().unwrap());
        let want = Numbers { price: Price::parse("3").unwrap(), count: Count(3) };
        let decimal: bson::Decimal128 = "3".parse().unwrap();
        for number in [Bson::Int32(3), Bson::Int64(3), Bson::Double(3.0), Bson::Decimal128(decimal)] {
            let document = bson::doc! { "price": number.clone(), "count": number };
            assert_eq!(numbers(document).unwrap(), want);
        }
        assert!(numbers(bson::doc! { "price": "3", "count": 3 }).is_err());
    }

    #[test]
    fn what_is_beyond_all_bounds_is_read_as_the_bound() {
        #[derive(Debug, Deserialize)]
        struct Numbers {
            price: Price,
            count: Count,
        }
        let read = |number: Bson| {
            let document = bson::doc! { "price": number.clone(), "count": number };
            crate::reading::decode::<Numbers>(&document.to_vec().unwrap())
        };
        let huge: bson::Decimal128 = "1E+6000".parse().unwrap();
        for number in [f64::INFINITY.into(), 1e20.into(), 1e300.into(), i64::MAX.into(), Bson::Decimal128(huge)] {
            let numbers = read(number.clone()).unwrap();
            assert_eq!(numbers.price, Price::new(MAGNITUDE_MAX.into()).unwrap(), "{number}");
            assert_eq!(numbers.count, Count(Count::MAX), "{number}");
        }
        let least = read(f64::NEG_INFINITY.into()).unwrap();
        assert_eq!((least.price.to_f64(), least.count), (-(MAGNITUDE_MAX as f64), Count(-Count::MAX)));
        assert_eq!(read(2.9.into()).unwrap().count, Count(2));
        assert!(read(f64::NAN.into()).is_err());
    }

    proptest! {
        #[test]
        fn what_is_stored_comes_back(mantissa in -999_999_999_999_999_i64..=999_999_999_999_999, scale in 3_u32..=15) {
            let value = Amount::new(Decimal::new(mantissa, scale)).unwrap();
            prop_assert_eq!(Amount::from_f64(value.to_f64()), Ok(value));
        }

        #[test]
        fn reading_never_panics(text in "\\PC{0,40}") {
            let _ = Price::parse(&text);
        }
    }
}
