//! The program of a server, and how it is called.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokio::process::Command;

/// Names the program to start; `./test` sets it.
pub const VARIABLE: &str = "ALERTCAST_TEST_MONGODB_SERVER";

/// The replica set that a mongod is told to be of.
const SET: &str = "rs0";

/// Many tests run side by side.
const CACHE_MB: u32 = 256;

/// A server's program: MongoDB's own, or the compatible one that stands in for it where that does not run.
#[derive(Debug, Clone)]
pub struct ServerProgram {
    path: PathBuf,
    kind: ProgramKind,
    cache_mb: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProgramKind {
    Mongod,
    Secantus,
}

impl ServerProgram {
    /// The program at this path; its name says which it is.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let kind = if name.starts_with("secantusd") { ProgramKind::Secantus } else { ProgramKind::Mongod };
        // It is started in a folder of its own.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Self { path, kind, cache_mb: CACHE_MB }
    }

    /// With so much memory for its cache.
    #[must_use]
    pub const fn with_cache_mb(mut self, cache_mb: u32) -> Self {
        self.cache_mb = cache_mb;
        self
    }

    /// The one that `ALERTCAST_TEST_MONGODB_SERVER` names.
    ///
    /// # Errors
    /// It names none.
    pub fn from_environment() -> anyhow::Result<Self> {
        let path = std::env::var_os(VARIABLE)
            .with_context(|| format!("{VARIABLE} names no MongoDB server to start; ./test brings one and sets it"))?;
        Ok(Self::at(Path::new(&path)))
    }

    /// Whether it is MongoDB itself, which can form a set of several nodes.
    #[must_use]
    pub fn is_mongod(&self) -> bool {
        self.kind == ProgramKind::Mongod
    }

    /// The name of the set that it is of.
    pub(crate) const fn set_name(&self) -> &'static str {
        match self.kind {
            ProgramKind::Mongod => SET,
            ProgramKind::Secantus => "secantus",
        }
    }

    /// How it is started at this address, over the data in this folder. What it has acknowledged survives its death.
    pub(crate) fn command(&self, address: SocketAddr, data: &Path) -> Command {
        let mut command = Command::new(&self.path);
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        match self.kind {
            ProgramKind::Mongod => {
                command.args(["--bind_ip", &host, "--port", &port, "--replSet", SET, "--nounixsocket"]);
                let cache_gb = f64::from(self.cache_mb) / 1024.0;
                command.args(["--oplogSize", "256", "--wiredTigerCacheSizeGB", &cache_gb.to_string()]);
                // As docs/operations.md tells operators, and shorter: processes are killed again and again.
                command.args(["--setParameter", "transactionLifetimeLimitSeconds=5"]);
                command.args(["--setParameter", "enableTestCommands=1"]).arg("--dbpath").arg(data);
            }
            ProgramKind::Secantus => {
                command.args(["--host", &host, "--port", &port, "--sync-on-commit"]);
                command.args(["--cache-size", &format!("{}M", self.cache_mb)]);
                command.arg("--storage-path").arg(data);
            }
        }
        command
    }
}
