//! `GET /metrics`: what the program counts, for Prometheus. Read from this very machine, or with the token of the
//! settings.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, State};
use axum::http::{Extensions, HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::problem::ProblemResponse;
use super::server;
use super::webhook::WebhookSecrets;
use crate::app::App;
use crate::base::Base;
use crate::metrics::MetricsFormat;

/// What a proxy adds to a request: one that has it comes from elsewhere, whoever passed it on.
const FORWARDED: [&str; 4] = ["x-forwarded-for", "forwarded", "x-real-ip", "via"];

/// Everything that is counted, as text.
pub(super) async fn read(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    extensions: Extensions,
    headers: HeaderMap,
) -> Response {
    let has_token = has_token(&app, &headers);
    if has_token {
        server::has_shown_secret(&extensions);
    } else if !is_near(peer, &headers) {
        let detail = if app.settings.metrics.token.is_some() {
            "from elsewhere the metrics are read with `Authorization: Bearer …` and the configured metrics.token"
        } else {
            "without a metrics.token in the configuration, the metrics are read on the machine itself only"
        };
        return ProblemResponse::new(StatusCode::UNAUTHORIZED, "Not for everybody", detail)
            .asks_for("Bearer realm=\"metrics\"")
            .into_response();
    }
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let format = MetricsFormat::choose_format(accept);
    let text = app.metrics.render(&app.audience, &app.degraded, app.readiness.trouble().is_none(), format);
    ([(header::CONTENT_TYPE, format.content_type())], text).into_response()
}

/// Whether the request comes from this machine, and not by a proxy on it.
fn is_near(peer: SocketAddr, headers: &HeaderMap) -> bool {
    peer.ip().to_canonical().is_loopback() && !FORWARDED.iter().any(|name| headers.contains_key(*name))
}

fn has_token(base: &Base, headers: &HeaderMap) -> bool {
    let Some(token) = &base.settings.metrics.token else { return false };
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Some((scheme, given)) = given.split_once(' ') else { return false };
    scheme.eq_ignore_ascii_case("bearer")
        && WebhookSecrets::new(std::slice::from_ref(token)).id_of(given.trim()).is_some()
}
