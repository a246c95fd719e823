//! `doctor`: looks at everything that `serve` rests on, and says what to do about what is wrong. It changes nothing, and
//! shows no secret.
//!
//! Each file looks at one thing: `settings` (the configuration), `network` (where it listens, where TradingView finds
//! it), `data` (folder and store), `office` (tokens and payments), `telegram` (bots, operators' chats, the clock),
//! `mail`, `machine`.

mod administration;
mod data;
mod machine;
mod mail;
mod network;
mod readings;
mod server;
mod settings;
mod telegram;

pub(super) use self::telegram::bots;

use std::fmt;

use serde::Serialize;

use super::terminal::{self, FindingMark};
use crate::clock::SystemClock;
use crate::settings::loading::{SettingSources, examine};

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DoctorFinding {
    mark: FindingMark,
    what: String,
    /// What to do; none where nothing is wrong.
    fix: Option<String>,
}

impl DoctorFinding {
    fn good(what: impl Into<String>) -> Self {
        Self { mark: FindingMark::Good, what: what.into(), fix: None }
    }

    /// It works, and could be better or break.
    fn attention(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { mark: FindingMark::Attention, what: what.into(), fix: Some(fix.into()) }
    }

    /// Alerts would not come in, or would not be sent.
    fn bad(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { mark: FindingMark::Bad, what: what.into(), fix: Some(fix.into()) }
    }
}

impl DoctorFinding {
    /// Prints it by itself.
    pub(super) fn print(&self) {
        terminal::print_finding(self.mark, &self.what, self.fix.as_deref());
    }
}

/// Something is broken; what it is has been told.
#[derive(Debug)]
pub(super) struct DoctorFailure;

impl fmt::Display for DoctorFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("something is broken")
    }
}

impl std::error::Error for DoctorFailure {}

/// Looks at everything, and prints what it finds as it goes.
pub(super) async fn run(sources: &SettingSources, json: bool) -> anyhow::Result<()> {
    let examined = examine(sources);
    let settings = &examined.loaded.settings;
    let mut report = DoctorReport::new(json);
    report.add("Configuration", settings::look(&examined));
    let server = server::ask(settings).await;
    report.add("Network", network::look(settings, &server).await);
    report.add("Data", data::look(settings, &server).await);
    report.add("API and payments", administration::look(settings, &*SystemClock::new()).await);
    report.add("Telegram", telegram::look(settings, &*SystemClock::new()).await);
    report.add("E-mail", mail::look(settings).await);
    report.add("Machine", machine::look());
    report.end()
}

/// What was found so far.
#[derive(Debug)]
struct DoctorReport {
    json: bool,
    groups: Vec<(&'static str, Vec<DoctorFinding>)>,
}

impl DoctorReport {
    fn new(json: bool) -> Self {
        if !json {
            terminal::title("doctor");
        }
        Self { json, groups: Vec::new() }
    }

    fn add(&mut self, group: &'static str, findings: Vec<DoctorFinding>) {
        if !self.json && !findings.is_empty() {
            if !self.groups.is_empty() {
                terminal::line("");
            }
            terminal::group(group);
            for finding in &findings {
                terminal::print_finding(finding.mark, &finding.what, finding.fix.as_deref());
            }
        }
        if !findings.is_empty() {
            self.groups.push((group, findings));
        }
    }

    fn count(&self, mark: FindingMark) -> usize {
        self.groups.iter().flat_map(|(_, findings)| findings).filter(|finding| finding.mark == mark).count()
    }

    fn end(self) -> anyhow::Result<()> {
        let (bad, attention) = (self.count(FindingMark::Bad), self.count(FindingMark::Attention));
        if self.json {
            terminal::line(serde_json::to_string_pretty(&self.document())?);
        } else {
            match (bad, attention) {
                (0, 0) => terminal::verdict(FindingMark::Good, "Everything is well."),
                (0, n) => terminal::verdict(FindingMark::Good, format_args!("Nothing is broken; {n} to look at (▲).")),
                (bad, 0) => terminal::verdict(FindingMark::Bad, format_args!("{bad} broken (✖).")),
                (bad, n) => {
                    terminal::verdict(FindingMark::Bad, format_args!("{bad} broken (✖), and {n} to look at (▲)."))
                }
            }
        }
        if bad == 0 { Ok(()) } else { Err(DoctorFailure.into()) }
    }

    fn document(&self) -> ReportDocument {
        let finding = |group: &'static str, finding: &DoctorFinding| ReportEntry {
            group,
            mark: match finding.mark {
                FindingMark::Good => "good",
                FindingMark::Attention => "attention",
                FindingMark::Bad => "bad",
            },
            what: finding.what.clone(),
            fix: finding.fix.clone(),
        };
        let entries = self.groups.iter().flat_map(|(group, all)| all.iter().map(|one| finding(group, one)));
        ReportDocument {
            version: env!("CARGO_PKG_VERSION"),
            ok: self.count(FindingMark::Bad) == 0,
            findings: entries.collect(),
        }
    }
}

/// The report for programs.
#[derive(Debug, Serialize)]
struct ReportDocument {
    version: &'static str,
    ok: bool,
    findings: Vec<ReportEntry>,
}

#[derive(Debug, Serialize)]
struct ReportEntry {
    group: &'static str,
    mark: &'static str,
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}
