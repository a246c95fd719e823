//! What the commands print. Colours only where a terminal shows them.

use std::fmt::Display;
use std::io::Write as _;

use anstyle::{AnsiColor, Style};

use super::failure::Failure;
use crate::config::ConfigError;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// How wide the names before values are.
const NAME_WIDTH: usize = 15;

/// A line on stdout. That nobody reads it is no failure of the command.
pub(crate) fn line(text: impl Display) {
    let _ = writeln!(anstream::stdout(), "{text}");
}

/// The program's name and version, and what it is about to do.
pub(crate) fn title(what: &str) {
    line(format_args!("{BOLD}Alertcast {}{BOLD:#}  {DIM}{what}{DIM:#}\n", env!("CARGO_PKG_VERSION")));
}

/// A name and its value; further lines of the value stand under the first.
pub(crate) fn fact(name: &str, value: impl Display) {
    let value = value.to_string();
    let mut lines = value.lines();
    line(format_args!("  {DIM}{name:<NAME_WIDTH$}{DIM:#} {}", lines.next().unwrap_or_default()));
    for more in lines {
        line(format_args!("  {:<NAME_WIDTH$} {more}", ""));
    }
}

/// How it went.
pub(crate) fn done(text: impl Display) {
    line(format_args!("\n{GOOD}✓{GOOD:#} {text}"));
}

/// What to do next.
pub(crate) fn next(text: impl Display) {
    line(format_args!("  {HINT}next:{HINT:#} {text}"));
}

/// Something that matters, among the facts.
pub(crate) fn emphasized(text: impl Display) -> String {
    format!("{BOLD}{text}{BOLD:#}")
}

/// A failure on stderr: what happened, its causes, and the fix.
pub(crate) fn failure(error: &anyhow::Error) {
    let mut out = anstream::stderr().lock();
    if let Some(config) = error.downcast_ref::<ConfigError>() {
        for problem in &config.problems {
            let _ = writeln!(out, "{BAD}error:{BAD:#} {problem}\n  {HINT}fix:{HINT:#} {}", problem.fix);
        }
        return;
    }
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    let _ = writeln!(out, "{BAD}error:{BAD:#} {}", causes.join(": "));
    if let Some(failure) = error.chain().find_map(|cause| cause.downcast_ref::<Failure>()) {
        let _ = writeln!(out, "  {HINT}fix:{HINT:#} {}", failure.fix);
    }
}
