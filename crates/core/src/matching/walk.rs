//! The walk over an alert's users, chunk by chunk: who comes next, and when it is the last. The same for an alert that is
//! processed, for one that is rehearsed, and for recorded ones.

use crate::id::UserId;

use super::chunk::{UserChunk, next_users};
use super::job::MatchingJob;
use crate::store::ChunkState;

/// Users to a chunk: one transaction of some milliseconds.
pub const CHUNK_USERS_MAX: usize = 500;

/// Where the work on one alert stands among its users.
#[derive(Debug, Clone)]
pub struct ChunkWalk {
    /// Sorted.
    candidates: Vec<UserId>,
    concerns_holders: bool,
    chunk_users_max: usize,
    cursor: Option<UserId>,
}

/// The users of one chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkUsers {
    /// Sorted, without doubles. Empty where the alert concerns nobody (any more).
    pub users: Vec<UserId>,
    /// Whether nobody comes behind them: with this chunk the alert ends.
    pub is_last: bool,
}

impl ChunkWalk {
    /// The walk of an alert over the audience's candidates, from behind `cursor` on.
    pub const fn new(
        job: &MatchingJob<'_>,
        candidates: Vec<UserId>,
        chunk_users_max: usize,
        cursor: Option<UserId>,
    ) -> Self {
        Self { candidates, concerns_holders: job.concerns_holders(), chunk_users_max, cursor }
    }

    /// The last user who is done with.
    pub const fn cursor(&self) -> Option<UserId> {
        self.cursor
    }

    /// How many of those who hold an open trade, above the cursor and by id, [`Self::next`] has to know: one more than a
    /// chunk holds. None where holders are not concerned.
    pub fn count_holders_wanted(&self) -> Option<usize> {
        self.concerns_holders.then(|| self.chunk_users_max.saturating_add(1))
    }

    /// The next users, by id: whoever may get the alert, and whoever holds an open trade.
    pub fn next(&self, holders: &[UserId]) -> ChunkUsers {
        let mut users = next_users(&self.candidates, holders, self.cursor, self.chunk_users_max.saturating_add(1));
        let is_last = users.len() <= self.chunk_users_max;
        users.truncate(self.chunk_users_max);
        ChunkUsers { users, is_last }
    }

    /// The cursor once these users are done with.
    pub fn cursor_after(&self, chunk: &ChunkUsers) -> Option<UserId> {
        chunk.users.last().copied().or(self.cursor)
    }

    /// Goes on behind these users.
    pub fn move_on(&mut self, chunk: &ChunkUsers) {
        self.cursor = self.cursor_after(chunk);
    }

    /// Goes on from where it stood before.
    pub const fn return_to(&mut self, cursor: Option<UserId>) {
        self.cursor = cursor;
    }
}

impl ChunkUsers {
    /// The chunk, with what the store knows of its users.
    pub fn with<'a>(&'a self, state: &'a ChunkState) -> UserChunk<'a> {
        UserChunk { users: &self.users, state, last: self.is_last }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::user_id;

    fn ids(numbers: &[u32]) -> Vec<UserId> {
        numbers.iter().map(|n| user_id(*n)).collect()
    }

    fn walk(candidates: &[u32], chunk_users_max: usize) -> ChunkWalk {
        ChunkWalk { candidates: ids(candidates), concerns_holders: true, chunk_users_max, cursor: None }
    }

    /// All chunks of a walk. Of the holders no more than are asked for.
    fn chunks(mut walk: ChunkWalk, holders: &[u32]) -> Vec<ChunkUsers> {
        let holders = ids(holders);
        let mut chunks = Vec::new();
        loop {
            let above = holders.iter().copied().filter(|user| walk.cursor().is_none_or(|cursor| *user > cursor));
            let known: Vec<UserId> = above.take(walk.count_holders_wanted().unwrap()).collect();
            let chunk = walk.next(&known);
            walk.move_on(&chunk);
            let is_last = chunk.is_last;
            chunks.push(chunk);
            if is_last {
                return chunks;
            }
        }
    }

    #[test]
    fn everybody_comes_once_whatever_the_chunks_and_the_last_one_says_so() {
        let (candidates, holders) = ([1, 2, 4, 6, 9], [2, 3, 7, 8]);
        for size in [1, 2, 3, 4, 7, 8, 9, usize::MAX] {
            let chunks = chunks(walk(&candidates, size), &holders);
            let all: Vec<UserId> = chunks.iter().flat_map(|chunk| chunk.users.clone()).collect();
            assert_eq!(all, ids(&[1, 2, 3, 4, 6, 7, 8, 9]), "{size}");
            assert_eq!(chunks.len(), 8_usize.div_ceil(size), "{size}: no chunk is empty");
            assert_eq!(chunks.iter().filter(|chunk| chunk.is_last).count(), 1, "{size}");
        }
    }

    #[test]
    fn an_alert_for_nobody_has_one_chunk_which_is_its_last() {
        assert_eq!(chunks(walk(&[], 3), &[]), [ChunkUsers { users: Vec::new(), is_last: true }]);
    }

    #[test]
    fn what_begins_behind_a_cursor_goes_on_there_and_stays_there_when_nobody_comes() {
        let begun = ChunkWalk { cursor: Some(user_id(4)), ..walk(&[1, 4, 5, 6], 1) };
        assert_eq!(begun.next(&[]), ChunkUsers { users: ids(&[5]), is_last: false });
        let mut done = ChunkWalk { cursor: Some(user_id(6)), ..begun };
        let nobody = done.next(&[]);
        assert_eq!(nobody, ChunkUsers { users: Vec::new(), is_last: true });
        done.move_on(&nobody);
        assert_eq!(done.cursor(), Some(user_id(6)));
    }
}
