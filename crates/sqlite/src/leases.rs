//! Leases: who does which share of the work. With one process they matter only across its restarts; they are kept all
//! the same, so that both engines run the same code above them.

use alertcast_core::reading::{Found, read_bytes};
use alertcast_core::store::{
    Aside, BrokenLease, Collection, Fence, Lease, Leases, Result as StoreResult, Stirrings, StoreError, Watch,
};
use async_trait::async_trait;

use crate::failpoints::Op;
use crate::fault::{Fault, Result};
use crate::queue::Lane;
use crate::raw::{self, Edit, Value};
use crate::rows::{Bytes, Id, Rows, blob, decode, encode, read_row};
use crate::store::SqliteStore;
use crate::writer::Tx;

#[async_trait]
impl Leases for SqliteStore {
    async fn leases(&self, prefix: &str) -> StoreResult<Vec<Lease>> {
        let prefix = prefix.to_owned();
        let found = self.read(move |rows| {
            let mut all = Found::default();
            rows.all(r#"SELECT doc FROM leases WHERE "_id" >= ?1 ORDER BY "_id""#, [&prefix], |row| {
                all.add(read_row::<Lease>(Collection::Leases, None, blob(row, 0)?));
                Ok(())
            })?;
            all.readable.retain(|lease| lease.name.starts_with(&prefix));
            Ok(all)
        });
        Ok(self.unreadables().sift(found.await?))
    }

    async fn broken_leases(&self) -> StoreResult<Vec<BrokenLease>> {
        self.read(|rows| {
            let broken = rows.all(r#"SELECT "_id", doc FROM leases ORDER BY "_id""#, [], |row| {
                let bytes = blob(row, 1)?;
                let is_broken = read_bytes::<Lease>(Collection::Leases, bytes).is_err();
                let name = row.get::<_, String>(0).ok().filter(|_| is_broken);
                Ok(name.map(|name| BrokenLease { name, bytes: bytes.to_vec() }))
            })?;
            Ok(broken.into_iter().flatten().collect())
        })
        .await
    }

    async fn free_lease(&self, seen: &BrokenLease, epoch_min: i64) -> StoreResult<bool> {
        let (seen, successor) = (seen.clone(), seen.successor(epoch_min));
        self.write(Lane::Short, Op::Lease, move |tx| {
            let stands = remove_as_seen(tx, &seen)?;
            if stands {
                tx.rows.insert(Collection::Leases, &encode(&successor)?)?;
            }
            Ok(stands)
        })
        .await
    }

    async fn remove_broken_lease(&self, seen: &BrokenLease) -> StoreResult<()> {
        let seen = seen.clone();
        self.write(Lane::Short, Op::Lease, move |tx| remove_as_seen(tx, &seen).map(drop)).await
    }

    async fn take_lease(&self, name: &str, owner: &str, seen: Option<&Lease>) -> StoreResult<Option<Lease>> {
        let (name, owner, seen) = (name.to_owned(), owner.to_owned(), seen.cloned());
        self.write(Lane::Short, Op::Lease, move |tx| take(tx, name, owner, seen.as_ref())).await
    }

    async fn renew_lease(&self, lease: &Lease) -> StoreResult<bool> {
        let lease = lease.clone();
        self.write(Lane::Short, Op::Lease, move |tx| change_own(tx, &lease, None)).await
    }

    async fn release_lease(&self, lease: &Lease) -> StoreResult<()> {
        let lease = lease.clone();
        self.write(Lane::Short, Op::Lease, move |tx| change_own(tx, &lease, Some("")).map(|_| ())).await
    }

    async fn forget_lease(&self, seen: &Lease) -> StoreResult<()> {
        let seen = seen.clone();
        self.write(Lane::Short, Op::Lease, move |tx| forget(tx, &seen)).await
    }

    fn is_exclusive(&self) -> bool {
        true
    }
}

impl Watch for SqliteStore {
    fn watch(&self) -> Option<Box<dyn Stirrings>> {
        // Whoever has the folder open is this process.
        None
    }
}

fn kept(rows: Rows<'_>, name: &str) -> Result<Option<(Bytes, Lease)>> {
    let document = rows.find(Collection::Leases, Id::Text(name))?;
    document
        .map(|document| {
            let lease = decode(Collection::Leases, &document)?;
            Ok((document, lease))
        })
        .transpose()
}

fn take(tx: &Tx<'_>, name: String, owner: String, seen: Option<&Lease>) -> Result<Option<Lease>> {
    // One that cannot be read is freed before it is taken.
    let Ok(kept) = kept(tx.rows, &name) else { return Ok(None) };
    if kept.as_ref().map(|(_, lease)| lease) != seen {
        return Ok(None);
    }
    let taken = Lease {
        name,
        owner,
        epoch: seen.map_or(0, |lease| lease.epoch).saturating_add(1),
        renewal: seen.map_or(0, |lease| lease.renewal).saturating_add(1),
    };
    match kept {
        None => tx.rows.insert(Collection::Leases, &encode(&taken)?)?,
        Some((document, _)) => {
            let mut edit = Edit::new();
            edit.set("owner", taken.owner.as_str());
            edit.set("epoch", taken.epoch);
            edit.set("renewal", taken.renewal);
            tx.rows.edit(Collection::Leases, &document, &edit)?;
        }
    }
    Ok(Some(taken))
}

/// Renews a lease that is still the caller's, and gives it to `owner` where one is named.
fn change_own(tx: &Tx<'_>, lease: &Lease, owner: Option<&str>) -> Result<bool> {
    let Some((document, kept)) = kept(tx.rows, &lease.name)? else {
        return Ok(false);
    };
    if kept.owner != lease.owner || kept.epoch != lease.epoch {
        return Ok(false);
    }
    let mut edit = Edit::new();
    edit.set("renewal", kept.renewal.saturating_add(1));
    edit.set_some("owner", owner);
    tx.rows.edit(Collection::Leases, &document, &edit)?;
    Ok(true)
}

/// Whether it stood as seen; then it is gone.
fn remove_as_seen(tx: &Tx<'_>, seen: &BrokenLease) -> Result<bool> {
    let stands = tx.rows.find(Collection::Leases, Id::Text(&seen.name))?.is_some_and(|kept| kept == seen.bytes);
    if stands {
        tx.rows.delete(Collection::Leases, Id::Text(&seen.name))?;
    }
    Ok(stands)
}

fn forget(tx: &Tx<'_>, seen: &Lease) -> Result<()> {
    if kept(tx.rows, &seen.name)?.is_some_and(|(_, lease)| lease == *seen) {
        tx.rows.delete(Collection::Leases, Id::Text(&seen.name))?;
    }
    Ok(())
}

/// Whether work may go on under this fence.
pub(crate) fn check(rows: Rows<'_>, fence: &Fence) -> Result<()> {
    let lease = rows.find(Collection::Leases, Id::Text(&fence.lease))?;
    let epoch = match &lease {
        Some(lease) => raw::lookup(lease, "epoch")?.and_then(Value::as_i64),
        None => None,
    };
    if epoch == Some(fence.epoch) { Ok(()) } else { Err(Fault(StoreError::Fenced { lease: fence.lease.clone() })) }
}
