//! What a request came to, and its answer. TradingView resends on 5xx only, so a 5xx is for what a resend can mend.

use std::net::IpAddr;
use std::time::Duration;

use alertcast_core::alert::acceptance::list_codes;
use alertcast_core::alert::payload::is_about_intent;
use alertcast_core::alert::rule_violation::RuleViolation as FieldProblem;
use alertcast_core::id::AlertId;
use alertcast_core::store::{INTAKE_DEADLINE, StoreError};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::http::problem::ProblemResponse;

/// When a sender that could not be served should come again: what TradingView does anyway.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// What a request came to.
#[derive(Debug)]
pub(super) enum WebhookAnswer {
    /// It is durable.
    Accepted {
        alert: AlertId,
    },
    /// It was accepted before.
    Duplicate {
        of: AlertId,
    },
    /// It breaks rules. `alert`: what it is kept as; none where it is kept among the rejected webhooks.
    Refused {
        problems: Vec<FieldProblem>,
        alert: Option<AlertId>,
    },
    /// Nothing can be made of it.
    Unreadable {
        why: String,
    },
    WrongSecret,
    WrongSignature {
        why: &'static str,
    },
    AddressNotAllowed {
        address: IpAddr,
    },
    TooLarge,
    /// Its body did not arrive in time.
    TooSlow,
    /// The sender broke off. Nobody reads the answer.
    BrokenOff,
    TooMany {
        wait: Duration,
    },
    /// It could not be kept: not the alert, nor that it was refused.
    NotDurable {
        error: StoreError,
    },
}

impl WebhookAnswer {
    /// The store took too long.
    pub(super) fn not_in_time() -> Self {
        Self::NotDurable { error: StoreError::Unavailable(format!("not done within {} s", INTAKE_DEADLINE.as_secs())) }
    }

    /// The HTTP status.
    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::Accepted { .. } => StatusCode::ACCEPTED,
            Self::Duplicate { .. } => StatusCode::OK,
            Self::Refused { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unreadable { .. } => StatusCode::BAD_REQUEST,
            Self::WrongSecret | Self::WrongSignature { .. } => StatusCode::UNAUTHORIZED,
            Self::AddressNotAllowed { .. } => StatusCode::FORBIDDEN,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            // A resend mends it.
            Self::TooSlow | Self::BrokenOff | Self::NotDurable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// One word for the log.
    pub(super) const fn outcome(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Duplicate { .. } => "duplicate",
            Self::Refused { .. } => "refused",
            Self::Unreadable { .. } => "unreadable",
            Self::WrongSecret => "wrong_secret",
            Self::WrongSignature { .. } => "wrong_signature",
            Self::AddressNotAllowed { .. } => "address_not_allowed",
            Self::TooLarge => "too_large",
            Self::TooSlow => "too_slow",
            Self::BrokenOff => "broken_off",
            Self::TooMany { .. } => "too_many_requests",
            Self::NotDurable { .. } => "not_durable",
        }
    }

    /// A few words for people.
    pub(super) const fn title(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "Alert accepted",
            Self::Duplicate { .. } => "Alert accepted before",
            Self::Refused { .. } => "Alert refused",
            Self::Unreadable { .. } => "Request not understood",
            Self::WrongSecret => "Wrong secret",
            Self::WrongSignature { .. } => "Wrong signature",
            Self::AddressNotAllowed { .. } => "Address not allowed",
            Self::TooLarge => "Request too large",
            Self::TooSlow => "Request too slow",
            Self::BrokenOff => "Request broken off",
            Self::TooMany { .. } => "Too many requests",
            Self::NotDurable { .. } => "Store not available",
        }
    }

    /// What happened and what to change, in a sentence.
    fn detail(&self) -> String {
        let fixed = match self {
            Self::Accepted { .. } => "the alert is stored",
            Self::Duplicate { .. } => "the alert was stored when it came first",
            Self::Refused { .. } => "the alert breaks the rules named below: change what they name and send it again",
            Self::WrongSecret => "the address must end in one of this server's secrets: /webhook/SECRET",
            Self::WrongSignature { why } => why,
            Self::TooLarge => "an alert has at most 64 KiB: shorten the message",
            Self::TooSlow => "the request's body did not arrive within 2 s: it was not accepted, send it again",
            Self::BrokenOff => "the request's body ended early: it was not accepted, send it again",
            Self::TooMany { .. } => "this address has sent more requests with a wrong secret than it may in a minute",
            Self::NotDurable { .. } => "the store could not keep the alert in time: it was not accepted, send it again",
            Self::Unreadable { why } => return why.clone(),
            Self::AddressNotAllowed { address } => {
                return format!(
                    "{address} may not post: only TradingView's addresses (webhook.check_addresses) and those in \
                     webhook.allowed_addresses may; where a proxy stands before alertcast, name it in \
                     webhook.trusted_proxies"
                );
            }
        };
        fixed.to_owned()
    }

    /// What is wrong, a line each, for what is kept and for the operators.
    pub(super) fn lines(&self) -> Vec<String> {
        match self {
            Self::Refused { problems, .. } => problems.iter().map(|problem| problem.message.clone()).collect(),
            other => vec![other.detail()],
        }
    }

    /// The alert that it is about, where there is one.
    pub(super) const fn alert(&self) -> Option<AlertId> {
        match self {
            Self::Accepted { alert } | Self::Duplicate { of: alert } => Some(*alert),
            Self::Refused { alert, .. } => *alert,
            _ => None,
        }
    }

    /// What is wrong where, in a word for each: equal for what is the same mistake.
    pub(super) fn faults(&self) -> String {
        let Self::Refused { problems, .. } = self else { return String::new() };
        problems.iter().map(|problem| format!("{} {}", problem.field, problem.code)).collect::<Vec<_>>().join(", ")
    }

    /// Whether it is unclear what the alert asks for.
    pub(super) fn is_unclear(&self) -> bool {
        matches!(self, Self::Refused { problems, .. } if problems.iter().any(is_about_intent))
    }

    /// The codes of the broken rules, each once.
    pub(super) fn codes(&self) -> Vec<&'static str> {
        let Self::Refused { problems, .. } = self else { return Vec::new() };
        list_codes(problems)
    }
}

impl IntoResponse for WebhookAnswer {
    fn into_response(self) -> Response {
        let status = self.status();
        let problem = ProblemResponse::new(status, self.title(), self.detail());
        match self {
            Self::Accepted { alert } => (status, axum::Json(json!({"alertId": alert.to_string()}))).into_response(),
            Self::Duplicate { of } => {
                (status, axum::Json(json!({"alertId": of.to_string(), "duplicate": true}))).into_response()
            }
            Self::Refused { problems, alert } => problem.about(alert, problems).into_response(),
            Self::WrongSecret => problem.asks_for("Webhook-Secret").into_response(),
            Self::WrongSignature { .. } => problem.asks_for("X-Signature").into_response(),
            Self::TooMany { wait } => problem.retry_after(wait).close_connection().into_response(),
            Self::NotDurable { .. } => problem.retry_after(RETRY_AFTER).into_response(),
            Self::TooSlow | Self::BrokenOff => problem.retry_after(RETRY_AFTER).close_connection().into_response(),
            Self::TooLarge => problem.close_connection().into_response(),
            Self::Unreadable { .. } | Self::AddressNotAllowed { .. } => problem.into_response(),
        }
    }
}
