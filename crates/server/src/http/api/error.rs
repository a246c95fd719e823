//! Why a request is not answered with what it asked for, and how that is said.

use std::time::Duration;

use alertcast_core::alert::rule_violation::RuleViolation;
use alertcast_core::store::{Collection, StoreError};
use alertcast_core::subscription::lifecycle::LifecycleError;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bson::Document;

use super::caller::NOT_PERMITTED;
use super::change::at;
use super::{ApiRequest, resources};
use crate::app::App;
use crate::document_input::{FieldCode, name_of};
use crate::http::problem::{ErrorCode, FieldError, ProblemResponse};
use crate::operator::ActError;
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

/// What stands against a document that could not be written: which other one has its unique value, as far as the caller
/// may see it.
pub(super) async fn describe_taken(
    app: &App,
    asked: &ApiRequest,
    (collection, field): (Collection, &str),
    document: &Document,
) -> ApiError {
    let fields: Vec<&str> = field.split(", ").collect();
    let other = other(app, collection, &fields, document).await;
    let resource = resources::of(collection);
    let may_see = resource.is_some_and(|resource| asked.caller.admin.permissions.hold(resource.view));
    let called = resource.map_or_else(|| collection.name(), |resource| resource.called);
    let which = other.map_or_else(String::new, |other| {
        let id = other.get_object_id("_id").map(|id| format!(", {id}")).unwrap_or_default();
        let name = name_of(collection, &other).filter(|_| may_see);
        format!("{id}{},", name.map_or_else(String::new, |name| format!(" ({name:?})")))
    });
    let what = format!("another {called}{which} has this {} already", fields.join(", "));
    let errors = fields.iter().map(|field| wrong(field, FieldCode::Taken, what.clone())).collect();
    ProblemResponse::new(StatusCode::CONFLICT, "Exists already", what).name_fields(errors).into()
}

/// The document that has these values of this one.
async fn other(app: &App, collection: Collection, fields: &[&str], document: &Document) -> Option<Document> {
    const KEY: &str = "alertcast.transactionKey";
    let of = |fields: &[&'static str]| {
        fields.iter().map(|field| Some((*field, at(document, field)?.clone()))).collect::<Option<Vec<_>>>()
    };
    let unique = collection.indexes().iter().filter(|index| index.unique);
    let keys = unique.map(|index| index.keys.iter().map(|(path, _)| *path).collect::<Vec<_>>());
    let named = keys.into_iter().find(|keys| keys == fields);
    let guarded =
        (collection == Collection::UserSubscriptions && fields == ["payment.transactionId"]).then(|| vec![KEY]);
    for keys in guarded.into_iter().chain(named) {
        if let Some(values) = of(&keys)
            && let Ok(Some(found)) = app.store.find_unique(collection, &values).await
            && found.get("_id") != document.get("_id")
        {
            return Some(found);
        }
    }
    None
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
            let fields: Vec<&str> = field.split(", ").collect();
            let what = format!("another document has this {} already", fields.join(", "));
            let errors = fields.iter().map(|field| wrong(field, FieldCode::Taken, what.clone())).collect();
            ProblemResponse::new(StatusCode::CONFLICT, "Exists already", what).name_fields(errors)
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
