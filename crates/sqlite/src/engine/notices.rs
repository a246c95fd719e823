//! Messages to the operators that are sent once and then counted.

use alertcast_core::delivery::DeliveryState;
use alertcast_core::store::{Collection, OperatorNotice};

use crate::engine::raw::{self, RawEdit};
use crate::engine::rows::{DocumentBytes, RowAccess, encode};
use crate::error::SqliteResult;

/// A notice, made ready for the writer.
#[derive(Debug)]
pub(crate) struct ReadyNotice {
    first: DocumentBytes,
    more: DocumentBytes,
    notice: OperatorNotice,
}

pub(crate) fn ready(notices: Vec<OperatorNotice>) -> SqliteResult<Vec<ReadyNotice>> {
    notices
        .into_iter()
        .map(|notice| Ok(ReadyNotice { first: encode(&notice.first)?, more: encode(&notice.more)?, notice }))
        .collect()
}

pub(crate) fn give(rows: RowAccess<'_>, notices: &[ReadyNotice]) -> SqliteResult<()> {
    for notice in notices {
        if !rows.insert_missing(Collection::Deliveries, &notice.first)? {
            rows.insert_missing(Collection::Deliveries, &notice.more)?;
            count_up(rows, &notice.notice)?;
        }
    }
    Ok(())
}

/// One more of the same, where the message that tells the count has not left yet.
fn count_up(rows: RowAccess<'_>, notice: &OperatorNotice) -> SqliteResult<()> {
    let more = &notice.more;
    let Some(kept) = by_key(rows, &more.key.bytes)? else {
        return Ok(());
    };
    let state = raw::lookup(&kept, "state")?.and_then(raw::RawValue::as_str);
    if state != Some(DeliveryState::Pending.as_str()) {
        return Ok(());
    }
    let mut edit = RawEdit::new();
    edit.set("facts.count", alertcast_core::money::Count(raw::counter(&kept, "facts.count")?.saturating_add(1)));
    edit.set("updatedAt", more.updated_at);
    rows.edit(Collection::Deliveries, &kept, &edit)?;
    Ok(())
}

pub(crate) const BY_KEY: &str = "SELECT doc FROM deliveries WHERE key = ?1";

fn by_key(rows: RowAccess<'_>, key: &[u8]) -> SqliteResult<Option<DocumentBytes>> {
    Ok(rows.documents(Collection::Deliveries, BY_KEY, [key], |_, document| Ok(document.to_vec()))?.pop())
}
