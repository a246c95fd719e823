//! Hop 4: a pending delivery becomes a sent message. One courier owns a lane (a bot, a share of
//! the mail) by lease: its limiter, the order in
//! a chat and the combined messages are then nobody else's business.
//!
//! What is due is read in order into a [`due_queue`]; as much as may leave within a second is recorded as `sending` before
//! any of it leaves, and is then in [`taken`]; what became of it is recorded in batches by the [`attempt_records`], and the alerts
//! are settled. A crash leaves at most what was in hand in doubt: the next owner marks it as a possible repeat.
//!
//! What a bot answers people is a lane's second source ([`replies`]): bounded, in memory alone, through the same limiter,
//! with a share of its own.
//!
//! Not in here: what a message says (`channel::message`), how it is sent (`channel`), Telegram's limits
//! (`alertcast_core::limiter`).
//!
//! Failpoints: see [`FAILPOINTS`].

mod attempt_records;
mod due_queue;
mod health;
mod lane;
mod message_sources;
mod outcome;
mod recipient;
pub mod replies;
mod taken;
mod throttle;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use alertcast_core::delivery::{Channel as Way, LaneName};
use alertcast_core::limiter::SendLimits;
use alertcast_core::store::LeaseFence;
use secrecy::SecretString;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::app::App;
use crate::channel::Channel;
use crate::channel::email::{self, EmailChannel, EmailError, UnsubscribeLinks};
use crate::channel::telegram::{self, TelegramChannel, TelegramError};
use crate::degraded::TroubleKind;
use crate::leases;
use crate::settings::{TelegramSettings, bot_id};
use crate::supervise;
use crate::supervised_part::SupervisedPart;

/// Where tests make the courier die or stall, and what is true there.
pub const FAILPOINTS: [(&str, &str); 3] = [
    ("courier::taken", "deliveries are recorded as sending, and none of them has left"),
    ("courier::sent", "messages have been answered, and nothing of it is recorded"),
    ("courier::recorded", "attempts are recorded, and their alerts are not settled"),
];

/// A lane whose work ended early rests this long before it is taken up again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// When the courier stops, a mail server is not waited for longer: the whole program stops in 15 s.
const MAIL_PATIENCE: Duration = Duration::from_secs(10);

/// A share of the messages, with what sends them.
pub struct CourierLane {
    /// What its deliveries' `lane` says, and the name of its lease.
    pub name: LaneName,
    pub channel: Arc<dyn Channel>,
    pub limits: SendLimits,
    /// Messages under way at once, at most.
    pub concurrency: usize,
    /// How long sends under way are waited for when the courier stops.
    pub patience: Duration,
    /// Numbers from 0 to 1, to spread retries.
    pub random: Box<dyn FnMut() -> f64 + Send>,
}

impl fmt::Debug for CourierLane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").field("name", &self.name).field("channel", &self.channel).finish_non_exhaustive()
    }
}

impl CourierLane {
    /// The lane of the bot with this token: `tg:BOT`.
    ///
    /// # Errors
    /// The token or the settings make no bot.
    pub fn telegram(settings: &TelegramSettings, token: &SecretString) -> Result<Self, TelegramError> {
        let bot = bot_id(token).ok_or(TelegramError::Token)?;
        Ok(Self {
            name: LaneName::of_bot(&bot),
            channel: Arc::new(TelegramChannel::new(settings, token)?),
            limits: telegram::limits(settings),
            concurrency: settings.concurrency.max(1),
            patience: settings.timeout + Duration::from_secs(1),
            random: Box::new(rand::random),
        })
    }

    /// One of the lanes of the mail server: `mail:N`.
    ///
    /// # Errors
    /// The settings make no sender of mail.
    pub fn email(app: &App, shard: u32) -> Result<Self, EmailError> {
        let settings = &app.settings.email;
        let links =
            app.settings.public_url.clone().map(|public_url| UnsubscribeLinks { public_url, key: app.links.clone() });
        Ok(Self {
            name: LaneName::of_mail(shard),
            channel: Arc::new(EmailChannel::new(settings, links, Arc::clone(&app.clock))?),
            limits: email::limits(settings),
            concurrency: email::concurrency(settings),
            patience: settings.timeout.min(MAIL_PATIENCE),
            random: Box::new(rand::random),
        })
    }

    /// What is refused where our credentials are.
    fn account(&self) -> &'static str {
        if self.bot().is_some() { "the bot's token" } else { "the log-in at the mail server, or the sender," }
    }

    /// The way its messages go.
    fn way(&self) -> Way {
        if self.bot().is_some() { Way::Telegram } else { Way::Email }
    }

    /// The bot's number, where it is a bot's lane.
    fn bot(&self) -> Option<&str> {
        self.name.bot()
    }
}

/// Why work on a lane ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaneEnd {
    /// It was asked to stop. Nothing is left in hand.
    Stopped,
    /// The lease is in other hands.
    Lost,
    /// What the store holds as taken is not known: take the lease anew, so that the next epoch finds it.
    Again,
}

/// Runs a courier for each bot, and those of the mail server, until `stop`; then waits until each has put down what it
/// had in hand. No lane waits for another.
pub async fn run(app: App, stop: CancellationToken) {
    let mut lanes = JoinSet::new();
    for shard in 0..app.settings.email.lanes() {
        match CourierLane::email(&app, shard) {
            Ok(lane) => {
                lanes.spawn(keep(app.clone(), lane, stop.clone()));
            }
            Err(error) => error!(%error, "mail cannot be sent: it stays pending"),
        }
    }
    for token in &app.settings.telegram.tokens {
        match CourierLane::telegram(&app.settings.telegram, token) {
            Ok(lane) => {
                lanes.spawn(keep(app.clone(), lane, stop.clone()));
            }
            Err(error) => error!(%error, "a bot cannot be served: its messages stay pending"),
        }
    }
    while lanes.join_next().await.is_some() {}
    // Without a bot and without mail there is nothing to do, and that is no defect.
    stop.cancelled().await;
}

/// Keeps a lane served until `stop`, whatever its courier meets.
async fn keep(app: App, lane: CourierLane, stop: CancellationToken) {
    let name = lane.name.clone();
    let lane = Arc::new(tokio::sync::Mutex::new(lane));
    let own = |_| {
        let (app, lane, stop) = (&app, Arc::clone(&lane), &stop);
        async move { own(app, &mut *lane.lock().await, stop).await }
    };
    supervise::keep_at_work(&app, SupervisedPart::Lane, name.as_str(), &stop, own).await;
}

/// Holds a lane's lease and works on it, again and again, until `stop`. Where others are to have it, it is given back once
/// what was in hand is recorded.
async fn own(app: &App, lane: &mut CourierLane, stop: &CancellationToken) {
    while let Some(held) = leases::hold(&app.lease_context(), lane.name.as_str(), stop).await {
        let end = run_lane(app, lane, held.fence(), held.lost_token(), held.ending_token()).await;
        // Whoever has it next says so, if it is.
        app.degraded.clear(TroubleKind::LateWork, lane.name.as_str());
        held.release().await;
        match end {
            LaneEnd::Stopped => {}
            LaneEnd::Lost | LaneEnd::Again => app.clock.sleep(AGAIN_AFTER).await,
        }
    }
}

/// Works on a lane until `stop` or until the lease is `lost`.
pub async fn run_lane(
    app: &App,
    lane: &mut CourierLane,
    fence: LeaseFence,
    lost: &CancellationToken,
    stop: &CancellationToken,
) -> LaneEnd {
    lane::Courier::new(app, lane, fence).run(lost, stop).await
}
