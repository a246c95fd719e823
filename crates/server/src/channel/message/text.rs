//! Text in two forms at once: Telegram's HTML with every value escaped, and the same as plain text.
//!
//! Built line by line, and a line is taken whole or not at all: so the markup is well-formed and the length is kept.

use std::borrow::Cow;

/// Telegram refuses longer texts: 4,096 UTF-16 units after the markup is read. The rest is for the closing "…".
const UNITS_MAX: usize = 4_000;
/// No single value fills a message.
const VALUE_CHARS_MAX: usize = 600;
/// Most lines are no longer, so that a line is not moved while it grows.
const LINE_BYTES: usize = 96;
/// Nor are most messages.
const MESSAGE_BYTES: usize = 512;

/// A message in both forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageText {
    /// Telegram's HTML.
    pub html: String,
    /// What a reader sees of it.
    pub plain: String,
}

/// A line under construction.
#[derive(Debug, Clone, Default)]
pub(super) struct LineBuilder {
    html: String,
    plain: String,
}

impl LineBuilder {
    pub(super) fn new() -> Self {
        Self { html: String::with_capacity(LINE_BYTES), plain: String::with_capacity(LINE_BYTES) }
    }

    pub(super) fn text(self, text: impl AsRef<str>) -> Self {
        self.add_tagged("", text.as_ref())
    }

    pub(super) fn bold(self, text: impl AsRef<str>) -> Self {
        self.add_tagged("b", text.as_ref())
    }

    pub(super) fn italic(self, text: impl AsRef<str>) -> Self {
        self.add_tagged("i", text.as_ref())
    }

    /// A value that a tap copies.
    pub(super) fn code(self, text: impl AsRef<str>) -> Self {
        self.add_tagged("code", text.as_ref())
    }

    /// The text only where there is one.
    pub(super) fn maybe(self, text: Option<impl AsRef<str>>) -> Self {
        match text {
            Some(text) => self.text(text),
            None => self,
        }
    }

    fn add_tagged(mut self, tag: &str, text: &str) -> Self {
        let text = one_line(text);
        if text.is_empty() {
            return self;
        }
        if !tag.is_empty() {
            self.html.extend(["<", tag, ">"]);
        }
        escape(&text, &mut self.html);
        if !tag.is_empty() {
            self.html.extend(["</", tag, ">"]);
        }
        self.plain.push_str(&text);
        self
    }
}

/// A message under construction.
#[derive(Debug, Default)]
pub(super) struct TextBuilder {
    html: String,
    plain: String,
    units: usize,
    full: bool,
}

impl TextBuilder {
    pub(super) fn new() -> Self {
        let room = || String::with_capacity(MESSAGE_BYTES);
        Self { html: room(), plain: room(), units: 0, full: false }
    }

    pub(super) fn line(&mut self, line: LineBuilder) {
        let units = line.plain.encode_utf16().count() + 1;
        if self.full || self.units + units > UNITS_MAX {
            return self.cut();
        }
        self.units += units;
        self.append(&line);
    }

    /// An empty line, unless one stands there already or nothing does.
    pub(super) fn gap(&mut self) {
        if !self.plain.is_empty() && !self.plain.ends_with("\n\n") {
            self.line(LineBuilder::default());
        }
    }

    pub(super) fn finish(self) -> MessageText {
        let trimmed = |mut text: String| {
            text.truncate(text.trim_end().len());
            text
        };
        MessageText { html: trimmed(self.html), plain: trimmed(self.plain) }
    }

    fn cut(&mut self) {
        if !self.full {
            self.full = true;
            self.append(&LineBuilder::new().text("…"));
        }
    }

    fn append(&mut self, line: &LineBuilder) {
        self.html.push_str(&line.html);
        self.html.push('\n');
        self.plain.push_str(&line.plain);
        self.plain.push('\n');
    }
}

/// The first `most` characters, with "…" where that is not all.
pub(super) fn clip(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// Line breaks and other control characters in a value become spaces: a value cannot feign a line of ours, nor turn the
/// direction of the rest.
fn one_line(text: &str) -> Cow<'_, str> {
    // A character has a byte at least.
    if text.len() <= VALUE_CHARS_MAX && !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let harmless = |c: char| if is_harmful(c) { ' ' } else { c };
    clip(text, VALUE_CHARS_MAX).chars().map(harmless).collect::<String>().into()
}

fn is_harmful(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}') || c.is_control()
}

fn escape(text: &str, html: &mut String) {
    let mut rest = text;
    // What is written otherwise is a byte long.
    while let Some(at) = rest.bytes().position(|byte| matches!(byte, b'&' | b'<' | b'>' | b'"')) {
        let (before, behind) = rest.split_at(at);
        html.push_str(before);
        html.push_str(match behind.as_bytes()[0] {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            _ => "&quot;",
        });
        rest = &behind[1..];
    }
    html.push_str(rest);
}
