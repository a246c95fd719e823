//! The program as a process of its own, to be killed and started again over the same data folder. The stand-in for
//! Telegram lives in the test's process, and so outlives it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alertcast::clock::{Clock as _, SystemClock};
use alertcast_core::id::AlertId;
use alertcast_core::store::Store;
use alertcast_core::time::Time;
use telegram_sim::{SimConfig, SimHandle, SimServer};
use tokio::process::Command;

use super::app::start_chats;
use super::desk::Desk;
use super::place::close;
use super::post::SECRET;
use super::{
    Allowances, BOT, Books, Model, OPERATORS, OTHER_BOT, PATIENCE, Patience, Place, Sender, TestPeople, prepare_process,
};

const LOOK_EVERY: Duration = Duration::from_millis(5);
/// A program that does not answer is asked again.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// The machine's time: what the child goes by.
pub(crate) fn now() -> Time {
    SystemClock::new().now()
}

/// A data folder with a world in it, and what surrounds the program that runs over it.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) sim: SimHandle,
    pub(crate) desk: Desk,
    pub(crate) address: SocketAddr,
    world: TestPeople,
    _server: SimServer,
    settings: Vec<(String, String)>,
    place: Place,
}

impl Site {
    pub(crate) async fn new(world: TestPeople, sim: SimConfig) -> Self {
        Self::at(Place::new(), world, sim).await
    }

    /// The same, over the store of this place.
    pub(crate) async fn at(place: Place, world: TestPeople, sim: SimConfig) -> Self {
        let site = Self::bare(place, world, sim).await;
        site.fill().await;
        site
    }

    /// The same before the program's first start: there is no store yet.
    pub(crate) async fn bare(place: Place, world: TestPeople, sim: SimConfig) -> Self {
        prepare_process();
        let server = telegram_sim::start(sim.bot(BOT).bot(OTHER_BOT).strict(), "127.0.0.1:0").await.unwrap();
        start_chats(&server.sim(), &world);
        let address = free_address();
        let settings = [
            ("LISTEN", address.to_string()),
            ("DATA_DIR", place.dir().display().to_string()),
            ("STORE", place.setting().to_owned()),
            ("WEBHOOK_SECRETS", SECRET.to_owned()),
            ("WEBHOOK_REQUESTS_A_MINUTE", "1000000".to_owned()),
            ("TELEGRAM_TOKENS", format!("{BOT},{OTHER_BOT}")),
            ("TELEGRAM_API_URL", server.url()),
            ("TELEGRAM_BOT_PER_SECOND", "10000".to_owned()),
            ("TELEGRAM_CHAT_PER_SECOND", "1000".to_owned()),
            ("TELEGRAM_GROUP_PER_MINUTE", "10000".to_owned()),
            ("OPERATOR_CHATS", OPERATORS.to_string()),
            ("LOG_LEVEL", "info".to_owned()),
        ];
        Self {
            sim: server.sim(),
            desk: place.desk(),
            address,
            world,
            _server: server,
            settings: settings.map(|(name, value)| (format!("ALERTCAST_{name}"), value)).into(),
            place,
        }
    }

    /// Puts the world into the store. No child may be running.
    pub(crate) async fn fill(&self) {
        let store = self.store().await;
        store.setup().await.unwrap();
        store.write(self.world.writes()).await.unwrap();
        close(store);
    }

    /// The folder of this test.
    pub(crate) fn dir(&self) -> &Path {
        self.place.dir()
    }

    /// Whether its store is the embedded one.
    pub(crate) fn is_embedded(&self) -> bool {
        self.place.is_embedded()
    }

    /// To post with.
    pub(crate) fn sender(&self) -> Sender {
        Sender::patient(self.address)
    }

    /// To post with, and to send again where no answer came in time, as TradingView does.
    pub(crate) fn resender(&self) -> Sender {
        Sender::to(self.address)
    }

    /// Opens the store: no child may be running.
    pub(crate) async fn store(&self) -> Arc<dyn Store> {
        self.place.open().await
    }

    /// Starts the program.
    pub(crate) fn spawn(&self) -> Child {
        self.spawn_as(&[], &[])
    }

    /// Starts the program under another one (`strace`), with further variables.
    pub(crate) fn spawn_as(&self, under: &[&str], variables: &[(&str, &str)]) -> Child {
        let line: Vec<&str> = under.iter().copied().chain([env!("CARGO_BIN_EXE_alertcast"), "serve"]).collect();
        let log = self.log();
        let mut command = Command::new(line[0]);
        command.args(&line[1..]).env_clear().current_dir(self.place.dir()).kill_on_drop(true);
        command.envs(self.settings.iter().map(|(name, value)| (name, value))).envs(variables.iter().copied());
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let _alone = FORKS.lock().unwrap_or_else(PoisonError::into_inner);
        Child { process: command.spawn().unwrap(), ended: None }
    }

    fn log(&self) -> File {
        OpenOptions::new().create(true).append(true).open(self.place.dir().join("log")).unwrap()
    }

    /// The end of what the children said, for whoever looks into a failure.
    pub(crate) fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.place.dir().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// Waits until the child takes requests; false where it ended before.
    pub(crate) async fn ready(&self, child: &mut Child) -> bool {
        self.ready_at(self.address, child).await
    }

    /// The same, of one that listens there.
    pub(crate) async fn ready_at(&self, address: SocketAddr, child: &mut Child) -> bool {
        let client = reqwest::Client::builder().timeout(ANSWERS_WITHIN).build().unwrap();
        let url = format!("http://{address}/readyz");
        let looking = async {
            while child.is_alive() {
                if client.get(&url).send().await.is_ok_and(|answer| answer.status() == 200) {
                    return true;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
            false
        };
        let ready = tokio::time::timeout(PATIENCE, looking).await;
        ready.unwrap_or_else(|_| panic!("the program does not become ready:\n{}", self.last_words()))
    }

    /// Starts the program and waits until it takes requests.
    pub(crate) async fn start(&self) -> Child {
        let mut child = self.spawn();
        assert!(self.ready(&mut child).await, "the program ended at its start:\n{}", self.last_words());
        child
    }

    /// Waits until nothing is left to be done, and says when that was seen.
    pub(crate) async fn quiet(&self) -> Time {
        self.until_seen("everything is done", || Some(now()).filter(|now| self.desk.is_quiet(*now))).await
    }

    /// Waits until something holds.
    pub(crate) async fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        self.until_seen(what, || holds().then_some(())).await;
    }

    /// Waits until something is seen, for as long as work is done.
    async fn until_seen<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let mut patience = Patience::while_moving(|| (self.desk.busy(now()), self.sim.stats().requests));
        loop {
            if let Some(seen) = look() {
                return seen;
            }
            patience.assert(|| format!("waited in vain until {what}\n{}", self.last_words()));
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until everything is done, stops the program, and holds what is left against every rule.
    pub(crate) async fn finish(
        &self,
        child: Child,
        answered: &BTreeMap<String, AlertId>,
        allow: Allowances,
        context: &str,
    ) -> Books {
        let quiet_at = self.quiet().await;
        let status = child.terminate().await;
        assert_eq!(status.code(), Some(0), "{context}: asked to stop, the program ended so:\n{}", self.last_words());
        self.judge(answered, allow, quiet_at, context).await
    }

    /// Holds what was left at that time against every rule. No program may be running.
    pub(crate) async fn judge(
        &self,
        answered: &BTreeMap<String, AlertId>,
        allow: Allowances,
        now: Time,
        context: &str,
    ) -> Books {
        let store = self.store().await;
        let books = Books::read(&*store).await;
        close(store);
        let messages = self.sim.messages();
        let world = &self.world;
        let model = Model { world, books: &books, messages: &messages, answered, now, allow };
        model.assert(context);
        assert_eq!(self.desk.integrity(), "ok", "{context}");
        books
    }
}

/// Held while a child is started, and while a folder's lock is given back: a child that has not become its own program
/// yet holds all that this process holds, locks too.
pub(super) static FORKS: Mutex<()> = Mutex::new(());

/// An address on the loopback that no other process of this machine binds.
pub(super) fn free_address() -> SocketAddr {
    mongodb_rig::free_address().unwrap()
}

/// A running program. It must be stopped or killed before it is dropped.
#[derive(Debug)]
pub(crate) struct Child {
    process: tokio::process::Child,
    ended: Option<ExitStatus>,
}

impl Child {
    /// Whether it still runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = self.process.try_wait().unwrap();
        }
        self.ended.is_none()
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id().unwrap()
    }

    /// `kill -9`.
    pub(crate) async fn kill(mut self) {
        self.process.start_kill().unwrap();
        let status = self.ended().await;
        assert_eq!(status.signal(), Some(9), "it ended by itself before it was killed: {status}");
    }

    /// Asks it to stop, as an init system does.
    pub(crate) async fn terminate(mut self) -> ExitStatus {
        signal(self.id(), "TERM").await;
        self.ended().await
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        if let Some(status) = self.ended {
            return status;
        }
        let status = tokio::time::timeout(PATIENCE, self.process.wait()).await;
        let status = status.unwrap_or_else(|_| panic!("the program does not end")).unwrap();
        self.ended = Some(status);
        status
    }
}

/// Sends a signal to a process.
pub(crate) async fn signal(process: u32, name: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {process}")]).status().await.unwrap();
    assert!(sent.success(), "no signal could be sent");
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.ended.is_none() && !std::thread::panicking() {
            panic!("a child of this test is left over");
        }
    }
}
