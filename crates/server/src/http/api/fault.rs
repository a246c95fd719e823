//! Why a request is not answered with what it asked for, and how that is said.

use std::time::Duration;

use alertcast_core::store::StoreError;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::http::problem::{FieldError, Problem};

/// When to come again where the store is away.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(2);

/// An answer, or why there is none.
pub(super) type Answered<T> = Result<T, Fault>;

/// Why not.
#[derive(Debug)]
pub(super) enum Fault {
    Refused(Box<Problem>),
    Store(StoreError),
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Self::Refused(Box::new(problem))
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(problem) => problem.into_response(),
            Self::Store(error) => of_store(&error).into_response(),
        }
    }
}

/// What a failure of the store means to whoever asked.
fn of_store(error: &StoreError) -> Problem {
    match error {
        StoreError::Unavailable(_) => {
            tracing::warn!(%error, "the API could not reach the store");
            unavailable(
                "the store does not answer: whether a change was made is not known; an Idempotency-Key makes a \
                 repetition safe",
            )
        }
        StoreError::Corrupt(_) | StoreError::SetupRefused { .. } => {
            tracing::error!(%error, "the API met a document that it cannot read");
            Problem::new(StatusCode::CONFLICT, "Unreadable document", error.to_string())
        }
        StoreError::AlreadyExists { field, .. } => {
            let fields: Vec<&str> = field.split(", ").collect();
            let what = format!("another document has this {} already", fields.join(", "));
            let errors = fields.iter().map(|field| wrong(field, "taken", what.clone())).collect();
            Problem::new(StatusCode::CONFLICT, "Exists already", what).naming(errors)
        }
        StoreError::MissingReference { field, id, .. } => {
            let what = format!("refers to {id}, which does not exist");
            unprocessable(vec![wrong(field, "unknown_reference", what)])
        }
        StoreError::Conflict | StoreError::Fenced { .. } => {
            Problem::new(StatusCode::CONFLICT, "Changed meanwhile", "others change this too: read it again and repeat")
        }
    }
}

pub(super) fn unavailable(detail: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Store not available", detail).retry_after(RETRY_AFTER)
}

/// What breaks rules, field by field.
pub(super) fn unprocessable(errors: Vec<FieldError>) -> Problem {
    let detail = match errors.as_slice() {
        [only] => format!("{} {}", only.field, only.message),
        more => format!("{} fields are not right; each is named below", more.len()),
    };
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "Not valid", detail).naming(errors)
}

/// What is wrong with the address of a request.
pub(super) fn bad_query(errors: Vec<FieldError>) -> Problem {
    let detail = errors.first().map_or_else(String::new, |error| format!("{} {}", error.field, error.message));
    Problem::new(StatusCode::BAD_REQUEST, "Request not understood", detail).naming(errors)
}

pub(super) fn wrong(field: &str, code: &'static str, message: impl Into<String>) -> FieldError {
    FieldError { field: field.to_owned(), code, message: message.into() }
}

pub(super) fn not_found(called: &str) -> Fault {
    Problem::new(StatusCode::NOT_FOUND, "Not found", format!("there is no {called} with this id")).into()
}

pub(super) fn conflict(title: &'static str, detail: impl Into<String>) -> Fault {
    Problem::new(StatusCode::CONFLICT, title, detail).into()
}
