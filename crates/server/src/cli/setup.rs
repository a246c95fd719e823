//! `setup`: makes the store, and a configuration file to start from. Repeatable.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use alertcast_core::store::Collection;
use anyhow::Context as _;

use super::failure::CommandFailure;
use super::{store, terminal};
use crate::running::set_up;
use crate::settings::StoreChoice;
use crate::settings::loading::{DEFAULT_FILE, DEFAULT_TEXT, LoadedSettings};

/// Creates what is missing: folder, database, collections, indexes.
pub(super) async fn run(loaded: &LoadedSettings) -> anyhow::Result<()> {
    terminal::title("setup");
    let settings = &loaded.settings;
    let is_embedded = matches!(settings.store, StoreChoice::Embedded);
    let was_there = !is_embedded || settings.data_dir.join("alertcast.db").exists();
    let store::OpenedStore { store, place } = store::open(settings).await?;
    set_up(&*store).await?;
    terminal::fact("Configuration", describe_settings(loaded));
    terminal::fact("Store", format!("{place} ({})", if was_there { "was there" } else { "made" }));
    terminal::fact("Collections", format!("{}, complete", Collection::ALL.len()));
    terminal::fact("Indexes", indexes(is_embedded));
    terminal::print_done("The store is ready.");
    if loaded.file.is_none() {
        terminal::next("`alertcast setup --write-config` writes alertcast.toml, with every setting explained");
    }
    terminal::next("`alertcast seed` makes the administrator and two plans");
    Ok(())
}

/// The embedded store leaves out indexes that others cover, or that nothing here goes by.
fn indexes(is_embedded: bool) -> String {
    let declared = || Collection::ALL.iter().flat_map(|collection| collection.indexes());
    match declared().filter(|index| !index.is_embedded()).count() {
        spared if is_embedded => {
            format!("{}, complete (the other {spared} of the schema are not needed here)", declared().count() - spared)
        }
        _ => format!("{}, complete", declared().count()),
    }
}

fn describe_settings(loaded: &LoadedSettings) -> String {
    loaded.file.as_ref().map_or_else(
        || "defaults and environment (there is no alertcast.toml here)".to_owned(),
        |file| file.display().to_string(),
    )
}

/// Prints the commented default configuration.
pub(super) fn print_config() {
    let _ = std::io::stdout().write_all(DEFAULT_TEXT.as_bytes());
}

/// Writes the commented default configuration, where there is none. For its owner alone: secrets will stand in it.
pub(super) fn write_config(file: Option<&Path>) -> anyhow::Result<()> {
    let path = file.unwrap_or_else(|| Path::new(DEFAULT_FILE));
    let shown = path.display();
    let mut made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|error| {
        if error.kind() == ErrorKind::AlreadyExists {
            let fix = "edit it, or move it away first; --print-config prints the default one";
            return CommandFailure::new(format!("{shown} exists already, and is left as it is"), fix).into();
        }
        anyhow::Error::from(error).context(format!("{shown} cannot be written"))
    })?;
    made.write_all(DEFAULT_TEXT.as_bytes()).with_context(|| format!("{shown} cannot be written"))?;
    terminal::title("setup");
    terminal::print_done(format_args!("{shown} is written, with every setting explained."));
    terminal::next("set webhook.secrets and telegram.tokens in it, then run `alertcast setup`");
    Ok(())
}
