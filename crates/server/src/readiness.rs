//! Whether an alert would be answered 202 now: what the status code of `/readyz` tells, and nothing else.
//!
//! While it is so, the webhook's own successes and failures say when it is not any more: nothing is written only to find
//! out. While it is not, something as large as an alert is written each second, the way that alerts go, so that it turns
//! by itself once there is room, or the store is back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alertcast_core::store::{Collection, DocumentWrite, INTAKE_DEADLINE, Store, StoreError, StoreResult};
use alertcast_core::time::Time;
use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, doc};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::app::App;

/// While alerts cannot be kept, it is tried this often.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// As much as the largest alert.
const PROBE_BYTES: usize = 64 * 1024;
/// What a probe has written is removed at once; where that fails, with what is old.
const KEPT: Duration = Duration::from_secs(60 * 60);

/// Whether alerts can be kept. Cheap to clone; the clones share it.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    inner: Arc<ReadinessState>,
}

#[derive(Debug, Default)]
struct ReadinessState {
    /// Why the last one could not be.
    trouble: Mutex<Option<String>>,
    turned: Notify,
}

impl Readiness {
    /// Why an alert would not be answered 202; none where it would.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.inner.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Something was kept as an alert is.
    pub(crate) fn note_kept(&self) {
        if self.set(None).is_some() {
            info!("alerts can be kept again");
        }
    }

    /// Something could not be kept.
    pub(crate) fn not_kept(&self, why: &StoreError) {
        if self.set(Some(why.to_string())).is_none() {
            warn!(%why, "alerts cannot be kept: they are answered 503");
            self.inner.turned.notify_one();
        }
    }

    fn set(&self, trouble: Option<String>) -> Option<String> {
        std::mem::replace(&mut *self.inner.trouble.lock().unwrap_or_else(PoisonError::into_inner), trouble)
    }
}

/// Runs until `stop`.
pub(crate) async fn run(app: App, stop: CancellationToken) {
    let id = app.ids.next();
    loop {
        let probed = tokio::select! {
            probed = probe(&app, id) => probed,
            () = stop.cancelled() => return,
        };
        match probed {
            Ok(()) => app.readiness.note_kept(),
            Err(error) => app.readiness.not_kept(&error),
        }
        let is_well = app.readiness.trouble().is_none();
        tokio::select! {
            () = stop.cancelled() => return,
            () = app.readiness.inner.turned.notified(), if is_well => {}
            () = app.clock.sleep(PROBE_EVERY), if !is_well => {}
        }
    }
}

/// Writes what an alert would be, where an alert would be written.
async fn probe(app: &App, id: ObjectId) -> StoreResult<()> {
    let written = async {
        match &app.spool {
            Some(spooled) => spooled.probe(id).await,
            None => write_something(&*app.store, id, app.clock.now()).await,
        }
    };
    tokio::select! {
        written = written => written,
        () = app.clock.sleep(INTAKE_DEADLINE) => {
            Err(StoreError::Unavailable(format!("not done within {} s", INTAKE_DEADLINE.as_secs())))
        }
    }
}

/// Writes a document of an alert's size, synced, and removes it again.
///
/// # Errors
/// Those of the store.
pub(crate) async fn write_something(store: &dyn Store, id: ObjectId, now: Time) -> StoreResult<()> {
    // Records of requests that were repeated: nobody looks for one of this name, and they pass by themselves.
    let collection = Collection::IdempotencyKeys;
    let padding = Binary { subtype: BinarySubtype::Generic, bytes: vec![0; PROBE_BYTES] };
    let document = doc! { "_id": id, "request": "readiness", "until": now + KEPT, "body": padding };
    let remove = || vec![DocumentWrite::Delete { collection, id }];
    // What an earlier one may have left would make room for this one.
    store.write(remove()).await?;
    store.write(vec![DocumentWrite::Insert { collection, document }]).await?;
    store.write(remove()).await
}
