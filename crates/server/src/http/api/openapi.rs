//! The description of the API (OpenAPI 3.1), made of the routes, the resources and what is declared of their
//! documents.

use alertcast_core::admin::Permission;
use alertcast_core::schema::FieldKind;
use alertcast_core::store::listing::PAGE_MAX;
use serde_json::{Map, Value, json};
use utoipa::PartialSchema as _;

use super::json_schema::{self, SchemaForm};
use super::parameters::describe_parameters;
use super::routes::{ApiRoute, Endpoint, ROUTES, RoutePermission};
use super::{BODY_BYTES_MAX, RouteInput, outcomes};
use crate::document_kinds::{DOCUMENT_KINDS, DocumentKind, TOKENS};
use crate::http::problem::{ErrorCode, FieldError, ProblemDocument};

/// The whole description.
#[must_use]
pub fn description() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES.iter() {
        let place = paths.entry(format!("/api/v1{}", route.path)).or_insert_with(|| json!({}));
        place[route.method.as_str().to_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Alertcast",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The documents behind every alert, trade and message. Conventions (pages, errors, ETags, \
                            Idempotency-Key) are in docs/api.md.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "tags": tags(),
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token that `alertcast admin token --username NAME` printed.",
                },
            },
            "schemas": schemas(),
            "headers": headers(),
        },
    })
}

fn tags() -> Vec<Value> {
    let of = |resource: &DocumentKind| json!({"name": resource.path});
    DOCUMENT_KINDS.iter().chain([&TOKENS]).map(of).chain([json!({"name": "me"})]).collect()
}

fn schemas() -> Map<String, Value> {
    let mut schemas = Map::new();
    for resource in DOCUMENT_KINDS.iter().chain([&TOKENS]) {
        schemas.insert(resource.one.to_owned(), json_schema::of(resource.fields(), SchemaForm::Out));
        schemas.insert(format!("{}Part", resource.one), part(resource));
        schemas.insert(format!("{}Page", resource.many), page(&whole_or_part(resource)));
        if resource.rules.is_some() {
            schemas.insert(format!("New{}", resource.one), json_schema::of(resource.fields(), SchemaForm::New));
            schemas.insert(format!("{}Patch", resource.one), json_schema::of(resource.fields(), SchemaForm::Patch));
        }
    }
    schemas.insert("AlertRecipient".to_owned(), json_schema::of(outcomes::RECIPIENT, SchemaForm::Out));
    schemas.insert("AlertRecipientsPage".to_owned(), page(&reference("AlertRecipient")));
    schemas.insert("OpenTrades".to_owned(), open_trades());
    schemas.insert("Me".to_owned(), me());
    schemas.insert("TradeClosing".to_owned(), json_schema::of(outcomes::CLOSING, SchemaForm::New));
    for (name, fields) in [
        ("PaymentApproval", outcomes::APPROVAL),
        ("PaymentRejection", outcomes::REJECTION),
        ("SubscriptionCancellation", outcomes::CANCELLATION),
    ] {
        schemas.insert(name.to_owned(), json_schema::of(fields, SchemaForm::New));
    }
    schemas.insert("AlertMeaning".to_owned(), json_schema::of(outcomes::MEANING, SchemaForm::New));
    schemas.insert("Rehearsal".to_owned(), json_schema::of(outcomes::REHEARSAL, SchemaForm::Out));
    // Derived from what is written.
    for (name, derived) in [("Problem", ProblemDocument::schema()), ("FieldError", FieldError::schema())] {
        schemas.insert(name.to_owned(), serde_json::to_value(derived).unwrap_or_default());
    }
    if let Some(Value::Object(code)) = schemas.get_mut("FieldError").and_then(|one| one.pointer_mut("/properties/code"))
    {
        code.insert("enum".to_owned(), json!(ErrorCode::spellings()));
    }
    schemas
}

/// What `fields` names of a document.
fn part(resource: &DocumentKind) -> Value {
    let mut schema = json_schema::of(resource.fields(), SchemaForm::Part);
    schema["required"] = json!(["id"]);
    schema
}

fn whole_or_part(resource: &DocumentKind) -> Value {
    json!({
        "description": "The document; where `fields` is given, what it names of it.",
        "anyOf": [reference(resource.one), reference(&format!("{}Part", resource.one))],
    })
}

fn page(one: &Value) -> Value {
    json!({
        "type": "object",
        "required": ["items", "next"],
        "properties": {
            "items": {"type": "array", "items": one, "maxItems": PAGE_MAX, "description": "What is on the page."},
            "next": {
                "type": ["string", "null"],
                "description": "The `cursor` of the next page. A page may hold fewer items than `limit`, even none, \
                                while this is there; the list has ended where it is null.",
            },
        },
    })
}

fn open_trades() -> Value {
    json!({
        "type": "object",
        "required": ["items"],
        "properties": {
            "items": {
                "type": "array",
                "description": "Each configuration in which the subscriber has open trades.",
                "items": {
                    "type": "object",
                    "required": ["alertConfigId", "count"],
                    "properties": {
                        "alertConfigId": with_description(json_schema::id(), "The alert configuration's id."),
                        "count": {"type": "integer", "minimum": 1, "description": "How many trades are open."},
                        "alertConfiguration": with_description(
                            reference("AlertConfiguration"),
                            "The configuration, where it is still there.",
                        ),
                    },
                },
            },
        },
    })
}

fn me() -> Value {
    json!({
        "type": "object",
        "required": ["admin", "token", "permissions"],
        "properties": {
            "admin": with_description(reference("AdminUser"), "Whose token it is."),
            "token": with_description(reference("ApiToken"), "The token."),
            "permissions": {
                "type": "array", "items": json_schema::parameter(FieldKind::Word(Permission::WORDS)),
                "description": "What the administrator may do, and so the token.",
            },
        },
    })
}

fn with_description(mut schema: Value, what: &str) -> Value {
    schema["description"] = json!(what);
    schema
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn headers() -> Value {
    json!({
        "ETag": {"description": "Names this state of the document, for If-Match.", "schema": {"type": "string"}},
        "Location": {"description": "Where the new document is.", "schema": {"type": "string"}},
        "Link": {"description": "`<…>; rel=\"next\"`: the next page.", "schema": {"type": "string"}},
        "Retry-After": {"description": "In so many seconds.", "schema": {"type": "integer", "minimum": 1}},
        "WWW-Authenticate": {"description": "`Bearer`.", "schema": {"type": "string"}},
        "Alertcast-Warning": {
            "description": "The document is saved, and this follows: not everybody can be sent its alerts in time.",
            "schema": {"type": "string"},
        },
    })
}

fn header(name: &str) -> Value {
    json!({"$ref": format!("#/components/headers/{name}")})
}

fn operation(route: &ApiRoute) -> Value {
    let mut operation = json!({
        "operationId": route.operation,
        "summary": summary(route.act),
        "tags": [tag(route)],
        "description": permission(route),
        "parameters": describe_parameters(route),
        "responses": responses(route),
    });
    let body = match route.act {
        Endpoint::Create(resource) => Some((format!("New{}", resource.one), ["application/json"].as_slice())),
        Endpoint::Change(resource) => {
            Some((format!("{}Patch", resource.one), ["application/merge-patch+json", "application/json"].as_slice()))
        }
        Endpoint::CloseTrade => Some(("TradeClosing".to_owned(), ["application/json"].as_slice())),
        Endpoint::RejectSubscription => Some(("PaymentRejection".to_owned(), ["application/json"].as_slice())),
        Endpoint::CancelSubscription => Some(("SubscriptionCancellation".to_owned(), ["application/json"].as_slice())),
        _ => None,
    };
    if let Some((name, what)) = optional_body(route.act) {
        operation["requestBody"] = json!({
            "required": false,
            "description": what,
            "content": {"application/json": {"schema": reference(name)}},
        });
    }
    if matches!(route.act, Endpoint::Rehearse) {
        let text = json!({"schema": {"type": "string"}});
        let json = json!({"schema": {}});
        operation["requestBody"] = json!({
            "required": false,
            "description": "What TradingView would post to the webhook; all of it may stand in the query too.",
            "content": {"text/plain": text, "application/json": json},
        });
    }
    if let Some((name, types)) = body {
        let content: Map<String, Value> =
            types.iter().map(|kind| ((*kind).to_owned(), json!({"schema": reference(&name)}))).collect();
        operation["requestBody"] = json!({"required": true, "content": content});
    }
    operation
}

/// What may be sent or left out, and what it says.
const fn optional_body(act: Endpoint) -> Option<(&'static str, &'static str)> {
    match act {
        Endpoint::Process | Endpoint::ProcessRejected => Some((
            "AlertMeaning",
            "As what the alert is meant, where it does not say so clearly: an exit (of one side's trades, or of both), an \
             entry on a side, or a turn to a side.",
        )),
        Endpoint::ApproveSubscription => Some((
            "PaymentApproval",
            "From when to when, where that is not as the plan's duration says, and whether it overrules another decision.",
        )),
        _ => None,
    }
}

fn tag(route: &ApiRoute) -> &str {
    route.path.trim_start_matches('/').split('/').next().unwrap_or_default()
}

fn summary(act: Endpoint) -> String {
    match act {
        Endpoint::List(resource) => format!("A page of the list of {}", resource.path.replace('-', " ")),
        Endpoint::Read(resource) => format!("One {}", resource.called),
        Endpoint::Create(resource) => format!("Make one {}", resource.called),
        Endpoint::Change(resource) => format!("Change one {}, by a JSON merge patch", resource.called),
        Endpoint::Delete(resource) => format!("Delete one {} that nothing refers to", resource.called),
        Endpoint::Recipients => "What was decided about each subscriber, and what they were sent".to_owned(),
        Endpoint::OpenTrades => "How many trades a subscriber has open in each configuration".to_owned(),
        Endpoint::Me => "Whose token this is, and what it may do".to_owned(),
        Endpoint::Tokens => "One's own tokens; with `system.settings` and `adminId`, another's".to_owned(),
        Endpoint::CloseTrade => "Close an open trade by hand; its subscriber hears of it".to_owned(),
        Endpoint::Unblock => "Write again to a subscriber whose chat refused us".to_owned(),
        Endpoint::Resend => "Send a message again that expired or was given up".to_owned(),
        Endpoint::Process => {
            "Process a refused alert after all: its age is waived, every other rule is judged anew".to_owned()
        }
        Endpoint::ProcessRejected => {
            "Process a rejected request after all, as an alert with its id: its age is waived, every other rule is judged"
                .to_owned()
        }
        Endpoint::Rehearse => "What an alert would come to now; nothing is sent and nothing is kept".to_owned(),
        Endpoint::EraseUser => {
            "Delete one user; of one with a history the person is erased, and the numbers stay".to_owned()
        }
        Endpoint::ApproveSubscription => {
            "Approve a payment: the subscription runs from now, or from the end of what runs of the same plan".to_owned()
        }
        Endpoint::RejectSubscription => "Reject a payment; the subscriber can send it in again".to_owned(),
        Endpoint::CancelSubscription => "Cancel a subscription, at once or at the end that was paid for".to_owned(),
        Endpoint::DeleteToken => "End a token: one's own, or with `system.settings` another's".to_owned(),
    }
}

fn permission(route: &ApiRoute) -> String {
    match route.needs {
        RoutePermission::Token => "Needs a valid token.".to_owned(),
        RoutePermission::Permission(permission) => format!("Needs the permission `{permission}`."),
        RoutePermission::Either(edit, approve) => format!(
            "Needs the permission `{approve}` for what decides about the payment or makes or extends what it entitles \
             to (`payment.status`, `payment.approvedAt`, `payment.approvedBy`, `payment.rejectionReason`, \
             `subscription.status`, `subscription.startDate`, `subscription.endDate`; another `payment.transactionId` of a \
             paid one), and `{edit}` for everything else."
        ),
    }
}

fn responses(route: &ApiRoute) -> Map<String, Value> {
    let mut responses = Map::new();
    let (status, good) = success(route.act);
    responses.insert(status.to_owned(), good);
    if matches!(route.act, Endpoint::Read(_)) {
        let what = json!({"description": "As If-None-Match names it", "headers": {"ETag": header("ETag")}});
        responses.insert("304".to_owned(), what);
    }
    for (status, what) in failures(route) {
        let mut response = json!({
            "description": what,
            "content": {"application/problem+json": {"schema": reference("Problem")}},
        });
        match status {
            "401" => response["headers"] = json!({"WWW-Authenticate": header("WWW-Authenticate")}),
            "429" | "503" => response["headers"] = json!({"Retry-After": header("Retry-After")}),
            _ => {}
        }
        responses.insert(status.to_owned(), response);
    }
    responses
}

fn success(act: Endpoint) -> (&'static str, Value) {
    let json_of = |name: &str| json!({"application/json": {"schema": reference(name)}});
    let document = |what: &str, name: &str, names: &[&str]| {
        let headers: Map<String, Value> = names.iter().map(|name| ((*name).to_owned(), header(name))).collect();
        json!({"description": what, "content": json_of(name), "headers": headers})
    };
    match act {
        Endpoint::List(resource) => ("200", document("A page", &format!("{}Page", resource.many), &["Link"])),
        Endpoint::Tokens => ("200", document("A page", "ApiTokensPage", &["Link"])),
        Endpoint::Recipients => ("200", document("A page", "AlertRecipientsPage", &["Link"])),
        Endpoint::OpenTrades => ("200", document("By configuration", "OpenTrades", &[])),
        Endpoint::Read(resource) => {
            let mut read = document("The document", resource.one, &["ETag"]);
            read["content"]["application/json"]["schema"] = whole_or_part(resource);
            ("200", read)
        }
        Endpoint::Change(resource) => {
            ("200", document("The document as it is now", resource.one, &["ETag", "Alertcast-Warning"]))
        }
        Endpoint::Create(resource) => {
            ("201", document("The new document", resource.one, &["Location", "ETag", "Alertcast-Warning"]))
        }
        Endpoint::Me => ("200", document("Who asks", "Me", &[])),
        Endpoint::CloseTrade => ("200", document("The trade as it is now", "Trade", &["ETag"])),
        Endpoint::Unblock => ("200", document("The subscriber as they are now", "User", &["ETag"])),
        Endpoint::Resend => ("200", document("The message as it is now", "Delivery", &["ETag"])),
        Endpoint::Process | Endpoint::ProcessRejected => {
            ("200", document("The alert as it is now", "Alert", &["ETag"]))
        }
        Endpoint::ApproveSubscription | Endpoint::RejectSubscription | Endpoint::CancelSubscription => {
            ("200", document("The subscription as it is now", "UserSubscription", &["ETag"]))
        }
        Endpoint::Rehearse => ("200", document("What would happen", "Rehearsal", &[])),
        Endpoint::Delete(_) | Endpoint::DeleteToken | Endpoint::EraseUser => {
            ("204", json!({"description": "It is gone"}))
        }
    }
}

fn failures(route: &ApiRoute) -> Vec<(&'static str, String)> {
    let mut failures = Vec::new();
    let mut add = |status, what: &str| failures.push((status, what.to_owned()));
    let by_hand = matches!(
        route.act,
        Endpoint::CloseTrade
            | Endpoint::Resend
            | Endpoint::Unblock
            | Endpoint::Process
            | Endpoint::ProcessRejected
            | Endpoint::ApproveSubscription
            | Endpoint::RejectSubscription
            | Endpoint::CancelSubscription
    );
    let lists = matches!(route.act, Endpoint::List(_) | Endpoint::Tokens | Endpoint::Recipients);
    if lists {
        add("400", "A parameter of the query is not right; each is named");
    } else {
        add("400", "The request could not be read");
    }
    add("401", "No token, an unknown or expired one, or one of an administrator who is not active");
    add("403", "The administrator has not the permission, which is named");
    if route.path.contains("{id}") {
        add("404", "There is no such document");
    }
    let touches =
        matches!(route.act, Endpoint::Create(_) | Endpoint::Change(_) | Endpoint::Delete(_) | Endpoint::EraseUser)
            || by_hand;
    if touches || matches!(route.act, Endpoint::Read(_) | Endpoint::Recipients | Endpoint::OpenTrades) {
        add(
            "409",
            "It stands against another document, which is named: a unique value is taken, or others refer to it",
        );
    }
    add("412", "The document is not the one that If-Match names any more, or the one that If-None-Match names");
    if route.act.body() != RouteInput::Nothing {
        add("413", &format!("The body has more than {} KiB", BODY_BYTES_MAX / 1024));
    }
    if matches!(route.act.body(), RouteInput::Json | RouteInput::JsonIfAny) {
        add("415", "The body is not JSON by its Content-Type");
    }
    if matches!(route.act, Endpoint::Create(_) | Endpoint::Change(_)) || by_hand {
        add("422", "Fields are not right; each is named");
    }
    add("429", "More requests than the token may send in a minute");
    add("503", "The store does not answer: whether a change was made is not known");
    failures
}
