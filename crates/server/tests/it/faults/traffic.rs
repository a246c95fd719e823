//! Alerts posted to several processes without a pause, as a load balancer before them would: to any of them, and to
//! another where one does not answer. Notes when each was posted and when it was answered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alertcast::clock::{Clock as _, SystemClock};
use alertcast_core::alert::document::Alert;
use alertcast_core::id::{AlertId, ConfigId, UserId};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::crash::load::Alerts;
use crate::harness::fleet::kept;
use crate::harness::{Books, Fleet, Sender};

/// Alerts under way at once.
const CONNECTIONS: usize = 4;
/// TradingView posts an alert once, and again at most so often; the load balancer brings it to another process.
const TRIES_MAX: usize = 4;
/// Between two tries.
const RESEND_AFTER: Duration = Duration::from_millis(300);

/// One alert's way in, by the test's own monotonic clock.
#[derive(Debug, Clone)]
pub(super) struct Post {
    name: String,
    /// When it was sent for the first time.
    sent: Duration,
    /// When it was answered, and its id.
    pub(super) answered: Option<(Duration, AlertId)>,
}

/// What is being posted.
#[derive(Debug)]
pub(super) struct Traffic {
    posts: Arc<Mutex<Vec<Post>>>,
    connections: JoinSet<()>,
    stop: CancellationToken,
}

impl Traffic {
    /// Begins to post; each connection rests for `pause` between an answer and its next alert.
    pub(super) fn start(fleet: &Fleet, seed: u64, pause: Duration) -> Self {
        let (posts, stop) = (Arc::new(Mutex::new(Vec::new())), CancellationToken::new());
        let alerts = Arc::new(Mutex::new(Alerts::from_seed(seed)));
        let clock = SystemClock::new();
        let mut connections = JoinSet::new();
        for n in 0..CONNECTIONS {
            let connection = Connection {
                senders: fleet.senders(),
                alerts: Arc::clone(&alerts),
                posts: Arc::clone(&posts),
                clock: Arc::clone(&clock),
                pause,
                random: StdRng::seed_from_u64(seed.wrapping_add(u64::try_from(n).unwrap())),
            };
            connections.spawn(connection.run(stop.clone()));
        }
        Self { posts, connections, stop }
    }

    /// Posts nothing more, waits for the last answers, and tells of all.
    pub(super) async fn stop(mut self) -> Vec<Post> {
        self.stop.cancel();
        while let Some(ended) = self.connections.join_next().await {
            ended.unwrap();
        }
        lock(&self.posts).clone()
    }

    /// How many alerts have been answered so far.
    pub(super) fn answered_so_far(&self) -> usize {
        lock(&self.posts).iter().filter(|post| post.answered.is_some()).count()
    }
}

struct Connection {
    senders: Vec<Sender>,
    alerts: Arc<Mutex<Alerts>>,
    posts: Arc<Mutex<Vec<Post>>>,
    clock: Arc<SystemClock>,
    pause: Duration,
    random: StdRng,
}

impl Connection {
    async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let body = lock(&self.alerts).draw();
            let post = self.post(&body).await;
            lock(&self.posts).push(post);
            tokio::time::sleep(self.pause).await;
        }
    }

    async fn post(&mut self, body: &serde_json::Value) -> Post {
        let name = body["alert_id"].as_str().unwrap().to_owned();
        let sent = self.clock.monotonic();
        for _ in 0..TRIES_MAX {
            let sender = &self.senders[self.random.random_range(0..self.senders.len())];
            match sender.text(body.to_string()).await {
                Ok(reply) if reply.status == 202 || reply.status == 200 => {
                    let answered = Some((self.clock.monotonic(), reply.alert().unwrap()));
                    return Post { name, sent, answered };
                }
                Ok(reply) if reply.status >= 500 => {}
                Ok(reply) => panic!("a good alert was refused with {}: {}", reply.status, reply.body),
                // Whether it was taken is not known.
                Err(_) => {}
            }
            tokio::time::sleep(RESEND_AFTER).await;
        }
        Post { name, sent, answered: None }
    }
}

/// The alerts that were answered 202 or 200, by name.
pub(super) fn answered(posts: &[Post]) -> BTreeMap<String, AlertId> {
    posts.iter().filter_map(|post| Some((post.name.clone(), post.answered?.1))).collect()
}

/// Pairs of alerts of one configuration of which the one was answered before the other was sent, and was not worked on
/// before it: by the moment of processing, and by the numbers of the trades that they opened.
pub(super) fn out_of_order(posts: &[Post], books: &Books) -> Vec<String> {
    let kept = kept(books);
    let by_id: BTreeMap<AlertId, &Post> =
        posts.iter().filter_map(|post| Some((*kept.get(&post.name)?, post))).collect();
    let mut broken = Vec::new();
    for earlier in posts {
        for later in posts.iter().filter(|later| precedes(earlier, later)) {
            let [Some(a), Some(b)] = [earlier, later].map(|post| books.alerts.get(kept.get(&post.name)?)) else {
                continue;
            };
            let same = a.processing.alert_config_id == b.processing.alert_config_id;
            if same && a.webhook.processed_at > b.webhook.processed_at {
                let [earlier, later] = [(earlier, a), (later, b)].map(|(post, alert)| told(post, alert));
                broken.push(format!("{earlier}\n  was processed after\n{later}"));
            }
        }
    }
    for trades in trades_by_holder(books).values() {
        for (i, (_, first)) in trades.iter().enumerate() {
            for (_, second) in &trades[i + 1..] {
                let posted = (by_id.get(second), by_id.get(first));
                if let (Some(earlier), Some(later)) = posted
                    && precedes(earlier, later)
                {
                    broken.push(format!("{} opened a trade before {}", later.name, earlier.name));
                }
            }
        }
    }
    broken
}

/// How an alert came in, by the test's clock and by the store.
fn told(post: &Post, alert: &Alert) -> String {
    let answered = post.answered.map(|(answered, _)| answered);
    let (webhook, extension) = (&alert.webhook, &alert.alertcast);
    format!(
        "{} sent {:?} answered {answered:?}: received {:?} offered {:?} spooled {:?} processed {:?} after {} seq {}",
        post.name,
        post.sent,
        webhook.received_at,
        extension.offered_at,
        extension.spooled_at,
        webhook.processed_at,
        extension.after.0,
        extension.seq.0
    )
}

/// Whether the one was answered before the other was sent.
fn precedes(earlier: &Post, later: &Post) -> bool {
    earlier.answered.is_some_and(|(answered, _)| answered < later.sent)
}

/// The numbers of everybody's trades in each configuration, with the alerts that opened them.
fn trades_by_holder(books: &Books) -> BTreeMap<(UserId, ConfigId), Vec<(i64, AlertId)>> {
    let mut all: BTreeMap<_, Vec<(i64, AlertId)>> = BTreeMap::new();
    for trade in books.trades.values() {
        let holder = (trade.user_id, trade.alert_config_id);
        let opened_by = trade.alerts.entry_alert_id.map(|alert| (trade.trade_number.0, alert));
        all.entry(holder).or_default().extend(opened_by);
    }
    all.values_mut().for_each(|trades| trades.sort_unstable());
    all
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
