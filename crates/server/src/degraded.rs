//! What does not work as it should while the program goes on all the same: a document that cannot be read, an alert that
//! was set aside, a part that failed and was begun anew. Whoever finds out says so here, and takes it back once it is
//! over. It is told where operators look: in the body of `/readyz` (and by that in `doctor`), in `/metrics`, in the log.
//!
//! It never changes whether alerts are taken in: that is what the status code of `/readyz` is about (`readiness`).
//!
//! ```ignore
//! app.degraded.set(TroubleKind::UnreadableDocuments, "users", "3 documents of users cannot be read: 65…, 66…, 67…");
//! app.degraded.clear(TroubleKind::UnreadableDocuments, "users");
//! ```

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alertcast_core::time::Time;
use serde::Serialize;
use tracing::{info, warn};

use crate::clock::Clock;

/// More are not kept: what they are about is a part of the program, a collection or a lane, never a single document.
const STANDING_MAX: usize = 256;

/// The kinds of trouble that are told. Each has a word for `/readyz` and for the label of `alertcast_degraded`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TroubleKind {
    /// Documents that cannot be read are set aside. About: their collection.
    UnreadableDocuments,
    /// Alerts that kept failing are set aside, or records of the spool that the store will not have.
    ParkedWork,
    /// Alerts wait much longer than they should.
    LateWork,
    /// The store is away, and alerts are kept in the spool.
    StoreAway,
    /// A part of the program failed and is begun anew. About: its name.
    FailingPart,
}

impl TroubleKind {
    /// Every one.
    pub const ALL: [Self; 5] =
        [Self::UnreadableDocuments, Self::ParkedWork, Self::LateWork, Self::StoreAway, Self::FailingPart];

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::UnreadableDocuments => "unreadable_documents",
            Self::ParkedWork => "parked_work",
            Self::LateWork => "late_work",
            Self::StoreAway => "store_away",
            Self::FailingPart => "failing_part",
        }
    }
}

/// One trouble that lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastingTrouble {
    pub condition: TroubleKind,
    /// What it is about: a part of the program, a collection, a lane. Empty where the condition says all.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// A sentence for operators, with what to do. Anybody may read it: no names of people, no secrets.
    pub text: String,
    /// Since when, in RFC 3339.
    #[serde(serialize_with = "as_text")]
    pub since: Time,
}

/// The troubles that last. Cheap to clone; the clones share them.
#[derive(Debug, Clone)]
pub struct DegradedState {
    clock: Arc<dyn Clock>,
    standing: Arc<Mutex<BTreeMap<(TroubleKind, String), LastingTrouble>>>,
}

impl DegradedState {
    /// Nothing is wrong yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, standing: Arc::default() }
    }

    /// Something is wrong, or is wrong in another way than was said before. May be said again and again: only news is
    /// logged, and the time at which it began stays.
    pub fn set(&self, condition: TroubleKind, about: &str, text: impl Into<String>) {
        let (text, now) = (text.into(), self.clock.now());
        let mut standing = self.lock_standing();
        let key = (condition, about.to_owned());
        if let Some(known) = standing.get_mut(&key) {
            known.text = text;
        } else if standing.len() < STANDING_MAX {
            warn!(condition = condition.word(), about, "{text}");
            standing.insert(key, LastingTrouble { condition, about: about.to_owned(), text, since: now });
        }
    }

    /// It is over. Does nothing where nothing was wrong.
    pub fn clear(&self, condition: TroubleKind, about: &str) {
        if self.lock_standing().remove(&(condition, about.to_owned())).is_some() {
            info!(condition = condition.word(), about, "no trouble any more");
        }
    }

    /// What is wrong now, in a fixed order.
    #[must_use]
    pub fn all(&self) -> Vec<LastingTrouble> {
        self.lock_standing().values().cloned().collect()
    }

    /// How many troubles of each kind last.
    pub(crate) fn counts(&self) -> [(TroubleKind, usize); TroubleKind::ALL.len()] {
        let standing = self.lock_standing();
        TroubleKind::ALL.map(|kind| (kind, standing.keys().filter(|(condition, _)| *condition == kind).count()))
    }

    fn lock_standing(&self) -> MutexGuard<'_, BTreeMap<(TroubleKind, String), LastingTrouble>> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn as_text<S: serde::Serializer>(at: &Time, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn a_trouble_lasts_from_when_it_was_first_told_until_it_is_taken_back() {
        let clock = ManualClock::at(Time::from_millis(0));
        let degraded = DegradedState::new(clock.clone());
        degraded.set(TroubleKind::UnreadableDocuments, "users", "1 document");
        clock.advance(Duration::from_secs(5));
        degraded.set(TroubleKind::UnreadableDocuments, "users", "2 documents");
        degraded.set(TroubleKind::UnreadableDocuments, "alerts", "1 document");
        let all = degraded.all();
        let told: Vec<_> = all.iter().map(|one| (one.about.as_str(), one.text.as_str(), one.since.millis())).collect();
        assert_eq!(told, [("alerts", "1 document", 5_000), ("users", "2 documents", 0)]);
        degraded.clear(TroubleKind::UnreadableDocuments, "users");
        degraded.clear(TroubleKind::StoreAway, "");
        assert_eq!(degraded.counts().map(|(_, count)| count), [1, 0, 0, 0, 0]);
    }

    #[test]
    fn there_is_an_end_to_what_is_kept() {
        let degraded = DegradedState::new(ManualClock::at(Time::from_millis(0)));
        for n in 0..2 * STANDING_MAX {
            degraded.set(TroubleKind::FailingPart, &n.to_string(), "again");
        }
        assert_eq!(degraded.all().len(), STANDING_MAX);
    }

    #[test]
    fn a_condition_has_one_word_everywhere() {
        for condition in TroubleKind::ALL {
            assert_eq!(serde_json::to_value(condition).unwrap(), condition.word());
        }
    }
}
