//! From the store to the hand: reading what is due, and taking as much of it as may leave within a second.

use std::collections::HashSet;
use std::time::Duration;

use alertcast_core::delivery::{Delivery, LaneName, MessageKind, chat_of};
use alertcast_core::id::{AlertId, DeliveryId};
use alertcast_core::matching::audience::Audience;
use alertcast_core::store::{LeaseFence, StoreError, StoreResult, TakeResult, TakenEntry};
use alertcast_core::time::Time;
use tracing::{error, warn};

use super::super::LaneEnd;
use super::super::due_queue::{DueDelivery, LeavePermission, QueueRoom, place};
use super::super::message_sources::{AlertCache, MessageSources};
use super::super::outcome::{HOLD_MAX, put_back};
use super::super::recipient;
use super::super::taken::TakenDelivery;
use super::{Courier, LOOK_EVERY, LaneEvent};
use crate::app::App;
use crate::base::Base;
use crate::channel::MessageForm;
use crate::degraded::TroubleKind;
use crate::handover::CommittedDelivery;

/// The list of what is due is read again after this at the earliest, however often somebody knocks …
const READ_REST: Duration = Duration::from_millis(250);
/// … after this where the list is long …
const READ_REST_LONG: Duration = Duration::from_secs(1);
/// … and after this where all that was due fitted: then it is short.
const READ_REST_SHORT: Duration = Duration::from_millis(25);
const LONG: usize = 1_024;
/// Taken in one go: a larger transaction would hold up the webhook.
const TAKE_MAX: usize = 256;
/// However fast a bot may send, no more than this is recorded before it leaves.
const IN_HAND_MAX: usize = 2_000;
/// Results have this share of it, one part in so many.
const RESULTS_SHARE: usize = 4;
/// With so many records unwritten the store is behind: nothing more is taken.
const UNWRITTEN_MAX: usize = 4_000;
/// Something is picked so long before its chat is free: taking takes time.
pub(super) const AHEAD: Duration = Duration::from_millis(50);
/// For so many chats records are written at once; with more there is enough to send meanwhile.
const AWAITED_MAX: usize = 64;
/// What has been due for longer is late.
const LATE: Duration = Duration::from_secs(5 * 60);
/// Overdue deliveries ended in one go.
const OVERDUE_BATCH: usize = 500;

/// The state of reading and taking, which go one after the other.
#[derive(Debug)]
pub(in super::super) struct QueueReading {
    under_way: bool,
    /// One second's worth.
    in_hand_max: usize,
    /// Somebody said that there is more.
    knocked: bool,
    read_at: Option<Duration>,
    /// When the next delivery that was not due becomes due.
    next_due: Option<Time>,
    /// Nothing in the window may leave before this; none: not before something happens.
    held_up: Option<Option<Duration>>,
    /// The last pick found less than there was room for.
    short: bool,
    /// Then: the chats for which messages wait that were kept by others.
    awaited_chats: HashSet<String>,
    overdue: bool,
    /// Cannot be taken, because something that they rest on is unreadable.
    broken: HashSet<DeliveryId>,
}

/// What taking brought.
pub(in super::super) struct TakenBatch {
    taken: Vec<(TakenEntry, MessageSources)>,
    settle: Vec<AlertId>,
    /// What they are made of could not be read: they are to be put back.
    unprepared: bool,
    broken: Vec<DeliveryId>,
}

impl QueueReading {
    pub(super) fn new(per_second: usize) -> Self {
        Self {
            under_way: false,
            in_hand_max: per_second.clamp(1, IN_HAND_MAX),
            knocked: true,
            read_at: None,
            next_due: None,
            held_up: None,
            short: false,
            awaited_chats: HashSet::new(),
            overdue: false,
            broken: HashSet::new(),
        }
    }

    pub(super) const fn note_knock(&mut self) {
        self.knocked = true;
    }

    pub(super) const fn awaited_chats(&self) -> &HashSet<String> {
        &self.awaited_chats
    }

    pub(super) const fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// Something has changed that may let a delivery of the window leave.
    pub(super) const fn note_room(&mut self) {
        self.held_up = None;
    }

    /// A delivery becomes due then.
    pub(super) fn due_at(&mut self, at: Time) {
        self.next_due = Some(self.next_due.map_or(at, |next| next.min(at)));
    }
}

impl Courier<'_> {
    /// Takes as much as may leave within a second.
    pub(super) fn take(&mut self, now: Duration) {
        if self.next_take().is_none_or(|at| now < at) {
            return;
        }
        let room = self.room();
        let results_in_hand = self.taken_deliveries.results() > 0;
        let (mut wanted, mut awaited) = (HashSet::new(), HashSet::new());
        let (limiter, taken_deliveries, broken) = (&self.limiter, &mut self.taken_deliveries, &self.reading.broken);
        let wall = self.app.clock.now();
        let picked = self.due_queue.pick(room, |waiting| {
            if waiting.deadline_at < wall {
                return LeavePermission::Overdue;
            }
            if results_in_hand && !waiting.is_result && taken_deliveries.is_kept(&waiting.chat) {
                wanted.insert(waiting.chat.clone());
            }
            match limiter.earliest_chat(now, chat_of(&waiting.chat)) {
                _ if broken.contains(&waiting.id()) => LeavePermission::Later(None),
                earliest if taken_deliveries.is_kept(&waiting.chat) => {
                    if awaited.len() < AWAITED_MAX && earliest.is_none_or(|at| at <= now + AHEAD) {
                        awaited.insert(waiting.chat.clone());
                    }
                    LeavePermission::Later(None)
                }
                None => LeavePermission::Later(None),
                Some(at) if at > now + AHEAD => LeavePermission::Later(Some(at.saturating_sub(AHEAD))),
                Some(_) if taken_deliveries.keep(&waiting.chat) => LeavePermission::Now,
                Some(_) => LeavePermission::Later(None),
            }
        });
        let is_full = picked.deliveries.len() >= room.all;
        self.reading.short = !picked.crowded && !is_full;
        self.reading.overdue |= picked.overdue;
        self.reading.held_up = (!is_full).then_some(picked.next_at);
        // With enough to send there is no hurry.
        self.reading.awaited_chats = if self.reading.short { awaited } else { HashSet::new() };
        self.records.await_chats(&self.reading.awaited_chats);
        self.give_way(&wanted);
        if !picked.deliveries.is_empty() {
            self.reading.under_way = true;
            let (app, fence, alert_cache) = (self.app.clone(), self.fence.clone(), self.alert_cache.clone());
            let asked = picked.deliveries;
            self.tasks.spawn(async move {
                let result = take(&app, &fence, &alert_cache, &asked).await;
                LaneEvent::Taken(asked, result)
            });
        }
    }

    /// How much there is room for in the hand. Of results it holds few: what comes in meanwhile goes first.
    fn room(&self) -> QueueRoom {
        // Of those that only see whether the bot is still to wait, one is enough.
        let most = if self.throttle.is_probing() { 1 } else { self.reading.in_hand_max };
        let all = most.saturating_sub(self.taken_deliveries.count_waiting()).min(TAKE_MAX);
        let (most, in_hand) = ((self.reading.in_hand_max / RESULTS_SHARE).max(1), self.taken_deliveries.results());
        // Not one by one: each taking is a transaction.
        QueueRoom { all, results: if in_hand * 2 <= most { most.saturating_sub(in_hand) } else { 0 } }
    }

    /// Puts back the results that keep chats for which a message waits.
    fn give_way(&mut self, chats: &HashSet<String>) {
        let due_at = self.app.clock.now() + HOLD_MAX;
        let yielding: Vec<_> = self.taken_deliveries.give_way(chats).collect();
        for ready in yielding {
            self.record(ready.delivery.id, ready.chat, put_back(due_at, "a message to the same chat goes first"));
        }
    }

    fn may_take(&self) -> bool {
        !self.reading.under_way
            && !self.due_queue.is_empty()
            && !self.health.is_refused()
            && self.taken_deliveries.count_waiting() <= self.reading.in_hand_max / 2
            && self.records.unwritten() < UNWRITTEN_MAX
    }

    /// Not before this: what is taken should leave within a second.
    fn take_from(&self) -> Duration {
        let bot = self.limiter.earliest_bot(Duration::ZERO);
        bot.max(self.health.rest_until()).saturating_sub(HOLD_MAX)
    }

    /// When something of the window may be taken.
    pub(super) fn next_take(&self) -> Option<Duration> {
        let at = match self.reading.held_up {
            None => Some(Duration::ZERO),
            Some(until) => until,
        };
        at.filter(|_| self.may_take()).map(|at| at.max(self.take_from()))
    }

    /// Reads what is due, or ends what is overdue.
    pub(super) fn read(&mut self, now: Duration) {
        if self.reading.under_way {
            return;
        }
        let (app, wall) = (self.app.clone(), self.app.clock.now());
        if self.reading.overdue {
            self.reading.under_way = true;
            self.tasks.spawn(async move { LaneEvent::Expired(app.store.expire_overdue(wall, OVERDUE_BATCH).await) });
        } else if self.next_read(now).is_some_and(|at| at <= now) {
            self.reading.under_way = true;
            self.reading.knocked = false;
            self.reading.next_due = None;
            let (lane, limit) = (self.lane.name.clone(), self.due_queue.limit());
            self.tasks.spawn(async move { LaneEvent::Read(read(&app, &lane, wall, limit).await, limit) });
        }
    }

    /// When what is due should be read again.
    pub(super) fn next_read(&self, now: Duration) -> Option<Duration> {
        if self.reading.under_way {
            return None;
        }
        let Some(read_at) = self.reading.read_at else { return Some(now) };
        if self.due_queue.is_empty() && self.due_queue.may_be_more() {
            return Some(now);
        }
        let rest = match self.due_queue.limit() {
            _ if !self.due_queue.may_be_more() => READ_REST_SHORT,
            limit if limit > LONG => READ_REST_LONG,
            _ => READ_REST,
        };
        let wanted = self.reading.knocked || (self.reading.short && self.due_queue.may_be_more());
        let due = self.reading.next_due.map(|due| now.saturating_add(due.since(self.app.clock.now())));
        let wanted = wanted.then_some(now).into_iter().chain(due).min().unwrap_or(read_at + LOOK_EVERY);
        Some(wanted.min(read_at + LOOK_EVERY).max(read_at + rest))
    }

    pub(super) fn on_read(
        &mut self,
        result: StoreResult<(Vec<Delivery>, Option<Time>)>,
        limit: usize,
    ) -> Option<LaneEnd> {
        self.reading.under_way = false;
        let (due, next_due) = match result {
            Ok(read) => read,
            Err(error) => return self.store_failed("reading what is due", &error),
        };
        self.store_answered();
        self.reading.read_at = Some(self.app.clock.monotonic());
        // What was recorded meanwhile may be missing in what was read.
        next_due.into_iter().for_each(|at| self.reading.due_at(at));
        self.reading.short = false;
        self.reading.note_room();
        self.tell_if_late(&due);
        let waiting = |audience: &Audience, delivery: Delivery| DueDelivery {
            place: place(&delivery),
            chat: recipient::address(audience, delivery.channel, delivery.user_id, delivery.to),
            deadline_at: delivery.deadline_at,
            is_result: delivery.kind == MessageKind::Result,
        };
        let due = self.app.audience.with(|audience| due.into_iter().map(|one| waiting(audience, one)).collect());
        self.due_queue.fill(due, limit);
        None
    }

    /// Puts what was handed over among what is due. Not while something is read or taken: what comes of that replaces what
    /// is due, or is part of it.
    pub(super) fn receive_handed(&mut self) {
        if self.reading.under_way {
            return;
        }
        let handed = self.handover.take();
        if handed.deliveries.is_empty() && !handed.has_more {
            return;
        }
        let wall = self.app.clock.now();
        let (due, later): (Vec<_>, Vec<_>) = handed.deliveries.into_iter().partition(|one| one.due_at <= wall);
        later.iter().for_each(|one| self.reading.due_at(one.due_at));
        let waiting = |audience: &Audience, one: CommittedDelivery| DueDelivery {
            place: (one.priority, one.queued_at, one.rotation, one.id),
            chat: recipient::address(audience, one.channel, one.user, one.to),
            deadline_at: one.deadline_at,
            is_result: one.is_result,
        };
        let mut due: Vec<_> =
            self.app.audience.with(|audience| due.into_iter().map(|one| waiting(audience, one)).collect());
        due.retain(|one| !self.taken_deliveries.holds(&one.place));
        let all_here = self.due_queue.merge(due) && !handed.has_more;
        self.reading.knocked |= !all_here;
        self.reading.note_room();
    }

    /// Says so where messages wait that should have gone long ago. Those that were told to wait are not due.
    fn tell_if_late(&self, due: &[Delivery]) {
        let (now, lane) = (self.app.clock.now(), self.lane.name.as_str());
        let waits = |delivery: &Delivery| delivery.kind != MessageKind::Result && now.since(delivery.due_at) > LATE;
        let late = due.iter().filter(|delivery| waits(delivery)).count();
        if late == 0 {
            return self.app.degraded.clear(TroubleKind::LateWork, lane);
        }
        let text = format!(
            "At least {late} messages of {lane} have waited for more than {} s: more are due than may be sent in that \
             time, or they do not get through; the log says which.",
            LATE.as_secs()
        );
        self.app.degraded.set(TroubleKind::LateWork, lane, text);
    }

    pub(super) fn on_taken(&mut self, asked: Vec<DueDelivery>, result: StoreResult<TakenBatch>) -> Option<LaneEnd> {
        self.reading.under_way = false;
        self.reading.note_room();
        let batch = match result {
            Ok(batch) => batch,
            Err(error) => {
                // Whether they are taken is not known, and taking again would leave them out.
                let end = self.store_failed("taking deliveries", &error);
                self.finish(LaneEnd::Again);
                return end;
            }
        };
        self.store_answered();
        self.records.add_ended(self.app.clock.monotonic(), batch.settle);
        self.reading.broken.extend(batch.broken);
        // They come in the order in which they were asked for.
        let mut untaken = asked.into_iter();
        let working = matches!(self.mode, super::LaneMode::Working);
        for (taken, sources) in batch.taken {
            let found = untaken.by_ref().find_map(|waiting| {
                if waiting.id() == taken.delivery.id {
                    return Some(waiting.chat);
                }
                self.taken_deliveries.release(&waiting.chat);
                None
            });
            let Some(chat) = found else { continue };
            let TakenEntry { delivery, entry } = taken;
            let (form, to_general) = (MessageForm::Rich, false);
            let ready =
                Box::new(TakenDelivery { delivery, entry, chat, form, to_general, sources, edited: 0, written: false });
            if batch.unprepared || !working {
                let due_at = self.app.clock.now() + if batch.unprepared { HOLD_MAX } else { Duration::ZERO };
                self.record(ready.delivery.id, ready.chat, put_back(due_at, "taken, and put back before it left"));
            } else {
                self.taken_deliveries.put(ready);
            }
        }
        for waiting in untaken {
            self.taken_deliveries.release(&waiting.chat);
        }
        None
    }

    pub(super) fn on_expired(&mut self, result: StoreResult<(Vec<AlertId>, bool)>) -> Option<LaneEnd> {
        self.reading.under_way = false;
        match result {
            Ok((alerts, more)) => {
                self.store_answered();
                self.reading.overdue = more;
                self.app.metrics.overdue(alerts.len());
                self.records.add_ended(self.app.clock.monotonic(), alerts);
                None
            }
            Err(error) => self.store_failed("ending what is overdue", &error),
        }
    }
}

async fn read(base: &Base, lane: &LaneName, now: Time, limit: usize) -> StoreResult<(Vec<Delivery>, Option<Time>)> {
    let due = base.store.due(lane, now, limit).await?;
    let next = if due.len() < limit { base.store.next_due(lane, now).await? } else { None };
    Ok((due, next))
}

async fn take(
    app: &App,
    fence: &LeaseFence,
    alert_cache: &AlertCache,
    asked: &[DueDelivery],
) -> StoreResult<TakenBatch> {
    let ids: Vec<DeliveryId> = asked.iter().map(DueDelivery::id).collect();
    let mut broken = Vec::new();
    let result = match app.store.take(fence, &ids, app.clock.now()).await {
        Err(StoreError::Conflict | StoreError::Corrupt(_)) => one_by_one(app, fence, &ids, &mut broken).await?,
        result => result?,
    };
    fail::fail_point!("courier::taken");
    let prepared = async {
        // What was acknowledged before this is known when the recipients are looked at.
        app.audience.catch_up(&*app.store).await?;
        alert_cache.sources(app, &result.taken).await
    };
    let sources = prepared.await;
    let unprepared = sources.as_ref().err().is_some_and(|error| {
        warn!(%error, "what messages are made of could not be read; they are put back");
        true
    });
    let sources = sources.unwrap_or_else(|_| vec![MessageSources::default(); result.taken.len()]);
    Ok(TakenBatch { taken: result.taken.into_iter().zip(sources).collect(), settle: result.settle, unprepared, broken })
}

/// One delivery that cannot be taken must not keep the others from it.
async fn one_by_one(
    base: &Base,
    fence: &LeaseFence,
    ids: &[DeliveryId],
    broken: &mut Vec<DeliveryId>,
) -> StoreResult<TakeResult> {
    let mut all = TakeResult::default();
    for id in ids {
        match base.store.take(fence, std::slice::from_ref(id), base.clock.now()).await {
            Ok(one) => {
                all.taken.extend(one.taken);
                all.settle.extend(one.settle);
            }
            Err(error @ (StoreError::Fenced { .. } | StoreError::Unavailable(_))) => return Err(error),
            Err(error) => {
                error!(delivery = %id, %error, "a delivery cannot be taken, and stays pending");
                broken.push(*id);
            }
        }
    }
    Ok(all)
}
