//! The Bot API's envelopes, and every error with Telegram's wording. HTTP status equals `error_code`.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::json;

use crate::limiter::LimitRefusal;

/// An answer with `"ok": false`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BotApiError {
    pub(crate) code: u16,
    pub(crate) description: String,
    /// Of a 429, what brought it about.
    pub(crate) refusal: Option<LimitRefusal>,
    /// The id that a group has now.
    pub(crate) moved_to: Option<i64>,
}

impl BotApiError {
    fn new(code: u16, description: impl Into<String>) -> Self {
        Self { code, description: description.into(), refusal: None, moved_to: None }
    }

    /// 400, `what` as it stands after `Bad Request: `.
    pub(crate) fn bad_request(what: impl std::fmt::Display) -> Self {
        Self::new(400, format!("Bad Request: {what}"))
    }

    pub(crate) fn migrated_to(to: i64) -> Self {
        Self { moved_to: Some(to), ..Self::bad_request("group chat was upgraded to a supergroup chat") }
    }

    pub(crate) fn cannot_parse_entities(why: impl std::fmt::Display) -> Self {
        Self::bad_request(format_args!("can't parse entities: {why}"))
    }

    pub(crate) fn unauthorized_answer() -> Self {
        Self::new(401, "Unauthorized")
    }

    pub(crate) fn forbidden(why: &str) -> Self {
        Self::new(403, format!("Forbidden: {why}"))
    }

    pub(crate) fn blocked_answer() -> Self {
        Self::forbidden("bot was blocked by the user")
    }

    /// The token has not even the form of one.
    pub(crate) fn not_found() -> Self {
        Self::new(404, "Not Found")
    }

    pub(crate) fn method_not_found() -> Self {
        Self::new(404, "Not Found: method not found")
    }

    pub(crate) fn conflict(why: &str) -> Self {
        Self::new(409, format!("Conflict: {why}"))
    }

    pub(crate) fn too_large() -> Self {
        Self::new(413, "Request Entity Too Large")
    }

    pub(crate) fn too_many_requests(refusal: LimitRefusal) -> Self {
        let description = format!("Too Many Requests: retry after {}", refusal.retry_after_s);
        Self { refusal: Some(refusal), ..Self::new(429, description) }
    }

    /// A failure of Telegram's own.
    pub(crate) fn server(code: u16) -> Self {
        let description = StatusCode::from_u16(code).ok().and_then(|status| status.canonical_reason());
        Self::new(code, description.unwrap_or("Internal Server Error"))
    }
}

/// A result already written as JSON, or an error.
pub(crate) type BotApiResult = Result<String, BotApiError>;

/// Writes a result as JSON.
pub(crate) fn result(value: &impl Serialize) -> BotApiResult {
    serde_json::to_string(value).map_err(|_| BotApiError::server(500))
}

/// Wraps an outcome into its envelope.
pub(crate) fn envelope(outcome: &BotApiResult) -> Response<Body> {
    match outcome {
        Ok(result) => json_response(200, format!(r#"{{"ok":true,"result":{result}}}"#)),
        Err(error) => {
            let mut body = json!({ "ok": false, "error_code": error.code, "description": error.description });
            let retry_after_s = error.refusal.map(|refusal| refusal.retry_after_s);
            if let Some(seconds) = retry_after_s {
                body["parameters"] = json!({ "retry_after": seconds });
            }
            if let Some(chat) = error.moved_to {
                body["parameters"] = json!({ "migrate_to_chat_id": chat });
            }
            let mut response = json_response(error.code, body.to_string());
            if let Some(seconds) = retry_after_s {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            response
        }
    }
}

/// A JSON body with a status.
pub(crate) fn json_response(status: u16, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
