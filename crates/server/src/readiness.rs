//! Whether an alert would be answered 202 now: what the status code of `/readyz` tells, and nothing else.
//!
//! While it is so, the webhook's own successes and failures say when it is not any more: nothing is written only to find
//! out. While it is not, something as large as an alert is written each second, the way that alerts go, so that it turns
//! by itself once there is room, or the store is back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alertcast_core::store::{INTAKE_DEADLINE, StoreError, StoreResult};
use bson::oid::ObjectId;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::base::Base;
use crate::spool::SpooledIntake;
use crate::store_probe::write_something;

/// While alerts cannot be kept, it is tried this often.
const PROBE_EVERY: Duration = Duration::from_secs(1);

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
pub(crate) async fn run(base: Base, readiness: Readiness, spool: Option<Arc<SpooledIntake>>, stop: CancellationToken) {
    let id = base.ids.next();
    loop {
        let probed = tokio::select! {
            probed = probe(&base, spool.as_deref(), id) => probed,
            () = stop.cancelled() => return,
        };
        match probed {
            Ok(()) => readiness.note_kept(),
            Err(error) => readiness.not_kept(&error),
        }
        let is_well = readiness.trouble().is_none();
        tokio::select! {
            () = stop.cancelled() => return,
            () = readiness.inner.turned.notified(), if is_well => {}
            () = base.clock.sleep(PROBE_EVERY), if !is_well => {}
        }
    }
}

/// Writes what an alert would be, where an alert would be written.
async fn probe(base: &Base, spool: Option<&SpooledIntake>, id: ObjectId) -> StoreResult<()> {
    let written = async {
        match spool {
            Some(spooled) => spooled.probe(id).await,
            None => write_something(&*base.store, id, base.clock.now()).await,
        }
    };
    tokio::select! {
        written = written => written,
        () = base.clock.sleep(INTAKE_DEADLINE) => {
            Err(StoreError::Unavailable(format!("not done within {} s", INTAKE_DEADLINE.as_secs())))
        }
    }
}
