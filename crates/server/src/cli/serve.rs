//! `serve`: runs the program until it is told to stop.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::failure::CommandFailure;
use super::{doctor, store, terminal};
use crate::app::App;
use crate::clock::SystemClock;
use crate::control::ControlSocket;
use crate::demo;
use crate::http;
use crate::running::{self, StartError};
use crate::settings::loading::LoadedSettings;
use crate::settings::{Settings, StoreChoice, TelegramSettings, bot_id};

/// What a process that a signal ended at once exits with, by the shell's custom: 128 and SIGINT's number.
const BROKEN_OFF: i32 = 130;

/// Serves until SIGTERM or SIGINT.
pub(super) async fn run(loaded: LoadedSettings) -> anyhow::Result<()> {
    let settings = loaded.settings;
    check_needed(&settings)?;
    http::raise_open_files();
    let store::OpenedStore { store, place } = store::open(&settings).await?;
    let mut signals = EndSignals::new()?;
    let app = running::prepare(store, SystemClock::new(), settings).await?;
    let app = match store::spool(&app.settings)? {
        Some(spool) => app.with_spool(spool),
        None => app,
    };
    let mut running = running::start(app).await.map_err(|error| match error {
        StartError::Listen { listen, error } => CommandFailure::new(
            format!("{listen} cannot be listened on: {error}"),
            "choose another address with --listen",
        ),
    })?;
    let no_more_commands = CancellationToken::new();
    let control = control(&running.app, no_more_commands.clone());
    banner(&running.app.settings, running.address, &place);
    warnings(&running.app.settings);
    // Beside everything else: alerts are taken in whatever Telegram says.
    let looking = tokio::spawn(look_at_bots(running.app.settings.telegram.clone()));
    let broken = tokio::select! {
        name = signals.next() => {
            info!("{name}: stopping; a second signal ends the process at once");
            false
        }
        // Alerts that are taken in and never sent would be worse than none: whoever supervises the process restarts it.
        () = running.wait_broken() => true,
    };
    tokio::spawn(async move {
        signals.next().await;
        std::process::exit(BROKEN_OFF);
    });
    looking.abort();
    no_more_commands.cancel();
    if let Some(control) = control {
        let _ = control.await;
    }
    running.stop().await;
    if broken {
        let fix = "start it again: everything accepted is kept; the log says what failed";
        return Err(CommandFailure::new("a part of alertcast failed, and it has stopped", fix).into());
    }
    Ok(())
}

/// Lets commands of this machine reach the store that this process has locked. The server is of use without.
fn control(app: &App, stop: CancellationToken) -> Option<JoinHandle<()>> {
    let StoreChoice::Embedded = app.settings.store else { return None };
    match ControlSocket::open(&app.settings.data_dir) {
        Ok(control) => Some(tokio::spawn(control.serve(app.clone(), stop))),
        Err(error) => {
            warn!(%error, "no control socket: `alertcast admin` works only while this is stopped");
            None
        }
    }
}

/// Runs the demonstration until it is over, or until SIGTERM or SIGINT.
pub(super) async fn demo(once: bool, listen: Option<&str>) -> anyhow::Result<()> {
    let listen = match listen {
        // Any free port: the demonstration must not meet a server that runs already.
        None => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        Some(text) => text.parse().map_err(|_| {
            CommandFailure::of_usage(format!("--listen: {text:?} is no address"), "write it as 127.0.0.1:8080")
        })?,
    };
    let mut signals = EndSignals::new()?;
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        signals.next().await;
        stopping.cancel();
        signals.next().await;
        std::process::exit(BROKEN_OFF);
    });
    demo::run(demo::DemoOptions { once, listen }, stop).await
}

/// What must be configured before anything can be served.
fn check_needed(settings: &Settings) -> anyhow::Result<()> {
    if settings.webhook.secrets.is_empty() {
        return Err(CommandFailure::of_usage(
            "no webhook secret is configured, so nobody could post an alert",
            "make one with `openssl rand -hex 24`, and set it as ALERTCAST_WEBHOOK_SECRETS in the environment or as \
             webhook.secrets in alertcast.toml",
        )
        .into());
    }
    Ok(())
}

/// Says of each bot token whether Telegram takes it. One that is not answered for does not keep the others waiting.
async fn look_at_bots(telegram: TelegramSettings) {
    let mut asked: JoinSet<_> = doctor::bots(&telegram).into_iter().collect();
    while let Some(found) = asked.join_next().await {
        if let Ok(found) = found {
            found.print();
        }
    }
}

/// What is set and has no effect, and what is missed without being needed.
fn warnings(settings: &Settings) {
    match &settings.public_url {
        _ if settings.email.smtp_url.is_none() => {}
        None => warn!("public_url is not set: e-mails have no link by which a subscriber stops them"),
        Some(url) if url.scheme() != "https" => {
            warn!("public_url is no https address: mail programs do not offer to stop the e-mails with one click");
        }
        Some(_) => {}
    }
    if settings.redis_url.is_some() {
        warn!("redis_url is set, but this version has no use for Redis");
    }
    if settings.telegram.tokens.is_empty() {
        warn!(
            "no bot token is configured: alerts are taken in and processed, and nothing is sent by Telegram. Ask \
             @BotFather for a bot (/newbot), and set its token as ALERTCAST_TELEGRAM_TOKENS or telegram.tokens"
        );
    }
    if settings.telegram.operator_chats.is_empty() {
        warn!("telegram.operator_chats is empty: nobody hears of refused alerts");
    }
}

fn banner(settings: &Settings, address: SocketAddr, place: &str) {
    let base = settings.public_url.as_ref().map_or_else(|| format!("http://{address}"), ToString::to_string);
    let secrets = match settings.webhook.secrets.len() {
        1 => "1 secret".to_owned(),
        n => format!("{n} secrets"),
    };
    let bots: Vec<String> = settings.telegram.tokens.iter().filter_map(bot_id).collect();
    terminal::title("serve");
    terminal::fact("Listening on", address);
    terminal::fact("Store", place);
    terminal::fact("Bots", if bots.is_empty() { "none".to_owned() } else { bots.join(", ") });
    if let Some(from) = settings.email.from.as_ref().filter(|_| settings.email.smtp_url.is_some()) {
        terminal::fact("E-mail", format!("from {from}"));
    }
    terminal::fact("Webhook", format!("{}/webhook/SECRET  ({secrets})", base.trim_end_matches('/')));
    terminal::print_done("Ready. Ctrl-C stops.");
}

/// The signals that end the program.
struct EndSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl EndSignals {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("signals cannot be listened for");
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
