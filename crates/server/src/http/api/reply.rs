//! What is answered where all went well.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Tells what a change leads to that the operator should know.
const WARNING: HeaderName = HeaderName::from_static("alertcast-warning");

/// A warning as a header.
pub(super) fn warn_with(warning: Option<String>) -> Vec<(HeaderName, HeaderValue)> {
    let value = warning.and_then(|text| HeaderValue::from_str(&text).ok());
    value.map(|value| (WARNING, value)).into_iter().collect()
}

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct ApiReply {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// JSON; none: nothing.
    pub(super) body: Option<String>,
}

impl ApiReply {
    pub(super) fn ok(body: Value) -> Self {
        Self { status: StatusCode::OK, headers: Vec::new(), body: Some(body.to_string()) }
    }

    /// A document with its ETag.
    pub(super) fn document(status: StatusCode, document: &Value) -> Self {
        let body = document.to_string();
        let headers = HeaderValue::from_str(&etag(&body)).map(|tag| vec![(header::ETAG, tag)]).unwrap_or_default();
        Self { status, headers, body: Some(body) }
    }

    /// The same; where it has this status, without its body.
    pub(super) fn without_body_of(mut self, status: StatusCode) -> Self {
        if self.status == status {
            self.body = None;
        }
        self
    }

    /// The same with another body, where it has one.
    pub(super) fn with_body(mut self, body: impl FnOnce() -> Value) -> Self {
        self.body = self.body.map(|_| body().to_string());
        self
    }

    pub(super) const fn nothing() -> Self {
        Self { status: StatusCode::NO_CONTENT, headers: Vec::new(), body: None }
    }

    pub(super) fn with(mut self, headers: Vec<(HeaderName, HeaderValue)>) -> Self {
        self.headers.extend(headers);
        self
    }
}

/// The strong validator of a document as it is answered.
pub(super) fn etag(body: &str) -> String {
    format!("\"{}\"", hex::encode(&Sha256::digest(body.as_bytes())[..12]))
}

impl IntoResponse for ApiReply {
    fn into_response(self) -> Response {
        let mut response = Response::new(self.body.as_ref().map_or_else(Body::empty, |body| Body::from(body.clone())));
        *response.status_mut() = self.status;
        if self.body.is_some() {
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
        }
        response.headers_mut().extend(self.headers);
        response
    }
}
