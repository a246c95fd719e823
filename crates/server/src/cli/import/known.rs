//! What the entries of an import may refer to and must not repeat: the documents of the store, and those of the file.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use alertcast_core::id::{ConfigId, PlanId, PreferenceId, SubscriptionId, UserId};
use alertcast_core::market::{Symbol, Timeframe};
use alertcast_core::money::Amount;
use alertcast_core::store::{Collection, Documents, Result};
use bson::oid::ObjectId;
use bson::{Bson, Document};

/// Documents read at once.
const PAGE: usize = 2_000;

/// What names a configuration.
pub(super) type ConfigName = (Symbol, Timeframe, String);

/// Everything known.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) configs: Index<ConfigName, ConfigId>,
    pub(super) plans: Index<String, PlanId>,
    /// Amount and currency of each plan.
    pub(super) prices: HashMap<PlanId, (Amount, String)>,
    /// By e-mail address.
    pub(super) users: Index<String, UserId>,
    /// By Telegram's number for the person.
    pub(super) telegram: Index<String, UserId>,
    /// By transaction id.
    pub(super) subscriptions: Index<String, SubscriptionId>,
    pub(super) of_user: HashMap<UserId, Vec<SubscriptionId>>,
    pub(super) active: HashMap<UserId, usize>,
    pub(super) preferences: Index<(UserId, ConfigId), PreferenceId>,
}

/// The documents of a collection by their natural key.
#[derive(Debug)]
pub(super) struct Index<K, I> {
    by_key: HashMap<K, (I, Option<String>)>,
    ids: HashSet<I>,
}

impl<K, I> Default for Index<K, I> {
    fn default() -> Self {
        Self { by_key: HashMap::new(), ids: HashSet::new() }
    }
}

/// Where a key stands already.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    InStore,
    /// At this place of the file.
    InFile(String),
}

impl<K: Eq + Hash, I: Copy + Eq + Hash> Index<K, I> {
    /// Enters an entry of the file, unless its key stands there already.
    pub(super) fn claim(&mut self, key: K, id: I, place: &str) -> std::result::Result<(), Taken> {
        if let Some((_, before)) = self.by_key.get(&key) {
            return Err(before.clone().map_or(Taken::InStore, Taken::InFile));
        }
        self.by_key.insert(key, (id, Some(place.to_owned())));
        self.ids.insert(id);
        Ok(())
    }

    pub(super) fn find(&self, key: &K) -> Option<I> {
        self.by_key.get(key).map(|(id, _)| *id)
    }

    pub(super) fn has(&self, id: I) -> bool {
        self.ids.contains(&id)
    }

    fn of_store(&mut self, key: Option<K>, id: I) {
        self.ids.insert(id);
        if let Some(key) = key {
            self.by_key.insert(key, (id, None));
        }
    }
}

impl Known {
    /// Reads what the store holds. A document that is not as it should be is known by as much of it as can be read.
    pub(super) async fn load(store: &dyn Documents) -> Result<Self> {
        let mut known = Self::default();
        for collection in [
            Collection::AlertConfigurations,
            Collection::SubscriptionPlans,
            Collection::Users,
            Collection::UserSubscriptions,
            Collection::UserAlertPreferences,
        ] {
            let mut after = None;
            loop {
                let page = store.page(collection, after, PAGE).await?;
                after = page.last().and_then(|document| document.get_object_id("_id").ok());
                for document in &page {
                    known.enter(collection, document);
                }
                if page.len() < PAGE {
                    break;
                }
            }
        }
        Ok(known)
    }

    fn enter(&mut self, collection: Collection, document: &Document) {
        let Ok(id) = document.get_object_id("_id") else { return };
        match collection {
            Collection::AlertConfigurations => self.configs.of_store(config_name(document), id.into()),
            Collection::SubscriptionPlans => self.enter_plan(document, id.into()),
            Collection::Users => {
                self.users.of_store(text(document, &["email"]), id.into());
                self.telegram.of_store(text(document, &["telegram", "userId"]), id.into());
            }
            Collection::UserSubscriptions => self.enter_subscription(document, id.into()),
            Collection::UserAlertPreferences => {
                let key = reference(document, "userId").zip(reference(document, "alertConfigId"));
                self.preferences.of_store(key.map(|(user, config)| (user.into(), config.into())), id.into());
            }
            _ => {}
        }
    }

    fn enter_plan(&mut self, document: &Document, id: PlanId) {
        self.plans.of_store(text(document, &["name"]), id);
        let amount = at(document, &["pricing", "amount"]).and_then(|amount| match amount {
            Bson::Double(number) => Amount::from_f64(*number).ok(),
            Bson::Int32(number) => Amount::from_f64((*number).into()).ok(),
            Bson::Int64(number) => Amount::from_f64(*number as f64).ok(),
            _ => None,
        });
        let currency = text(document, &["pricing", "currency"]).unwrap_or_else(|| "INR".to_owned());
        self.prices.extend(amount.map(|amount| (id, (amount, currency))));
    }

    fn enter_subscription(&mut self, document: &Document, id: SubscriptionId) {
        self.subscriptions.of_store(text(document, &["payment", "transactionId"]), id);
        let Some(user) = reference(document, "userId").map(UserId) else { return };
        self.of_user.entry(user).or_default().push(id);
        if text(document, &["subscription", "status"]).as_deref() == Some("active") {
            *self.active.entry(user).or_default() += 1;
        }
    }
}

fn config_name(document: &Document) -> Option<ConfigName> {
    let timeframe = Timeframe::from_exact(&text(document, &["timeframe"])?)?;
    Some((Symbol::new(&text(document, &["symbol"])?)?, timeframe, text(document, &["strategy"])?))
}

fn at<'a>(document: &'a Document, path: &[&str]) -> Option<&'a Bson> {
    match path {
        [] => None,
        [name] => document.get(name),
        [name, rest @ ..] => at(document.get_document(name).ok()?, rest),
    }
}

fn text(document: &Document, path: &[&str]) -> Option<String> {
    at(document, path)?.as_str().map(str::to_owned)
}

fn reference(document: &Document, name: &str) -> Option<ObjectId> {
    document.get_object_id(name).ok()
}
