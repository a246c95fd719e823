//! When the server was away, cut off or slow: noticed by the driver's own watch over it, which sees a connection break at
//! once, and by how long it takes to answer what this process asks again and again anyway.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use alertcast_core::store::SILENCE;
use mongodb::event::EventHandler;
use mongodb::event::cmap::CmapEvent;
use mongodb::event::sdam::SdamEvent;
use mongodb::options::ClientOptions;
use tokio::time::timeout;

/// Slower than this, an answer to a small question is as good as none. Who asks every so often notices a silence in this
/// and the time between two questions: before any process takes the server for away.
const SLOW: Duration = Duration::from_millis(500);
const _: () = assert!(SLOW.as_millis() * 2 <= SILENCE.as_millis());

/// Counts them.
#[derive(Debug, Clone, Default)]
pub(crate) struct InterruptionCount(Arc<AtomicU64>);

impl InterruptionCount {
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

    /// Waits for an answer, and notes where it fails, or is slow: at once, not when it comes.
    pub(crate) async fn heed<T, E>(&self, asked: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let mut asked = pin!(asked);
        let answer = match timeout(SLOW, &mut asked).await {
            Ok(answer) => answer,
            Err(_) => {
                self.note();
                asked.await
            }
        };
        if answer.is_err() {
            self.note();
        }
        answer
    }
}
