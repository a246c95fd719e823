//! What chunks of one call count: each document that holds counters is changed once for all of them.

use std::collections::BTreeMap;

use alertcast_core::id::{ConfigId, PreferenceId, SubscriptionId};
use alertcast_core::store::{ConfigIncrement, UsageIncrement};
use alertcast_core::time::Time;

use super::{ReadyChunk, count_config};
use crate::engine::counters;
use crate::engine::rows::RowAccess;
use crate::error::SqliteResult;

/// The sums of what chunks count that are applied.
#[derive(Debug, Default)]
pub(super) struct CounterSums {
    usage: BTreeMap<(SubscriptionId, Option<PreferenceId>), UsageIncrement>,
    configs: BTreeMap<ConfigId, ConfigIncrement>,
    /// The latest chunk's.
    now: Time,
}

impl CounterSums {
    /// Adds what a chunk counts.
    pub(super) fn add(&mut self, chunk: &ReadyChunk) {
        self.now = self.now.max(chunk.now);
        self.configs.entry(chunk.config).or_default().add(&chunk.plan.config_increment);
        for usage in &chunk.plan.usage {
            let sum = self.usage.entry((usage.subscription, usage.preference));
            sum.and_modify(|sum| sum.add(usage)).or_insert(*usage);
        }
    }

    /// Adds the sums to the documents.
    pub(super) fn write(self, rows: RowAccess<'_>) -> SqliteResult<()> {
        let usage: Vec<UsageIncrement> = self.usage.into_values().collect();
        counters::count(rows, &usage, self.now)?;
        self.configs.iter().try_for_each(|(config, by)| count_config(rows, *config, by, self.now))
    }
}
