//! Intake while the store is away: real store, real spool, and a line between them that is cut.

mod line;
mod mongo;
mod order;
mod outage;
mod trouble;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alertcast::app::App;
use alertcast::clock::{Clock, ManualClock};
use alertcast::{http, spool};
use alertcast_core::alert::document::Alert;
use alertcast_core::store::{AlertIntake, Collection, Store, read};
use alertcast_sqlite::{Spool, SpoolOptions};
use axum::Router;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use self::line::{Line, Weather};
use crate::harness::front::Front;
use crate::support::{Answer, House, Post};

/// How far the clock moves between two looks.
const STEP: Duration = Duration::from_millis(10);
/// Nothing takes more looks, unless it hangs.
const LOOKS_MAX: u32 = 20_000;

/// A process over the store of a [`House`], with a spool in a folder of its own. Nothing of it drains by itself.
#[derive(Debug)]
struct Process {
    app: App,
    router: Router,
    line: Arc<Front<Line>>,
    spool: Arc<Spool>,
    clock: Arc<ManualClock>,
}

impl Process {
    async fn start(house: &House, folder: &Path) -> Self {
        Self::with(house, folder, &SpoolOptions::default()).await
    }

    async fn with(house: &House, folder: &Path, options: &SpoolOptions) -> Self {
        Self::over(house, Arc::clone(&house.app.store), folder, options).await
    }

    async fn over(house: &House, store: Arc<dyn Store>, folder: &Path, options: &SpoolOptions) -> Self {
        let line = Line::to(store, Arc::clone(&house.app.clock));
        let store = Arc::clone(&line) as Arc<dyn Store>;
        let intake = Arc::clone(&store) as Arc<dyn AlertIntake>;
        let audience = alertcast::audience::AudienceHandle::default();
        audience.load(&*store).await.unwrap();
        let metrics = alertcast::metrics::Metrics::since(house.app.clock.now());
        let base = alertcast::base::Base { store, metrics, ..house.app.base.clone() };
        let app = App { base, intake, audience, ..house.app.clone() };
        let spool = Arc::new(Spool::open(folder, options).unwrap());
        let app = app.with_spool(Arc::clone(&spool));
        Self { router: http::router(app.clone()), app, line, spool, clock: Arc::clone(&house.clock) }
    }

    async fn send(&self, post: Post) -> Answer {
        post.through(self.router.clone()).await
    }

    /// Sends while the clock goes on; answers how long it took by it.
    async fn send_in_time(&self, post: Post) -> (Answer, Duration) {
        let began = self.clock.monotonic();
        let request = tokio::spawn(post.through(self.router.clone()));
        let mut looks = 0;
        while !request.is_finished() {
            tokio::time::sleep(Duration::from_millis(1)).await;
            // What the disk takes is time of the world.
            if self.line.is_held_up() {
                self.clock.advance(STEP);
            }
            looks += 1;
            assert!(looks < LOOKS_MAX, "it is never answered");
        }
        (request.await.unwrap(), self.clock.monotonic() - began)
    }

    fn waiting(&self) -> u64 {
        self.spool.count_waiting()
    }

    /// Brings everything to the store.
    async fn drain(&self) {
        self.draining_until("everything is at the store", || self.waiting() == 0 && !self.app.spooling.is_spooling())
            .await;
    }

    async fn draining_until(&self, what: &str, holds: impl Fn() -> bool) {
        let stop = CancellationToken::new();
        let draining = tokio::spawn(spool::run(self.app.base.clone(), self.app.spool.clone().unwrap(), stop.clone()));
        let mut looks = 0;
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
            self.clock.advance(STEP);
            looks += 1;
            assert!(looks < LOOKS_MAX, "waited in vain until {what}");
        }
        stop.cancel();
        draining.await.unwrap();
    }
}

/// The alerts that the store holds, by their place.
async fn stored(house: &House) -> Vec<Alert> {
    let documents = house.all(Collection::Alerts).await;
    let mut alerts: Vec<Alert> = documents.into_iter().map(|found| read(Collection::Alerts, found).unwrap()).collect();
    alerts.sort_by_key(|alert| alert.alertcast.seq);
    alerts
}

/// Their ids.
async fn ids(house: &House) -> Vec<String> {
    stored(house).await.iter().map(|alert| alert.id.to_string()).collect()
}

fn folder() -> TempDir {
    TempDir::new().unwrap()
}
