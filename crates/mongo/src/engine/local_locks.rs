//! Turns within one process. Transactions that change the same document at once make each other fail and try again;
//! where this process knows that they would, it lets them wait for each other instead. Nothing rests on it for being
//! right: other processes have locks of their own.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use tokio::sync::{Mutex, MutexGuard};

/// Names share locks where their hashes agree.
const GATES: usize = 64;

/// The name of the change log's gate.
pub(crate) const CHANGES: &str = "changes";

/// The name of the gate of messages to the operators.
pub(crate) const OPERATORS: &str = "operators";

/// The locks of one store.
#[derive(Debug)]
pub(crate) struct LocalLocks([Mutex<()>; GATES]);

impl Default for LocalLocks {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(())))
    }
}

impl LocalLocks {
    /// Waits for the turn at all of these; it lasts as long as the answer lives. Everybody takes them in one order, so
    /// that nobody waits in a circle.
    pub(crate) async fn pass(&self, names: &[&str]) -> Vec<MutexGuard<'_, ()>> {
        let places: BTreeSet<usize> = names.iter().map(|name| place(name)).collect();
        let mut held = Vec::with_capacity(places.len());
        for place in places {
            held.push(self.0[place].lock().await);
        }
        held
    }
}

fn place(name: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    usize::try_from(hasher.finish() % GATES as u64).unwrap_or(0)
}
