//! The text of a message as it is sent: parse mode and length.

use crate::answer::BotApiError;
use crate::html::{self, ParsedText};
use crate::params::CallParams;

/// In UTF-16 code units, after the markup has been read.
const TEXT_UNITS_MAX: usize = 4096;
const CAPTION_UNITS_MAX: usize = 1024;

/// A text that Telegram would accept.
pub(super) struct AcceptedText {
    pub(super) sent: String,
    pub(super) parse_mode: Option<String>,
    pub(super) parsed: ParsedText,
}

impl AcceptedText {
    /// The text of a message, which must not be empty.
    pub(super) fn read(params: &CallParams) -> Result<Self, BotApiError> {
        let sent = params.text("text").unwrap_or_default();
        if sent.is_empty() {
            return Err(BotApiError::bad_request("message text is empty"));
        }
        let text = Self::parse(params, sent)?;
        if text.parsed.plain.is_empty() {
            return Err(BotApiError::bad_request("text must be non-empty"));
        }
        text.within(TEXT_UNITS_MAX, "message is too long")
    }

    /// The caption of a file, which may be empty.
    pub(super) fn read_caption(params: &CallParams) -> Result<Self, BotApiError> {
        let sent = params.text("caption").unwrap_or_default();
        Self::parse(params, sent)?.within(CAPTION_UNITS_MAX, "message caption is too long")
    }

    fn within(self, units_max: usize, else_refuse: &str) -> Result<Self, BotApiError> {
        let plain = &self.parsed.plain;
        if plain.len() > units_max && plain.encode_utf16().count() > units_max {
            return Err(BotApiError::bad_request(else_refuse));
        }
        Ok(self)
    }

    fn parse(params: &CallParams, sent: String) -> Result<Self, BotApiError> {
        let parse_mode =
            params.text("parse_mode").filter(|mode| !mode.is_empty() && !mode.eq_ignore_ascii_case("none"));
        let parsed = match parse_mode.as_deref() {
            None => ParsedText { plain: sent.clone(), entities: Vec::new() },
            Some(mode) if mode.eq_ignore_ascii_case("html") => {
                html::parse(&sent).map_err(BotApiError::cannot_parse_entities)?
            }
            // Markdown is not simulated.
            Some(_) => return Err(BotApiError::bad_request("unsupported parse_mode")),
        };
        let parsed = parsed.trim_text();
        Ok(Self { sent, parse_mode: parse_mode.map(|_| "HTML".to_owned()), parsed })
    }
}

/// The chat that a call is about.
pub(super) fn chat_id(params: &CallParams) -> Result<i64, BotApiError> {
    match params.text("chat_id") {
        None => Err(BotApiError::bad_request("chat_id is empty")),
        Some(text) if text.is_empty() => Err(BotApiError::bad_request("chat_id is empty")),
        Some(_) => {
            params.int("chat_id").filter(|id| *id != 0).ok_or_else(|| BotApiError::bad_request("chat not found"))
        }
    }
}
