//! The HTTP side: the webhook that alerts come in by, the API, the link by which subscribers stop e-mails, and two routes
//! for whoever watches over the process. A handler extracts, calls and maps; it decides nothing.

mod address;
pub mod api;
mod body;
mod health;
mod limit;
mod metrics;
mod problem;
mod server;
mod unsubscribe;
mod webhook;

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;

pub use server::{listen, raise_open_files, serve, serve_at_once};

use self::problem::ProblemResponse;
use self::webhook::WebhookState;
use crate::app::App;

/// Every route.
pub fn router(app: App) -> Router {
    let hook = post(webhook::receive).with_state(Arc::new(WebhookState::new(app.clone())));
    Router::new()
        .route("/webhook/{secret}", hook.clone())
        .route("/webhook/{secret}/", hook)
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/unsubscribe/{token}", get(unsubscribe::ask).post(unsubscribe::stop))
        .route("/metrics", get(metrics::read))
        .with_state(app.clone())
        .merge(api::router(app))
        .method_not_allowed_fallback(wrong_method)
        .fallback(no_such_page)
        .layer(CatchPanicLayer::custom(answer_panic))
}

async fn wrong_method() -> ProblemResponse {
    ProblemResponse::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "Wrong method",
        "alerts are sent with POST, and everything else is read with GET",
    )
}

async fn no_such_page() -> ProblemResponse {
    ProblemResponse::new(
        StatusCode::NOT_FOUND,
        "No such address",
        "alerts are posted to /webhook/ with one of the configured secrets behind it",
    )
}

/// A defect in a handler costs one answer, not the process.
fn answer_panic(panic: Box<dyn Any + Send + 'static>) -> Response {
    let message = crate::supervise::panic_message(&*panic);
    tracing::error!(message, "a request met a defect in the program");
    ProblemResponse::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "Defect in the program",
        "the request met a defect in alertcast; its log says where",
    )
    .into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_panic_in_a_handler_is_answered_and_the_next_request_too() {
        async fn broken() -> StatusCode {
            panic!("a defect")
        }
        let router = Router::new().route("/", get(broken)).layer(CatchPanicLayer::custom(answer_panic));
        for _ in 0..2 {
            let answer = router.clone().oneshot(Request::new(Body::empty())).await.unwrap();
            assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(answer.headers()["content-type"], "application/problem+json");
        }
    }
}
