//! The audience is loaded as a whole; then what others do to the store is taken in: an alert that another process accepted
//! wakes the processor, deliveries that it committed wake the courier, and what an application writes by itself is soon in
//! the audience.
//!
//! Nothing but that last thing rests on it: the waiters look by themselves now and then. Where the store tells nothing,
//! the audience is loaded anew at intervals.

use std::collections::HashSet;
use std::time::Duration;

use alertcast_core::store::{StoreEvent, StoreResult};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::app::App;
use crate::audience::ChangedIds;
use crate::base::Base;
use crate::collection_walk::PAGE;
use crate::degraded::TroubleKind;
use crate::metrics::StorePart;
use crate::upgrade;

/// While the store tells nothing, everything is looked at this often.
const RELOAD_EVERY: Duration = Duration::from_secs(60);
/// What it is about that subscribers cannot be loaded.
const AUDIENCE: &str = "audience";
const REST_FIRST: Duration = Duration::from_millis(500);
const REST_MAX: Duration = Duration::from_secs(5);

/// Runs until `stop`. `missed`: anything may have happened that nobody took in.
pub async fn run(app: App, missed: bool, stop: CancellationToken) {
    tokio::select! {
        () = load_whole(&app) => {}
        () = stop.cancelled() => return,
    }
    let Some(mut stirrings) = app.store.watch() else { return stop.cancelled().await };
    let mut noted = NotedEvents { all: missed, ..NotedEvents::default() };
    let mut silence: Option<WatchSilence> = None;
    loop {
        let next = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            next = stirrings.next(), if noted.count < PAGE => Some(next),
            // Nothing more is told at this moment.
            () = std::future::ready(()), if !noted.is_empty() => None,
        };
        let failed = match next {
            Some(Ok(stirring)) => {
                if silence.take().is_some() {
                    info!("the store tells again what others do");
                }
                noted.note(&app, stirring);
                continue;
            }
            Some(Err(error)) => {
                let silence = silence.get_or_insert_with(|| WatchSilence::begin(&app));
                noted.all |= silence.is_long(&app);
                Err(error)
            }
            None => noted.take_in(&app).await,
        };
        let Err(error) = failed else { continue };
        app.metrics.store_failed(StorePart::Scheduler, &error);
        let rest = silence.get_or_insert_with(|| WatchSilence::begin(&app)).next_rest();
        warn!(%error, rest_ms = rest.as_millis(), "what others do to the store is not known; trying again");
        tokio::select! {
            () = stop.cancelled() => return,
            () = app.clock.sleep(rest) => {}
        }
        if noted.all
            && let Err(error) = noted.take_in(&app).await
        {
            app.metrics.store_failed(StorePart::Scheduler, &error);
        }
    }
}

/// Makes up for what documents of before lack, and loads the audience, where that has not been done; again and again until
/// it is.
async fn load_whole(app: &App) {
    let mut rest = REST_FIRST;
    while !app.audience.is_whole() {
        let loaded = async {
            upgrade::transaction_keys(&*app.store).await?;
            app.audience.load(&*app.store).await
        };
        if let Err(error) = loaded.await {
            app.metrics.store_failed(StorePart::Scheduler, &error);
            let text =
                "Subscribers could not be loaded yet: alerts are kept, and wait until they are; the log says why";
            warn!(%error, "subscribers could not be loaded; trying again");
            app.degraded.set(TroubleKind::LateWork, AUDIENCE, text);
            app.clock.sleep(rest).await;
            rest = (rest * 2).min(REST_MAX);
        }
    }
    app.degraded.clear(TroubleKind::LateWork, AUDIENCE);
}

/// What has been told and is not in the audience yet.
#[derive(Debug, Default)]
struct NotedEvents {
    touched: ChangedIds,
    count: usize,
    /// Anything may have changed.
    all: bool,
}

impl NotedEvents {
    fn is_empty(&self) -> bool {
        self.count == 0 && !self.all
    }

    fn note(&mut self, base: &Base, stirring: StoreEvent) {
        match stirring {
            StoreEvent::AlertsCame => base.wake.alerts_came(),
            StoreEvent::DeliveriesCame => base.wake.deliveries_came(),
            StoreEvent::Changed { collection, id } => {
                let ids: &mut HashSet<_> = self.touched.entry(collection).or_default();
                self.count += usize::from(ids.insert(id));
            }
            StoreEvent::Missed => {
                self.all = true;
                base.wake.alerts_came();
                base.wake.deliveries_came();
            }
        }
    }

    /// Brings it into the audience. What fails stays noted.
    async fn take_in(&mut self, app: &App) -> StoreResult<()> {
        if self.all {
            app.audience.load(&*app.store).await?;
        } else {
            app.audience.refresh(&*app.store, self.touched.clone()).await?;
        }
        *self = Self::default();
        Ok(())
    }
}

/// The store tells nothing.
#[derive(Debug)]
struct WatchSilence {
    /// When everything was last looked at, or the silence began.
    since: Duration,
    rest: Duration,
}

impl WatchSilence {
    fn begin(base: &Base) -> Self {
        Self { since: base.clock.monotonic(), rest: REST_FIRST }
    }

    /// Whether everything has to be looked at again; it is taken that it then is.
    fn is_long(&mut self, base: &Base) -> bool {
        let now = base.clock.monotonic();
        let is_long = now.saturating_sub(self.since) >= RELOAD_EVERY;
        if is_long {
            self.since = now;
        }
        is_long
    }

    fn next_rest(&mut self) -> Duration {
        let rest = self.rest;
        self.rest = (rest * 2).min(REST_MAX);
        rest
    }
}
