//! Who is there: configurations, plans, subscribers, subscriptions and preferences, with fixed ids made of numbers.

use std::collections::BTreeSet;
use std::time::Duration;

use alertcast_conformance::scene::insert;
use alertcast_core::alert_configuration::AlertConfiguration;
use alertcast_core::fixtures;
use alertcast_core::id::{ConfigId, UserId};
use alertcast_core::plan::Plan;
use alertcast_core::preference::AlertPreference;
use alertcast_core::store::{Collection, DocumentWrite};
use alertcast_core::subscription::Subscription;
use alertcast_core::time::Time;
use alertcast_core::user::User;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The documents that a test begins with.
#[derive(Debug, Clone)]
pub(crate) struct World {
    /// Subscriptions began a month before and run for a year after.
    pub(crate) now: Time,
    pub(crate) configs: Vec<AlertConfiguration>,
    pub(crate) plans: Vec<Plan>,
    pub(crate) users: Vec<User>,
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) preferences: Vec<AlertPreference>,
}

impl World {
    /// Nobody and nothing.
    pub(crate) fn at(now: Time) -> Self {
        Self {
            now,
            configs: Vec::new(),
            plans: Vec::new(),
            users: Vec::new(),
            subscriptions: Vec::new(),
            preferences: Vec::new(),
        }
    }

    /// Configuration `n`: symbol `SYMn`, one hour, strategy `EMA`.
    pub(crate) fn config(mut self, n: u32, edit: impl FnOnce(&mut AlertConfiguration)) -> Self {
        let mut config = fixtures::config(n);
        edit(&mut config);
        self.configs.push(config);
        self
    }

    /// Plan `n` with these configurations.
    pub(crate) fn plan(mut self, n: u32, configs: &[u32], edit: impl FnOnce(&mut Plan)) -> Self {
        let configs: Vec<ConfigId> = configs.iter().copied().map(fixtures::config_id).collect();
        let mut plan = fixtures::plan(n, &configs);
        edit(&mut plan);
        self.plans.push(plan);
        self
    }

    /// User `n`, who subscribes to a plan under a subscription of the same number.
    pub(crate) fn user(mut self, n: u32, plan: u32, edit: impl FnOnce(&mut User)) -> Self {
        let mut user = fixtures::user(n);
        user.profile.timezone = "UTC".to_owned();
        edit(&mut user);
        self.users.push(user);
        self.subscription(n, n, plan, |_| {})
    }

    /// Users with these numbers, as they come.
    pub(crate) fn users(self, numbers: impl IntoIterator<Item = u32>, plan: u32) -> Self {
        numbers.into_iter().fold(self, |world, n| world.user(n, plan, |_| {}))
    }

    /// Subscription `n`, of a user to a plan.
    pub(crate) fn subscription(mut self, n: u32, user: u32, plan: u32, edit: impl FnOnce(&mut Subscription)) -> Self {
        let mut subscription = fixtures::subscription(n);
        subscription.user_id = fixtures::user_id(user);
        subscription.subscription_plan_id = fixtures::plan_id(plan);
        subscription.subscription.start_date = Some(self.now - DAY * 30);
        subscription.subscription.end_date = Some(self.now + DAY * 365);
        edit(&mut subscription);
        self.subscriptions.push(subscription);
        self
    }

    /// What a user wants of a configuration.
    pub(crate) fn preference(mut self, config: u32, user: u32, edit: impl FnOnce(&mut AlertPreference)) -> Self {
        let mut preference = fixtures::preference(config, user);
        edit(&mut preference);
        self.preferences.push(preference);
        self
    }

    /// All of it, in an order in which references lead somewhere.
    pub(crate) fn writes(&self) -> Vec<DocumentWrite> {
        let configs = self.configs.iter().map(|config| insert(Collection::AlertConfigurations, config));
        let plans = self.plans.iter().map(|plan| insert(Collection::SubscriptionPlans, plan));
        let users = self.users.iter().map(|user| insert(Collection::Users, user));
        let subscriptions = self.subscriptions.iter().map(|held| insert(Collection::UserSubscriptions, held));
        let preferences = self.preferences.iter().map(|wanted| insert(Collection::UserAlertPreferences, wanted));
        configs.chain(plans).chain(users).chain(subscriptions).chain(preferences).collect()
    }

    /// Those about whom every alert of the configuration is decided.
    pub(crate) fn candidates(&self, config: ConfigId) -> BTreeSet<UserId> {
        let lists = |plan: &&Plan| plan.alert_configurations.contains(&config);
        let plans: BTreeSet<_> = self.plans.iter().filter(lists).map(|plan| plan.id).collect();
        let of_plan = |held: &&Subscription| plans.contains(&held.subscription_plan_id);
        self.subscriptions.iter().filter(of_plan).map(|held| held.user_id).collect()
    }
}
