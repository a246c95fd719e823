//! The processes under test. Each says its address in one line, works until its standard input ends, and says in a
//! second line what it counted.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use alertcast::clock::SystemClock;
use alertcast::running::{self, RunningProgram};
use alertcast::settings::{LimitSettings, Settings, TelegramSettings, WebhookSettings};
use alertcast_mongo::MongoStore;
use alertcast_sqlite::SqliteStore;
use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use clap::Args;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use telegram_sim::{SimConfig, SimLimits};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::show;
use crate::world::{SECRET, TOKEN};

/// Alertcast on a folder.
#[derive(Debug, Args)]
pub(crate) struct ChildServer {
    #[arg(long)]
    dir: PathBuf,
    /// The stand-in for Telegram; without it there is no bot, and messages wait.
    #[arg(long)]
    telegram: Option<String>,
    /// Messages a second; without it, no limits.
    #[arg(long)]
    rate: Option<NonZeroU32>,
    /// The MongoDB that is the store; without it, the folder has it.
    #[arg(long)]
    mongodb: Option<String>,
    /// Says its address as soon as it takes alerts in, and not only once all subscribers are loaded.
    #[arg(long)]
    at_once: bool,
}

/// What a child has counted.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct ServerCounts {
    /// Commits in which alerts were accepted.
    pub(crate) groups: u64,
}

impl ChildServer {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let Some(uri) = &self.mongodb else { return self.run_embedded().await };
        let store = Arc::new(MongoStore::connect(uri, &alertcast_mongo::MongoOptions::default()).await?);
        let app = running::prepare(store, SystemClock::new(), self.settings()?).await?;
        let running = running::start(app).await?;
        self.tell_address(&running).await;
        wait_for_end().await?;
        running.stop().await;
        show(&serde_json::to_string(&ServerCounts { groups: 0 })?);
        Ok(())
    }

    async fn run_embedded(self) -> anyhow::Result<()> {
        let store = Arc::new(SqliteStore::open(&self.dir, &alertcast_sqlite::SqliteOptions::default())?);
        let app = running::prepare(Arc::clone(&store) as _, SystemClock::new(), self.settings()?).await?;
        let before = store.intake_groups();
        let running = running::start(app).await?;
        self.tell_address(&running).await;
        wait_for_end().await?;
        let groups = store.intake_groups() - before;
        running.stop().await;
        show(&serde_json::to_string(&ServerCounts { groups })?);
        Ok(())
    }

    async fn tell_address(&self, running: &RunningProgram) {
        if !self.at_once {
            running.app.audience.wait_whole().await;
        }
        show(&running.address.to_string());
    }

    fn settings(&self) -> anyhow::Result<Settings> {
        let many = NonZeroU32::new(1_000_000).unwrap_or(NonZeroU32::MIN);
        let limits = match self.rate {
            None => LimitSettings { bot_per_second: many, chat_per_second: many, group_per_minute: many },
            Some(rate) => LimitSettings { bot_per_second: rate, ..LimitSettings::default() },
        };
        let mut telegram = TelegramSettings { limits, ..TelegramSettings::default() };
        if let Some(url) = &self.telegram {
            telegram.tokens = vec![SecretString::from(TOKEN)];
            telegram.api_url = url.parse()?;
            // A thousand a second at 100 ms an answer need a hundred under way.
            telegram.concurrency = if self.rate.is_some_and(|rate| rate.get() > 100) { 128 } else { 16 };
        }
        Ok(Settings {
            listen: ([127, 0, 0, 1], 0).into(),
            data_dir: self.dir.clone(),
            webhook: WebhookSettings {
                secrets: vec![SecretString::from(SECRET)],
                requests_a_minute: many,
                ..WebhookSettings::default()
            },
            telegram,
            ..Settings::default()
        })
    }
}

/// The stand-in for Telegram.
#[derive(Debug, Args)]
pub(crate) struct TelegramStandIn {
    /// Messages a second; without it, no limits.
    #[arg(long)]
    rate: Option<u32>,
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
}

impl TelegramStandIn {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let limits = self.rate.map(|rate| SimLimits::default().with_bot_rate(rate));
        let config =
            SimConfig { limits, latency_ms: self.latency_ms, ..SimConfig::default().keep_last(1_000).bot(TOKEN) };
        let server = telegram_sim::start(config, "127.0.0.1:0").await?;
        show(&server.addr().to_string());
        wait_for_end().await?;
        show("{\"groups\":0}");
        server.stop().await;
        Ok(())
    }
}

/// A server that reads a request and answers 202.
pub(crate) async fn run_no_op() -> anyhow::Result<()> {
    let router = Router::new().route("/webhook/{secret}", post(|_body: Bytes| async { (StatusCode::ACCEPTED, "{}") }));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    show(&listener.local_addr()?.to_string());
    axum::serve(listener, router).with_graceful_shutdown(async { drop(wait_for_end().await) }).await?;
    show("{\"groups\":0}");
    Ok(())
}

async fn wait_for_end() -> anyhow::Result<()> {
    let mut rest = Vec::new();
    tokio::io::stdin().read_to_end(&mut rest).await?;
    Ok(())
}
