//! A store that counts what it is asked for, and that is away on request: an operation fails before it has happened, or
//! its answer is lost afterwards.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use alertcast_core::store::{Store, StoreResult};

use crate::harness::front::{Front, Interference, away};

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// It does not happen.
    Before,
    /// It happens, and nobody hears of it.
    After,
}

/// Makes a store fail on request.
#[derive(Debug)]
pub(super) struct Flaky {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failing: BTreeMap<&'static str, (Failure, u32)>,
    calls: BTreeMap<&'static str, u32>,
    under_way: u32,
}

/// An operation under way, until it is dropped.
struct UnderWay<'a>(&'a Flaky);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.state.lock().unwrap().under_way -= 1;
    }
}

impl Flaky {
    pub(super) fn before(store: Arc<dyn Store>) -> Arc<Front<Self>> {
        Front::of(store, Self { state: Mutex::default() })
    }

    /// The operation fails so for the next few times.
    pub(super) fn fail(&self, operation: &'static str, failure: Failure, times: u32) {
        self.state.lock().unwrap().failing.insert(operation, (failure, times));
    }

    /// How often the operation was asked for.
    pub(super) fn calls(&self, operation: &'static str) -> u32 {
        self.state.lock().unwrap().calls.get(operation).copied().unwrap_or(0)
    }

    /// What was asked for how often.
    pub(super) fn summary(&self) -> String {
        format!("{:?}", self.state.lock().unwrap().calls)
    }

    /// Whether no operation is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.state.lock().unwrap().under_way == 0
    }

    fn enter(&self) -> UnderWay<'_> {
        self.state.lock().unwrap().under_way += 1;
        UnderWay(self)
    }

    fn call(&self, operation: &'static str) -> Option<Failure> {
        let mut state = self.state.lock().unwrap();
        *state.calls.entry(operation).or_default() += 1;
        let (failure, times) = state.failing.get_mut(operation).filter(|(_, times)| *times > 0)?;
        *times -= 1;
        Some(*failure)
    }
}

impl Interference for Flaky {
    async fn around<T: Send>(
        &self,
        operation: &'static str,
        run: impl Future<Output = StoreResult<T>> + Send,
    ) -> StoreResult<T> {
        let _under_way = self.enter();
        let failure = self.call(operation);
        if failure == Some(Failure::Before) {
            return away();
        }
        let answer = run.await?;
        if failure.is_some() { away() } else { Ok(answer) }
    }
}
