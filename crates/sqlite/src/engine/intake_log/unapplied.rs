//! The alerts that are in the log and have no row yet, by configuration, in the order of their acceptance.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use alertcast_core::alert::document::Alert;
use alertcast_core::id::{AlertId, ConfigId};

use super::record::AcceptedRecord;

/// An accepted alert without a row.
#[derive(Debug)]
pub(crate) struct UnappliedAlert {
    pub(crate) alert: Alert,
    pub(crate) record: AcceptedRecord,
    /// When it was synced.
    pub(super) since: Instant,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct UnappliedAlerts {
    by_id: HashMap<AlertId, Arc<UnappliedAlert>>,
    by_seq: BTreeMap<i64, AlertId>,
    by_config: HashMap<Option<ConfigId>, BTreeMap<i64, Arc<UnappliedAlert>>>,
    bytes: usize,
}

impl UnappliedAlerts {
    pub(super) fn insert(&mut self, alert: UnappliedAlert) {
        let (seq, alert) = (alert.record.seq, Arc::new(alert));
        self.bytes += alert.record.size();
        self.by_seq.insert(seq, alert.alert.id);
        self.by_config.entry(alert.alert.processing.alert_config_id).or_default().insert(seq, Arc::clone(&alert));
        self.by_id.insert(alert.alert.id, alert);
    }

    pub(super) fn remove(&mut self, id: AlertId) {
        let Some(alert) = self.by_id.remove(&id) else { return };
        self.bytes -= alert.record.size();
        self.by_seq.remove(&alert.record.seq);
        let config = alert.alert.processing.alert_config_id;
        if let Some(alerts) = self.by_config.get_mut(&config) {
            alerts.remove(&alert.record.seq);
            if alerts.is_empty() {
                self.by_config.remove(&config);
            }
        }
    }

    pub(super) fn get(&self, id: AlertId) -> Option<Arc<UnappliedAlert>> {
        self.by_id.get(&id).cloned()
    }

    /// How many bytes of the log they take.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The place of the first.
    pub(super) fn first_seq(&self) -> Option<i64> {
        self.by_seq.keys().next().copied()
    }

    /// In the order of their acceptance.
    pub(super) fn in_order(&self) -> impl Iterator<Item = &Arc<UnappliedAlert>> {
        self.by_seq.values().filter_map(|id| self.by_id.get(id))
    }

    /// The first that have waited for so long.
    pub(super) fn overdue(&self, age: Duration, limit: usize) -> Vec<Arc<UnappliedAlert>> {
        self.in_order().take_while(|alert| alert.since.elapsed() >= age).take(limit).cloned().collect()
    }

    pub(super) fn of_config(&self, config: ConfigId) -> impl Iterator<Item = &Arc<UnappliedAlert>> {
        self.by_config.get(&Some(config)).into_iter().flat_map(BTreeMap::values)
    }

    /// The first of all of these partitions, but for those of some configurations.
    pub(super) fn first(&self, partitions: &[i32], except: &[ConfigId], limit: usize) -> Vec<Arc<UnappliedAlert>> {
        let is_ours = |alert: &&Arc<UnappliedAlert>| {
            alert.alert.alertcast.partition.is_some_and(|partition| partitions.contains(&partition))
        };
        let wanted = self.by_config.iter().filter(|(config, _)| config.is_none_or(|config| !except.contains(&config)));
        let mut lines: Vec<_> = wanted.map(|(_, alerts)| alerts.values().filter(is_ours).peekable()).collect();
        let head = |at: usize, alert: &Arc<UnappliedAlert>| Reverse((alert.record.seq, at));
        let heads = lines.iter_mut().enumerate().filter_map(|(at, line)| line.peek().map(|alert| head(at, alert)));
        let mut heads: BinaryHeap<_> = heads.collect();
        let mut first = Vec::new();
        while first.len() < limit
            && let Some(Reverse((_, at))) = heads.pop()
        {
            first.extend(lines[at].next().cloned());
            heads.extend(lines[at].peek().map(|alert| head(at, alert)));
        }
        first
    }
}
