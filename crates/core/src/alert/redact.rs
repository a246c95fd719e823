//! Secrets out of what is kept: a body's own `secret`, `passphrase`, `token`, … is never stored and never shown.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::known_secrets::REMOVED;
use super::{entities, names};

/// A secret at least this long is cut out of longer texts wherever it stands in them; a shorter one may be a word.
const REPEATED_CHARS_MIN: usize = 6;

/// A secret at least this long is no word, and is cut out where it is a whole value too.
const WHOLE_CHARS_MIN: usize = 16;

/// Of a request with more secrets than this, the others are cut out only where they are named.
const REMEMBERED_MAX: usize = 32;

/// How far before a separator a secret's name is looked for, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// A text with the values of everything in it that is named like a secret cut out. For bodies that could not be read
/// and are kept for the operators.
pub fn scrub(text: &str) -> String {
    let mut secrets = RedactedSecrets::default();
    let text = entities::decode_entities(text);
    let scrubbed = scrub_text(&text, |value, sure| secrets.remember_text(value, sure));
    secrets.without_remembered(scrubbed).into_owned()
}

/// A URL's query without the parameters named like a secret, for requests that are kept. The others are percent-encoded
/// anew, and read as they did before.
pub fn scrub_query(query: &str) -> String {
    let pairs = super::query::pairs(query);
    let (secrets, others): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(name, _)| names::names_a_secret(name));
    let mut known = RedactedSecrets::default();
    for (name, value) in &secrets {
        known.remember_text(value, names::is_surely_secret(&names::normal(name)));
    }
    let mut out = form_urlencoded::Serializer::new(String::new());
    out.extend_pairs(others.iter().map(|(name, value)| (name, known.clean_text(value))));
    out.finish()
}

/// The secrets that a request's fields held.
#[derive(Debug, Default)]
pub(super) struct RedactedSecrets(Vec<String>);

impl RedactedSecrets {
    /// Takes every field named like a secret out of `fields`, at any depth, and remembers its value.
    pub(super) fn strip(&mut self, fields: &mut Map<String, Value>) {
        let by_label = is_labelled_as_secret(fields);
        fields.retain(|name, value| {
            let normal = names::normal(name);
            let labelled = by_label && VALUES.contains(&normal.as_str());
            let secret = labelled || names::names_a_secret(name);
            if secret {
                self.remember(value, labelled || names::is_surely_secret(&normal));
            }
            !secret
        });
        for value in fields.values_mut() {
            self.strip_within(value);
        }
    }

    fn strip_within(&mut self, value: &mut Value) {
        match value {
            Value::Object(members) => self.strip(members),
            Value::Array(items) => items.iter_mut().for_each(|item| self.strip_within(item)),
            _ => {}
        }
    }

    /// Remembers the secrets that are named in texts, before they are cut out there: they may stand elsewhere too.
    pub(super) fn learn(&mut self, fields: &Map<String, Value>) {
        for text in fields.values().filter_map(Value::as_str) {
            let mut found = Vec::new();
            scrub_text(text, |value, sure| found.push((value.to_owned(), sure)));
            found.iter().for_each(|(value, sure)| self.remember_text(value, *sure));
        }
    }

    fn remember(&mut self, value: &Value, sure: bool) {
        match value {
            Value::String(text) => self.remember_text(text, sure),
            Value::Number(number) => self.remember_text(&number.to_string(), sure),
            Value::Array(items) => items.iter().for_each(|item| self.remember(item, sure)),
            Value::Object(members) => members.values().for_each(|member| self.remember(member, sure)),
            _ => {}
        }
    }

    /// `sure`: its name says for certain that it is one. Else (`key: "BTCUSDT"`) it counts where it is no word either.
    fn remember_text(&mut self, text: &str, sure: bool) {
        let long = text.chars().count() >= REPEATED_CHARS_MIN && !REMOVED.contains(text);
        let counts = long && (sure || is_no_word(text));
        if counts && self.0.len() < REMEMBERED_MAX && !self.0.iter().any(|known| known == text) {
            self.0.push(text.to_owned());
        }
    }

    /// Cuts secrets out of every text in `fields`: those named in the text itself, and those remembered.
    pub(super) fn clean(&self, fields: &mut Map<String, Value>) {
        fields.values_mut().for_each(|value| self.clean_value(value));
    }

    fn clean_value(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Cow::Owned(cleaned) = self.clean_text(text) {
                    *text = cleaned;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.clean_value(item)),
            Value::Object(members) => self.clean(members),
            _ => {}
        }
    }

    /// The text without secrets.
    pub(super) fn clean_text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.without_remembered(scrub_text(text, |_, _| {}))
    }

    fn without_remembered<'a>(&self, mut cleaned: Cow<'a, str>) -> Cow<'a, str> {
        for secret in &self.0 {
            let whole = cleaned.as_ref() == secret.as_str() && secret.chars().count() < WHOLE_CHARS_MIN;
            if !whole && cleaned.contains(secret.as_str()) {
                cleaned = Cow::Owned(cleaned.replace(secret.as_str(), REMOVED));
            }
        }
        cleaned
    }
}

/// Members of an object that holds a name and its value: `{"name": "Authorization", "value": "…"}`.
const NAMES: &[&str] = &["name", "key", "header", "field", "param"];
const VALUES: &[&str] = &["value", "val", "content"];

fn is_labelled_as_secret(fields: &Map<String, Value>) -> bool {
    let label = |(name, value): (&String, &Value)| {
        NAMES.contains(&names::normal(name).as_str()) && value.as_str().is_some_and(names::names_a_secret)
    };
    fields.iter().any(label)
}

/// Letters and digits mixed, in one piece: as secrets are, and words are not.
fn is_no_word(text: &str) -> bool {
    let has = |wanted: fn(char) -> bool| text.chars().any(wanted);
    has(char::is_alphabetic) && has(|c| c.is_ascii_digit()) && !has(char::is_whitespace)
}

/// Cuts out what follows `secret:`, `"api_key" = ` and the like. Rather too much than too little: the text is for
/// people to read, nothing is read from it.
fn scrub_text(text: &str, mut found: impl FnMut(&str, bool)) -> Cow<'_, str> {
    let mut out = String::new();
    let mut kept = 0;
    let mut from = 0;
    while let Some(sep) = text[from..].find([':', '=']).map(|i| from + i) {
        from = sep + 1;
        let Some(sure) = named_like_a_secret(&text[kept..sep], text[sep..].starts_with('=')) else { continue };
        let (start, end) = value_after(text, from);
        out.push_str(&text[kept..start]);
        if end > start {
            found(text[start..end].trim_end(), sure);
            out.push_str(REMOVED);
        }
        kept = end;
        from = end;
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[kept..]);
    Cow::Owned(out)
}

/// Whether a secret's name stands at the end of `before`, decorations such as `"` and `*` passed over; and whether it is
/// surely one. Before an equals sign the last word is a name too: `buy key=…`.
fn named_like_a_secret(before: &str, equals: bool) -> Option<bool> {
    let trimmed = before.trim_end();
    let mut start = trimmed.len().saturating_sub(NAME_BYTES_MAX);
    while !trimmed.is_char_boundary(start) {
        start += 1;
    }
    let trimmed = trimmed[start..].trim_end_matches(|c: char| !c.is_alphanumeric());
    let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | ' ' | '.');
    let name: String = trimmed.chars().rev().take_while(|c| part(*c)).collect();
    let name: String = name.chars().rev().collect();
    let normal = names::normal(&name);
    let last = || name.rsplit([' ', '.']).next().map(names::normal).unwrap_or_default();
    let named =
        names::names_a_secret(&name) || (equals && !normal.ends_with("idempotencykey") && names::is_secret(&last()));
    named.then(|| names::is_surely_secret(&normal))
}

/// Where the value that follows a separator starts and ends. In quotes: up to the closing one; else up to where a pair
/// or a member ends.
fn value_after(text: &str, from: usize) -> (usize, usize) {
    let skipped = |c: char| c.is_whitespace() || c == '\\';
    let start = text.len() - text[from..].trim_start_matches(skipped).len();
    if let Some(open) = text[start..].chars().next().filter(|c| super::lenient::is_quote(*c)) {
        let inner = start + open.len_utf8();
        return (inner, inner + closing_quote(&text[inner..], open));
    }
    let line = text.len() - text[from..].trim_start_matches([' ', '\t']).len();
    let ends = |c: char| matches!(c, '\n' | '\r' | ',' | '}' | ']' | ';' | '&');
    (line, line + text[line..].find(ends).unwrap_or(text.len() - line))
}

fn closing_quote(inner: &str, open: char) -> usize {
    let mut escaped = false;
    for (at, c) in inner.char_indices() {
        if !escaped && super::lenient::closes(open, c) {
            return at;
        }
        escaped = c == '\\' && !escaped;
    }
    inner.len()
}
