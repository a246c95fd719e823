//! The description is what is answered: held against the routes, and by a fuzzer that sends what the description allows
//! and what it forbids.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use alertcast::http::api::{ROUTES, description};
use alertcast::running;
use alertcast_core::store::Collection;
use serde_json::Value;
use tokio::process::Command;

use super::office::Office;
use crate::support::Post;

/// As `./test` installs it.
const VERSION: &str = "4.32.5";
/// A run of the fuzzer takes less, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(1_700);

#[tokio::test]
async fn every_route_is_described_and_nothing_else() {
    let described = description();
    let mut operations = Vec::new();
    for (path, methods) in described["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            operations.push((
                method.to_uppercase(),
                path.clone(),
                operation["operationId"].as_str().unwrap().to_owned(),
            ));
        }
    }
    let mut routes: Vec<_> = ROUTES
        .iter()
        .map(|route| (route.method.to_string(), format!("/api/v1{}", route.path), route.operation.clone()))
        .collect();
    operations.sort();
    routes.sort();
    assert_eq!(operations, routes);
    let mut names: Vec<&String> = routes.iter().map(|(_, _, operation)| operation).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), routes.len(), "an operation's name stands twice");
}

#[tokio::test]
async fn it_is_served_to_anybody_and_every_reference_in_it_leads_somewhere() {
    let office = Office::new().await;
    let answer = Post::body("").by("GET").to("/api/openapi.json").send(&office.house).await.assert(200);
    assert_eq!(answer.body, description());
    let mut references = Vec::new();
    gather(&answer.body, &mut references);
    assert!(references.len() > 100);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(answer.body.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

#[tokio::test]
async fn every_property_and_parameter_is_described_and_no_enumeration_holds_null() {
    let described = description();
    let mut gaps = Vec::new();
    let count = find_gaps(&described["components"], "", &mut gaps);
    for (path, methods) in described["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            for parameter in operation["parameters"].as_array().unwrap() {
                if parameter["description"].as_str().is_none_or(str::is_empty) {
                    gaps.push(format!("{method} {path} {}", parameter["name"]));
                }
            }
        }
    }
    assert_eq!(gaps, Vec::<String>::new());
    assert!(count > 500, "{count} properties were looked at");
}

/// Counts the properties; `gaps` are those that nothing is said about, and the enumerations with null.
fn find_gaps(value: &Value, path: &str, gaps: &mut Vec<String>) -> usize {
    let mut count = 0;
    for (name, property) in value.get("properties").and_then(Value::as_object).into_iter().flatten() {
        count += 1;
        if property["description"].as_str().is_none_or(str::is_empty) {
            gaps.push(format!("{path}/{name}"));
        }
    }
    if value.get("enum").and_then(Value::as_array).is_some_and(|words| words.contains(&Value::Null)) {
        gaps.push(format!("{path}: null among the words"));
    }
    let within: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(n, value)| (n.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    count + within.into_iter().map(|(name, value)| find_gaps(value, &format!("{path}/{name}"), gaps)).sum::<usize>()
}

fn gather(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "$ref" => found.push(text.clone()),
                    value => gather(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, found)),
        _ => {}
    }
}

/// What was answered must be described, and nothing may break. Left out, in `schemathesis.toml`, is what cannot hold: a
/// request that fits the schemas may still name documents that do not exist, or an ETag that was never given.
#[tokio::test]
async fn a_fuzzer_finds_nothing_that_is_not_described() {
    let Some(fuzzer) = fuzzer() else {
        #[expect(clippy::print_stderr, reason = "a test that lacks its part says so")]
        {
            eprintln!("skipped: there is no schemathesis; ./test installs it");
        }
        return;
    };
    let office = Office::new().await;
    office.customer(1).await;
    let mut settings = (*office.house.app.settings).clone();
    settings.listen = "127.0.0.1:0".parse().unwrap();
    let mut parts = office.house.app.clone();
    parts.clock = alertcast::clock::SystemClock::new();
    parts.settings = std::sync::Arc::new(settings);
    let running = running::start(parts).await.unwrap();
    let url = format!("http://{}/api/openapi.json", running.address);
    let folder = tempfile::tempdir().unwrap();
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/api/schemathesis.toml");
    let run = Command::new(fuzzer)
        .args(["--config-file", config.to_str().unwrap(), "run", &url])
        .args(["--header", &format!("Authorization: Bearer {}", office.token)])
        .args(["--max-examples", "8", "--seed", "1", "--no-color", "--continue-on-failure"])
        .args(["--generation-database", "none", "--warnings", "off"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let ran = tokio::time::timeout(PATIENCE, run).await.expect("the fuzzer does not end").unwrap();
    let told = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{told}\n{}", String::from_utf8_lossy(&ran.stderr));
    assert!(office.house.all(Collection::AuditLog).await.len() > 20, "the fuzzer hardly changed anything:\n{told}");
    running.stop().await;
}

fn fuzzer() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2)?;
    let folder = root.join(format!(".parts/schemathesis-{VERSION}"));
    folder.join("complete").exists().then(|| folder.join("bin/schemathesis"))
}
