//! What others ask of the demonstration's webhook, to be shown with its answer.

use std::time::Duration;

use alertcast_core::time::Time;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{Method, header};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use tokio::sync::mpsc;

use crate::app::App;
use crate::base::Base;
use crate::http;

/// So many requests wait to be shown; what comes beyond is answered, and not shown.
const WAITING: usize = 64;
/// No body that the webhook takes is longer.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// The header of requests that the demonstration makes by itself.
pub(super) const OWN: &str = "x-alertcast-demo";

/// A request, and what was answered.
#[derive(Debug)]
pub(super) struct ObservedRequest {
    pub(super) at: Time,
    /// With its `?`; empty where there is none.
    pub(super) query: String,
    pub(super) content_type: String,
    pub(super) body: String,
    pub(super) status: u16,
    pub(super) answer: String,
    pub(super) took: Duration,
}

/// The program's routes, which tell of each request of others to the webhook.
pub(super) fn routes(app: &App) -> (Router, mpsc::Receiver<ObservedRequest>) {
    let (tell, seen) = mpsc::channel(WAITING);
    let watched = app.clone();
    let watch = move |request: Request, next: Next| {
        let (app, tell) = (watched.clone(), tell.clone());
        async move { watch(&app, &tell, request, next).await }
    };
    (http::router(app.clone()).layer(from_fn(watch)), seen)
}

async fn watch(base: &Base, tell: &mpsc::Sender<ObservedRequest>, request: Request, next: Next) -> Response {
    let is_others = request.method() == Method::POST
        && request.uri().path().starts_with("/webhook/")
        && !request.headers().contains_key(OWN);
    if !is_others {
        return next.run(request).await;
    }
    let (at, begun) = (base.clock.now(), base.clock.monotonic());
    let query = request.uri().query().map_or_else(String::new, |query| format!("?{query}"));
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return next.run(Request::from_parts(head, Body::from(vec![b' '; BODY_BYTES_MAX + 1]))).await;
    };
    let response = next.run(Request::from_parts(head, Body::from(body.clone()))).await;
    let took = base.clock.monotonic().saturating_sub(begun);
    let (head, answer) = response.into_parts();
    let answer = to_bytes(answer, usize::MAX).await.unwrap_or_default();
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    let seen = ObservedRequest {
        at,
        query,
        content_type,
        body: text(&body),
        status: head.status.as_u16(),
        answer: text(&answer),
        took,
    };
    // Whoever shows them may be behind: the answer does not wait.
    let _ = tell.try_send(seen);
    Response::from_parts(head, Body::from(answer))
}
