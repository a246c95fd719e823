//! Leases: who does what.

use std::fmt;

use async_trait::async_trait;
use bson::RawDocument;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::{LeaseFence, StoreResult};
use crate::money::Count;

/// A lease as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    #[serde(rename = "_id")]
    pub name: String,
    /// Who holds it; empty where it was given back.
    pub owner: String,
    /// Raised by each take-over, never lowered.
    #[serde(deserialize_with = "read_counted")]
    pub epoch: i64,
    /// Raised by each renewal. Observers compare it over time by their own clock; it is no point in time.
    #[serde(deserialize_with = "read_counted")]
    pub renewal: i64,
}

/// A number that has come by counting, and can be counted on.
fn read_counted<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<i64, D::Error> {
    let number = i64::deserialize(deserializer)?;
    if (-Count::MAX..=Count::MAX).contains(&number) { Ok(number) } else { Err(D::Error::custom("beyond all counting")) }
}

impl Lease {
    /// The right to work that it gives.
    pub fn fence(&self) -> LeaseFence {
        LeaseFence { lease: self.name.clone(), epoch: self.epoch }
    }
}

/// A lease whose document cannot be read, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenLease {
    pub name: String,
    pub bytes: Vec<u8>,
}

impl BrokenLease {
    /// What is put in its place: nobody's, with an epoch of at least `epoch_min`, and above the number that stands as its
    /// own, where that is one.
    pub fn successor(&self, epoch_min: i64) -> Lease {
        let broken = RawDocument::from_bytes(&self.bytes).ok();
        let epoch = broken.and_then(|broken| broken.get_i64("epoch").ok()).filter(|epoch| *epoch < Count::MAX);
        let epoch = epoch.map_or(epoch_min, |epoch| epoch_min.max(epoch + 1));
        Lease { name: self.name.clone(), owner: String::new(), epoch, renewal: 1 }
    }
}

/// Who does which share of the work.
#[async_trait]
pub trait LeaseStore: Send + Sync + fmt::Debug {
    /// All leases whose names begin so, but for those that cannot be read (they are noted).
    async fn leases(&self, prefix: &str) -> StoreResult<Vec<Lease>>;

    /// The leases that cannot be read.
    async fn broken_leases(&self) -> StoreResult<Vec<BrokenLease>>;

    /// Takes a lease, raising its epoch, if it still stands as `seen` (none: it does not exist). None where it does
    /// not. Whether it may be taken is the caller's judgement: its own, given back, or not renewed for one TTL on the
    /// caller's monotonic clock.
    async fn take_lease(&self, name: &str, owner: &str, seen: Option<&Lease>) -> StoreResult<Option<Lease>>;

    /// Frees a lease that cannot be read if it still stands as `seen`, byte for byte: its successor is put in its place.
    /// False where it does not. Whether it may be freed is the caller's judgement, and that no work under it can carry
    /// `epoch_min` or more.
    async fn free_lease(&self, seen: &BrokenLease, epoch_min: i64) -> StoreResult<bool>;

    /// Removes a lease that cannot be read if it still stands as `seen`; nothing happens where it does not. Only for leases
    /// by which nothing is fenced.
    async fn remove_broken_lease(&self, seen: &BrokenLease) -> StoreResult<()>;

    /// Renews; false where the lease is in other hands.
    async fn renew_lease(&self, lease: &Lease) -> StoreResult<bool>;

    /// Gives back; nothing happens where the lease is in other hands.
    async fn release_lease(&self, lease: &Lease) -> StoreResult<()>;

    /// Removes a lease that still stands as `seen`; nothing happens where it does not. Only for leases by which nothing is
    /// fenced: taken again, it begins with the first epoch.
    async fn forget_lease(&self, seen: &Lease) -> StoreResult<()>;

    /// Whether this process alone can reach the store (the embedded one locks its folder): then no lease of another
    /// owner can be alive.
    fn is_exclusive(&self) -> bool;
}
