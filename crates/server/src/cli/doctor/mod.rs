//! `doctor`: looks at everything that `serve` rests on, and says what to do about what is wrong. It changes nothing, and
//! shows no secret.
//!
//! Each file looks at one thing: `settings` (the configuration), `network` (where it listens, where TradingView finds
//! it), `data` (folder and store), `office` (tokens and payments), `telegram` (bots, operators' chats, the clock),
//! `mail`, `machine`.

mod data;
mod machine;
mod mail;
mod network;
mod office;
mod readings;
mod server;
mod settings;
mod telegram;

pub(super) use self::telegram::bots;

use std::fmt;

use serde::Serialize;

use super::terminal::{self, Mark};
use crate::clock::SystemClock;
use crate::config::{Sources, examine};

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    mark: Mark,
    what: String,
    /// What to do; none where nothing is wrong.
    fix: Option<String>,
}

impl Finding {
    fn good(what: impl Into<String>) -> Self {
        Self { mark: Mark::Good, what: what.into(), fix: None }
    }

    /// It works, and could be better or break.
    fn attention(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { mark: Mark::Attention, what: what.into(), fix: Some(fix.into()) }
    }

    /// Alerts would not come in, or would not be sent.
    fn bad(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { mark: Mark::Bad, what: what.into(), fix: Some(fix.into()) }
    }
}

impl Finding {
    /// Prints it by itself.
    pub(super) fn print(&self) {
        terminal::finding(self.mark, &self.what, self.fix.as_deref());
    }
}

/// Something is broken; what it is has been told.
#[derive(Debug)]
pub(super) struct Unwell;

impl fmt::Display for Unwell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("something is broken")
    }
}

impl std::error::Error for Unwell {}

/// Looks at everything, and prints what it finds as it goes.
pub(super) async fn run(sources: &Sources, json: bool) -> anyhow::Result<()> {
    let examined = examine(sources);
    let settings = &examined.loaded.settings;
    let mut report = Report::new(json);
    report.add("Configuration", settings::look(&examined));
    let server = server::ask(settings).await;
    report.add("Network", network::look(settings, &server).await);
    report.add("Data", data::look(settings, &server).await);
    report.add("API and payments", office::look(settings, &*SystemClock::new()).await);
    report.add("Telegram", telegram::look(settings, &*SystemClock::new()).await);
    report.add("E-mail", mail::look(settings).await);
    report.add("Machine", machine::look());
    report.end()
}

/// What was found so far.
#[derive(Debug)]
struct Report {
    json: bool,
    groups: Vec<(&'static str, Vec<Finding>)>,
}

impl Report {
    fn new(json: bool) -> Self {
        if !json {
            terminal::title("doctor");
        }
        Self { json, groups: Vec::new() }
    }

    fn add(&mut self, group: &'static str, findings: Vec<Finding>) {
        if !self.json && !findings.is_empty() {
            if !self.groups.is_empty() {
                terminal::line("");
            }
            terminal::group(group);
            for finding in &findings {
                terminal::finding(finding.mark, &finding.what, finding.fix.as_deref());
            }
        }
        if !findings.is_empty() {
            self.groups.push((group, findings));
        }
    }

    fn count(&self, mark: Mark) -> usize {
        self.groups.iter().flat_map(|(_, findings)| findings).filter(|finding| finding.mark == mark).count()
    }

    fn end(self) -> anyhow::Result<()> {
        let (bad, attention) = (self.count(Mark::Bad), self.count(Mark::Attention));
        if self.json {
            terminal::line(serde_json::to_string_pretty(&self.document())?);
        } else {
            match (bad, attention) {
                (0, 0) => terminal::verdict(Mark::Good, "Everything is well."),
                (0, n) => terminal::verdict(Mark::Good, format_args!("Nothing is broken; {n} to look at (▲).")),
                (bad, 0) => terminal::verdict(Mark::Bad, format_args!("{bad} broken (✖).")),
                (bad, n) => terminal::verdict(Mark::Bad, format_args!("{bad} broken (✖), and {n} to look at (▲).")),
            }
        }
        if bad == 0 { Ok(()) } else { Err(Unwell.into()) }
    }

    fn document(&self) -> Document {
        let finding = |group: &'static str, finding: &Finding| Entry {
            group,
            mark: match finding.mark {
                Mark::Good => "good",
                Mark::Attention => "attention",
                Mark::Bad => "bad",
            },
            what: finding.what.clone(),
            fix: finding.fix.clone(),
        };
        let entries = self.groups.iter().flat_map(|(group, all)| all.iter().map(|one| finding(group, one)));
        Document { version: env!("CARGO_PKG_VERSION"), ok: self.count(Mark::Bad) == 0, findings: entries.collect() }
    }
}

/// The report for programs.
#[derive(Debug, Serialize)]
struct Document {
    version: &'static str,
    ok: bool,
    findings: Vec<Entry>,
}

#[derive(Debug, Serialize)]
struct Entry {
    group: &'static str,
    mark: &'static str,
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}
