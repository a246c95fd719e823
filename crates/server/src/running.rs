//! The program as a whole, running: `serve`, `demo` and the tests start and stop it here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use alertcast_core::store::Store;
use anyhow::Context as _;
use axum::Router;
use futures::future::BoxFuture;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::app::App;
use crate::audience::AudienceHandle;
use crate::base::Base;
use crate::clock::Clock;
use crate::moved_chats::MovedChats;
use crate::settings::Settings;
use crate::supervise;
use crate::supervised_part::SupervisedPart;
use crate::unsubscribe::LinkKey;
use crate::{
    courier, http, leases, processor, readiness, scheduler, set_aside, spool, store_watching, tokens, unsubscribe,
};

/// How long workers may take to finish what they have begun.
const STOP_PATIENCE: Duration = Duration::from_secs(15);

/// Begins a part: with what all share, what stops it, and whether it ran before.
type PartStart = fn(App, CancellationToken, bool) -> BoxFuture<'static, ()>;

/// A running program.
#[derive(Debug)]
pub struct RunningProgram {
    pub app: App,
    /// Where it listens: with port 0 in the settings, the port that was free.
    pub address: SocketAddr,
    /// Requests are not taken any more, and those under way are finished.
    no_more_requests: CancellationToken,
    /// Workers stop after what they have begun.
    no_more_work: CancellationToken,
    http: JoinSet<()>,
    workers: JoinSet<()>,
}

/// Why the program could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken, or is not this machine's.
    #[error("{listen} cannot be listened on: {error}")]
    Listen { listen: SocketAddr, error: std::io::Error },
}

/// Creates what is missing in a store.
///
/// # Errors
/// Those of the store.
pub(crate) async fn set_up(store: &dyn Store) -> anyhow::Result<()> {
    store.setup().await.context("the store could not be set up")
}

/// The shared parts over a store: set up, with as much of its audience loaded as alerts are taken in by; the rest is
/// loaded once it runs. Nothing runs yet.
///
/// # Errors
/// Those of the store.
pub async fn prepare(store: Arc<dyn Store>, clock: Arc<dyn Clock>, settings: Settings) -> anyhow::Result<App> {
    set_up(&*store).await?;
    tokens::end_old_ones(&*store, clock.now()).await.context("the tokens could not be looked at")?;
    let audience = AudienceHandle::default();
    audience.load_catalog(&*store).await.context("the configurations could not be loaded")?;
    let key = store.signing_key(unsubscribe::KEY, rand::random()).await.context("the key for links is missing")?;
    let moved = MovedChats::default();
    moved.load(&*store).await.context("where chats have moved to could not be read")?;
    let mut app = App::new(Base::new(store, clock, settings), LinkKey::new(key));
    (app.audience, app.moved) = (audience, moved);
    Ok(app)
}

/// Starts everything: the webhook, what loads subscribers, the processor, a courier for each bot, the scheduler, and what
/// keeps this process in step with others; with a spool, its drain. Alerts are taken in at once, and worked off once
/// subscribers are loaded.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn start(app: App) -> Result<RunningProgram, StartError> {
    let router = http::router(app.clone());
    start_with(app, router).await
}

/// The same, with the routes as they are given: the demonstration shows what is asked of them.
///
/// # Errors
/// When the address cannot be listened on.
pub(crate) async fn start_with(app: App, router: Router) -> Result<RunningProgram, StartError> {
    let listen = app.settings.listen;
    let refused = |error| StartError::Listen { listen, error };
    let listener = http::listen(listen).map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let (no_more_requests, no_more_work) = (CancellationToken::new(), CancellationToken::new());
    let mut workers = JoinSet::new();
    let mut keep = |part, begin: PartStart| {
        let (app, stop) = (app.clone(), no_more_work.clone());
        workers.spawn(async move {
            supervise::keep_at_work(&app, part, "", &stop, |again| begin(app.clone(), stop.clone(), again)).await;
        });
    };
    keep(SupervisedPart::Leases, |app, stop, _| Box::pin(leases::run(app.lease_context(), stop)));
    keep(SupervisedPart::Watching, |app, stop, again| Box::pin(store_watching::run(app, again, stop)));
    keep(SupervisedPart::Processor, |app, stop, _| Box::pin(once_loaded(app, stop, processor::run)));
    keep(SupervisedPart::Scheduler, |app, stop, _| Box::pin(scheduler::run(app, stop)));
    keep(SupervisedPart::SetAside, |app, stop, _| Box::pin(set_aside::run(app.base, stop)));
    keep(SupervisedPart::Readiness, |app, stop, _| Box::pin(readiness::run(app.base, app.readiness, app.spool, stop)));
    keep(SupervisedPart::Couriers, |app, stop, _| Box::pin(once_loaded(app, stop, courier::run)));
    if app.spool.is_some() {
        keep(SupervisedPart::Spool, |app, stop, _| Box::pin(drain(app, stop)));
    }
    let mut http = JoinSet::new();
    http.spawn(http::serve(listener, router, no_more_requests.clone()));
    Ok(RunningProgram { app, address, no_more_requests, no_more_work, http, workers })
}

/// Runs what asks for subscribers, once they are loaded.
async fn once_loaded<F: Future<Output = ()>>(
    app: App,
    stop: CancellationToken,
    run: impl FnOnce(App, CancellationToken) -> F,
) {
    let is_loaded = tokio::select! {
        () = app.audience.wait_whole() => true,
        () = stop.cancelled() => false,
    };
    if is_loaded {
        run(app, stop).await;
    }
}

async fn drain(app: App, stop: CancellationToken) {
    match app.spool {
        Some(spooled) => spool::run(app.base, spooled, stop).await,
        None => stop.cancelled().await,
    }
}

impl RunningProgram {
    /// Returns when a part has ended that should run until it is stopped.
    pub async fn wait_broken(&mut self) {
        let ended = tokio::select! {
            Some(ended) = self.workers.join_next() => ended,
            Some(ended) = self.http.join_next() => ended,
            else => return,
        };
        match ended {
            Ok(()) => error!("a part of the program ended unasked"),
            Err(error) => error!(%error, "a part of the program failed"),
        }
    }

    /// Stops in order: no more requests, those under way answered; then the workers, each after what it has begun.
    pub async fn stop(mut self) {
        self.no_more_requests.cancel();
        wait(&mut self.http, "requests under way").await;
        self.no_more_work.cancel();
        wait(&mut self.workers, "work under way").await;
        info!("stopped");
    }
}

async fn wait(tasks: &mut JoinSet<()>, what: &str) {
    let all = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_PATIENCE, all).await.is_err() {
        error!("{what} did not end in {} s, and are cut off", STOP_PATIENCE.as_secs());
        tasks.shutdown().await;
    }
}
