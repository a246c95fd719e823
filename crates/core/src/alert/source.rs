//! The shape of a body: JSON, near-JSON, or pairs (or a form's, as `curl -d` sends them); and its fields, whatever the
//! shape. Also where it is wrapped: in a code fence, behind a text, in HTML's entities, in another object's `content`.
//!
//! A message is one order. One that holds several is refused: whichever was taken, the others would be lost.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::intent::signs;
use super::json::{self, ToldOnce, ToldTwice};
use super::{entities, lenient, names, pairs, query};

/// The most fields and list items that a body may have, at all levels together.
pub(super) const FIELDS_MAX: usize = 256;

/// How deep a body's objects and lists may be nested.
pub(super) const DEPTH_MAX: usize = 16;

/// Why nothing could be made of a body. Its message goes to the sender and the operators; it repeats nothing of the
/// body, which may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableBody {
    /// Not text.
    #[error("the body is not UTF-8 text (at byte {at}): send the message as UTF-8")]
    NotUtf8 {
        /// How many bytes before it are fine.
        at: usize,
    },
    /// Nothing in the body, nothing in the query.
    #[error("the body is empty: put the alert's fields in the message, as a JSON object")]
    Empty,
    /// JSON, but not an object.
    #[error("the body is {0}, not an object: send one alert as {{\"symbol\": …, \"signal\": …}}")]
    NotAnObject(&'static str),
    /// More than one order; with what shows it.
    #[error("the message holds several orders ({0}): send each in an alert of its own")]
    SeveralOrders(&'static str),
    /// Starts like an object and is none.
    #[error("the body starts like JSON but is none: in line {line}, column {column}, {expected}")]
    Syntax {
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        /// What is wrong there.
        expected: &'static str,
    },
    /// More levels than anything sensible has.
    #[error("the body's objects and lists are nested more than {DEPTH_MAX} deep")]
    TooDeep,
    /// More fields than anything sensible has.
    #[error("the alert has more than {FIELDS_MAX} fields")]
    TooManyFields,
    /// Text, but no field in it, nor in the query.
    #[error("no field was found in the message: write it as a JSON object, or as lines like `symbol: AAPL`")]
    NoFields,
}

/// A body's fields.
#[derive(Debug)]
pub(super) struct BodySource {
    pub(super) fields: Map<String, Value>,
    /// The body's text, where it was not JSON; its entities decoded.
    pub(super) text: Option<String>,
    /// Whether they stood in an object, not in pairs.
    is_object: bool,
}

/// Reads a body. An empty one, and a text without fields, have no fields: the query may have them all.
pub(super) fn read(body: &[u8]) -> Result<BodySource, UnreadableBody> {
    let text = std::str::from_utf8(body).map_err(|e| UnreadableBody::NotUtf8 { at: e.valid_up_to() })?;
    let source = read_text(text)?;
    one_order(&source.fields)?;
    Ok(source)
}

fn read_text(text: &str) -> Result<BodySource, UnreadableBody> {
    let source = shape_of(text)?;
    json::check_texts(source.fields.values())?;
    Ok(source)
}

fn shape_of(text: &str) -> Result<BodySource, UnreadableBody> {
    let trim = |c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\0');
    let text = text.trim_matches(trim);
    match serde_json::from_str(text).map(|ToldOnce(value)| value) {
        Ok(Value::Object(fields)) => {
            measure(&fields)?;
            Ok(BodySource { fields, text: None, is_object: true })
        }
        // JSON that was encoded once more.
        Ok(Value::String(inner)) if inner.trim_start().starts_with('{') => near_json_or_pairs(inner.trim_matches(trim)),
        Ok(other) => Err(no_object(&other)),
        Err(_) => near_json_or_pairs(entities::decode_entities(text).trim_matches(trim)),
    }
}

impl From<ToldTwice> for UnreadableBody {
    fn from(_: ToldTwice) -> Self {
        Self::SeveralOrders(ToldTwice::MESSAGE)
    }
}

fn near_json_or_pairs(written: &str) -> Result<BodySource, UnreadableBody> {
    let text = &*plain_marks(written);
    if let Some(decoded) = percent_decoded(text) {
        return read_text(&decoded);
    }
    let (fields, is_object) = match text.chars().next() {
        Some('{') if !text.starts_with("{{") => (lenient::read(text)?, true),
        Some('[') if !text[1..].trim_start().starts_with(|c: char| c.is_alphabetic()) => {
            let list = lenient::read(&format!("{{list: {text}\n}}")).ok().and_then(|mut list| list.remove("list"));
            return Err(list.map_or(UnreadableBody::NotAnObject("a list"), |list| no_object(&list)));
        }
        _ if is_form(text) => (query::read(text)?, false),
        _ => match behind_text(text)? {
            Some(fields) => (fields, true),
            None => (pairs::read(text)?, false),
        },
    };
    Ok(BodySource { fields, text: Some(written.to_owned()), is_object })
}

/// The text with the marks that JSON and pairs are made of as they have them: not wide, not escaped once more, and
/// without what closes a code fence.
fn plain_marks(text: &str) -> Cow<'_, str> {
    const ESCAPED_AT_MOST: usize = 2;
    let wide = |c: char| match c {
        '：' => ':',
        '，' => ',',
        '；' => ';',
        '＝' => '=',
        '＂' | '″' => '"',
        '｛' => '{',
        '｝' => '}',
        other => other,
    };
    let text = if text.starts_with(['{', '｛']) {
        text.trim_end_matches(|c: char| c == '`' || c.is_whitespace())
    } else {
        text
    };
    let mut plain = Cow::Borrowed(text);
    if text.contains(|c| wide(c) != c) {
        plain = Cow::Owned(text.chars().map(wide).collect());
    }
    for _ in 0..ESCAPED_AT_MOST {
        if !plain.strip_prefix('{').is_some_and(|rest| rest.trim_start().starts_with('\\')) {
            break;
        }
        plain = Cow::Owned(plain.replace("\\\\", "\\").replace("\\\"", "\""));
    }
    plain
}

/// An object that is encoded as a form has it.
fn percent_decoded(text: &str) -> Option<String> {
    text.get(..3).filter(|head| head.eq_ignore_ascii_case("%7b"))?;
    query::pairs(text).into_iter().next().map(|(name, _)| name).filter(|name| name.starts_with('{'))
}

fn no_object(value: &Value) -> UnreadableBody {
    let several = value.as_array().is_some_and(|items| items.iter().filter(|item| item.is_object()).count() > 1);
    if several {
        UnreadableBody::SeveralOrders("it is a list of objects")
    } else {
        UnreadableBody::NotAnObject(kind(value))
    }
}

/// The object in a code fence, or behind a text that says nothing itself: `Alert on AAPL: {…}`.
///
/// # Errors
/// It begins like one and cannot be read: it is not read as pairs then, because what is gone may be its stop loss.
fn behind_text(text: &str) -> Result<Option<Map<String, Value>>, UnreadableBody> {
    let Some(start) = object_start(text) else { return Ok(None) };
    let said = pairs::read(&text[..start]).is_ok_and(|said| is_any_read(&said));
    if said {
        return Ok(None);
    }
    // What closes a fence ends the object; behind it stands what a person wrote.
    let fenced = text[..start].contains("```");
    let end = text[start..].find("```").filter(|_| fenced).map_or(text.len(), |end| start + end);
    if fenced && object_start(&text[end..]).is_some() {
        return Err(UnreadableBody::SeveralOrders("one object stands behind another"));
    }
    let whole = text[..end].trim_end_matches(|c: char| c.is_whitespace() || c == '`');
    let quoted = text[start + 1..].trim_start().starts_with(lenient::is_quote);
    match lenient::read_from(whole, start) {
        Ok(fields) if quoted || is_any_read(&fields) => Ok(Some(fields)),
        Err(wrong) if quoted => Err(wrong),
        Ok(_) | Err(_) => Ok(None),
    }
}

/// Where the first object begins. `{{…}}` begins none.
fn object_start(text: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + text[from..].find('{')?;
        if !text[at..].starts_with("{{") {
            return Some(at);
        }
        from = at + 2;
    }
}

fn is_any_read(fields: &Map<String, Value>) -> bool {
    fields.iter().any(|(name, value)| names::is_read(&names::normal(name)) && !is_blank(value))
}

fn is_blank(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}

/// An object's list of orders is more than one order, and so is a single one of which the object itself says nothing.
fn one_order(fields: &Map<String, Value>) -> Result<(), UnreadableBody> {
    let is_order =
        |item: &&Value| item.as_object().is_some_and(|item| says(item, names::SYMBOL) || says(item, DIRECTIONS));
    let says_itself = says(fields, DIRECTIONS);
    for (name, value) in fields {
        let Value::Array(items) = value else { continue };
        let orders = items.iter().filter(is_order).count();
        let listed = names::ORDERS.contains(&names::normal(name).as_str());
        if listed && (orders > 1 || (orders == 1 && !says_itself)) || orders > 1 && !says_itself {
            return Err(UnreadableBody::SeveralOrders("they stand in a list"));
        }
    }
    let directed = |value: &&Value| value.as_object().is_some_and(|members| says(members, DIRECTIONS));
    let of_its_own = |name: &str| !names::is_group(&names::normal(name));
    let orders = fields.iter().filter(|(name, _)| of_its_own(name)).map(|(_, value)| value).filter(directed).count();
    if orders > 1 && !says_itself {
        return Err(UnreadableBody::SeveralOrders("they stand side by side"));
    }
    Ok(())
}

/// Fields that say what an order is for.
const DIRECTIONS: &[&str] = &["signal", "action", "orderaction", "side", "direction"];

/// Whether an object, or a group in it, has a field of such a name.
fn says(fields: &Map<String, Value>, wanted: &[&str]) -> bool {
    fields.iter().any(|(name, value)| {
        let normal = names::normal(name);
        let within = |members| names::is_group(&normal) && says_itself(members, wanted);
        value.as_object().map_or_else(|| wanted.contains(&normal.as_str()) && !is_blank(value), within)
    })
}

fn says_itself(fields: &Map<String, Value>, wanted: &[&str]) -> bool {
    let named = |name: &String, value: &Value| wanted.contains(&names::normal(name).as_str()) && !is_blank(value);
    fields.iter().any(|(name, value)| named(name, value))
}

/// The fields of an alert that stands in the text of another object's `content`, `text`, `message` or the like; with
/// that object's other fields. None where that object says something itself.
///
/// # Errors
/// The text begins like an object and cannot be read, or holds several orders.
pub(super) fn unwrap_fields(fields: &Map<String, Value>) -> Result<Option<Map<String, Value>>, UnreadableBody> {
    if [names::SYMBOL, DIRECTIONS, names::PRICE].iter().any(|wanted| says(fields, wanted)) {
        return Ok(None);
    }
    for (name, value) in fields {
        let Value::String(text) = value else { continue };
        if !names::WRAPPERS.contains(&names::normal(name).as_str()) {
            continue;
        }
        let whole = |inner: &Map<String, Value>| {
            [names::SYMBOL, DIRECTIONS, names::PRICE].iter().all(|wanted| says(inner, wanted))
        };
        let inner = match read_text(text) {
            Ok(inner) => inner,
            Err(wrong @ (UnreadableBody::SeveralOrders(_) | UnreadableBody::Syntax { .. })) => return Err(wrong),
            Err(_) => continue,
        };
        if inner.is_object {
            one_order(&inner.fields)?;
        }
        if (inner.is_object && is_any_read(&inner.fields)) || whole(&inner.fields) {
            let mut all = fields.clone();
            all.shift_remove(name);
            told_once(&all, &inner.fields)?;
            all.extend(inner.fields);
            measure(&all)?;
            return Ok(Some(all));
        }
    }
    Ok(None)
}

/// What decides stands around an alert as within it, or only in one of them. An envelope has a `type` and an `id` of its
/// own, which count where they say that something ends.
fn told_once(around: &Map<String, Value>, alert: &Map<String, Value>) -> Result<(), ToldTwice> {
    for (name, value) in around.iter().filter(|(_, value)| !is_blank(value)) {
        let normal = names::normal(name);
        let differs =
            |(name, inner): (&String, &Value)| names::normal(name) == normal && inner != value && !is_blank(inner);
        if json::decides(&normal) && !signs::is_mere_word(&normal, value) && alert.iter().any(differs) {
            return Err(ToldTwice);
        }
    }
    Ok(())
}

/// `a=b&c=d`, with nothing that would split pairs; or one field alone that holds an object.
fn is_form(text: &str) -> bool {
    let several = text.contains('&') || text.contains("=%7B") || text.contains("=%7b");
    several && text.contains('=') && !text.contains(|c: char| c.is_whitespace() || matches!(c, ',' | '{'))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a quoted text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Holds strict JSON to the bounds that near-JSON is read within. (The JSON reader stops at 128 levels by itself.)
fn measure(fields: &Map<String, Value>) -> Result<(), UnreadableBody> {
    let mut count = 0;
    let mut open: Vec<(&Value, usize)> = fields.values().map(|value| (value, 1)).collect();
    while let Some((value, depth)) = open.pop() {
        count += 1;
        if count > FIELDS_MAX {
            return Err(UnreadableBody::TooManyFields);
        }
        if depth >= DEPTH_MAX && matches!(value, Value::Array(_) | Value::Object(_)) {
            return Err(UnreadableBody::TooDeep);
        }
        match value {
            Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(members) => open.extend(members.values().map(|member| (member, depth + 1))),
            _ => {}
        }
    }
    Ok(())
}
