//! Typed values out of what stands in a source: one way for a file's TOML and for a variable's or flag's text.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::str::FromStr;

use ipnet::IpNet;
use secrecy::SecretString;
use toml::Value;
use url::Url;

use super::layer::RawSetting;

/// What is wrong with a value, and what to write. Neither names the value of a secret.
#[derive(Debug)]
pub(super) struct WrongSetting {
    pub(super) what: String,
    pub(super) fix: String,
}

pub(super) fn wrong<T>(what: impl Into<String>, fix: impl Into<String>) -> Result<T, WrongSetting> {
    Err(WrongSetting { what: what.into(), fix: fix.into() })
}

pub(super) fn text(raw: &RawSetting) -> Result<String, WrongSetting> {
    match raw {
        RawSetting::Text(text) | RawSetting::Toml(Value::String(text)) => Ok(text.trim().to_owned()),
        RawSetting::Toml(other) => wrong(format!("is {}, not text", kind(other)), "write it in \"quotes\""),
    }
}

pub(super) fn flag(raw: &RawSetting) -> Result<bool, WrongSetting> {
    match raw {
        RawSetting::Toml(Value::Boolean(value)) => Ok(*value),
        RawSetting::Text(text)
            if ["true", "1", "yes", "on"].iter().any(|yes| text.trim().eq_ignore_ascii_case(yes)) =>
        {
            Ok(true)
        }
        RawSetting::Text(text) if ["false", "0", "no", "off"].iter().any(|no| text.trim().eq_ignore_ascii_case(no)) => {
            Ok(false)
        }
        _ => wrong("is neither true nor false", "write true or false"),
    }
}

/// A whole number from 1 to `max`.
pub(super) fn number(raw: &RawSetting, max: u32) -> Result<NonZeroU32, WrongSetting> {
    let number = match raw {
        RawSetting::Toml(Value::Integer(number)) => u32::try_from(*number).ok(),
        RawSetting::Text(text) => text.trim().parse().ok(),
        RawSetting::Toml(_) => None,
    };
    match number.and_then(NonZeroU32::new) {
        Some(number) if number.get() <= max => Ok(number),
        _ => wrong(format!("is no whole number from 1 to {max}"), format!("write a number from 1 to {max}")),
    }
}

/// A list in a file; text separated by commas elsewhere.
pub(super) fn list(raw: &RawSetting) -> Result<Vec<String>, WrongSetting> {
    match raw {
        RawSetting::Text(text) | RawSetting::Toml(Value::String(text)) => {
            Ok(text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect())
        }
        RawSetting::Toml(Value::Array(values)) => values.iter().map(list_element).collect(),
        RawSetting::Toml(other) => wrong(format!("is {}, not a list", kind(other)), "write [\"a\", \"b\"]"),
    }
}

fn list_element(value: &Value) -> Result<String, WrongSetting> {
    match value {
        Value::String(text) => Ok(text.trim().to_owned()),
        Value::Integer(number) => Ok(number.to_string()),
        other => wrong(format!("holds {}, where text should be", kind(other)), "write each element in \"quotes\""),
    }
}

/// Text as another type.
pub(super) fn parse_value<T: FromStr>(raw: &RawSetting, what: &str, example: &str) -> Result<T, WrongSetting> {
    let text = text(raw)?;
    text.parse().or_else(|_| wrong(format!("is {text:?}, which is no {what}"), format!("write {example}")))
}

/// An address that a program is reached at.
pub(super) fn http_url(raw: &RawSetting) -> Result<Url, WrongSetting> {
    let url: Url = parse_value(raw, "web address", "https://example.com")?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return wrong(format!("is \"{url}\", which is no web address"), "write https://example.com");
    }
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
        return wrong(
            "has a user, a query or a fragment",
            "write scheme, host, port and path only: https://example.com",
        );
    }
    Ok(url)
}

/// A secret address of one of these schemes. The value is not shown.
pub(super) fn secret_url(raw: &RawSetting, schemes: &[&str], example: &str) -> Result<SecretString, WrongSetting> {
    let text = text(raw)?;
    match Url::parse(&text) {
        Ok(url) if schemes.contains(&url.scheme()) && url.has_host() => Ok(SecretString::from(text)),
        _ => wrong(format!("is no address that begins with {}", or(schemes)), format!("write it like {example}")),
    }
}

/// Networks; an address alone is a network of one.
pub(super) fn networks(raw: &RawSetting) -> Result<Vec<IpNet>, WrongSetting> {
    let network = |text: String| {
        let parsed = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        parsed.or_else(|_| {
            wrong(format!("holds {text:?}, which is no address and no network"), "write 203.0.113.7 or 203.0.113.0/24")
        })
    };
    list(raw)?.into_iter().map(network).collect()
}

/// One of some words.
pub(super) fn word<T: Copy>(raw: &RawSetting, words: &[(&str, T)]) -> Result<T, WrongSetting> {
    let text = text(raw)?;
    let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text));
    let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    found.map_or_else(
        || wrong(format!("is {text:?}, which is not one of its values"), format!("write {}", or(&names))),
        |(_, value)| Ok(*value),
    )
}

fn or(words: &[&str]) -> String {
    words.join(" or ")
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "text",
        Value::Integer(_) | Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}
