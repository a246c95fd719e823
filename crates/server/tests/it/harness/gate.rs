//! A store in front of the real one, in which a test can hold up what the webhook wants to store: so that several alerts
//! are under way at one instant, and not only probably. It can also take the store away, as a network does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use alertcast_core::alert::document::Alert;
use alertcast_core::store::{ChunkCommit, DocumentWrite, Store, StoreError, StoreResult};
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
    /// An operation that fails, and how often it still succeeds before.
    broken: Mutex<Option<(&'static str, usize)>>,
    /// How many chunks were committed together, commit by commit.
    commits: Mutex<Vec<usize>>,
    /// What others write, and before which commit, counted from 0.
    meddling: Mutex<Option<(usize, Vec<DocumentWrite>)>>,
}

impl Gate {
    /// An open gate before a store.
    pub(crate) fn before(store: Arc<dyn Store>) -> Arc<Gated> {
        let gate = Self {
            passes: Semaphore::new(OPEN),
            waiting: watch::Sender::new(0),
            away: AtomicBool::new(false),
            broken: Mutex::default(),
            commits: Mutex::default(),
            meddling: Mutex::default(),
        };
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

    /// Has an operation fail for good once it has succeeded so often, until it is mended.
    pub(crate) fn break_down(&self, operation: &'static str, after: usize) {
        *self.broken.lock().unwrap() = Some((operation, after));
    }

    /// How many chunks were committed together, commit by commit.
    pub(crate) fn commits(&self) -> Vec<usize> {
        self.commits.lock().unwrap().clone()
    }

    /// Has others write this right before a commit, counted from 0.
    pub(crate) fn meddle_before(&self, commit: usize, writes: Vec<DocumentWrite>) {
        *self.meddling.lock().unwrap() = Some((commit, writes));
    }

    /// Mends it.
    pub(crate) fn mend(&self) {
        *self.broken.lock().unwrap() = None;
    }

    /// Whether an operation is to fail now.
    fn is_broken(&self, operation: &str) -> bool {
        match &mut *self.broken.lock().unwrap() {
            Some((broken, 0)) => *broken == operation,
            Some((broken, left)) if *broken == operation => {
                *left -= 1;
                false
            }
            _ => false,
        }
    }

    /// Brings it back.
    pub(crate) fn bring_back(&self) {
        self.away.store(false, Ordering::SeqCst);
    }
}

impl Interference for Gate {
    async fn around<T: Send>(
        &self,
        operation: &'static str,
        run: impl Future<Output = StoreResult<T>> + Send,
    ) -> StoreResult<T> {
        if self.is_broken(operation) {
            return Err(StoreError::Corrupt("it is broken for a test".to_owned()));
        }
        match self.away.load(Ordering::SeqCst) && !operation.contains("lease") {
            true => away(),
            false => run.await,
        }
    }

    async fn committing(&self, store: &dyn Store, chunks: &[ChunkCommit]) {
        let count = self.commits().len();
        self.commits.lock().unwrap().push(chunks.len());
        let meddling = self.meddling.lock().unwrap().take_if(|(commit, _)| *commit == count);
        if let Some((_, writes)) = meddling {
            store.write(writes).await.unwrap();
        }
    }

    async fn offered(&self, _alert: &Alert) -> StoreResult<()> {
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
