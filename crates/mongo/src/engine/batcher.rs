//! Those who want the same at the same time are served together: what comes while some are served goes with the next, so
//! that the price of round trips is shared. Nobody waits for company: who comes alone is served alone.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alertcast_core::store::{StoreError, StoreResult};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Whoever takes longer than this is not waited for by the next: a connection that hangs holds up none but those on it.
const PATIENCE: Duration = Duration::from_millis(250);

/// Somebody who waits, and for what.
pub(crate) type BatchWaiter<A, R> = (A, oneshot::Sender<StoreResult<R>>);

/// Takes out who goes together.
pub(crate) type BatchChooser<A, R> = fn(&mut Vec<BatchWaiter<A, R>>) -> Vec<BatchWaiter<A, R>>;

/// Those who wait. Only who is under way bounds it: one place for each request.
pub(crate) struct RequestBatcher<A, R>(Mutex<WaitingRequests<A, R>>);

struct WaitingRequests<A, R> {
    waiters: Vec<BatchWaiter<A, R>>,
    /// Whether somebody takes them out.
    served: bool,
}

impl<A, R> Default for RequestBatcher<A, R> {
    fn default() -> Self {
        Self(Mutex::new(WaitingRequests { waiters: Vec::new(), served: false }))
    }
}

impl<A, R> fmt::Debug for RequestBatcher<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("waiting", &self.lock().waiters.len()).finish()
    }
}

impl<A, R> RequestBatcher<A, R> {
    fn lock(&self) -> MutexGuard<'_, WaitingRequests<A, R>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<A: Send + 'static, R: Send + 'static> RequestBatcher<A, R> {
    /// Waits to be served. `choose` takes out who goes together, at least the first; `serve` begins after they came, and
    /// answers each of them.
    ///
    /// Who has gone before it began is not served.
    pub(crate) async fn wait<F>(
        self: &Arc<Self>,
        ask: A,
        choose: BatchChooser<A, R>,
        serve: impl Fn(Vec<BatchWaiter<A, R>>) -> F + Send + 'static,
    ) -> StoreResult<R>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let is_served = {
            let mut waiting = self.lock();
            waiting.waiters.push((ask, answer));
            std::mem::replace(&mut waiting.served, true)
        };
        if !is_served {
            tokio::spawn(Arc::clone(self).run(choose, serve));
        }
        answered.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the operation broke off".to_owned())))
    }

    /// Serves some after some, until nobody waits.
    async fn run<F>(self: Arc<Self>, choose: BatchChooser<A, R>, serve: impl Fn(Vec<BatchWaiter<A, R>>) -> F + Send)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        loop {
            let together = {
                let mut waiting = self.lock();
                waiting.waiters.retain(|(_, answer)| !answer.is_closed());
                let together = choose(&mut waiting.waiters);
                waiting.served = !together.is_empty();
                together
            };
            if together.is_empty() {
                return;
            }
            // A task of its own: whatever becomes of it, the next are served. Those in it hear that it broke off.
            let _ = timeout(PATIENCE, tokio::spawn(serve(together))).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    type Numbers = Arc<RequestBatcher<u32, (u32, usize)>>;

    /// Answers each with its number and with how many went before, one permit for each time that is served.
    async fn ask(line: &Numbers, number: u32, served: &Arc<(AtomicUsize, Semaphore)>) -> StoreResult<(u32, usize)> {
        let served = Arc::clone(served);
        let serve = move |together: Vec<BatchWaiter<u32, (u32, usize)>>| {
            let served = Arc::clone(&served);
            async move {
                let turn = served.0.fetch_add(1, Ordering::SeqCst);
                served.1.acquire().await.unwrap().forget();
                assert!(together.iter().all(|(number, _)| *number != 13), "an unlucky number");
                for (number, answer) in together {
                    let _ = answer.send(Ok((number, turn)));
                }
            }
        };
        line.wait(number, std::mem::take, serve).await
    }

    #[tokio::test]
    async fn who_comes_while_one_is_served_goes_with_the_next() {
        let (line, served) = (Numbers::default(), Arc::new((AtomicUsize::new(0), Semaphore::new(0))));
        let first = ask(&line, 0, &served);
        let others = async {
            tokio::task::yield_now().await;
            let waiting = join_all((1..9).map(|number| ask(&line, number, &served)));
            let (answers, ()) = tokio::join!(waiting, async { served.1.add_permits(2) });
            answers
        };
        let (first, others) = tokio::join!(first, others);
        assert_eq!(first, Ok((0, 0)));
        assert_eq!(others, (1..9).map(|number| Ok((number, 1))).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn who_hangs_or_breaks_off_holds_up_nobody_else() {
        let (line, served) = (Numbers::default(), Arc::new((AtomicUsize::new(0), Semaphore::new(0))));
        let hanging = tokio::spawn({
            let (line, served) = (Arc::clone(&line), Arc::clone(&served));
            async move { ask(&line, 0, &served).await }
        });
        tokio::task::yield_now().await;
        let next = tokio::spawn({
            let (line, served) = (Arc::clone(&line), Arc::clone(&served));
            async move { ask(&line, 13, &served).await }
        });
        tokio::time::sleep(PATIENCE * 2).await;
        assert_eq!(served.0.load(Ordering::SeqCst), 2, "both are under way");
        served.1.add_permits(3);
        assert_eq!(hanging.await.unwrap(), Ok((0, 0)));
        assert!(matches!(next.await.unwrap(), Err(StoreError::Unavailable(_))));
        assert_eq!(ask(&line, 2, &served).await, Ok((2, 2)));
    }

    #[tokio::test]
    async fn who_has_gone_is_not_served() {
        let (line, served) = (Numbers::default(), Arc::new((AtomicUsize::new(0), Semaphore::new(0))));
        let first = tokio::spawn({
            let (line, served) = (Arc::clone(&line), Arc::clone(&served));
            async move { ask(&line, 0, &served).await }
        });
        tokio::task::yield_now().await;
        assert!(timeout(Duration::from_millis(1), ask(&line, 13, &served)).await.is_err());
        served.1.add_permits(2);
        assert_eq!(first.await.unwrap(), Ok((0, 0)));
        assert_eq!(ask(&line, 2, &served).await, Ok((2, 1)));
    }
}
