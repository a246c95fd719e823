//! The audience: users, plans, configurations, subscriptions and preferences in memory, kept true by the change log.
//!
//! Of each entity only what decisions and couriers need is kept. Entities may come in any order, and again: a reference
//! to one that is not here yet is simply not followed. No entity is judged here; see [`super::entitlement`].

mod member;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use bson::RawDocument;
use bson::oid::ObjectId;
use serde::de::DeserializeOwned;

use crate::alert::payload::{GivenTimeframe, Payload};
use crate::alert_configuration::{AlertConfiguration, ConfigStatus};
use crate::id::{ConfigId, PlanId, PreferenceId, SubscriptionId, UserId};
use crate::market::{Symbol, Timeframe};
use crate::plan::Plan;
use crate::preference::AlertPreference;
use crate::reading::{self, DocumentReading, UnreadableDocument};
use crate::store::Collection;
use crate::subscription::Subscription;
use crate::user::User;
use member::{AudienceMember, TimeZones};
pub use member::{PreferenceView, SubscriptionView, UserView};

/// A document that the audience is made of.
#[derive(Debug, Clone, PartialEq)]
pub enum AudienceEntity {
    User(User),
    Plan(Plan),
    Config(AlertConfiguration),
    Subscription(Subscription),
    Preference(AlertPreference),
}

impl AudienceEntity {
    /// Reads a document's bytes, of one of the collections that make the audience, as far as they can be read; none for
    /// another collection's.
    ///
    /// # Errors
    /// What of it that must be there cannot be read.
    pub fn read(collection: Collection, bytes: &[u8]) -> Result<Option<DocumentReading<Self>>, UnreadableDocument> {
        fn one<T: DeserializeOwned>(
            collection: Collection,
            bytes: &[u8],
            of: fn(T) -> AudienceEntity,
        ) -> Result<Option<DocumentReading<AudienceEntity>>, UnreadableDocument> {
            let DocumentReading { value, flaws } = reading::read_leniently(collection, bytes)?;
            Ok(Some(DocumentReading { value: of(value), flaws }))
        }
        match collection {
            Collection::Users => one(collection, bytes, Self::User),
            Collection::SubscriptionPlans => one(collection, bytes, Self::Plan),
            Collection::AlertConfigurations => one(collection, bytes, Self::Config),
            Collection::UserSubscriptions => one(collection, bytes, Self::Subscription),
            Collection::UserAlertPreferences => one(collection, bytes, Self::Preference),
            _ => Ok(None),
        }
    }

    /// Its document's id.
    pub const fn id(&self) -> ObjectId {
        match self {
            Self::User(user) => user.id.0,
            Self::Plan(plan) => plan.id.0,
            Self::Config(config) => config.id.0,
            Self::Subscription(subscription) => subscription.id.0,
            Self::Preference(preference) => preference.id.0,
        }
    }
}

/// The user that a preference names which cannot be read as a whole.
fn user_of(preference: &[u8]) -> Option<UserId> {
    RawDocument::from_bytes(preference).ok()?.get_object_id("userId").ok().map(UserId)
}

/// What an alert calls its configuration by (seed 2.3: unique together).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ConfigurationName {
    symbol: Symbol,
    timeframe: Timeframe,
    /// Trimmed.
    strategy: String,
}

impl ConfigurationName {
    fn of(config: &AlertConfiguration) -> Self {
        Self { symbol: config.symbol.clone(), timeframe: config.timeframe, strategy: config.strategy.trim().to_owned() }
    }
}

/// A strategy's name as people take it for the same: its letters and digits, in lower case.
fn fold_name(strategy: &str) -> String {
    strategy.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect()
}

/// How many entities the audience holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AudienceSize {
    pub users: usize,
    pub plans: usize,
    pub configs: usize,
    pub subscriptions: usize,
    pub preferences: usize,
}

/// The audience in memory.
#[derive(Default, Clone)]
pub struct Audience {
    configs: HashMap<ConfigId, Arc<AlertConfiguration>>,
    names: HashMap<ConfigurationName, BTreeSet<ConfigId>>,
    plans: HashMap<PlanId, Arc<Plan>>,
    /// The plans that list a configuration.
    listed: HashMap<ConfigId, BTreeSet<PlanId>>,
    /// The users with subscriptions to a plan, and how many each has.
    members: HashMap<PlanId, BTreeMap<UserId, u32>>,
    people: HashMap<UserId, AudienceMember>,
    subscription_of: HashMap<SubscriptionId, UserId>,
    preference_of: HashMap<PreferenceId, UserId>,
    zones: TimeZones,
    /// Documents that cannot be read in what entries depend on. Nearly always empty.
    undecided: HashSet<ObjectId>,
    /// Preferences of which only the user can be read: for which configuration they are is not known.
    stray: HashMap<ObjectId, UserId>,
}

impl Audience {
    /// An audience of nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a document's bytes, in place of the one with its id. What of it cannot be read holds entries back. Answers
    /// what is wrong with it.
    pub fn take_in(&mut self, collection: Collection, bytes: &[u8]) -> Option<UnreadableDocument> {
        match AudienceEntity::read(collection, bytes) {
            Ok(None) => None,
            Ok(Some(read)) => {
                let flaws = reading::list_flaws(&read.flaws);
                let id = read.value.id();
                self.put_read(read);
                flaws.map(|cause| UnreadableDocument { collection, id: id.into(), cause })
            }
            Err(unreadable) => {
                if let Some(id) = unreadable.object_id() {
                    self.remove(collection, id);
                    self.undecided.insert(id);
                    if collection == Collection::UserAlertPreferences {
                        self.stray.extend(user_of(bytes).map(|user| (id, user)));
                    }
                }
                Some(unreadable)
            }
        }
    }

    /// Takes in what could be read of a document.
    pub fn put_read(&mut self, read: DocumentReading<AudienceEntity>) {
        let (id, undecided) = (read.value.id(), read.list_undecided().is_some());
        self.put(read.value);
        if undecided {
            self.undecided.insert(id);
        }
    }

    /// Whether a document cannot be read in what entries depend on.
    pub fn is_undecided(&self, id: impl Into<ObjectId>) -> bool {
        !self.undecided.is_empty() && self.undecided.contains(&id.into())
    }

    /// Whether a user has a preference that cannot be read, and may be for this configuration.
    pub fn has_unreadable_preference(&self, user: UserId, preference: Option<PreferenceId>) -> bool {
        !self.undecided.is_empty()
            && (preference.is_some_and(|preference| self.undecided.contains(&preference.0))
                || self.stray.values().any(|of| *of == user))
    }

    /// Takes in an entity, in place of the one with its id.
    pub fn put(&mut self, entity: AudienceEntity) {
        self.clear(entity.id());
        match entity {
            AudienceEntity::User(user) => self.put_user(&user),
            AudienceEntity::Plan(plan) => self.put_plan(plan),
            AudienceEntity::Config(config) => self.put_config(config),
            AudienceEntity::Subscription(subscription) => self.put_subscription(&subscription),
            AudienceEntity::Preference(preference) => self.put_preference(&preference),
        }
    }

    /// Forgets an entity. Nothing happens where there is none with that id, or where the collection's documents do not
    /// make the audience.
    pub fn remove(&mut self, collection: Collection, id: ObjectId) {
        self.clear(id);
        match collection {
            Collection::Users => self.remove_user(id.into()),
            Collection::SubscriptionPlans => self.remove_plan(id.into()),
            Collection::AlertConfigurations => self.remove_config(id.into()),
            Collection::UserSubscriptions => self.remove_subscription(id.into()),
            Collection::UserAlertPreferences => self.remove_preference(id.into()),
            _ => {}
        }
    }

    fn clear(&mut self, id: ObjectId) {
        if !self.undecided.is_empty() {
            self.undecided.remove(&id);
            self.stray.remove(&id);
        }
    }

    /// A configuration by its id.
    pub fn config(&self, id: ConfigId) -> Option<&Arc<AlertConfiguration>> {
        self.configs.get(&id)
    }

    /// The configuration that alerts name so; the strategy is compared exactly, but for blanks around it. Where another
    /// application let two have one name, the active one, then the one with the lowest id.
    pub fn find_config(
        &self,
        symbol: &Symbol,
        timeframe: Timeframe,
        strategy: &str,
    ) -> Option<&Arc<AlertConfiguration>> {
        let name = ConfigurationName { symbol: symbol.clone(), timeframe, strategy: strategy.trim().to_owned() };
        let ids = self.names.get(&name)?;
        let found = ids.iter().filter_map(|id| self.configs.get(id));
        found.min_by_key(|config| (config.status != ConfigStatus::Active, config.id))
    }

    /// The configuration that an alert names: by its symbol as it stands, else without its exchange.
    pub fn config_of(&self, payload: &Payload) -> Option<&Arc<AlertConfiguration>> {
        let Some(GivenTimeframe::Known(timeframe)) = payload.timeframe else { return None };
        let strategy = payload.strategy.as_deref()?;
        payload.symbols().iter().find_map(|symbol| self.find_config(symbol, timeframe, strategy))
    }

    /// The strategy that an alert means that names no configuration: one of its symbol and timeframe whose name differs in
    /// nothing but capitals, blanks and the marks around it.
    pub fn strategy_meant(&self, payload: &Payload) -> Option<&str> {
        let Some(GivenTimeframe::Known(timeframe)) = payload.timeframe else { return None };
        let (symbols, told) = (payload.symbols(), fold_name(payload.strategy.as_deref()?));
        let of_it = |config: &&Arc<AlertConfiguration>| {
            config.timeframe == timeframe && symbols.contains(&config.symbol) && fold_name(&config.strategy) == told
        };
        let near = self.configs.values().filter(of_it).min_by_key(|config| config.id);
        near.filter(|_| !told.is_empty()).map(|config| config.strategy.trim())
    }

    /// Every configuration, in no order.
    pub fn configs(&self) -> impl Iterator<Item = &Arc<AlertConfiguration>> {
        self.configs.values()
    }

    /// A plan by its id; its list of configurations without doubles.
    pub fn plan(&self, id: PlanId) -> Option<&Arc<Plan>> {
        self.plans.get(&id)
    }

    /// Every plan, in no order.
    pub fn plans(&self) -> impl Iterator<Item = &Arc<Plan>> {
        self.plans.values()
    }

    /// Those about whom an alert of this configuration is decided: every user with a subscription, whatever its status,
    /// to a plan, whatever its status, that lists the configuration. Sorted, without doubles.
    pub fn candidates(&self, config: ConfigId) -> Vec<UserId> {
        let plans = self.listed.get(&config).into_iter().flatten();
        let members: Vec<_> = plans.filter_map(|plan| self.members.get(plan)).collect();
        let mut users = Vec::with_capacity(members.iter().map(|of_plan| of_plan.len()).sum());
        users.extend(members.iter().flat_map(|of_plan| of_plan.keys().copied()));
        if members.len() > 1 {
            // Sorted runs, one for each plan: the stable sort merges them.
            users.sort();
            users.dedup();
        }
        users
    }

    /// A user.
    pub fn user(&self, id: UserId) -> Option<UserView<'_>> {
        self.people.get(&id)?.user_view(id, &self.zones)
    }

    /// A user's subscriptions, by id.
    pub fn subscriptions(&self, user: UserId) -> impl Iterator<Item = SubscriptionView<'_>> {
        self.people.get(&user).into_iter().flat_map(AudienceMember::subscriptions)
    }

    /// What a user wants of a configuration; the defaults, without an id, where nothing is kept.
    pub fn preference(&self, user: UserId, config: ConfigId) -> PreferenceView {
        self.people.get(&user).map_or_else(PreferenceView::default, |person| person.preference(config))
    }

    /// How much it holds.
    pub fn size(&self) -> AudienceSize {
        AudienceSize {
            users: self.people.values().filter(|person| person.is_user()).count(),
            plans: self.plans.len(),
            configs: self.configs.len(),
            subscriptions: self.subscription_of.len(),
            preferences: self.preference_of.len(),
        }
    }

    fn put_config(&mut self, config: AlertConfiguration) {
        self.remove_config(config.id);
        self.names.entry(ConfigurationName::of(&config)).or_default().insert(config.id);
        self.configs.insert(config.id, Arc::new(config));
    }

    fn remove_config(&mut self, id: ConfigId) {
        let Some(config) = self.configs.remove(&id) else { return };
        if let Entry::Occupied(mut ids) = self.names.entry(ConfigurationName::of(&config)) {
            ids.get_mut().remove(&id);
            if ids.get().is_empty() {
                ids.remove();
            }
        }
    }

    fn put_plan(&mut self, mut plan: Plan) {
        self.remove_plan(plan.id);
        let mut seen = BTreeSet::new();
        plan.alert_configurations.retain(|config| seen.insert(*config));
        for config in seen {
            self.listed.entry(config).or_default().insert(plan.id);
        }
        self.plans.insert(plan.id, Arc::new(plan));
    }

    fn remove_plan(&mut self, id: PlanId) {
        let Some(plan) = self.plans.remove(&id) else { return };
        for config in &plan.alert_configurations {
            if let Entry::Occupied(mut plans) = self.listed.entry(*config) {
                plans.get_mut().remove(&id);
                if plans.get().is_empty() {
                    plans.remove();
                }
            }
        }
    }

    fn put_user(&mut self, user: &User) {
        self.people.entry(user.id).or_default().set_user(user, &mut self.zones);
    }

    fn remove_user(&mut self, id: UserId) {
        self.with_person(id, AudienceMember::clear_user);
    }

    fn put_subscription(&mut self, subscription: &Subscription) {
        self.remove_subscription(subscription.id);
        let (user, plan) = (subscription.user_id, subscription.subscription_plan_id);
        self.people.entry(user).or_default().add_subscription(subscription);
        self.subscription_of.insert(subscription.id, user);
        *self.members.entry(plan).or_default().entry(user).or_default() += 1;
    }

    fn remove_subscription(&mut self, id: SubscriptionId) {
        let Some(user) = self.subscription_of.remove(&id) else { return };
        let Some(plan) = self.with_person(user, |person| person.take_subscription(id)).flatten() else { return };
        let Some(members) = self.members.get_mut(&plan) else { return };
        if let Some(held) = members.get_mut(&user) {
            *held -= 1;
            if *held == 0 {
                members.remove(&user);
            }
        }
        if members.is_empty() {
            self.members.remove(&plan);
        }
    }

    fn put_preference(&mut self, preference: &AlertPreference) {
        self.remove_preference(preference.id);
        self.people.entry(preference.user_id).or_default().add_preference(preference);
        self.preference_of.insert(preference.id, preference.user_id);
    }

    fn remove_preference(&mut self, id: PreferenceId) {
        if let Some(user) = self.preference_of.remove(&id) {
            self.with_person(user, |person| person.remove_preference(id));
        }
    }

    /// Changes a person, and forgets one of whom nothing is left.
    fn with_person<T>(&mut self, id: UserId, change: impl FnOnce(&mut AudienceMember) -> T) -> Option<T> {
        let Entry::Occupied(mut person) = self.people.entry(id) else { return None };
        let result = change(person.get_mut());
        if person.get().is_nobody() {
            person.remove();
        }
        Some(result)
    }
}

impl fmt::Debug for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Sizes only: personal data does not belong in a log.
        f.debug_struct("Audience").field("size", &self.size()).finish_non_exhaustive()
    }
}
