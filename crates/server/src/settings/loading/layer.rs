//! File, environment and flags, laid over one another: for each key the uppermost value, and where it came from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::key::{KEYS, SettingKey};
use super::problem::{ConfigProblem, SettingOrigin};
use crate::suggest;

/// Names the configuration file.
pub(super) const FILE_VARIABLE: &str = "ALERTCAST_CONFIG";

/// Variables of ours that are no settings: what `seed` reads, and what the tests use.
const OTHER_VARIABLES: &[&str] = &[FILE_VARIABLE, "ALERTCAST_ADMIN_PASSWORD"];
const OTHER_PREFIXES: &[&str] = &["ALERTCAST_TEST_"];

/// A value as it stands in its source.
#[derive(Debug, Clone)]
pub(super) enum RawSetting {
    Toml(Value),
    Text(String),
}

/// A value and its source.
#[derive(Debug, Clone)]
pub(super) struct FoundSetting {
    pub(super) raw: RawSetting,
    pub(super) origin: SettingOrigin,
}

/// The uppermost value of each key that has one.
#[derive(Debug, Default)]
pub(super) struct SettingLayers {
    found: BTreeMap<&'static str, FoundSetting>,
    /// Files in which secrets stand.
    pub(super) secret_files: BTreeSet<PathBuf>,
}

impl SettingLayers {
    /// The uppermost value.
    pub(super) fn get(&self, key: &SettingKey) -> Option<&FoundSetting> {
        self.found.get(key.path)
    }

    /// Lays the file over what is there.
    pub(super) fn add_file(&mut self, path: &Path, problems: &mut Vec<ConfigProblem>) {
        let origin = SettingOrigin::File(path.to_owned());
        let whole = |what: String, fix: &str| ConfigProblem {
            key: String::new(),
            origin: origin.clone(),
            what,
            fix: fix.to_owned(),
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                let fix =
                    "check the path and the permissions; `alertcast setup --print-config` prints a file to start from";
                return problems.push(whole(format!("the configuration cannot be read ({error})"), fix));
            }
        };
        let table = match text.parse::<Table>() {
            Ok(table) => table,
            Err(error) => {
                // The parser's own message shows the line, which may hold a secret.
                let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
                let what = format!("line {line} is no TOML: {}", error.message());
                return problems.push(whole(what, "mend that line; text values stand in \"quotes\""));
            }
        };
        let mut values = Vec::new();
        flatten("", table, &mut values);
        let mut layer = SettingLayer::new(origin.clone());
        for (name, value) in values {
            layer.add_from_file(&name, value, problems);
        }
        if layer.found.iter().any(|(name, found)| holds_secret(name, &found.raw)) {
            layer.secret_files.insert(path.to_owned());
        }
        self.lay(layer);
    }

    /// Lays the environment over what is there. An empty variable counts as not set.
    pub(super) fn add_environment(&mut self, variables: &[(String, String)], problems: &mut Vec<ConfigProblem>) {
        let mut layer = SettingLayer::new(SettingOrigin::Flag);
        for (name, value) in variables {
            if !name.starts_with("ALERTCAST_") || value.is_empty() || is_other_variable(name) {
                continue;
            }
            layer.origin = SettingOrigin::Environment(name.clone());
            if let Some(key) = KEYS.iter().find(|key| key.variable == name) {
                layer.set(key, RawSetting::Text(value.clone()), problems);
            } else if let Some(key) = KEYS.iter().find(|key| key.secret && key.file_variable() == *name) {
                layer.set_from_file(key, Path::new(value), problems);
            } else {
                problems.push(ConfigProblem {
                    key: name.clone(),
                    origin: layer.origin.clone(),
                    what: "is no setting".to_owned(),
                    fix: did_you_mean(name, KEYS.iter().map(|key| key.variable)),
                });
            }
        }
        self.lay(layer);
    }

    /// Lays flags over what is there.
    pub(super) fn add_flags(&mut self, flags: &[(&'static SettingKey, String)]) {
        for (key, value) in flags {
            self.found
                .insert(key.path, FoundSetting { raw: RawSetting::Text(value.clone()), origin: SettingOrigin::Flag });
        }
    }

    fn lay(&mut self, layer: SettingLayer) {
        self.found.extend(layer.found);
        self.secret_files.extend(layer.secret_files);
    }
}

/// One source's values.
struct SettingLayer {
    origin: SettingOrigin,
    found: BTreeMap<&'static str, FoundSetting>,
    secret_files: BTreeSet<PathBuf>,
}

impl SettingLayer {
    const fn new(origin: SettingOrigin) -> Self {
        Self { origin, found: BTreeMap::new(), secret_files: BTreeSet::new() }
    }

    fn add_from_file(&mut self, name: &str, value: Value, problems: &mut Vec<ConfigProblem>) {
        if let Some(key) = SettingKey::at(name) {
            return self.set(key, RawSetting::Toml(value), problems);
        }
        if let Some(key) = KEYS.iter().find(|key| key.secret && key.file_path() == name) {
            return match value {
                Value::String(path) => self.set_from_file(key, Path::new(&path), problems),
                _ => problems.push(self.problem(name, "is no path", "write the file's path in \"quotes\"")),
            };
        }
        let fix = did_you_mean(name, KEYS.iter().map(|key| key.path));
        problems.push(self.problem(name, "is no setting", &fix));
    }

    fn set(&mut self, key: &'static SettingKey, raw: RawSetting, problems: &mut Vec<ConfigProblem>) {
        let found = FoundSetting { raw, origin: self.origin.clone() };
        if self.found.insert(key.path, found).is_some() {
            let fix = format!("keep either {} or {}", key.path, key.file_path());
            problems.push(self.problem(key.path, "is set twice", &fix));
        }
    }

    fn set_from_file(&mut self, key: &'static SettingKey, path: &Path, problems: &mut Vec<ConfigProblem>) {
        match std::fs::read_to_string(path) {
            // One to a line, for those of which there may be several.
            Ok(text) => {
                self.secret_files.insert(path.to_owned());
                self.set(key, RawSetting::Text(text.trim().replace(['\r', '\n'], ",")), problems);
            }
            Err(error) => {
                let what = format!("names the file {}, which cannot be read ({error})", path.display());
                problems.push(self.problem(&key.file_path(), &what, "check the path and the permissions"));
            }
        }
    }

    fn problem(&self, key: &str, what: &str, fix: &str) -> ConfigProblem {
        ConfigProblem { key: key.to_owned(), origin: self.origin.clone(), what: what.to_owned(), fix: fix.to_owned() }
    }
}

/// Whether a secret stands here itself, not the name of a file that holds one.
fn holds_secret(path: &str, raw: &RawSetting) -> bool {
    let is_set = match raw {
        // The store is a secret for the password that its address may hold.
        RawSetting::Toml(Value::String(text)) => !text.is_empty() && text != "embedded",
        RawSetting::Toml(Value::Array(values)) => !values.is_empty(),
        RawSetting::Toml(_) | RawSetting::Text(_) => false,
    };
    is_set && SettingKey::at(path).is_some_and(|key| key.secret)
}

/// Tables become dotted names.
fn flatten(prefix: &str, table: Table, out: &mut Vec<(String, Value)>) {
    for (name, value) in table {
        let path = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match value {
            Value::Table(inner) => flatten(&path, inner, out),
            value => out.push((path, value)),
        }
    }
}

/// A variable that begins like ours and is no setting. Kubernetes gives every container of a namespace such variables
/// for each service in it, and a service may well be called `alertcast`.
fn is_other_variable(name: &str) -> bool {
    OTHER_VARIABLES.contains(&name)
        || OTHER_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || name == "ALERTCAST_PORT"
        || name.starts_with("ALERTCAST_PORT_")
        || name.starts_with("ALERTCAST_SERVICE_")
}

/// Names the known word that is nearest, where one is near.
fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    suggest::nearest(name, known).map_or_else(
        || "remove it; `alertcast setup --print-config` lists what can be set".to_owned(),
        |word| format!("remove it, or did you mean {word}?"),
    )
}
