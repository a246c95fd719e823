//! How the statements of the ports are served, under test: every statement that reads or changes documents goes by an
//! id or by an index that is set up, and sorts only what is few. The statements are taken from the connection as they
//! are sent, and held against the indexes by the server's rules: values that are asked for by equality first, then the
//! order, then a range; a partial index only where the statement says that its document is in it.

use alertcast_core::fixtures::{dead, retry, sent_outcome};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use alertcast_conformance::StoreHarness;
use alertcast_conformance::scene::{BOTH, TestScene, finish_commit, opening_commit};
use alertcast_core::delivery::{Channel, DeliveryState};
use alertcast_core::fixtures::*;
use alertcast_core::store::collection::{IndexDeclaration, SortDirection};
use alertcast_core::store::listing::{ListQuery, PageMark, find_listing};
use alertcast_core::store::{AttemptOutcome, AttemptRecord, Collection, DocumentStore as _, Store, UserSpan};
use async_trait::async_trait;
use bson::oid::ObjectId;
use bson::{Bson, Document, doc};
use mongodb::Client;
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use mongodb::options::ClientOptions;

use crate::engine::setup::{list_wanted, name};
use crate::store::MongoStore;

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
    /// How many of its keys bound what is looked at, and how many of them with one value.
    bounds: usize,
    exact: usize,
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
    let is_range = condition.keys().any(|key| ["$gt", "$gte", "$lt", "$lte", "$nin"].contains(&key.as_str()));
    let is_there = condition.get("$ne") == Some(&Bson::Null);
    Some(if is_range || is_there { Said::Range } else { Said::Other })
}

/// Whether every document that is looked for is in a partial index.
fn is_within(filter: &Document, index: &IndexDeclaration) -> bool {
    if index.above_zero.is_some_and(|path| filter.get(path) != Some(&doc! { "$gt": 0 }.into())) {
        return false;
    }
    let Some((path, words)) = index.only else { return true };
    let is_word = |value: &Bson| value.as_str().is_some_and(|value| words.contains(&value));
    match said(filter, path) {
        Some(Said::Is(value)) => is_word(&value),
        Some(Said::IsOneOf(values)) => values.iter().all(is_word),
        _ => false,
    }
}

fn by_index(asked: &Asked, index: &IndexDeclaration) -> Option<Plan> {
    if !is_within(&asked.filter, index) {
        return None;
    }
    let is_point = |path: &str| matches!(said(&asked.filter, path), Some(Said::Is(_) | Said::IsOneOf(_)));
    let equal = index.keys.iter().take_while(|(path, _)| is_point(path)).count();
    let is_ordered = is_ordered(asked, &index.keys[equal..]);
    let is_range = index.keys.get(equal).is_some_and(|(path, _)| said(&asked.filter, path) == Some(Said::Range));
    let narrows = equal > 0 || is_range || (is_ordered && !asked.sort.is_empty());
    let sorts_in_memory = !is_ordered;
    let is_exact = |path: &str| matches!(said(&asked.filter, path), Some(Said::Is(_)));
    let exact = index.keys[..equal].iter().filter(|(path, _)| is_exact(path)).count();
    narrows.then(|| Plan { index: name(index), bounds: equal + usize::from(is_range), exact, sorts_in_memory })
}

/// Whether what comes by these keys comes in the wanted order, forwards or backwards.
fn is_ordered(asked: &Asked, keys: &[(&str, SortDirection)]) -> bool {
    let is_one = |path: &&String| !matches!(said(&asked.filter, path), Some(Said::Is(_)));
    let wanted: Vec<(&String, i32)> =
        asked.sort.iter().filter(|(path, _)| is_one(path)).map(|(path, way)| (path, way.as_i32().unwrap())).collect();
    let sign = |way: SortDirection| if way == SortDirection::Up { 1 } else { -1 };
    let turns: Vec<i32> = wanted.iter().zip(keys).map(|((_, way), key)| way * sign(key.1)).collect();
    wanted.len() <= keys.len()
        && wanted.iter().zip(keys).all(|((path, _), key)| *path == key.0)
        && turns.windows(2).all(|pair| pair[0] == pair[1])
}

/// The best way; none where the collection would be walked through.
fn plan(asked: &Asked) -> Option<Plan> {
    if let Ok(branches) = asked.filter.get_array("$or")
        && asked.filter.len() == 1
    {
        let branches = branches.iter().filter_map(Bson::as_document);
        let plans = branches.map(|filter| plan(&Asked { filter: filter.clone(), ..asked.clone() }));
        return plans.collect::<Option<Vec<Plan>>>()?.pop();
    }
    let by_id = said(&asked.filter, "_id");
    let of_id = |bounds, exact| Plan { index: "_id".to_owned(), bounds, exact, sorts_in_memory: false };
    if matches!(by_id, Some(Said::Is(_) | Said::IsOneOf(_))) {
        return Some(of_id(1, 1));
    }
    let first = asked.sort.keys().next();
    let walks_ids = asked.filter.is_empty() && first.is_some_and(|path| path == "_id");
    let ranges_ids = by_id == Some(Said::Range) && first.is_none_or(|path| path == "_id");
    let by_ids = (walks_ids || ranges_ids).then(|| of_id(usize::from(ranges_ids), 0));
    let all = list_wanted(asked.collection).filter_map(|index| by_index(asked, index)).chain(by_ids);
    all.max_by_key(|plan| (!plan.sorts_in_memory, plan.bounds, plan.exact))
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
    /// Round trips.
    commands: Arc<AtomicUsize>,
    wrong: Arc<Mutex<Vec<String>>>,
}

impl Watched {
    fn new() -> Self {
        let database = format!("alertcast_test_{}", ObjectId::new());
        Self { database, seen: Arc::default(), commands: Arc::default(), wrong: Arc::default() }
    }

    async fn open(&self) -> MongoStore {
        let uri = std::env::var("ALERTCAST_TEST_MONGODB_URI").expect("./test sets ALERTCAST_TEST_MONGODB_URI");
        let mut options = ClientOptions::parse(uri).await.unwrap();
        let (seen, commands) = (Arc::clone(&self.seen), Arc::clone(&self.commands));
        options.command_event_handler = Some(EventHandler::callback(move |event| {
            if let CommandEvent::Started(started) = event {
                commands.fetch_add(1, Ordering::SeqCst);
                seen.lock().unwrap().extend(asked(&started.command));
            }
        }));
        let client = Client::with_options(options).unwrap();
        MongoStore::over(client, &self.database, "watched")
    }

    /// What was asked since the last time.
    fn drain(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    /// Notes where the statements since the last time go by other indexes than these (`_id` aside), by none, or sort in
    /// memory. A name with a star: what it finds is few, and is sorted.
    fn went_by(&self, what: &str, wanted: &[&str]) {
        let mut found = BTreeSet::new();
        for asked in self.drain() {
            match plan(&asked) {
                Some(plan) if plan.index == "_id" => {}
                Some(plan) => found.extend([plan.index + if plan.sorts_in_memory { "*" } else { "" }]),
                None => self.wrong.lock().unwrap().push(format!("{what}: by no index: {asked:?}")),
            }
        }
        let wanted: BTreeSet<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
        if found != wanted {
            self.wrong.lock().unwrap().push(format!("{what}: by {found:?}, not {wanted:?}"));
        }
    }
}

#[async_trait]
impl StoreHarness for Watched {
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
    watched.open().await.db().drop().await.unwrap();
}

const HOLDERS: &str = "alertConfigId_1_status_1_userId_1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_goes_by_its_index() {
    let watched = Watched::new();
    let scene = TestScene::new(&watched, 3).await;
    let store = &*scene.store;
    watched.drain();

    store.recent_prices(config_id(1), at(0)).await.unwrap();
    watched.went_by("recent_prices", &["processing.alertConfigId_1_webhook.receivedAt_-1"]);
    store.find_duplicate(&[own_key(1)], at(0)).await.unwrap();
    store.receipt_mark(config_id(1)).await.unwrap();
    scene.accept(1, 1).await;
    watched.went_by("intake", &[]);

    store.pending_alerts(&[1, 2, 3], &[config_id(2)], 10).await.unwrap();
    watched.went_by("pending_alerts", &["alertcast.partition_1_alertcast.seq_1"]);
    store.holders(config_id(1), Some(user_id(1)), 10).await.unwrap();
    watched.went_by("holders", &[HOLDERS]);
    let span = UserSpan { first: user_id(1), last: user_id(3) };
    store.load_chunk(config_id(1), span, &[user_id(1), user_id(3)]).await.unwrap();
    let sorted = "alertConfigId_1_status_1_userId_1*";
    watched.went_by("load_chunk", &[sorted, "alertConfigId_1_userId_1_tradeNumber_-1"]);
    store.commit(finish_commit(opening_commit(&scene.work, 1, 1, 1..=3, BOTH), at(2))).await.unwrap();
    watched.went_by("commit", &[HOLDERS, "key_1"]);

    store.due(&lane(Channel::Telegram), at(9), 2).await.unwrap();
    watched.went_by("due", &["lane_1_priority_1_queuedAt_1_rotation_1_dueAt_1"]);
    store.next_due(&lane(Channel::Telegram), at(0)).await.unwrap();
    watched.went_by("next_due", &["lane_1_dueAt_1"]);
    let [first, second, third] = [1, 2, 3].map(|user| delivery_id(Channel::Telegram, 1, user));
    scene.attempt(Channel::Telegram, first, sent_outcome(1), 4).await;
    scene.attempt(Channel::Telegram, second, dead(), 4).await;
    scene.attempt(Channel::Telegram, third, retry(9), 4).await;
    watched.went_by("take and record_attempts", &[]);
    store.recover(&scene.bot, at(5)).await.unwrap();
    watched.went_by("recover", &["lane_1"]);
    store.defer_chat(&scene.bot, &chat(1), at(6)).await.unwrap();
    // Or by the chat: whichever the server finds to be fewer.
    watched.went_by("defer_chat", &["lane_1_dueAt_1"]);
    store.expire_overdue(at(5), 10).await.unwrap();
    watched.went_by("expire_overdue", &["deadlineAt_1"]);
    let end = |user: u32| AttemptRecord {
        delivery: delivery_id(Channel::Email, 1, user),
        outcome: AttemptOutcome::Dropped { reason: "suspended".to_owned() },
    };
    store.record_attempts(&scene.mail, (1..=3).map(end).collect(), at(7)).await.unwrap();
    scene.attempt(Channel::Telegram, third, sent_outcome(2), 9).await;
    watched.drain();
    store.settle(alert_id(1), at(9)).await.unwrap();
    watched.went_by("settle", &["alertId_1", "combinesAlert_1", "alertId_1_firstUser_1", "key_1"]);
    store.unsettled(Some(alert_id(0)), 10).await.unwrap();
    watched.went_by("unsettled", &["alertcast.settledAt_1__id_1"]);
    store.purge(at(1), at(1), at(1), 10).await.unwrap();
    watched.went_by("purge", &["receivedAt_1", "state_1_endedAt_1", "until_1"]);

    store.decisions(alert_id(1), Some(user_id(1)), 10).await.unwrap();
    watched.went_by("decisions", &["alertId_1_firstUser_1"]);
    store.deliveries_of(alert_id(1), None, 10).await.unwrap();
    watched.went_by("deliveries_of", &["key_1"]);
    store.find_profile(&chat(1)).await.unwrap();
    watched.went_by("find_profile", &["telegram.userId_1"]);
    store.open_trades_by_config(user_id(1)).await.unwrap();
    watched.went_by("open_trades_by_config", &["userId_1_status_1"]);
    store.changes_since(1, 10).await.unwrap();
    store.page(Collection::Users, Some(user_id(1).0), 10).await.unwrap();
    store.get(Collection::Users, &[user_id(1).0]).await.unwrap();
    store.leases("tg:").await.unwrap();
    watched.went_by("by id", &[]);
    drop_database(&watched).await;
    let wrong = watched.wrong.lock().unwrap().join("\n");
    assert!(wrong.is_empty(), "{wrong}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_takes_as_many_round_trips_for_many_subscribers_as_for_few() {
    let watched = Watched::new();
    let scene = TestScene::new(&watched, 240).await;
    let mut counted = Vec::new();
    for (by, users) in [(1, 1..=3), (2, 4..=240)] {
        watched.commands.store(0, Ordering::SeqCst);
        scene.accept(by, 1).await;
        let asked: Vec<_> = users.clone().map(user_id).collect();
        let span = UserSpan { first: asked[0], last: asked[asked.len() - 1] };
        scene.store.load_chunk(config_id(1), span, &asked).await.unwrap();
        scene
            .store
            .commit(finish_commit(opening_commit(&scene.work, by, 1, users, BOTH), at(i64::from(by) + 1)))
            .await
            .unwrap();
        counted.push(watched.commands.load(Ordering::SeqCst));
    }
    drop_database(&watched).await;
    assert_eq!(counted[0], counted[1], "with the number of chunks only");
    assert!(counted[0] <= 25, "{counted:?}");
}

/// Whatever list is asked for, at its beginning and further on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_list_goes_by_an_index_and_sorts_only_what_is_few() {
    let watched = Watched::new();
    let store = watched.fresh().await;
    for collection in Collection::ALL {
        let Some(of) = find_listing(*collection) else { continue };
        let alone = of.filters.iter().map(|filter| vec![(*filter, Bson::from("x"))]);
        let all = of.filters.iter().map(|filter| (*filter, Bson::from("x"))).collect();
        for filters in alone.chain([Vec::new(), all]) {
            for (sort, after) in of.sorts.iter().flat_map(|sort| [(*sort, false), (*sort, true)]) {
                let mark = PageMark { value: "x".into(), id: oid(1, 0, 1) };
                let mut query = ListQuery {
                    filters: filters.clone(),
                    sort,
                    descending: true,
                    after: after.then_some(mark),
                    limit: 10,
                    ..ListQuery::all_of(*collection)
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
                    let walks_few = way == alertcast_core::store::listing::ListOrder { equal: &[], ordered_by: None };
                    let is_served = plan.as_ref().is_some_and(|plan| is_few || !plan.sorts_in_memory);
                    assert!(is_served || walks_few, "{collection} {query:?}: {asked:?} {plan:?}");
                }
            }
        }
    }
    drop_database(&watched).await;
}
