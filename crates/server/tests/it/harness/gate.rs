//! A store in front of the real one, in which a test can hold up what the webhook wants to store: so that several alerts
//! are under way at one instant, and not only probably. It can also take the store away, as a network does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alertcast_core::alert::document::Alert;
use alertcast_core::store::{Result, Store};
use tokio::sync::{Semaphore, watch};

use super::front::{Front, Interference, away};

/// Passes of an open gate: more than there are ever alerts.
const OPEN: usize = 1_000_000;

/// The store behind a gate.
pub(crate) type Gated = Front<Gate>;

/// The gate. It is open until it is closed.
#[derive(Debug)]
pub(crate) struct Gate {
    passes: Semaphore,
    /// How many alerts stand before it.
    waiting: watch::Sender<usize>,
    away: AtomicBool,
}

impl Gate {
    /// An open gate before a store.
    pub(crate) fn before(store: Arc<dyn Store>) -> Arc<Gated> {
        let gate = Self { passes: Semaphore::new(OPEN), waiting: watch::Sender::new(0), away: AtomicBool::new(false) };
        Front::of(store, gate)
    }

    /// Closes it: alerts are received, and wait to be stored.
    pub(crate) fn close(&self) {
        self.passes.forget_permits(OPEN);
    }

    /// Waits until so many alerts stand before it.
    pub(crate) async fn wait_for(&self, count: usize) {
        self.waiting.subscribe().wait_for(|waiting| *waiting >= count).await.unwrap();
    }

    /// Lets one alert pass.
    pub(crate) fn let_one_pass(&self) {
        self.passes.add_permits(1);
    }

    /// Opens it.
    pub(crate) fn open(&self) {
        self.passes.add_permits(OPEN);
    }

    /// Takes the store away: everything but leases fails, until it comes back.
    pub(crate) fn take_away(&self) {
        self.away.store(true, Ordering::SeqCst);
    }

    /// Brings it back.
    pub(crate) fn bring_back(&self) {
        self.away.store(false, Ordering::SeqCst);
    }
}

impl Interference for Gate {
    async fn around<T: Send>(&self, operation: &'static str, run: impl Future<Output = Result<T>> + Send) -> Result<T> {
        match self.away.load(Ordering::SeqCst) && !operation.contains("lease") {
            true => away(),
            false => run.await,
        }
    }

    async fn offered(&self, _alert: &Alert) -> Result<()> {
        self.waiting.send_modify(|waiting| *waiting += 1);
        let pass = self.passes.acquire().await.unwrap();
        self.waiting.send_modify(|waiting| *waiting -= 1);
        if self.passes.available_permits() < OPEN / 2 {
            // It was for one.
            pass.forget();
        }
        Ok(())
    }
}
