//! `Idempotency-Key`: a POST that is sent again changes nothing more, and is answered as it was the first time. What was
//! answered is kept in the same commit as the change, so that of two at once one wins and the other repeats its answer.

use std::time::Duration;

use alertcast_core::delivery::digest12;
use alertcast_core::store::{Collection, DocumentWrite};
use alertcast_core::time::Time;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use bson::oid::ObjectId;
use bson::{Bson, Document, doc};
use sha2::{Digest as _, Sha256};

use super::error::{ApiResult, bad_query, conflict, not_found, unprocessable, wrong};
use super::reply::ApiReply;
use super::{ApiRequest, reading};
use crate::base::Base;
use crate::document_input::FieldCode;
use crate::document_kinds::{self, DocumentKind};
use crate::document_view::DocumentExtent;

/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// The most characters of a key.
const KEY_CHARS_MAX: usize = 255;
/// Set in a record whose answer told of a person who has been erased.
const ERASED: &str = "erased";
/// All that a record may hold besides its id and its request: what one use leaves out, is not left of another.
const PARTS: [&str; 6] = ["status", "headers", "body", "shown", "userId", ERASED];

/// A request's key.
#[derive(Debug)]
pub(super) struct RequestKey {
    id: ObjectId,
    /// What else must be the same.
    request: String,
}

impl RequestKey {
    /// The request's key, where it has one.
    pub(super) fn of(asked: &ApiRequest) -> ApiResult<Option<Self>> {
        let mut values = asked.head.headers.get_all("idempotency-key").iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(
                bad_query(vec![wrong("Idempotency-Key", FieldCode::Invalid, "stands twice in the request")]).into()
            );
        }
        let text = value.to_str().unwrap_or_default();
        if !(1..=KEY_CHARS_MAX).contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_graphic()) {
            let what = format!("is 1 to {KEY_CHARS_MAX} visible characters without blanks");
            return Err(bad_query(vec![wrong("Idempotency-Key", FieldCode::Invalid, what)]).into());
        }
        let mut request = Sha256::new();
        for part in [asked.head.method.as_str().as_bytes(), asked.path.as_bytes(), asked.query.as_bytes(), &asked.body]
        {
            request.update((part.len() as u64).to_be_bytes());
            request.update(part);
        }
        let id = ObjectId::from_bytes(digest12(&[&asked.caller.admin.id.to_string(), text]));
        Ok(Some(Self { id, request: hex::encode(request.finalize()) }))
    }

    /// The answer that was given before.
    pub(super) async fn find_answer(&self, base: &Base) -> ApiResult<Option<ApiReply>> {
        let Some(record) = self.load_kept(base).await? else { return Ok(None) };
        if is_over(&record, base.clock.now()) {
            return Ok(None);
        }
        if record.get_str("request").ok() != Some(&self.request) {
            let what = "was used for another request: give each request a key of its own";
            return Err(unprocessable(vec![wrong("Idempotency-Key", FieldCode::Taken, what)]).into());
        }
        if record.get_bool(ERASED).unwrap_or(false) {
            let what = "what this key made has been erased since; nothing is done again";
            return Err(conflict("Erased", what));
        }
        if let Ok(shown) = record.get_document("shown") {
            return shown_again(base, shown).await.map(Some);
        }
        Ok(read(&record))
    }

    /// What is kept under the key as yet.
    pub(super) async fn find_record(&self, base: &Base) -> ApiResult<KeyRecord<'_>> {
        Ok(KeyRecord { key: self, kept: self.load_kept(base).await? })
    }

    async fn load_kept(&self, base: &Base) -> ApiResult<Option<Document>> {
        reading::load_kept(base, Collection::IdempotencyKeys, self.id).await
    }
}

/// The record of a key, to be written.
#[derive(Debug)]
pub(super) struct KeyRecord<'k> {
    key: &'k RequestKey,
    /// As it is.
    kept: Option<Document>,
}

impl KeyRecord<'_> {
    /// Keeps that an act was done; its answer is the document that it was done to, as it is when it is asked for.
    pub(super) fn keep_shown(&self, base: &Base, resource: &DocumentKind, id: ObjectId) -> DocumentWrite {
        let shown = doc! { "collection": resource.collection.name(), "id": id };
        self.write(base, doc! { "request": &self.key.request, "shown": shown })
    }

    /// Keeps an answer about a document; where that tells of a person, it is erased with them. Refused where the key is
    /// taken: `AlreadyExists`, or `Conflict` where it was free again and has been taken meanwhile.
    pub(super) fn keep(
        &self,
        base: &Base,
        resource: &DocumentKind,
        document: &Document,
        reply: &ApiReply,
    ) -> DocumentWrite {
        let headers: Vec<Bson> = reply
            .headers
            .iter()
            .filter_map(|(name, value)| Some(Bson::from(doc! { "name": name.as_str(), "value": value.to_str().ok()? })))
            .collect();
        let person = if resource.collection == Collection::Users { "_id" } else { "userId" };
        let mut record = doc! {
            "request": &self.key.request,
            "status": i32::from(reply.status.as_u16()),
            "headers": headers,
            "body": reply.body.clone(),
        };
        if let Ok(person) = document.get_object_id(person) {
            record.insert("userId", person);
        }
        self.write(base, record)
    }

    fn write(&self, base: &Base, mut record: Document) -> DocumentWrite {
        let now = base.clock.now();
        record.insert("until", Bson::from(now + KEPT));
        let (collection, id) = (Collection::IdempotencyKeys, self.key.id);
        match &self.kept {
            Some(old) if is_over(old, now) => {
                let until = old.get("until").cloned().unwrap_or(Bson::Null);
                let expect = vec![("until".to_owned(), until)];
                let unset =
                    PARTS.iter().filter(|part| !record.contains_key(part)).map(|part| (*part).to_owned()).collect();
                DocumentWrite::Update { collection, id, set: record, unset, expect }
            }
            _ => {
                record.insert("_id", id);
                DocumentWrite::Insert { collection, document: record }
            }
        }
    }
}

async fn shown_again(base: &Base, shown: &Document) -> ApiResult<ApiReply> {
    let resource = shown.get_str("collection").ok().and_then(Collection::from_name).and_then(document_kinds::of);
    let (Some(resource), Ok(id)) = (resource, shown.get_object_id("id")) else { return Err(not_found("document")) };
    let found = reading::document(base, resource, id).await?;
    Ok(ApiReply::document(StatusCode::OK, &resource.show_document(&found, DocumentExtent::Whole)))
}

fn is_over(record: &Document, now: Time) -> bool {
    record.get_datetime("until").map_or(true, |until| Time::from(*until) <= now)
}

fn read(record: &Document) -> Option<ApiReply> {
    let status = u16::try_from(record.get_i32("status").ok()?).ok()?;
    let header = |header: &Bson| {
        let header = header.as_document()?;
        let name = HeaderName::try_from(header.get_str("name").ok()?).ok()?;
        Some((name, HeaderValue::from_str(header.get_str("value").ok()?).ok()?))
    };
    Some(ApiReply {
        status: StatusCode::from_u16(status).ok()?,
        headers: record.get_array("headers").ok()?.iter().filter_map(header).collect(),
        body: record.get_str("body").ok().map(str::to_owned),
    })
}
