//! How the statements of the ports are served, under test: every statement that reads or changes documents goes by an
//! id or by an index that is set up, and sorts only what is few. The statements are taken from the connection as they
//! are sent, and held against the indexes by the server's rules: values that are asked for by equality first, then the
//! order, then a range; a partial index only where the statement says that its document is in it.

use std::sync::{Arc, Mutex};

use alertcast_core::conformance::Harness;
use alertcast_core::conformance::fixtures::*;
use alertcast_core::conformance::scene::{BOTH, Scene, TELEGRAM, closing, dead, finished, opening, retry, sent};
use alertcast_core::delivery::{Channel, DeliveryState};
use alertcast_core::store::collection::{Direction, Index};
use alertcast_core::store::listing::{ListQuery, Mark, listing};
use alertcast_core::store::{AttemptRecord, Collection, Documents as _, Outcome, Store, UserSpan};
use async_trait::async_trait;
use bson::oid::ObjectId;
use bson::{Bson, Document, doc};
use mongodb::Client;
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use mongodb::options::ClientOptions;

use crate::connect::MongoStore;
use crate::gates::Gates;
use crate::setup::{name, wanted};

/// A statement that looks for documents.
#[derive(Debug, Clone)]
struct Asked {
    collection: Collection,
    filter: Document,
    sort: Document,
}

/// How it is served.
#[derive(Debug, Clone, PartialEq)]
struct Plan {
    /// `_id`, or an index's name.
    index: String,
    /// How many of its keys bound what is looked at.
    bounds: usize,
    sorts_in_memory: bool,
}

/// What a statement says of a field.
#[derive(Debug, Clone, PartialEq)]
enum Said {
    Is(Bson),
    IsOneOf(Vec<Bson>),
    Range,
    Other,
}

fn said(filter: &Document, path: &str) -> Option<Said> {
    let value = filter.get(path)?;
    let Some(condition) = value.as_document().filter(|all| all.keys().all(|key| key.starts_with('$'))) else {
        return Some(Said::Is(value.clone()));
    };
    if let Some(value) = condition.get("$eq") {
        return Some(Said::Is(value.clone()));
    }
    if let Ok(values) = condition.get_array("$in") {
        return Some(Said::IsOneOf(values.clone()));
    }
    let is_range = condition.keys().any(|key| ["$gt", "$gte", "$lt", "$lte"].contains(&key.as_str()));
    let is_there = condition.get("$ne") == Some(&Bson::Null);
    Some(if is_range || is_there { Said::Range } else { Said::Other })
}

/// Whether every document that is looked for is in a partial index.
fn is_within(filter: &Document, index: &Index) -> bool {
    let Some((path, words)) = index.only else { return true };
    let is_word = |value: &Bson| value.as_str().is_some_and(|value| words.contains(&value));
    match said(filter, path) {
        Some(Said::Is(value)) => is_word(&value),
        Some(Said::IsOneOf(values)) => values.iter().all(is_word),
        _ => false,
    }
}

fn by_index(asked: &Asked, index: &Index) -> Option<Plan> {
    if !is_within(&asked.filter, index) {
        return None;
    }
    let is_point = |path: &str| matches!(said(&asked.filter, path), Some(Said::Is(_) | Said::IsOneOf(_)));
    let equal = index.keys.iter().take_while(|(path, _)| is_point(path)).count();
    let is_ordered = is_ordered(asked, &index.keys[equal..]);
    let is_range = index.keys.get(equal).is_some_and(|(path, _)| said(&asked.filter, path) == Some(Said::Range));
    let narrows = equal > 0 || is_range || (is_ordered && !asked.sort.is_empty());
    let sorts_in_memory = !is_ordered;
    narrows.then(|| Plan { index: name(index), bounds: equal + usize::from(is_range), sorts_in_memory })
}

/// Whether what comes by these keys comes in the wanted order, forwards or backwards.
fn is_ordered(asked: &Asked, keys: &[(&str, Direction)]) -> bool {
    let is_one = |path: &&String| !matches!(said(&asked.filter, path), Some(Said::Is(_)));
    let wanted: Vec<(&String, i32)> =
        asked.sort.iter().filter(|(path, _)| is_one(path)).map(|(path, way)| (path, way.as_i32().unwrap())).collect();
    let sign = |way: Direction| if way == Direction::Up { 1 } else { -1 };
    let turns: Vec<i32> = wanted.iter().zip(keys).map(|((_, way), key)| way * sign(key.1)).collect();
    wanted.len() <= keys.len()
        && wanted.iter().zip(keys).all(|((path, _), key)| *path == key.0)
        && turns.windows(2).all(|pair| pair[0] == pair[1])
}

/// The best way; none where the collection would be walked through.
fn plan(asked: &Asked) -> Option<Plan> {
    let by_id = said(&asked.filter, "_id");
    let in_order = asked.sort.keys().next().is_none_or(|path| path == "_id");
    if matches!(by_id, Some(Said::Is(_) | Said::IsOneOf(_))) || (by_id == Some(Said::Range) && in_order) {
        return Some(Plan { index: "_id".to_owned(), bounds: 1, sorts_in_memory: false });
    }
    let all = wanted(asked.collection).filter_map(|index| by_index(asked, index));
    let best = all.max_by_key(|plan| (!plan.sorts_in_memory, plan.bounds));
    let walks_ids = asked.filter.is_empty() && asked.sort.keys().next().is_some_and(|path| path == "_id");
    best.or_else(|| walks_ids.then(|| Plan { index: "_id".to_owned(), bounds: 0, sorts_in_memory: false }))
}

/// What a command looks for; nothing where it is none of those that do, or none of our collections.
fn asked(command: &Document) -> Vec<Asked> {
    let Some((kind, of)) = command.iter().next() else { return Vec::new() };
    let Some(collection) = of.as_str().and_then(Collection::from_name) else { return Vec::new() };
    let document = |of: &Document, field: &str| of.get_document(field).cloned().unwrap_or_default();
    let one = |filter, sort| Asked { collection, filter, sort };
    let many = |field: &str| {
        let all = command.get_array(field).unwrap().iter().filter_map(Bson::as_document);
        all.map(|each| one(document(each, "q"), Document::new())).collect()
    };
    match kind.as_str() {
        "find" => vec![one(document(command, "filter"), document(command, "sort"))],
        "findAndModify" => vec![one(document(command, "query"), document(command, "sort"))],
        "update" => many("updates"),
        "delete" => many("deletes"),
        "aggregate" => {
            let stages: Vec<&Document> =
                command.get_array("pipeline").unwrap().iter().filter_map(Bson::as_document).collect();
            let stage = |n: usize, name: &str| stages.get(n).map(|stage| document(stage, name)).unwrap_or_default();
            vec![one(stage(0, "$match"), stage(1, "$sort"))]
        }
        _ => Vec::new(),
    }
}

/// A store whose statements are written down.
#[derive(Debug, Clone)]
struct Watched {
    database: String,
    seen: Arc<Mutex<Vec<Asked>>>,
}

impl Watched {
    fn new() -> Self {
        Self { database: format!("alertcast_test_{}", ObjectId::new()), seen: Arc::default() }
    }

    async fn open(&self) -> MongoStore {
        let uri = std::env::var("ALERTCAST_TEST_MONGODB_URI").expect("./test sets ALERTCAST_TEST_MONGODB_URI");
        let mut options = ClientOptions::parse(uri).await.unwrap();
        let seen = Arc::clone(&self.seen);
        options.command_event_handler = Some(EventHandler::callback(move |event| {
            if let CommandEvent::Started(started) = event {
                seen.lock().unwrap().extend(asked(&started.command));
            }
        }));
        let client = Client::with_options(options).unwrap();
        let db = client.database(&self.database);
        MongoStore { client, db, gates: Gates::default(), hosts: String::new() }
    }

    /// What was asked since the last time.
    fn drain(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    /// The indexes by which the statements since the last time go, each once; fails where one goes by none.
    #[track_caller]
    fn indexes(&self) -> Vec<String> {
        let mut all: Vec<String> = self.plans().into_iter().map(|plan| plan.index).filter(|it| it != "_id").collect();
        all.sort();
        all.dedup();
        all
    }

    #[track_caller]
    fn plans(&self) -> Vec<Plan> {
        self.drain().iter().map(|asked| plan(asked).unwrap_or_else(|| panic!("by no index: {asked:?}"))).collect()
    }
}

#[async_trait]
impl Harness for Watched {
    async fn fresh(&self) -> Arc<dyn Store> {
        let store = self.open().await;
        store.setup().await.unwrap();
        self.drain();
        Arc::new(store)
    }

    async fn reopen(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        store
    }
}

async fn drop_database(watched: &Watched) {
    watched.open().await.db.drop().await.unwrap();
}

const QUEUE: &str = "lane_1_priority_1_queuedAt_1_rotation_1_dueAt_1";
const HOLDERS: &str = "alertConfigId_1_status_1_userId_1";
const LAST_NUMBERS: &str = "alertConfigId_1_userId_1_tradeNumber_-1";
const ENDED: &str = "state_1_endedAt_1";
const UNSETTLED: &str = "processing.status_1_alertcast.settledAt_1__id_1";
const PRICES: &str = "processing.alertConfigId_1_webhook.receivedAt_-1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_goes_by_its_index() {
    let watched = Watched::new();
    let scene = Scene::new(&watched, 3).await;
    let store = &*scene.store;
    watched.drain();

    store.recent_prices(config_id(1), at(0)).await.unwrap();
    assert_eq!(watched.indexes(), [PRICES]);
    store.find_duplicate(&[own_key(1)], at(0)).await.unwrap();
    store.receipt_mark(config_id(1)).await.unwrap();
    assert!(watched.indexes().is_empty(), "by their ids alone");
    scene.accept(1, 1).await;
    watched.drain();

    store.pending_alerts(&[1, 2, 3], &[config_id(2)], 10).await.unwrap();
    let pending = watched.plans();
    assert_eq!(pending[0].index, "alertcast.partition_1_alertcast.seq_1");
    assert!(!pending[0].sorts_in_memory);
    store.holders(config_id(1), Some(user_id(1)), 10).await.unwrap();
    let holders = watched.plans();
    assert!(holders[0].index == HOLDERS && !holders[0].sorts_in_memory, "{holders:?}");
    let span = UserSpan { first: user_id(1), last: user_id(3) };
    store.load_chunk(config_id(1), span, &[user_id(1), user_id(3)]).await.unwrap();
    let loading = watched.plans();
    // The open trades of one chunk are few, and sorted by user and number; the numbers come in their order.
    assert_eq!(loading.iter().map(|plan| plan.index.as_str()).collect::<Vec<_>>(), [HOLDERS, LAST_NUMBERS, "_id"]);
    assert_eq!(loading.iter().map(|plan| plan.sorts_in_memory).collect::<Vec<_>>(), [true, false, false]);

    let chunk = finished(opening(&scene.work, 1, 1, 1..=3, BOTH), at(2));
    store.commit(chunk).await.unwrap();
    assert_eq!(watched.indexes(), [HOLDERS, "key_1"].map(str::to_owned)[..1], "what was seen open is looked for again");

    store.due(BOT, at(9), 2).await.unwrap();
    let due = watched.plans();
    assert!(due.iter().all(|plan| plan.index == QUEUE && !plan.sorts_in_memory), "{due:?}");
    store.next_due(BOT, at(0)).await.unwrap();
    assert_eq!(watched.indexes(), ["lane_1_dueAt_1"]);
    let first = delivery_id(Channel::Telegram, 1, 1);
    scene.take(Channel::Telegram, &[first], 3).await;
    scene.record(Channel::Telegram, first, sent(1), 4).await;
    let second = delivery_id(Channel::Telegram, 1, 2);
    scene.attempt(Channel::Telegram, second, dead(), 4).await;
    let third = delivery_id(Channel::Telegram, 1, 3);
    scene.attempt(Channel::Telegram, third, retry(9), 4).await;
    let recording = watched.plans();
    assert!(recording.iter().all(|plan| plan.index == "_id" || !plan.sorts_in_memory), "{recording:?}");
    store.recover(&scene.bot, at(5)).await.unwrap();
    assert_eq!(watched.indexes(), ["lane_1"]);
    store.defer_chat(&scene.bot, &chat(1), at(6)).await.unwrap();
    assert_eq!(watched.indexes(), ["to_1"]);
    store.expire_overdue(at(5), 10).await.unwrap();
    assert_eq!(watched.indexes(), ["deadlineAt_1"]);
    let end = |user: u32| AttemptRecord {
        delivery: delivery_id(Channel::Email, 1, user),
        outcome: Outcome::Dropped { reason: "suspended".to_owned() },
    };
    store.record_attempts(&scene.mail, (1..=3).map(end).collect(), at(7)).await.unwrap();
    watched.plans();
    store.settle(alert_id(1), at(8)).await.unwrap();
    let settling = watched.indexes();
    assert!(settling.contains(&"alertId_1".to_owned()), "{settling:?}");
    store.unsettled(Some(alert_id(0)), 10).await.unwrap();
    let unsettled = watched.plans();
    assert!(unsettled[0].index == UNSETTLED && !unsettled[0].sorts_in_memory, "{unsettled:?}");
    store.purge(at(1), at(1), at(1), 10).await.unwrap();
    assert_eq!(watched.indexes(), ["receivedAt_1", ENDED, "until_1"]);

    scene.accept(2, 1).await;
    store.commit(finished(closing(&scene.work, 2, 1, 1, 1..=1, TELEGRAM), at(4))).await.err();
    store.decisions(alert_id(1), Some(user_id(1)), 10).await.unwrap();
    store.deliveries_of(alert_id(1), None, 10).await.unwrap();
    store.find_unique(Collection::Users, &[("telegram.userId", chat(1).into())]).await.unwrap();
    store.find_profile(&chat(1)).await.unwrap();
    store.open_trades_by_config(user_id(1)).await.unwrap();
    store.changes_since(1, 10).await.unwrap();
    store.page(Collection::Users, Some(user_id(1).0), 10).await.unwrap();
    store.get(Collection::Users, &[user_id(1).0]).await.unwrap();
    store.leases("tg:").await.unwrap();
    assert!(watched.plans().iter().all(|plan| !plan.sorts_in_memory));
    drop_database(&watched).await;
}

/// Whatever list is asked for, at its beginning and further on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_list_goes_by_an_index_and_sorts_only_what_is_few() {
    let watched = Watched::new();
    let store = watched.fresh().await;
    for collection in Collection::ALL {
        let Some(of) = listing(*collection) else { continue };
        let alone = of.filters.iter().map(|filter| vec![(*filter, Bson::from("x"))]);
        let all = of.filters.iter().map(|filter| (*filter, Bson::from("x"))).collect();
        for filters in alone.chain([Vec::new(), all]) {
            for (sort, after) in of.sorts.iter().flat_map(|sort| [(*sort, false), (*sort, true)]) {
                let mark = Mark { value: "x".into(), id: oid(1, 0, 1) };
                let mut query = ListQuery {
                    collection: *collection,
                    filters: filters.clone(),
                    sort,
                    descending: true,
                    after: after.then_some(mark),
                    limit: 10,
                };
                if sort == "endedAt" && !filters.iter().any(|(path, _)| ["userId", "state"].contains(path)) {
                    continue;
                }
                // Only ended deliveries have an end: the index holds no others.
                let state = query.filters.iter_mut().find(|(path, _)| *path == "state");
                state.into_iter().for_each(|(_, value)| *value = DeliveryState::Sent.into());
                let way = query.way().unwrap();
                store.list(&query).await.unwrap();
                for asked in watched.drain() {
                    let plan = plan(&asked);
                    let is_few = way.ordered_by.is_none() || asked.sort.keys().eq(["_id"]) && sort != "_id";
                    let walks_few = way == alertcast_core::store::listing::Way { equal: &[], ordered_by: None };
                    let is_served = plan.as_ref().is_some_and(|plan| is_few || !plan.sorts_in_memory);
                    assert!(is_served || walks_few, "{collection} {query:?}: {asked:?} {plan:?}");
                }
            }
        }
    }
    drop_database(&watched).await;
}
