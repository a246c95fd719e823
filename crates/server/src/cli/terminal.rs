//! What the commands print. Colours only where a terminal shows them.

use std::fmt::Display;
use std::io::Write as _;

use anstyle::{AnsiColor, Style};

use super::failure::CommandFailure;
use crate::settings::loading::ConfigError;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const WARN: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// How wide running text is.
const TEXT_WIDTH: usize = 96;
/// How wide the names before values are.
const NAME_WIDTH: usize = 15;

/// A line on stdout. That nobody reads it is no failure of the command.
pub(crate) fn line(text: impl Display) {
    let _ = writeln!(anstream::stdout(), "{text}");
}

/// A remark on stderr, beside what other programs read on stdout.
pub(crate) fn aside(text: impl Display) {
    let _ = writeln!(anstream::stderr(), "{DIM}{text}{DIM:#}");
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
pub(crate) fn print_done(text: impl Display) {
    line(format_args!("\n{GOOD}✓{GOOD:#} {text}"));
}

/// What to do next.
pub(crate) fn next(text: impl Display) {
    line(format_args!("  {HINT}next:{HINT:#} {text}"));
}

/// The head of a group of lines.
pub(crate) fn group(name: &str) {
    line(format_args!("  {BOLD}{name}{BOLD:#}"));
}

/// How a thing was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FindingMark {
    Good,
    Attention,
    Bad,
}

/// A thing that was looked at, and for trouble what to do.
pub(crate) fn print_finding(mark: FindingMark, what: &str, fix: Option<&str>) {
    let (style, sign) = match mark {
        FindingMark::Good => (GOOD, '✔'),
        FindingMark::Attention => (WARN, '▲'),
        FindingMark::Bad => (BAD, '✖'),
    };
    let mut lines = wrap_lines(what, TEXT_WIDTH);
    line(format_args!("  {style}{sign}{style:#} {}", lines.next().unwrap_or_default()));
    for more in lines {
        line(format_args!("    {more}"));
    }
    for (number, part) in fix.into_iter().flat_map(|fix| wrap_lines(fix, TEXT_WIDTH - 2)).enumerate() {
        let arrow = if number == 0 { '→' } else { ' ' };
        line(format_args!("    {HINT}{arrow}{HINT:#} {part}"));
    }
}

/// The verdict over everything that was looked at.
pub(crate) fn verdict(mark: FindingMark, text: impl Display) {
    let (style, sign) = match mark {
        FindingMark::Good => (GOOD, '✓'),
        FindingMark::Attention => (WARN, '▲'),
        FindingMark::Bad => (BAD, '✖'),
    };
    line(format_args!("\n{style}{sign}{style:#} {text}"));
}

/// Lines of at most so many characters, broken between words; a word that is longer stands alone.
fn wrap_lines(text: &str, width: usize) -> impl Iterator<Item = String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(last) if last.chars().count() + 1 + word.chars().count() <= width => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.into_iter()
}

/// A count with its noun.
pub(crate) fn count_noun(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

/// Something that matters, among the facts.
pub(crate) fn emphasize(text: impl Display) -> String {
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
    if let Some(failure) = error.chain().find_map(|cause| cause.downcast_ref::<CommandFailure>()) {
        let _ = writeln!(out, "  {HINT}fix:{HINT:#} {}", failure.fix);
    }
}
