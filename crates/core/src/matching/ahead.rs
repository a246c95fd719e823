//! Alerts of one configuration that are planned one after the other, each on what those before it come to, before any of
//! them is committed. Whatever changes meanwhile makes a commit a `Conflict`, as it does for an alert that is planned alone.

use crate::id::UserId;
use crate::store::{ChunkPlan, ChunkState};

use super::chunk::next_users;
use super::job::MatchingJob;
use super::walk::ChunkUsers;

/// What is known of a configuration's users while its alerts are planned.
#[derive(Debug, Clone)]
pub struct PlanningState {
    candidates: Vec<UserId>,
    state: ChunkState,
}

impl PlanningState {
    /// `candidates`: the audience's, sorted. `state`: read over all of them, and, where one of the alerts concerns
    /// holders, over all of these; asked about everybody to whom an entry of one of the alerts might go.
    pub const fn new(candidates: Vec<UserId>, state: ChunkState) -> Self {
        Self { candidates, state }
    }

    /// What the next plan rests on.
    pub const fn state(&self) -> &ChunkState {
        &self.state
    }

    /// The users of the next alert, all in one chunk.
    pub fn users(&self, job: &MatchingJob<'_>) -> ChunkUsers {
        let holders = if job.concerns_holders() { self.state.holders() } else { Vec::new() };
        ChunkUsers { users: next_users(&self.candidates, &holders, None, usize::MAX), is_last: true }
    }

    /// Takes the plan for committed.
    pub fn apply(&mut self, plan: &ChunkPlan) {
        self.state.apply(plan);
    }
}
