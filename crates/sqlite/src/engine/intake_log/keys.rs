//! The keys of accepted alerts: known from memory, and kept in a table of their own in the order of their ends, so that
//! keys that are taken together stand together, and those that are over are at its beginning.

use std::collections::HashMap;

use alertcast_core::id::AlertId;
use alertcast_core::store::Collection;
use rusqlite::Connection;

use crate::engine::raw::{self, RawValue};
use crate::engine::rows::{IdBlob, RowAccess, blob};
use crate::error::SqliteResult;

/// The table of the keys. The digest of a key is enough of it: nobody asks for its text.
pub(crate) const CLAIMS_TABLE: &str = "CREATE TABLE IF NOT EXISTS intake_claims (
    until INTEGER NOT NULL, key BLOB NOT NULL, alert BLOB NOT NULL, PRIMARY KEY (until, key)
) WITHOUT ROWID";

/// Stands for a key's text: 128 bits of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct KeyDigest(pub(crate) [u8; 16]);

impl KeyDigest {
    /// FNV-1a. Keys are digests already: what is to be kept apart is apart in them.
    pub(crate) fn of(key: &str) -> Self {
        const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
        const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
        let step = |hash: u128, byte: u8| (hash ^ u128::from(byte)).wrapping_mul(PRIME);
        Self(key.bytes().fold(BASIS, step).to_le_bytes())
    }
}

/// A key that an alert takes until a moment, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyClaim {
    pub(crate) digest: KeyDigest,
    pub(crate) until: i64,
}

/// The keys, and the alerts that hold them.
#[derive(Debug, Default)]
pub(super) struct HeldKeys {
    held: HashMap<KeyDigest, (i64, AlertId)>,
}

impl HeldKeys {
    /// The alert that holds a key at `now`.
    pub(super) fn holder(&self, digest: KeyDigest, now: i64) -> Option<AlertId> {
        self.held.get(&digest).filter(|(until, _)| *until > now).map(|(_, alert)| *alert)
    }

    pub(super) fn claim(&mut self, claim: KeyClaim, alert: AlertId) {
        self.held.insert(claim.digest, (claim.until, alert));
    }

    /// Forgets a key that has been removed from the table, unless it was taken anew.
    pub(super) fn forget(&mut self, claim: KeyClaim) {
        if self.held.get(&claim.digest).is_some_and(|(until, _)| *until <= claim.until) {
            self.held.remove(&claim.digest);
        }
    }

    pub(super) fn count(&self) -> usize {
        self.held.len()
    }

    /// Reads the table.
    pub(super) fn load(rows: RowAccess<'_>) -> SqliteResult<Self> {
        let mut keys = Self::default();
        let sql = "SELECT key, until, alert FROM intake_claims ORDER BY until";
        rows.all(sql, [], |row| {
            let claim = KeyClaim { digest: KeyDigest(row.get(0)?), until: row.get(1)? };
            keys.claim(claim, AlertId(row.get::<_, IdBlob>(2)?.id()));
            Ok(())
        })?;
        Ok(keys)
    }
}

/// Writes the keys of an alert into the table.
pub(crate) fn insert_claims(rows: RowAccess<'_>, claims: &[KeyClaim], alert: AlertId) -> SqliteResult<()> {
    for claim in claims {
        let sql = "INSERT OR REPLACE INTO intake_claims (until, key, alert) VALUES (?1, ?2, ?3)";
        rows.run(sql, (claim.until, claim.digest.0, IdBlob::from(alert)))?;
    }
    Ok(())
}

pub(crate) const OVER: &str = "SELECT until, key FROM intake_claims WHERE until <= ?1 ORDER BY until LIMIT ?2";

/// Removes keys whose time is over; answers which.
pub(crate) fn purge_claims(rows: RowAccess<'_>, now: i64, limit: i64) -> SqliteResult<Vec<KeyClaim>> {
    let over =
        rows.all(OVER, (now, limit), |row| Ok(KeyClaim { until: row.get(0)?, digest: KeyDigest(row.get(1)?) }))?;
    for claim in &over {
        rows.run("DELETE FROM intake_claims WHERE until = ?1 AND key = ?2", (claim.until, claim.digest.0))?;
    }
    Ok(over)
}

/// Brings the keys along that an earlier version kept as documents. One that names no alert held nobody up.
pub(crate) fn take_over_documents(conn: &Connection) -> SqliteResult<()> {
    let rows = RowAccess::new(conn);
    conn.execute_batch(CLAIMS_TABLE)?;
    let name = Collection::IntakeKeys.name();
    if !rows.any("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1", [name])? {
        return Ok(());
    }
    let mut all = conn.prepare("SELECT doc FROM intake_keys ORDER BY until")?;
    let mut found = all.query([])?;
    while let Some(row) = found.next()? {
        let document = blob(row, 0)?;
        let key = raw::lookup(document, "_id")?.and_then(RawValue::as_str);
        let until = raw::lookup(document, "until")?.and_then(RawValue::as_time);
        let alert = raw::lookup(document, "alertId")?.and_then(RawValue::as_id);
        if let (Some(key), Some(until), Some(alert)) = (key, until, alert) {
            let claim = KeyClaim { digest: KeyDigest::of(key), until: until.millis() };
            insert_claims(rows, &[claim], AlertId(alert))?;
        }
    }
    rows.run("DELETE FROM intake_keys", []).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_taken_anew_is_not_forgotten_with_its_first_end() {
        let mut keys = HeldKeys::default();
        let claim = |until| KeyClaim { digest: KeyDigest::of("a"), until };
        let [first, second] = [[1; 12], [2; 12]].map(|id| AlertId(bson::oid::ObjectId::from_bytes(id)));
        keys.claim(claim(10), first);
        assert_eq!((keys.holder(claim(0).digest, 9), keys.holder(claim(0).digest, 10)), (Some(first), None));
        keys.claim(claim(20), second);
        keys.forget(claim(10));
        assert_eq!(keys.holder(claim(0).digest, 19), Some(second));
        keys.forget(claim(20));
        assert_eq!(keys.count(), 0);
    }

    #[test]
    fn texts_that_differ_have_digests_that_differ() {
        let all: std::collections::HashSet<_> = (0..20_000).map(|n| KeyDigest::of(&format!("{n:064x}"))).collect();
        assert_eq!(all.len(), 20_000);
    }
}
