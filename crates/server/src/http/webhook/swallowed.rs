//! An `alert_id` that is the same in every alert: all but the first of a day are taken for resends of it, whether they
//! keep the rules or not. The operators hear of it once, with what to change.

use alertcast_core::alert::document::Alert;
use alertcast_core::alert::duplicate::DATED_WINDOW;
use alertcast_core::alert::payload::Payload;
use alertcast_core::alert::rule_violation::show_value;
use alertcast_core::id::{AlertId, ConfigId};
use alertcast_core::store::{Collection, DocumentWrite, StoreError, StoreResult, document, read};
use alertcast_core::time::Time;
use tracing::warn;

use crate::app::App;
use crate::base::Base;
use crate::notices::{NoticeTrouble, once};

/// Tells the operators if the alert is no resend of the one whose `alert_id` it has. The sender's answer does not wait for
/// it.
pub(super) fn tell(app: &App, payload: &Payload, config: ConfigId, of: AlertId, now: Time) {
    let Some(alert_id) = payload.alert_id.clone() else { return };
    let (app, price, timestamp) = (app.clone(), payload.price, payload.timestamp);
    tokio::spawn(async move {
        let differs = |first: &Alert| {
            let data = &first.alert_data;
            let moment = timestamp.map_or_else(
                // No sender tries for so long to bring an alert here.
                || now.since(first.webhook.received_at) > DATED_WINDOW,
                |at| at != data.timestamp,
            );
            moment || price.is_some_and(|price| price != data.price)
        };
        let told = async {
            let first = app.store.get(Collection::Alerts, &[of.0]).await?.into_iter().next();
            let Some(first) = first.map(|first| read::<Alert>(Collection::Alerts, first)).transpose()? else {
                return Ok(());
            };
            if differs(&first) { give(&app, &alert_id, config, &first, now).await } else { Ok(()) }
        };
        if let Err(error) = told.await {
            warn!(%error, "whether an alert_id is the same in every alert cannot be told");
        }
    });
}

async fn give(base: &Base, alert_id: &str, config: ConfigId, first: &Alert, now: Time) -> StoreResult<()> {
    let data = &first.alert_data;
    let trouble = NoticeTrouble {
        group: format!("alert_id:{config}:{alert_id}"),
        title: format!("Alerts taken for resends: {} {} {}", data.symbol, data.timeframe, data.strategy),
        lines: vec![
            format!(
                "Another alert came with the alert_id {} and the same signal, at another time or price. It was not \
                 processed, and neither are those that follow: for 24 hours an alert_id stands for one alert.",
                show_value(alert_id)
            ),
            "Make it different in each alert, as \"alert_id\": \"{{ticker}}-{{timenow}}\", or leave it out: resends are \
             known without it."
                .to_owned(),
        ],
        alert: Some(first.id),
    };
    for notice in once(base, &trouble, now) {
        match base
            .store
            .write(vec![DocumentWrite::Insert { collection: Collection::Deliveries, document: document(&notice)? }])
            .await
        {
            // It was told before.
            Ok(()) | Err(StoreError::AlreadyExists { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    base.wake.deliveries_came();
    Ok(())
}
