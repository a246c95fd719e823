//! Documents as people and programs send them: read field by field, checked by the seed's rules, with every mistake named
//! by its place. One way for `import`'s files and for the API.
//!
//! In a file, entries refer to each other by id or by what names them: a user by e-mail address, a plan by name, a
//! configuration by symbol, timeframe and strategy, a subscription by its transaction id. In the API, by id.

mod admin;
mod catalog;
mod decisions;
mod declared;
mod fields;
mod known_documents;
mod people;
mod problems;
mod values;

use std::fmt::Display;
use std::hash::Hash;

use alertcast_core::alert::intent::{OperatorReading, ReadAs};
use alertcast_core::id::IdSource;
use alertcast_core::market::Side;
use alertcast_core::money::Price;
use alertcast_core::store::{Collection, DocumentWrite, document};
use alertcast_core::time::Time;
use bson::Document;
use bson::oid::ObjectId;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::Value;

pub(crate) use self::admin::admin;
pub(crate) use self::catalog::{config, plan};
pub(crate) use self::decisions::{read_approval, read_cancellation, read_rejection};
pub(crate) use self::fields::InputFields;
pub(crate) use self::known_documents::{EntryReferences, KnownDocuments, name_of};
pub(crate) use self::people::{preference, subscription, user};
pub(crate) use self::problems::{FieldCode, FieldProblem, InputProblems, WrongValue};
pub(crate) use self::values::{id, time};

use self::fields::FieldResult;
use self::known_documents::{KeyConflict, NaturalKeyIndex};

/// Reads one entry of a kind.
pub(crate) type EntryReader = fn(&mut InputReading<'_>, InputFields<'_>);

/// How entries refer to other documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReferenceStyle {
    ById,
    ByNameToo,
}

/// Entries that are being read.
#[derive(Debug)]
pub(crate) struct InputReading<'a> {
    known: KnownDocuments,
    pub(crate) problems: &'a InputProblems,
    naming: ReferenceStyle,
    ids: &'a dyn IdSource,
    now: Time,
    /// Entries that the store has are left alone, and are no mistake.
    pub(crate) skip_existing: bool,
    /// The document that is changed: its secrets need not be given again, and what it breaks already is not told anew.
    kept: Option<Document>,
    pub(crate) writes: Vec<DocumentWrite>,
    pub(crate) skipped: Vec<Collection>,
    /// An administrator's, to be hashed.
    password: Option<SecretString>,
}

/// One entry, read by itself.
#[derive(Debug)]
pub(crate) struct DocumentEntry {
    pub(crate) document: Document,
    /// An administrator's new password, to be hashed.
    pub(crate) password: Option<SecretString>,
}

/// Reads one entry by itself.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn one(
    known: KnownDocuments,
    read: EntryReader,
    value: Value,
    kept: Option<&Document>,
    ids: &dyn IdSource,
    now: Time,
) -> Result<DocumentEntry, Vec<FieldProblem>> {
    let problems = InputProblems::default();
    let mut reading = InputReading::new(known, &problems, ReferenceStyle::ById, ids, now);
    reading.kept = kept.cloned();
    read(&mut reading, InputFields::new(String::new(), value, &problems));
    let (written, password) = (reading.writes.pop(), reading.password.take());
    match (problems.into_inner(), written) {
        (problems, Some(DocumentWrite::Insert { document, .. })) if problems.is_empty() => {
            Ok(DocumentEntry { document, password })
        }
        (problems, _) => Err(problems),
    }
}

/// Reads how a trade is closed by hand: at which price, and why.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn read_closing(value: Value) -> Result<(Price, Option<String>), Vec<FieldProblem>> {
    read_whole(value, |fields| {
        let (price, reason) = (fields.read_required("price", values::price), fields.optional("reason", values::text));
        price.map(|price| (price, reason))
    })
}

/// Reads as what an alert is meant: `{"as": "exit" | "entry" | "turn", "side": "BUY" | "SELL"}`; none where nothing is
/// said. An exit may be of both sides.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn read_meaning(value: Value) -> Result<Option<OperatorReading>, Vec<FieldProblem>> {
    let problems = InputProblems::default();
    let mut fields = InputFields::new(String::new(), value, &problems);
    let side = fields.optional("side", values::word(Side::ALL));
    let read_as = match side {
        Some(_) => fields.read_required("as", values::word(ReadAs::ALL)),
        None => fields.optional("as", values::word(ReadAs::ALL)),
    };
    if side.is_none() && matches!(read_as, Some(ReadAs::Entry | ReadAs::Turn)) {
        fields.note_missing("side");
    }
    drop(fields);
    match problems.into_inner() {
        problems if problems.is_empty() => Ok(read_as.map(|read_as| OperatorReading { read_as, side })),
        problems => Err(problems),
    }
}

/// Reads one object; none where something of it is missing, which is noted then.
fn read_whole<T>(value: Value, read: impl FnOnce(&mut InputFields<'_>) -> Option<T>) -> Result<T, Vec<FieldProblem>> {
    let problems = InputProblems::default();
    let mut fields = InputFields::new(String::new(), value, &problems);
    let whole = read(&mut fields);
    drop(fields);
    match (problems.into_inner(), whole) {
        (problems, Some(whole)) if problems.is_empty() => Ok(whole),
        (problems, _) => Err(problems),
    }
}

impl<'a> InputReading<'a> {
    pub(crate) fn new(
        known: KnownDocuments,
        problems: &'a InputProblems,
        naming: ReferenceStyle,
        ids: &'a dyn IdSource,
        now: Time,
    ) -> Self {
        Self {
            known,
            problems,
            naming,
            ids,
            now,
            skip_existing: false,
            kept: None,
            writes: Vec::new(),
            skipped: Vec::new(),
            password: None,
        }
    }

    /// The entry's own id, else a new one. In a file it may go by the database's name for it.
    fn id(&self, fields: &mut InputFields<'_>) -> ObjectId {
        let given = fields.optional("id", values::id);
        let kept = || if self.naming == ReferenceStyle::ByNameToo { fields.optional("_id", values::id) } else { None };
        given.or_else(kept).unwrap_or_else(|| self.ids.next())
    }

    /// When the entry was made and changed; now, where it does not say.
    fn times(&self, fields: &mut InputFields<'_>) -> (Time, Time) {
        let created_at = fields.or("createdAt", self.now, values::time);
        (created_at, fields.or("updatedAt", created_at, values::time))
    }

    /// What a reference is called here: by the name of what it leads to, or by its id.
    fn field(&self, fields: &mut InputFields<'_>, name: &'static str, id: &'static str) -> &'static str {
        match self.naming {
            ReferenceStyle::ById => id,
            ReferenceStyle::ByNameToo => fields.either(name, id),
        }
    }

    /// Notes the document for writing; none where something is wrong with it.
    fn add<T: Serialize>(&mut self, collection: Collection, value: Option<T>) {
        let Some(value) = value else { return };
        match document(&value) {
            Ok(document) => self.writes.push(DocumentWrite::Insert { collection, document }),
            Err(error) => self.problems.add(collection.name(), error.to_string()),
        }
    }

    /// The entry exists, and is left alone: nothing more of it is read.
    fn skip(&mut self, collection: Collection, fields: InputFields<'_>) {
        self.skipped.push(collection);
        fields.leave_out();
    }
}

/// Whether an entry is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EntryAdmission {
    /// Unless something is wrong with it.
    Take,
    /// It exists, and is left alone.
    Skip,
}

/// Enters an entry under its key. One that the store has is left alone where that was asked for, else wrong.
fn admit<K: Eq + Hash, I: Copy + Eq + Hash + Display>(
    index: &mut NaturalKeyIndex<K, I>,
    key: Option<(K, I)>,
    skip_existing: bool,
    fields: &InputFields<'_>,
    field: &str,
) -> EntryAdmission {
    let taken = key.and_then(|(key, id)| index.claim(key, id, fields.place()).err());
    match taken {
        None => return EntryAdmission::Take,
        Some(KeyConflict::InStore(_)) if skip_existing => return EntryAdmission::Skip,
        Some(KeyConflict::InStore(which)) => {
            fields.wrong(field, format!("is in the store already: {which}; --skip-existing leaves such entries out"));
        }
        Some(KeyConflict::InFile(place)) => fields.wrong(field, format!("is the same as in {place}")),
    }
    EntryAdmission::Take
}

/// A reference to another document: its id, or what names it.
fn reference<K: Eq + Hash, I: Copy + Eq + Hash + Display + From<ObjectId>>(
    reading: &InputReading<'_>,
    value: &Value,
    index: &NaturalKeyIndex<K, I>,
    key: impl FnOnce(&Value) -> FieldResult<K>,
    what: &str,
) -> Result<I, WrongValue> {
    let none = |id: Option<ObjectId>| {
        let named = id.map_or_else(String::new, |id| format!(" ({id})"));
        let what = match reading.naming {
            ReferenceStyle::ById => format!("names no {what}{named}"),
            ReferenceStyle::ByNameToo => format!("names no {what}, neither of the file nor of the store{named}"),
        };
        WrongValue { code: FieldCode::UnknownReference, what }
    };
    match (values::id(value), reading.naming) {
        (Ok(id), _) => Some(I::from(id)).filter(|id| index.has(*id)).ok_or_else(|| none(Some(id))),
        (Err(what), ReferenceStyle::ById) => Err(what.into()),
        (Err(_), ReferenceStyle::ByNameToo) => index.find(&key(value)?).ok_or_else(|| none(None)),
    }
}
