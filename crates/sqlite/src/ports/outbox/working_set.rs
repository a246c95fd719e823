//! What an operation on deliveries works on: loaded as core asks for it, and written as core says. What follows from an
//! event is decided in [`alertcast_core::delivery::consequences`] alone.

use std::collections::HashMap;
use std::sync::Arc;

use alertcast_core::alert::settling::OutcomeCounts;
use alertcast_core::delivery::consequences::{CauseRecipient, ConsequenceEdits, WorkingSet};
use alertcast_core::delivery::{Delivery, NeededNeighbours};
use alertcast_core::id::{AlertId, DeliveryId, TradeId};
use alertcast_core::money::Count;
use alertcast_core::store::{Collection, FieldEdits};
use alertcast_core::time::Time;
use alertcast_core::trade::document::Trade;

use crate::engine::alert_rows;
use crate::engine::counters;
use crate::engine::decoded::DecodedDeliveries;
use crate::engine::raw::{self, RawEdit};
use crate::engine::rows::{DocumentBytes, IdBlob, RowAccess, decode};
use crate::engine::sending::SendingBatches;
use crate::engine::writer::WriterTransaction;
use crate::error::SqliteResult;
use crate::ports::outbox::settle::RESENDS;

/// What an operation does with what is known of deliveries' documents.
#[derive(Debug, Clone, Copy)]
pub(crate) enum DecodedUse<'c> {
    Nothing,
    /// Another operation on the same ones is to follow.
    Note(&'c DecodedDeliveries),
    /// It is the last one.
    TakeOut(&'c DecodedDeliveries),
}

/// The working set of one operation, with the rows that it came from.
#[derive(Debug)]
pub(crate) struct LoadedRows<'c> {
    tx: &'c WriterTransaction<'c>,
    rows: RowAccess<'c>,
    now: Time,
    /// As it was when the operation began.
    sending: SendingBatches,
    decoded: DecodedUse<'c>,
    pub(crate) set: WorkingSet,
    deliveries: HashMap<DeliveryId, DocumentBytes>,
    trades: HashMap<TradeId, DocumentBytes>,
}

impl<'c> LoadedRows<'c> {
    pub(crate) fn new(tx: &'c WriterTransaction<'c>, now: Time) -> SqliteResult<Self> {
        let rows = tx.rows;
        Ok(Self {
            tx,
            rows,
            now,
            sending: SendingBatches::load(rows)?,
            decoded: DecodedUse::Nothing,
            set: WorkingSet::new(now).with_batches().telling_open_trades(),
            deliveries: HashMap::new(),
            trades: HashMap::new(),
        })
    }

    pub(crate) fn with_decoded(self, decoded: DecodedUse<'c>) -> Self {
        Self { decoded, ..self }
    }

    pub(crate) const fn sending(&self) -> &SendingBatches {
        &self.sending
    }

    /// Loads what an event needs, until it needs nothing more.
    pub(crate) fn load(&mut self, needed: impl Fn(&WorkingSet) -> NeededNeighbours) -> SqliteResult<()> {
        loop {
            let wanted = needed(&self.set);
            if wanted.is_empty() {
                return Ok(());
            }
            self.find(&wanted)?;
        }
    }

    /// What cannot be read is as if it were not there: it is in doubt, and holds nothing up.
    fn find(&mut self, wanted: &NeededNeighbours) -> SqliteResult<()> {
        for id in &wanted.deliveries {
            let kept = self.rows.find_kept(Collection::Deliveries, *id)?;
            let Some((delivery, kept)) = kept.and_then(|kept| Some((self.read(*id, &kept)?, kept))) else {
                self.set.add_delivery(*id, None);
                continue;
            };
            self.set.add_kept(delivery, self.sending.since(&kept));
            self.deliveries.entry(*id).or_insert(kept);
        }
        let mut trades: Vec<TradeId> = wanted.trades.iter().copied().collect();
        for id in &wanted.open_trades {
            if self.rows.any(IS_OPEN, [IdBlob::from(*id)])? {
                self.set.note_open_trade(*id);
            } else {
                trades.push(*id);
            }
        }
        for id in &trades {
            let found = self.rows.find(Collection::Trades, *id)?;
            let read = found.and_then(|bytes| Some((decode(Collection::Trades, &bytes).ok()?, bytes)));
            match read {
                Some((trade, bytes)) => self.add_trade(*id, trade, bytes),
                None => self.set.add_trade(*id, None),
            }
        }
        Ok(())
    }

    /// What a delivery's document says as it is kept.
    fn read(&self, id: DeliveryId, kept: &[u8]) -> Option<Arc<Delivery>> {
        let known = match self.decoded {
            DecodedUse::Nothing => None,
            DecodedUse::Note(decoded) => decoded.find(id, kept),
            DecodedUse::TakeOut(decoded) => decoded.take_out(id, kept),
        };
        if known.is_some() {
            return known;
        }
        let delivery = Arc::new(decode(Collection::Deliveries, kept).ok()?);
        if let DecodedUse::Note(decoded) = self.decoded {
            decoded.note(kept, &delivery);
        }
        Some(delivery)
    }

    pub(crate) fn add_delivery(&mut self, id: DeliveryId, delivery: Delivery, bytes: DocumentBytes) {
        self.set.add_delivery(id, Some(delivery));
        self.deliveries.entry(id).or_insert(bytes);
    }

    pub(crate) fn add_trade(&mut self, id: TradeId, trade: Trade, bytes: DocumentBytes) {
        self.set.add_trade(id, Some(trade));
        self.trades.entry(id).or_insert(bytes);
    }

    /// Writes what the events came to; answers what is left to be done, in which is what is to be recorded as being sent.
    pub(crate) fn write(mut self) -> SqliteResult<ConsequenceEdits> {
        let (wanted, causes) = self.set.ask_for_untold();
        self.find(&wanted)?;
        for cause in causes {
            self.set.add_siblings(find_siblings(self.rows, &cause)?);
        }
        let mut edits = self.set.finish()?;
        for (id, fields) in std::mem::take(&mut edits.deliveries) {
            if let Some(bytes) = self.deliveries.get(&id) {
                self.rows.edit(Collection::Deliveries, bytes, &edit_of(fields))?;
            }
        }
        for (id, fields) in std::mem::take(&mut edits.trades) {
            if let Some(bytes) = self.trades.get(&id) {
                self.rows.edit(Collection::Trades, bytes, &edit_of(fields))?;
            }
        }
        counters::correct(self.rows, &edits.usage, self.now)?;
        for (alert, outcomes) in &edits.alerts {
            count_outcomes(self.tx, *alert, *outcomes, self.now)?;
        }
        for (alert, not_failed) in &edits.reopened {
            reopen(self.rows, *alert, *not_failed, self.now)?;
        }
        Ok(edits)
    }
}

pub(crate) fn edit_of(fields: FieldEdits) -> RawEdit {
    let mut edit = RawEdit::new();
    for (path, value) in fields.set {
        edit.set(path, value);
    }
    for path in fields.unset {
        edit.unset(path);
    }
    edit
}

/// Of one that does not say, its document tells.
pub(crate) const IS_OPEN: &str = r#"SELECT 1 FROM trades WHERE "_id" = ?1 AND "status" = 'open'"#;

pub(crate) const SAME_CAUSE: &str = "SELECT doc FROM deliveries WHERE key > ?1 AND key <= ?2 ORDER BY key";

/// The keys of what one cause sends to one user begin alike.
fn find_siblings(rows: RowAccess<'_>, of: &CauseRecipient) -> SqliteResult<Vec<Delivery>> {
    let mut first = vec![of.cause_kind as u8];
    first.extend_from_slice(&of.cause.bytes());
    first.extend_from_slice(&of.user.bytes());
    let mut end = first.clone();
    end.extend_from_slice(&[0xff; 40]);
    let bounds = (first.as_slice(), end.as_slice());
    let found = rows.documents(Collection::Deliveries, SAME_CAUSE, bounds, |_, document| {
        Ok(decode::<Delivery>(Collection::Deliveries, document).ok())
    })?;
    Ok(found.into_iter().flatten().collect())
}

fn count_outcomes(tx: &WriterTransaction<'_>, alert: AlertId, outcomes: OutcomeCounts, now: Time) -> SqliteResult<()> {
    let Some(row) = alert_rows::find(tx, alert)? else {
        return Ok(());
    };
    let grown = [("statistics.deliveryCount", outcomes.sent), ("statistics.failureCount", outcomes.failed)];
    let mut edit = RawEdit::new();
    for (path, by) in grown {
        edit.set(path, Count(raw::counter(&row.document, path)? + by.0));
    }
    edit.set("updatedAt", now);
    row.edit(tx, &edit)
}

/// The alert is settled anew; so many of its deliveries have not failed after all.
fn reopen(rows: RowAccess<'_>, alert: AlertId, not_failed: i64, now: Time) -> SqliteResult<()> {
    let Some(document) = rows.find(Collection::Alerts, alert)? else {
        return Ok(());
    };
    let mut edit = RawEdit::new();
    let failed = raw::counter(&document, "statistics.failureCount")? - not_failed;
    edit.set("statistics.failureCount", Count(failed));
    edit.set(RESENDS, Count(raw::counter(&document, RESENDS)?.saturating_add(1)));
    edit.unset("alertcast.settledAt");
    edit.set("updatedAt", now);
    rows.edit(Collection::Alerts, &document, &edit).map(drop)
}
