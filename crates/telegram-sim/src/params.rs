//! Parameters of a method call: from the query and from a JSON or form body, read as leniently as Telegram does.

use std::collections::HashMap;

use axum::extract::Multipart;
use axum::extract::multipart::MultipartError;
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value};

use crate::answer::BotApiError;
use crate::files::FileUpload;

/// The parameters of one call by name.
#[derive(Debug, Default)]
pub(crate) struct CallParams {
    fields: Map<String, Value>,
    uploads: HashMap<String, FileUpload>,
}

impl CallParams {
    /// Merges query and body; the body wins.
    pub(crate) fn read(query: Option<&str>, headers: &HeaderMap, body: &[u8]) -> Result<Self, BotApiError> {
        let mut params = Map::new();
        if let Some(query) = query {
            extend_from_form(&mut params, query.as_bytes());
        }
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if body.is_empty() {
        } else if content_type.starts_with("application/json") {
            match serde_json::from_slice(body) {
                Ok(Value::Object(fields)) => params.extend(fields),
                _ => return Err(BotApiError::bad_request("can't parse JSON object")),
            }
        } else if content_type.starts_with("application/x-www-form-urlencoded") {
            extend_from_form(&mut params, body);
        }
        Ok(Self { fields: params, uploads: HashMap::new() })
    }

    /// Reads a form with files.
    pub(crate) async fn read_multipart(query: Option<&str>, mut form: Multipart) -> Result<Self, BotApiError> {
        let unreadable = |error: MultipartError| match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => BotApiError::too_large(),
            _ => BotApiError::bad_request("can't read the form"),
        };
        let mut params = Self::read(query, &HeaderMap::new(), &[])?;
        while let Some(field) = form.next_field().await.map_err(unreadable)? {
            let Some(name) = field.name().map(str::to_owned) else { continue };
            match field.file_name().map(str::to_owned) {
                Some(file_name) => {
                    let mime = field.content_type().unwrap_or("application/octet-stream").to_owned();
                    let bytes = field.bytes().await.map_err(unreadable)?.to_vec();
                    params.uploads.insert(name, FileUpload { name: file_name, mime, bytes });
                }
                None => {
                    let text = field.text().await.map_err(unreadable)?;
                    params.fields.insert(name, Value::String(text));
                }
            }
        }
        Ok(params)
    }

    /// The file that came as this field, or that the field names with `attach://`.
    pub(crate) fn upload(&self, name: &str) -> Option<&FileUpload> {
        let attached = self.present(name).and_then(Value::as_str).and_then(|text| text.strip_prefix("attach://"));
        self.uploads.get(attached.unwrap_or(name))
    }

    pub(crate) fn from_map(params: Map<String, Value>) -> Self {
        Self { fields: params, uploads: HashMap::new() }
    }

    fn present(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        int(self.present(name)?)
    }

    /// A string, or a number or flag as it is written.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        match self.present(name)? {
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.present(name).is_some_and(flag)
    }

    /// An object or array; in forms it comes as a string of JSON.
    pub(crate) fn json(&self, name: &str, what: &str) -> Result<Option<Value>, BotApiError> {
        let value = match self.present(name) {
            None => return Ok(None),
            Some(Value::String(text)) if text.is_empty() => return Ok(None),
            Some(Value::String(text)) => serde_json::from_str(text).unwrap_or(Value::Null),
            Some(value) => value.clone(),
        };
        if value.is_object() || value.is_array() {
            Ok(Some(value))
        } else {
            Err(BotApiError::bad_request(format_args!("can't parse {what} JSON object")))
        }
    }
}

/// A number, or a string that is one.
pub(crate) fn int(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Telegram takes `true`, `yes` and any number but zero.
pub(crate) fn flag(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_i64() != Some(0),
        Value::String(text) => matches!(text.trim().to_ascii_lowercase().as_str(), "true" | "yes" | "1"),
        _ => false,
    }
}

fn extend_from_form(params: &mut Map<String, Value>, form: &[u8]) {
    for (name, value) in url::form_urlencoded::parse(form) {
        params.insert(name.into_owned(), Value::String(value.into_owned()));
    }
}
