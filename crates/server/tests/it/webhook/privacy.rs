//! Secrets are in no log line, no answer and no document.

use std::io::Write;
use std::sync::{Arc, Mutex};

use alertcast_core::store::Collection;
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{House, Post, SECRET};

const IN_BODY: &str = "hunter2-of-the-body";
const HMAC_KEY: &str = "hmac-key-of-the-tests";
const TOKEN: &str = "123456:token-of-the-tests";
const API_TOKEN: &str = "act_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// What is logged, as text.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_secret_leaves_the_request_that_brought_it() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let secrets = |settings: &mut alertcast::settings::Settings| {
        settings.webhook.secrets.push("second-secret-of-the-tests".into());
        settings.telegram.tokens = vec![TOKEN.into()];
        settings.telegram.operator_chats = vec!["-100".to_owned()];
    };
    let house = House::with(secrets).await;
    let signed = House::with(|settings| {
        secrets(settings);
        settings.webhook.hmac_key = Some(HMAC_KEY.into());
    })
    .await;
    let posts = || {
        let secret = json!({"secret": IN_BODY, "note": format!("mind {IN_BODY}")});
        let mut refused = secret.clone();
        refused["tp"] = json!(1);
        let mut lacking = secret.clone();
        lacking["price"] = json!(null);
        let address = format!("https://a.test/webhook/{SECRET}?x=1");
        [
            Post::buy(json!({"url": address})),
            Post::body(format!("go to {address}")).query(&format!("url=/{SECRET}")),
            Post::buy(secret.clone()),
            Post::buy(secret.clone()),
            Post::buy(refused),
            Post::buy(lacking).query(&format!("apikey={IN_BODY}")),
            Post::body(format!("{{\"token\": \"{IN_BODY}\" oops")),
            Post::body(format!("passphrase={IN_BODY}\nsymbol=BTCUSDT")),
            Post::buy(secret).to(&format!("/webhook/{IN_BODY}")),
            Post::body(vec![b'x'; 70_000]),
            Post::buy(json!({"note": "see second-secret-of-the-tests", "bot": TOKEN, "api": API_TOKEN})),
            Post::body(format!("{{\"note\": \"{API_TOKEN} \\u0073econd-secret%2Dof-the-tests")),
            Post::body("x").query(&format!("note=second%2Dsecret-of-the-tests&bot={TOKEN}&api%4Bey={IN_BODY}")),
            Post::buy(json!({"pin": IN_BODY, "price": null})).query(&format!("auth={IN_BODY}")),
        ]
    };
    let mut answers = String::new();
    for house in [&house, &signed] {
        for post in posts() {
            let answer = post.send(house).await;
            answers += &format!("{:?} {}\n", answer.headers, answer.body);
        }
    }
    let mut documents = String::new();
    for house in [&house, &signed] {
        for collection in [Collection::Alerts, Collection::RejectedWebhooks, Collection::Deliveries] {
            documents += &format!("{:?}", house.all(collection).await);
        }
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(log.matches("outcome=").count(), 28, "{log}");
    for (place, text) in [("log", &log), ("answers", &answers), ("documents", &documents)] {
        for secret in
            [SECRET, "second-secret-of-the-tests", IN_BODY, HMAC_KEY, "token-of-the-tests", "econd-secret", "act_01"]
        {
            assert!(!text.contains(secret), "{secret} in the {place}: {text}");
        }
    }
    for private in ["198.51.100.7", "BTCUSDT", "EMA Cross"] {
        assert!(!log.contains(private), "{private}: {log}");
    }
    assert!(!format!("{:?} {:?}", house.app, house.router).contains(SECRET));
}
