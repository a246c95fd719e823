//! Near-JSON, as people paste it into an alert's message.
//!
//! Beyond JSON it takes: names without quotes, `=` for `:`, values without quotes (`2026-11-22T10:00:00Z`, `BUY`,
//! `{{close}}`, and nothing at all, which is null), single and typographic quotes, quotes within quoted text, line
//! breaks in it, trailing and doubled commas, a comma left out at a line's end, and comments (`//`, `/* */`).
//! It does not guess where an object ends: one that is cut off is an error, because its stop loss may be what is gone.
//!
//! One pass, no going back; depth and number of fields are bounded.

use std::iter::Peekable;
use std::str::{CharIndices, FromStr};

use serde_json::{Map, Number, Value};

use super::json::ObjectMembers;
use super::source::{DEPTH_MAX, FIELDS_MAX, UnreadableBody};

/// A name longer than this is a missing quote.
const NAME_CHARS_MAX: usize = 200;

/// A placeholder longer than this is a brace too many.
const PLACEHOLDER_BYTES_MAX: usize = 200;

/// Reads a text that starts with `{`.
pub(super) fn read(text: &str) -> Result<Map<String, Value>, UnreadableBody> {
    read_from(text, 0)
}

/// Reads the object that starts at a byte of the text, and ends with it.
pub(super) fn read_from(text: &str, start: usize) -> Result<Map<String, Value>, UnreadableBody> {
    let mut reader = LenientReader { text, chars: text.char_indices().peekable(), fields: 0 };
    while reader.chars.next_if(|(at, _)| *at < start).is_some() {}
    reader.blank()?;
    let fields = reader.object(1)?;
    reader.blank()?;
    while reader.take_if(|c| c == ';' || c == ',') {
        reader.blank()?;
    }
    match reader.peek() {
        None => Ok(fields),
        Some('{') => Err(UnreadableBody::SeveralOrders("one object stands behind another")),
        Some(_) => Err(reader.wrong("the text after the closing } does not belong to the alert")),
    }
}

/// A value without quotes: null, true, false, a number that is spelt as JSON spells it, else a text.
pub(super) fn read_typed(text: &str) -> Value {
    match text {
        "" | "null" | "undefined" | "None" => Value::Null,
        "true" | "True" => Value::Bool(true),
        "false" | "False" => Value::Bool(false),
        // A number only where nothing of its spelling is lost by that: `0700` and `1.10` may be names.
        _ => match Number::from_str(text) {
            Ok(number) if number.to_string() == text => Value::Number(number),
            _ => Value::String(text.to_owned()),
        },
    }
}

/// Whether a text in quotes may start with this character.
pub(super) fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '`' | '´' | '“' | '”' | '„' | '‟' | '«' | '‘' | '’' | '‚' | '‛')
}

/// Whether `c` closes a text that `open` opened.
pub(super) fn closes(open: char, c: char) -> bool {
    match open {
        '"' => c == '"',
        '\'' => c == '\'',
        '`' | '´' => matches!(c, '`' | '´' | '\''),
        '«' => c == '»',
        '“' | '”' | '„' | '‟' => matches!(c, '“' | '”' | '‟' | '"'),
        _ => matches!(c, '‘' | '’' | '‛' | '\''),
    }
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}' | '\u{200e}' | '\u{200f}')
}

struct LenientReader<'a> {
    text: &'a str,
    chars: Peekable<CharIndices<'a>>,
    fields: usize,
}

impl LenientReader<'_> {
    fn peek(&mut self) -> Option<char> {
        self.chars.peek().map(|(_, c)| *c)
    }

    fn at(&mut self) -> usize {
        self.chars.peek().map_or(self.text.len(), |(at, _)| *at)
    }

    fn rest(&mut self) -> &str {
        let at = self.at();
        &self.text[at..]
    }

    fn take(&mut self) -> Option<char> {
        self.chars.next().map(|(_, c)| c)
    }

    fn take_if(&mut self, wanted: impl Fn(char) -> bool) -> bool {
        self.chars.next_if(|(_, c)| wanted(*c)).is_some()
    }

    fn wrong(&mut self, expected: &'static str) -> UnreadableBody {
        let before = &self.text[..self.at()];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        UnreadableBody::Syntax {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            expected,
        }
    }

    /// Passes over white space and comments; tells whether a line ended.
    fn blank(&mut self) -> Result<bool, UnreadableBody> {
        let mut newline = false;
        loop {
            while let Some((_, c)) = self.chars.next_if(|(_, c)| is_blank(*c)) {
                newline |= c == '\n' || c == '\r';
            }
            if self.rest().starts_with("//") {
                while self.take_if(|c| c != '\n') {}
            } else if self.rest().starts_with("/*") {
                self.block_comment()?;
            } else {
                return Ok(newline);
            }
        }
    }

    fn block_comment(&mut self) -> Result<(), UnreadableBody> {
        let mut star = false;
        self.take();
        self.take();
        while let Some(c) = self.take() {
            if star && c == '/' {
                return Ok(());
            }
            star = c == '*';
        }
        Err(self.wrong("the comment that starts with /* does not end"))
    }

    fn count_field(&mut self) -> Result<(), UnreadableBody> {
        self.fields += 1;
        if self.fields > FIELDS_MAX { Err(UnreadableBody::TooManyFields) } else { Ok(()) }
    }

    /// An object, from its `{` on.
    fn object(&mut self, depth: usize) -> Result<Map<String, Value>, UnreadableBody> {
        if depth > DEPTH_MAX {
            return Err(UnreadableBody::TooDeep);
        }
        let mut members = ObjectMembers::default();
        self.take();
        loop {
            self.commas()?;
            match self.peek() {
                None => return Err(self.wrong("the closing } is missing")),
                Some('}') => break,
                Some(_) => {}
            }
            self.count_field()?;
            let name = self.name()?;
            let value = self.value(depth)?;
            members.put(name, value)?;
            self.read_separator('}')?;
        }
        self.take();
        Ok(members.finish())
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Value>, UnreadableBody> {
        if depth > DEPTH_MAX {
            return Err(UnreadableBody::TooDeep);
        }
        let mut items = Vec::new();
        self.take();
        loop {
            self.commas()?;
            match self.peek() {
                None => return Err(self.wrong("the closing ] is missing")),
                Some(']') => break,
                Some(_) => {}
            }
            self.count_field()?;
            items.push(self.value(depth)?);
            self.read_separator(']')?;
        }
        self.take();
        Ok(items)
    }

    /// White space and any number of commas, or semicolons: doubled ones and a trailing one mean nothing.
    fn commas(&mut self) -> Result<(), UnreadableBody> {
        self.blank()?;
        while self.take_if(|c| matches!(c, ',' | ';')) {
            self.blank()?;
        }
        Ok(())
    }

    /// After a member: a comma, the end, or at least the end of the line.
    fn read_separator(&mut self, close: char) -> Result<(), UnreadableBody> {
        let newline = self.blank()?;
        match self.peek() {
            Some(c) if matches!(c, ',' | ';') || c == close || newline => Ok(()),
            None => Ok(()),
            Some(_) => Err(self.wrong("a comma is missing, or a text lacks its quotes")),
        }
    }

    fn name(&mut self) -> Result<String, UnreadableBody> {
        let name = match self.peek() {
            Some(c) if is_quote(c) => self.read_quoted(c)?,
            _ => self.bare_name()?,
        };
        self.blank()?;
        if !self.take_if(|c| c == ':' || c == '=') {
            return Err(self.wrong("a : is missing behind the field's name"));
        }
        Ok(name)
    }

    fn bare_name(&mut self) -> Result<String, UnreadableBody> {
        let mut name = String::new();
        while let Some((_, c)) =
            self.chars.next_if(|(_, c)| !matches!(c, ':' | '=' | ',' | '{' | '}' | '[' | ']' | '\n'))
        {
            name.push(c);
            if name.len() > NAME_CHARS_MAX {
                return Err(self.wrong("a : is missing behind the field's name"));
            }
        }
        let name = name.trim();
        if name.is_empty() { Err(self.wrong("a field's name is missing")) } else { Ok(name.to_owned()) }
    }

    fn value(&mut self, depth: usize) -> Result<Value, UnreadableBody> {
        self.blank()?;
        match self.peek() {
            Some('{') if !self.rest().starts_with("{{") => self.object(depth + 1).map(Value::Object),
            Some('[') => self.list(depth + 1).map(Value::Array),
            Some(c) if is_quote(c) => self.read_quoted(c).map(Value::String),
            _ => self.bare_value(),
        }
    }

    /// A value without quotes, up to a comma, a closing bracket or the line's end. It may hold placeholders, and
    /// apostrophes, but no double quotes: there a comma would be missing.
    fn bare_value(&mut self) -> Result<Value, UnreadableBody> {
        let start = self.at();
        while let Some(c) = self.peek() {
            let comment = c == '/' && self.at() > start && self.comment_follows();
            if matches!(c, ',' | '}' | ']' | '\n' | '\r') || comment || c == ';' && self.name_follows() {
                break;
            }
            match c {
                '{' => self.placeholder()?,
                '[' | '"' | '“' | '”' => return Err(self.wrong("a comma is missing, or a text lacks its quotes")),
                _ => drop(self.take()),
            }
        }
        let end = self.at();
        Ok(read_typed(self.text[start..end].trim_matches(is_blank)))
    }

    /// Whether a comment starts here: behind a space only, so that `https://` is none.
    fn comment_follows(&mut self) -> bool {
        let at = self.at();
        self.text[..at].ends_with(is_blank) && (self.text[at..].starts_with("//") || self.text[at..].starts_with("/*"))
    }

    /// Whether a name in quotes stands behind the semicolon here.
    fn name_follows(&mut self) -> bool {
        self.rest().trim_start_matches(';').trim_start().starts_with(is_quote)
    }

    fn placeholder(&mut self) -> Result<(), UnreadableBody> {
        let at = self.at();
        let rest = &self.text.as_bytes()[at..];
        let window = &rest[..rest.len().min(PLACEHOLDER_BYTES_MAX)];
        let end = window.windows(2).position(|pair| pair == b"}}").filter(|_| rest.starts_with(b"{{"));
        let Some(end) = end else {
            return Err(self.wrong("a brace stands where a value belongs"));
        };
        while self.at() < at + end + 2 {
            self.take();
        }
        Ok(())
    }

    /// A text in quotes. A quote closes it only where something may follow a text: so `'trader's pick'` is one text.
    fn read_quoted(&mut self, open: char) -> Result<String, UnreadableBody> {
        let mut text = String::new();
        self.take();
        while let Some(c) = self.take() {
            if c == '\\' {
                self.escape(&mut text);
            } else if closes(open, c) && self.text_may_end() {
                return Ok(text);
            } else {
                text.push(c);
            }
        }
        Err(self.wrong("a closing quote is missing"))
    }

    /// Whether what comes next may follow a text. Looks over blanks only, up to the line's end.
    fn text_may_end(&mut self) -> bool {
        let rest = self.rest().trim_start_matches(|c| is_blank(c) && c != '\n' && c != '\r');
        rest.is_empty()
            || rest.starts_with([',', '}', ']', ':', '=', '\n', '\r', ';'])
            || rest.starts_with("//")
            || rest.starts_with("/*")
    }

    /// What stands behind a backslash. An escape that JSON does not have stands for itself.
    fn escape(&mut self, text: &mut String) {
        match self.take() {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some('b' | 'f') => text.push(' '),
            Some('u') => text.push(self.unicode_escape()),
            Some(c) => text.push(c),
            None => {}
        }
    }

    fn unicode_escape(&mut self) -> char {
        let Some(first) = self.four_digits() else { return char::REPLACEMENT_CHARACTER };
        if !(0xd800..0xdc00).contains(&first) || !self.rest().starts_with("\\u") {
            return char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER);
        }
        self.take();
        self.take();
        let second = self.four_digits().filter(|low| (0xdc00..0xe000).contains(low));
        second
            .and_then(|low| char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (low - 0xdc00)))
            .unwrap_or(char::REPLACEMENT_CHARACTER)
    }

    fn four_digits(&mut self) -> Option<u32> {
        let digits = self.rest().get(..4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let code = u32::from_str_radix(digits, 16).ok()?;
        for _ in 0..4 {
            self.take();
        }
        Some(code)
    }
}
