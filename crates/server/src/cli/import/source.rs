//! The file: JSON or TOML, as lists of objects.

use std::path::Path;

use anyhow::Context as _;
use serde_json::{Map, Value};

use crate::cli::failure::Failure;
use crate::entry::Problems;
use crate::suggest;

/// The lists of a file, each entry with its place.
#[derive(Debug, Default)]
pub(super) struct Lists {
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

/// Reads the file as JSON where its name ends so, else as TOML.
///
/// # Errors
/// The file cannot be read, or is neither.
pub(super) fn read(path: &Path) -> anyhow::Result<Value> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("{shown} cannot be read"))?;
    let is_json = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    let read = if is_json {
        serde_json::from_str(&text).map_err(|error| error.to_string())
    } else {
        text.parse::<toml::Table>().map(|table| from_toml(toml::Value::Table(table))).map_err(|error| error.to_string())
    };
    let language = if is_json { "JSON" } else { "TOML" };
    read.map_err(|error| {
        Failure::new(
            format!("{shown} is no {language}: {}", error.trim_end()),
            "mend that place; a file whose name ends in .json is read as JSON, any other as TOML",
        )
        .into()
    })
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

/// Takes the file apart.
pub(super) fn lists(value: Value, problems: &Problems) -> Lists {
    let Value::Object(mut fields) = value else {
        problems.add(
            "the file",
            "is no object: it holds the lists configurations, plans, users, subscriptions, preferences",
        );
        return Lists::default();
    };
    let lists = Lists {
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

fn list(fields: &mut Map<String, Value>, names: &[&str], problems: &Problems) -> Vec<(String, Value)> {
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
