//! The file: JSON or TOML, as lists of objects; or the documents of one collection, as `mongoexport` writes them.

use std::path::Path;

use anyhow::Context as _;
use serde_json::{Map, Value};

use crate::cli::failure::CommandFailure;
use crate::document_input::InputProblems;
use crate::suggest;

/// The lists of a file, each entry with its place.
#[derive(Debug, Default)]
pub(super) struct ImportLists {
    pub(super) configs: Vec<(String, Value)>,
    pub(super) plans: Vec<(String, Value)>,
    pub(super) users: Vec<(String, Value)>,
    pub(super) subscriptions: Vec<(String, Value)>,
    pub(super) preferences: Vec<(String, Value)>,
}

/// The names of the lists; the last of each is the seed's name for the collection.
const CONFIGS: &[&str] = &["configurations", "alertConfigurations", "alert_configurations"];
const PLANS: &[&str] = &["plans", "subscriptionPlans", "subscription_plans"];
const USERS: &[&str] = &["users"];
const SUBSCRIPTIONS: &[&str] = &["subscriptions", "userSubscriptions", "user_subscriptions"];
const PREFERENCES: &[&str] = &["preferences", "alertPreferences", "user_alert_preferences"];

/// What stands in a file.
#[derive(Debug)]
pub(super) enum ImportContent {
    /// An object of lists.
    Lists(Value),
    /// The documents of one collection, each with its place: JSON lines, or one list, as `mongoexport` writes them.
    Of(&'static [&'static str], Vec<(String, Value)>),
}

/// Reads the file as JSON where its name ends so, else as TOML.
///
/// # Errors
/// The file cannot be read, is neither, or holds documents of which it is not said what they are.
pub(super) fn read(path: &Path) -> anyhow::Result<ImportContent> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("{shown} cannot be read"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let is_json =
        path.extension().is_some_and(|ending| JSON_ENDINGS.iter().any(|json| ending.eq_ignore_ascii_case(json)));
    if !is_json {
        let table = text.parse::<toml::Table>();
        return table.map(|table| ImportContent::Lists(from_toml(toml::Value::Table(table)))).map_err(|error| {
            let fix = match text.trim_start().starts_with(['{', '[']) {
                true => "a file whose name ends in .json or .jsonl is read as JSON, any other as TOML: rename it",
                false => "mend that place; a file whose name ends in .json is read as JSON, any other as TOML",
            };
            CommandFailure::new(format!("{shown} is no TOML: {}", error.to_string().trim_end()), fix).into()
        });
    }
    if text.trim().is_empty() {
        return Ok(ImportContent::Lists(Value::Object(Map::new())));
    }
    match serde_json::from_str(text) {
        Ok(Value::Array(items)) => {
            documents(path, items.into_iter().enumerate().map(|(n, one)| (format!("[{n}]"), one)))
        }
        // One document, as `mongoexport` writes a collection of one.
        Ok(Value::Object(fields)) if is_document(path, &fields) => {
            documents(path, [("line 1".to_owned(), Value::Object(fields))])
        }
        Ok(value) => Ok(ImportContent::Lists(value)),
        Err(error) => match one_by_one(text) {
            Some(Ok(all)) => documents(path, all),
            Some(Err((line, error))) => Err(CommandFailure::new(
                format!("{shown} is one JSON document after another, and what begins in line {line} is none: {error}"),
                "mend that place",
            )
            .into()),
            None => Err(CommandFailure::new(format!("{shown} is no JSON: {error}"), "mend that place").into()),
        },
    }
}

const JSON_ENDINGS: [&str; 3] = ["json", "jsonl", "ndjson"];

/// Whether an object is a document rather than lists.
fn is_document(path: &Path, fields: &Map<String, Value>) -> bool {
    let names_list = |name: &String| LISTS.iter().any(|names| names.contains(&name.as_str()));
    let holds_own = |names: &[&str]| names.iter().any(|name| fields.get(*name).is_some_and(Value::is_array));
    let own = collection_named_by(path);
    fields.contains_key("_id") || own.is_some_and(|own| !holds_own(own) && !fields.keys().all(names_list))
}

/// Documents, each with the line on which it begins; else the line on which one begins that is none, from 1.
type DocumentLines = Result<Vec<(String, Value)>, (usize, serde_json::Error)>;

/// The documents of a file that holds one after another: each on a line, or over several (`mongoexport --pretty`). None
/// where the first is none.
fn one_by_one(text: &str) -> Option<DocumentLines> {
    let mut documents = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let mut all = Vec::new();
    loop {
        let rest = text.get(documents.byte_offset()..)?;
        let start = text.len() - rest.trim_start().len();
        let line = text.get(..start)?.matches('\n').count() + 1;
        match documents.next() {
            Some(Ok(value)) if all.is_empty() && !value.is_object() => return None,
            Some(Ok(value)) => all.push((format!("line {line}"), value)),
            Some(Err(_)) if all.is_empty() => return None,
            Some(Err(error)) => return Some(Err((line, error))),
            None => return Some(Ok(all)),
        }
    }
}

/// The documents of the collection that the file is named after.
fn documents(path: &Path, all: impl IntoIterator<Item = (String, Value)>) -> anyhow::Result<ImportContent> {
    let all: Vec<_> = all.into_iter().collect();
    match collection_named_by(path) {
        Some(names) => Ok(ImportContent::Of(names, all)),
        None if all.is_empty() => Ok(ImportContent::Lists(Value::Object(Map::new()))),
        None => {
            let names: Vec<String> =
                LISTS.iter().filter_map(|names| names.last()).map(|name| format!("{name}.json")).collect();
            Err(CommandFailure::new(
                format!("{} holds documents, and does not say of which collection", path.display()),
                format!("name it after its collection: {}", names.join(", ")),
            )
            .into())
        }
    }
}

/// The names of the list that a file is named after.
fn collection_named_by(path: &Path) -> Option<&'static [&'static str]> {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().to_lowercase()).unwrap_or_default();
    let named = |names: &&[&str]| {
        names.iter().any(|name| stem == name.to_lowercase() || stem.ends_with(&format!(".{}", name.to_lowercase())))
    };
    LISTS.into_iter().find(named)
}

fn from_toml(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(at) => at.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(from_toml).collect(),
        toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(name, value)| (name, from_toml(value))).collect())
        }
    }
}

const LISTS: [&[&str]; 5] = [CONFIGS, PLANS, USERS, SUBSCRIPTIONS, PREFERENCES];

impl ImportLists {
    fn of(names: &[&str], all: Vec<(String, Value)>) -> Self {
        let mut lists = Self::default();
        let list = match names {
            CONFIGS => &mut lists.configs,
            PLANS => &mut lists.plans,
            USERS => &mut lists.users,
            SUBSCRIPTIONS => &mut lists.subscriptions,
            _ => &mut lists.preferences,
        };
        *list = all;
        lists
    }
}

/// Takes the file apart.
pub(super) fn lists(content: ImportContent, problems: &InputProblems) -> ImportLists {
    match content {
        ImportContent::Lists(value) => of_object(value, problems),
        ImportContent::Of(names, all) => ImportLists::of(names, all),
    }
}

fn of_object(value: Value, problems: &InputProblems) -> ImportLists {
    let Value::Object(mut fields) = value else {
        problems.add(
            "the file",
            "is no object: it holds the lists configurations, plans, users, subscriptions, preferences",
        );
        return ImportLists::default();
    };
    let lists = ImportLists {
        configs: list(&mut fields, CONFIGS, problems),
        plans: list(&mut fields, PLANS, problems),
        users: list(&mut fields, USERS, problems),
        subscriptions: list(&mut fields, SUBSCRIPTIONS, problems),
        preferences: list(&mut fields, PREFERENCES, problems),
    };
    let known = || [CONFIGS, PLANS, USERS, SUBSCRIPTIONS, PREFERENCES].into_iter().flatten().copied();
    for name in fields.keys() {
        let meant = suggest::nearest(name, known()).map(|word| format!("; did you mean {word}?"));
        problems.add(name, format!("is no list that can be imported{}", meant.unwrap_or_default()));
    }
    lists
}

fn list(fields: &mut Map<String, Value>, names: &[&str], problems: &InputProblems) -> Vec<(String, Value)> {
    let mut out = Vec::new();
    for name in names {
        match fields.shift_remove(*name) {
            Some(Value::Array(items)) => {
                out.extend(items.into_iter().enumerate().map(|(index, item)| (format!("{name}[{index}]"), item)));
            }
            Some(_) => problems.add(*name, "is not a list"),
            None => {}
        }
    }
    out
}
