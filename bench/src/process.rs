//! A process under test, from outside: started, looked at, stopped or killed.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::child::ServerCounts;
use crate::world::{SECRET, alert, symbol};

/// A running process; killed when dropped.
#[derive(Debug)]
pub(crate) struct BenchProcess {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
}

impl BenchProcess {
    /// Alertcast on this folder; with a stand-in for Telegram, at so many messages a second.
    pub(crate) async fn alertcast(
        dir: &Path,
        telegram: Option<&BenchProcess>,
        rate: Option<u32>,
    ) -> anyhow::Result<Self> {
        let mut command = this_program("child")?;
        command.arg("--dir").arg(dir);
        if let Some(telegram) = telegram {
            command.args(["--telegram", &telegram.url]);
        }
        if let Some(rate) = rate {
            command.args(["--rate", &rate.to_string()]);
        }
        Self::start(command).await
    }

    /// Alertcast on this folder, messages wait; as soon as it takes alerts in.
    pub(crate) async fn alertcast_at_once(dir: &Path) -> anyhow::Result<Self> {
        let mut command = this_program("child")?;
        command.arg("--at-once").arg("--dir").arg(dir);
        Self::start(command).await
    }

    /// Alertcast on this folder, each of whose syncs lasts longer. It is a child of the one that is started.
    pub(crate) async fn alertcast_with(dir: &Path, delay: SyncDelay) -> anyhow::Result<Self> {
        let inject = format!("inject=fsync,fdatasync:delay_exit={}", delay.0.as_micros());
        let mut command = traced(&["-e", &inject, "-o", "/dev/null"].map(OsStr::new))?;
        command.arg("child").arg("--dir").arg(dir);
        Self::start(command).await
    }

    /// Alertcast on this folder, with a stand-in for Telegram; its syncs are written down in a file.
    pub(crate) async fn alertcast_watched(dir: &Path, telegram: &BenchProcess, trace: &Path) -> anyhow::Result<Self> {
        let mut command = traced(&[OsStr::new("-o"), trace.as_os_str()])?;
        command.arg("child").arg("--dir").arg(dir).args(["--telegram", &telegram.url]);
        Self::start(command).await
    }

    /// A server that takes requests and does nothing.
    pub(crate) async fn no_op() -> anyhow::Result<Self> {
        Self::start(this_program("no-op")?).await
    }

    /// Alertcast on a MongoDB, with this data folder; messages wait.
    pub(crate) async fn alertcast_on(uri: &str, dir: &Path) -> anyhow::Result<Self> {
        let mut command = this_program("child")?;
        command.arg("--dir").arg(dir).args(["--mongodb", uri]);
        Self::start(command).await
    }

    /// A stand-in for Telegram.
    pub(crate) async fn telegram(rate: Option<u32>, latency: Duration) -> anyhow::Result<Self> {
        let mut command = this_program("telegram")?;
        command.args(["--latency-ms", &latency.as_millis().to_string()]);
        if let Some(rate) = rate {
            command.args(["--rate", &rate.to_string()]);
        }
        Self::start(command).await
    }

    async fn start(mut command: Command) -> anyhow::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let stdout = child.stdout.take().context("a child without output")?;
        let mut lines = BufReader::new(stdout).lines();
        let address = lines.next_line().await?.context("a part of the measurement ended at its start")?;
        Ok(Self { child, lines, url: format!("http://{address}") })
    }

    /// Where alerts are posted.
    pub(crate) fn webhook(&self) -> String {
        format!("{}/webhook/{SECRET}", self.url)
    }

    /// Posts an entry on a configuration, which is to be accepted. `id`: the alert's own.
    pub(crate) async fn enter(&self, config: usize, id: &str) -> anyhow::Result<()> {
        let body = alert(&symbol(config), "BUY", id);
        let response = reqwest::Client::new().post(self.webhook()).body(body).send().await?;
        anyhow::ensure!(response.status() == 202, "answered {}", response.status());
        Ok(())
    }

    /// Lets it finish; answers what it counted.
    pub(crate) async fn stop(mut self) -> anyhow::Result<ServerCounts> {
        drop(self.child.stdin.take());
        let line = self.lines.next_line().await?.context("a part of the measurement ended early")?;
        self.child.wait().await?;
        Ok(serde_json::from_str(&line)?)
    }

    /// `kill -9`.
    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Its memory now, in MB (10^6 bytes): `VmRSS`.
    pub(crate) fn resident_mb(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()?))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
        let kib: f64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
        Ok(kib * 1_024.0 / 1e6)
    }

    /// What it has written to files so far, in bytes: `write_bytes`.
    pub(crate) fn written(&self) -> anyhow::Result<u64> {
        let io = std::fs::read_to_string(format!("/proc/{}/io", self.id()?))?;
        let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).context("no write_bytes")?;
        Ok(line.trim().parse()?)
    }

    /// Its processor time so far: `utime` and `stime`.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id()?))?;
        let fields: Vec<&str> = stat.rsplit_once(')').context("no stat")?.1.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).context("no ticks");
        // Linux counts a hundred ticks a second.
        Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
    }

    fn id(&self) -> anyhow::Result<u32> {
        self.child.id().context("it has ended")
    }
}

/// How much longer each sync lasts than the disk's own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SyncDelay(pub(crate) Duration);

/// This program, its syncs seen by `strace` (which has to be installed), and nothing else slowed down.
fn traced(options: &[&OsStr]) -> anyhow::Result<Command> {
    let mut command = Command::new("strace");
    command.args(["-f", "--seccomp-bpf", "-qq", "-e", "signal=none", "-e", "trace=fsync,fdatasync"]);
    command.args(options).arg(std::env::current_exe()?);
    Ok(command)
}

fn this_program(part: &str) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(part);
    Ok(command)
}

/// What a stand-in for Telegram has counted.
#[derive(Debug, Clone, Copy, serde::Deserialize)]
pub(crate) struct StandInStats {
    pub(crate) messages: u64,
    pub(crate) limited_bot: u64,
    pub(crate) limited_chat: u64,
    pub(crate) limited_group: u64,
    pub(crate) limited_injected: u64,
    pub(crate) limited_while_frozen: u64,
}

/// What the stand-in has counted so far.
pub(crate) async fn stats(telegram: &BenchProcess) -> anyhow::Result<StandInStats> {
    Ok(reqwest::get(format!("{}/sim/stats", telegram.url)).await?.json().await?)
}

/// Waits until so many messages have arrived.
pub(crate) async fn wait_for_messages(
    telegram: &BenchProcess,
    count: u64,
    patience: Duration,
) -> anyhow::Result<StandInStats> {
    let url = format!("{}/sim/wait?count={count}&timeout_ms={}", telegram.url, patience.as_millis());
    Ok(reqwest::get(url).await?.error_for_status().context("the messages did not all arrive")?.json().await?)
}
