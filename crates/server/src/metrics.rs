//! What the program counts and times, for Prometheus. Each [`crate::base::Base`] has counters of its own; nothing is
//! global. They are raised where a thing is decided, and read by `http::metrics`.
//!
//! No label holds a name, a chat, a symbol or a secret: a lane is named by its bot's public number.

mod text;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use alertcast_core::delivery::{Channel, LaneName, MessageKind};
use alertcast_core::store::{AttemptOutcome, Collection, StoreError};
use alertcast_core::time::Time;
use alertcast_core::token::TokenEnd;
use alertcast_core::trade::document::TradeStatus;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry, Unit};

use crate::audience::AudienceHandle;
use crate::degraded::{DegradedState, TroubleKind};
use crate::supervised_part::SupervisedPart;

pub use text::MetricsFormat;

/// One word of a fixed few.
type LabelPair = [(&'static str, &'static str); 1];
type LabelPairs = [(&'static str, &'static str); 2];
/// The name of a lane, and where in it.
type OfLane = [(&'static str, String); 2];
type DurationFamily = Family<LabelPair, Histogram, fn() -> Histogram>;

/// From a few milliseconds to TradingView's patience.
const ANSWER_SECONDS: [f64; 10] = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0];
/// From an idle machine to a large fan-out.
const PROCESSING_SECONDS: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];
/// From a second's worth of messages to an exit's deadline.
const DELIVERY_SECONDS: [f64; 13] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 86400.0];

/// Everything that is counted. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    inner: Arc<MetricFamilies>,
}

struct MetricFamilies {
    registry: Registry,
    webhook: Family<LabelPairs, Counter>,
    webhook_seconds: DurationFamily,
    alerts: Family<LabelPair, Counter>,
    processing_seconds: Histogram,
    chunks: Family<LabelPair, Counter>,
    trades: Family<LabelPair, Counter>,
    deliveries: Family<LabelPairs, Counter>,
    overdue: Counter,
    delivery_seconds: DurationFamily,
    throttled: Family<LabelPair, Counter>,
    queued: Family<OfLane, Gauge>,
    alerts_waiting: Gauge,
    audience: Family<LabelPair, Gauge>,
    store_failures: Family<LabelPair, Counter>,
    spooled: Family<LabelPair, Counter>,
    drained: Family<LabelPair, Counter>,
    in_spool: Family<LabelPair, Gauge>,
    api_refused: Family<LabelPair, Counter>,
    ready: Gauge,
    degraded: Family<LabelPair, Gauge>,
    part_failures: Family<LabelPair, Counter>,
    unreadable: Family<LabelPair, Counter>,
}

/// A part of the program that the store can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorePart {
    Webhook,
    Processor,
    Courier,
    Scheduler,
    Spool,
}

impl StorePart {
    const ALL: [Self; 5] = [Self::Webhook, Self::Processor, Self::Courier, Self::Scheduler, Self::Spool];

    const fn word(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Processor => "processor",
            Self::Courier => "courier",
            Self::Scheduler => "scheduler",
            Self::Spool => "spool",
        }
    }
}

/// The gauges of one lane, so that a turn of its loop looks nothing up.
#[derive(Debug)]
pub(crate) struct LaneGauges {
    waiting: Gauge,
    in_hand: Gauge,
    unwritten: Gauge,
}

impl LaneGauges {
    pub(crate) fn set(&self, waiting: usize, in_hand: usize, unwritten: usize) {
        self.waiting.set(whole(waiting));
        self.in_hand.set(whole(in_hand));
        self.unwritten.set(whole(unwritten));
    }
}

impl Drop for LaneGauges {
    fn drop(&mut self) {
        self.set(0, 0, 0);
    }
}

impl Metrics {
    /// Nothing counted yet, by a process that began then.
    #[must_use]
    pub fn since(start: Time) -> Self {
        let mut registry = Registry::default();
        about_process(&mut registry, start);
        let metrics = Self { inner: Arc::new(MetricFamilies::new(registry)) };
        metrics.begin_at_zero();
        metrics
    }

    /// A request to the webhook was answered.
    pub(crate) fn count_answer(&self, outcome: &'static str, status: u16, took: Duration) {
        let class = class(status);
        self.inner.webhook.get_or_create(&[("outcome", outcome), ("status", class)]).inc();
        self.inner.webhook_seconds.get_or_create(&[("status", class)]).observe(took.as_secs_f64());
    }

    /// A document was found unreadable.
    pub(crate) fn unreadable(&self, collection: Collection) {
        self.inner.unreadable.get_or_create(&[("collection", collection.name())]).inc();
    }

    /// An alert's last chunk is committed.
    pub(crate) fn count_processed(&self, since_receipt: Duration) {
        self.inner.alerts.get_or_create(&[("result", "processed")]).inc();
        self.inner.processing_seconds.observe(since_receipt.as_secs_f64());
    }

    /// Processing an alert failed; `park`: for good.
    pub(crate) fn not_processed(&self, park: bool) {
        self.inner.alerts.get_or_create(&[("result", if park { "parked" } else { "failed" })]).inc();
    }

    /// A chunk was committed, with these trades.
    pub(crate) fn count_committed(&self, opened: usize, ended: impl IntoIterator<Item = TradeStatus>) {
        self.inner.chunks.get_or_create(&[("result", "committed")]).inc();
        let trades = |action| self.inner.trades.get_or_create_owned(&[("action", action)]);
        trades("opened").inc_by(count(opened));
        for status in ended {
            match status {
                TradeStatus::Replaced => trades("replaced").inc(),
                TradeStatus::Closed => trades("closed").inc(),
                TradeStatus::Open => 0,
            };
        }
    }

    /// What a chunk rested on had changed: it is planned anew.
    pub(crate) fn count_conflict(&self) {
        self.inner.chunks.get_or_create(&[("result", "conflict")]).inc();
    }

    /// What an attempt came to is recorded.
    pub(crate) fn count_attempt(&self, channel: Channel, outcome: &AttemptOutcome) {
        let outcome = match outcome {
            AttemptOutcome::Sent { .. } => "sent",
            AttemptOutcome::Retry { .. } => "retried",
            AttemptOutcome::Expired { .. } => "expired",
            AttemptOutcome::Dead { .. } => "dead",
            AttemptOutcome::Dropped { .. } => "dropped",
        };
        self.inner.deliveries.get_or_create(&[("channel", channel.as_str()), ("outcome", outcome)]).inc();
    }

    /// Deliveries of so many alerts ended because their time was over.
    pub(crate) fn overdue(&self, alerts: usize) {
        self.inner.overdue.inc_by(count(alerts));
    }

    /// A message was sent, so long after its alert was received.
    pub(crate) fn count_arrival(&self, kind: MessageKind, since_receipt: Duration) {
        self.inner.delivery_seconds.get_or_create(&[("kind", kind.as_str())]).observe(since_receipt.as_secs_f64());
    }

    /// Telegram asked to wait: with one chat, or with all of a bot's.
    pub(crate) fn count_throttle(&self, whole_bot: bool) {
        self.inner.throttled.get_or_create(&[("scope", if whole_bot { "bot" } else { "chat" })]).inc();
    }

    /// The gauges of a lane.
    pub(crate) fn lane(&self, name: &LaneName) -> LaneGauges {
        let gauge = |place: &str| {
            self.inner.queued.get_or_create_owned(&[("lane", name.to_string()), ("place", place.to_owned())])
        };
        LaneGauges { waiting: gauge("waiting"), in_hand: gauge("in_hand"), unwritten: gauge("unwritten") }
    }

    /// So many alerts were found waiting.
    pub(crate) fn alerts_waiting(&self, alerts: usize) {
        self.inner.alerts_waiting.set(whole(alerts));
    }

    /// Something was kept in the spool: `accepted` or `refused`.
    pub(crate) fn count_spooled(&self, result: &'static str) {
        self.inner.spooled.get_or_create(&[("result", result)]).inc();
    }

    /// Something of the spool was brought to the store.
    pub(crate) fn count_drained(&self, result: &'static str) {
        self.inner.drained.get_or_create(&[("result", result)]).inc();
    }

    /// So many records are in the spool: to be brought to the store, and set aside.
    pub(crate) fn in_spool(&self, waiting: u64, parked: u64) {
        for (state, records) in [("waiting", waiting), ("parked", parked)] {
            self.inner.in_spool.get_or_create(&[("state", state)]).set(i64::try_from(records).unwrap_or(i64::MAX));
        }
    }

    /// A request to the API was turned away.
    pub(crate) fn turned_away(&self, reason: &'static str) {
        self.inner.api_refused.get_or_create(&[("reason", reason)]).inc();
    }

    /// The store failed a part of the program. What a caller has to expect (a conflict, a lost lease) is none.
    pub(crate) fn store_failed(&self, part: StorePart, error: &StoreError) {
        if matches!(error, StoreError::Unavailable(_) | StoreError::Corrupt(_)) {
            self.inner.store_failures.get_or_create(&[("part", part.word())]).inc();
        }
    }

    /// A part of the program met a defect, and is begun anew.
    pub(crate) fn part_failed(&self, part: SupervisedPart) {
        self.inner.part_failures.get_or_create(&[("part", part.word())]).inc();
    }

    /// Everything as text, with the audience and the troubles as they are now.
    pub(crate) fn render(
        &self,
        audience: &AudienceHandle,
        degraded: &DegradedState,
        is_ready: bool,
        format: MetricsFormat,
    ) -> String {
        let size = audience.with(|audience| audience.size());
        let sizes = [
            ("users", size.users),
            ("plans", size.plans),
            ("configurations", size.configs),
            ("subscriptions", size.subscriptions),
            ("preferences", size.preferences),
        ];
        for (what, size) in sizes {
            self.inner.audience.get_or_create(&[("of", what)]).set(whole(size));
        }
        self.inner.ready.set(i64::from(is_ready));
        for (condition, troubles) in degraded.counts() {
            self.inner.degraded.get_or_create(&[("condition", condition.word())]).set(whole(troubles));
        }
        text::render(&self.inner.registry, format)
    }

    /// What has not happened yet is there too, as 0: the first time is a rise that can be seen.
    fn begin_at_zero(&self) {
        let inner = &*self.inner;
        begin(&inner.alerts, "result", ["processed", "failed", "parked"]);
        begin(&inner.chunks, "result", ["committed", "conflict"]);
        begin(&inner.trades, "action", ["opened", "replaced", "closed"]);
        begin(&inner.throttled, "scope", ["chat", "bot"]);
        begin(&inner.store_failures, "part", StorePart::ALL.map(StorePart::word));
        begin(&inner.spooled, "result", ["accepted", "refused"]);
        begin(&inner.drained, "result", ["accepted", "refused", "duplicate", "parked"]);
        begin(
            &inner.api_refused,
            "reason",
            [
                "no_token",
                "unknown_token",
                TokenEnd::Expired.as_str(),
                TokenEnd::PasswordChanged.as_str(),
                TokenEnd::Inactive.as_str(),
                "unreadable_administrator",
                "not_permitted",
                "too_many_requests",
            ],
        );
        begin(&inner.in_spool, "state", ["waiting", "parked"]);
        begin(&inner.part_failures, "part", SupervisedPart::ALL.map(SupervisedPart::word));
        for collection in Collection::ALL {
            inner.unreadable.get_or_create_owned(&[("collection", collection.name())]);
        }
        begin(&inner.degraded, "condition", TroubleKind::ALL.map(TroubleKind::word));
        begin(&inner.webhook_seconds, "status", ["2xx", "4xx", "5xx"]);
        for outcome in ["sent", "retried", "expired", "dead", "dropped"] {
            inner.deliveries.get_or_create_owned(&[("channel", Channel::Telegram.as_str()), ("outcome", outcome)]);
        }
    }
}

fn begin<M: Clone, C: MetricConstructor<M>, const N: usize>(
    family: &Family<LabelPair, M, C>,
    label: &'static str,
    words: [&'static str; N],
) {
    for word in words {
        family.get_or_create_owned(&[(label, word)]);
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl MetricFamilies {
    fn new(mut registry: Registry) -> Self {
        let mut all = MetricCatalogue(registry.sub_registry_with_prefix("alertcast"));
        Self {
            webhook: all.counts("webhook_requests", "Requests to the webhook, by what they came to"),
            webhook_seconds: all.times(
                "webhook_answer",
                "How long a request to the webhook took to be answered",
                DurationFamily::new_with_constructor(|| Histogram::new(ANSWER_SECONDS)),
            ),
            alerts: all.counts("alerts", "Alerts worked on: failed ones are tried again, parked ones are not"),
            processing_seconds: all.times(
                "alert_processing",
                "From an alert's receipt to the commit of its trades and messages",
                Histogram::new(PROCESSING_SECONDS),
            ),
            chunks: all.counts("chunks", "Chunks of subscribers, committed or planned anew after a conflict"),
            trades: all.counts("trades", "Trades opened, replaced and closed by alerts"),
            deliveries: all.counts(
                "delivery_attempts",
                "What messages and edits came to; retried: failed or put back, and tried again",
            ),
            overdue: all.counts("alerts_overdue", "Alerts some of whose messages ended unsent at their deadline"),
            delivery_seconds: all.times(
                "delivery",
                "From an alert's receipt to a message about it being sent",
                DurationFamily::new_with_constructor(|| Histogram::new(DELIVERY_SECONDS)),
            ),
            throttled: all.counts("telegram_throttled", "Answers 429 from Telegram, by what they were about"),
            queued: all.counts(
                "lane_deliveries",
                "Messages at a courier: due as far as it has read, taken, and sent but not recorded",
            ),
            alerts_waiting: all.counts("alerts_waiting", "Alerts found waiting at the last look, at most 512"),
            audience: all.counts("audience", "What the audience in memory is made of"),
            store_failures: all.counts("store_failures", "Failures of the store, by whom they held up"),
            spooled: all.counts("spooled", "Alerts kept in the spool because the store was away, by their answer"),
            drained: all.counts("spool_drained", "Alerts of the spool, by what they came to at the store"),
            in_spool: all.counts("spool_alerts", "Alerts in the spool: waiting for the store, or set aside"),
            api_refused: all.counts("api_refused", "Requests to the API that were turned away, by why"),
            ready: all.counts("ready", "Whether an alert would be answered 202 now"),
            unreadable: all
                .counts("unreadable_documents", "Documents that were found unreadable and set aside, by collection"),
            degraded: all.counts("degraded", "Troubles that last, by their kind: /readyz tells each"),
            part_failures: all.counts(
                "part_failures",
                "Defects that a part of the program met, after each of which it was begun anew",
            ),
            registry,
        }
    }
}

/// Where what is counted gets its name and its description.
struct MetricCatalogue<'a>(&'a mut Registry);

impl MetricCatalogue<'_> {
    /// A counter or a gauge, or a family of them.
    fn counts<M: Metric + Clone + Default>(&mut self, name: &str, help: &str) -> M {
        let metric = M::default();
        self.0.register(name, help, metric.clone());
        metric
    }

    /// A histogram of seconds, or a family of them.
    fn times<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register_with_unit(name, help, Unit::Seconds, metric.clone());
        metric
    }
}

fn about_process(registry: &mut Registry, start: Time) {
    let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("alertcast_build", "The program's version", build);
    let began = Gauge::<f64, AtomicU64>::default();
    began.set(start.since(Time::from_millis(0)).as_secs_f64());
    registry.register_with_unit("process_start_time", "When the process began", Unit::Seconds, began);
}

const fn class(status: u16) -> &'static str {
    match status {
        200..300 => "2xx",
        400..500 => "4xx",
        _ => "5xx",
    }
}

fn whole(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
