//! A world in memory: an audience, and a store that commits chunks and refuses what a store refuses.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};

use bson::oid::ObjectId;

use crate::alert::intent::{ExitSignal, Intent};
use crate::alert_configuration::AlertConfiguration;
use crate::decision::{Decision, Verdict};
use crate::delivery::{Channel, Delivery, MessageKind};
use crate::figures::PriceHistory;
use crate::fixtures;
pub(super) use crate::fixtures::{config_id, plan_id, subscription_id, user_id};
use crate::id::{AlertId, IdSource, TradeId, UserId};
use crate::market::{Side, Symbol};
use crate::matching::ahead::PlanningState;
use crate::matching::audience::{Audience, AudienceEntity};
use crate::matching::chunk::{ChunkTally, PlannedChunk, list_entering, plan_chunk, span};
use crate::matching::job::{MatchingJob, MessageChannels};
use crate::matching::walk::{ChunkUsers, ChunkWalk};
use crate::plan::Plan;
use crate::preference::{AlertChoices, AlertPreference};
use crate::quota::Quota;
use crate::store::{ChunkPlan, ChunkState, Collection, ConfigIncrement, UnreadableTrade, UserSpan};
use crate::subscription::Subscription;
use crate::time::Time;
use crate::trade::document::{Trade, TradeStatus};
use crate::trade::fixtures::price;
use crate::trade::request::TradeRequest;
use crate::user::User;

/// 2026-03-10T12:00:00Z.
pub(super) const NOON: Time = Time::from_millis(1_773_144_000_000);
pub(super) const HOUR: i64 = 3_600_000;

pub(super) fn after(millis: i64) -> Time {
    Time::from_millis(NOON.millis() + millis)
}

/// A user's open trade that cannot be read.
pub(super) fn unread(user: u32, side: Option<Side>) -> UnreadableTrade {
    let subscription = Some(subscription_id(user));
    UnreadableTrade { id: None, user: user_id(user), rev: 0, side, subscription, unreached: false }
}

/// A user with a chat of their number, in UTC.
pub(super) fn user(n: u32) -> User {
    let mut user = fixtures::user(n);
    (user.telegram.user_id, user.telegram.chat_id) = (n.to_string(), Some(n.to_string()));
    user.profile.timezone = "UTC".to_owned();
    user
}

/// An active plan of these configurations, with the seed's defaults.
pub(super) fn plan(n: u32, configs: &[u32]) -> Plan {
    fixtures::plan(n, &configs.iter().map(|n| config_id(*n)).collect::<Vec<_>>())
}

/// An active one-hour configuration with the seed's defaults.
pub(super) fn config(n: u32) -> AlertConfiguration {
    AlertConfiguration { symbol: Symbol::new("BTCUSD").unwrap(), strategy: format!("EMA {n}"), ..fixtures::config(n) }
}

/// An active subscription from a day before noon to a day after.
pub(super) fn subscription(n: u32, user: u32, plan: u32) -> Subscription {
    let mut subscription = fixtures::subscription(n);
    (subscription.user_id, subscription.subscription_plan_id) = (user_id(user), plan_id(plan));
    (subscription.subscription.start_date, subscription.subscription.end_date) =
        (Some(after(-24 * HOUR)), Some(after(24 * HOUR)));
    subscription
}

/// A user's preferences for a configuration.
pub(super) fn preference(user: u32, config: u32, choices: AlertChoices) -> AlertPreference {
    AlertPreference { preferences: choices, ..fixtures::preference(config, user) }
}

pub(super) fn ask(intent: Intent, at: &str) -> TradeRequest {
    TradeRequest {
        intent,
        price: price(at),
        take_profit: None,
        stop_loss: None,
        targets: Vec::new(),
        quantity: None,
        trade_ref: None,
    }
}

pub(super) fn buy(at: &str) -> TradeRequest {
    ask(Intent::Entry { side: Side::Buy }, at)
}

pub(super) fn sell(at: &str) -> TradeRequest {
    ask(Intent::Entry { side: Side::Sell }, at)
}

pub(super) fn tp(at: &str) -> TradeRequest {
    ask(Intent::exit(ExitSignal::TpHit), at)
}

pub(super) fn sl(at: &str) -> TradeRequest {
    ask(Intent::exit(ExitSignal::SlHit), at)
}

/// Ids that count up.
#[derive(Debug, Default)]
pub(super) struct Ids(AtomicU32);

impl IdSource for Ids {
    fn next(&self) -> ObjectId {
        fixtures::oid(b'x', 0, self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// The audience and the store. User, plan, subscription and configuration 1 belong together.
#[derive(Debug)]
pub(super) struct World {
    pub(super) audience: Audience,
    pub(super) trades: BTreeMap<TradeId, Trade>,
    pub(super) quotas: HashMap<UserId, Quota>,
    /// Each of them holds an open trade that cannot be read.
    pub(super) unreadable: Vec<UnreadableTrade>,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) outlets: MessageChannels,
    pub(super) increments: ConfigIncrement,
    pub(super) testing: bool,
    /// The configuration's last prices, where they matter.
    pub(super) history: Option<PriceHistory>,
    pub(super) risk: Option<crate::user::RiskLevel>,
    /// How many users make a chunk.
    pub(super) chunk: usize,
    /// Alerts are planned on what those before come to: what was loaded is kept, and asked for no more.
    pub(super) ahead: Option<PlanningState>,
    /// Each chunk is worked out once in vain, as if a crash or a conflict had come before its commit.
    pub(super) crashes: bool,
    /// When alerts come in.
    pub(super) now: Time,
    /// How much later they are worked out, in milliseconds.
    pub(super) delay: i64,
    alerts: u32,
    keys: BTreeSet<Vec<u8>>,
    ids: Ids,
}

/// What one alert came to.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) alert: AlertId,
    pub(super) plans: Vec<ChunkPlan>,
    /// What operators are told of each chunk.
    pub(super) tallies: Vec<ChunkTally>,
}

impl World {
    pub(super) fn new() -> Self {
        let mut world = Self::empty();
        world.put(AudienceEntity::User(user(1)));
        world.put(AudienceEntity::Config(config(1)));
        world.put(AudienceEntity::Plan(plan(1, &[1])));
        world.put(AudienceEntity::Subscription(subscription(1, 1, 1)));
        world
    }

    pub(super) fn empty() -> Self {
        Self {
            audience: Audience::new(),
            trades: BTreeMap::new(),
            quotas: HashMap::new(),
            unreadable: Vec::new(),
            deliveries: Vec::new(),
            outlets: MessageChannels { default_bot: Some("42".to_owned()), mail_shards: 4, entry_deadline: None },
            increments: ConfigIncrement::default(),
            testing: false,
            history: None,
            risk: None,
            chunk: 500,
            ahead: None,
            crashes: false,
            now: NOON,
            delay: 0,
            alerts: 0,
            keys: BTreeSet::new(),
            ids: Ids::default(),
        }
    }

    /// Puts a value at a path of a document of the audience.
    pub(super) fn spoil<T: serde::Serialize>(&mut self, collection: Collection, of: &T, path: &str, value: bson::Bson) {
        let mut document = crate::store::document(of).unwrap();
        crate::reading::put_at(&mut document, path, value);
        assert!(self.audience.take_in(collection, &crate::reading::pack(&document).unwrap()).is_some(), "it is told");
    }

    pub(super) fn put(&mut self, entity: AudienceEntity) {
        self.audience.put(entity);
    }

    /// Gives user 1 these choices for configuration 1.
    pub(super) fn choose(&mut self, change: impl FnOnce(&mut AlertChoices)) {
        let mut choices = AlertChoices::default();
        change(&mut choices);
        self.put(AudienceEntity::Preference(preference(1, 1, choices)));
    }

    /// An alert of configuration 1, worked out chunk by chunk and committed.
    pub(super) fn alert(&mut self, ask: TradeRequest) -> Told {
        self.alerts += 1;
        let alert = fixtures::alert_id(self.alerts);
        let config = self.audience.config(config_id(1)).unwrap().clone();
        let outlets = self.outlets.clone();
        let job = MatchingJob { alert, ..self.job(ask, &config, &outlets) };
        let job = match &self.history {
            Some(history) => job.after(history),
            None => job,
        };
        let mut walk = ChunkWalk::new(&job, self.audience.candidates(config.id), self.chunk, None);
        let (mut plans, mut tallies) = (Vec::new(), Vec::new());
        loop {
            let chunk = walk.next(&self.holders(&walk));
            if self.crashes {
                self.work_out(&job, &chunk);
            }
            let PlannedChunk { plan, tally } = self.work_out(&job, &chunk);
            self.commit(&plan, self.worked_at());
            walk.move_on(&chunk);
            plans.push(plan);
            tallies.push(tally);
            if chunk.is_last {
                self.check_repetition(&job, walk.cursor());
                return Told { alert, plans, tallies };
            }
        }
    }

    fn job<'a>(
        &self,
        ask: TradeRequest,
        config: &'a AlertConfiguration,
        outlets: &'a MessageChannels,
    ) -> MatchingJob<'a> {
        MatchingJob {
            alert: fixtures::alert_id(0),
            config,
            ask,
            delayed_feed: None,
            risk: self.risk,
            received_at: self.now,
            followed_from: self.now,
            testing: self.testing,
            decimals: None,
            outlets,
        }
    }

    /// An alert of configuration 1 that is planned on what those before it came to, since [`Self::load_ahead`].
    pub(super) fn alert_ahead(&mut self, ask: TradeRequest) -> Told {
        self.alerts += 1;
        let alert = fixtures::alert_id(self.alerts);
        let (config, outlets) = (self.audience.config(config_id(1)).unwrap().clone(), self.outlets.clone());
        let job = MatchingJob { alert, ..self.job(ask, &config, &outlets) };
        let mut planning = self.ahead.take().expect("loaded ahead");
        let users = planning.users(&job);
        let chunk = users.with(planning.state());
        let PlannedChunk { plan, tally } =
            plan_chunk(&job, &self.audience, &chunk, self.worked_at(), &self.ids).unwrap();
        planning.apply(&plan);
        self.commit(&plan, self.worked_at());
        self.ahead = Some(planning);
        Told { alert, plans: vec![plan], tallies: vec![tally] }
    }

    /// Loads all that alerts of configuration 1 may concern.
    pub(super) fn load_ahead(&mut self) {
        let candidates = self.audience.candidates(config_id(1));
        let holders: Vec<UserId> = self.open().map(|trade| trade.user_id).collect();
        let users: BTreeSet<UserId> = candidates.iter().copied().chain(holders).collect();
        let users: Vec<UserId> = users.into_iter().collect();
        let state = span(&users).map_or_else(ChunkState::default, |span| self.load(span, &candidates));
        self.ahead = Some(PlanningState::new(candidates, state));
    }

    fn worked_at(&self) -> Time {
        Time::from_millis(self.now.millis() + self.delay)
    }

    /// Plans a chunk twice on the same state: the same must come of it.
    fn work_out(&self, job: &MatchingJob<'_>, chunk: &ChunkUsers) -> PlannedChunk {
        let entering = list_entering(job, &self.audience, &chunk.users, self.worked_at());
        let state = span(&chunk.users).map_or_else(ChunkState::default, |span| self.load(span, &entering));
        let chunk = chunk.with(&state);
        let started = self.ids.0.load(Ordering::Relaxed);
        let again = Ids(AtomicU32::new(started));
        let twin = plan_chunk(job, &self.audience, &chunk, self.worked_at(), &again).unwrap();
        let plan = plan_chunk(job, &self.audience, &chunk, self.worked_at(), &self.ids).unwrap();
        assert_eq!(twin, plan);
        plan
    }

    /// After its last chunk an alert has nothing more to do: its cursor stands behind everybody.
    fn check_repetition(&self, job: &MatchingJob<'_>, cursor: Option<UserId>) {
        let walk = ChunkWalk::new(job, self.audience.candidates(job.config.id), self.chunk, cursor);
        let rest = walk.next(&self.holders(&walk));
        assert!(cursor.is_none() || rest.users.is_empty());
        let plan = self.work_out(job, &ChunkUsers { users: Vec::new(), is_last: false });
        assert_eq!(plan, PlannedChunk::default());
    }

    /// The holders whom the walk asks for.
    fn holders(&self, walk: &ChunkWalk) -> Vec<UserId> {
        let unread = self.unreadable.iter().map(|trade| trade.user);
        let users: BTreeSet<UserId> = self.open().map(|trade| trade.user_id).chain(unread).collect();
        let above = users.into_iter().filter(|user| walk.cursor().is_none_or(|above| *user > above));
        above.take(walk.count_holders_wanted().unwrap_or(0)).collect()
    }

    pub(super) fn load(&self, span: UserSpan, entering: &[UserId]) -> ChunkState {
        let within = |trade: &&Trade| (span.first..=span.last).contains(&trade.user_id);
        let mut open_trades: Vec<Trade> = self.open().filter(within).cloned().collect();
        open_trades.sort_by_key(|trade| (trade.user_id, trade.trade_number));
        let within = |trade: &&UnreadableTrade| (span.first..=span.last).contains(&trade.user);
        let unreadable_trades = self.unreadable.iter().filter(within).copied().collect();
        let mut state = ChunkState { open_trades, unreadable_trades, ..ChunkState::default() };
        for user in entering {
            let numbers = self.trades.values().filter(|trade| trade.user_id == *user).map(|trade| trade.trade_number.0);
            state.last_numbers.extend(numbers.max().map(|number| (*user, number)));
            state.quotas.extend(self.quotas.get(user).map(|quota| (*user, quota.clone())));
        }
        state
    }

    /// Applies a chunk as a store does, refusing what a store would refuse.
    fn commit(&mut self, plan: &ChunkPlan, now: Time) {
        if let Some((span, seen)) = &plan.open_seen {
            let state = self.load(*span, &[]);
            let open: BTreeSet<_> = state.open_trades.iter().map(|trade| (trade.id, trade.alertcast.rev.0)).collect();
            assert_eq!(open, seen.iter().copied().collect(), "the open trades are those that were seen");
        }
        for change in &plan.quotas {
            let kept = self.quotas.insert(change.after.user, change.after.clone());
            assert_eq!(kept.map(|quota| quota.rev.0), change.rev_seen);
            assert_eq!(change.after.rev.0, change.rev_seen.unwrap_or(0) + 1);
        }
        for end in &plan.ended {
            let trade = self.trades.get_mut(&end.trade).expect("what ends was there");
            assert_eq!(trade.status, TradeStatus::Open, "a trade ends once");
            trade.status = end.status;
            trade.trade_data.exit_price = Some(end.exit_price);
            trade.trade_data.exit_reason = Some(end.reason);
            trade.metadata.replaced_by = end.replaced_by;
            trade.alertcast.rev.0 += 1;
            assert_eq!(end.at, now);
        }
        for trade in &plan.opened {
            let same = |other: &Trade| {
                (other.user_id, other.alert_config_id, other.trade_number)
                    == (trade.user_id, trade.alert_config_id, trade.trade_number)
            };
            assert!(!self.trades.values().any(same), "a number is given once");
            assert!(self.trades.insert(trade.id, trade.clone()).is_none());
        }
        for delivery in &plan.deliveries {
            assert!(self.keys.insert(delivery.key.bytes.clone()), "a delivery's key is unique");
            self.deliveries.push(delivery.clone());
        }
        self.increments.add(&plan.config_increment);
    }

    pub(super) fn open(&self) -> impl Iterator<Item = &Trade> {
        self.trades.values().filter(|trade| trade.status == TradeStatus::Open)
    }

    pub(super) fn open_count(&self) -> usize {
        self.open().count()
    }

    /// Marks every open trade as one whose entry never arrived.
    pub(super) fn lose_entries(&mut self) {
        for trade in self.trades.values_mut().filter(|trade| trade.status == TradeStatus::Open) {
            trade.alertcast.unreached = true;
            trade.alertcast.rev.0 += 1;
        }
    }
}

impl Told {
    pub(super) fn decisions(&self) -> impl Iterator<Item = &Decision> {
        self.plans.iter().filter_map(|plan| plan.decisions.as_ref()).flat_map(|chunk| &chunk.decisions)
    }

    pub(super) fn decision(&self, user: u32) -> &Decision {
        self.decisions().find(|decision| decision.user == user_id(user)).expect("the user was decided about")
    }

    pub(super) fn verdict(&self, user: u32) -> Verdict {
        self.decision(user).verdict
    }

    /// User 1's decision in short: the verdict and the actions.
    pub(super) fn short(&self) -> String {
        let decision = self.decision(1);
        let actions: Vec<&str> = decision.actions.iter().map(|action| action.action.as_str()).collect();
        [&[decision.verdict.as_str()], actions.as_slice()].concat().join(" ")
    }

    /// Every message.
    pub(super) fn deliveries(&self) -> impl Iterator<Item = &Delivery> {
        self.plans.iter().flat_map(|plan| &plan.deliveries).filter(|delivery| delivery.kind != MessageKind::Result)
    }

    /// Every edit of an earlier message.
    pub(super) fn results(&self) -> impl Iterator<Item = &Delivery> {
        self.plans.iter().flat_map(|plan| &plan.deliveries).filter(|delivery| delivery.kind == MessageKind::Result)
    }

    /// Channel and kind of every message, in order.
    pub(super) fn messages(&self) -> Vec<(Channel, MessageKind)> {
        self.deliveries().map(|delivery| (delivery.channel, delivery.kind)).collect()
    }
}
