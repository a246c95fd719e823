//! The program in this process, on a clock that the test moves.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::process::Stdio;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use alertcast::app::App as Parts;
use alertcast::clock::{Clock as _, ManualClock};
use alertcast::running::{self, RunningProgram};
use alertcast::settings::Settings;
use alertcast_core::id::AlertId;
use alertcast_core::store::{DocumentWrite, Store};
use alertcast_core::time::Time;
use alertcast_sqlite::SqliteOptions;
use serde_json::Value;
use telegram_sim::{SentMessage, SimConfig, SimHandle, SimServer};
use tokio::time::Instant;

use super::child::FORKS;
use super::desk::Desk;
use super::gate::{Gate, Gated};
use super::post::{Reply, SECRET, Sender, with};
use super::{
    Allowances, BOT, Books, Model, OPERATORS, OTHER_BOT, Patience, Place, TestPeople, chat, panics, prepare_process,
};

/// When every test in this process begins: one of the operators' windows begins then too.
pub(crate) const START: Time = Time::from_millis(1_750_000_200_000);

/// How often a condition is looked at in real time, and how far the clock moves between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(2);
const STEP: Duration = Duration::from_millis(25);

/// Lets the clock go on between looks: with a store in this process faster than the world's, with one behind a network as
/// fast, because what that is asked takes the world's time.
struct Ticking {
    world: Instant,
    is_embedded: bool,
}

impl Ticking {
    fn begin(place: &Place) -> Self {
        Self { world: Instant::now(), is_embedded: place.is_embedded() }
    }

    async fn tick(&mut self, clock: &ManualClock) {
        tokio::time::sleep(LOOK_EVERY).await;
        let passed = self.world.elapsed();
        self.world += passed;
        clock.advance(if self.is_embedded { STEP } else { passed });
    }
}

/// The program and everything around it. [`App::finish`] must be its end.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) sim: SimHandle,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Arc<dyn Store>,
    /// Holds up what the webhook wants to store.
    pub(crate) gate: Arc<Gated>,
    pub(crate) parts: Parts,
    pub(crate) allow: Allowances,
    pub(crate) desk: Desk,
    server: SimServer,
    world: TestPeople,
    sender: Option<Sender>,
    running: Option<RunningProgram>,
    answered: BTreeMap<String, AlertId>,
    posted: u32,
    finished: bool,
    place: Place,
}

impl App {
    /// The program over this world, running.
    pub(crate) async fn start(world: TestPeople) -> Self {
        let mut app = Self::prepare(world).await;
        app.run().await;
        app
    }

    /// The same, with other settings.
    pub(crate) async fn start_with(world: TestPeople, change: impl FnOnce(&mut Settings)) -> Self {
        let mut app = Self::prepare_with(world, change).await;
        app.run().await;
        app
    }

    /// The program over this world, not running yet.
    pub(crate) async fn prepare(world: TestPeople) -> Self {
        Self::prepare_with(world, |_| {}).await
    }

    async fn prepare_with(world: TestPeople, change: impl FnOnce(&mut Settings)) -> Self {
        prepare_process();
        let sim = SimConfig::default().bot(BOT).bot(OTHER_BOT).strict().no_limits();
        let server = telegram_sim::start(sim, "127.0.0.1:0").await.unwrap();
        let sim = server.sim();
        start_chats(&sim, &world);
        let place = Place::new();
        let options = SqliteOptions { cache_kib: 4096, readers: 2, ..SqliteOptions::default() };
        let gate = Gate::before(place.open_with(&options).await);
        let store: Arc<dyn Store> = Arc::clone(&gate) as Arc<dyn Store>;
        store.setup().await.unwrap();
        store.write(world.writes()).await.unwrap();
        let clock = ManualClock::at(START);
        let mut settings = settings(&server);
        change(&mut settings);
        let parts = running::prepare(Arc::clone(&store), clock.clone(), settings).await.unwrap();
        parts.audience.load(&*store).await.unwrap();
        place.keep_what_is_over();
        Self {
            sim,
            clock,
            store,
            gate,
            parts,
            allow: Allowances::default(),
            desk: place.desk(),
            server,
            world,
            sender: None,
            running: None,
            answered: BTreeMap::new(),
            posted: 0,
            finished: false,
            place,
        }
    }

    /// Makes it ready again, over what stands in the store now, whoever wrote it.
    pub(crate) async fn prepare_again(&mut self) {
        self.prepare_catalog().await;
        self.parts.audience.load(&*self.store).await.unwrap();
    }

    /// The same, without subscribers: they are loaded while it runs, as the program does it.
    pub(crate) async fn prepare_catalog(&mut self) {
        let settings = settings(&self.server);
        self.parts = running::prepare(Arc::clone(&self.store), self.clock.clone(), settings).await.unwrap();
    }

    /// Starts it.
    pub(crate) async fn run(&mut self) {
        let running = running::start(self.parts.clone()).await.unwrap();
        self.sender = Some(Sender::patient(running.address));
        self.running = Some(running);
    }

    /// To post with.
    pub(crate) fn sender(&self) -> &Sender {
        self.sender.as_ref().unwrap()
    }

    /// Where it is reached.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.as_ref().unwrap().address)
    }

    /// Posts an alert, under a name of its own where it has none; it must be accepted.
    pub(crate) async fn accept(&mut self, body: Value) -> AlertId {
        let body = self.named(body);
        let id = self.sender().accept(&body).await;
        self.note(&body, id);
        id
    }

    /// Posts an alert that must be accepted, and waits until everything about it is done.
    pub(crate) async fn done(&mut self, body: Value) -> AlertId {
        let id = self.accept(body).await;
        self.quiet().await;
        id
    }

    /// Posts an alert as it is.
    pub(crate) async fn post(&self, body: &Value) -> Reply {
        self.sender().post(body).await
    }

    /// The alert with a name by which it is found again.
    pub(crate) fn named(&mut self, body: Value) -> Value {
        self.posted += 1;
        if body.get("alert_id").is_some() {
            body
        } else {
            with(body, serde_json::json!({"alert_id": format!("a{}", self.posted)}))
        }
    }

    /// Notes that an alert was answered 202: it must be there at the end.
    pub(crate) fn note(&mut self, body: &Value, id: AlertId) {
        self.answered.insert(body["alert_id"].as_str().unwrap().to_owned(), id);
    }

    /// Changes documents, as a console would. What was the audience at the beginning is not any more.
    pub(crate) async fn change(&mut self, writes: Vec<DocumentWrite>) {
        self.allow.audience_changed = true;
        self.store.write(writes).await.unwrap();
    }

    /// Moves the clock at once to so long after [`START`].
    pub(crate) fn advance_to(&self, since_start: Duration) {
        let passed = u64::try_from(self.clock.now().millis() - START.millis()).unwrap();
        self.clock.advance(since_start.checked_sub(Duration::from_millis(passed)).expect("so much has passed already"));
    }

    /// What the clock says.
    pub(crate) fn clock_now(&self) -> Time {
        self.clock.now()
    }

    /// Moves the clock at once.
    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Waits until nothing is left to be done, while the clock goes on, and says when that was seen.
    pub(crate) async fn quiet(&self) -> Time {
        self.until_seen("everything is done", || Some(self.clock.now()).filter(|now| self.desk.is_quiet(*now))).await
    }

    /// Waits until something holds, while the clock goes on.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        self.until_seen(what, || holds().then_some(())).await;
    }

    async fn until_seen<T>(&self, what: &str, look: impl Fn() -> Option<T>) -> T {
        let mut ticking = Ticking::begin(&self.place);
        let mut patience = Patience::while_moving(|| (self.desk.busy(self.clock.now()), self.sim.stats().requests));
        loop {
            if let Some(seen) = look() {
                return seen;
            }
            patience.assert(|| format!("waited in vain until {what}"));
            ticking.tick(&self.clock).await;
        }
    }

    /// The messages that user `n` got.
    pub(crate) fn messages(&self, n: u32) -> Vec<SentMessage> {
        self.sim.messages_to(chat(n))
    }

    /// The latest of them, as the chat shows it.
    pub(crate) fn last_text(&self, n: u32) -> String {
        self.messages(n).last().map(|message| message.plain.clone()).unwrap_or_default()
    }

    /// What the operators read.
    pub(crate) fn operator_texts(&self) -> Vec<String> {
        self.sim.messages_to(OPERATORS).into_iter().map(|message| message.plain).collect()
    }

    /// What `doctor` says of the store, run beside the program.
    pub(crate) async fn doctor(&self) -> String {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_alertcast"));
        command.args(["doctor", "--json"]).env_clear().stdin(Stdio::null());
        command.current_dir(self.place.dir()).env("ALERTCAST_DATA_DIR", self.place.dir());
        command.env("ALERTCAST_STORE", self.place.setting()).stdout(Stdio::piped());
        let child = {
            let _alone = FORKS.lock().unwrap_or_else(PoisonError::into_inner);
            command.spawn().unwrap()
        };
        String::from_utf8(child.wait_with_output().await.unwrap().stdout).unwrap()
    }

    /// The store's content now.
    pub(crate) async fn books(&self) -> Books {
        Books::read(&*self.store).await
    }

    /// Waits until everything is done, stops the program, and holds what is left against every rule.
    pub(crate) async fn finish(mut self) -> Books {
        let now = self.quiet().await;
        self.stop().await;
        let books = self.books().await;
        let messages = self.sim.messages();
        let model = Model {
            world: &self.world,
            books: &books,
            messages: &messages,
            answered: &self.answered,
            now,
            allow: self.allow.clone(),
        };
        model.assert("at the end");
        assert_eq!(self.desk.integrity(), "ok");
        assert_eq!(panics::seen(), Vec::<String>::new(), "the program panicked");
        self.finished = true;
        books
    }

    /// Stops the program where what it holds cannot be held against the model's rules: the test has looked for itself.
    pub(crate) async fn stop_without_books(mut self) {
        self.stop().await;
        assert_eq!(panics::seen(), Vec::<String>::new(), "the program panicked");
        self.finished = true;
    }

    async fn stop(&mut self) {
        let running = self.running.take().unwrap();
        let clock = Arc::clone(&self.clock);
        // Whoever finishes what it has begun may sleep by this clock.
        let mut ticking = Ticking::begin(&self.place);
        let ticking = async {
            loop {
                ticking.tick(&clock).await;
            }
        };
        tokio::select! {
            () = running.stop() => {}
            () = ticking => {}
        }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = &self.server;
        if !self.finished && !std::thread::panicking() {
            panic!("the test ended without App::finish: nothing was checked");
        }
    }
}

/// Everybody has started the bot that writes to them.
pub(crate) fn start_chats(sim: &SimHandle, world: &TestPeople) {
    let bots = sim.bot_ids();
    for user in &world.users {
        let bot = user.alertcast.bot_id.as_ref().map_or(bots[0], |bot| bot.parse().unwrap());
        if let Some(chat) = &user.telegram.chat_id {
            sim.start_chat(bot, chat.parse().unwrap());
        }
    }
    sim.start_chat(bots[0], OPERATORS);
}

pub(crate) fn settings(server: &SimServer) -> Settings {
    let mut settings = Settings { listen: "127.0.0.1:0".parse().unwrap(), ..Settings::default() };
    settings.webhook.secrets = vec![SECRET.into()];
    settings.webhook.requests_a_minute = count(1_000_000);
    settings.telegram.tokens = vec![BOT.into(), OTHER_BOT.into()];
    settings.telegram.api_url = server.url().parse().unwrap();
    settings.telegram.operator_chats = vec![OPERATORS.to_string()];
    settings.telegram.limits.bot_per_second = count(10_000);
    settings.telegram.limits.chat_per_second = count(1_000);
    settings.telegram.limits.group_per_minute = count(10_000);
    settings
}

fn count(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}
