//! The run itself: alerts in the order of their receipt, each read, checked, worked out and applied in memory.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

use alertcast_core::alert::acceptance::{AlertReceipt, ReceiptMark};
use alertcast_core::alert::document::{Alert, PricePoint, TradeAction};
use alertcast_core::alert::duplicate::{WebhookRequest, keys};
use alertcast_core::alert::payload::{self, Payload};
use alertcast_core::alert::rule_violation::{ProblemCode, RuleViolation};
use alertcast_core::alert::rules::{self, CheckedAlert, REFERENCE_AGE_MAX};
use alertcast_core::alert_configuration::AlertConfiguration;
use alertcast_core::decision::Decision;
use alertcast_core::delivery::MessageKind;
use alertcast_core::figures::{self, PriceHistory};
use alertcast_core::id::{AlertId, ConfigId, IdSource, TradeId, UserId};
use alertcast_core::limiter::SendLimits;
use alertcast_core::market::Signal;
use alertcast_core::matching::audience::Audience;
use alertcast_core::matching::chunk::{PlannedChunk, plan_chunk};
use alertcast_core::matching::job::{MatchingJob, MessageChannels};
use alertcast_core::matching::remarks::{RemarkKind, remarks};
use alertcast_core::matching::walk::ChunkWalk;
use alertcast_core::money::Price;
use alertcast_core::quota::Quota;
use alertcast_core::store::{ChunkPlan, ChunkState, IntakeKey, StoreResult};
use alertcast_core::subscription::{Subscription, SubscriptionStatus};
use alertcast_core::time::Time;
use alertcast_core::trade::document::Trade;
use bson::Document;
use bson::oid::ObjectId;

use super::input::RecordedRequest;
use super::report::{ConfigReport, RefusalGroups, ReplayReport, ReplayTotals, StoryLine, SubscriberStory, TradeTally};
use super::sending::SendForecasts;

/// Prices that the next one may be held against.
const PRICES_KEPT: usize = 8;

/// What is rehearsed, and as what.
#[derive(Debug, Clone)]
pub struct ReplayOptions {
    pub outlets: MessageChannels,
    pub limits: SendLimits,
    /// The moment of what has none of its own.
    pub now: Time,
    /// Only alerts received then.
    pub from: Option<Time>,
    pub to: Option<Time>,
    /// Only this configuration's.
    pub config: Option<ConfigId>,
    /// Whose story is told.
    pub user: Option<UserId>,
}

/// A subscription as it stands at `now`, for all time: what is recorded may be older than whoever would get it.
pub fn as_of(subscription: &mut Subscription, now: Time) {
    let term = &mut subscription.subscription;
    if term.status != SubscriptionStatus::Active {
        return;
    }
    let (always, never) = (Time::from_millis(i64::MIN / 2), Time::from_millis(i64::MAX / 2));
    let begun = term.start_date.is_none_or(|start| start <= now);
    let ended = term.end_date.is_some_and(|end| end <= now);
    term.start_date = term.start_date.map(|_| if begun { always } else { never });
    term.end_date = term.end_date.map(|_| if ended { always } else { never });
}

/// Runs recorded alerts.
///
/// # Errors
/// `Corrupt` where the trades of the rehearsal itself are not as they should be, which is a defect.
pub fn rehearse(
    audience: &Audience,
    recorded: &[RecordedRequest],
    options: &ReplayOptions,
) -> StoreResult<ReplayReport> {
    let mut rehearsal = ReplayRehearsal::new(audience, options);
    for read in in_order(recorded, options.now) {
        rehearsal.take_in(&read)?;
    }
    Ok(rehearsal.finish())
}

/// A recorded alert that has been read, or could not be.
struct ReadRecording<'a> {
    recorded: &'a RecordedRequest,
    received_at: Time,
    payload: std::result::Result<Payload, String>,
}

/// In the order of their receipt, and of those received at the same moment in that of their own times, as the running
/// program takes them; one without a moment comes with the one before it.
fn in_order(recorded: &[RecordedRequest], now: Time) -> Vec<ReadRecording<'_>> {
    let mut last = None;
    let mut all = Vec::with_capacity(recorded.len());
    for recorded in recorded {
        let payload = payload::read(&recorded.body, &recorded.query).map_err(|unreadable| unreadable.to_string());
        let own = payload.as_ref().ok().and_then(|payload| payload.timestamp);
        let received_at = recorded.received_at.or(own).or(last).unwrap_or(now);
        last = Some(received_at);
        all.push(ReadRecording { recorded, received_at, payload });
    }
    let own = |read: &ReadRecording<'_>| read.payload.as_ref().ok().and_then(|payload| payload.timestamp);
    all.sort_by_key(|read| (read.received_at, own(read).unwrap_or(read.received_at)));
    all
}

/// What the store would keep, and what is to be told.
struct ReplayRehearsal<'a> {
    audience: &'a Audience,
    options: &'a ReplayOptions,
    ids: IdSequence,
    books: BTreeMap<ConfigId, ConfigurationBook>,
    quotas: HashMap<UserId, Quota>,
    /// Keys of duplicates: until when they hold, and the line that claimed them.
    seen: HashMap<String, (Time, u64)>,
    roads: SendForecasts,
    totals: ReplayTotals,
    refusals: RefusalGroups,
    resends: RefusalGroups,
    remarks: RefusalGroups,
    story: Vec<StoryLine>,
}

/// One configuration's.
#[derive(Default)]
struct ConfigurationBook {
    /// What a store would answer; its quotas are those of all, while this configuration is worked on.
    state: ChunkState,
    /// Newest first.
    prices: VecDeque<PricePoint>,
    history: PriceHistory,
    alerts: usize,
    messages: usize,
    recipients: HashSet<UserId>,
    verdicts: BTreeMap<&'static str, usize>,
    trades: TradeTally,
}

impl<'a> ReplayRehearsal<'a> {
    fn new(audience: &'a Audience, options: &'a ReplayOptions) -> Self {
        Self {
            audience,
            options,
            ids: IdSequence::default(),
            books: BTreeMap::new(),
            quotas: HashMap::new(),
            seen: HashMap::new(),
            roads: SendForecasts::new(options.limits),
            totals: ReplayTotals::default(),
            refusals: RefusalGroups::default(),
            resends: RefusalGroups::default(),
            remarks: RefusalGroups::default(),
            story: Vec::new(),
        }
    }

    fn take_in(&mut self, read: &ReadRecording<'_>) -> StoreResult<()> {
        self.totals.read += 1;
        let at = read.received_at;
        if self.options.from.is_some_and(|from| at < from) || self.options.to.is_some_and(|to| at >= to) {
            self.totals.left_out += 1;
            return Ok(());
        }
        let payload = match &read.payload {
            Ok(payload) => payload,
            Err(why) => {
                self.refuse(read, "unreadable", why);
                return Ok(());
            }
        };
        let config = self.audience.config_of(payload);
        if self.options.config.is_some_and(|only| config.is_none_or(|config| config.id != only)) {
            self.totals.left_out += 1;
            return Ok(());
        }
        self.totals.first_at.get_or_insert_with(|| at.to_string());
        self.totals.last_at = Some(at.to_string());
        let Some(config) = config else {
            let problems = rules::without_configuration(payload, at, true, self.audience.strategy_meant(payload));
            self.refuse_for(read, &problems);
            return Ok(());
        };
        self.judge(read, payload, config)
    }

    fn judge(&mut self, read: &ReadRecording<'_>, payload: &Payload, config: &AlertConfiguration) -> StoreResult<()> {
        let at = read.received_at;
        let book = self.books.entry(config.id).or_default();
        let young = |point: &&PricePoint| at.since(point.at) <= REFERENCE_AGE_MAX;
        let recent: Vec<PricePoint> = book.prices.iter().filter(young).copied().collect();
        let checked = rules::check(payload, config, at, &recent, true);
        let signal = match &checked {
            Ok(checked) => Some(checked.signal),
            Err(_) => payload.signal,
        };
        let request = WebhookRequest { secret_id: &[], query: &read.recorded.query, body: &read.recorded.body };
        let keys = signal.map(|signal| keys(&request, payload, config.id, signal, at)).unwrap_or_default();
        if self.is_resend(&keys, read) {
            return Ok(());
        }
        let book = self.books.entry(config.id).or_default();
        match checked {
            Ok(checked) => {
                self.seen.extend(keys.into_iter().map(|key| (key.key, (key.until, read.recorded.line))));
                note_price(&mut book.prices, Some(checked.signal), payload.price, at, true);
                self.totals.accepted += 1;
                self.work_out(read, config, &checked)
            }
            Err(problems) => {
                if problems.iter().all(|problem| problem.code == ProblemCode::PriceTolerance) {
                    note_price(&mut book.prices, payload.signal, payload.price, at, false);
                }
                self.refuse_for(read, &problems);
                Ok(())
            }
        }
    }

    /// Whether the webhook would take it for a resend of an earlier line. Its first key is the request's.
    fn is_resend(&mut self, keys: &[IntakeKey], read: &ReadRecording<'_>) -> bool {
        let held = |key: &IntakeKey| self.seen.get(&key.key).filter(|(until, _)| *until > read.received_at);
        let Some((n, first)) = keys.iter().enumerate().find_map(|(n, key)| Some((n, held(key)?.1))) else {
            return false;
        };
        self.totals.duplicates += 1;
        let (rule, what) =
            if n == 0 { ("same_request", "the same message") } else { ("same_alert_id", "the same alert_id") };
        self.resends.add(rule, read.recorded.line, &format!("{what} came with line {first}: taken for a resend of it"));
        true
    }

    fn refuse_for(&mut self, read: &ReadRecording<'_>, problems: &[RuleViolation]) {
        self.totals.refused += 1;
        let mut told = HashSet::new();
        for problem in problems {
            let rule = format!("{} {}", problem.field, problem.code.as_str());
            if told.insert(rule.clone()) {
                self.refusals.add(&rule, read.recorded.line, &problem.message);
            }
        }
    }

    fn refuse(&mut self, read: &ReadRecording<'_>, rule: &str, message: &str) {
        self.totals.refused += 1;
        self.refusals.add(rule, read.recorded.line, message);
    }

    fn work_out(
        &mut self,
        read: &ReadRecording<'_>,
        config: &AlertConfiguration,
        checked: &CheckedAlert,
    ) -> StoreResult<()> {
        let at = read.received_at;
        let receipt = AlertReceipt::plain(AlertId(self.ids.next()), at, Document::new());
        let alert = Alert::accepted(receipt, ReceiptMark { config: config.id, after: 0 }, checked);
        let book = self.books.entry(config.id).or_default();
        let job = MatchingJob::new(&alert, config, &self.options.outlets)?.after(&book.history);
        book.history.note(checked.price);
        // All at once: nothing is committed, and nobody comes between.
        let walk = ChunkWalk::new(&job, self.audience.candidates(config.id), usize::MAX, None);
        let holders = walk.count_holders_wanted().map_or_else(Vec::new, |_| book.state.holders());
        let chunk = walk.next(&holders);
        book.state.quotas = std::mem::take(&mut self.quotas);
        let PlannedChunk { plan, tally } = plan_chunk(&job, self.audience, &chunk.with(&book.state), at, &self.ids)?;
        for remark in remarks(&job, &tally).into_iter().filter(|remark| remark.kind != RemarkKind::Testing) {
            let lines = remark.lines.join(" ");
            self.remarks.add(remark.kind.as_str(), read.recorded.line, &format!("{}. {lines}", remark.title));
        }
        self.tell_story(read, checked, config.id, &plan);
        self.apply(read, config.id, plan);
        Ok(())
    }

    fn apply(&mut self, read: &ReadRecording<'_>, config: ConfigId, mut plan: ChunkPlan) {
        // Edits go last, where there is room: they hold up nothing, and nobody waits for them.
        plan.deliveries.retain(|delivery| delivery.kind != MessageKind::Result);
        self.roads.send(read.recorded.line, read.received_at, &plan.deliveries);
        let book = self.books.entry(config).or_default();
        book.alerts += 1;
        book.messages += plan.deliveries.len();
        book.recipients.extend(plan.deliveries.iter().filter_map(|delivery| delivery.user_id));
        for decision in plan.decisions.iter().flat_map(|chunk| &chunk.decisions) {
            *book.verdicts.entry(decision.verdict.as_str()).or_default() += 1;
        }
        plan.ended.iter().for_each(|end| book.trades.end(end));
        book.trades.opened += plan.opened.len();
        book.state.apply(&plan);
        self.quotas = std::mem::take(&mut book.state.quotas);
    }

    fn tell_story(&mut self, read: &ReadRecording<'_>, checked: &CheckedAlert, config: ConfigId, plan: &ChunkPlan) {
        let mut decisions = plan.decisions.iter().flat_map(|chunk| &chunk.decisions);
        let Some(decision) = decisions.find(|decision| Some(decision.user) == self.options.user) else { return };
        let currency = self.audience.config(config).map_or("USD", |config| config.currency());
        let trades = self.trades_told(decision, config, plan);
        let of = self.audience.config(config).map_or_else(String::new, |config| format!(" ({})", config.name));
        self.story.push(StoryLine {
            line: read.recorded.line,
            at: read.received_at.to_string(),
            alert: format!(
                "{} {} {} at {}{of}",
                checked.intent,
                checked.symbol,
                checked.timeframe,
                figures::price(checked.price, None, currency)
            ),
            verdict: decision.verdict.as_str(),
            trades,
        });
    }

    fn trades_told(&self, decision: &Decision, config: ConfigId, plan: &ChunkPlan) -> Vec<String> {
        let open = |id: TradeId| {
            let mut held = self.books.get(&config)?.state.open_trades.iter();
            held.find(|one| one.id == id)
        };
        let ended = plan.ended.iter().filter_map(|end| {
            let trade = open(end.trade).filter(|trade| trade.user_id == decision.user)?;
            let decimals = shown_decimals(trade, Some(end.exit_price));
            let price = figures::price(end.exit_price, decimals, &trade.pnl.currency);
            let pnl = figures::percent(end.pnl_percentage.get());
            Some(format!("trade #{} ends at {price}: {}, {pnl}", trade.trade_number.0, end.reason))
        });
        let opened =
            decision.actions.iter().filter(|action| action.action != TradeAction::Close).filter_map(|action| {
                let trade = plan.opened.iter().find(|trade| trade.id == action.trade)?;
                let (side, price) = (trade.trade_data.signal, trade.trade_data.entry_price);
                let price = figures::price(price, shown_decimals(trade, None), &trade.pnl.currency);
                Some(format!("trade #{} opens: {side} at {price}", trade.trade_number.0))
            });
        ended.chain(opened).collect()
    }

    fn finish(self) -> ReplayReport {
        let mut configurations = Vec::new();
        let mut trades = TradeTally::default();
        for (id, mut book) in self.books {
            let Some(config) = self.audience.config(id).filter(|_| book.alerts > 0) else { continue };
            book.trades.still_open = book.state.open_trades.len();
            trades.add(&book.trades);
            configurations.push(report(config, book));
        }
        configurations.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
        let lines = self.story;
        ReplayReport {
            alerts: self.totals,
            refused: self.refusals.finish(),
            resends: self.resends.finish(),
            remarks: self.remarks.finish(),
            configurations,
            trades,
            sending: self.roads.finish(),
            user: self.options.user.map(|user| SubscriberStory { id: user.to_string(), name: None, lines }),
        }
    }
}

/// With how many decimals a message shows the trade's prices.
fn shown_decimals(trade: &Trade, exit: Option<Price>) -> Option<u32> {
    let decimals = u32::try_from(trade.alertcast.decimals?.0).ok()?;
    let prices: Vec<Price> = exit.into_iter().chain([trade.trade_data.entry_price]).collect();
    Some(figures::telling_apart(decimals, &prices))
}

fn report(config: &AlertConfiguration, book: ConfigurationBook) -> ConfigReport {
    ConfigReport {
        id: config.id.to_string(),
        name: config.name.clone(),
        symbol: config.symbol.as_str().to_owned(),
        timeframe: config.timeframe.as_str().to_owned(),
        strategy: config.strategy.clone(),
        testing: config.status == alertcast_core::alert_configuration::ConfigStatus::Testing,
        alerts: book.alerts,
        recipients: book.recipients.len(),
        messages: book.messages,
        verdicts: book.verdicts,
        trades: book.trades,
    }
}

/// Of an entry, whose price the next one is held against: by the signal that is stored, as the store tells entries.
fn note_price(
    prices: &mut VecDeque<PricePoint>,
    signal: Option<Signal>,
    price: Option<Price>,
    at: Time,
    accepted: bool,
) {
    let opens = signal.and_then(Signal::entry_side).is_some();
    if let Some(price) = price.filter(|_| opens) {
        prices.push_front(PricePoint { price, at, accepted });
        prices.truncate(PRICES_KEPT);
    }
}

/// Ids that count upwards: nobody keeps them.
#[derive(Debug, Default)]
struct IdSequence(AtomicU64);

impl IdSource for IdSequence {
    fn next(&self) -> ObjectId {
        let next = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        let mut bytes = [0; 12];
        bytes[4..].copy_from_slice(&next.to_be_bytes());
        ObjectId::from_bytes(bytes)
    }
}
