//! Lists: reading the query, one page, and the cursor to the next.

use alertcast_core::delivery::digest12;
use alertcast_core::schema::FieldKind;
use alertcast_core::store::ListQuery;
use alertcast_core::store::listing::{self, ListDeclaration, PAGE_MAX, PageMark, SearchedText};
use axum::http::{HeaderName, HeaderValue, header};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bson::oid::ObjectId;
use bson::{Bson, doc};
use serde_json::{Value, json};

use super::error::{ApiResult, bad_query, unknown_parameter, wrong};
use super::list_bounds::{BoundedList, bound_parameters};
use super::projection::FieldSelection;
use super::reply::ApiReply;
use crate::base::Base;
use crate::document_input::FieldCode;
use crate::document_kinds::DocumentKind;
use crate::document_view::{self, DocumentExtent};
use crate::http::problem::FieldError;

/// Items on a page, where the query does not say.
pub(super) const PAGE_DEFAULT: usize = 50;

/// The parameters of every list, behind its filters.
const PARAMETERS: [&str; 4] = ["sort", "limit", "cursor", "fields"];

/// A path's name as a query parameter.
pub(super) fn parameter(path: &'static str) -> &'static str {
    match path {
        "_id" => "id",
        "telegram.userId" => "telegramUserId",
        "payment.status" => "paymentStatus",
        "subscription.status" => "subscriptionStatus",
        _ => path.rsplit('.').next().unwrap_or(path),
    }
}

/// Whether the first page shows the latest first.
pub(super) fn latest_first(sort: &str) -> bool {
    matches!(sort, "timestamps.openedAt" | "webhook.receivedAt" | "receivedAt" | "at")
}

/// One page.
pub(super) async fn answer(base: &Base, resource: &DocumentKind, path: &str, query: &str) -> ApiResult<ApiReply> {
    page(base, resource, path, query, Vec::new()).await
}

/// One page of those that have these values besides.
pub(super) async fn page(
    base: &Base,
    resource: &DocumentKind,
    path: &str,
    query: &str,
    fixed: Vec<(&'static str, Bson)>,
) -> ApiResult<ApiReply> {
    let mut asked = read(resource, query)?;
    asked.query.filters.extend(fixed);
    if asked.query.way().is_none() {
        let filters: Vec<&str> = asked.query.filters.iter().map(|(path, _)| parameter(path)).collect();
        let what = format!(
            "{} cannot be sorted by {}{}: endedAt takes a filter by state or userId",
            resource.path,
            parameter(asked.query.sort),
            if filters.is_empty() { String::new() } else { format!(" with {}", filters.join(", ")) },
        );
        return Err(bad_query(vec![wrong("sort", FieldCode::Invalid, what)]).into());
    }
    let found = base.store.list(&asked.query).await?;
    let item = |document| {
        let shown = resource.show_document(document, DocumentExtent::Listed);
        match &asked.fields {
            Some(fields) => fields.part(&shown),
            None => shown,
        }
    };
    let items = found.documents.iter().map(item).collect();
    let next = found.next.map(|mark| asked.cursor(&mark));
    Ok(page_reply(path, query, items, next))
}

/// A page as it is answered: with a link to the next.
pub(super) fn page_reply(path: &str, query: &str, items: Vec<Value>, next: Option<String>) -> ApiReply {
    let link = next.as_ref().map(|next| {
        let kept = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "cursor");
        let query =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).append_pair("cursor", next).finish();
        format!("</api/v1{path}?{query}>; rel=\"next\"")
    });
    let link = link.and_then(|link| HeaderValue::from_str(&link).ok());
    let headers: Vec<(HeaderName, HeaderValue)> = link.map(|link| (header::LINK, link)).into_iter().collect();
    ApiReply::ok(json!({"items": items, "next": next})).with(headers)
}

/// What a query asks for.
struct ParsedListQuery {
    query: ListQuery,
    /// What is asked for of each document; none: all of it.
    fields: Option<FieldSelection>,
    /// Of everything that a cursor must have in common with the query that it came from.
    digest: [u8; 12],
}

impl ParsedListQuery {
    fn cursor(&self, mark: &PageMark) -> String {
        let cursor = doc! { "q": ObjectId::from_bytes(self.digest), "v": mark.value.clone(), "i": mark.id };
        BASE64_URL_SAFE_NO_PAD.encode(bson::serialize_to_vec(&cursor).unwrap_or_default())
    }
}

fn read(resource: &DocumentKind, query: &str) -> ApiResult<ParsedListQuery> {
    let collection = resource.collection;
    let none = || bad_query(vec![wrong("", FieldCode::Invalid, "cannot be listed")]);
    let listing = listing::find_listing(collection).ok_or_else(none)?;
    let mut asked = ListQuery {
        sort: listing.sorts[0],
        descending: latest_first(listing.sorts[0]),
        limit: PAGE_DEFAULT,
        ..ListQuery::all_of(collection)
    };
    let (mut errors, mut cursor, mut fields) = (Vec::new(), None, None);
    let (mut sort_given, mut between) = (false, BoundedList::default());
    let mut seen: Vec<String> = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if seen.iter().any(|before| *before == name) {
            errors.push(wrong(&name, FieldCode::Invalid, "stands twice in the query"));
            continue;
        }
        seen.push(name.to_string());
        let read = match &*name {
            "limit" => limit(&value).map(|limit| asked.limit = limit),
            "sort" => sort(listing.sorts, &value).map(|(sort, descending)| {
                asked.sort = sort;
                asked.descending = descending;
                sort_given = true;
            }),
            "cursor" => {
                cursor = Some(value.into_owned());
                Ok(())
            }
            "search" if !listing.searched.is_empty() => search(&value).map(|text| asked.search = Some(text)),
            "fields" => {
                FieldSelection::read(resource.fields(), DocumentExtent::Listed, &value).map(|read| fields = Some(read))
            }
            _ => between.read(resource, listing, &name, &value).unwrap_or_else(|| {
                let filter = filter(resource, listing, &name, &value)?;
                asked.filters.push(filter);
                Ok(())
            }),
        };
        errors.extend(read.err());
    }
    errors.extend(between.apply(&mut asked, sort_given).err());
    let digest = digest_of(&asked);
    if let Some(text) = cursor {
        match mark(&text, digest) {
            Ok(mark) => asked.after = Some(mark),
            Err(what) => errors.push(wrong("cursor", FieldCode::Invalid, what)),
        }
    }
    if errors.is_empty() { Ok(ParsedListQuery { query: asked, fields, digest }) } else { Err(bad_query(errors).into()) }
}

/// The page's size and the fields are left out: they may change from page to page.
fn digest_of(query: &ListQuery) -> [u8; 12] {
    let mut filters: Vec<String> = query.filters.iter().map(|(path, value)| format!("{path}={value:?}")).collect();
    filters.sort();
    let order = format!("{} {} {:?} {:?}", query.sort, query.descending, query.range, query.search);
    let mut parts = vec![query.collection.name(), order.as_str()];
    parts.extend(filters.iter().map(String::as_str));
    digest12(&parts)
}

pub(super) fn limit(text: &str) -> Result<usize, FieldError> {
    let limit = text.parse().ok().filter(|limit| (1..=PAGE_MAX).contains(limit));
    limit.ok_or_else(|| wrong("limit", FieldCode::Invalid, format!("is a whole number from 1 to {PAGE_MAX}")))
}

fn search(text: &str) -> Result<SearchedText, FieldError> {
    let what = || format!("is a text of 1 to {} characters", SearchedText::CHARS_MAX);
    SearchedText::new(text).ok_or_else(|| wrong("search", FieldCode::Invalid, what()))
}

fn sort(sorts: &'static [&'static str], text: &str) -> Result<(&'static str, bool), FieldError> {
    let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
    let found = sorts.iter().find(|path| parameter(path) == name);
    found.map(|path| (*path, descending)).ok_or_else(|| {
        let names: Vec<&str> = sorts.iter().map(|path| parameter(path)).collect();
        wrong("sort", FieldCode::Invalid, format!("is one of {}, with - before it for the reverse", names.join(", ")))
    })
}

fn filter(
    resource: &DocumentKind,
    listing: &'static ListDeclaration,
    name: &str,
    text: &str,
) -> Result<(&'static str, Bson), FieldError> {
    let Some(path) = listing.filters.iter().copied().find(|path| parameter(path) == name) else {
        let bounds: Vec<String> = bound_parameters(resource, listing).map(|bound| bound.name()).collect();
        let filters = listing.filters.iter().map(|path| parameter(path));
        let search = (!listing.searched.is_empty()).then_some("search");
        let known = filters.chain(bounds.iter().map(String::as_str)).chain(search).chain(PARAMETERS);
        let known: Vec<&str> = known.collect();
        return Err(unknown_parameter(name, &known));
    };
    let value = match document_view::kind_at(resource.fields(), path) {
        FieldKind::Id => ObjectId::parse_str(text).map(Bson::from).map_err(|_| "is 24 hexadecimal digits".to_owned()),
        FieldKind::Flag => text.parse().map(Bson::Boolean).map_err(|_| "is true or false".to_owned()),
        FieldKind::Word(words) if !words.contains(&text) => Err(format!("is one of {}", words.join(", "))),
        // As they are kept.
        FieldKind::Email | FieldKind::LowercaseText => Ok(text.trim().to_lowercase().into()),
        FieldKind::Symbol => Ok(text.trim().to_uppercase().into()),
        _ => Ok(Bson::from(text)),
    };
    value.map(|value| (path, value)).map_err(|what| wrong(name, FieldCode::Invalid, what))
}

const NOT_OURS: &str = "is none that a page of this list gave: begin without one";

fn mark(text: &str, digest: [u8; 12]) -> Result<PageMark, &'static str> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| NOT_OURS)?;
    let cursor = bson::Document::from_reader(bytes.as_slice()).map_err(|_| NOT_OURS)?;
    if cursor.get_object_id("q").map_err(|_| NOT_OURS)? != ObjectId::from_bytes(digest) {
        return Err("belongs to another query: filters and sort must stay the same from page to page");
    }
    let id = cursor.get_object_id("i").map_err(|_| NOT_OURS)?;
    let value = cursor.get("v").ok_or(NOT_OURS)?;
    let plain = matches!(
        value,
        Bson::String(_)
            | Bson::ObjectId(_)
            | Bson::DateTime(_)
            | Bson::Double(_)
            | Bson::Int32(_)
            | Bson::Int64(_)
            | Bson::Boolean(_)
    );
    if plain { Ok(PageMark { value: value.clone(), id }) } else { Err(NOT_OURS) }
}

/// A cursor that is one id: for lists that go by it.
pub(super) fn id_cursor(of: &str, id: ObjectId) -> String {
    let cursor = doc! { "q": ObjectId::from_bytes(digest12(&[of])), "v": id, "i": id };
    BASE64_URL_SAFE_NO_PAD.encode(bson::serialize_to_vec(&cursor).unwrap_or_default())
}

/// The id in such a cursor.
pub(super) fn read_id_cursor(of: &str, text: &str) -> Result<ObjectId, FieldError> {
    mark(text, digest12(&[of])).map(|mark| mark.id).map_err(|what| wrong("cursor", FieldCode::Invalid, what))
}
