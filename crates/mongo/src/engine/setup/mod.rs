//! Setting up: collections, indexes and validators as core declares them, and the version of all that.
//!
//! First everything is looked at, and what does not allow it is told, before anything is changed. Then, one process at a
//! time, what is missing is made. An application that works on the same database goes on meanwhile: indexes are built
//! beside it, and validators are `moderate`, so that a document which broke them before can still be changed; a new
//! one, or one that kept them, is checked. A validator that has changed with the version is put in its place.

mod duplicates;
mod index;
mod lock;
mod schema;

use std::collections::HashMap;

use alertcast_core::store::collection::IndexDeclaration;
use alertcast_core::store::{Collection, StoreError, StoreResult};
use bson::{Document, doc};
use futures::TryStreamExt;
use futures::future::BoxFuture;
use mongodb::IndexModel;
use mongodb::options::ValidationLevel;

use crate::engine::alert_order::keep_place;
use crate::engine::query::whole;
use crate::error::{MongoError, MongoResult};
use crate::store::MongoStore;
use index::IndexComparison;
#[cfg(test)]
pub(crate) use index::list_wanted;
pub(crate) use index::name;

/// Counters: the change log's end, the last place in the order of alerts, and the set-up's version.
pub(crate) const COUNTERS: &str = "counters";

/// The version of what is set up. Raised with every change that an older Alertcast could not live with.
const VERSION: i64 = 3;

/// A step from a version to the next. It may be broken off and done again.
type UpgradeStep = for<'a> fn(&'a MongoStore) -> BoxFuture<'a, MongoResult<()>>;

/// `STEPS[0]` leads from 1 to 2.
const STEPS: &[UpgradeStep] = &[|store| Box::pin(one_order(store)), |store| Box::pin(unsettled_of_ours(store))];

/// So often a turn that was taken over is waited for again.
const TURNS_MAX: u32 = 3;

const NAMESPACE_EXISTS: i32 = 48;
const NAMESPACE_NOT_FOUND: i32 = 26;
const INDEX_NOT_FOUND: i32 = 27;

pub(crate) async fn setup(store: &MongoStore) -> StoreResult<()> {
    for _ in 0..TURNS_MAX {
        if survey(store).await?.is_complete() {
            return Ok(());
        }
        let turn = lock::take(store).await?;
        let done = change(store, &turn).await;
        match turn.end(store).await {
            Err(StoreError::Fenced { .. }) => {}
            ended => return done.and(ended),
        }
    }
    Err(StoreError::Unavailable("others kept taking over the setting up of the database".to_owned()))
}

/// What `setup` would make, one line each; nothing is changed.
pub(crate) async fn list_missing(store: &MongoStore) -> StoreResult<Vec<String>> {
    let survey = survey(store).await?;
    let collections = survey.collections.iter().map(|name| format!("the collection {name}"));
    let indexes = survey.indexes.iter().map(|(of, index)| format!("the index {} of {of}", name(index)));
    let validators = survey.validators.iter().map(|of| format!("the validator of {of}"));
    Ok(collections.chain(indexes).chain(validators).collect())
}

/// Makes what is still missing once it is our turn.
async fn change(store: &MongoStore, turn: &lock::SetupLock) -> StoreResult<()> {
    let survey = survey(store).await?;
    if survey.is_complete() {
        return Ok(());
    }
    turn.run_locked(store, make(store, &survey)).await?;
    turn.note(store, VERSION).await
}

/// What the database lacks.
#[derive(Debug, Default)]
struct DatabaseSurvey {
    version: i64,
    collections: Vec<&'static str>,
    validators: Vec<Collection>,
    indexes: Vec<(Collection, &'static IndexDeclaration)>,
}

impl DatabaseSurvey {
    const fn is_complete(&self) -> bool {
        self.version == VERSION && self.collections.is_empty() && self.validators.is_empty() && self.indexes.is_empty()
    }
}

/// Looks at everything. `SetupRefused` where something stands in the way.
async fn survey(store: &MongoStore) -> StoreResult<DatabaseSurvey> {
    let version = lock::version(store).await?;
    let mut survey = DatabaseSurvey { version, ..DatabaseSurvey::default() };
    if version > VERSION {
        return Err(StoreError::SetupRefused {
            problems: vec![format!(
                "the database {} was set up by a later version of Alertcast (it has version {version}, this one knows \
                 {VERSION}): run that version, or name another database in ALERTCAST_STORE",
                store.db().name()
            )],
        });
    }
    let standing = store.link.run_bounded(read_standing(store)).await?;
    survey.collections = all_names().filter(|name| !standing.contains_key(*name)).collect();
    let mut problems = Vec::new();
    for collection in Collection::ALL {
        let kept = standing.get(collection.name());
        if let Some(wanted) = schema::validator(*collection) {
            match kept.and_then(|kept| kept.validator.as_ref()) {
                Some((there, level)) if *there == wanted && *level == ValidationLevel::Moderate => {}
                Some((there, _)) if !schema::is_replaceable(there) => problems.push(format!(
                    "{collection} has a validator that is not Alertcast's: take it away with \
                     db.runCommand({{ collMod: \"{collection}\", validator: {{}} }}), and setup sets its own"
                )),
                _ => survey.validators.push(*collection),
            }
        }
        for index in index::list_wanted(*collection) {
            match index::look(*collection, index, kept.map_or(&[], |kept| kept.indexes.as_slice())) {
                IndexComparison::Standing => {}
                IndexComparison::Other(problem) => problems.push(problem),
                IndexComparison::Missing => {
                    if index.unique && kept.is_some() {
                        problems.extend(duplicates::find(store, *collection, index).await.map_err(StoreError::from)?);
                    }
                    survey.indexes.push((*collection, index));
                }
            }
        }
    }
    if problems.is_empty() { Ok(survey) } else { Err(StoreError::SetupRefused { problems }) }
}

fn all_names() -> impl Iterator<Item = &'static str> {
    Collection::ALL.iter().map(|collection| collection.name()).chain([COUNTERS])
}

/// A collection as it is.
#[derive(Debug)]
struct CollectionState {
    validator: Option<(Document, ValidationLevel)>,
    indexes: Vec<IndexModel>,
}

async fn read_standing(store: &MongoStore) -> MongoResult<HashMap<String, CollectionState>> {
    let mut all = HashMap::new();
    let found: Vec<_> = store.db().list_collections().await?.try_collect().await?;
    for there in found.into_iter().filter(|there| all_names().any(|name| name == there.name)) {
        let indexes = store.db().collection::<Document>(&there.name).list_indexes().await?.try_collect().await?;
        let level = there.options.validation_level.unwrap_or(ValidationLevel::Strict);
        let validator = there.options.validator.map(|validator| (validator, level));
        all.insert(there.name, CollectionState { validator, indexes });
    }
    Ok(all)
}

async fn make(store: &MongoStore, survey: &DatabaseSurvey) -> MongoResult<()> {
    for step in STEPS.iter().skip(usize::try_from(survey.version.max(1) - 1).unwrap_or(0)) {
        step(store).await?;
    }
    for name in &survey.collections {
        create(store, name).await?;
    }
    for collection in Collection::ALL {
        let wanted = survey.indexes.iter().filter(|(of, _)| of == collection);
        let models: Vec<_> = wanted.map(|(_, index)| index::model(index)).collect();
        if !models.is_empty() {
            store.collection(*collection).create_indexes(models).await?;
        }
    }
    for collection in &survey.validators {
        if let Some(validator) = schema::validator(*collection) {
            let level = doc! {
                "collMod": collection.name(), "validator": validator,
                "validationLevel": "moderate", "validationAction": "error",
            };
            store.db().run_command(level).await?;
        }
    }
    Ok(())
}

/// Creates a collection, unless an application was faster.
async fn create(store: &MongoStore, name: &str) -> MongoResult<()> {
    match store.db().create_collection(name).await {
        Err(error) if MongoError::code_of(&error) == Some(NAMESPACE_EXISTS) => Ok(()),
        answer => Ok(answer?),
    }
}

/// From 1 to 2: the alerts of all configurations have one order, not each configuration its own.
async fn one_order(store: &MongoStore) -> MongoResult<()> {
    let counters = store.db().collection::<Document>(COUNTERS);
    let former = doc! { "_id": { "$regex": "^order:" } };
    let last = counters.find(former.clone()).sort(doc! { "seq": -1 }).limit(1).await?.try_next().await?;
    if let Some(last) = last.and_then(|counter| whole(counter.get("seq")?)) {
        keep_place(store, last).await?;
    }
    counters.delete_many(former).await?;
    Ok(())
}

/// From 2 to 3: the index of what is to be settled holds no alert that an application keeps by itself. The new one has
/// other keys; the former serves nobody any more.
async fn unsettled_of_ours(store: &MongoStore) -> MongoResult<()> {
    const FORMER: &str = "processing.status_1_alertcast.settledAt_1__id_1";
    match store.collection(Collection::Alerts).drop_index(FORMER).await {
        Err(error) if matches!(MongoError::code_of(&error), Some(NAMESPACE_NOT_FOUND | INDEX_NOT_FOUND)) => Ok(()),
        answer => Ok(answer?),
    }
}
