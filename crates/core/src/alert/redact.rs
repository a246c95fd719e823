//! Secrets out of what is kept: a body's own `secret`, `passphrase`, `token`, … is never stored and never shown.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::names;

/// What stands where a secret stood.
const REMOVED: &str = "[removed]";

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
    let mut secrets = Secrets::default();
    let scrubbed = scrubbed(text, |value| secrets.remember_text(value));
    secrets.without_remembered(scrubbed).into_owned()
}

/// A URL's query without the parameters named like a secret, for requests that are kept. The others are percent-encoded
/// anew, and read as they did before.
pub fn scrub_query(query: &str) -> String {
    let query = query.strip_prefix('?').unwrap_or(query);
    let (secrets, others): (Vec<_>, Vec<_>) =
        form_urlencoded::parse(query.as_bytes()).partition(|(name, _)| names::is_secret(&names::normal(name)));
    let mut known = Secrets::default();
    secrets.iter().for_each(|(_, value)| known.remember_text(value));
    let mut out = form_urlencoded::Serializer::new(String::new());
    out.extend_pairs(others.iter().map(|(name, value)| (name, known.clean_text(value))));
    out.finish()
}

/// The secrets that a request's fields held.
#[derive(Debug, Default)]
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// Takes every field named like a secret out of `fields`, at any depth, and remembers its value.
    pub(super) fn strip(&mut self, fields: &mut Map<String, Value>) {
        fields.retain(|name, value| {
            let secret = names::is_secret(&names::normal(name));
            if secret {
                self.remember(value);
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

    fn remember(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.remember_text(text),
            Value::Number(number) => self.remember_text(&number.to_string()),
            Value::Array(items) => items.iter().for_each(|item| self.remember(item)),
            Value::Object(members) => members.values().for_each(|member| self.remember(member)),
            _ => {}
        }
    }

    fn remember_text(&mut self, text: &str) {
        let counts = text.chars().count() >= REPEATED_CHARS_MIN && !REMOVED.contains(text);
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
        self.without_remembered(scrubbed(text, |_| {}))
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

/// Cuts out what follows `secret:`, `"api_key" = ` and the like. Rather too much than too little: the text is for
/// people to read, nothing is read from it.
fn scrubbed(text: &str, mut found: impl FnMut(&str)) -> Cow<'_, str> {
    let mut out = String::new();
    let mut kept = 0;
    let mut from = 0;
    while let Some(sep) = text[from..].find([':', '=']).map(|i| from + i) {
        from = sep + 1;
        if !named_like_a_secret(&text[kept..sep]) {
            continue;
        }
        let (start, end) = value_after(text, from);
        out.push_str(&text[kept..start]);
        if end > start {
            found(text[start..end].trim_end());
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

/// Whether a secret's name stands at the end of `before`, decorations such as `"` and `*` passed over.
fn named_like_a_secret(before: &str) -> bool {
    let trimmed = before.trim_end();
    let mut start = trimmed.len().saturating_sub(NAME_BYTES_MAX);
    while !trimmed.is_char_boundary(start) {
        start += 1;
    }
    let trimmed = trimmed[start..].trim_end_matches(|c: char| !c.is_alphanumeric());
    let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | ' ' | '.');
    let name: String = trimmed.chars().rev().take_while(|c| part(*c)).collect();
    names::is_secret(&names::normal(&name.chars().rev().collect::<String>()))
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
