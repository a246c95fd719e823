//! For whoever watches over the process.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::problem::Problem;
use crate::app::App;

/// How long the store may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// `/healthz`: the process lives.
pub(super) async fn live() -> Response {
    axum::Json(json!({"status": "alive"})).into_response()
}

/// `/readyz`: the store answers too, or alerts are taken in without it.
pub(super) async fn ready(State(app): State<App>) -> Response {
    let answer = tokio::select! {
        answer = app.store.last_change() => answer.map_err(|error| error.to_string()),
        () = app.clock.sleep(PATIENCE) => Err("the store does not answer".to_owned()),
    };
    match answer {
        Ok(_) => axum::Json(json!({"status": "ready", "degraded": app.degraded.all()})).into_response(),
        Err(_) if app.spool.as_ref().is_some_and(|spool| spool.is_working()) => {
            axum::Json(json!({"status": "ready", "store": "away", "degraded": app.degraded.all()})).into_response()
        }
        Err(detail) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Not ready", detail).retry_after(PATIENCE).into_response()
        }
    }
}
