//! Whatever stands in the answers of the database, or in place of them: the program lives on, alerts are taken in, and once
//! the answers make sense again everything is worked off, once.
//!
//! What is asked always reaches the database, and no answer is a lie that could be true: nobody could tell that one.

mod lies;

use std::time::Duration;

use mongodb_rig::{AnswerFate, TamperingProxy};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use telegram_sim::SimConfig;
use tokio::task::JoinSet;

use self::lies::{LIES, Lie};
use super::setting;
use crate::crash::load::{self, Alerts, Load};
use crate::harness::child::now;
use crate::harness::fleet::spool_empties;
use crate::harness::place::mongodb_uri;
use crate::harness::{Allowances, Child, Patience, Place, Site};

const CONNECTIONS: usize = 2;
/// Alerts come in so often, and each is answered, stored and sent out with many questions to the database.
const ALERT_EVERY: Duration = Duration::from_millis(200);
/// Where it is told one kind after the other, so often.
const TOLD: u64 = 3;
/// Rounds of all lies at once, each followed by the truth.
const ROUNDS: u64 = 12;
/// Far above what the program needs, and far below what a single answer claims to be.
const MEMORY_KB_MAX: u64 = 400_000;
/// A line of the log is read by people.
const LINE_CHARS_MAX: usize = 3_000;

struct Scene {
    proxy: TamperingProxy,
    site: Site,
    program: Child,
    load: Load,
    posting: JoinSet<()>,
    alerts: Alerts,
    random: StdRng,
    seed: u64,
}

impl Scene {
    /// None where there is no MongoDB to test against.
    async fn open() -> Option<Self> {
        if std::env::var_os("ALERTCAST_TEST_MONGODB_URI").is_none() {
            eprintln!("skipped: ALERTCAST_TEST_MONGODB_URI names no MongoDB; ./test starts one");
            return None;
        }
        let seed = setting("ALERTCAST_FAULT_SEED").unwrap_or_else(rand::random);
        eprintln!("ALERTCAST_FAULT_SEED={seed}");
        let place = Place::on(&mongodb_uri());
        let (own, proxy) = before(place.setting());
        let store = place.setting().replace(&own, &proxy.address().to_string());
        let site = Site::at(place, load::world(), SimConfig::default().no_limits()).await;
        let mut program = site.spawn_as(&[], &[("ALERTCAST_STORE", &store)]);
        assert!(site.ready(&mut program).await, "{}", site.last_words());
        let (load, mut posting) = (Load::new(), JoinSet::new());
        for _ in 0..CONNECTIONS {
            posting.spawn(load.clone().connection(site.resender()));
        }
        load.up(1);
        let mut random = StdRng::seed_from_u64(seed);
        let alerts = Alerts::from_seed(random.random());
        Some(Self { proxy, site, program, load, posting, alerts, random, seed })
    }

    /// Some of the answers that these lies fit are one of them, until so many were. Alerts come in meanwhile.
    async fn lie(&mut self, lies: &'static [Lie], count: u64) {
        let (before, mut random) = (self.proxy.count_tampered(), StdRng::seed_from_u64(self.random.random()));
        self.proxy.tamper(move |answer| {
            let lie = &lies[random.random_range(0..lies.len())];
            let is_told = random.random_bool(lie.share);
            is_told.then(|| (lie.tell)(answer, &mut random)).flatten().unwrap_or(AnswerFate::Pass)
        });
        let name = if lies.len() == 1 { lies[0].name } else { "all" };
        let told = || self.proxy.count_tampered() - before;
        let mut patience = Patience::while_moving(|| (told(), self.site.desk.busy(now())));
        while told() < count {
            self.load.add([self.alerts.draw()]);
            tokio::time::sleep(ALERT_EVERY).await;
            assert!(self.program.is_alive(), "{name} ended the program:\n{}", self.site.last_words());
            patience.assert(|| format!("nobody asks for {name}\n{}", self.site.last_words()));
        }
        eprintln!("  {name}: {} answers", told());
    }

    /// The answers make sense again: what is posted now goes out.
    async fn be_honest(&mut self) {
        self.proxy.be_honest();
        self.load.add([self.alerts.draw()]);
        self.load.posted().await;
        spool_empties(&self.site.resender()).await;
        self.site.quiet().await;
    }

    async fn end(mut self) {
        assert!(self.proxy.count_tampered() > 0, "nothing was told");
        self.be_honest().await;
        let memory = memory_kb_max(self.program.id());
        assert!(memory < MEMORY_KB_MAX, "{memory} KB of memory were in use");
        let log = std::fs::read_to_string(self.site.dir().join("log")).unwrap();
        let own = log.lines().filter(|line| line.contains("panicked at crates/"));
        assert_eq!(own.collect::<Vec<_>>(), Vec::<&str>::new(), "the program's own code panicked");
        let longest = log.lines().max_by_key(|line| line.len()).unwrap_or_default();
        assert!(longest.len() < LINE_CHARS_MAX, "{} characters: {longest:.300}", longest.len());
        let context = format!("ALERTCAST_FAULT_SEED={}", self.seed);
        let books = self.site.finish(self.program, &self.load.answered(), Allowances::default(), &context).await;
        assert!(!books.trades.is_empty(), "{context}: nothing happened");
        let panics = log.matches("panicked at").count();
        eprintln!("  {context}: {} alerts, {memory} KB, {panics} panics of the driver", books.alerts.len());
        self.posting.shutdown().await;
    }
}

/// The address that the connection string names, and a network before it.
fn before(uri: &str) -> (String, TamperingProxy) {
    let own = uri.split("://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let proxy = TamperingProxy::before(own.parse().unwrap()).unwrap();
    (own, proxy)
}

/// The most that a process had in memory at once.
fn memory_kb_max(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_of_the_database_that_make_no_sense_cost_nothing() {
    let Some(mut scene) = Scene::open().await else { return };
    for lie in LIES.chunks(1).filter(|lie| !lie[0].takes_long) {
        scene.lie(lie, if lie[0].is_of_itself { 1 } else { TOLD }).await;
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_whatever_the_database_answers_everything_goes_on_afterwards() {
    let rounds = setting("ALERTCAST_FAULT_ROUNDS").unwrap_or(ROUNDS);
    let Some(mut scene) = Scene::open().await else { return };
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        let count = scene.random.random_range(5..60);
        scene.lie(LIES, count).await;
        scene.be_honest().await;
    }
    // One kind after the other, so that each meets a program that is well.
    for lie in LIES.chunks(1) {
        scene.lie(lie, TOLD * 2).await;
        scene.be_honest().await;
    }
    scene.end().await;
}
