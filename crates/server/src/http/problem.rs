//! The one error page: a problem document (RFC 9457).

use std::collections::BTreeSet;
use std::time::Duration;

use alertcast_core::alert::rule_violation::{ProblemCode, RuleViolation as FieldProblem};
use alertcast_core::id::AlertId;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::document_input::FieldCode;

/// What went wrong with a request, for whoever sent it.
#[derive(Debug)]
pub(super) struct ProblemResponse {
    status: StatusCode,
    page: ProblemDocument,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// In a word, for the log and the metrics, why whoever asks is turned away.
    reason: Option<&'static str>,
}

/// A problem document (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Problem)]
pub(super) struct ProblemDocument {
    /// What kind of problem it is.
    #[schema(value_type = String)]
    title: &'static str,
    /// The HTTP status, once more.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What went wrong and what to change.
    detail: String,
    /// The refused alert, where it is kept as one.
    #[serde(skip_serializing_if = "Option::is_none")]
    alert_id: Option<String>,
    /// What is wrong with each field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct FieldError {
    /// Its path: `payment.amount`, `alertConfigurations[2]`; of an alert its canonical name; a query parameter's name.
    #[schema(examples("payment.amount"))]
    pub(super) field: String,
    /// Which rule it breaks; stable, for programs.
    #[schema(value_type = String, examples("missing"))]
    pub(super) code: ErrorCode,
    /// What is wrong and what to change, for people.
    pub(super) message: String,
}

/// A rule that a field breaks: of documents and requests, or of alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ErrorCode {
    Field(FieldCode),
    Alert(ProblemCode),
}

impl ErrorCode {
    /// Every spelling that an answer may have. What both have (`missing`) is one.
    pub(super) fn spellings() -> BTreeSet<&'static str> {
        FieldCode::ALL.iter().map(|code| code.as_str()).chain(ProblemCode::WORDS.iter().copied()).collect()
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Field(code) => code.as_str(),
            Self::Alert(code) => code.as_str(),
        }
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl From<FieldProblem> for FieldError {
    fn from(problem: FieldProblem) -> Self {
        Self { field: problem.field, code: ErrorCode::Alert(problem.code), message: problem.message }
    }
}

impl ProblemResponse {
    pub(super) fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        let page = ProblemDocument {
            title,
            status: status.as_u16(),
            detail: detail.into(),
            alert_id: None,
            errors: Vec::new(),
        };
        Self { status, page, headers: Vec::new(), reason: None }
    }

    pub(super) fn about(mut self, alert: Option<AlertId>, errors: Vec<FieldProblem>) -> Self {
        self.page.alert_id = alert.map(|alert| alert.to_string());
        self.page.errors = errors.into_iter().map(FieldError::from).collect();
        self
    }

    /// Notes why whoever asks is turned away. It is not answered.
    pub(super) fn because(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
        self
    }

    pub(super) const fn reason(&self) -> Option<&'static str> {
        self.reason
    }

    /// What is wrong with each field.
    pub(super) fn name_fields(mut self, errors: Vec<FieldError>) -> Self {
        self.page.errors = errors;
        self
    }

    /// When to come again, in whole seconds, rounded up.
    pub(super) fn retry_after(mut self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.headers.push((header::RETRY_AFTER, HeaderValue::from(seconds.max(1))));
        self
    }

    /// What kind of proof is asked for; a 401 must say so.
    pub(super) fn asks_for(mut self, proof: &'static str) -> Self {
        self.headers.push((header::WWW_AUTHENTICATE, HeaderValue::from_static(proof)));
        self
    }

    /// Nothing more is read from the connection.
    pub(super) fn close_connection(mut self) -> Self {
        self.headers.push((header::CONNECTION, HeaderValue::from_static("close")));
        self
    }
}

impl IntoResponse for ProblemResponse {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(self.page)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.extend(self.headers);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCS: &str = include_str!("../../../../docs/api.md");

    #[test]
    fn the_documentation_names_every_code_that_is_answered_and_no_other() {
        let (_, codes) = DOCS.split_once("\n## Codes\n").expect("docs/api.md has a section on codes");
        let codes = codes.split("\n## ").next().unwrap_or_default();
        let named: Vec<&str> = codes
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
            .map(|(code, _)| code)
            .collect();
        assert_eq!(named.iter().copied().collect::<BTreeSet<_>>(), ErrorCode::spellings());
        assert_eq!(named.len(), ErrorCode::spellings().len(), "each once");
    }
}
