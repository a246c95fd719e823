//! `import FILE`: plans, configurations, users, subscriptions and preferences, in the seed's shape. The file is checked
//! as a whole, against itself and against the store, and taken as a whole or not at all.
//!
//! Entries refer to each other by id or by what names them: a user by e-mail address, a plan by name, a configuration
//! by symbol, timeframe and strategy, a subscription by its transaction id.

mod catalog;
mod fields;
mod known;
mod people;
mod problems;
mod source;
mod values;

use std::hash::Hash;
use std::path::Path;

use alertcast_core::id::IdSource;
use alertcast_core::store::{Collection, Documents, StoreError, Write, document};
use alertcast_core::time::Time;
use bson::oid::ObjectId;
use serde::Serialize;
use serde_json::Value;

use self::fields::{Fields, Read};
use self::known::{Index, Known, Taken};
use self::problems::{Problem, Problems};
use super::failure::Failure;

/// What an import came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    /// How many documents were made, and how many exist and were left alone, for each collection.
    pub(super) collections: Vec<(Collection, usize, usize)>,
}

/// Imports a file.
///
/// # Errors
/// Everything that is wrong with the file; then nothing has been written.
pub(super) async fn run(
    path: &Path,
    skip_existing: bool,
    store: &dyn Documents,
    ids: &dyn IdSource,
    now: Time,
) -> anyhow::Result<Report> {
    let value = source::read(path)?;
    let known = Known::load(store).await?;
    let problems = Problems::default();
    let mut import =
        Import { known, problems: &problems, ids, now, skip_existing, writes: Vec::new(), skipped: Vec::new() };
    import.read(value);
    let (writes, report) = import.finish();
    let problems = problems.into_inner();
    if !problems.is_empty() {
        return Err(refused(path, &problems).into());
    }
    store.write(writes).await.map_err(not_written)?;
    Ok(report)
}

/// An import under way.
struct Import<'a> {
    known: Known,
    problems: &'a Problems,
    ids: &'a dyn IdSource,
    now: Time,
    skip_existing: bool,
    writes: Vec<Write>,
    skipped: Vec<Collection>,
}

impl<'a> Import<'a> {
    /// Those first that others refer to.
    fn read(&mut self, value: Value) {
        let lists = source::lists(value, self.problems);
        for (place, value) in lists.configs {
            catalog::config(self, self.fields(place, value));
        }
        for (place, value) in lists.plans {
            catalog::plan(self, self.fields(place, value));
        }
        for (place, value) in lists.users {
            people::user(self, self.fields(place, value));
        }
        for (place, value) in lists.subscriptions {
            people::subscription(self, self.fields(place, value));
        }
        for (place, value) in lists.preferences {
            people::preference(self, self.fields(place, value));
        }
    }

    fn fields(&self, place: String, value: Value) -> Fields<'a> {
        Fields::new(place, value, self.problems)
    }

    /// The entry's own id, else a new one.
    fn id(&self, fields: &mut Fields<'_>) -> ObjectId {
        let given = fields.optional("id", values::id);
        given.or_else(|| fields.optional("_id", values::id)).unwrap_or_else(|| self.ids.next())
    }

    /// When the entry was made and changed; now, where it does not say.
    fn times(&self, fields: &mut Fields<'_>) -> (Time, Time) {
        let created_at = fields.or("createdAt", self.now, values::time);
        (created_at, fields.or("updatedAt", created_at, values::time))
    }

    /// Notes the document for writing; none where something is wrong with it.
    fn add<T: Serialize>(&mut self, collection: Collection, value: Option<T>) {
        let Some(value) = value else { return };
        match document(&value) {
            Ok(document) => self.writes.push(Write::Insert { collection, document }),
            Err(error) => self.problems.add(collection.name(), error.to_string()),
        }
    }

    /// The entry exists, and is left alone: nothing more of it is read.
    fn skip(&mut self, collection: Collection, fields: Fields<'_>) {
        self.skipped.push(collection);
        fields.leave_out();
    }

    fn finish(self) -> (Vec<Write>, Report) {
        let mut collections = Vec::new();
        for collection in Collection::ALL {
            let is_of = |write: &&Write| matches!(write, Write::Insert { collection: c, .. } if c == collection);
            let made = self.writes.iter().filter(is_of).count();
            let skipped = self.skipped.iter().filter(|c| *c == collection).count();
            if made + skipped > 0 {
                collections.push((*collection, made, skipped));
            }
        }
        (self.writes, Report { collections })
    }
}

/// Whether an entry is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Admitted {
    /// Unless something is wrong with it.
    Take,
    /// It exists, and is left alone.
    Skip,
}

/// Enters an entry under its key. One that the store has is left alone where that was asked for, else wrong.
fn admit<K: Eq + Hash, I: Copy + Eq + Hash>(
    index: &mut Index<K, I>,
    key: Option<(K, I)>,
    skip_existing: bool,
    fields: &Fields<'_>,
    field: &str,
) -> Admitted {
    let taken = key.and_then(|(key, id)| index.claim(key, id, fields.place()).err());
    match taken {
        None => return Admitted::Take,
        Some(Taken::InStore) if skip_existing => return Admitted::Skip,
        Some(Taken::InStore) => {
            fields.wrong(field, "is in the store already; --skip-existing leaves such entries out");
        }
        Some(Taken::InFile(place)) => fields.wrong(field, format!("is the same as in {place}")),
    }
    Admitted::Take
}

/// A reference to another document: its id, or what names it.
fn reference<K: Eq + Hash, I: Copy + Eq + Hash + From<ObjectId>>(
    value: &Value,
    index: &Index<K, I>,
    key: impl FnOnce(&Value) -> Read<K>,
    what: &str,
) -> Read<I> {
    let none = || format!("names no {what}, neither of the file nor of the store");
    if let Ok(id) = values::id(value) {
        let id = I::from(id);
        return if index.has(id) { Ok(id) } else { Err(none()) };
    }
    index.find(&key(value)?).ok_or_else(none)
}

fn refused(path: &Path, problems: &[Problem]) -> Failure {
    let count = match problems.len() {
        1 => "1 mistake".to_owned(),
        n => format!("{n} mistakes"),
    };
    let lines: Vec<String> = problems.iter().map(|problem| format!("\n  {} {}", problem.place, problem.what)).collect();
    Failure::new(
        format!("{} has {count}; nothing was imported{}", path.display(), lines.concat()),
        "mend these places and run the command again",
    )
}

fn not_written(error: StoreError) -> anyhow::Error {
    match error {
        StoreError::AlreadyExists { collection, field } => Failure::new(
            format!("{collection} has a document with the same {field}; nothing was imported"),
            "leave the entry out, or give it another value",
        )
        .into(),
        other => anyhow::Error::from(other).context("nothing was imported"),
    }
}

#[cfg(test)]
mod tests;
