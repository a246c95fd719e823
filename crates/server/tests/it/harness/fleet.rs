//! Several processes of the program over one database, each of which may die, hang or come back.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use alertcast_core::id::AlertId;
use telegram_sim::SimConfig;

use super::child::{free_address, signal};
use super::model::alerts::name_of;
use super::place::close;
use super::{Allowances, Books, Child, Patience, Place, Sender, Site, TestPeople};

const SPOOL_WAITING: &str = r#"alertcast_spool_alerts{state="waiting"}"#;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The accepted alerts, by the `alert_id` in their body.
pub(crate) fn kept(books: &Books) -> BTreeMap<String, AlertId> {
    let accepted = books.alerts.values().filter(|alert| alert.alertcast.refused_for.is_empty());
    accepted.filter_map(|alert| Some((name_of(alert)?, alert.id))).collect()
}

/// Waits until the process that this sender posts to holds no alerts in its spool: the database does not know of those.
pub(crate) async fn spool_empties(sender: &Sender) {
    let waiting = async || {
        let page = sender.page("/metrics").await.ok()?;
        page.lines().find_map(|line| Some(line.strip_prefix(SPOOL_WAITING)?.trim().to_owned()))
    };
    let told = RefCell::new(None);
    let mut patience = Patience::while_moving(|| told.borrow().clone());
    while told.replace(waiting().await).as_deref() != Some("0") {
        patience.assert(|| "a spool is not brought to the store".to_owned());
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The processes.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) site: Site,
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    address: SocketAddr,
    home: PathBuf,
    process: Option<Child>,
}

impl Fleet {
    /// So many processes over the database of this place, all taking requests.
    pub(crate) async fn start(place: Place, world: TestPeople, sim: SimConfig, count: usize) -> Self {
        let site = Site::at(place, world, sim).await;
        let mut fleet = Self { site, members: Vec::new() };
        for n in 0..count {
            let home = fleet.site.dir().join(format!("home{n}"));
            fleet.members.push(Member { address: free_address(), home, process: None });
            fleet.up(n).await;
        }
        fleet
    }

    /// To post to each of them with.
    pub(crate) fn senders(&self) -> Vec<Sender> {
        self.members.iter().map(|member| Sender::to(member.address)).collect()
    }

    /// Starts a process, and waits until it takes requests.
    pub(crate) async fn up(&mut self, n: usize) {
        let member = &mut self.members[n];
        let (address, home) = (member.address.to_string(), member.home.display().to_string());
        let mut child = self.site.spawn_as(&[], &[("ALERTCAST_LISTEN", &address), ("ALERTCAST_DATA_DIR", &home)]);
        let ready = self.site.ready_at(member.address, &mut child).await;
        member.process = Some(child);
        assert!(ready, "process {n} ended at its start:\n{}", self.site.last_words());
    }

    /// `kill -9`.
    pub(crate) async fn kill(&mut self, n: usize) {
        self.members[n].process.take().unwrap().kill().await;
    }

    /// The process holds still for that long, and goes on as if nothing had been.
    pub(crate) async fn hang(&mut self, n: usize, duration: Duration) {
        let process = self.members[n].process.as_mut().unwrap();
        signal(process.id(), "STOP").await;
        tokio::time::sleep(duration).await;
        signal(process.id(), "CONT").await;
    }

    /// Waits until no process holds alerts in its spool, of which the database does not know.
    async fn spools_empty(&self) {
        for sender in self.senders() {
            spool_empties(&sender).await;
        }
    }

    /// Waits until everything is done, stops all of them, and holds what is left against every rule.
    pub(crate) async fn finish(mut self, answered: &BTreeMap<String, AlertId>, context: &str) -> Books {
        self.spools_empty().await;
        let quiet_at = self.site.quiet().await;
        for member in &mut self.members {
            let status = member.process.take().unwrap().terminate().await;
            assert_eq!(
                status.code(),
                Some(0),
                "{context}: asked to stop, a process ended so:\n{}",
                self.site.last_words()
            );
        }
        let store = self.site.store().await;
        let kept = kept(&Books::read(&*store).await);
        close(store);
        // What one process took in although another had it already is kept under the other's id.
        let answered = answered.iter().map(|(name, id)| (name.clone(), kept.get(name).copied().unwrap_or(*id)));
        self.site.judge(&answered.collect(), Allowances::default(), quiet_at, context).await
    }
}
