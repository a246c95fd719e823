//! Requests that are being taken in right now. TradingView posts an exit and the entry that follows it at the same
//! instant, on two connections: the processor lets whatever is under way arrive before it puts alerts in order.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock::Clock;

/// The requests under way.
#[derive(Debug, Clone, Default)]
pub struct RequestsInProgress {
    inner: Arc<InProgressState>,
}

#[derive(Debug, Default)]
struct InProgressState {
    open: Mutex<TicketCounts>,
    left: Notify,
}

#[derive(Debug, Default)]
struct TicketCounts {
    next: u64,
    open: BTreeSet<u64>,
}

/// A request under way, until it is dropped.
#[derive(Debug)]
pub struct RequestTicket {
    inner: Arc<InProgressState>,
    number: u64,
}

impl RequestsInProgress {
    /// A request whose body has been read begins to be taken in.
    #[must_use]
    pub fn enter(&self) -> RequestTicket {
        let mut tickets = self.inner.open.lock().unwrap_or_else(PoisonError::into_inner);
        let number = tickets.next;
        tickets.next += 1;
        tickets.open.insert(number);
        RequestTicket { inner: Arc::clone(&self.inner), number }
    }

    /// Returns once every request that is under way now has been answered, and at the latest after `patience`.
    pub async fn wait_arrived(&self, clock: &dyn Clock, patience: Duration) {
        let mark = self.inner.open.lock().unwrap_or_else(PoisonError::into_inner).next;
        let all_left = async {
            loop {
                let left = self.inner.left.notified();
                if self.oldest().is_none_or(|oldest| oldest >= mark) {
                    return;
                }
                left.await;
            }
        };
        tokio::select! {
            () = all_left => {}
            () = clock.sleep(patience) => {}
        }
    }

    fn oldest(&self) -> Option<u64> {
        self.inner.open.lock().unwrap_or_else(PoisonError::into_inner).open.first().copied()
    }
}

impl Drop for RequestTicket {
    fn drop(&mut self) {
        self.inner.open.lock().unwrap_or_else(PoisonError::into_inner).open.remove(&self.number);
        self.inner.left.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use alertcast_core::time::Time;

    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn waits_for_those_under_way_and_not_for_those_who_come_later() {
        let clock = ManualClock::at(Time::from_millis(0));
        let inflight = RequestsInProgress::default();
        let early = inflight.enter();
        let mut waiting = pin!(inflight.wait_arrived(&*clock, Duration::from_secs(2)));
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(waiting.as_mut().poll(&mut cx), Poll::Pending);
        let _late = inflight.enter();
        assert_eq!(waiting.as_mut().poll(&mut cx), Poll::Pending);
        drop(early);
        assert_eq!(waiting.as_mut().poll(&mut cx), Poll::Ready(()));
    }

    #[test]
    fn patience_ends() {
        let clock = ManualClock::at(Time::from_millis(0));
        let inflight = RequestsInProgress::default();
        let _stuck = inflight.enter();
        let mut waiting = pin!(inflight.wait_arrived(&*clock, Duration::from_secs(2)));
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(waiting.as_mut().poll(&mut cx), Poll::Pending);
        clock.advance(Duration::from_secs(2));
        assert_eq!(waiting.as_mut().poll(&mut cx), Poll::Ready(()));
    }
}
