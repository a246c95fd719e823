//! Leases: who does which share of the work. With one process they matter only across its restarts; they are kept all
//! the same, so that both engines run the same code above them.

use alertcast_core::reading::{ReadableDocuments, read_bytes};
use alertcast_core::store::{
    BrokenLease, Collection, Lease, LeaseFence, LeaseStore, SetAsideDocuments, StoreError, StoreResult,
};
use async_trait::async_trait;

use crate::engine::failpoints::WriteOperation;
use crate::engine::queue::JobPriority;
use crate::engine::raw::{self, RawEdit, RawValue};
use crate::engine::rows::{DocumentBytes, RowAccess, RowId, blob, decode, encode, read_row};
use crate::engine::writer::WriterTransaction;
use crate::error::{SqliteError, SqliteResult};
use crate::store::SqliteStore;

#[async_trait]
impl LeaseStore for SqliteStore {
    async fn leases(&self, prefix: &str) -> StoreResult<Vec<Lease>> {
        let prefix = prefix.to_owned();
        let found = self.read(move |rows| {
            let mut all = ReadableDocuments::default();
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
        self.write(JobPriority::Short, WriteOperation::Lease, move |tx| {
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
        self.write(JobPriority::Short, WriteOperation::Lease, move |tx| remove_as_seen(tx, &seen).map(drop)).await
    }

    async fn take_lease(&self, name: &str, owner: &str, seen: Option<&Lease>) -> StoreResult<Option<Lease>> {
        let (name, owner, seen) = (name.to_owned(), owner.to_owned(), seen.cloned());
        self.write(JobPriority::Short, WriteOperation::Lease, move |tx| take(tx, name, owner, seen.as_ref())).await
    }

    async fn renew_lease(&self, lease: &Lease) -> StoreResult<bool> {
        let lease = lease.clone();
        self.write(JobPriority::Short, WriteOperation::Lease, move |tx| change_own(tx, &lease, None)).await
    }

    async fn release_lease(&self, lease: &Lease) -> StoreResult<()> {
        let lease = lease.clone();
        self.write(JobPriority::Short, WriteOperation::Lease, move |tx| change_own(tx, &lease, Some("")).map(|_| ()))
            .await
    }

    async fn forget_lease(&self, seen: &Lease) -> StoreResult<()> {
        let seen = seen.clone();
        self.write(JobPriority::Short, WriteOperation::Lease, move |tx| forget(tx, &seen)).await
    }

    fn is_exclusive(&self) -> bool {
        true
    }
}

fn load_kept(rows: RowAccess<'_>, name: &str) -> SqliteResult<Option<(DocumentBytes, Lease)>> {
    let document = rows.find(Collection::Leases, RowId::Text(name))?;
    document
        .map(|document| {
            let lease = decode(Collection::Leases, &document)?;
            Ok((document, lease))
        })
        .transpose()
}

fn take(tx: &WriterTransaction<'_>, name: String, owner: String, seen: Option<&Lease>) -> SqliteResult<Option<Lease>> {
    // One that cannot be read is freed before it is taken.
    let Ok(kept) = load_kept(tx.rows, &name) else { return Ok(None) };
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
            let mut edit = RawEdit::new();
            edit.set("owner", taken.owner.as_str());
            edit.set("epoch", taken.epoch);
            edit.set("renewal", taken.renewal);
            tx.rows.edit(Collection::Leases, &document, &edit)?;
        }
    }
    Ok(Some(taken))
}

/// Renews a lease that is still the caller's, and gives it to `owner` where one is named.
fn change_own(tx: &WriterTransaction<'_>, lease: &Lease, owner: Option<&str>) -> SqliteResult<bool> {
    let Some((document, kept)) = load_kept(tx.rows, &lease.name)? else {
        return Ok(false);
    };
    if kept.owner != lease.owner || kept.epoch != lease.epoch {
        return Ok(false);
    }
    let mut edit = RawEdit::new();
    edit.set("renewal", kept.renewal.saturating_add(1));
    edit.set_some("owner", owner);
    tx.rows.edit(Collection::Leases, &document, &edit)?;
    Ok(true)
}

/// Whether it stood as seen; then it is gone.
fn remove_as_seen(tx: &WriterTransaction<'_>, seen: &BrokenLease) -> SqliteResult<bool> {
    let stands = tx.rows.find(Collection::Leases, RowId::Text(&seen.name))?.is_some_and(|kept| kept == seen.bytes);
    if stands {
        tx.rows.delete(Collection::Leases, RowId::Text(&seen.name))?;
    }
    Ok(stands)
}

fn forget(tx: &WriterTransaction<'_>, seen: &Lease) -> SqliteResult<()> {
    if load_kept(tx.rows, &seen.name)?.is_some_and(|(_, lease)| lease == *seen) {
        tx.rows.delete(Collection::Leases, RowId::Text(&seen.name))?;
    }
    Ok(())
}

/// Whether work may go on under this fence.
pub(crate) fn check(rows: RowAccess<'_>, fence: &LeaseFence) -> SqliteResult<()> {
    let lease = rows.find(Collection::Leases, RowId::Text(&fence.lease))?;
    let epoch = match &lease {
        Some(lease) => raw::lookup(lease, "epoch")?.and_then(RawValue::as_i64),
        None => None,
    };
    if epoch == Some(fence.epoch) {
        Ok(())
    } else {
        Err(SqliteError(StoreError::Fenced { lease: fence.lease.clone() }))
    }
}
