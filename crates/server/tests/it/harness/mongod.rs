//! A MongoDB-compatible server of a test's own, to be killed, stopped and started again over the same data.

use std::fs::File;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::PoisonError;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::child::{FORKS, free_address, signal};

/// A start reads the log of what was synced; the machine is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The server.
#[derive(Debug)]
pub(crate) struct Mongod {
    address: SocketAddr,
    dir: TempDir,
    process: Option<Child>,
}

impl Mongod {
    /// A new one, running.
    pub(crate) async fn start() -> Self {
        let mut server = Self { address: free_address(), dir: TempDir::new().unwrap(), process: None };
        server.up().await;
        server
    }

    /// How it is reached.
    pub(crate) fn uri(&self) -> String {
        format!("mongodb://{}/?replicaSet=secantus", self.address)
    }

    /// Starts it over what is there, and waits until it listens.
    pub(crate) async fn up(&mut self) {
        let program = std::env::var("ALERTCAST_TEST_MONGODB_SERVER")
            .unwrap_or_else(|_| panic!("ALERTCAST_TEST_MONGODB_SERVER names no server to start; ./test installs one"));
        let log = File::create(self.dir.path().join("log")).unwrap();
        let mut command = Command::new(program);
        command.args(["--host", &self.address.ip().to_string(), "--port", &self.address.port().to_string()]);
        command.arg("--storage-path").arg(self.dir.path().join("data")).args(["--cache-size", "256M"]);
        command.args(["--sync-on-commit"]).current_dir(self.dir.path()).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let spawned = {
            let _alone = FORKS.lock().unwrap_or_else(PoisonError::into_inner);
            command.spawn().unwrap()
        };
        self.process = Some(spawned);
        let listening = async {
            while TcpStream::connect(self.address).await.is_err() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let listens = tokio::time::timeout(PATIENCE, listening).await;
        assert!(listens.is_ok(), "{}", std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default());
    }

    /// `kill -9`.
    pub(crate) async fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.start_kill().unwrap();
        process.wait().await.unwrap();
    }

    /// It holds still, with every connection open, for that long.
    pub(crate) async fn stall(&self, duration: Duration) {
        let id = self.process.as_ref().and_then(Child::id).unwrap();
        signal(id, "STOP").await;
        tokio::time::sleep(duration).await;
        signal(id, "CONT").await;
    }
}
