//! `import FILE`: plans, configurations, users, subscriptions and preferences, in the seed's shape. The file is checked
//! as a whole, against itself and against the store, and taken as a whole or not at all.
//!
//! Entries refer to each other by id or by what names them: a user by e-mail address, a plan by name, a configuration
//! by symbol, timeframe and strategy, a subscription by its transaction id.

mod source;

use std::path::Path;

use alertcast_core::id::IdSource;
use alertcast_core::store::{Collection, Documents, StoreError, Write};
use alertcast_core::time::Time;
use serde_json::Value;

use self::source::Content;
use super::failure::Failure;
use crate::entry::{self, Fields, Known, Naming, Problem, Problems, Reading};

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
    let content = source::read(path)?;
    let known = Known::load(store).await?;
    let problems = Problems::default();
    let mut reading = Reading::new(known, &problems, Naming::ByNameToo, ids, now);
    reading.skip_existing = skip_existing;
    read(&mut reading, content);
    let (writes, report) = finish(reading);
    let problems = problems.into_inner();
    if !problems.is_empty() {
        return Err(refused(path, &problems).into());
    }
    store.write(writes).await.map_err(not_written)?;
    Ok(report)
}

/// Reads the lists, those first that others refer to.
fn read(reading: &mut Reading<'_>, content: Content) {
    let problems = reading.problems;
    let lists = source::lists(content, problems);
    let kinds: [(Vec<(String, Value)>, entry::Reader); 5] = [
        (lists.configs, entry::config),
        (lists.plans, entry::plan),
        (lists.users, entry::user),
        (lists.subscriptions, entry::subscription),
        (lists.preferences, entry::preference),
    ];
    for (entries, read) in kinds {
        for (place, value) in entries {
            read(reading, Fields::new(place, value, problems));
        }
    }
}

fn finish(reading: Reading<'_>) -> (Vec<Write>, Report) {
    let mut collections = Vec::new();
    for collection in Collection::ALL {
        let is_of = |write: &&Write| matches!(write, Write::Insert { collection: c, .. } if c == collection);
        let made = reading.writes.iter().filter(is_of).count();
        let skipped = reading.skipped.iter().filter(|c| *c == collection).count();
        if made + skipped > 0 {
            collections.push((*collection, made, skipped));
        }
    }
    (reading.writes, Report { collections })
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
