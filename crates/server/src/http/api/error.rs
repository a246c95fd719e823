//! Why a request is not answered with what it asked for, and how that is said.

use std::time::Duration;

use alertcast_core::alert::rule_violation::RuleViolation;
use alertcast_core::store::{Collection, StoreError};
use alertcast_core::subscription::lifecycle::LifecycleError;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::caller::NOT_PERMITTED;
use crate::document_input::{FieldCode, FieldProblem};
use crate::document_kinds;
use crate::http::problem::{ErrorCode, FieldError, ProblemResponse};
use crate::operator::ActError;
use crate::operator::edit::EditError;
use crate::suggest;

/// When to come again where the store is away.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(2);

/// An answer, or why there is none.
pub(super) type ApiResult<T> = Result<T, ApiError>;

/// Why not.
#[derive(Debug)]
pub(super) enum ApiError {
    Refused(Box<ProblemResponse>),
    Store(StoreError),
}

impl From<ProblemResponse> for ApiError {
    fn from(problem: ProblemResponse) -> Self {
        Self::Refused(Box::new(problem))
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(problem) => problem.into_response(),
            Self::Store(error) => of_store(&error).into_response(),
        }
    }
}

impl From<EditError> for ApiError {
    fn from(error: EditError) -> Self {
        let what = error.to_string();
        match error {
            EditError::Missing(called) => not_found(called),
            EditError::Wrong(problems) => refuse_fields(problems),
            EditError::OwnRights => conflict("Your own rights", what),
            EditError::OwnAccount => conflict("Your own account", what),
            EditError::Taken { fields, .. } => name_all("Exists already", &fields, FieldCode::Taken, what).into(),
            EditError::InUse { called, by, field } => in_use(called, by, &field),
            EditError::Event(why) => refuse_event(&why, what, "subscription."),
            EditError::NotHashed => {
                ProblemResponse::new(StatusCode::INTERNAL_SERVER_ERROR, "Defect in the program", what).into()
            }
            // What was not found has been told by its name.
            EditError::Act(error) => refuse_act(error, "document"),
        }
    }
}

/// What is wrong with what was sent.
pub(super) fn refuse_fields(problems: Vec<FieldProblem>) -> ApiError {
    let errors = problems.into_iter().map(|problem| wrong(&problem.place, problem.code, problem.what));
    unprocessable(errors.collect()).into()
}

/// A conflict about these fields.
fn name_all(title: &'static str, fields: &[String], code: FieldCode, what: String) -> ProblemResponse {
    let errors = fields.iter().map(|field| wrong(field, code, what.clone())).collect();
    ProblemResponse::new(StatusCode::CONFLICT, title, what).name_fields(errors)
}

fn in_use(called: &str, by: Collection, field: &str) -> ApiError {
    let referring = document_kinds::of(by).map_or(by.name(), |resource| resource.path);
    let what = format!("{referring} refer to this {called} by {field}: change or delete those first");
    name_all("In use", &[format!("{referring}.{field}")], FieldCode::InUse, what).into()
}

/// Why an act was not done. `called`: what it was about, for people.
pub(super) fn refuse_act(error: ActError, called: &str) -> ApiError {
    let what = error.to_string();
    match error {
        ActError::NotFound => not_found(called),
        ActError::NotPermitted { .. } => {
            ProblemResponse::new(StatusCode::FORBIDDEN, "Not permitted", what).because(NOT_PERMITTED).into()
        }
        ActError::NoSide(_) => unprocessable(vec![wrong("side", FieldCode::Missing, what)]).into(),
        ActError::StillUnreadable(_) => unprocessable(vec![wrong("body", FieldCode::Unreadable, what)]).into(),
        ActError::Understood => conflict("Understood before", what),
        ActError::NotOpen(_) | ActError::NotFailed(_) | ActError::NotRefused(_) => conflict("Not possible now", what),
        ActError::NotBlocked => conflict("Not blocked", what),
        ActError::NothingToFollow(_) => conflict("Nothing to follow", what),
        ActError::Duplicate { .. } => conflict("Accepted before", what),
        ActError::Busy | ActError::Changed => conflict("Changed meanwhile", what),
        ActError::StillBroken(problems) => unprocessable(broken_rules(problems)).into(),
        ActError::Refused { why, told } => refuse_event(&why, told, ""),
        ActError::Store(error) => error.into(),
    }
}

/// The rules that an alert breaks.
pub(super) fn broken_rules(problems: Vec<RuleViolation>) -> Vec<FieldError> {
    problems.into_iter().map(FieldError::from).collect()
}

/// Why nothing comes of an event of a subscription. `within`: where its dates are in what was sent.
pub(super) fn refuse_event(why: &LifecycleError, told: String, within: &str) -> ApiError {
    let invalid = |field: &str| unprocessable(vec![wrong(field, FieldCode::Invalid, told.as_str())]).into();
    match why {
        LifecycleError::Missing => not_found("subscription"),
        LifecycleError::ReasonMissing => unprocessable(vec![wrong("reason", FieldCode::Missing, told)]).into(),
        LifecycleError::EndNotAfterStart { .. } => invalid(&format!("{within}endDate")),
        LifecycleError::TooManyRunning | LifecycleError::NotPaid(_) => invalid("subscription.status"),
        LifecycleError::Approved { .. } | LifecycleError::Rejected { .. } | LifecycleError::CancelledAlready => {
            conflict("Decided before", told)
        }
        _ => conflict("Not possible now", told),
    }
}

/// What a failure of the store means to whoever asked.
fn of_store(error: &StoreError) -> ProblemResponse {
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
            ProblemResponse::new(StatusCode::CONFLICT, "Unreadable document", error.to_string())
        }
        StoreError::AlreadyExists { field, .. } => {
            let fields: Vec<String> = field.split(", ").map(str::to_owned).collect();
            let what = format!("another document has this {field} already");
            name_all("Exists already", &fields, FieldCode::Taken, what)
        }
        StoreError::MissingReference { field, id, .. } => {
            let what = format!("refers to {id}, which does not exist");
            unprocessable(vec![wrong(field, FieldCode::UnknownReference, what)])
        }
        StoreError::Conflict | StoreError::Fenced { .. } => ProblemResponse::new(
            StatusCode::CONFLICT,
            "Changed meanwhile",
            "others change this too: read it again and repeat",
        ),
    }
}

pub(super) fn unavailable(detail: &str) -> ProblemResponse {
    ProblemResponse::new(StatusCode::SERVICE_UNAVAILABLE, "Store not available", detail).retry_after(RETRY_AFTER)
}

/// What breaks rules, field by field.
pub(super) fn unprocessable(errors: Vec<FieldError>) -> ProblemResponse {
    let detail = match errors.as_slice() {
        [only] => format!("{} {}", only.field, only.message),
        more => format!("{} fields are not right; each is named below", more.len()),
    };
    ProblemResponse::new(StatusCode::UNPROCESSABLE_ENTITY, "Not valid", detail).name_fields(errors)
}

/// What is wrong with the address of a request.
pub(super) fn bad_query(errors: Vec<FieldError>) -> ProblemResponse {
    let detail = errors.first().map_or_else(String::new, |error| format!("{} {}", error.field, error.message));
    ProblemResponse::new(StatusCode::BAD_REQUEST, "Request not understood", detail).name_fields(errors)
}

pub(super) fn wrong(field: &str, code: FieldCode, message: impl Into<String>) -> FieldError {
    FieldError { field: field.to_owned(), code: ErrorCode::Field(code), message: message.into() }
}

/// A parameter that this address does not have: which it does have.
pub(super) fn unknown_parameter(name: &str, known: &[&str]) -> FieldError {
    let (last, others) = known.split_last().map_or(("", String::new()), |(last, rest)| (*last, rest.join(", ")));
    let known_ones = if others.is_empty() { last.to_owned() } else { format!("{others} and {last}") };
    let message = match suggest::nearest(name, known.iter().copied()) {
        Some(meant) => format!("is no parameter; did you mean {meant}? There are {known_ones}"),
        None => format!("is no parameter: there are {known_ones}"),
    };
    wrong(name, FieldCode::UnknownField, message)
}

pub(super) fn not_found(called: &str) -> ApiError {
    ProblemResponse::new(StatusCode::NOT_FOUND, "Not found", format!("there is no {called} with this id")).into()
}

pub(super) fn conflict(title: &'static str, detail: impl Into<String>) -> ApiError {
    ProblemResponse::new(StatusCode::CONFLICT, title, detail).into()
}
