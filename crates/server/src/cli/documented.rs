//! The pages of documentation name commands, flags, variables, settings, routes and conditions as they are.

use std::collections::BTreeSet;

use alertcast_core::admin::Permission;
use clap::{Command, CommandFactory as _};

use super::{CommandLine, seed};
use crate::degraded::TroubleKind;
use crate::http::api::{ROUTES, RoutePermission};
use crate::settings::loading::{KEYS, SettingKey};

const API: &str = include_str!("../../../../docs/api.md");
const OPERATIONS: &str = include_str!("../../../../docs/operations.md");
const PAGES: [(&str, &str); 4] = [
    ("README.md", include_str!("../../../../README.md")),
    ("docs/alerts.md", include_str!("../../../../docs/alerts.md")),
    ("docs/api.md", API),
    ("docs/operations.md", OPERATIONS),
];
/// Flags of others: cargo, the tests, MongoDB's tools, the stand-in for Telegram.
const FLAGS_OF_OTHERS: [&str; 8] =
    ["--help", "--long", "--path", "--eval", "--jsonArray", "--oplog", "--lenient", "--token"];

/// What stands in a page as code: in backticks, or in indented or fenced lines.
fn code(page: &str) -> Vec<String> {
    let (mut pieces, mut fenced, mut prose) = (Vec::new(), false, String::new());
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced || line.starts_with("    ") {
            pieces.push(line.to_owned());
        } else {
            prose.push_str(line);
            prose.push(' ');
        }
    }
    pieces.extend(prose.split('`').skip(1).step_by(2).map(str::to_owned));
    pieces
}

/// The words of a text that begin so, with the letters, digits and marks that belong to them.
fn words<'a>(text: &'a str, begin: &'a str) -> impl Iterator<Item = &'a str> {
    let word = |from: &'a str| {
        let more = &from[begin.len()..];
        let end = more.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').unwrap_or(more.len());
        &from[..begin.len() + end]
    };
    text.match_indices(begin).map(move |(at, _)| word(&text[at..]))
}

fn flags(command: &Command) -> BTreeSet<String> {
    let own = command.get_arguments().filter_map(|arg| arg.get_long()).map(|long| format!("--{long}"));
    own.chain(command.get_subcommands().flat_map(flags)).collect()
}

/// Every command, as it is called, with its flags.
fn commands(command: &Command, path: &str, found: &mut Vec<(String, BTreeSet<String>)>) {
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        let path = format!("{path} {}", sub.get_name());
        if sub.has_subcommands() {
            commands(sub, &path, found);
        } else {
            found.push((path, flags(sub)));
        }
    }
}

#[test]
fn every_command_and_flag_is_documented_and_every_documented_one_exists() {
    let cli = CommandLine::command();
    let mut known = Vec::new();
    commands(&cli, "alertcast", &mut known);
    for (command, flags) in &known {
        assert!(OPERATIONS.contains(&format!("| `{command}")), "docs/operations.md has no {command}");
        for flag in flags {
            assert!(OPERATIONS.contains(&format!("`{flag}")), "docs/operations.md has no {flag} of {command}");
        }
    }
    let all = flags(&cli);
    for flag in &all {
        assert!(OPERATIONS.contains(&format!("`{flag}")), "docs/operations.md has no {flag}");
    }
    for (page, text) in PAGES {
        for piece in code(text) {
            for flag in words(&piece, "--").filter(|flag| flag.len() > 2) {
                assert!(all.contains(flag) || FLAGS_OF_OTHERS.contains(&flag), "{page}: {flag} in {piece:?}");
            }
            for (at, name) in piece.match_indices("alertcast ") {
                let is_word = piece[..at].chars().next_back().is_none_or(|c| c == ' ' || c == '(');
                let rest = &piece[at + name.len()..];
                if is_word && rest.starts_with(|c: char| c.is_ascii_lowercase()) {
                    let called = |command: &str| piece[at..].starts_with(command);
                    assert!(known.iter().any(|(command, _)| called(command)), "{page}: {piece:?} is no command");
                }
            }
        }
    }
}

#[test]
fn every_variable_and_setting_that_is_documented_exists() {
    let is_variable = |name: &str| {
        let of = |key: &SettingKey| key.variable == name || key.secret && name == format!("{}_FILE", key.variable);
        KEYS.iter().any(of) || ["ALERTCAST_", "ALERTCAST_CONFIG", seed::PASSWORD_VARIABLE].contains(&name)
    };
    let sections: BTreeSet<&str> = KEYS.iter().filter_map(|key| Some(key.path.split_once('.')?.0)).collect();
    let mut seen = 0;
    for (page, text) in PAGES {
        for name in words(text, "ALERTCAST_") {
            assert!(is_variable(name), "{page}: {name}");
            seen += 1;
        }
        for piece in code(text) {
            let is_setting = |piece: &str| {
                piece.split_once('.').is_some_and(|(section, _)| sections.contains(section))
                    && piece.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte == b'.')
            };
            if is_setting(&piece) {
                assert!(SettingKey::at(&piece).is_some(), "{page}: {piece} is no setting");
                seen += 1;
            }
        }
    }
    assert!(seen > 20, "{seen}");
    for name in ["ALERTCAST_CONFIG", seed::PASSWORD_VARIABLE] {
        assert!(OPERATIONS.contains(name), "docs/operations.md has no {name}");
    }
}

#[test]
fn every_route_is_documented_with_the_permission_it_takes_and_every_documented_one_exists() {
    let base = |path: &str| path.trim_end_matches("/{id}").to_owned();
    let known: BTreeSet<String> = ROUTES.iter().map(|route| base(&route.path)).collect();
    let named: BTreeSet<String> = code(API)
        .iter()
        .flat_map(|piece| piece.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .map(|word| word.strip_prefix("/api/v1").map_or(word.clone(), str::to_owned))
        .filter(|word| word.starts_with('/'))
        .map(|word| base(word.split('?').next().unwrap_or_default()))
        .filter(|path| !path.is_empty() && path != "/api/openapi.json")
        .collect();
    assert_eq!(named, known);
    for row in API.lines().filter(|line| line.starts_with("| `/")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let paths: Vec<&str> = cells[0].split('`').skip(1).step_by(2).collect();
        for route in ROUTES.iter().filter(|route| paths.contains(&&*base(&route.path))) {
            let cell = if route.method == "GET" { cells[1] } else { cells[2] };
            let needed: Vec<Permission> = match route.needs {
                RoutePermission::Token => Vec::new(),
                RoutePermission::Permission(one) => vec![one],
                RoutePermission::Either(one, other) => vec![one, other],
            };
            for permission in needed {
                assert!(cell.contains(permission.as_str()), "{} {} takes {permission}", route.method, route.path);
            }
        }
    }
}

#[test]
fn every_condition_is_documented_and_no_other() {
    let (_, table) = OPERATIONS.split_once("| condition | what it means |").unwrap();
    let rows = table.lines().skip(2).map_while(|line| line.strip_prefix("| `")?.split('`').next());
    let named: BTreeSet<&str> = rows.collect();
    assert_eq!(named, TroubleKind::ALL.iter().map(|condition| condition.word()).collect());
}

#[test]
fn every_part_of_the_domain_and_of_the_program_stands_in_the_map_of_the_house() {
    let architecture = include_str!("../../../../ARCHITECTURE.md");
    let (_, map) = architecture.split_once("## The house").unwrap();
    let map = map.split("## ").next().unwrap();
    let listed: BTreeSet<&str> = map.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    for parts in [include_str!("../lib.rs"), include_str!("../../../core/src/lib.rs")] {
        for line in parts.lines() {
            let Some((_, part)) = line.strip_suffix(';').and_then(|line| line.split_once("mod ")) else { continue };
            assert!(listed.contains(part), "{part} is not in ARCHITECTURE.md");
        }
    }
}
