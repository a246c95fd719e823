//! Requests to the webhook, and their answers.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::house::{House, INTO_THE_DAY};

/// The house's webhook secret.
pub(crate) const SECRET: &str = "s3cret-of-the-tests";

/// A request that is put together.
#[derive(Debug)]
pub(crate) struct Post {
    method: &'static str,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    peer: SocketAddr,
    body: Body,
}

impl Post {
    /// Any body.
    pub(crate) fn body(body: impl Into<Body>) -> Self {
        Self {
            method: "POST",
            path: format!("/webhook/{SECRET}"),
            query: String::new(),
            headers: Vec::new(),
            peer: ([198, 51, 100, 7], 40_000).into(),
            body: body.into(),
        }
    }

    /// An entry as TradingView sends it, with some fields set or (null) taken out.
    pub(crate) fn buy(changes: Value) -> Self {
        Self::body(buy(changes))
    }

    pub(crate) fn to(mut self, path: &str) -> Self {
        self.path = path.to_owned();
        self
    }

    pub(crate) fn by(mut self, method: &'static str) -> Self {
        self.method = method;
        self
    }

    pub(crate) fn query(mut self, query: &str) -> Self {
        self.query = format!("?{query}");
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn from(mut self, address: &str) -> Self {
        self.peer.set_ip(address.parse().unwrap());
        self
    }

    pub(crate) async fn send(self, house: &House) -> Answer {
        self.through(house.router.clone()).await
    }

    /// Sends it without waiting, on a task of its own.
    pub(crate) async fn through(self, router: Router) -> Answer {
        let mut request = Request::builder().method(self.method).uri(format!("{}{}", self.path, self.query));
        for (name, value) in &self.headers {
            request = request.header(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let mut request = request.body(self.body).unwrap();
        request.extensions_mut().insert(ConnectInfo(self.peer));
        let response = router.oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&body).into_owned();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        Answer { status: head.status, headers: head.headers, body, text }
    }
}

/// The body of an entry, with some fields set or (null) taken out.
pub(crate) fn buy(changes: Value) -> String {
    let mut alert = json!({
        "symbol": "BTCUSDT", "timeframe": "60", "strategy": "EMA Cross", "signal": "BUY", "price": 64000.5,
        "tp": 66000, "sl": "63000", "timestamp": INTO_THE_DAY,
    });
    for (name, value) in changes.as_object().unwrap() {
        alert[name] = value.clone();
    }
    alert.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    alert.to_string()
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Null where it is no JSON.
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The alert that it names.
    pub(crate) fn alert(&self) -> &str {
        self.body["alertId"].as_str().unwrap_or_default()
    }

    /// Checks the status of an accepted alert or of one that was accepted before.
    #[track_caller]
    pub(crate) fn assert(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{:#}", self.body);
        if status >= 400 {
            assert_eq!(self.header("content-type"), "application/problem+json");
            assert_eq!(self.body["status"], status);
            for text in ["title", "detail"] {
                assert!(self.body[text].as_str().is_some_and(|text| !text.is_empty()), "{:#}", self.body);
            }
        }
        self
    }

    /// `field: code` of every problem.
    pub(crate) fn problems(&self) -> Vec<String> {
        let errors = self.body["errors"].as_array().cloned().unwrap_or_default();
        let text = |error: &Value, name: &str| error[name].as_str().unwrap_or_default().to_owned();
        errors.iter().map(|error| format!("{}: {}", text(error, "field"), text(error, "code"))).collect()
    }
}
