//! What is done once a chunk is committed.

use alertcast_core::alert::document::Alert;
use alertcast_core::delivery::Delivery;
use alertcast_core::id::{AlertId, ConfigId};
use alertcast_core::money::Price;
use alertcast_core::store::{ChunkCommit, ProcessingEnd};
use alertcast_core::time::Time;
use alertcast_core::trade::document::TradeStatus;
use tracing::{debug, warn};

use crate::app::App;
use crate::handover::CommittedDelivery;

/// What a chunk will have changed, for those who are to hear of it.
pub(super) struct CommitEffects {
    opened: usize,
    ended: Vec<TradeStatus>,
    /// What is to be sent.
    messages: Vec<CommittedDelivery>,
    /// Whether the operators are told something too.
    has_notices: bool,
    /// Where it is the alert's last.
    end: Option<AlertEnd>,
}

/// An alert that is processed with the commit.
struct AlertEnd {
    alert: AlertId,
    config: ConfigId,
    price: Price,
    received_at: Time,
    processed_at: Time,
    settling: SettlingNeed,
}

/// How an alert that is processed comes to be settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SettlingNeed {
    /// It is, with its last chunk.
    Done,
    /// By the courier, when what its last chunk has to tell has ended.
    ByCourier,
    /// Nothing of it may be open any more: it is to be looked at.
    Due,
}

impl CommitEffects {
    pub(super) fn of(commit: &ChunkCommit, alert: &Alert) -> Self {
        let plan = &commit.plan;
        let end = |finish: &ProcessingEnd| AlertEnd {
            alert: alert.id,
            config: commit.config,
            price: alert.alert_data.price,
            received_at: alert.webhook.received_at,
            processed_at: finish.processed_at,
            settling: settling_need(finish, &plan.deliveries, alert.id),
        };
        Self {
            opened: plan.opened.len(),
            ended: plan.ended.iter().map(|end| end.status).collect(),
            messages: plan.deliveries.iter().map(CommittedDelivery::from).collect(),
            has_notices: !commit.notices.is_empty(),
            end: commit.finish.as_ref().map(end),
        }
    }

    /// Does it.
    pub(super) async fn follow_up(self, app: &App) {
        app.metrics.count_committed(self.opened, self.ended);
        app.wake.handover.hand_over(self.messages);
        if self.has_notices {
            app.wake.deliveries_came();
        }
        fail::fail_point!("processor::after_commit");
        if let Some(end) = self.end {
            end.follow_up(app).await;
        }
    }
}

fn settling_need(finish: &ProcessingEnd, deliveries: &[Delivery], alert: AlertId) -> SettlingNeed {
    match finish.settles {
        true => SettlingNeed::Done,
        false if deliveries.iter().any(|delivery| delivery.alert_id == Some(alert)) => SettlingNeed::ByCourier,
        false => SettlingNeed::Due,
    }
}

impl AlertEnd {
    async fn follow_up(self, app: &App) {
        let alert = self.alert;
        app.metrics.count_processed(self.processed_at.since(self.received_at));
        debug!(%alert, "an alert was processed");
        app.prices.note(self.config, self.price);
        if self.settling == SettlingNeed::Done {
            return;
        }
        fail::fail_point!("processor::before_settle");
        if self.settling == SettlingNeed::Due
            && let Err(error) = app.store.settle(alert, app.clock.now()).await
        {
            warn!(%alert, %error, "an alert is not settled now; it is looked for again");
        }
    }
}
