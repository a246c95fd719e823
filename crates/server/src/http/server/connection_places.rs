//! Who is connected, and who has to leave when places run short.
//!
//! A connection is a stranger's until it has shown a right secret or token. Only strangers leave for others, and first the
//! one that has been longest without progress: since it came, or since a whole request was read from it. Single bytes of a
//! head, and of an answer, are no progress. So whoever holds places by doing nothing gives way to whoever comes, from
//! however many addresses; and each who comes has at least [`GRACE`] to say something. Who is waited for is the other side:
//! nobody leaves whom this process is still to read from, or to answer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Nobody leaves for others sooner than this after their last progress: a request follows its connection at once.
const GRACE: Duration = Duration::from_millis(100);
/// So many who have been told to leave may still be there.
const LEAVING_MAX: usize = 64;

/// The places. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct ConnectionPlaces(Arc<PlacesShared>);

#[derive(Debug)]
struct PlacesShared {
    most: usize,
    state: Mutex<PlacesState>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct PlacesState {
    /// Who has a place, and has not been told to leave.
    taken: usize,
    leaving: usize,
    /// By their last progress.
    strangers: BTreeMap<u64, UnknownConnection>,
    next: u64,
}

#[derive(Debug)]
struct UnknownConnection {
    since: Instant,
    turn: Arc<RequestTurn>,
    leave: CancellationToken,
}

/// One who has a place, until this is dropped.
#[derive(Debug)]
pub(super) struct ConnectionPlace {
    places: ConnectionPlaces,
    guest: ConnectionGuest,
}

/// Who sends a request: it is part of each, so that whoever finds the secret to be right can say so.
#[derive(Debug, Clone)]
pub(in crate::http) struct ConnectionGuest {
    places: ConnectionPlaces,
    /// Its number among the strangers; none once it is no stranger, or has been told to leave.
    number: Arc<Mutex<Option<u64>>>,
    turn: Arc<RequestTurn>,
    leave: CancellationToken,
}

/// Whose turn it is on a connection.
#[derive(Debug, Default)]
pub(super) struct RequestTurn {
    /// There is nothing to read, or there is no room to write.
    is_stuck: AtomicBool,
    /// A request is being answered.
    is_served: AtomicBool,
}

impl RequestTurn {
    /// What became of the last read or write.
    pub(super) fn note(&self, is_stuck: bool) {
        self.is_stuck.store(is_stuck, Ordering::Release);
    }

    fn serves(&self, is_served: bool) {
        self.is_served.store(is_served, Ordering::Release);
    }

    fn is_theirs(&self) -> bool {
        self.is_stuck.load(Ordering::Acquire) && !self.is_served.load(Ordering::Acquire)
    }
}

impl ConnectionPlaces {
    pub(super) fn new(most: usize) -> Self {
        Self(Arc::new(PlacesShared { most, state: Mutex::default(), freed: Notify::new() }))
    }

    /// Takes a place, for which a stranger may have to leave.
    pub(super) async fn enter(&self) -> ConnectionPlace {
        loop {
            let freed = self.0.freed.notified();
            let wait = {
                let mut state = self.state();
                if state.taken < self.0.most || state.tell_oldest_to_leave(GRACE) {
                    let guest = self.welcome(&mut state);
                    return ConnectionPlace { places: self.clone(), guest };
                }
                state.until_grace_is_over()
            };
            tokio::select! {
                () = freed => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Tells the stranger to leave who has been longest without progress, for the machine has no room for another.
    pub(super) fn make_room(&self) {
        self.state().tell_oldest_to_leave(Duration::ZERO);
    }

    fn welcome(&self, state: &mut PlacesState) -> ConnectionGuest {
        state.taken += 1;
        let (turn, leave) = (Arc::<RequestTurn>::default(), CancellationToken::new());
        let stranger = UnknownConnection { since: Instant::now(), turn: Arc::clone(&turn), leave: leave.clone() };
        let number = Arc::new(Mutex::new(Some(state.note(stranger))));
        ConnectionGuest { places: self.clone(), number, turn, leave }
    }

    fn state(&self) -> MutexGuard<'_, PlacesState> {
        lock(&self.0.state)
    }
}

impl PlacesState {
    fn note(&mut self, stranger: UnknownConnection) -> u64 {
        self.next += 1;
        self.strangers.insert(self.next, stranger);
        self.next
    }

    /// Whether somebody was there who had not made any progress for so long: their place is free.
    fn tell_oldest_to_leave(&mut self, grace: Duration) -> bool {
        if self.leaving >= LEAVING_MAX {
            return false;
        }
        let idle = self.strangers.iter().take_while(|(_, one)| one.since.elapsed() >= grace);
        let oldest = idle.filter(|(_, one)| one.turn.is_theirs()).map(|(number, _)| *number).next();
        let Some(oldest) = oldest.and_then(|number| self.strangers.remove(&number)) else { return false };
        oldest.leave.cancel();
        self.taken -= 1;
        self.leaving += 1;
        true
    }

    fn until_grace_is_over(&self) -> Duration {
        let oldest = self.strangers.first_key_value();
        oldest.map_or(GRACE, |(_, oldest)| GRACE.saturating_sub(oldest.since.elapsed()).max(Duration::from_millis(1)))
    }
}

impl ConnectionPlace {
    /// Whose turn it is: to be kept up to date by whoever reads and writes.
    pub(super) fn turn(&self) -> Arc<RequestTurn> {
        Arc::clone(&self.guest.turn)
    }

    pub(super) fn guest(&self) -> &ConnectionGuest {
        &self.guest
    }

    /// Returns when this one has to leave.
    pub(super) async fn has_to_leave(&self) {
        self.guest.leave.cancelled().await;
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        let mut state = self.places.state();
        if self.guest.leave.is_cancelled() {
            state.leaving -= 1;
        } else {
            state.taken -= 1;
        }
        if let Some(number) = lock(&self.guest.number).take() {
            state.strangers.remove(&number);
        }
        drop(state);
        self.places.0.freed.notify_one();
    }
}

impl ConnectionGuest {
    /// It has shown a right secret or token, and leaves for nobody any more.
    pub(in crate::http) fn becomes_known(&self) {
        let mut state = self.places.state();
        if let Some(number) = lock(&self.number).take() {
            state.strangers.remove(&number);
        }
    }

    /// A request of it is answered. Whether it is a stranger still.
    pub(super) fn is_answered(&self) -> bool {
        self.turn.serves(false);
        lock(&self.number).is_some()
    }

    /// A whole request was read from it, which is now being answered.
    pub(super) fn made_progress(&self) {
        self.turn.serves(true);
        let mut state = self.places.state();
        let mut number = lock(&self.number);
        if let Some(mut stranger) = number.and_then(|number| state.strangers.remove(&number)) {
            stranger.since = Instant::now();
            *number = Some(state.note(stranger));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    async fn pass(time: Duration) {
        tokio::time::advance(time).await;
    }

    /// One who comes, and says nothing.
    async fn enter(places: &ConnectionPlaces) -> ConnectionPlace {
        let place = places.enter().await;
        place.turn().note(true);
        place
    }

    fn is_told(place: &ConnectionPlace) -> bool {
        place.guest.leave.is_cancelled()
    }

    #[tokio::test(start_paused = true)]
    async fn the_stranger_longest_without_progress_leaves_first_and_who_is_known_stays() {
        let places = ConnectionPlaces::new(3);
        let known = enter(&places).await;
        known.guest().becomes_known();
        let (first, second) = (enter(&places).await, enter(&places).await);
        pass(GRACE).await;
        first.guest().made_progress();
        assert!(first.guest().is_answered());
        pass(GRACE).await;
        let third = enter(&places).await;
        assert_eq!([&known, &first, &second, &third].map(is_told), [false, false, true, false]);
        pass(GRACE).await;
        let fourth = enter(&places).await;
        assert_eq!([&known, &first, &third, &fourth].map(is_told), [false, true, false, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_leaves_who_is_still_to_be_read_from_or_answered() {
        let places = ConnectionPlaces::new(3);
        let (unread, unanswered) = (places.enter().await, enter(&places).await);
        unanswered.guest().made_progress();
        let idle = enter(&places).await;
        pass(GRACE).await;
        let next = places.enter().await;
        assert_eq!([&unread, &unanswered, &idle, &next].map(is_told), [false, false, true, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn everybody_has_a_moment_to_say_something() {
        let places = ConnectionPlaces::new(1);
        let first = enter(&places).await;
        let began = Instant::now();
        let _second = enter(&places).await;
        assert!(is_told(&first) && began.elapsed() >= GRACE);
    }

    #[tokio::test(start_paused = true)]
    async fn while_all_are_known_the_next_waits_until_one_goes() {
        let places = ConnectionPlaces::new(1);
        let first = enter(&places).await;
        first.guest().becomes_known();
        let mut waiting = pin!(places.enter());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(waiting.as_mut().poll(&mut cx), Poll::Pending));
        pass(GRACE * 40).await;
        assert!(matches!(waiting.as_mut().poll(&mut cx), Poll::Pending));
        assert!(!is_told(&first));
        drop(first);
        let second = waiting.await;
        drop(second);
        let state = places.state();
        assert_eq!((state.taken, state.leaving, state.strangers.len()), (0, 0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_are_leaving_are_few() {
        let places = ConnectionPlaces::new(LEAVING_MAX + 1);
        let mut all = Vec::new();
        for _ in 0..=LEAVING_MAX {
            all.push(enter(&places).await);
        }
        pass(GRACE).await;
        for _ in 0..LEAVING_MAX {
            all.push(enter(&places).await);
        }
        assert_eq!(all.iter().filter(|place| is_told(place)).count(), LEAVING_MAX);
        let mut waiting = pin!(places.enter());
        assert!(matches!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending));
        all.retain(|place| !is_told(place));
        waiting.await;
    }
}
