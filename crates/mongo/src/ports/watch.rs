//! What others do to the store, from one change stream on the database. The server leaves out what concerns nobody: the
//! counters that a message to 100,000 subscribers raises are as many updates.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use alertcast_core::alert::document::AlertStatus;
use alertcast_core::store::{Collection, StoreError, StoreEvent, StoreEvents, StoreResult, StoreWatch};
use async_trait::async_trait;
use bson::{Bson, Document, RawDocumentBuf, doc};
use futures::StreamExt as _;
use mongodb::Database;
use mongodb::change_stream::ChangeStream;
use mongodb::change_stream::event::ResumeToken;
use mongodb::error::{Error, ErrorKind};
use tokio::time::{Instant, timeout_at};

use crate::engine::link::ServerLink;
use crate::error::MongoError;
use crate::store::MongoStore;

/// Where nothing is told for so long, the stream is opened anew.
const STILL_MAX: Duration = Duration::from_secs(30);

/// Fields whose change is no change of the audience.
const COUNTERS: &str = r"^(usage|statistics|updatedAt|alertcast\.closedBy(Tp|Sl))(\.|$)";
/// Fields of an alert that say how far its processing is.
const PROGRESS: &str = r"^(processing(\.status)?|alertcast(\.cursor)?)$";
/// Those that move where a chunk's deliveries were committed with it.
const CURSOR: [&str; 2] = ["alertcast", "alertcast.cursor"];

/// The server's label on an error after which a stream may go on where it was.
const RESUMABLE: &str = "ResumableChangeStreamError";

impl StoreWatch for MongoStore {
    fn watch(&self) -> Option<Box<dyn StoreEvents>> {
        Some(Box::new(EventStream::of(Arc::clone(&self.link))))
    }

    fn interruptions(&self) -> u64 {
        self.interruptions.count()
    }
}

/// The stream, opened when it is first asked.
struct EventStream {
    link: Arc<ServerLink>,
    open: Option<ChangeStream<RawDocumentBuf>>,
    /// When it is opened anew where nothing has been told until then: a connection that carries nothing any more says so
    /// to nobody.
    fresh_until: Instant,
    /// Behind what was told.
    token: Option<ResumeToken>,
    /// Of the last event, still to be told.
    told: VecDeque<StoreEvent>,
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("database", &self.link.database().name()).finish_non_exhaustive()
    }
}

#[async_trait]
impl StoreEvents for EventStream {
    async fn next(&mut self) -> StoreResult<StoreEvent> {
        loop {
            if let Some(stirring) = self.told.pop_front() {
                return Ok(stirring);
            }
            let Some(stream) = &mut self.open else {
                self.begin().await?;
                continue;
            };
            match timeout_at(self.fresh_until, stream.next()).await {
                Err(_) => self.open = None,
                Ok(Some(Ok(event))) => {
                    self.fresh_until = Instant::now() + STILL_MAX;
                    self.token = stream.resume_token();
                    // What cannot be read as an event may be anything.
                    let event = Document::try_from(&event);
                    self.told.extend(event.map_or_else(|_| vec![StoreEvent::Missed], |event| stirrings(&event)));
                }
                Ok(Some(Err(error))) => {
                    self.token = stream.resume_token().or_else(|| self.token.take());
                    self.open = None;
                    return Err(self.note_failure(error));
                }
                // The database was dropped, say: where it was is nowhere any more.
                Ok(None) => (self.open, self.token) = (None, None),
            }
        }
    }
}

impl EventStream {
    fn of(link: Arc<ServerLink>) -> Self {
        Self { link, open: None, fresh_until: Instant::now(), token: None, told: VecDeque::new() }
    }

    /// Goes on where it was; where there is no such place, begins anew.
    async fn begin(&mut self) -> StoreResult<()> {
        let db = self.link.database();
        let opened = self.link.run_bounded(async { Ok(open(&db, self.token.clone()).await) }).await?;
        let stream = opened.map_err(|error| self.note_failure(error))?;
        if self.token.is_none() {
            self.told.push_back(StoreEvent::Missed);
        }
        // Of one that goes on, too: where nothing is told for long, the former place may be gone.
        self.token = stream.resume_token().or_else(|| self.token.take());
        self.open = Some(stream);
        self.fresh_until = Instant::now() + STILL_MAX;
        Ok(())
    }

    /// What the server itself refuses, it will refuse again: then there is no going on.
    fn note_failure(&mut self, error: Error) -> StoreError {
        if matches!(&*error.kind, ErrorKind::Command(_)) && !error.contains_label(RESUMABLE) {
            self.token = None;
        }
        MongoError::from(error).into()
    }
}

async fn open(db: &Database, token: Option<ResumeToken>) -> std::result::Result<ChangeStream<RawDocumentBuf>, Error> {
    let watch = db.watch().pipeline(pipeline());
    let watch = match token {
        Some(token) => watch.resume_after(token),
        None => watch,
    };
    Ok(watch.await?.with_type())
}

/// Which collections are watched.
fn watched_collections() -> impl Iterator<Item = Collection> {
    let others = [Collection::Alerts, Collection::RejectedWebhooks, Collection::AuditLog];
    Collection::ALL.iter().copied().filter(|collection| collection.makes_audience()).chain(others)
}

/// What concerns us, and of it only what is needed to say so.
fn pipeline() -> Vec<Document> {
    let collections: Vec<&str> = watched_collections().map(Collection::name).collect();
    let set = doc! { "$ifNull": ["$updateDescription.updatedFields", {}] };
    let set = doc! { "$map": { "input": { "$objectToArray": set }, "as": "field", "in": "$$field.k" } };
    let unset = doc! { "$ifNull": ["$updateDescription.removedFields", []] };
    let is_like = |regex: &str| doc! { "$regexMatch": { "input": "$$name", "regex": regex } };
    let matters = doc! { "$cond": [
        { "$eq": ["$ns.coll", Collection::Alerts.name()] },
        is_like(PROGRESS),
        { "$not": [is_like(COUNTERS)] },
    ] };
    let fields = doc! { "$filter": { "input": { "$concatArrays": [set, unset] }, "as": "name", "cond": matters } };
    let kinds = ["insert", "update", "replace", "delete", "drop", "rename"];
    vec![
        doc! { "$match": { "ns.coll": { "$in": collections }, "operationType": { "$in": kinds.as_slice() } } },
        doc! { "$project": {
            "operationType": 1,
            "ns": 1,
            "documentKey": 1,
            "status": as_text("$fullDocument.processing.status"),
            "fields": fields,
        } },
        doc! { "$match": { "$or": [{ "operationType": { "$ne": "update" } }, { "fields.0": { "$exists": true } }] } },
    ]
}

/// The text that a field holds; empty where it holds anything else.
fn as_text(field: &str) -> Document {
    doc! { "$cond": [{ "$eq": [{ "$type": field }, "string"] }, field, ""] }
}

/// What an event of the stream means.
fn stirrings(event: &Document) -> Vec<StoreEvent> {
    let kind = event.get_str("operationType").unwrap_or_default();
    let place = event.get_document("ns").and_then(|ns| ns.get_str("coll"));
    let Some(collection) = place.ok().and_then(Collection::from_name) else { return Vec::new() };
    match (collection, kind) {
        (_, "drop" | "rename") => vec![StoreEvent::Missed],
        (Collection::Alerts, "delete") => Vec::new(),
        (Collection::Alerts, _) => of_alert(event, kind),
        // What an operator does, and what is told to operators.
        (Collection::AuditLog | Collection::RejectedWebhooks, "insert") => vec![StoreEvent::DeliveriesCame],
        (Collection::AuditLog | Collection::RejectedWebhooks, _) => Vec::new(),
        _ => {
            let id = event.get_document("documentKey").and_then(|key| key.get_object_id("_id"));
            id.map(|id| StoreEvent::Changed { collection, id }).into_iter().collect()
        }
    }
}

fn of_alert(event: &Document, kind: &str) -> Vec<StoreEvent> {
    if kind == "insert" {
        let is_work = event.get_str("status").is_ok_and(|status| status == AlertStatus::Received.as_str());
        return vec![if is_work { StoreEvent::AlertsCame } else { StoreEvent::DeliveriesCame }];
    }
    let mut changed = event.get_array("fields").into_iter().flatten().filter_map(Bson::as_str);
    if changed.any(|field| CURSOR.contains(&field)) {
        vec![StoreEvent::DeliveriesCame]
    } else {
        vec![StoreEvent::AlertsCame, StoreEvent::DeliveriesCame]
    }
}

#[cfg(test)]
mod tests {
    use bson::oid::ObjectId;

    use super::*;

    fn told(collection: &str, kind: &str, more: Document) -> Vec<StoreEvent> {
        let mut event = doc! { "operationType": kind, "ns": { "db": "any", "coll": collection } };
        event.extend(more);
        stirrings(&event)
    }

    #[test]
    fn an_accepted_alert_is_work_and_a_refused_one_has_told_the_operators() {
        assert_eq!(told("alerts", "insert", doc! { "status": "received" }), [StoreEvent::AlertsCame]);
        assert_eq!(told("alerts", "insert", doc! { "status": "failed" }), [StoreEvent::DeliveriesCame]);
    }

    #[test]
    fn a_chunk_brings_deliveries_and_a_mere_change_of_status_may_bring_either() {
        let chunk = doc! { "fields": ["alertcast.cursor", "processing.status"] };
        assert_eq!(told("alerts", "update", chunk), [StoreEvent::DeliveriesCame]);
        let status = doc! { "fields": ["processing.status"] };
        assert_eq!(told("alerts", "update", status), [StoreEvent::AlertsCame, StoreEvent::DeliveriesCame]);
    }

    #[test]
    fn documents_of_the_audience_are_named_and_a_dropped_collection_is_anything() {
        let id = ObjectId::from_bytes([7; 12]);
        for kind in ["insert", "update", "replace", "delete"] {
            let changed = StoreEvent::Changed { collection: Collection::Users, id };
            assert_eq!(told("users", kind, doc! { "documentKey": { "_id": id } }), [changed]);
        }
        assert_eq!(told("users", "drop", doc! {}), [StoreEvent::Missed]);
        assert_eq!(told("sessions", "insert", doc! { "documentKey": { "_id": id } }), []);
    }
}
