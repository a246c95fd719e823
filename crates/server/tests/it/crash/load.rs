//! What goes on while the program is killed: subscribers in mixed plans, and alerts from several connections.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alertcast_core::id::AlertId;
use alertcast_core::money::Count;
use alertcast_core::user::UserStatus;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::harness::post::{alert, with};
use crate::harness::{PATIENCE, Sender, TestPeople, child};

/// Configurations; each has a symbol of its own.
pub(super) const CONFIGS: u32 = 6;
/// TradingView posts an alert once, and again at most so often.
const RESENDS_MAX: usize = 3;
/// TradingView's pause before it sends again.
const RESEND_AFTER: Duration = Duration::from_secs(5);

/// About 40 subscribers: three plans, one or two subscriptions, two bots, and some to whom not everything goes.
pub(crate) fn world() -> TestPeople {
    let mut world = TestPeople::at(child::now());
    for n in 1..=CONFIGS {
        world = world.config(n, |config| {
            config.trade_management.max_open_trades = Count(i64::from(n % 3) + 1);
            config.trade_management.allow_opposite_signals = n != 4;
            config.trade_management.replace_on_same_signal = n != 5;
        });
    }
    world = world
        .plan(1, &[1, 2, 3], |plan| plan.features.max_open_trades = Count(2))
        .plan(2, &[1, 2, 3, 4, 5, 6], |plan| plan.features.priority_support = true)
        .plan(3, &[4, 6], |_| {});
    for n in 1..=40 {
        world = world.user(n, n % 3 + 1, |user| {
            user.preferences.trading.max_daily_alerts = Count(if n == 7 { 4 } else { 100_000 });
            user.status = if n == 9 { UserStatus::Suspended } else { UserStatus::Active };
            user.alertcast.bot_id = (n % 4 == 0).then(|| "202".to_owned());
            if n == 11 {
                user.telegram.chat_id = None;
            }
        });
    }
    world
        .subscription(101, 1, 1, |_| {})
        .subscription(102, 2, 3, |_| {})
        .preference(1, 3, |_| {})
        .preference(2, 4, |_| {})
        .preference(4, 2, |wanted| wanted.preferences.alert_types.replacement = false)
        .preference(6, 5, |wanted| wanted.preferences.alert_types.exit = false)
}

/// Alerts, drawn one after the other from a seed.
#[derive(Debug)]
pub(crate) struct Alerts {
    random: StdRng,
    next: u32,
}

impl Alerts {
    pub(crate) fn from_seed(seed: u64) -> Self {
        Self { random: StdRng::seed_from_u64(seed), next: 0 }
    }

    /// The next alert: an entry, or every third time an exit. No two have the same price.
    pub(crate) fn draw(&mut self) -> Value {
        self.next += 1;
        let config = self.random.random_range(1..=CONFIGS);
        let price = 100.0 + f64::from(self.next) / 1_000.0;
        let name = json!({ "alert_id": format!("n{}", self.next), "time": child::now().millis() });
        let body = match self.random.random_range(0..9_u32) {
            0 => alert(config, "TP_HIT", price + 2.0),
            1 => alert(config, "SL_HIT", price - 2.0),
            2 => {
                with(alert(config, "sell", price), json!({ "prev_market_position": "long", "market_position": "flat" }))
            }
            3 | 4 => with(alert(config, "SELL", price), json!({ "tp": price - 2.0, "sl": price + 2.0 })),
            _ => with(alert(config, "BUY", price), json!({ "tp": price + 2.0, "sl": price - 2.0 })),
        };
        with(body, name)
    }
}

/// Posts what is queued, on several connections, through restarts of the program.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<VecDeque<Value>>,
    /// How many there were and how many are done with.
    progress: watch::Sender<(usize, usize)>,
    /// Raised with every start of the program; 0 while it is down.
    up: watch::Sender<u64>,
    answered: Mutex<BTreeMap<String, AlertId>>,
}

impl Load {
    pub(crate) fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                queue: Mutex::default(),
                progress: watch::Sender::new((0, 0)),
                up: watch::Sender::new(0),
                answered: Mutex::default(),
            }),
        }
    }

    /// Takes these alerts into the queue.
    pub(crate) fn add(&self, alerts: impl IntoIterator<Item = Value>) {
        let mut queue = lock(&self.shared.queue);
        let before = queue.len();
        queue.extend(alerts);
        let more = queue.len() - before;
        drop(queue);
        self.shared.progress.send_modify(|(all, _)| *all += more);
    }

    /// The program takes requests: its start of that number (from 1).
    pub(crate) fn up(&self, start: u64) {
        self.shared.up.send_replace(start);
    }

    /// The program is dead.
    pub(super) fn down(&self) {
        self.shared.up.send_replace(0);
    }

    /// Posts from one connection until the future is dropped.
    pub(crate) async fn connection(self, sender: Sender) {
        let mut progress = self.shared.progress.subscribe();
        loop {
            let next = lock(&self.shared.queue).pop_front();
            match next {
                Some(body) => {
                    self.post(&sender, &body).await;
                    self.shared.progress.send_modify(|(_, done)| *done += 1);
                }
                None => progress.changed().await.unwrap(),
            }
        }
    }

    /// As TradingView: posts, and posts again where no answer or a 5xx came. Its pause of five seconds is cut short by
    /// the program's next start.
    async fn post(&self, sender: &Sender, body: &Value) {
        let mut up = self.shared.up.subscribe();
        for _ in 0..=RESENDS_MAX {
            let start = *up.wait_for(|start| *start > 0).await.unwrap();
            match sender.text(body.to_string()).await {
                Ok(reply) if reply.status == 202 || reply.status == 200 => {
                    let name = body["alert_id"].as_str().unwrap().to_owned();
                    lock(&self.shared.answered).insert(name, reply.alert().unwrap());
                    return;
                }
                Ok(reply) if reply.status >= 500 => {}
                Ok(reply) => panic!("a good alert was refused with {}: {}", reply.status, reply.body),
                Err(_) => {
                    // The connection was lost, and most likely nothing answers before the next start.
                    let _ = tokio::time::timeout(RESEND_AFTER, up.wait_for(|now| *now > start)).await;
                }
            }
        }
    }

    /// Waits until every alert was answered, or given up as TradingView gives up.
    pub(crate) async fn posted(&self) {
        let mut progress = self.shared.progress.subscribe();
        let is_done = |(all, done): (usize, usize)| all == done;
        while !is_done(*progress.borrow_and_update()) {
            let moved = tokio::time::timeout(PATIENCE, progress.changed()).await;
            moved.expect("alerts are not answered any more").unwrap();
        }
    }

    /// The alerts that were answered 202 or 200, by name.
    pub(crate) fn answered(&self) -> BTreeMap<String, AlertId> {
        lock(&self.shared.answered).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
