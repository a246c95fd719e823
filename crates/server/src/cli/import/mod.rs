//! `import FILE`: plans, configurations, users, subscriptions and preferences, in the seed's shape. The file is checked
//! as a whole, against itself and against the store, and taken as a whole or not at all.
//!
//! Entries refer to each other by id or by what names them: a user by e-mail address, a plan by name, a configuration
//! by symbol, timeframe and strategy, a subscription by its transaction id.

mod source;

use std::path::Path;

use alertcast_core::id::IdSource;
use alertcast_core::store::{Collection, DocumentStore, DocumentWrite, StoreError};
use alertcast_core::time::Time;
use serde_json::Value;

use self::source::ImportContent;
use super::failure::CommandFailure;
use crate::document_input::{
    self, FieldProblem, InputFields, InputProblems, InputReading, KnownDocuments, ReferenceStyle,
};

/// What an import came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ImportReport {
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
    store: &dyn DocumentStore,
    ids: &dyn IdSource,
    now: Time,
) -> anyhow::Result<ImportReport> {
    let content = source::read(path)?;
    let known = KnownDocuments::load(store).await?;
    let problems = InputProblems::default();
    let mut reading = InputReading::new(known, &problems, ReferenceStyle::ByNameToo, ids, now);
    reading.skip_existing = skip_existing;
    read(&mut reading, content);
    let (writes, report) = finish(reading);
    let problems = problems.into_inner();
    if !problems.is_empty() {
        return Err(refuse_import(path, &problems).into());
    }
    store.write(writes).await.map_err(not_written)?;
    Ok(report)
}

/// Reads the lists, those first that others refer to.
fn read(reading: &mut InputReading<'_>, content: ImportContent) {
    let problems = reading.problems;
    let lists = source::lists(content, problems);
    let kinds: [(Vec<(String, Value)>, document_input::EntryReader); 5] = [
        (lists.configs, document_input::config),
        (lists.plans, document_input::plan),
        (lists.users, document_input::user),
        (lists.subscriptions, document_input::subscription),
        (lists.preferences, document_input::preference),
    ];
    for (entries, read) in kinds {
        for (place, value) in entries {
            read(reading, InputFields::new(place, value, problems));
        }
    }
}

fn finish(reading: InputReading<'_>) -> (Vec<DocumentWrite>, ImportReport) {
    let mut collections = Vec::new();
    for collection in Collection::ALL {
        let is_of =
            |write: &&DocumentWrite| matches!(write, DocumentWrite::Insert { collection: c, .. } if c == collection);
        let made = reading.writes.iter().filter(is_of).count();
        let skipped = reading.skipped.iter().filter(|c| *c == collection).count();
        if made + skipped > 0 {
            collections.push((*collection, made, skipped));
        }
    }
    (reading.writes, ImportReport { collections })
}

fn refuse_import(path: &Path, problems: &[FieldProblem]) -> CommandFailure {
    let count = match problems.len() {
        1 => "1 mistake".to_owned(),
        n => format!("{n} mistakes"),
    };
    let lines: Vec<String> = problems.iter().map(|problem| format!("\n  {} {}", problem.place, problem.what)).collect();
    CommandFailure::new(
        format!("{} has {count}; nothing was imported{}", path.display(), lines.concat()),
        "mend these places and run the command again",
    )
}

fn not_written(error: StoreError) -> anyhow::Error {
    match error {
        StoreError::AlreadyExists { collection, field } => CommandFailure::new(
            format!("{collection} has a document with the same {field}; nothing was imported"),
            "leave the entry out, or give it another value",
        )
        .into(),
        other => anyhow::Error::from(other).context("nothing was imported"),
    }
}

#[cfg(test)]
mod tests;
