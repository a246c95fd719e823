//! Single values of an import: plain JSON, and what `mongoexport` writes (`{"$oid": …}`, `{"$date": …}`).

use std::borrow::Cow;
use std::fmt::Display;

use alertcast_core::market::{Symbol, Timeframe};
use alertcast_core::money::{Amount, Count, Price};
use alertcast_core::schema::EMAIL_PATTERN;
use alertcast_core::time::Time;
use bson::oid::ObjectId;
use serde_json::{Number, Value};

use super::fields::{FieldResult, kind};

/// Text without blanks around it; never empty.
pub(crate) fn text(value: &Value) -> FieldResult<String> {
    match value {
        Value::String(text) if text.trim().is_empty() => Err("is empty".to_owned()),
        Value::String(text) => Ok(text.trim().to_owned()),
        other => Err(format!("is {}, not text", kind(other))),
    }
}

/// A number that is a name, as Telegram's are: text, or a whole number.
pub(crate) fn number_name(value: &Value) -> FieldResult<String> {
    match &*plain(value)? {
        Value::Number(number) if number.is_i64() => Ok(number.to_string()),
        other => text(other),
    }
}

pub(crate) fn flag(value: &Value) -> FieldResult<bool> {
    value.as_bool().ok_or_else(|| format!("is {}, not true or false", kind(value)))
}

/// A whole number between two others, both included.
pub(crate) fn whole(min: i64, max: i64) -> impl Fn(&Value) -> FieldResult<Count> {
    move |value| {
        let plain = plain(value)?;
        let value = &*plain;
        let number = value.as_i64().or_else(|| value.as_f64().filter(|n| n.fract() == 0.0).map(|n| n as i64));
        let number = number.ok_or_else(|| format!("is {}, not a whole number", show_value(value)))?;
        if (min..=max).contains(&number) {
            return Ok(Count(number));
        }
        Err(match max {
            i64::MAX => format!("is {number}; it is at least {min}"),
            _ => format!("is {number}; it is from {min} to {max}"),
        })
    }
}

/// A number that is not below zero.
pub(crate) fn amount(value: &Value) -> FieldResult<Amount> {
    let number = Amount::from_f64(number(value)?).map_err(|bad| bad.to_string())?;
    if number < Amount::ZERO { Err(format!("is {number}; it is at least 0")) } else { Ok(number) }
}

/// A number above zero.
pub(crate) fn price(value: &Value) -> FieldResult<Price> {
    let number = Price::from_f64(number(value)?).map_err(|bad| bad.to_string())?;
    if number.is_positive() { Ok(number) } else { Err(format!("is {number}; a price is above 0")) }
}

fn number(value: &Value) -> FieldResult<f64> {
    let plain = plain(value)?;
    plain.as_f64().ok_or_else(|| format!("is {}, not a number", show_value(value)))
}

/// The names under which extended JSON writes numbers (`mongoexport`).
const NUMBERS: [&str; 4] = ["$numberInt", "$numberLong", "$numberDouble", "$numberDecimal"];

/// A value, where it is a number of extended JSON as plain JSON has it.
fn plain(value: &Value) -> FieldResult<Cow<'_, Value>> {
    let Some((name, inner)) =
        value.as_object().filter(|fields| fields.len() == 1).and_then(|fields| fields.iter().next())
    else {
        return Ok(Cow::Borrowed(value));
    };
    if !NUMBERS.contains(&name.as_str()) {
        return Ok(Cow::Borrowed(value));
    }
    let text = inner.as_str().map_or_else(|| inner.to_string(), str::to_owned);
    let whole = || text.parse::<i64>().ok().filter(|_| name != "$numberDouble").map(Number::from);
    let number = whole().or_else(|| text.parse::<f64>().ok().and_then(Number::from_f64));
    number
        .map(|number| Cow::Owned(Value::Number(number)))
        .ok_or_else(|| format!("is {name} {text:?}, which is no number"))
}

/// One of these words, spelt exactly.
pub(crate) fn one_of(words: &'static [&'static str], value: &Value) -> FieldResult<&'static str> {
    let text = text(value)?;
    let found = words.iter().find(|word| **word == text);
    found.copied().ok_or_else(|| format!("is \"{text}\"; it is one of {}", words.join(", ")))
}

/// One of the values of an enumeration, spelt exactly.
pub(crate) fn word<T: Copy + Display + 'static>(all: &'static [T]) -> impl Fn(&Value) -> FieldResult<T> {
    move |value| {
        let text = text(value)?;
        let found = all.iter().find(|word| word.to_string() == text);
        found.copied().ok_or_else(|| {
            let words: Vec<String> = all.iter().map(ToString::to_string).collect();
            format!("is \"{text}\"; it is one of {}", words.join(", "))
        })
    }
}

/// A moment: RFC 3339, a date (its first moment, UTC), or `{"$date": …}`.
pub(crate) fn time(value: &Value) -> FieldResult<Time> {
    let inner = value.get("$date").unwrap_or(value);
    let millis = inner.get("$numberLong").and_then(Value::as_str).and_then(|text| text.parse().ok());
    let millis = millis.or_else(|| value.get("$date").and_then(Value::as_i64));
    if let (Some(inner), None) = (value.get("$date"), millis)
        && !inner.is_string()
    {
        return Err(format!("is $date {inner}, which is no time: {{\"$date\": \"2026-01-31T18:30:00Z\"}} is one"));
    }
    if let Some(millis) = millis {
        return Ok(Time::from_millis(millis));
    }
    let text = text(inner)?;
    let day = || Some(text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp());
    let at = if text.contains(['T', 't', ' ', ':']) { text.parse().ok() } else { day() };
    at.map(Time::from).ok_or_else(|| {
        format!("is \"{text}\", which is no time: write 2026-01-31, or 2026-01-31T18:30:00Z with its zone")
    })
}

/// An id: 24 hexadecimal digits, or `{"$oid": …}`.
pub(crate) fn id(value: &Value) -> FieldResult<ObjectId> {
    let text = text(value.get("$oid").unwrap_or(value))?;
    ObjectId::parse_str(&text).map_err(|_| format!("is \"{text}\"; an id is 24 hexadecimal digits"))
}

/// An e-mail address, in lower case (the pattern of seed 7.1).
pub(crate) fn email(value: &Value) -> FieldResult<String> {
    let text = text(value)?.to_lowercase();
    if is_email(&text) {
        return Ok(text);
    }
    let other = text.chars().find(|c| !c.is_ascii_alphanumeric() && !"@._%+-".contains(*c));
    let cause = match other {
        Some(other) => format!(": it has no {other:?} in it"),
        None => String::new(),
    };
    Err(format!(
        "is \"{text}\", which does not fit the pattern of e-mail addresses that the database's contract has (seed 7.1), \
         {EMAIL_PATTERN}{cause}"
    ))
}

/// `^[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}$`
fn is_email(text: &str) -> bool {
    let Some((person, host)) = text.split_once('@') else { return false };
    let Some((name, top)) = host.rsplit_once('.') else { return false };
    let letters = |text: &str, also: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c))
    };
    letters(person, "._%+-") && letters(name, ".-") && top.len() >= 2 && top.chars().all(|c| c.is_ascii_alphabetic())
}

/// A time zone by its IANA name.
pub(crate) fn zone(value: &Value) -> FieldResult<String> {
    let text = text(value)?;
    match jiff::tz::TimeZone::get(&text) {
        Ok(zone) => Ok(zone.iana_name().unwrap_or(&text).to_owned()),
        Err(_) => Err(format!("is \"{text}\", which is no time zone: write a name like Asia/Kolkata or UTC")),
    }
}

pub(crate) fn symbol(value: &Value) -> FieldResult<Symbol> {
    let text = text(value)?;
    Symbol::new(&text).ok_or_else(|| format!("is longer than {} characters", Symbol::LENGTH_MAX))
}

pub(crate) fn timeframe(value: &Value) -> FieldResult<Timeframe> {
    let text = text(value)?;
    text.parse().map_err(|bad| format!("is \"{text}\", which {bad}"))
}

/// A currency's code.
pub(crate) fn currency(value: &Value) -> FieldResult<String> {
    let text = text(value)?.to_uppercase();
    let fits = text.len() == 3 && text.bytes().all(|b| b.is_ascii_uppercase());
    if fits { Ok(text) } else { Err(format!("is \"{text}\"; a currency is three letters, INR say")) }
}

fn show_value(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        other => kind(other).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn e_mail_addresses_are_those_of_the_seeds_pattern() {
        for good in ["a@b.co", "A.b%c+d-e_f@sub.example-x.com"] {
            assert_eq!(email(&json!(good)), Ok(good.to_lowercase()));
        }
        let told = email(&json!("o'brien@example.com")).unwrap_err();
        assert!(told.contains(EMAIL_PATTERN) && told.ends_with("it has no '\\'' in it"), "{told}");
        for bad in
            ["o'brien@example.com", "a", "@b.co", "a@b", "a@.co", "a@b.c", "a@b.c1", "a b@c.de", "a@b@c.de", "ä@b.de"]
        {
            assert!(email(&json!(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_are_read_as_people_and_mongoexport_write_them() {
        let new_year = Time::from_millis(1_767_225_600_000);
        for value in [
            json!("2026-01-01"),
            json!("2026-01-01T00:00:00Z"),
            json!("2026-01-01T05:30:00+05:30"),
            json!({"$date": "2026-01-01T00:00:00Z"}),
            json!({"$date": 1_767_225_600_000_i64}),
            json!({"$date": {"$numberLong": "1767225600000"}}),
        ] {
            assert_eq!(time(&value), Ok(new_year), "{value}");
        }
        for value in [json!("2026-01-01T00:00:00"), json!("tomorrow"), json!(5), json!("2026-13-01")] {
            assert!(time(&value).is_err(), "{value}");
        }
    }

    #[test]
    fn numbers_may_come_as_mongoexport_writes_them() {
        for value in [
            json!(7),
            json!({"$numberInt": "7"}),
            json!({"$numberLong": "7"}),
            json!({"$numberDouble": "7.0"}),
            json!({"$numberDecimal": "7"}),
            json!({"$numberLong": 7}),
        ] {
            assert_eq!(whole(0, 9)(&value), Ok(Count(7)), "{value}");
            assert_eq!(amount(&value), Ok(Amount::from_f64(7.0).unwrap()), "{value}");
        }
        assert_eq!(number_name(&json!({"$numberLong": "5000000000"})).as_deref(), Ok("5000000000"));
        assert_eq!(
            amount(&json!({"$numberDouble": "NaN"})).unwrap_err(),
            "is $numberDouble \"NaN\", which is no number"
        );
        assert!(whole(0, 9)(&json!({"$numberLong": "x"})).unwrap_err().contains("$numberLong"));
        assert!(time(&json!({"$date": {"$numberLong": "x"}})).unwrap_err().contains("$date"));
    }

    #[test]
    fn whole_numbers_stay_within_their_bounds() {
        assert_eq!(whole(1, 5)(&json!(5)), Ok(Count(5)));
        assert_eq!(whole(1, 5)(&json!(2.0)), Ok(Count(2)));
        assert_eq!(whole(1, 5)(&json!(6)), Err("is 6; it is from 1 to 5".to_owned()));
        assert_eq!(whole(0, i64::MAX)(&json!(-1)), Err("is -1; it is at least 0".to_owned()));
        assert_eq!(whole(1, 5)(&json!("3")), Err("is text, not a whole number".to_owned()));
        assert_eq!(whole(1, 5)(&json!(2.5)), Err("is 2.5, not a whole number".to_owned()));
    }
}
