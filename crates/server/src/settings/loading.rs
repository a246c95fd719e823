//! Reads the settings: defaults, then `alertcast.toml`, then the environment, then flags; the later stands above the
//! earlier. A mistake names the key, where it came from and the fix, and all mistakes are told at once. A secret's
//! value is never part of a message.

mod build;
mod key;
mod layer;
mod problem;
mod value;

use std::path::{Path, PathBuf};

pub use key::{KEYS, SettingKey};
pub use problem::{ConfigError, ConfigProblem, SettingOrigin};

use crate::settings::Settings;

/// The file that is read where no other is named, if it is there.
pub const DEFAULT_FILE: &str = "alertcast.toml";

/// A commented file that says what holds without a file.
pub const DEFAULT_TEXT: &str = include_str!("loading/alertcast.default.toml");

/// Where settings come from.
#[derive(Debug, Clone, Default)]
pub struct SettingSources {
    /// The file that must be read; without one, `alertcast.toml` in the current folder if there is one.
    pub file: Option<PathBuf>,
    /// The environment's variables; those that are not Alertcast's are passed over.
    pub environment: Vec<(String, String)>,
    /// Flags, as key and value.
    pub flags: Vec<(&'static SettingKey, String)>,
}

impl SettingSources {
    /// The process's environment, with the file that it or the flag names. Variables that are not text are left out.
    #[must_use]
    pub fn from_process(file: Option<PathBuf>, flags: Vec<(&'static SettingKey, String)>) -> Self {
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
pub struct LoadedSettings {
    pub settings: Settings,
    pub file: Option<PathBuf>,
}

/// Reads the settings from all sources.
///
/// # Errors
/// Every mistake in every source.
pub fn load(sources: &SettingSources) -> Result<LoadedSettings, ConfigError> {
    let ExaminedSettings { loaded, problems, .. } = examine(sources);
    if problems.is_empty() { Ok(loaded) } else { Err(ConfigError { problems }) }
}

/// The settings with everything that is wrong with them: a key with a mistake keeps its default.
#[derive(Debug)]
pub struct ExaminedSettings {
    pub loaded: LoadedSettings,
    pub problems: Vec<ConfigProblem>,
    /// The files in which secrets stand.
    pub secret_files: Vec<PathBuf>,
}

/// Reads the settings from all sources, as far as they can be read.
#[must_use]
pub fn examine(sources: &SettingSources) -> ExaminedSettings {
    let file = sources.file.clone().or_else(|| Path::new(DEFAULT_FILE).exists().then(|| DEFAULT_FILE.into()));
    let mut problems = Vec::new();
    let mut layers = layer::SettingLayers::default();
    if let Some(path) = &file {
        layers.add_file(path, &mut problems);
    }
    layers.add_environment(&sources.environment, &mut problems);
    layers.add_flags(&sources.flags);
    let settings = build::settings(&layers, &mut problems);
    let secret_files = layers.secret_files.into_iter().collect();
    ExaminedSettings { loaded: LoadedSettings { settings, file }, problems, secret_files }
}

#[cfg(test)]
mod tests;
