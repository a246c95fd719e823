//! Bodies that are lines of `key=value` or `key: value`, split by newlines, commas, semicolons, bars or tabs.
//!
//! A value may hold a colon (`NASDAQ:AAPL`, `10:00:00Z`) and, where what follows the comma is no pair, a comma
//! (`comment=Long, strong trend`); semicolons and bars likewise. So `price: 64,250.5` is the one value `64,250.5`, which is no number, and not a
//! price of 64.

use serde_json::{Map, Value};

use super::json::ObjectMembers;
use super::lenient::{self, read_typed};
use super::source::{FIELDS_MAX, UnreadableBody};

/// What may stand between two pairs of a line.
const BETWEEN: [char; 4] = [',', ';', '|', '\t'];

/// Longer than this, what stands before a separator is prose.
const NAME_CHARS_MAX: usize = 40;

/// A value in quotes longer than this has lost its closing one. (TradingView's messages have at most 4,096 characters.)
const QUOTED_BYTES_MAX: usize = 4_096;

/// Reads the pairs of a text. Lines without a pair are passed over. Two symbols, or two signals, are those of two orders.
pub(super) fn read(text: &str) -> Result<Map<String, Value>, UnreadableBody> {
    let mut fields = ObjectMembers::default();
    let mut count = 0;
    for line in text.split(['\n', '\r']) {
        for (name, value) in line_pairs(line) {
            count += 1;
            if count > FIELDS_MAX {
                return Err(UnreadableBody::TooManyFields);
            }
            fields.put(name.to_owned(), value_of(value))?;
        }
    }
    Ok(fields.finish())
}

/// The pairs of one line, their values as they stand. Bounded, so that a hostile line costs no more than a long one.
fn line_pairs(line: &str) -> Vec<(&str, &str)> {
    let mut pairs: Vec<(&str, usize, usize)> = Vec::new();
    let mut at = 0;
    while at <= line.len() && pairs.len() <= FIELDS_MAX {
        let rest = &line[at..];
        let pair = split(rest);
        let end = at
            + pair.and_then(|(_, value)| quoted_end(rest, value)).or_else(|| rest.find(BETWEEN)).unwrap_or(rest.len());
        match (pair, pairs.last_mut()) {
            (Some((name, value)), _) => pairs.push((name, at + value, end)),
            (None, Some(last)) if !line[at..end].trim().is_empty() => last.2 = end,
            (None, _) => {}
        }
        at = end + 1;
    }
    pairs.into_iter().map(|(name, start, end)| (name, line[start..end.max(start)].trim())).collect()
}

/// The name at the start of `rest` and where its value starts; none where no name stands before the next separator.
fn split(rest: &str) -> Option<(&str, usize)> {
    let sep = rest
        .char_indices()
        .take(2 * NAME_CHARS_MAX)
        .take_while(|(_, c)| !BETWEEN.contains(c))
        .find(|(_, c)| matches!(c, ':' | '='))?
        .0;
    let value = sep + 1;
    if rest[value..].starts_with("//") {
        return None;
    }
    let name = rest[..sep].trim_matches(|c: char| !c.is_alphanumeric());
    let plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '_' | '-' | '.');
    let fits =
        name.starts_with(char::is_alphabetic) && name.chars().all(plain) && name.chars().count() <= NAME_CHARS_MAX;
    fits.then_some((name, value))
}

/// Where a value in quotes ends, so that commas in it split nothing: behind the quote that a comma or the line's end
/// follows.
fn quoted_end(rest: &str, value: usize) -> Option<usize> {
    let inner = rest[value..].trim_start();
    let open = inner.chars().next().filter(|c| lenient::is_quote(*c))?;
    let start = rest.len() - inner.len() + open.len_utf8();
    rest[start..].char_indices().take_while(|(i, _)| *i < QUOTED_BYTES_MAX).find_map(|(i, c)| {
        let after = start + i + c.len_utf8();
        let next = rest[after..].trim_start().chars().next();
        let ends = lenient::closes(open, c) && next.is_none_or(|next| BETWEEN.contains(&next));
        ends.then(|| rest.len() - rest[after..].trim_start().len())
    })
}

fn value_of(text: &str) -> Value {
    let mut chars = text.chars();
    match (chars.next(), chars.next_back()) {
        (Some(open), Some(close)) if lenient::is_quote(open) && lenient::closes(open, close) => {
            Value::String(chars.as_str().to_owned())
        }
        _ => read_typed(text),
    }
}
