//! How many decimals each configuration's prices have: kept in memory, learnt from the alerts that are processed, and read
//! from the store once, when the first entry of a configuration comes. For showing prices only: nothing is decided by it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alertcast_core::figures::{PRICES_MAX, PriceHistory};
use alertcast_core::id::ConfigId;
use alertcast_core::money::Price;
use alertcast_core::store::listing::ListQuery;
use alertcast_core::store::{Collection, LeaseFence, Store, StoreResult};
use bson::{Bson, Document};
use tracing::warn;

/// The histories. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct PriceHistories {
    known: Arc<Mutex<HashMap<ConfigId, KnownPrices>>>,
}

#[derive(Debug)]
struct KnownPrices {
    history: PriceHistory,
    /// The right to work under which it was read: under another one, others may have worked meanwhile.
    under: Option<LeaseFence>,
}

impl PriceHistories {
    /// A configuration's last prices, as whoever works under this right knows them. Where the store does not tell, they are
    /// none: a message is not held up for its decimals.
    pub(crate) async fn history(
        &self,
        store: &dyn Store,
        config: ConfigId,
        under: Option<&LeaseFence>,
    ) -> PriceHistory {
        if let Some(known) = self.lock().get(&config).filter(|known| under.is_none() || known.under.as_ref() == under) {
            return known.history.clone();
        }
        match read(store, config).await {
            Ok(history) => {
                self.lock().insert(config, KnownPrices { history: history.clone(), under: under.cloned() });
                history
            }
            Err(error) => {
                warn!(%error, "the last prices of a configuration cannot be read: its levels are shown without them");
                PriceHistory::default()
            }
        }
    }

    /// Adds the price of an alert that was processed.
    pub(crate) fn note(&self, config: ConfigId, price: Price) {
        if let Some(known) = self.lock().get_mut(&config) {
            known.history.note(price);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConfigId, KnownPrices>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The prices of the newest accepted alerts.
async fn read(store: &dyn Store, config: ConfigId) -> StoreResult<PriceHistory> {
    let query = ListQuery {
        filters: vec![("processing.alertConfigId", Bson::ObjectId(config.0))],
        sort: "webhook.receivedAt",
        descending: true,
        limit: PRICES_MAX,
        ..ListQuery::all_of(Collection::Alerts)
    };
    let mut history = PriceHistory::default();
    let newest_first = store.list(&query).await?.documents;
    newest_first.iter().rev().filter_map(price).for_each(|price| history.note(price));
    Ok(history)
}

/// Of an alert that was not refused.
fn price(alert: &Document) -> Option<Price> {
    let refused = alert.get_document("alertcast").ok().and_then(|ours| ours.get_array("refusedFor").ok());
    let number = match alert.get_document("alertData").ok()?.get("price")? {
        Bson::Double(number) => Price::from_f64(*number).ok()?,
        Bson::Int32(number) => Price::new((*number).into()).ok()?,
        Bson::Int64(number) => Price::new((*number).into()).ok()?,
        Bson::Decimal128(number) => Price::parse(&number.to_string()).ok()?,
        _ => return None,
    };
    refused.is_none_or(Vec::is_empty).then_some(number)
}
