//! The parameters of each route, for the description: what stands in its address, its query and its headers.

use alertcast_core::schema::find;
use alertcast_core::store::listing::{self, PAGE_MAX, SearchedText};
use axum::http::Method;
use serde_json::{Value, json};

use super::json_schema;
use super::list::{PAGE_DEFAULT, latest_first, parameter};
use super::list_bounds::{BoundParameter, bound_parameters};
use super::projection::selectable_paths;
use super::routes::{ApiRoute, Endpoint};
use crate::document_kinds::{DocumentKind, TOKENS};
use crate::document_view::{self, DocumentExtent, api_name};

/// Every parameter of a route: of its address, its query and its headers.
pub(super) fn describe_parameters(route: &ApiRoute) -> Vec<Value> {
    let mut parameters = Vec::new();
    if route.path.contains("{id}") {
        let what = "The document's id.";
        parameters.push(
            json!({"name": "id", "in": "path", "required": true, "description": what, "schema": json_schema::id()}),
        );
    }
    match route.act {
        Endpoint::List(resource) => parameters.extend(listed_by(resource)),
        Endpoint::Read(resource) => parameters.push(fields(resource, DocumentExtent::Whole)),
        Endpoint::Tokens => parameters.extend(listed_by(&TOKENS)),
        Endpoint::Recipients => parameters.extend([recipient(), limit(), cursor()]),
        _ => {}
    }
    let text = json!({"type": "string"});
    let sent = |name: &str, what: &str, schema: &Value| json!({"name": name, "in": "header", "required": false, "description": what, "schema": schema});
    if route.act.has_etag() {
        parameters.push(sent(
            "If-Match",
            "An ETag: nothing happens where the document has changed since (412).",
            &text,
        ));
        parameters.push(sent(
            "If-None-Match",
            "An ETag that the document must not have: reading it answers 304, anything else 412.",
            &text,
        ));
    }
    if matches!(route.act, Endpoint::Rehearse) {
        parameters.push(json!({
            "name": "strategy", "in": "query", "required": false, "schema": {"type": "string"},
            "description": "What the webhook's address says: this and any other field that the body lacks.",
        }));
    } else if route.method == Method::POST {
        let key = json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"});
        let what = "The same key and the same request within 24 hours are answered as the first time; nothing is done \
                    twice.";
        parameters.push(sent("Idempotency-Key", what, &key));
    }
    if route.method != Method::GET && !matches!(route.act, Endpoint::Rehearse) {
        parameters.push(sent("X-Reason", "Why, for the audit log.", &text));
    }
    parameters
}

fn recipient() -> Value {
    json!({
        "name": "userId", "in": "query", "required": false, "schema": json_schema::id(),
        "description": "Only this subscriber: one item, or none where nothing was decided about them.",
    })
}

fn limit() -> Value {
    json!({
        "name": "limit", "in": "query", "required": false,
        "description": "The most items on a page.",
        "schema": {"type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": PAGE_DEFAULT},
    })
}

fn cursor() -> Value {
    json!({
        "name": "cursor", "in": "query", "required": false,
        "description": "`next` of the page before; with the same filters and sort.",
        "schema": {"type": "string"},
    })
}

fn listed_by(resource: &DocumentKind) -> Vec<Value> {
    let Some(listing) = listing::find_listing(resource.collection) else { return Vec::new() };
    let filter = |path: &&'static str| {
        let described = find(resource.fields(), path).map_or("", |field| field.description);
        let what = format!("Only those with this `{}`. {described}", api_name(path));
        json!({
            "name": parameter(path), "in": "query", "required": false, "description": what.trim_end(),
            "schema": json_schema::parameter(document_view::kind_at(resource.fields(), path)),
        })
    };
    let mut parameters: Vec<Value> = listing.filters.iter().map(filter).collect();
    if !listing.searched.is_empty() {
        parameters.push(json!({
            "name": "search", "in": "query", "required": false,
            "description": format!("Only those that have this text within one of {}, whatever its case.", listing.searched.join(", ")),
            "schema": {"type": "string", "minLength": 1, "maxLength": SearchedText::CHARS_MAX},
        }));
    }
    parameters.extend(bound_parameters(resource, listing).map(describe_bound));
    let names = listing.sorts.iter().map(|path| parameter(path));
    let sorts: Vec<String> = names.flat_map(|name| [name.to_owned(), format!("-{name}")]).collect();
    let first = listing.sorts[0];
    let default = format!("{}{}", if latest_first(first) { "-" } else { "" }, parameter(first));
    parameters.push(json!({
        "name": "sort", "in": "query", "required": false,
        "description": "In which order; with `-` the other way round. What lacks the field is left out.",
        "schema": {"type": "string", "enum": sorts, "default": default},
    }));
    parameters.extend([limit(), cursor(), fields(resource, DocumentExtent::Listed)]);
    parameters
}

fn describe_bound(bound: BoundParameter) -> Value {
    let what = format!(
        "Only those whose `{}` is {}. The list is sorted by it. RFC 3339 with its zone, or a day, which stands for its \
         first moment in UTC.",
        bound.path,
        bound.kind.phrase()
    );
    json!({
        "name": bound.name(), "in": "query", "required": false, "description": what,
        "schema": {"type": "string", "examples": ["2026-01-31T18:30:00Z"]},
    })
}

fn fields(resource: &DocumentKind, extent: DocumentExtent) -> Value {
    let paths = selectable_paths(resource.fields(), extent);
    json!({
        "name": "fields", "in": "query", "required": false, "style": "form", "explode": false,
        "description": "The fields that are asked for, separated by commas, of objects the whole or fields within. `id` \
                        comes always, and so does `alertcast.unreadable` where something cannot be read.",
        "schema": {"type": "array", "items": {"type": "string", "enum": paths}},
    })
}
