//! Reads the settings: defaults, then `alertcast.toml`, then the environment, then flags; the later stands above the
//! earlier. A mistake names the key, where it came from and the fix, and all mistakes are told at once. A secret's
//! value is never part of a message.

mod build;
mod key;
mod layer;
mod problem;
mod value;

use std::path::{Path, PathBuf};

pub use key::{KEYS, Key};
pub use problem::{ConfigError, Origin, Problem};

use crate::settings::Settings;

/// The file that is read where no other is named, if it is there.
pub const DEFAULT_FILE: &str = "alertcast.toml";

/// A commented file that says what holds without a file.
pub const DEFAULT_TEXT: &str = include_str!("config/alertcast.default.toml");

/// Where settings come from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file that must be read; without one, `alertcast.toml` in the current folder if there is one.
    pub file: Option<PathBuf>,
    /// The environment's variables; those that are not Alertcast's are passed over.
    pub environment: Vec<(String, String)>,
    /// Flags, as key and value.
    pub flags: Vec<(&'static Key, String)>,
}

impl Sources {
    /// The process's environment, with the file that it or the flag names. Variables that are not text are left out.
    #[must_use]
    pub fn from_process(file: Option<PathBuf>, flags: Vec<(&'static Key, String)>) -> Self {
        let environment: Vec<_> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let named = environment.iter().find(|(name, value)| name == layer::FILE_VARIABLE && !value.is_empty());
        let file = file.or_else(|| named.map(|(_, value)| PathBuf::from(value)));
        Self { file, environment, flags }
    }
}

/// Settings, and the file that some of them came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub settings: Settings,
    pub file: Option<PathBuf>,
}

/// Reads the settings from all sources.
///
/// # Errors
/// Every mistake in every source.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    let Examined { loaded, problems, .. } = examine(sources);
    if problems.is_empty() { Ok(loaded) } else { Err(ConfigError { problems }) }
}

/// The settings with everything that is wrong with them: a key with a mistake keeps its default.
#[derive(Debug)]
pub struct Examined {
    pub loaded: Loaded,
    pub problems: Vec<Problem>,
    /// The files in which secrets stand.
    pub secret_files: Vec<PathBuf>,
}

/// Reads the settings from all sources, as far as they can be read.
#[must_use]
pub fn examine(sources: &Sources) -> Examined {
    let file = sources.file.clone().or_else(|| Path::new(DEFAULT_FILE).exists().then(|| DEFAULT_FILE.into()));
    let mut problems = Vec::new();
    let mut layers = layer::Layers::default();
    if let Some(path) = &file {
        layers.add_file(path, &mut problems);
    }
    layers.add_environment(&sources.environment, &mut problems);
    layers.add_flags(&sources.flags);
    let settings = build::settings(&layers, &mut problems);
    let secret_files = layers.secret_files.into_iter().collect();
    Examined { loaded: Loaded { settings, file }, problems, secret_files }
}

#[cfg(test)]
mod tests;
