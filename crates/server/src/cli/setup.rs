//! `setup`: makes the store, and a configuration file to start from. Repeatable.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use alertcast_core::store::{Collection, Documents as _};
use anyhow::Context as _;

use super::failure::Failure;
use super::{store, terminal};
use crate::config::{DEFAULT_FILE, DEFAULT_TEXT, Loaded};

/// Creates what is missing: folder, database, collections, indexes.
pub(super) async fn run(loaded: &Loaded) -> anyhow::Result<()> {
    terminal::title("setup");
    let settings = &loaded.settings;
    let was_there = settings.data_dir.join("alertcast.db").exists();
    let opened = store::open(settings)?;
    opened.setup().await.context("the store could not be set up")?;
    let standing = |index: &&alertcast_core::store::collection::Index| index.covered_by.is_none();
    let indexes: usize = Collection::ALL.iter().map(|c| c.indexes().iter().filter(standing).count()).sum();
    let all: usize = Collection::ALL.iter().map(|c| c.indexes().len()).sum();
    terminal::fact("Configuration", described(loaded));
    terminal::fact(
        "Store",
        format!("{} ({})", store::described(settings), if was_there { "was there" } else { "made" }),
    );
    terminal::fact("Collections", format!("{}, complete", Collection::ALL.len()));
    terminal::fact("Indexes", format!("{indexes}, complete (the other {} are covered by these)", all - indexes));
    terminal::done("The store is ready.");
    if loaded.file.is_none() {
        terminal::next("`alertcast setup --write-config` writes alertcast.toml, with every setting explained");
    }
    terminal::next("`alertcast seed` makes the administrator and two plans");
    Ok(())
}

fn described(loaded: &Loaded) -> String {
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
            return Failure::new(format!("{shown} exists already, and is left as it is"), fix).into();
        }
        anyhow::Error::from(error).context(format!("{shown} cannot be written"))
    })?;
    made.write_all(DEFAULT_TEXT.as_bytes()).with_context(|| format!("{shown} cannot be written"))?;
    terminal::title("setup");
    terminal::done(format_args!("{shown} is written, with every setting explained."));
    terminal::next("set webhook.secrets and telegram.tokens in it, then run `alertcast setup`");
    Ok(())
}
