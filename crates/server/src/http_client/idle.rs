//! Connections without a request, kept for the next one. They are closed before servers do so: a request on a connection
//! that the other side closes meanwhile would be in doubt.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::connecting::RequestSender;

/// How often the connections are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// One that was found unused so often is closed: 20 to 30 seconds after its last request.
const UNUSED_LOOKS_MAX: u8 = 3;

/// The connections, the one used last at the end.
#[derive(Debug, Default)]
pub(super) struct IdleSenders(Mutex<IdleList>);

#[derive(Debug, Default)]
struct IdleList {
    connections: Vec<IdleSender>,
    /// Somebody looks at them from time to time.
    is_watched: bool,
}

#[derive(Debug)]
struct IdleSender {
    sender: RequestSender,
    unused_looks: u8,
}

impl IdleSenders {
    /// One that takes a request now.
    pub(super) async fn take(&self) -> Option<RequestSender> {
        loop {
            let mut idle = self.lock().connections.pop()?;
            if idle.sender.ready().await.is_ok() {
                return Some(idle.sender);
            }
        }
    }

    /// Keeps one whose answer was read to its end.
    pub(super) fn put(self: &Arc<Self>, sender: RequestSender) {
        let mut list = self.lock();
        list.connections.push(IdleSender { sender, unused_looks: 0 });
        if !std::mem::replace(&mut list.is_watched, true) {
            tokio::spawn(close_unused(Arc::downgrade(self)));
        }
    }

    /// Closes what is not used any more. Whether any are left.
    pub(super) fn look(&self) -> bool {
        let mut list = self.lock();
        list.connections.retain_mut(|idle| {
            idle.unused_looks += 1;
            idle.unused_looks < UNUSED_LOOKS_MAX && !idle.sender.is_closed()
        });
        list.is_watched = !list.connections.is_empty();
        list.is_watched
    }

    fn lock(&self) -> MutexGuard<'_, IdleList> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at them until none are left.
async fn close_unused(connections: Weak<IdleSenders>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if !connections.upgrade().is_some_and(|connections| connections.look()) {
            return;
        }
    }
}

#[cfg(test)]
impl IdleSenders {
    /// Whether the one used last is known to have ended.
    pub(super) fn is_closed_by_server(&self) -> bool {
        self.lock().connections.last().is_some_and(|idle| idle.sender.is_closed())
    }
}
