//! The chunk: what is decided about some hundreds of users at once, made ready for one commit.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::alert::document::{Alert, TradeAction};
use crate::alert::intent::Intent;
use crate::decision::{DecidedAction, Decision, DecisionChunk, Verdict};
use crate::delivery::{Delivery, ExitInference, MessageKind};
use crate::id::{AlertId, IdSource, SubscriptionId, TradeId, UserId};
use crate::market::ExitReason;
use crate::money::Price;
use crate::store::{self, ChunkPlan, ChunkState, StoreError, UnreadableTrade, UsageIncrement, UserSpan};
use crate::time::Time;
use crate::trade::document::{EntryDelivery, Trade, TradeEnd};
use crate::trade::machine::{NotOpen, TradeEnding};

use super::audience::Audience;
use super::decide::{DecisionCase, DecisionRuling, decide, may_enter};
use super::documents::DocumentBuilder;
use super::job::MatchingJob;
use super::remarks::TradeRoll;

/// The users of one chunk, and what the store knows of them.
#[derive(Debug, Clone, Copy)]
pub struct UserChunk<'a> {
    /// Sorted, without doubles. May be empty, with `last`: an alert that concerns nobody.
    pub users: &'a [UserId],
    /// Read over [`span`] of the users; what lies beyond it is passed over.
    pub state: &'a ChunkState,
    /// Whether it is the alert's last chunk: with it the alert itself is counted.
    pub last: bool,
}

/// A chunk that is worked out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PlannedChunk {
    /// What it commits.
    pub plan: ChunkPlan,
    /// What operators are told of it.
    pub tally: ChunkTally,
}

/// So many holders of trades that cannot be read are named.
const UNREADABLE_TOLD_MAX: usize = 20;

/// What operators are told of a chunk; the sum of an alert's chunks is the alert's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChunkTally {
    /// Subscribers to whom a message goes out (in a test: would).
    pub sent: usize,
    /// Trades that an exit ended, or told of (in a test: would).
    pub matched: usize,
    /// Holders of open trades none of which the exit matched.
    pub unmatched: usize,
    /// Holders of open trades that cannot be read, to whom an exit may have been due.
    pub unreadable: Vec<UserId>,
    /// Those of them who hear nothing of it: it is muted, or no channel leads to them.
    pub untold: Vec<UserId>,
    /// Trades that stay open, because nobody knows a price for their end.
    pub left_open: TradeRoll,
    /// Trades that ended at a price far off.
    pub far_off: TradeRoll,
    /// Trades that ended by a take profit at a loss.
    pub at_a_loss: TradeRoll,
}

impl ChunkTally {
    /// Adds the tally of other users.
    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.matched += other.matched;
        self.unmatched += other.unmatched;
        extend_bounded(&mut self.unreadable, &other.unreadable);
        extend_bounded(&mut self.untold, &other.untold);
        self.left_open.merge(&other.left_open);
        self.far_off.merge(&other.far_off);
        self.at_a_loss.merge(&other.at_a_loss);
    }

    fn note(&mut self, ruling: &DecisionRuling<'_>) {
        let exit = &ruling.exit;
        self.sent += usize::from(ruling.verdict == Verdict::Sent);
        self.matched += exit.ends.len();
        self.matched += exit.notice.as_ref().map_or(0, |notice| notice.trades.len());
        self.unmatched += usize::from(ruling.unmatched);
        if !exit.unread.is_empty() {
            extend_bounded(&mut self.unreadable, &[ruling.user]);
            if exit.routes.is_empty() {
                extend_bounded(&mut self.untold, &[ruling.user]);
            }
        }
        let known = exit.ends.iter().filter(|ending| !ending.trade.alertcast.unreached);
        let trades = |wanted: fn(&TradeEnding<'_>) -> bool| {
            known.clone().filter(move |ending| wanted(ending)).map(|ending| ending.trade)
        };
        self.left_open.add(exit.left_open.iter().copied());
        self.far_off.add(trades(|ending| ending.far_off));
        self.at_a_loss.add(trades(|ending| ending.inference == Some(ExitInference::AtALoss)));
    }
}

fn extend_bounded(named: &mut Vec<UserId>, more: &[UserId]) {
    named.extend_from_slice(more);
    named.truncate(UNREADABLE_TOLD_MAX);
}

/// The users of the next chunk: the candidates and the holders above `after`, the first `limit` of both together.
/// `candidates` and `holders` are sorted; of the holders above `after` at least the first `limit` must be there.
pub fn next_users(candidates: &[UserId], holders: &[UserId], after: Option<UserId>, limit: usize) -> Vec<UserId> {
    let above = |users: &'_ [UserId]| users.partition_point(|user| after.is_some_and(|after| *user <= after));
    let mut candidates = candidates[above(candidates)..].iter().copied().peekable();
    let mut holders = holders[above(holders)..].iter().copied().peekable();
    let mut users = Vec::with_capacity(limit.min(candidates.len() + holders.len()));
    while users.len() < limit {
        let next = match (candidates.peek(), holders.peek()) {
            (Some(candidate), Some(holder)) => *candidate.min(holder),
            (Some(user), None) | (None, Some(user)) => *user,
            (None, None) => break,
        };
        candidates.next_if_eq(&next);
        holders.next_if_eq(&next);
        users.push(next);
    }
    users
}

/// The span of a chunk's users, for `load_chunk`; none where there are none.
pub fn span(users: &[UserId]) -> Option<UserSpan> {
    Some(UserSpan { first: *users.first()?, last: *users.last()? })
}

/// Those of the users whose last trade numbers and quotas are needed, for `load_chunk`: to whom an entry might go, as
/// far as the audience tells.
pub fn list_entering(job: &MatchingJob<'_>, audience: &Audience, users: &[UserId], now: Time) -> Vec<UserId> {
    if job.ask.opens().is_none() {
        return Vec::new();
    }
    let case = |user| DecisionCase { job, audience, user, open: &[], quota: None, unread: &[], now };
    users.iter().copied().filter(|user| may_enter(&case(*user))).collect()
}

/// The alerts that are to be read before a chunk of a TPn is planned: the entries of the trades that were opened before
/// targets were kept with them. Empty for every other alert.
pub fn entries_for_targets(job: &MatchingJob<'_>, state: &ChunkState) -> Vec<AlertId> {
    let Intent::Exit { target: Some(_), .. } = job.ask.intent else { return Vec::new() };
    let without = state.open_trades.iter().filter(|trade| trade.alertcast.targets.is_empty());
    let mut entries: Vec<AlertId> = without.filter_map(|trade| trade.alerts.entry_alert_id).collect();
    entries.sort_unstable();
    entries.dedup();
    entries
}

/// Gives the trades that were opened by these alerts the targets that the alerts name. For planning only: what is kept
/// with a trade stays as it is.
pub fn learn_targets(state: &mut ChunkState, entries: &[Alert]) {
    let targets: HashMap<AlertId, Vec<Price>> =
        entries.iter().map(|entry| (entry.id, entry.alert_data.further_targets())).collect();
    for trade in state.open_trades.iter_mut().filter(|trade| trade.alertcast.targets.is_empty()) {
        let found = trade.alerts.entry_alert_id.and_then(|entry| targets.get(&entry));
        trade.alertcast.targets = found.cloned().unwrap_or_default();
    }
}

/// Works out one chunk of an alert: every user's decision, and what follows from it.
///
/// The same arguments give the same plan, ids aside. Should the audience have changed since [`entering`] looked at it,
/// so that a user enters whose quota was not read, the quota's `rev` makes the commit a `Conflict`, and the chunk is
/// loaded and planned again.
///
/// # Errors
/// `Corrupt` where the state holds a trade that is not open.
pub fn plan_chunk(
    job: &MatchingJob<'_>,
    audience: &Audience,
    chunk: &UserChunk<'_>,
    now: Time,
    ids: &dyn IdSource,
) -> store::StoreResult<PlannedChunk> {
    let mut draft = PlanDraft {
        builder: DocumentBuilder { job, audience, now, ids },
        state: chunk.state,
        plan: ChunkPlan::default(),
        tally: ChunkTally::default(),
    };
    let Some(span) = span(chunk.users) else {
        return Ok(PlannedChunk { plan: count_alert(job, chunk, draft.plan), tally: draft.tally });
    };
    let (open_trades, unreadable) = (chunk.state.open_within(span), list_unreadable(chunk.state, span));
    let users = list_concerned(job, chunk.users, open_trades, &unreadable);
    let mut decisions = Vec::with_capacity(users.len());
    let mut trades = open_trades;
    for user in users.iter() {
        let open;
        (open, trades) = trades_of(*user, trades);
        let quota = chunk.state.quotas.get(user);
        let unread: Vec<UnreadableTrade> = unreadable.iter().filter(|trade| trade.user == *user).copied().collect();
        let case = DecisionCase { job, audience, user: *user, open, quota, unread: &unread, now };
        let ruling = decide(&case).map_err(|error: NotOpen| StoreError::Corrupt(error.to_string()))?;
        decisions.push(draft.settle(&ruling));
    }
    let PlanDraft { mut plan, tally, .. } = draft;
    plan.decisions =
        Some(DecisionChunk { alert_id: job.alert, first_user: span.first, last_user: span.last, decisions });
    if !job.testing {
        let seen = open_trades.iter().map(|trade| (trade.id, trade.alertcast.rev.0));
        let unread = unreadable.iter().filter_map(|trade| Some((trade.id?, trade.rev)));
        plan.open_seen = Some((span, seen.chain(unread).collect()));
    }
    Ok(PlannedChunk { plan: count_alert(job, chunk, plan), tally })
}

/// With its last chunk the alert itself is counted, unless it is a test.
fn count_alert(job: &MatchingJob<'_>, chunk: &UserChunk<'_>, mut plan: ChunkPlan) -> ChunkPlan {
    if chunk.last && !job.testing {
        plan.config_increment.alerts = 1;
        plan.config_increment.last_alert_at = Some(job.received_at);
    }
    plan
}

fn list_unreadable(state: &ChunkState, span: UserSpan) -> Vec<UnreadableTrade> {
    state.unreadable_within(span).copied().collect()
}

/// Whom the chunk decides about. An exit also finds the holders in the chunk's span that its caller did not name.
fn list_concerned<'a>(
    job: &MatchingJob<'_>,
    users: &'a [UserId],
    open_trades: &[Trade],
    unreadable: &[UnreadableTrade],
) -> Cow<'a, [UserId]> {
    if !job.concerns_holders() {
        return Cow::Borrowed(users);
    }
    let unread = unreadable.iter().map(|trade| trade.user);
    let mut holders: Vec<UserId> = open_trades.iter().map(|trade| trade.user_id).chain(unread).collect();
    holders.sort_unstable();
    holders.dedup();
    Cow::Owned(next_users(users, &holders, None, usize::MAX))
}

/// The open trades of a user, and those of the users behind; `trades` are sorted by user.
fn trades_of(user: UserId, trades: &[Trade]) -> (&[Trade], &[Trade]) {
    let from = trades.iter().take_while(|trade| trade.user_id < user).count();
    let behind = &trades[from..];
    behind.split_at(behind.iter().take_while(|trade| trade.user_id == user).count())
}

/// Those of the deliveries that tell of a trade's end by themselves.
pub(super) fn tellers(deliveries: &[Delivery]) -> Vec<EntryDelivery> {
    let tells = |delivery: &&Delivery| matches!(delivery.kind, MessageKind::Exit | MessageKind::Replacement);
    let named = |delivery: &Delivery| EntryDelivery { channel: delivery.channel, id: delivery.id };
    deliveries.iter().filter(tells).map(named).collect()
}

/// A plan in the making.
struct PlanDraft<'a> {
    builder: DocumentBuilder<'a>,
    state: &'a ChunkState,
    plan: ChunkPlan,
    tally: ChunkTally,
}

impl PlanDraft<'_> {
    /// Writes a ruling into the plan; of a test only the decision, without actions, because no such trade exists.
    fn settle(&mut self, ruling: &DecisionRuling<'_>) -> Decision {
        self.tally.note(ruling);
        let mut actions = Vec::new();
        if !self.builder.job.testing {
            self.exit(ruling, &mut actions);
            self.enter(ruling, &mut actions);
        }
        Decision { user: ruling.user, subscription: ruling.subscription, verdict: ruling.verdict, actions }
    }

    fn exit(&mut self, ruling: &DecisionRuling<'_>, actions: &mut Vec<DecidedAction>) {
        let exit = &ruling.exit;
        for ending in &exit.ends {
            let told = match ending.trade.alertcast.unreached {
                true => Vec::new(),
                false => self.builder.exit(ruling.user, exit.routes, ending),
            };
            self.end(ending, None, &told);
            actions.push(DecidedAction { action: TradeAction::Close, trade: ending.trade.id });
            self.plan.deliveries.extend(told);
        }
        if let Some(notice) = &exit.notice {
            self.plan.deliveries.extend(self.builder.notice(ruling.user, exit.routes, notice));
        }
        if !exit.unread.is_empty() {
            self.plan.deliveries.extend(self.builder.unread(ruling.user, exit.routes, &exit.unread));
        }
        if !exit.routes.is_empty() {
            let told = exit.notice.iter().flat_map(|notice| notice.trades.iter().copied());
            let ended = exit.ends.iter().map(|ending| ending.trade);
            let known = ended.chain(told).filter(|trade| !trade.alertcast.unreached);
            let unread = exit.unread.iter().filter_map(|trade| trade.subscription).take(1);
            let mut subscriptions: Vec<SubscriptionId> =
                known.map(|trade| trade.subscription_id).chain(unread).collect();
            subscriptions.sort_unstable();
            subscriptions.dedup();
            for subscription in subscriptions {
                self.count(ruling, subscription, 0);
            }
        }
    }

    fn enter(&mut self, ruling: &DecisionRuling<'_>, actions: &mut Vec<DecidedAction>) {
        let Some(entry) = &ruling.entry else { return };
        let last = self.state.last_numbers.get(&ruling.user).copied().unwrap_or(0);
        let number = last.max(entry.newest_open).saturating_add(1);
        let (trade, deliveries) = self.builder.entry(ruling.user, number, entry);
        if let Some(replaced) = &entry.replaced {
            self.end(replaced, Some(trade.id), &deliveries);
        }
        actions.push(DecidedAction {
            action: if entry.replaced.is_some() { TradeAction::Replace } else { TradeAction::Open },
            trade: trade.id,
        });
        self.plan.quotas.push(entry.quota.clone());
        self.plan.deliveries.extend(deliveries);
        self.plan.opened.push(trade);
        self.plan.config_increment.trades += 1;
        self.count(ruling, entry.entitled.subscription, 1);
    }

    /// `told`: the deliveries that tell of it.
    fn end(&mut self, ending: &TradeEnding<'_>, replaced_by: Option<TradeId>, told: &[Delivery]) {
        let increment = &mut self.plan.config_increment;
        match ending.reason {
            ExitReason::TpHit => increment.closed_by_tp += 1,
            ExitReason::SlHit => increment.closed_by_sl += 1,
            ExitReason::Replaced | ExitReason::Manual => {}
        }
        let alert = Some(self.builder.job.alert);
        let told_by = tellers(told);
        self.plan.ended.push(TradeEnd { told_by, ..ending.commit(self.builder.now, alert, replaced_by) });
    }

    /// Counts one message of this alert: an entry with its trade, or all that was told of exits under a subscription.
    fn count(&mut self, ruling: &DecisionRuling<'_>, subscription: SubscriptionId, trades: i64) {
        self.plan.usage.push(UsageIncrement {
            subscription,
            preference: ruling.preference,
            alerts: 1,
            trades,
            at: self.builder.job.received_at,
        });
    }
}
