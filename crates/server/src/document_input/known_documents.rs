//! What entries may refer to and must not repeat: for a file, the documents of the store and those of the file; for one
//! entry by itself, the few documents that it names. That what is unique is not repeated is then the store's to say.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::hash::Hash;

use alertcast_core::id::{ConfigId, PlanId, PreferenceId, SubscriptionId, UserId};
use alertcast_core::market::{Symbol, Timeframe};
use alertcast_core::money::Amount;
use alertcast_core::store::{Collection, DocumentStore, ListQuery, StoreResult, list_all};
use alertcast_core::subscription::{PaymentStatus, SubscriptionPlace, SubscriptionStatus, transaction_key};
use alertcast_core::time::Time;
use bson::oid::ObjectId;
use bson::{Bson, Document};
use serde_json::Value;

use super::values;
use crate::audience::COLLECTIONS;
use crate::collection_walk::{self, PAGE};

/// What names a configuration.
pub(crate) type ConfigName = (Symbol, Timeframe, String);

/// Everything known.
#[derive(Debug, Default)]
pub(crate) struct KnownDocuments {
    pub(crate) configs: NaturalKeyIndex<ConfigName, ConfigId>,
    pub(crate) plans: NaturalKeyIndex<String, PlanId>,
    /// Amount and currency of each plan.
    pub(crate) prices: HashMap<PlanId, (Amount, String)>,
    /// By e-mail address.
    pub(crate) users: NaturalKeyIndex<String, UserId>,
    /// By Telegram's number for the person.
    pub(crate) telegram: NaturalKeyIndex<String, UserId>,
    /// By what transaction ids are compared by.
    pub(crate) subscriptions: NaturalKeyIndex<String, SubscriptionId>,
    pub(crate) of_user: HashMap<UserId, Vec<SubscriptionId>>,
    /// What counts toward a user's five subscriptions.
    pub(crate) places: HashMap<UserId, Vec<SubscriptionPlace>>,
    pub(crate) preferences: NaturalKeyIndex<(UserId, ConfigId), PreferenceId>,
}

/// The documents of a collection by their natural key.
#[derive(Debug)]
pub(crate) struct NaturalKeyIndex<K, I> {
    by_key: HashMap<K, (I, DocumentOrigin)>,
    ids: HashSet<I>,
}

/// Where a document is.
#[derive(Debug, Clone)]
enum DocumentOrigin {
    /// In this collection, under this name for people.
    Store(Collection, Option<Box<str>>),
    /// At this place of the file.
    File(String),
}

impl<K, I> Default for NaturalKeyIndex<K, I> {
    fn default() -> Self {
        Self { by_key: HashMap::new(), ids: HashSet::new() }
    }
}

/// Where a key stands already.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum KeyConflict {
    /// The collection, the id and the name of the document.
    InStore(String),
    /// At this place of the file.
    InFile(String),
}

impl<K: Eq + Hash, I: Copy + Eq + Hash + Display> NaturalKeyIndex<K, I> {
    /// Enters an entry of the file, unless its key stands there already.
    pub(crate) fn claim(&mut self, key: K, id: I, place: &str) -> std::result::Result<(), KeyConflict> {
        match self.by_key.get(&key) {
            Some((_, DocumentOrigin::File(place))) => return Err(KeyConflict::InFile(place.clone())),
            Some((id, DocumentOrigin::Store(collection, name))) => {
                let name = name.as_ref().map_or_else(String::new, |name| format!(" ({name:?})"));
                return Err(KeyConflict::InStore(format!("{collection} {id}{name}")));
            }
            None => {}
        }
        self.by_key.insert(key, (id, DocumentOrigin::File(place.to_owned())));
        self.ids.insert(id);
        Ok(())
    }

    pub(crate) fn find(&self, key: &K) -> Option<I> {
        self.by_key.get(key).map(|(id, _)| *id)
    }

    pub(crate) fn has(&self, id: I) -> bool {
        self.ids.contains(&id)
    }

    fn of_store(&mut self, key: Option<K>, id: I, (collection, name): (Collection, Option<String>)) {
        self.ids.insert(id);
        if let Some(key) = key {
            self.by_key.insert(key, (id, DocumentOrigin::Store(collection, name.map(Into::into))));
        }
    }

    fn trust(&mut self, id: I) {
        self.ids.insert(id);
    }
}

/// One entry by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EntryReferences<'a> {
    pub(crate) collection: Collection,
    pub(crate) entry: &'a Value,
    /// The document that it changes. What that refers to is known, whether or not it still exists: who changes another
    /// field need not mend it.
    pub(crate) kept: Option<&'a Document>,
    /// The payment is looked at: it must equal the plan's price as it is now.
    pub(crate) priced: bool,
    pub(crate) now: Time,
}

impl KnownDocuments {
    /// Reads what one entry names.
    pub(crate) async fn around(store: &dyn DocumentStore, around: EntryReferences<'_>) -> StoreResult<Self> {
        let mut known = Self::default();
        for (path, to) in references(around.collection) {
            let ids = ids_in(around.entry.pointer(path));
            for document in store.get(*to, &ids).await? {
                known.enter(*to, &document);
            }
            known.trust(*to, around.kept, path);
        }
        if !around.priced {
            known.prices.clear();
        }
        if let [user] = ids_in(around.entry.pointer("/userId"))[..] {
            known.enter_subscriptions(store, UserId(user), around).await?;
        }
        known.forget_keys();
        Ok(known)
    }

    /// Whether what is unique is repeated, the store says.
    fn forget_keys(&mut self) {
        self.configs.by_key.clear();
        self.plans.by_key.clear();
        self.users.by_key.clear();
        self.telegram.by_key.clear();
        self.subscriptions.by_key.clear();
        self.preferences.by_key.clear();
    }

    /// What a kept document refers to.
    fn trust(&mut self, to: Collection, kept: Option<&Document>, path: &str) {
        let path: Vec<&str> = path.split('/').skip(1).collect();
        let ids = match kept.and_then(|kept| at(kept, &path)) {
            Some(Bson::ObjectId(id)) => vec![*id],
            Some(Bson::Array(list)) => list.iter().filter_map(Bson::as_object_id).collect(),
            _ => return,
        };
        for id in ids {
            match to {
                Collection::AlertConfigurations => self.configs.trust(id.into()),
                Collection::SubscriptionPlans => self.plans.trust(id.into()),
                Collection::Users => self.users.trust(id.into()),
                Collection::UserSubscriptions => self.subscriptions.trust(id.into()),
                _ => {}
            }
        }
    }

    /// A user's subscriptions; of the kept one only that it is there. Where it has a place already, none is counted.
    async fn enter_subscriptions(
        &mut self,
        store: &dyn DocumentStore,
        user: UserId,
        around: EntryReferences<'_>,
    ) -> StoreResult<()> {
        let itself = around.kept.filter(|_| around.collection == Collection::UserSubscriptions);
        let had_place =
            itself.is_some_and(|kept| reference(kept, "userId") == Some(user.0) && place(kept).is_open(around.now));
        let itself = itself.and_then(|kept| kept.get_object_id("_id").ok());
        let query =
            ListQuery { filters: vec![("userId", user.into())], ..ListQuery::all_of(Collection::UserSubscriptions) };
        for document in list_all(store, query).await? {
            let Ok(id) = document.get_object_id("_id") else { continue };
            if Some(id) != itself {
                self.enter_subscription(&document, id.into());
            }
        }
        if had_place {
            self.places.clear();
        }
        Ok(())
    }

    /// Reads what the store holds. A document that is not as it should be is known by as much of it as can be read.
    pub(crate) async fn load(store: &dyn DocumentStore) -> StoreResult<Self> {
        let mut known = Self::default();
        for collection in COLLECTIONS {
            let visit = |document| known.enter(collection, &document);
            collection_walk::each(|after| store.page(collection, after, PAGE), visit).await?;
        }
        Ok(known)
    }

    fn enter(&mut self, collection: Collection, document: &Document) {
        let Ok(id) = document.get_object_id("_id") else { return };
        let named = (collection, name_of(collection, document));
        match collection {
            Collection::AlertConfigurations => self.configs.of_store(config_name(document), id.into(), named),
            Collection::SubscriptionPlans => self.enter_plan(document, id.into()),
            Collection::Users => {
                self.users.of_store(text(document, &["email"]), id.into(), named.clone());
                self.telegram.of_store(text(document, &["telegram", "userId"]), id.into(), named);
            }
            Collection::UserSubscriptions => self.enter_subscription(document, id.into()),
            Collection::UserAlertPreferences => {
                let key = reference(document, "userId").zip(reference(document, "alertConfigId"));
                self.preferences.of_store(key.map(|(user, config)| (user.into(), config.into())), id.into(), named);
            }
            _ => {}
        }
    }

    fn enter_plan(&mut self, document: &Document, id: PlanId) {
        let name = text(document, &["name"]);
        self.plans.of_store(name.clone(), id, (Collection::SubscriptionPlans, name));
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
        let transaction = text(document, &["payment", "transactionId"]);
        let key = transaction.as_deref().map(transaction_key);
        self.subscriptions.of_store(key, id, (Collection::UserSubscriptions, transaction));
        let Some(user) = reference(document, "userId").map(UserId) else { return };
        self.of_user.entry(user).or_default().push(id);
        self.places.entry(user).or_default().push(place(document));
    }
}

/// What the entries of a collection refer to, by JSON pointer.
const fn references(collection: Collection) -> &'static [(&'static str, Collection)] {
    match collection {
        Collection::SubscriptionPlans => &[("/alertConfigurations", Collection::AlertConfigurations)],
        Collection::UserSubscriptions => &[
            ("/userId", Collection::Users),
            ("/subscriptionPlanId", Collection::SubscriptionPlans),
            ("/payment/approvedBy", Collection::Users),
            ("/alertcast/picks", Collection::AlertConfigurations),
        ],
        Collection::UserAlertPreferences => &[
            ("/userId", Collection::Users),
            ("/alertConfigId", Collection::AlertConfigurations),
            ("/subscriptionId", Collection::UserSubscriptions),
        ],
        _ => &[],
    }
}

/// The ids in a value that holds one or a list of them.
fn ids_in(value: Option<&Value>) -> Vec<ObjectId> {
    match value {
        Some(Value::Array(items)) => items.iter().filter_map(|item| values::id(item).ok()).collect(),
        Some(one) => values::id(one).into_iter().collect(),
        None => Vec::new(),
    }
}

/// What a document is called, for people.
pub(crate) fn name_of(collection: Collection, document: &Document) -> Option<String> {
    match collection {
        Collection::AlertConfigurations | Collection::SubscriptionPlans => text(document, &["name"]),
        Collection::Users => text(document, &["profile", "name"]),
        Collection::UserSubscriptions => text(document, &["payment", "transactionId"]),
        Collection::AdminUsers => text(document, &["username"]),
        _ => None,
    }
}

/// A kept subscription, as far as it can be read, as the number of a user's subscriptions sees it.
fn place(document: &Document) -> SubscriptionPlace {
    let status = text(document, &["subscription", "status"]);
    let status = status.and_then(|text| SubscriptionStatus::ALL.iter().copied().find(|word| word.as_str() == text));
    let date = |name| at(document, &["subscription", name]).and_then(Bson::as_datetime).map(|at| Time::from(*at));
    let rejected = text(document, &["payment", "status"]).as_deref() == Some(PaymentStatus::Rejected.as_str());
    SubscriptionPlace {
        plan: reference(document, "subscriptionPlanId").map(PlanId),
        status: status.filter(|_| !rejected).unwrap_or(SubscriptionStatus::Pending),
        start: date("startDate"),
        end: date("endDate"),
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
