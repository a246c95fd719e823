//! How far each process has read the change log, shown beside its heartbeat: what all are past is purged. Whoever comes back
//! and finds that it was not counted loads everything anew: nothing rests on these marks being right.

use alertcast_core::store::{Lease, StoreResult};

use super::heartbeat::find;
use super::{CHANGES, LeaseContext, PROCESS};

/// Shows that this process has read the change log up to there.
///
/// # Errors
/// Those of the store.
pub async fn show_mark(context: &LeaseContext, mark: i64) -> StoreResult<()> {
    let Some(process) = context.members.process() else { return Ok(()) };
    let name = format!("{CHANGES}{process}");
    let seen = find(context, &name).await?;
    context.base.store.take_lease(&name, &mark.to_string(), seen.as_ref()).await.map(drop)
}

/// Up to where every process has read the change log; this one up to `own`. None where one has not shown it. What processes
/// showed that are not there any more is removed.
///
/// # Errors
/// Those of the store.
pub async fn least_mark(context: &LeaseContext, own: i64) -> StoreResult<Option<i64>> {
    if context.base.store.is_exclusive() {
        return Ok(Some(own));
    }
    let processes = context.base.store.leases(PROCESS).await?;
    let (shown, left): (Vec<Lease>, Vec<Lease>) =
        context.base.store.leases(CHANGES).await?.into_iter().partition(|mark| is_of_any(mark, &processes));
    for mark in &left {
        context.base.store.forget_lease(mark).await?;
    }
    let marks: Option<Vec<i64>> = shown.iter().map(|mark| mark.owner.parse().ok()).collect();
    let all = marks.filter(|marks| marks.len() == processes.len());
    Ok(all.and_then(|marks| marks.into_iter().min()))
}

fn is_of_any(mark: &Lease, processes: &[Lease]) -> bool {
    let of = mark.name.strip_prefix(CHANGES);
    processes.iter().any(|process| process.name.strip_prefix(PROCESS) == of)
}
