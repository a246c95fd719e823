//! Work: from an accepted alert to trades and deliveries.

use std::collections::HashSet;
use std::fmt;

use async_trait::async_trait;
use bson::Bson;

use super::{ChunkState, FieldEdits, OperatorNotice, StoreError, StoreResult, UserSpan};
use crate::alert::document::{Alert, AlertError, AlertStatus};
use crate::decision::DecisionChunk;
use crate::delivery::Delivery;
use crate::id::{AlertId, ConfigId, PreferenceId, SubscriptionId, TradeId, UserId};
use crate::money::{Amount, Count};
use crate::quota::Quota;
use crate::time::Time;
use crate::trade::document::{Trade, TradeEnd};

/// A right to work, checked in the commit: the lease's name and the epoch under which it was taken.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LeaseFence {
    pub lease: String,
    pub epoch: i64,
}

/// A user's quota after the commit. Refused (`Conflict`) unless the kept `rev` is `rev_seen` (none: no quota is kept).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaChange {
    pub rev_seen: Option<i64>,
    /// With `rev` one above `rev_seen`, or 1.
    pub after: Quota,
}

/// What a message adds to a subscriber's counters: `user_subscriptions.usage` and
/// `user_alert_preferences.statistics`. Negative where a message turns out never to have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageIncrement {
    pub subscription: SubscriptionId,
    pub preference: Option<PreferenceId>,
    pub alerts: i64,
    pub trades: i64,
    /// For `lastActivityAt` and `lastAlertAt`, which never go back.
    pub at: Time,
}

/// What a chunk adds to `alert_configurations.statistics`; `successRate` follows from the sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConfigIncrement {
    pub alerts: i64,
    pub trades: i64,
    pub closed_by_tp: i64,
    pub closed_by_sl: i64,
    /// Never goes back.
    pub last_alert_at: Option<Time>,
}

impl UsageIncrement {
    /// Adds another one of the same subscriber.
    pub fn add(&mut self, other: &Self) {
        self.alerts += other.alerts;
        self.trades += other.trades;
        self.at = self.at.max(other.at);
    }
}

impl ConfigIncrement {
    /// Adds what another chunk of the same configuration counts.
    pub fn add(&mut self, other: &Self) {
        self.alerts += other.alerts;
        self.trades += other.trades;
        self.closed_by_tp += other.closed_by_tp;
        self.closed_by_sl += other.closed_by_sl;
        self.last_alert_at = self.last_alert_at.max(other.last_alert_at);
    }

    /// What becomes of the counts of closed trades, of which so many were kept, and of the rate that follows from them;
    /// nothing where no trade was closed.
    pub fn count_closes(&self, kept: impl FnOnce() -> ClosedTrades) -> FieldEdits {
        let mut edits = FieldEdits::default();
        if self.closed_by_tp == 0 && self.closed_by_sl == 0 {
            return edits;
        }
        let kept = kept();
        let (tp, sl) = (kept.by_tp + self.closed_by_tp, kept.by_sl + self.closed_by_sl);
        edits.set("alertcast.closedByTp", Count(tp));
        edits.set("alertcast.closedBySl", Count(sl));
        edits.set("statistics.successRate", success_rate(tp, sl));
        edits
    }
}

/// How many trades of a configuration were closed by take profit, and by stop loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClosedTrades {
    pub by_tp: i64,
    pub by_sl: i64,
}

/// Percent of the trades that were closed by take profit, of those closed by take profit or stop loss.
#[expect(clippy::cast_precision_loss, reason = "counters stay far below 2^53")]
fn success_rate(by_tp: i64, by_sl: i64) -> Amount {
    match by_tp + by_sl {
        0 => Amount::ZERO,
        closes => Amount::from_f64(by_tp as f64 * 100.0 / closes as f64).unwrap_or(Amount::ZERO),
    }
}

/// What was decided about the users of one chunk, and what follows from it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChunkPlan {
    /// The span whose open trades were read, and `(trade, rev)` of each of them in any order. `Conflict` where the open
    /// trades of the configuration in that span are not exactly these.
    pub open_seen: Option<(UserSpan, Vec<(TradeId, i64)>)>,
    pub quotas: Vec<QuotaChange>,
    pub decisions: Option<DecisionChunk>,
    pub opened: Vec<Trade>,
    /// `Conflict` where one of these trades is not open.
    pub ended: Vec<TradeEnd>,
    /// One whose key exists is left out silently: it was committed before.
    pub deliveries: Vec<Delivery>,
    pub usage: Vec<UsageIncrement>,
    pub config_increment: ConfigIncrement,
}

/// One chunk of one alert, applied as a whole or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct ChunkCommit {
    pub fence: LeaseFence,
    pub alert: AlertId,
    pub config: ConfigId,
    pub now: Time,
    /// The alert's cursor as the work saw it; `Conflict` where it stands elsewhere, or the alert is not
    /// `received`/`processing` any more: a chunk is never applied twice.
    pub cursor_seen: Option<UserId>,
    /// The cursor afterwards: the chunk's last user.
    pub cursor: Option<UserId>,
    pub plan: ChunkPlan,
    pub notices: Vec<OperatorNotice>,
    /// Set with the last chunk: status `processed`, `webhook.processedAt`, `statistics.processingTime`.
    pub finish: Option<ProcessingEnd>,
}

impl ChunkCommit {
    /// What becomes of the alert's document: its cursor moves, and with the last chunk its processing ends. Its errors are
    /// added besides.
    pub fn edit_alert(&self) -> FieldEdits {
        let mut edits = FieldEdits::default();
        edits.set_some("alertcast.cursor", self.cursor);
        edits.set("updatedAt", self.now);
        let Some(finish) = &self.finish else {
            edits.set("processing.status", AlertStatus::Processing);
            return edits;
        };
        edits.set("processing.status", AlertStatus::Processed);
        edits.set("webhook.processedAt", finish.processed_at);
        edits.set("statistics.processingTime", finish.processing_time);
        if finish.settles {
            edits.set("alertcast.settledAt", self.now);
            edits.set("processing.matchedUsers", Bson::Array(Vec::new()));
            edits.set("processing.tradeActions", Bson::Array(Vec::new()));
        }
        edits
    }
}

/// The end of an alert's processing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessingEnd {
    pub processed_at: Time,
    /// Milliseconds since receipt.
    pub processing_time: Count,
    /// What the operator should know: `no_matching_trade`, say.
    pub errors: Vec<AlertError>,
    /// Whether this chunk is the alert's only one, and nobody is sent anything nor had a trade changed by it: then there
    /// is nothing to wait for, and the alert is settled with this, as `settle` would, its lists empty.
    pub settles: bool,
}

/// Which chunks of one call are passed over, because one of their configuration failed before them.
#[derive(Debug, Default)]
pub struct FailedConfigurations(HashSet<ConfigId>);

impl FailedConfigurations {
    /// `Conflict` where a chunk of this configuration has failed.
    ///
    /// # Errors
    /// `Conflict`.
    pub fn check(&self, config: ConfigId) -> StoreResult<()> {
        if self.0.contains(&config) { Err(StoreError::Conflict) } else { Ok(()) }
    }

    /// Notes that a chunk of this configuration failed.
    pub fn note(&mut self, config: ConfigId) {
        self.0.insert(config);
    }
}

/// What the processor needs.
#[async_trait]
pub trait ProcessorStore: Send + Sync + fmt::Debug {
    /// Alerts that are `received` or `processing`, of these partitions, by `seq`; those of the configurations in
    /// `except` left out (they are being worked on), and those that cannot be read (they are noted).
    async fn pending_alerts(&self, partitions: &[i32], except: &[ConfigId], limit: usize) -> StoreResult<Vec<Alert>>;

    /// The next users above `after` who hold an open trade in the configuration, by id.
    async fn holders(&self, config: ConfigId, after: Option<UserId>, limit: usize) -> StoreResult<Vec<UserId>>;

    /// What the decisions of a chunk rest on, from one snapshot. `entering`: the users whose last trade numbers and
    /// quotas are wanted.
    async fn load_chunk(&self, config: ConfigId, span: UserSpan, entering: &[UserId]) -> StoreResult<ChunkState>;

    /// Applies a chunk: decisions, trades, deliveries, counters and the alert's cursor together. `Conflict` where an
    /// assumption of the chunk does not hold any more; `Fenced` where the lease's epoch is another. Counters are no change
    /// of the audience: the change log stays as it is.
    async fn commit(&self, chunk: ChunkCommit) -> StoreResult<()> {
        let nothing = || Err(StoreError::Unavailable("the store answered nothing".to_owned()));
        self.commit_all(vec![chunk]).await.pop().unwrap_or_else(nothing)
    }

    /// Applies chunks one after the other, each as [`Self::commit`] does: a later one sees what an earlier one left. Each
    /// is atomic by itself; how many share one sync is the store's affair. Answers what each came to, in their order.
    /// After one that fails those of the same configuration behind it are not applied: they rest on it. Theirs is
    /// `Conflict`.
    async fn commit_all(&self, chunks: Vec<ChunkCommit>) -> Vec<StoreResult<()>>;

    /// Notes that processing failed; `park`: status `failed`, and nothing more is tried. Nothing happens where the alert
    /// is not `received`/`processing` any more (a commit whose answer was lost had succeeded), or where this very error
    /// (message and moment) is noted already.
    async fn record_failure(
        &self,
        fence: &LeaseFence,
        alert: AlertId,
        error: AlertError,
        park: bool,
        notices: Vec<OperatorNotice>,
    ) -> StoreResult<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(edits: &FieldEdits) -> Option<f64> {
        edits.set.iter().find(|(path, _)| *path == "statistics.successRate").and_then(|(_, rate)| rate.as_f64())
    }

    #[test]
    fn the_success_rate_is_the_share_of_take_profits_in_percent() {
        let kept = |by_tp, by_sl| move || ClosedTrades { by_tp, by_sl };
        let closed = |closed_by_tp, closed_by_sl| ConfigIncrement { closed_by_tp, closed_by_sl, ..Default::default() };
        assert_eq!(rate(&closed(1, 0).count_closes(kept(0, 0))), Some(100.0));
        assert_eq!(rate(&closed(0, 1).count_closes(kept(3, 0))), Some(75.0));
        assert_eq!(rate(&closed(0, 2).count_closes(kept(0, 0))), Some(0.0));
        assert_eq!(
            rate(&closed(1, 0).count_closes(kept(-1, 0))),
            Some(0.0),
            "counts that others spoilt divide nothing"
        );
        assert!(closed(0, 0).count_closes(|| unreachable!("nothing is looked up")).is_empty());
    }
}
