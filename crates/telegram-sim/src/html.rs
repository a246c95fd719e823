//! Telegram's HTML parse mode: markup in, plain text and entities out, or the error in Telegram's own words.
//!
//! Pure. Offsets in errors count bytes of the markup; offsets of entities count UTF-16 code units of the plain text.

use serde::Serialize;

mod tag;
#[cfg(test)]
mod tests;

/// A stretch of formatted text, as the Bot API describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TextEntity {
    /// `bold`, `italic`, `text_link`, …
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// First UTF-16 code unit.
    pub offset: usize,
    /// Number of UTF-16 code units.
    pub length: usize,
    /// For `text_link`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// For `pre`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// For `custom_emoji`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_emoji_id: Option<String>,
}

impl TextEntity {
    pub(crate) fn new(kind: &'static str, offset: usize, length: usize) -> Self {
        Self { kind, offset, length, url: None, language: None, custom_emoji_id: None }
    }
}

/// Text after its markup has been read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParsedText {
    /// What a chat shows.
    pub plain: String,
    /// How it shows it, ordered by offset.
    pub entities: Vec<TextEntity>,
}

impl ParsedText {
    /// As Telegram keeps it: without white space at either end.
    pub fn trim_text(mut self) -> Self {
        let end = self.plain.trim_end().len();
        let start = end - self.plain[..end].trim_start().len();
        if start == 0 && end == self.plain.len() {
            return self;
        }
        let units_before = self.plain[..start].encode_utf16().count();
        self.plain = self.plain[start..end].to_owned();
        let units = self.plain.encode_utf16().count();
        for entity in &mut self.entities {
            let last = (entity.offset + entity.length).saturating_sub(units_before).min(units);
            entity.offset = entity.offset.saturating_sub(units_before).min(units);
            entity.length = last.saturating_sub(entity.offset);
        }
        self.entities.retain(|entity| entity.length > 0);
        self
    }
}

/// Reads markup.
///
/// # Errors
/// The part of Telegram's message that follows `Bad Request: can't parse entities: `.
pub fn parse(markup: &str) -> Result<ParsedText, String> {
    let mut reader = MarkupReader {
        markup,
        at: 0,
        plain: String::with_capacity(markup.len()),
        plain_units: 0,
        open: vec![],
        entities: vec![],
    };
    while let Some(c) = reader.peek() {
        match c {
            '<' => reader.tag()?,
            '&' => reader.reference(),
            c => reader.push(c, c.len_utf8()),
        }
    }
    if let Some(tag) = reader.open.last() {
        return Err(format!("Can't find end tag corresponding to start tag \"{}\"", tag.name));
    }
    reader.entities.sort_by_key(|entity| (entity.offset, std::cmp::Reverse(entity.length)));
    Ok(ParsedText { plain: reader.plain, entities: reader.entities })
}

/// A start tag whose end has not come yet.
struct OpenTag {
    name: String,
    /// `href`, language, emoji id or `expandable`, by the tag's name.
    argument: Option<String>,
    plain_at: usize,
    units_at: usize,
}

struct MarkupReader<'a> {
    markup: &'a str,
    at: usize,
    plain: String,
    plain_units: usize,
    open: Vec<OpenTag>,
    entities: Vec<TextEntity>,
}

impl MarkupReader<'_> {
    fn peek(&self) -> Option<char> {
        self.markup[self.at..].chars().next()
    }

    fn push(&mut self, c: char, markup_len: usize) {
        self.plain.push(c);
        self.plain_units += c.len_utf16();
        self.at += markup_len;
    }

    fn reference(&mut self) {
        match decode_reference(&self.markup[self.at..]) {
            Some((c, len)) => self.push(c, len),
            // What Telegram does not know it leaves as it stands.
            None => self.push('&', 1),
        }
    }

    fn tag(&mut self) -> Result<(), String> {
        let begin = self.at;
        if self.markup[begin + 1..].starts_with('/') { self.end_tag(begin) } else { self.start_tag(begin) }
    }

    fn start_tag(&mut self, begin: usize) -> Result<(), String> {
        let (tag, end) = tag::read_start(self.markup, begin)?;
        self.at = end;
        self.open.push(OpenTag {
            name: tag.name,
            argument: tag.argument,
            plain_at: self.plain.len(),
            units_at: self.plain_units,
        });
        Ok(())
    }

    fn end_tag(&mut self, begin: usize) -> Result<(), String> {
        let Some(open) = self.open.pop() else {
            return Err(format!("Unexpected end tag at byte offset {begin}"));
        };
        let rest = &self.markup[begin + 2..];
        let name_len = rest.find(|c| is_space(c) || c == '>').unwrap_or(rest.len());
        let name = rest[..name_len].to_ascii_lowercase();
        let after = rest[name_len..].trim_start_matches(is_space);
        if !after.starts_with('>') {
            return Err(format!("Unclosed end tag at byte offset {begin}"));
        }
        if !name.is_empty() && name != open.name {
            return Err(format!(
                "Unmatched end tag at byte offset {begin}, expected \"</{}>\", found \"</{name}>\"",
                open.name
            ));
        }
        self.at = self.markup.len() - after.len() + 1;
        self.close(open)
    }

    fn close(&mut self, open: OpenTag) -> Result<(), String> {
        let length = self.plain_units - open.units_at;
        if length == 0 {
            return Ok(());
        }
        let mut entity = TextEntity::new("", open.units_at, length);
        match open.name.as_str() {
            "b" | "strong" => entity.kind = "bold",
            "i" | "em" => entity.kind = "italic",
            "u" | "ins" => entity.kind = "underline",
            "s" | "strike" | "del" => entity.kind = "strikethrough",
            "tg-spoiler" | "span" => entity.kind = "spoiler",
            "blockquote" if open.argument.is_some() => entity.kind = "expandable_blockquote",
            "blockquote" => entity.kind = "blockquote",
            "tg-emoji" => match open.argument.filter(|id| id.parse::<i64>().is_ok_and(|id| id != 0)) {
                Some(id) => {
                    entity.kind = "custom_emoji";
                    entity.custom_emoji_id = Some(id);
                }
                None => return Err("Invalid custom emoji identifier specified".to_owned()),
            },
            "a" => {
                let url = open.argument.filter(|href| !href.is_empty());
                entity.kind = "text_link";
                // A link without an address links to its own text.
                entity.url = Some(url.unwrap_or_else(|| self.plain[open.plain_at..].to_owned()));
            }
            "pre" => {
                entity.kind = "pre";
                // <pre><code class="language-x"> is one block with a language.
                let inner =
                    self.entities.pop_if(|e| e.kind == "code" && e.offset == entity.offset && e.length == length);
                entity.language = inner.and_then(|code| code.language);
            }
            _ => {
                entity.kind = "code";
                entity.language = open.argument;
            }
        }
        self.entities.push(entity);
        Ok(())
    }
}

/// Reads `&lt;`, `&#36;`, `&#x24;`: the character and the length of its markup. The semicolon may be missing.
fn decode_reference(markup: &str) -> Option<(char, usize)> {
    let body = &markup[1..];
    let (c, len) = if let Some(number) = body.strip_prefix('#') {
        let (digits, radix, prefix_len) = match number.strip_prefix('x') {
            Some(hex) => (hex, 16, 2),
            None => (number, 10, 1),
        };
        let digit_len = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
        let code = u32::from_str_radix(&digits[..digit_len], radix).ok().filter(|code| *code != 0)?;
        (char::from_u32(code)?, prefix_len + digit_len)
    } else {
        let len = body.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(body.len());
        let c = match &body[..len] {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            _ => return None,
        };
        (c, len)
    };
    let semicolon = usize::from(body[len..].starts_with(';'));
    // Telegram reads references of up to nine bytes.
    (len < 9).then_some((c, 1 + len + semicolon))
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n' | '\0' | '\u{b}')
}
