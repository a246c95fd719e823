//! For how long something has stood as it does, by one's own watching. Time in which nobody looked does not count: who
//! was stopped himself, or could not reach the store, knows nothing of the others.

use std::collections::BTreeMap;
use std::time::Duration;

/// Between two looks no more than this has been watched.
const LOOK_MAX: Duration = Duration::from_secs(2);

/// What stands how, and for how long.
#[derive(Debug)]
pub(super) struct WatchedValue<T> {
    standing: BTreeMap<String, (T, Duration)>,
    looked_at: Option<Duration>,
}

impl<T> Default for WatchedValue<T> {
    fn default() -> Self {
        Self { standing: BTreeMap::new(), looked_at: None }
    }
}

impl<T: PartialEq> WatchedValue<T> {
    /// A look at everything that there is.
    pub(super) fn look(&mut self, now: Duration, seen: impl IntoIterator<Item = (String, T)>) {
        let passed = self.looked_at.map_or(Duration::ZERO, |before| now.saturating_sub(before).min(LOOK_MAX));
        let mut before = std::mem::take(&mut self.standing);
        for (name, state) in seen {
            let watched = match before.remove(&name) {
                Some((then, watched)) if then == state => watched + passed,
                _ => Duration::ZERO,
            };
            self.standing.insert(name, (state, watched));
        }
        self.looked_at = Some(now);
    }

    /// For how long it has been seen to stand as it does.
    pub(super) fn of(&self, name: &str) -> Duration {
        self.standing.get(name).map_or(Duration::ZERO, |(_, watched)| *watched)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(watched: &mut WatchedValue<i64>, second: u32, state: i64) -> Duration {
        watched.look(SECOND * second, [("a".to_owned(), state)]);
        watched.of("a")
    }

    #[test]
    fn what_stands_still_is_watched_for_longer_and_what_moves_anew() {
        let mut watched = WatchedValue::default();
        assert_eq!(at(&mut watched, 10, 1), Duration::ZERO);
        assert_eq!(at(&mut watched, 11, 1), SECOND);
        assert_eq!(at(&mut watched, 12, 1), SECOND * 2);
        assert_eq!(at(&mut watched, 13, 2), Duration::ZERO);
        assert_eq!(watched.of("b"), Duration::ZERO);
    }

    #[test]
    fn time_in_which_nobody_looked_does_not_count() {
        let mut watched = WatchedValue::default();
        at(&mut watched, 1, 1);
        assert_eq!(at(&mut watched, 100, 1), LOOK_MAX);
    }

    #[test]
    fn what_was_gone_is_watched_anew() {
        let mut watched = WatchedValue::default();
        at(&mut watched, 1, 1);
        watched.look(SECOND * 2, []);
        assert_eq!(at(&mut watched, 3, 1), Duration::ZERO);
    }
}
