//! For whoever watches over the process. Neither asks the store anything: they are asked often, and by anybody.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::problem::ProblemResponse;
use crate::app::App;

/// When to look again: it turns by itself within a second of when it can.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// `/healthz`: the process lives.
pub(super) async fn live() -> Response {
    axum::Json(json!({"status": "alive"})).into_response()
}

/// `/readyz`: its status code tells whether an alert would be answered 202 now, its body what else is not as it should be.
pub(super) async fn ready(State(app): State<App>) -> Response {
    match app.readiness.trouble() {
        None => axum::Json(json!({"status": "ready", "degraded": app.degraded.all()})).into_response(),
        Some(why) => {
            let detail = format!("alerts cannot be kept, and are answered 503: {why}");
            ProblemResponse::new(StatusCode::SERVICE_UNAVAILABLE, "Not ready", detail)
                .retry_after(AGAIN_AFTER)
                .into_response()
        }
    }
}
