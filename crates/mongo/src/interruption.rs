//! When the server was away, cut off or slow: noticed by the driver's own watch over it, which sees a connection break at
//! once, and by how long it takes to answer what this process asks again and again anyway.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mongodb::event::EventHandler;
use mongodb::event::cmap::CmapEvent;
use mongodb::event::sdam::SdamEvent;
use mongodb::options::ClientOptions;
use tokio::time::Instant;

/// Slower than this, an answer to a small question is as good as none: intake waits no longer for what it reads.
const SLOW: Duration = Duration::from_millis(250);

/// Counts them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interruptions(Arc<AtomicU64>);

impl Interruptions {
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    fn note(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    /// Has the driver tell of what it notices by itself.
    pub(crate) fn listen(&self, options: &mut ClientOptions) {
        let (to_pools, to_servers) = (self.clone(), self.clone());
        options.cmap_event_handler = Some(EventHandler::callback(move |event| {
            if let CmapEvent::PoolCleared(_) = event {
                to_pools.note();
            }
        }));
        options.sdam_event_handler = Some(EventHandler::callback(move |event| {
            if let SdamEvent::ServerHeartbeatFailed(_) = event {
                to_servers.note();
            }
        }));
    }

    /// Waits for an answer, and notes where it is slow or fails.
    pub(crate) async fn heed<T, E>(&self, asked: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let begun = Instant::now();
        let answer = asked.await;
        if answer.is_err() || begun.elapsed() > SLOW {
            self.note();
        }
        answer
    }
}
