//! PATCH: a JSON merge patch (RFC 7396). The document as it will be is checked as a whole; written is only what differs,
//! under the condition that nobody else has written since it was read. Where somebody has, it is read and checked anew,
//! so that of two changes of different fields both hold.

use std::collections::BTreeSet;

use alertcast_core::id::AdminId;
use alertcast_core::reading::PartialDocument;
use alertcast_core::store::validator::FieldWeight;
use alertcast_core::store::{Collection, DECIDING_FIELDS, DocumentWrite, LoadedSubscription, StoreError};
use alertcast_core::time::Time;
use axum::http::StatusCode;
use bson::{Bson, Document, doc};
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::create::read_only;
use super::decide::DocumentBefore;
use super::error::{ApiError, ApiResult, conflict, describe_taken, unprocessable, wrong};
use super::reply::ApiReply;
use super::resources::{ApiResource, ResourceChanges, field_of};
use super::shape::{self, DocumentExtent, ShapeField, ShapeKind, stored_name};
use super::{ApiRequest, decide, delete, note_change, reading, warnings};
use crate::app::App;
use crate::document_input::{self, EntryReferences, FieldCode, FieldProblem, KnownDocuments};
use crate::http::problem::ProblemResponse as Page;
use crate::operator::AuditedDeed;
use crate::password;

/// How often something is tried that others keep getting in the way of.
pub(super) const TRIES: usize = 8;

/// Marks that may be taken away, and the fields that tell what they are about.
const MARKS: [(&str, &str); 2] =
    [("alertcast.chatBlockedAt", "alertcast.blockedChatId"), ("alertcast.emailBouncedAt", "alertcast.bouncedEmail")];

/// Where the secrets and what Alertcast keeps of an administrator are.
const PASSWORD: &str = "password";
const PASSWORD_CHANGED: &str = "security.passwordChangedAt";

/// Changes a document.
pub(super) async fn answer(app: &App, resource: &'static ApiResource, asked: &ApiRequest) -> ApiResult<ApiReply> {
    let Some(changes) = resource.changes else { return Err(conflict("Not changed here", "others change these")) };
    let patch = reading::json(&asked.body)?;
    if !patch.is_object() {
        return Err(unprocessable(vec![wrong("", FieldCode::Invalid, "the body is not an object")]).into());
    }
    for _ in 0..TRIES {
        let kept = reading::document(app, resource, asked.id()?).await?;
        let before = resource.complete(&kept);
        let current = resource.show(&before, DocumentExtent::Whole);
        asked.conditions.hold(&current)?;
        nothing_rests_on_a_guess(resource, &before, &patch)?;
        let changed = changed_by(app, resource, changes, &patch, &current, &kept, &before).await?;
        let Some((document, writes)) = write_change(app, resource, (asked, &patch), &kept, &before, changed)? else {
            return Ok(ApiReply::document(StatusCode::OK, &current));
        };
        match app.store.write(writes).await {
            Ok(()) => {
                note_change(app).await;
                let shown = resource.show_document(&document, DocumentExtent::Whole);
                let warnings = warnings::about(app, resource, &document);
                return Ok(ApiReply::document(StatusCode::OK, &shown).with(warnings));
            }
            Err(StoreError::Conflict) => {}
            Err(StoreError::AlreadyExists { collection, field }) if collection == resource.collection => {
                return Err(describe_taken(app, asked, (collection, &field), &document).await);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Store(StoreError::Conflict))
}

/// What cannot be read is to be given, where it must be there or decisions rest on it.
fn nothing_rests_on_a_guess(resource: &ApiResource, before: &PartialDocument, patch: &Value) -> ApiResult<()> {
    let mut errors = Vec::new();
    for flaw in &before.flaws {
        let path = field_of(&flaw.path);
        let Some(field) = shape::find_given(resource.shape, path) else { continue };
        if (flaw.weight == FieldWeight::Decides || field.required) && !gives(patch, path) {
            errors.push(wrong(path, FieldCode::Unreadable, format!("{}, and is to be given anew", flaw.what)));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(unprocessable(errors).into()) }
}

/// Whether a patch says what stands at a path.
pub(super) fn gives(patch: &Value, path: &str) -> bool {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    match (patch, rest) {
        (Value::Object(fields), rest) => {
            fields.get(first).is_some_and(|inner| rest.is_none_or(|rest| gives(inner, rest)))
        }
        // It takes the place of all that stood there.
        _ => true,
    }
}

/// The document as the patch makes it, checked, and what is to be written besides.
async fn changed_by(
    app: &App,
    resource: &'static ApiResource,
    changes: ResourceChanges,
    patch: &Value,
    current: &Value,
    kept: &Document,
    read: &PartialDocument,
) -> ApiResult<CheckedDocument> {
    let before = &read.document;
    let mut target = current.clone();
    merge(&mut target, patch);
    // A topic is one of its chat.
    let moves = patch.pointer("/telegram/chatId").is_some() && patch.pointer("/alertcast/topicId").is_none();
    if resource.collection == Collection::Users && moves {
        remove(&mut target, "alertcast.topicId");
    }
    let mut errors = Vec::new();
    let clearable = shape::paths(resource.shape, |field| field.clearable);
    let mut cleared = Vec::new();
    for path in kept_paths(resource) {
        let at = pointer(&path);
        match (target.pointer(&at), current.pointer(&at)) {
            (is, was) if same(is, was) => {}
            (None, Some(_)) if clearable.contains(&path) => {
                cleared.extend(MARKS.iter().filter(|(mark, _)| *mark == path).map(|(_, about)| (*about).to_owned()));
                cleared.push(path.clone());
            }
            _ => errors.push(read_only(&path)),
        }
        remove(&mut target, &path);
    }
    if !errors.is_empty() {
        return Err(unprocessable(errors).into());
    }
    let checked = check_change(app, resource, changes, target, Some(CurrentDocument { kept, shown: current })).await?;
    let CheckedDocument { document: mut after, mut also, around } = checked;
    let new_password = after.get_str(PASSWORD).is_ok_and(|hash| !hash.is_empty());
    for path in kept_paths(resource) {
        put(&mut after, &path, at(before, &path).filter(|_| !cleared.contains(&path)).cloned());
    }
    keep_undeclared(resource.shape, before, &mut after);
    if resource.collection == Collection::AdminUsers {
        if new_password {
            put(&mut after, PASSWORD_CHANGED, Some(app.clock.now().into()));
            if let Ok(admin) = kept.get_object_id("_id") {
                also.extend(delete::tokens(app, AdminId(admin)).await?);
            }
        } else {
            put(&mut after, PASSWORD, before.get(PASSWORD).cloned());
            if read.flaws.iter().any(|flaw| is_within(PASSWORD_CHANGED, &flaw.path)) {
                // Which tokens it had ended is not known: all of them end.
                put(&mut after, PASSWORD_CHANGED, Some(app.clock.now().into()));
            }
        }
    }
    Ok(CheckedDocument { document: after, also, around })
}

/// What the API does not show, it does not take away.
fn keep_undeclared(shape: &'static [ShapeField], before: &Document, after: &mut Document) {
    for (name, value) in before {
        let declared = shape.iter().find(|field| stored_name(field.name) == name);
        match (declared.map(|field| field.kind), value) {
            (None, value) => {
                after.insert(name, value.clone());
            }
            (Some(ShapeKind::Object(fields)), Bson::Document(before)) => {
                let mut within = after.get_document(name).cloned().unwrap_or_default();
                keep_undeclared(fields, before, &mut within);
                if !within.is_empty() {
                    after.insert(name, within);
                }
            }
            _ => {}
        }
    }
}

/// What is changed, as it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct CurrentDocument<'a> {
    kept: &'a Document,
    shown: &'a Value,
}

/// A document that keeps the rules, and what must be written with it for that to stay so.
pub(super) struct CheckedDocument {
    pub(super) document: Document,
    pub(super) also: Vec<DocumentWrite>,
    /// Of a subscription, what deciding about it rests on.
    pub(super) around: Option<LoadedSubscription>,
}

/// Reads and checks a document as it is to be.
pub(super) async fn check_change(
    app: &App,
    resource: &'static ApiResource,
    changes: ResourceChanges,
    value: Value,
    current: Option<CurrentDocument<'_>>,
) -> ApiResult<CheckedDocument> {
    let around = decide::load_around(app, resource, &value, current.map(|current| current.kept)).await?;
    let priced = ["/subscriptionPlanId", "/payment/amount", "/payment/currency"]
        .iter()
        .any(|at| !same(value.pointer(at), current.and_then(|current| current.shown.pointer(at))));
    let references = EntryReferences {
        collection: resource.collection,
        entry: &value,
        kept: current.map(|current| current.kept),
        priced,
        now: app.clock.now(),
    };
    let known = KnownDocuments::around(&*app.store, references).await?;
    let read = document_input::one(
        known,
        changes.read,
        value,
        current.map(|current| current.kept),
        &*app.ids,
        app.clock.now(),
    );
    let entry = read.map_err(refuse_change)?;
    let mut document = entry.document;
    if let Some(text) = entry.password {
        document.insert(PASSWORD, hash_password(text).await?);
    }
    Ok(CheckedDocument { document, also: Vec::new(), around })
}

/// What is wrong with what was sent.
pub(super) fn refuse_change(problems: Vec<FieldProblem>) -> ApiError {
    let errors = problems.into_iter().map(|problem| wrong(&problem.place, problem.code, problem.what));
    unprocessable(errors.collect()).into()
}

/// Hashing is work: others do not wait for it.
async fn hash_password(text: SecretString) -> ApiResult<String> {
    let hash = tokio::task::spawn_blocking(move || password::hash(&text)).await;
    hash.ok().and_then(Result::ok).map(|hash| hash.0).ok_or_else(|| {
        Page::new(StatusCode::INTERNAL_SERVER_ERROR, "Defect in the program", "the password was not hashed").into()
    })
}

type WrittenDocument = Option<(Document, Vec<DocumentWrite>)>;

/// The writes that make the change: of what differs or cannot be read as it is kept, under the condition that it is still
/// as it was. None where there is nothing of either.
fn write_change(
    app: &App,
    resource: &ApiResource,
    (asked, patch): (&ApiRequest, &Value),
    kept: &Document,
    read: &PartialDocument,
    changed: CheckedDocument,
) -> ApiResult<WrittenDocument> {
    let (now, before) = (app.clock.now(), &read.document);
    let CheckedDocument { document: mut after, mut also, around } = changed;
    let known = DocumentBefore { kept, read: before, patch };
    also.extend(decide::decide(asked, resource, Some(known), &mut after, (around.as_ref(), now))?);
    let mended = list_mended(read);
    let mut paths = Vec::new();
    differences(before, &after, "", &mut paths);
    paths.retain(|path| !mended.iter().any(|mended| is_within(path, mended)));
    paths.extend(mended.iter().cloned());
    if paths.is_empty() {
        return Ok(None);
    }
    // It rises with each change: who has read this state and finds it unchanged has missed nothing.
    let last = before.get_datetime("updatedAt").map_or(now, |at| Time::from(*at));
    let updated_at = now.max(last + std::time::Duration::from_millis(1));
    after.insert("updatedAt", Bson::from(updated_at));
    let (mut set, mut unset) = (doc! { "updatedAt": Bson::from(updated_at) }, Vec::new());
    let mut expect = vec![("updatedAt".to_owned(), kept.get("updatedAt").cloned().unwrap_or(Bson::Null))];
    if resource.collection == Collection::UserSubscriptions {
        // What a decision rests on, whoever changes it.
        let rests_on = DECIDING_FIELDS.iter().filter(|path| **path != "updatedAt");
        expect.extend(rests_on.map(|path| ((*path).to_owned(), at(kept, path).cloned().unwrap_or(Bson::Null))));
    }
    let (mut was, mut is) = (Document::new(), Document::new());
    for path in paths {
        expect.push((path.clone(), at(kept, &path).cloned().unwrap_or(Bson::Null)));
        let told = if mended.contains(&path) && path != PASSWORD { kept } else { before };
        put(&mut was, &path, at(told, &path).cloned());
        match at(&after, &path) {
            Some(value) => {
                set.insert(path.clone(), value.clone());
                put(&mut is, &path, Some(value.clone()));
            }
            None => unset.push(path),
        }
    }
    let id = kept.get_object_id("_id").unwrap_or_default();
    let entry = asked.act(None).audit(app, AuditedDeed::update(resource.collection, id, was, is))?;
    let mut writes = vec![DocumentWrite::Update { collection: resource.collection, id, set, unset, expect }, entry];
    writes.extend(also);
    Ok(Some((after, writes)))
}

/// The fields in which two documents differ; of objects within, their fields: what others keep beside them stays.
pub(super) fn differences(before: &Document, after: &Document, within: &str, paths: &mut Vec<String>) {
    let none = Document::new();
    let new = after.keys().filter(|name| !before.contains_key(name.as_str()));
    for name in before.keys().chain(new) {
        let path = format!("{within}{name}");
        match (before.get(name), after.get(name)) {
            (Some(Bson::Document(before)), Some(Bson::Document(after))) => {
                differences(before, after, &format!("{path}."), paths);
            }
            (Some(Bson::Document(before)), None) => differences(before, &none, &format!("{path}."), paths),
            (None, Some(Bson::Document(after))) => differences(&none, after, &format!("{path}."), paths),
            (before, after) if before == after => {}
            _ => paths.push(path),
        }
    }
}

/// The fields that are not read as they are kept: what is read in their place is written with the next change.
fn list_mended(read: &PartialDocument) -> Vec<String> {
    let flawed = read.flaws.iter().map(|flaw| flaw.path.as_str());
    let all: BTreeSet<&str> = flawed.chain(read.respelt.iter().map(String::as_str)).map(field_of).collect();
    let is_outermost = |path: &&&str| !all.iter().any(|other| other != *path && is_within(path, other));
    all.iter().filter(is_outermost).filter(|path| !path.is_empty()).map(|path| (*path).to_owned()).collect()
}

fn is_within(path: &str, other: &str) -> bool {
    path.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(into) = target else { return };
    for (name, value) in fields {
        if value.is_null() {
            into.shift_remove(name);
        } else {
            merge(into.entry(name.as_str()).or_insert(Value::Null), value);
        }
    }
}

/// The paths of the fields that Alertcast keeps.
pub(super) fn kept_paths(resource: &ApiResource) -> Vec<String> {
    shape::paths(resource.shape, |field| field.kept)
}

pub(super) fn pointer(path: &str) -> String {
    format!("/{}", path.replace('.', "/"))
}

/// Numbers are the same where their values are.
pub(super) fn same(one: Option<&Value>, other: Option<&Value>) -> bool {
    match (one, other) {
        (Some(Value::Number(one)), Some(Value::Number(other))) => one.as_f64() == other.as_f64(),
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            one.len() == other.len() && one.iter().all(|(name, value)| same(Some(value), other.get(name)))
        }
        (one, other) => one == other,
    }
}

/// Takes away what stands at a path, and of the objects around it those that hold nothing else.
pub(super) fn remove(value: &mut Value, path: &str) {
    let Value::Object(fields) = value else { return };
    let Some((name, rest)) = path.split_once('.') else {
        fields.shift_remove(path);
        return;
    };
    let Some(inner) = fields.get_mut(name) else { return };
    let was_empty = inner.as_object().is_none_or(Map::is_empty);
    remove(inner, rest);
    if !was_empty && inner.as_object().is_some_and(Map::is_empty) {
        fields.shift_remove(name);
    }
}

/// The value at a path of the API in a document of the store.
pub(super) fn at<'d>(document: &'d Document, path: &str) -> Option<&'d Bson> {
    match path.split_once('.') {
        None => document.get(stored_name(path)),
        Some((first, rest)) => at(document.get_document(first).ok()?, rest),
    }
}

/// Puts a value at a path, or takes it away.
pub(super) fn put(document: &mut Document, path: &str, value: Option<Bson>) {
    match (path.split_once('.'), value) {
        (None, Some(value)) => {
            document.insert(stored_name(path), value);
        }
        (None, None) => {
            document.remove(stored_name(path));
        }
        (Some((first, rest)), value) => {
            if let Ok(within) = document.get_document_mut(first) {
                put(within, rest, value);
            } else if value.is_some() {
                let mut within = Document::new();
                put(&mut within, rest, value);
                document.insert(first, within);
            }
        }
    }
}
