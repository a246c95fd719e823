//! A mail server of a test's own: `tests/smtp/server.py`, which speaks real SMTP, and refuses, stalls and breaks off on
//! request. The mails that it took are read by another program's eyes than ours: Python's.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The server. It ends with this.
#[derive(Debug)]
pub(crate) struct MailServer {
    pub(crate) port: u16,
    process: Process,
    options: Vec<String>,
    folder: TempDir,
}

#[derive(Debug)]
struct Process {
    child: Child,
    told: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// A mail that arrived.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Mail {
    pub(crate) hello: String,
    pub(crate) login: Option<String>,
    pub(crate) encrypted: bool,
    pub(crate) sender: String,
    pub(crate) recipients: Vec<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) kind: String,
    pub(crate) defects: Vec<String>,
    pub(crate) bodies: BTreeMap<String, String>,
    pub(crate) bare_line_feeds: u32,
    pub(crate) longest_line: u32,
}

impl Mail {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
        header.map(|(_, value)| value.as_str())
    }

    pub(crate) fn id(&self) -> &str {
        self.header("Message-ID").unwrap()
    }

    /// The text as its reader sees it.
    pub(crate) fn text(&self) -> &str {
        &self.bodies["text/plain"]
    }

    pub(crate) fn is_marked(&self) -> bool {
        self.text().contains("May be a repeat")
    }
}

impl MailServer {
    /// A server that takes everything.
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// A server with these options of `server.py`.
    pub(crate) fn with(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        let (process, port) = Process::start(&folder.path().join("record"), &options, 0);
        Self { port, process, options, folder }
    }

    /// For `email.smtp_url`.
    pub(crate) fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// At this step it does this, `times` times or always: see `server.py`.
    pub(crate) fn rule(&mut self, at: &str, what: &str, more: Value) {
        let mut rule = json!({ "at": at, "do": what });
        rule.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        self.process.tell(&rule);
    }

    /// No rules any more.
    pub(crate) fn clear(&mut self) {
        self.process.tell(&json!({ "clear": true }));
    }

    /// Breaks off every connection.
    pub(crate) fn hang_up(&mut self) {
        self.process.tell(&json!({ "hang_up": true }));
    }

    /// Ends it: from now on connections to its port are refused.
    pub(crate) fn stop(&mut self) {
        self.process.end();
    }

    /// Starts it again at its port.
    pub(crate) fn start_again(&mut self) {
        (self.process, _) = Process::start(&self.folder.path().join("record"), &self.options, self.port);
    }

    /// The mails that it took, in order.
    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.events("mail").map(|event| serde_json::from_value(event).unwrap()).collect()
    }

    /// Those to user `n`.
    pub(crate) fn mails_to(&self, n: u32) -> Vec<Mail> {
        let to = [alertcast_core::fixtures::email(n)];
        self.mails().into_iter().filter(|mail| mail.recipients == to).collect()
    }

    /// How many connections it has had.
    pub(crate) fn connections(&self) -> usize {
        self.events("connection").count()
    }

    fn events(&self, kind: &'static str) -> impl Iterator<Item = Value> {
        let record = std::fs::read_to_string(self.folder.path().join("record")).unwrap_or_default();
        let whole = record.rfind('\n').map_or(0, |end| end + 1);
        let events: Vec<Value> = record[..whole].lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        events.into_iter().filter(move |event| event["event"] == kind)
    }
}

impl Process {
    fn start(record: &Path, options: &[String], port: u16) -> (Self, u16) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/smtp/server.py");
        let mut child = Command::new(python())
            .args([script, "--record", record.to_str().unwrap(), "--port", &port.to_string()])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (told, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut process = Self { child, told, answers };
        let answer = process.answer();
        let port = answer.strip_prefix("listening on ").unwrap_or_else(|| panic!("no mail server: {answer:?}"));
        (process, port.parse().unwrap())
    }

    fn tell(&mut self, command: &Value) {
        writeln!(self.told, "{command}").unwrap();
        assert_eq!(self.answer(), "ok");
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn end(&mut self) {
        // One that has ended already needs no end.
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// The Python that has aiosmtpd: `./test` installs it and says where; later it stands in its place.
fn python() -> PathBuf {
    if let Some(python) = std::env::var_os("ALERTCAST_TEST_SMTP_PYTHON") {
        return python.into();
    }
    let parts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.parts");
    let installed = std::fs::read_dir(&parts).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_it = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("aiosmtpd-"))
            && path.join("complete").exists()
    };
    let found = installed.filter(is_it).max();
    found.expect("there is no mail server to test against; ./test installs one").join("bin/python")
}
