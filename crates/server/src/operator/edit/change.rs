//! A document is changed. As it will be it is checked as a whole; written is only what differs, under the condition that
//! nobody else has written since it was read. Where somebody has, it is read and checked anew, so that of two changes of
//! different fields both hold.

use std::collections::BTreeSet;
use std::time::Duration;

use alertcast_core::reading::{PartialDocument, is_within, list_differences};
use alertcast_core::schema::FieldWeight;
use alertcast_core::store::{Collection, DECIDING_FIELDS, DocumentWrite};
use alertcast_core::time::Time;
use bson::oid::ObjectId;
use bson::{Bson, Document, doc};
use serde_json::Value;

use super::administrator::{self, PASSWORD};
use super::checking::{CheckedDocument, CurrentDocument, check_document};
use super::subscription::{DocumentBefore, decide_subscription};
use super::warnings::find_warning;
use super::{EditError, EditResult, EditableDocuments, EditedDocument, commit_edit, read_only, refuse_any, wrong};
use crate::app::App;
use crate::base::Base;
use crate::document_input::FieldCode;
use crate::document_paths::{at, field_of, gives, pointer, put, remove, same};
use crate::operator::{ActError, Actor, AuditedDeed, OperatorAction, TRIES_MAX};

/// Marks that may be taken away, and the fields that tell what they are about.
const MARKS: [(&str, &str); 2] =
    [("alertcast.chatBlockedAt", "alertcast.blockedChatId"), ("alertcast.emailBouncedAt", "alertcast.bouncedEmail")];

/// What a document is to be.
#[derive(Debug)]
pub(crate) struct DocumentEdit {
    /// All of it.
    pub(crate) whole: Value,
    /// What of that was said; the rest is as it was.
    pub(crate) given: Value,
}

/// A document as it is, before it is changed.
#[derive(Debug)]
struct ReadDocument {
    kept: Document,
    read: PartialDocument,
    shown: Value,
}

/// Changes a document to what `edit` makes of it as it is shown; `edit` may be asked again, where others change it too.
///
/// # Errors
/// What `edit` answers, and whatever stands against the change.
pub(crate) async fn change_document<E: From<EditError>>(
    app: &App,
    act: &OperatorAction,
    documents: &EditableDocuments,
    id: ObjectId,
    edit: impl Fn(&Value) -> Result<DocumentEdit, E>,
) -> Result<EditedDocument, E> {
    check_permission(&act.who, documents)?;
    for _ in 0..TRIES_MAX {
        let before = read_document(app, documents, id).await?;
        let edit = edit(&before.shown)?;
        if let Some(edited) = try_change(app, act, documents, &before, edit).await? {
            return Ok(edited);
        }
    }
    Err(EditError::Act(ActError::Busy).into())
}

/// Deciding about a payment takes a permission of its own, which is judged by what is changed.
fn check_permission(who: &Actor, documents: &EditableDocuments) -> EditResult<()> {
    match documents.collection() {
        Collection::UserSubscriptions => Ok(()),
        _ => Ok(who.must_hold(documents.rules.edit)?),
    }
}

async fn read_document(base: &Base, documents: &EditableDocuments, id: ObjectId) -> EditResult<ReadDocument> {
    let found = base.store.get(documents.collection(), &[id]).await?.pop();
    let kept = found.ok_or(EditError::Missing(documents.kind.called))?;
    let read = documents.kind.complete(&kept);
    let shown = documents.show(&read);
    Ok(ReadDocument { kept, read, shown })
}

/// None where others were in the way.
async fn try_change(
    app: &App,
    act: &OperatorAction,
    documents: &EditableDocuments,
    before: &ReadDocument,
    edit: DocumentEdit,
) -> EditResult<Option<EditedDocument>> {
    check_guesses(documents, &before.read, &edit.given)?;
    let DocumentEdit { whole, given } = edit;
    let mut changed = make_changed(app, documents, before, whole, &given).await?;
    follow_change(app, act, documents.collection(), before, &given, &mut changed)?;
    let Some((document, writes)) = write_change(app, act, documents.collection(), before, changed)? else {
        let ReadDocument { kept, shown, .. } = before;
        return Ok(Some(EditedDocument { kept: kept.clone(), shown: shown.clone(), warning: None }));
    };
    if !commit_edit(app, act, documents, &document, writes).await? {
        return Ok(None);
    }
    let (shown, warning) = (documents.show_kept(&document), find_warning(app, documents.collection(), &document));
    Ok(Some(EditedDocument { kept: document, shown, warning }))
}

/// What cannot be read is to be given, where it must be there or decisions rest on it.
fn check_guesses(documents: &EditableDocuments, before: &PartialDocument, given: &Value) -> EditResult<()> {
    let mut problems = Vec::new();
    for flaw in &before.flaws {
        let path = field_of(&flaw.path);
        let Some(required) = documents.is_required(path) else { continue };
        if (flaw.weight == FieldWeight::Decides || required) && !gives(given, path) {
            problems.push(wrong(path, FieldCode::Unreadable, format!("{}, and is to be given anew", flaw.what)));
        }
    }
    refuse_any(problems)
}

/// The document as it is to be, checked, and what is to be written besides.
async fn make_changed(
    base: &Base,
    documents: &EditableDocuments,
    before: &ReadDocument,
    mut whole: Value,
    given: &Value,
) -> EditResult<CheckedDocument> {
    let collection = documents.collection();
    // A topic is one of its chat.
    let moves = given.pointer("/telegram/chatId").is_some() && given.pointer("/alertcast/topicId").is_none();
    if collection == Collection::Users && moves {
        remove(&mut whole, "alertcast.topicId");
    }
    let cleared = take_kept_fields(documents, &before.shown, &mut whole)?;
    let current = CurrentDocument { kept: &before.kept, shown: &before.shown };
    let mut checked = check_document(base, documents, whole, Some(current)).await?;
    let (read, after) = (&before.read, &mut checked.document);
    for path in documents.kept_paths() {
        put(after, &path, at(&read.document, &path).filter(|_| !cleared.contains(&path)).cloned());
    }
    documents.keep_undeclared(&read.document, after);
    if collection == Collection::AdminUsers {
        checked.also.extend(administrator::finish_password(base, &before.kept, read, after).await?);
    }
    Ok(checked)
}

/// Takes the fields out that Alertcast keeps: they may be sent back as they came. Answers those that were taken away.
fn take_kept_fields(documents: &EditableDocuments, shown: &Value, whole: &mut Value) -> EditResult<Vec<String>> {
    let clearable = documents.clearable_paths();
    let (mut problems, mut cleared) = (Vec::new(), Vec::new());
    for path in documents.kept_paths() {
        let at = pointer(&path);
        match (whole.pointer(&at), shown.pointer(&at)) {
            (is, was) if same(is, was) => {}
            (None, Some(_)) if clearable.contains(&path) => {
                cleared.extend(MARKS.iter().filter(|(mark, _)| *mark == path).map(|(_, about)| (*about).to_owned()));
                cleared.push(path.clone());
            }
            _ => problems.push(read_only(&path)),
        }
        remove(whole, &path);
    }
    refuse_any(problems)?;
    Ok(cleared)
}

/// What follows from who changes it: whether they may, and what is noted with it.
fn follow_change(
    base: &Base,
    act: &OperatorAction,
    collection: Collection,
    before: &ReadDocument,
    given: &Value,
    changed: &mut CheckedDocument,
) -> EditResult<()> {
    match collection {
        Collection::UserSubscriptions => {
            let before = DocumentBefore { kept: &before.kept, read: &before.read.document, given };
            decide_subscription(&act.who, Some(before), changed, base.clock.now())
        }
        Collection::AdminUsers => administrator::check_own_rights(&act.who, Some(&before.kept), &changed.document),
        _ => Ok(()),
    }
}

type WrittenDocument = Option<(Document, Vec<DocumentWrite>)>;

/// The writes that make the change: of what differs or cannot be read as it is kept, under the condition that it is still
/// as it was. None where there is nothing of either.
fn write_change(
    base: &Base,
    act: &OperatorAction,
    collection: Collection,
    before: &ReadDocument,
    changed: CheckedDocument,
) -> EditResult<WrittenDocument> {
    let ReadDocument { kept, read, .. } = before;
    let CheckedDocument { document: mut after, also, .. } = changed;
    let mended = list_mended(read);
    let mut paths = list_differences(&read.document, &after);
    paths.retain(|path| !mended.iter().any(|mended| is_within(path, mended)));
    paths.extend(mended.iter().cloned());
    if paths.is_empty() {
        return Ok(None);
    }
    let updated_at = next_update(&read.document, base.clock.now());
    after.insert("updatedAt", updated_at);
    let (mut set, mut unset) = (doc! { "updatedAt": updated_at }, Vec::new());
    let mut expect = expect_unchanged(collection, kept);
    let (mut was, mut is) = (Document::new(), Document::new());
    for path in paths {
        expect.push((path.clone(), at(kept, &path).cloned().unwrap_or(Bson::Null)));
        let told = if mended.contains(&path) && path != PASSWORD { kept } else { &read.document };
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
    let mut writes = vec![DocumentWrite::Update { collection, id, set, unset, expect }];
    writes.extend(act.beside(base, AuditedDeed::update(collection, id, was, is))?);
    writes.extend(also);
    Ok(Some((after, writes)))
}

/// It rises with each change: who has read this state and finds it unchanged has missed nothing.
fn next_update(before: &Document, now: Time) -> Time {
    let last = before.get_datetime("updatedAt").map_or(now, |at| Time::from(*at));
    now.max(last + Duration::from_millis(1))
}

/// What must stand as it stood, whatever is changed.
fn expect_unchanged(collection: Collection, kept: &Document) -> Vec<(String, Bson)> {
    let rests_on: &[&str] = match collection {
        // Another application may change these alone.
        Collection::UserSubscriptions => &DECIDING_FIELDS,
        _ => &["updatedAt"],
    };
    rests_on.iter().map(|path| ((*path).to_owned(), at(kept, path).cloned().unwrap_or(Bson::Null))).collect()
}

/// The fields that are not read as they are kept: what is read in their place is written with the next change.
fn list_mended(read: &PartialDocument) -> Vec<String> {
    let flawed = read.flaws.iter().map(|flaw| flaw.path.as_str());
    let all: BTreeSet<&str> = flawed.chain(read.respelt.iter().map(String::as_str)).map(field_of).collect();
    let is_outermost = |path: &&&str| !all.iter().any(|other| other != *path && is_within(path, other));
    all.iter().filter(is_outermost).filter(|path| !path.is_empty()).map(|path| (*path).to_owned()).collect()
}
