//! What must be true once nothing is under way, whatever happened before: every rule is looked at, and everything that
//! breaks one is named.

pub(crate) mod alerts;
mod counters;
mod messages;
mod reading;
mod results;
mod trades;

use std::collections::{BTreeMap, BTreeSet};

use alertcast_core::id::AlertId;
use alertcast_core::time::Time;
use telegram_sim::SentMessage;

use super::TestPeople;
use super::books::Books;

/// All that the rules are about.
#[derive(Debug)]
pub(crate) struct Model<'a> {
    pub(crate) world: &'a TestPeople,
    pub(crate) books: &'a Books,
    /// What arrived at the stand-in for Telegram.
    pub(crate) messages: &'a [SentMessage],
    /// The alerts that were answered 202 or 200, by the `alert_id` in their body.
    pub(crate) answered: &'a BTreeMap<String, AlertId>,
    pub(crate) now: Time,
    pub(crate) allow: Allowances,
}

/// What a test expects beside the rule.
#[derive(Debug, Clone, Default)]
pub(crate) struct Allowances {
    /// Accepted alerts that are parked as `failed`.
    pub(crate) parked: Vec<AlertId>,
    /// Subscriptions, plans or documents were changed on the way: who was asked about an alert is not the world's
    /// beginning any more.
    pub(crate) audience_changed: bool,
    /// The chats of people who have been erased: no document names them any more.
    pub(crate) erased_chats: BTreeSet<String>,
}

/// What breaks a rule.
#[derive(Debug, Default)]
pub(crate) struct Broken(Vec<String>);

impl Broken {
    fn unless(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.0.push(what());
        }
    }

    fn equal<T: PartialEq + std::fmt::Debug>(&mut self, found: &T, expected: &T, what: impl FnOnce() -> String) {
        self.unless(found == expected, || format!("{}: is {found:?}, should be {expected:?}", what()));
    }
}

impl Model<'_> {
    /// Everything that breaks a rule.
    pub(crate) fn broken(&self) -> Vec<String> {
        let mut broken = Broken::default();
        alerts::check(self, &mut broken);
        trades::check(self, &mut broken);
        counters::check(self, &mut broken);
        messages::check(self, &mut broken);
        results::check(self, &mut broken);
        reading::check(self, &mut broken);
        broken.0
    }

    /// Fails where a rule is broken. `context` says how to get here again.
    pub(crate) fn assert(&self, context: &str) {
        let broken = self.broken();
        let shown: Vec<&str> = broken.iter().take(25).map(String::as_str).collect();
        assert!(broken.is_empty(), "{context}: {} rules are broken:\n{}", broken.len(), shown.join("\n"));
    }
}
