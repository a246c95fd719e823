//! What one subscription means to the user's others: where a renewal begins, what goes on when one ends, and under which
//! one the user's preferences stand.

use super::{LifecycleError, PreferenceLink, SubscriptionContext};
use crate::id::{ConfigId, SubscriptionId};
use crate::subscription::Subscription;
use crate::time::Time;

impl SubscriptionContext {
    fn of_same_plan<'a>(&'a self, this: &'a Subscription) -> impl Iterator<Item = &'a Subscription> {
        let plan = this.subscription_plan_id;
        self.others.iter().filter(move |other| other.subscription_plan_id == plan && other.id != this.id)
    }

    /// Until when the user has what runs, or is to run, of the same plan; none where nothing does.
    pub(super) fn last_end(&self, this: &Subscription, now: Time) -> Result<Option<Time>, LifecycleError> {
        let mut last = None;
        for other in self.of_same_plan(this).filter(|other| other.is_open(now)) {
            let end = other.subscription.end_date.ok_or(LifecycleError::PredecessorWithoutEnd)?;
            last = last.max(Some(end));
        }
        Ok(last)
    }

    /// What goes on where this one has ended: of several, what begins first.
    pub(super) fn successor(&self, this: &Subscription, now: Time) -> Option<SubscriptionId> {
        let open = self.of_same_plan(this).filter(|other| other.is_open(now));
        open.min_by_key(|other| (other.subscription.start_date, other.id)).map(|other| other.id)
    }

    /// The picks of the one of the same plan that ends last.
    pub(super) fn last_picks(&self, this: &Subscription) -> Option<Vec<ConfigId>> {
        let with_picks = self.of_same_plan(this).filter(|other| other.alertcast.picks.is_some());
        with_picks.max_by_key(|other| other.subscription.end_date)?.alertcast.picks.clone()
    }

    /// Preferences go along: with the end of one to what follows it; and to one that begins at once from those of the
    /// same plan that have ended.
    pub(super) fn move_links(&self, before: &Subscription, after: &Subscription, now: Time) -> Vec<PreferenceLink> {
        match (before.is_open(now), after.is_open(now)) {
            (_, false) if before.subscription.status == after.subscription.status => Vec::new(),
            (_, false) => self.successor(before, now).map(|next| self.link_to(&[before.id], next)).unwrap_or_default(),
            (false, true) if after.subscription.start_date.is_none_or(|start| start <= now) => {
                let over = self.of_same_plan(after).filter(|other| !other.is_open(now));
                let over: Vec<SubscriptionId> = over.map(|other| other.id).collect();
                self.link_to(&over, after.id)
            }
            _ => Vec::new(),
        }
    }

    fn link_to(&self, under: &[SubscriptionId], to: SubscriptionId) -> Vec<PreferenceLink> {
        let these = self.preferences.iter().filter(|link| under.contains(&link.subscription));
        these.map(|link| PreferenceLink { subscription: to, ..*link }).collect()
    }
}
