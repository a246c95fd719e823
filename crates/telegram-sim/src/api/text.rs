//! The text of a message as it is sent: parse mode and length.

use crate::answer::ApiError;
use crate::html::{self, Parsed};
use crate::params::Params;

/// In UTF-16 code units, after the markup has been read.
const TEXT_UNITS_MAX: usize = 4096;
const CAPTION_UNITS_MAX: usize = 1024;

/// A text that Telegram would accept.
pub(super) struct Text {
    pub(super) sent: String,
    pub(super) parse_mode: Option<String>,
    pub(super) parsed: Parsed,
}

impl Text {
    /// The text of a message, which must not be empty.
    pub(super) fn read(params: &Params) -> Result<Self, ApiError> {
        let sent = params.text("text").unwrap_or_default();
        if sent.is_empty() {
            return Err(ApiError::bad_request("message text is empty"));
        }
        let text = Self::parse(params, sent)?;
        if text.parsed.plain.is_empty() {
            return Err(ApiError::bad_request("text must be non-empty"));
        }
        text.within(TEXT_UNITS_MAX, "message is too long")
    }

    /// The caption of a file, which may be empty.
    pub(super) fn read_caption(params: &Params) -> Result<Self, ApiError> {
        let sent = params.text("caption").unwrap_or_default();
        Self::parse(params, sent)?.within(CAPTION_UNITS_MAX, "message caption is too long")
    }

    fn within(self, units_max: usize, else_refuse: &str) -> Result<Self, ApiError> {
        let plain = &self.parsed.plain;
        if plain.len() > units_max && plain.encode_utf16().count() > units_max {
            return Err(ApiError::bad_request(else_refuse));
        }
        Ok(self)
    }

    fn parse(params: &Params, sent: String) -> Result<Self, ApiError> {
        let parse_mode =
            params.text("parse_mode").filter(|mode| !mode.is_empty() && !mode.eq_ignore_ascii_case("none"));
        let parsed = match parse_mode.as_deref() {
            None => Parsed { plain: sent.clone(), entities: Vec::new() },
            Some(mode) if mode.eq_ignore_ascii_case("html") => {
                html::parse(&sent).map_err(ApiError::cannot_parse_entities)?
            }
            // Markdown is not simulated.
            Some(_) => return Err(ApiError::bad_request("unsupported parse_mode")),
        };
        let parsed = parsed.trimmed();
        Ok(Self { sent, parse_mode: parse_mode.map(|_| "HTML".to_owned()), parsed })
    }
}

/// The chat that a call is about.
pub(super) fn chat_id(params: &Params) -> Result<i64, ApiError> {
    match params.text("chat_id") {
        None => Err(ApiError::bad_request("chat_id is empty")),
        Some(text) if text.is_empty() => Err(ApiError::bad_request("chat_id is empty")),
        Some(_) => params.int("chat_id").filter(|id| *id != 0).ok_or_else(|| ApiError::bad_request("chat not found")),
    }
}
