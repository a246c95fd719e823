//! Leases: who does what.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Fence, Result};

/// A lease as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    #[serde(rename = "_id")]
    pub name: String,
    /// Who holds it; empty where it was given back.
    pub owner: String,
    /// Raised by each take-over, never lowered.
    pub epoch: i64,
    /// Raised by each renewal. Observers compare it over time by their own clock; it is no point in time.
    pub renewal: i64,
}

impl Lease {
    /// The right to work that it gives.
    pub fn fence(&self) -> Fence {
        Fence { lease: self.name.clone(), epoch: self.epoch }
    }
}

/// Who does which share of the work.
#[async_trait]
pub trait Leases: Send + Sync + fmt::Debug {
    /// All leases whose names begin so.
    async fn leases(&self, prefix: &str) -> Result<Vec<Lease>>;

    /// Takes a lease, raising its epoch, if it still stands as `seen` (none: it does not exist). None where it does
    /// not. Whether it may be taken is the caller's judgement: its own, given back, or not renewed for one TTL on the
    /// caller's monotonic clock.
    async fn take_lease(&self, name: &str, owner: &str, seen: Option<&Lease>) -> Result<Option<Lease>>;

    /// Renews; false where the lease is in other hands.
    async fn renew_lease(&self, lease: &Lease) -> Result<bool>;

    /// Gives back; nothing happens where the lease is in other hands.
    async fn release_lease(&self, lease: &Lease) -> Result<()>;

    /// Removes a lease that still stands as `seen`; nothing happens where it does not. Only for leases by which nothing is
    /// fenced: taken again, it begins with the first epoch.
    async fn forget_lease(&self, seen: &Lease) -> Result<()>;

    /// Whether this process alone can reach the store (the embedded one locks its folder): then no lease of another
    /// owner can be alive.
    fn is_exclusive(&self) -> bool;
}
