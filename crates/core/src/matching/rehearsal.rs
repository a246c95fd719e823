//! Rehearsing an alert: what would follow from its chunks, summed up. Nothing of it is kept.

use std::collections::BTreeMap;
use std::mem::discriminant;

use crate::decision::{Decision, Verdict};
use crate::delivery::{Channel, Delivery};

use super::chunk::{ChunkTally, PlannedChunk};

/// What would happen.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RehearsedPlan {
    /// How many subscribers, by what would be decided about them.
    pub verdicts: BTreeMap<Verdict, usize>,
    /// The first subscribers, by id, as many as were asked for.
    pub subscribers: Vec<Decision>,
    /// Trades that would open.
    pub opened: usize,
    /// Trades that would end.
    pub ended: usize,
    /// Messages that would go out.
    pub messages: BTreeMap<Channel, usize>,
    /// The first message of each kind, and of each that says something else.
    pub samples: Vec<Delivery>,
    /// What the operators would be told.
    pub tally: ChunkTally,
}

impl RehearsedPlan {
    /// Adds a chunk. `listed_max`: of how many subscribers the decisions are kept.
    pub fn add(&mut self, chunk: PlannedChunk, listed_max: usize) {
        let PlannedChunk { plan, tally } = chunk;
        self.tally.add(&tally);
        for decision in plan.decisions.into_iter().flat_map(|chunk| chunk.decisions) {
            *self.verdicts.entry(decision.verdict).or_default() += 1;
            if self.subscribers.len() < listed_max {
                self.subscribers.push(decision);
            }
        }
        self.opened += plan.opened.len();
        self.ended += plan.ended.len();
        for message in plan.deliveries {
            *self.messages.entry(message.channel).or_default() += 1;
            let told = discriminant(&message.facts);
            if self.samples.iter().all(|sample| (sample.kind, discriminant(&sample.facts)) != (message.kind, told)) {
                self.samples.push(message);
            }
        }
    }
}
