//! A simulator with a clock that the test moves, and a client that speaks to it as a bot would.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use reqwest::Client;
use serde_json::{Value, json};
use telegram_sim::{SimConfig, SimHandle, SimServer};

/// The bot that every test has.
pub(crate) const TOKEN: &str = "101:first";
/// Its id.
pub(crate) const BOT: i64 = 101;

/// A simulator under test.
pub(crate) struct Bench {
    pub(crate) server: SimServer,
    pub(crate) sim: SimHandle,
    pub(crate) client: Client,
    clock_ms: Arc<AtomicI64>,
}

/// What the Bot API answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    /// The result of a call that must have succeeded.
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        assert_eq!(self.body["ok"], true, "{}", self.body);
        self.body["result"].clone()
    }

    /// Code and description of a call that must have failed; the envelope must agree with the status.
    pub(crate) fn error(self) -> (u16, String) {
        assert_eq!(self.body["ok"], false, "{}", self.body);
        assert_eq!(self.body["error_code"], self.status, "{}", self.body);
        (self.status, self.body["description"].as_str().unwrap().to_owned())
    }
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(SimConfig::default()).await
    }

    pub(crate) async fn with(config: SimConfig) -> Self {
        let clock_ms = Arc::new(AtomicI64::new(1_700_000_000_000));
        let reading = Arc::clone(&clock_ms);
        let config = config.bot(TOKEN).clock(Arc::new(move || reading.load(Ordering::SeqCst)));
        let server = telegram_sim::start(config, "127.0.0.1:0").await.unwrap();
        let sim = server.sim();
        Self { server, sim, client: Client::new(), clock_ms }
    }

    pub(crate) fn advance(&self, ms: i64) {
        self.clock_ms.fetch_add(ms, Ordering::SeqCst);
    }

    pub(crate) async fn try_call(&self, token: &str, method: &str, params: Value) -> reqwest::Result<Answer> {
        let url = format!("{}/bot{token}/{method}", self.server.url());
        let response = self.client.post(url).json(&params).send().await?;
        Ok(Answer { status: response.status().as_u16(), body: response.json().await? })
    }

    pub(crate) async fn call(&self, method: &str, params: Value) -> Answer {
        self.try_call(TOKEN, method, params).await.unwrap()
    }

    pub(crate) async fn send(&self, chat: i64, text: &str) -> Answer {
        self.call("sendMessage", json!({ "chat_id": chat, "text": text })).await
    }

    pub(crate) async fn send_html(&self, chat: i64, text: &str) -> Answer {
        self.call("sendMessage", json!({ "chat_id": chat, "text": text, "parse_mode": "HTML" })).await
    }

    /// Calls a control route.
    pub(crate) async fn control(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("{}/sim{path}", self.server.url());
        let mut request = self.client.request(method.parse().unwrap(), url);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }
}
