//! The servers of one replica set.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use bson::{Bson, Document, doc};
use mongodb::Client;
use mongodb::options::{ClientOptions, ServerAddress};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::free_address;
use crate::program::ServerProgram;
use crate::switch::NetworkSwitch;

/// How a process is started: whoever has locks that a child must not inherit takes care of them.
pub type SpawnFunction = fn(&mut Command) -> io::Result<Child>;

/// A start reads the log of what was synced, and the machine may be busy; an election takes ten seconds or more.
const PATIENCE: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A server that does not say hello for so long is not the primary.
const HELLO_WITHIN: Duration = Duration::from_secs(2);

/// A replica set with its data below a folder of its own, which goes with it.
#[derive(Debug)]
pub struct ReplicaSet {
    program: ServerProgram,
    members: Vec<SetMember>,
    /// Between the members and everybody. One node alone is reached directly.
    switch: Option<NetworkSwitch>,
    spawn: SpawnFunction,
    folder: TempDir,
}

#[derive(Debug)]
struct SetMember {
    /// Where it listens.
    own: SocketAddr,
    /// Where others reach it.
    public: SocketAddr,
    data: PathBuf,
    log: PathBuf,
    process: Option<Child>,
}

impl ReplicaSet {
    /// One node, which takes writes when this returns, with its data below `dir`.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(program: &ServerProgram, dir: &Path, spawn: SpawnFunction) -> anyhow::Result<Self> {
        Self::of(1, program, dir, spawn).await
    }

    /// Three nodes, each of which can be cut off from clients and from the others.
    ///
    /// # Errors
    /// They do not start, or the program forms no sets of several nodes.
    pub async fn start_three(program: &ServerProgram, dir: &Path, spawn: SpawnFunction) -> anyhow::Result<Self> {
        anyhow::ensure!(program.is_mongod(), "only MongoDB itself forms a set of three nodes");
        Self::of(3, program, dir, spawn).await
    }

    async fn of(count: usize, program: &ServerProgram, dir: &Path, spawn: SpawnFunction) -> anyhow::Result<Self> {
        let folder = TempDir::new_in(dir)?;
        let mut members = Vec::with_capacity(count);
        for n in 0..count {
            let own = free_address()?;
            let data = folder.path().join(format!("data{n}"));
            std::fs::create_dir(&data)?;
            let log = folder.path().join(format!("log{n}"));
            members.push(SetMember { own, public: own, data, log, process: None });
        }
        let mut set = Self { program: program.clone(), members, switch: None, spawn, folder };
        if count > 1 {
            let switch = NetworkSwitch::before(&set.members.iter().map(|member| member.own).collect::<Vec<_>>())?;
            for (member, public) in set.members.iter_mut().zip(switch.addresses()) {
                member.public = *public;
            }
            set.switch = Some(switch);
        }
        for n in 0..count {
            set.up(n).await?;
        }
        set.initiate().await?;
        set.primary(None).await?;
        Ok(set)
    }

    /// How clients reach it.
    #[must_use]
    pub fn uri(&self) -> String {
        let hosts: Vec<String> = self.members.iter().map(|member| member.public.to_string()).collect();
        format!("mongodb://{}/?replicaSet={}", hosts.join(","), self.program.set_name())
    }

    /// Starts a member over what is there, and waits until it listens.
    ///
    /// # Errors
    /// It ends, or does not listen.
    pub async fn up(&mut self, n: usize) -> anyhow::Result<()> {
        let member = &mut self.members[n];
        let log = File::create(&member.log)?;
        let mut command = self.program.command(member.own, &member.data);
        command.current_dir(self.folder.path()).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = (self.spawn)(&mut command).context("the MongoDB server cannot be started")?;
        if let (Some(switch), Some(id)) = (&self.switch, child.id()) {
            switch.is_run_by(n, id);
        }
        member.process = Some(child);
        let listening = async {
            while TcpStream::connect(member.own).await.is_err() {
                let has_ended = member.process.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)));
                anyhow::ensure!(!has_ended, "it ended");
                tokio::time::sleep(LOOK_EVERY).await;
            }
            Ok(())
        };
        let listens = timeout(PATIENCE, listening).await.unwrap_or_else(|_| Err(anyhow::anyhow!("it does not listen")));
        listens.with_context(|| format!("the MongoDB server: {}", last_words(&member.log)))
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// It does not run.
    pub async fn kill(&mut self, n: usize) -> anyhow::Result<()> {
        let mut process = self.members[n].process.take().context("it does not run")?;
        process.start_kill()?;
        process.wait().await?;
        Ok(())
    }

    /// The member holds still, with every connection open, until [`ReplicaSet::go_on`].
    ///
    /// # Errors
    /// It does not run.
    pub fn stop(&self, n: usize) -> anyhow::Result<()> {
        self.signal(n, Signal::STOP)
    }

    /// The member goes on as if nothing had been.
    ///
    /// # Errors
    /// It does not run.
    pub fn go_on(&self, n: usize) -> anyhow::Result<()> {
        self.signal(n, Signal::CONT)
    }

    /// From now on nothing that is sent to the member or by it arrives, as if a cable were pulled: of clients and of the
    /// other members. What is under way arrives after [`ReplicaSet::mend`].
    pub fn cut_off(&self, n: usize) {
        if let Some(switch) = &self.switch {
            switch.set_cut(n, true);
        }
    }

    /// The member is reached again.
    pub fn mend(&self, n: usize) {
        if let Some(switch) = &self.switch {
            switch.set_cut(n, false);
        }
    }

    /// Waits until a member, another than this one, takes writes, and says which.
    ///
    /// # Errors
    /// There is none for minutes.
    pub async fn primary(&self, besides: Option<usize>) -> anyhow::Result<usize> {
        let looking = async {
            loop {
                for n in (0..self.members.len()).filter(|n| Some(*n) != besides) {
                    if self.is_primary(n).await {
                        return n;
                    }
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        timeout(PATIENCE, looking).await.context("no member becomes the primary")
    }

    async fn is_primary(&self, n: usize) -> bool {
        let hello = timeout(HELLO_WITHIN, self.ask(n, doc! { "hello": 1 })).await;
        hello.is_ok_and(|told| told.is_ok_and(|told| told.get_bool("isWritablePrimary").unwrap_or(false)))
    }

    /// Makes the members a set. The compatible server is one from the beginning.
    async fn initiate(&self) -> anyhow::Result<()> {
        if !self.program.is_mongod() {
            return Ok(());
        }
        let member = |(n, member): (i32, &SetMember)| Bson::from(doc! { "_id": n, "host": member.public.to_string() });
        let members: Vec<Bson> = (0..).zip(&self.members).map(member).collect();
        let config = doc! { "_id": self.program.set_name(), "members": members };
        self.ask(0, doc! { "replSetInitiate": config }).await.context("the servers do not form a replica set")?;
        Ok(())
    }

    /// Has one member do something, whatever its part in the set.
    async fn ask(&self, n: usize, command: Document) -> anyhow::Result<Document> {
        let own = self.members[n].own;
        let host = ServerAddress::Tcp { host: own.ip().to_string(), port: Some(own.port()) };
        let options = ClientOptions::builder().hosts(vec![host]).direct_connection(true).build();
        Ok(Client::with_options(options)?.database("admin").run_command(command).await?)
    }

    fn signal(&self, n: usize, signal: Signal) -> anyhow::Result<()> {
        let id = self.members[n].process.as_ref().and_then(Child::id).context("it does not run")?;
        let id = Pid::from_raw(id.cast_signed()).context("it has no process id")?;
        Ok(kill_process(id, signal)?)
    }
}

/// The end of what a server said.
fn last_words(log: &Path) -> String {
    let log = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
