//! Reading one start tag with its attributes.

use super::{decode_reference, is_space};

/// A start tag that Telegram supports.
pub(super) struct StartTag {
    /// In lower case.
    pub(super) name: String,
    /// The one attribute that counts for this tag.
    pub(super) argument: Option<String>,
}

const SUPPORTED: [&str; 16] = [
    "a",
    "b",
    "strong",
    "i",
    "em",
    "s",
    "strike",
    "del",
    "u",
    "ins",
    "tg-spoiler",
    "tg-emoji",
    "span",
    "pre",
    "code",
    "blockquote",
];

/// Reads the tag that starts at byte `begin`; gives it and the byte after its `>`.
pub(super) fn read_start(markup: &str, begin: usize) -> Result<(StartTag, usize), String> {
    let mut cursor = TagCursor { markup, at: begin + 1 };
    let name = cursor.until(|c| is_space(c) || c == '>').to_ascii_lowercase();
    if cursor.peek().is_none() {
        return Err(format!("Unclosed start tag at byte offset {begin}"));
    }
    if !SUPPORTED.contains(&name.as_str()) {
        return Err(format!("Unsupported start tag \"{name}\" at byte offset {begin}"));
    }
    let mut argument = None;
    loop {
        cursor.skip_space();
        match cursor.peek() {
            Some('>') => break,
            None => return Err(format!("Unclosed start tag \"{name}\" at byte offset {begin}")),
            Some(_) => {}
        }
        let (attribute, value) = read_attribute(&mut cursor, &name, begin)?;
        if let Some(value) = relevant(&name, attribute, value) {
            argument = Some(value);
        }
    }
    if name == "span" && argument.as_deref() != Some("spoiler") {
        return Err(format!("Tag \"span\" must have class \"tg-spoiler\" at byte offset {begin}"));
    }
    Ok((StartTag { name, argument }, cursor.at + 1))
}

fn relevant(tag: &str, attribute: &str, value: Option<String>) -> Option<String> {
    match (tag, attribute) {
        ("a", "href") | ("tg-emoji", "emoji-id") => value,
        ("code", "class") => value?.strip_prefix("language-").map(str::to_owned),
        ("span", "class") => value?.strip_prefix("tg-").map(str::to_owned),
        ("blockquote", "expandable") => Some(String::new()),
        _ => None,
    }
}

fn read_attribute<'a>(
    cursor: &mut TagCursor<'a>,
    tag: &str,
    begin: usize,
) -> Result<(&'a str, Option<String>), String> {
    let name = cursor.until(|c| is_space(c) || matches!(c, '=' | '>'));
    if name.is_empty() {
        return Err(format!("Empty attribute name in the tag \"{tag}\" at byte offset {begin}"));
    }
    cursor.skip_space();
    if cursor.peek() != Some('=') {
        return Ok((name, None));
    }
    cursor.at += 1;
    cursor.skip_space();
    let value = match cursor.peek() {
        None => return Err(format!("Unclosed start tag \"{tag}\" at byte offset {begin}")),
        Some(quote @ ('"' | '\'')) => {
            cursor.at += 1;
            read_quoted(cursor, quote)
        }
        Some(_) => {
            let token_at = cursor.at;
            let token = cursor.until(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-')));
            if cursor.peek().is_some_and(|c| !is_space(c) && c != '>') {
                return Err(format!("Unexpected end of name token at byte offset {token_at}"));
            }
            token.to_ascii_lowercase()
        }
    };
    if cursor.peek().is_none() {
        return Err(format!("Unclosed start tag at byte offset {begin}"));
    }
    Ok((name, Some(value)))
}

fn read_quoted(cursor: &mut TagCursor<'_>, quote: char) -> String {
    let mut value = String::new();
    while let Some(c) = cursor.peek() {
        if c == quote {
            cursor.at += 1;
            break;
        }
        let (c, len) = match c {
            '&' => decode_reference(cursor.rest()).unwrap_or(('&', 1)),
            c => (c, c.len_utf8()),
        };
        value.push(c);
        cursor.at += len;
    }
    value
}

struct TagCursor<'a> {
    markup: &'a str,
    at: usize,
}

impl<'a> TagCursor<'a> {
    fn rest(&self) -> &'a str {
        &self.markup[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn until(&mut self, stop: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let len = rest.find(stop).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    fn skip_space(&mut self) {
        self.until(|c| !is_space(c));
    }
}
