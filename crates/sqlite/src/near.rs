//! What taking a delivery rests on, read as core asks for it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use alertcast_core::delivery::{Around, Delivery, Overtaken, wanted};
use alertcast_core::id::{DeliveryId, TradeId};
use alertcast_core::store::{Collection, StoreError};
use alertcast_core::trade::document::Trade;

use crate::ended::{Endings, Kept};
use crate::fault::{Fault, Result};
use crate::raw::Edit;
use crate::rows::{Rows, decode};

/// The deliveries and trades around one delivery. What is not there is remembered too.
#[derive(Debug, Default)]
pub(crate) struct Nearby {
    deliveries: HashMap<DeliveryId, Option<Kept>>,
    trades: HashMap<TradeId, Option<Trade>>,
}

impl Nearby {
    pub(crate) fn of(rows: Rows<'_>, centre: &Delivery) -> Result<Self> {
        let mut near = Self::default();
        loop {
            let asked = wanted(centre, &near);
            let known = near.deliveries.len() + near.trades.len();
            for id in asked.deliveries {
                if let Entry::Vacant(unread) = near.deliveries.entry(id) {
                    unread.insert(readable(Kept::load(rows, id))?);
                }
            }
            for id in asked.trades {
                if let Entry::Vacant(unread) = near.trades.entry(id) {
                    let bytes = rows.find(Collection::Trades, id)?;
                    let trade = bytes.map(|bytes| decode(Collection::Trades, &bytes)).transpose();
                    unread.insert(readable(trade)?);
                }
            }
            if near.deliveries.len() + near.trades.len() == known {
                return Ok(near);
            }
        }
    }

    /// Ends some of the deliveries.
    pub(crate) fn end(&self, overtaken: &[Overtaken], endings: &mut Endings<'_>) -> Result<()> {
        for one in overtaken {
            let Some(kept) = self.deliveries.get(&one.id).and_then(Option::as_ref) else { continue };
            let mut edit = Edit::new();
            edit.set_some("supersededBy", one.by);
            edit.set_some("lastError", one.reason());
            endings.end(kept, one.event, edit, false)?;
        }
        Ok(())
    }
}

/// What cannot be read around a message holds it up as little as what is not there.
fn readable<T>(found: Result<Option<T>>) -> Result<Option<T>> {
    match found {
        Err(Fault(StoreError::Corrupt(_))) => Ok(None),
        found => found,
    }
}

impl Around for Nearby {
    fn delivery(&self, id: DeliveryId) -> Option<&Delivery> {
        self.deliveries.get(&id)?.as_ref().map(|kept| &kept.delivery)
    }

    fn trade(&self, id: TradeId) -> Option<&Trade> {
        self.trades.get(&id)?.as_ref()
    }
}
