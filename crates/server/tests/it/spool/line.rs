//! The line to the store: it can be cut, and then every operation fails, hangs, or happens without an answer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alertcast::clock::Clock;
use alertcast_core::alert::document::Alert;
use alertcast_core::store::{Store, StoreError, StoreResult};
use tokio::sync::watch;

use crate::harness::front::{Front, Interference, away};

/// How it stands with the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    Well,
    /// Nothing happens, and that is said.
    Gone,
    /// It happens, and nobody hears of it.
    Lost,
    /// Nothing happens, and nothing is said.
    Silent,
    /// It takes so long.
    Slow(Duration),
    /// So does the acceptance of an alert; all else is done at once.
    Busy(Duration),
}

/// The line to a store.
#[derive(Debug)]
pub(super) struct Line {
    clock: Arc<dyn Clock>,
    weather: watch::Sender<Weather>,
    /// An alert that the store will never have.
    poison: Mutex<Option<String>>,
    /// The answers to this operation are lost, whatever the weather.
    mute: Mutex<Option<&'static str>>,
    /// How many operations are held up.
    held_up: AtomicUsize,
}

impl Line {
    pub(super) fn to(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Arc<Front<Self>> {
        Front::of(
            store,
            Self {
                clock,
                weather: watch::Sender::new(Weather::Well),
                poison: Mutex::default(),
                mute: Mutex::default(),
                held_up: AtomicUsize::new(0),
            },
        )
    }

    pub(super) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// The store will not have alerts with this comment.
    pub(super) fn poison(&self, comment: Option<&str>) {
        *self.poison.lock().unwrap() = comment.map(str::to_owned);
    }

    /// It does this operation, and nobody hears of it.
    pub(super) fn mute(&self, operation: &'static str) {
        *self.mute.lock().unwrap() = Some(operation);
    }

    /// Whether the weather holds up any operation.
    pub(super) fn is_held_up(&self) -> bool {
        self.held_up.load(Ordering::SeqCst) > 0
    }

    /// Waits before an operation, until that is over or nobody asks for it any more.
    async fn hold_up<T>(&self, wait: impl Future<Output = T>) -> T {
        struct Ends<'l>(&'l AtomicUsize);
        impl Drop for Ends<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        self.held_up.fetch_add(1, Ordering::SeqCst);
        let _ends = Ends(&self.held_up);
        wait.await
    }

    fn refuses(&self, alert: &Alert) -> bool {
        alert.alertcast.comment.is_some() && alert.alertcast.comment == *self.poison.lock().unwrap()
    }
}

impl Interference for Line {
    async fn around<T: Send>(
        &self,
        operation: &'static str,
        run: impl Future<Output = StoreResult<T>> + Send,
    ) -> StoreResult<T> {
        if *self.mute.lock().unwrap() == Some(operation) {
            return run.await.and(away());
        }
        let weather = *self.weather.borrow();
        match weather {
            Weather::Well | Weather::Busy(_) => run.await,
            Weather::Gone => away(),
            Weather::Lost => run.await.and(away()),
            Weather::Silent => {
                let mut now = self.weather.subscribe();
                self.hold_up(now.wait_for(|now| *now != weather)).await.unwrap();
                away()
            }
            Weather::Slow(by) => {
                self.hold_up(self.clock.sleep(by)).await;
                run.await
            }
        }
    }

    async fn offered(&self, alert: &Alert) -> StoreResult<()> {
        if self.refuses(alert) {
            return Err(StoreError::Corrupt("it is poison".to_owned()));
        }
        let weather = *self.weather.borrow();
        if let Weather::Busy(by) = weather {
            self.hold_up(self.clock.sleep(by)).await;
        }
        Ok(())
    }
}
