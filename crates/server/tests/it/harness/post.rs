//! TradingView's side: posts alerts as it does, and resends as it does.

use std::time::Duration;

use alertcast_core::id::AlertId;
use serde_json::{Value, json};

use super::PATIENCE;

/// The secret in the webhook's path.
pub(crate) const SECRET: &str = "correct-horse-battery-staple";

/// TradingView gives up after three seconds, and sends again.
const TRADINGVIEW_WAITS: Duration = Duration::from_secs(3);

/// A connection that was unused for longer is not used again.
const IDLE_MAX: Duration = Duration::from_secs(5);

/// A sender of alerts. Clones share its connections.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    client: reqwest::Client,
    url: String,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Reply {
    /// The alert it is about.
    pub(crate) fn alert(&self) -> Option<AlertId> {
        self.body["alertId"].as_str().map(|id| id.parse().unwrap())
    }
}

impl Sender {
    /// Posts to the program at this address, and waits for an answer as long as TradingView does.
    pub(crate) fn to(address: impl std::fmt::Display) -> Self {
        Self::waiting(address, TRADINGVIEW_WAITS)
    }

    /// The same for whoever does not send again: a machine that is busy with other tests answers late.
    pub(crate) fn patient(address: impl std::fmt::Display) -> Self {
        Self::waiting(address, PATIENCE)
    }

    fn waiting(address: impl std::fmt::Display, patience: Duration) -> Self {
        // The program closes a connection without a request after ten seconds: none is used again that it may be closing.
        let client = reqwest::Client::builder().timeout(patience).pool_idle_timeout(IDLE_MAX);
        let client = client.user_agent("Go-http-client/1.1");
        Self { client: client.build().unwrap(), url: format!("http://{address}/webhook/{SECRET}") }
    }

    /// Posts a message as it stands. TradingView calls it text unless it sees JSON.
    ///
    /// # Errors
    /// When no answer came: whether the alert was taken is not known.
    pub(crate) async fn text(&self, body: impl Into<String>) -> reqwest::Result<Reply> {
        let request = self.client.post(&self.url).header("content-type", "text/plain; charset=utf-8");
        let response = request.body(body.into()).send().await?;
        let status = response.status().as_u16();
        let bytes = response.bytes().await?;
        Ok(Reply { status, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) })
    }

    /// The same, with a query behind the address.
    pub(crate) async fn text_with(&self, query: &str, body: impl Into<String>) -> reqwest::Result<Reply> {
        Self { client: self.client.clone(), url: format!("{}?{query}", self.url) }.text(body).await
    }

    /// Reads another page of the program.
    pub(crate) async fn get(&self, path: &str) -> String {
        self.page(path).await.unwrap()
    }

    /// The same of a program that may be busy, or gone.
    ///
    /// # Errors
    /// When no answer came, or another than the page.
    pub(crate) async fn page(&self, path: &str) -> reqwest::Result<String> {
        let url = reqwest::Url::parse(&self.url).unwrap().join(path).unwrap();
        self.client.get(url).send().await?.error_for_status()?.text().await
    }

    /// Posts a JSON message, and answers what came back.
    pub(crate) async fn post(&self, body: &Value) -> Reply {
        self.text(body.to_string()).await.unwrap()
    }

    /// Posts an alert that must be accepted.
    pub(crate) async fn accept(&self, body: &Value) -> AlertId {
        let reply = self.post(body).await;
        assert_eq!(reply.status, 202, "{body}: {}", reply.body);
        reply.alert().unwrap()
    }
}

/// A message for configuration `n` of the fixtures: a signal at a price. Without a timestamp of its own.
pub(crate) fn alert(config: u32, signal: &str, price: f64) -> Value {
    json!({ "ticker": format!("SYM{config}"), "interval": "60", "strategy": "EMA", "signal": signal, "price": price })
}

/// The message with further fields.
pub(crate) fn with(mut body: Value, fields: Value) -> Value {
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    body.as_object_mut().unwrap().extend(fields);
    body
}
