//! `alertcast demo`: the whole system with nothing else installed. A store in a folder of its own that is removed
//! afterwards, a stand-in for Telegram, sample plans and subscribers, and TradingView's alerts posted over HTTP.

mod script;
mod show;
mod subscribers;
mod watch;

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use alertcast_core::alert::document::Alert;
use alertcast_core::id::AlertId;
use alertcast_core::store::{Collection, read};
use alertcast_core::trade::document::{Trade, TradeStatus};
use anyhow::Context as _;
use secrecy::SecretString;
use telegram_sim::{RowKind, SimConfig, SimHandle, TranscriptRow};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::clock::SystemClock;
use crate::settings::{Settings, TelegramSettings, WebhookSettings};
use crate::{running, tls};
use show::{DemoScreen, DemoSummary};
use subscribers::{OPERATORS, PEOPLE};
use watch::ObservedRequest;

const TOKEN: &str = "100001:demo-bot-of-the-stand-in";
const SECRET: &str = "demo-0123456789abcdef";
/// How long one alert's messages may take before the demonstration gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the demonstration runs.
#[derive(Debug, Clone, Copy)]
pub struct DemoOptions {
    /// Play the alerts, print a summary, and end.
    pub once: bool,
    /// Where the webhook listens; port 0 takes a free one.
    pub listen: SocketAddr,
}

/// Runs the demonstration until it is over (`once`), or until `stop`.
///
/// # Errors
/// When a part cannot be started, or an alert does not settle.
pub async fn run(options: DemoOptions, stop: CancellationToken) -> anyhow::Result<()> {
    tls::choose_provider();
    let folder = tempfile::tempdir().context("a folder for the demonstration's store could not be made")?;
    let telegram = telegram_sim::start(SimConfig::default().strict().bot(TOKEN), "127.0.0.1:0")
        .await
        .context("the stand-in for Telegram could not be started")?;
    let sim = telegram.sim();
    for chat in PEOPLE.iter().map(|person| person.chat).chain([OPERATORS]) {
        sim.start_chat(100_001, chat);
    }
    let settings = settings(options, folder.path(), &telegram.url())?;
    let store = alertcast_sqlite::SqliteStore::open(folder.path(), &alertcast_sqlite::SqliteOptions::default())
        .context("the demonstration's store could not be opened")?;
    let clock = SystemClock::new();
    let app = running::prepare(Arc::new(store), clock, settings).await?;
    app.store
        .write(subscribers::writes(&*app.ids, app.clock.now())?)
        .await
        .context("the sample data could not be stored")?;
    app.audience.catch_up(&*app.store).await?;
    let (routes, seen) = watch::routes(&app);
    let running = running::start_with(app, routes).await?;

    let mut stage = DemoStage {
        seen,
        app: running.app.clone(),
        sim,
        webhook: format!("http://{}/webhook/{SECRET}", running.address),
        http: reqwest::Client::new(),
    };
    let telegram_url = telegram.url();
    let played = tokio::select! {
        played = stage.play(options.once, &telegram_url, &stop) => played,
        () = stop.cancelled() => Ok(()),
    };
    running.stop().await;
    telegram.stop().await;
    played
}

fn settings(options: DemoOptions, folder: &std::path::Path, telegram: &str) -> anyhow::Result<Settings> {
    Ok(Settings {
        listen: options.listen,
        data_dir: folder.to_owned(),
        webhook: WebhookSettings { secrets: vec![SecretString::from(SECRET)], ..WebhookSettings::default() },
        telegram: TelegramSettings {
            tokens: vec![SecretString::from(TOKEN)],
            api_url: telegram.parse()?,
            operator_chats: vec![OPERATORS.to_string()],
            ..TelegramSettings::default()
        },
        ..Settings::default()
    })
}

/// Where the demonstration is played.
struct DemoStage {
    /// What others have posted.
    seen: mpsc::Receiver<ObservedRequest>,
    app: App,
    sim: SimHandle,
    webhook: String,
    http: reqwest::Client,
}

/// What the webhook answered.
struct DemoAnswer {
    status: u16,
    body: String,
    alert: Option<AlertId>,
}

impl DemoStage {
    async fn play(&mut self, once: bool, telegram: &str, stop: &CancellationToken) -> anyhow::Result<()> {
        let stdout = std::io::stdout();
        let mut screen = DemoScreen::new(stdout.lock(), stdout.is_terminal(), show::width());
        screen.show_opening(&self.webhook)?;
        let mut sum = DemoSummary::default();
        let mut seen = 0;
        for (index, scene) in script::scenes(self.app.clock.now()).iter().enumerate() {
            screen.scene(index + 1, scene)?;
            let posted_at = self.app.clock.now();
            let before = self.app.clock.monotonic();
            let told = self.sim.messages_to(OPERATORS).len();
            let answer = self.post(scene).await?;
            screen.answer(answer.status, &answer.body, self.app.clock.monotonic().saturating_sub(before))?;
            match answer.status {
                202 => sum.accepted += 1,
                200 => sum.duplicates += 1,
                _ => sum.refused += 1,
            }
            self.wait_settled(&answer, told).await?;
            for row in self.arrived_since(&mut seen) {
                let after = alertcast_core::time::Time::from_millis(row.at_ms).since(posted_at);
                if row.kind == RowKind::Message {
                    sum.slowest = sum.slowest.max(after);
                }
                screen.show_arrived(&row, Some(after))?;
            }
        }
        self.count(&mut sum).await?;
        screen.summary(&sum)?;
        if once {
            return Ok(());
        }
        screen.invitation(&self.webhook, telegram)?;
        let mut posted_at = None;
        while !stop.is_cancelled() {
            let something = |sim: &SimHandle| !sim.transcript(None, seen, 1).is_empty();
            // A time-out only means that nothing came meanwhile.
            let request = tokio::select! {
                Some(request) = self.seen.recv() => Some(request),
                _ = self.sim.wait_until(Duration::from_secs(3_600), something) => self.seen.try_recv().ok(),
            };
            if let Some(request) = request {
                posted_at = Some(request.at);
                screen.request(&request)?;
            }
            for row in self.arrived_since(&mut seen) {
                let at = alertcast_core::time::Time::from_millis(row.at_ms);
                screen.show_arrived(&row, posted_at.map(|posted_at| at.since(posted_at)))?;
            }
        }
        Ok(())
    }

    /// The messages that arrived since, and the edits.
    fn arrived_since(&self, seen: &mut u64) -> Vec<TranscriptRow> {
        let mut rows = self.sim.transcript(None, *seen, usize::MAX);
        *seen = rows.last().map_or(*seen, |last| last.seq);
        rows.retain(|row| matches!(row.kind, RowKind::Message | RowKind::Edit));
        rows
    }

    async fn post(&self, scene: &script::DemoRequest) -> anyhow::Result<DemoAnswer> {
        let request = self
            .http
            .post(format!("{}{}", self.webhook, scene.query))
            .header("Content-Type", scene.content_type)
            .header(watch::OWN, "1")
            .body(scene.body.clone());
        let response = request.send().await.context("the webhook does not answer")?;
        let status = response.status().as_u16();
        let body = response.text().await?;
        let alert = serde_json::from_str::<serde_json::Value>(&body)
            .ok()
            .and_then(|body| body.get("alertId")?.as_str()?.parse().ok());
        Ok(DemoAnswer { status, body, alert })
    }

    /// Waits until all that follows from an answer has happened: the alert is settled and entries have their results, or
    /// the operators, who had been told so many things before, know of it.
    async fn wait_settled(&self, answer: &DemoAnswer, told: usize) -> anyhow::Result<()> {
        let alert = match answer.alert {
            Some(alert) if answer.status < 300 => alert,
            _ => {
                let heard = self.sim.wait_for_chat(OPERATORS, told + 1, PATIENCE).await;
                return heard.context("the operators were not told");
            }
        };
        let begun = self.app.clock.monotonic();
        loop {
            let found = self.app.store.get(Collection::Alerts, &[alert.0]).await?;
            let document = found.into_iter().next().context("the alert is not in the store")?;
            let settled = read::<Alert>(Collection::Alerts, document)?.alertcast.settled_at.is_some();
            if settled && self.has_ended_all(alert).await? {
                return Ok(());
            }
            anyhow::ensure!(self.app.clock.monotonic() - begun < PATIENCE, "alert {alert} did not settle");
            self.app.clock.sleep(Duration::from_millis(20)).await;
        }
    }

    /// Whether nothing that the alert caused is still to be sent or edited.
    async fn has_ended_all(&self, alert: AlertId) -> anyhow::Result<bool> {
        let caused = self.app.store.deliveries_of(alert, None, 1_000).await?;
        Ok(caused.iter().all(|delivery| delivery.state.is_ended()))
    }

    async fn count(&self, sum: &mut DemoSummary) -> anyhow::Result<()> {
        let stats = self.sim.stats();
        (sum.delivered, sum.edited) = (stats.messages, stats.edits);
        for document in self.app.store.page(Collection::Trades, None, 1_000).await? {
            let trade: Trade = read(Collection::Trades, document)?;
            sum.opened += 1;
            match trade.status {
                TradeStatus::Open => {}
                TradeStatus::Closed => sum.closed += 1,
                TradeStatus::Replaced => sum.replaced += 1,
            }
        }
        Ok(())
    }
}
