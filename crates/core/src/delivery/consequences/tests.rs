use std::collections::HashMap;

use super::*;
use crate::delivery::Channel::{self, Email, Telegram};
use crate::delivery::{AlsoEnded, DeliveryState as S, NEVER_ENTERED, OVER};
use crate::erasure;
use crate::fixtures::{
    alert_id, at, chat, closed_trade, delivery_id, entry, exit, preference_id, result, result_id, subscription_id,
    trade, trade_id, user_id,
};
use crate::fixtures::{blocked_outcome, dead, doubted_outcome, expired_outcome, retry, sent_outcome};
use crate::store::{
    AttemptOutcome, AttemptRecord, FieldEdits, ResendOutcome, ResendRequest, StoreError, TakenEntry, document,
};
use crate::trade::document::{EntryDelivery, TradeStatus};
use crate::user::RefusingRecipient;

const NOW: Time = at(50);
const EPOCH: i64 = 7;

/// What is kept, from which each operation loads what it asks for.
#[derive(Default)]
struct Shelf {
    deliveries: HashMap<DeliveryId, Delivery>,
    trades: HashMap<TradeId, Trade>,
}

impl Shelf {
    fn of(deliveries: impl IntoIterator<Item = Delivery>, trades: impl IntoIterator<Item = Trade>) -> Self {
        let deliveries = deliveries.into_iter().map(|one| (one.id, one)).collect();
        Self { deliveries, trades: trades.into_iter().map(|one| (one.id, one)).collect() }
    }

    fn load(&self, set: &mut WorkingSet, needed: impl Fn(&WorkingSet) -> NeededNeighbours) -> NeededNeighbours {
        let mut asked = NeededNeighbours::default();
        loop {
            let wanted = needed(set);
            if wanted.is_empty() {
                return asked;
            }
            for id in &wanted.deliveries {
                set.add_delivery(*id, self.deliveries.get(id).cloned());
            }
            for id in &wanted.trades {
                set.add_trade(*id, self.trades.get(id).cloned());
            }
            asked.extend(wanted);
        }
    }

    fn finish(&self, mut set: WorkingSet) -> ConsequenceEdits {
        let (wanted, causes) = set.ask_for_untold();
        wanted.trades.iter().for_each(|id| set.add_trade(*id, self.trades.get(id).cloned()));
        for cause in causes {
            let same = |one: &&Delivery| one.cause.id == cause.cause && one.user_id == Some(cause.user);
            set.add_siblings(self.deliveries.values().filter(same).cloned());
        }
        set.finish().unwrap()
    }

    /// One outcome of a delivery: what was asked for beside it, and what is to be written.
    fn record(&self, id: DeliveryId, outcome: AttemptOutcome) -> (NeededNeighbours, ConsequenceEdits) {
        let mut set = WorkingSet::new(NOW);
        let record = [AttemptRecord { delivery: id, outcome }];
        let mut asked = self.load(&mut set, |set| set.ask_for_recording(EPOCH, &record));
        asked.deliveries.remove(&id);
        set.record(EPOCH, &record[0]);
        (asked, self.finish(set))
    }

    fn take(&self, id: DeliveryId) -> (Option<TakenEntry>, ConsequenceEdits) {
        let mut set = WorkingSet::new(NOW);
        self.load(&mut set, |set| set.ask_for_taking(&[id]));
        let taken = set.take(id, EPOCH);
        (taken, self.finish(set))
    }

    fn erase(&self, id: DeliveryId) -> (bool, ConsequenceEdits) {
        let mut set = WorkingSet::new(NOW);
        set.add_delivery(id, self.deliveries.get(&id).cloned());
        self.load(&mut set, |set| set.ask_for_erasing(&[id]));
        let dropped = set.erase(id);
        (dropped, self.finish(set))
    }

    fn resend(&self, id: DeliveryId) -> (store::StoreResult<ResendOutcome>, ConsequenceEdits) {
        let mut set = WorkingSet::new(NOW);
        self.load(&mut set, |set| set.ask_for_resending(id));
        let asked = ResendRequest {
            delivery: id,
            due_at: at(60),
            deadline_at: at(90),
            entry_deadline_at: None,
            now: NOW,
            also: Vec::new(),
        };
        (set.resend(&asked), self.finish(set))
    }
}

/// User 1's announcement of the trade that alert 1 opened.
fn first(channel: Channel) -> DeliveryId {
    delivery_id(channel, 1, 1)
}

/// What is written of a delivery: of a field, its value; null where it is removed; none where it is left alone.
fn written(edits: &ConsequenceEdits, id: DeliveryId, field: &str) -> Option<bson::Bson> {
    let (_, fields) = edits.deliveries.iter().find(|(of, _)| *of == id)?;
    let set = fields.set.iter().find(|(path, _)| *path == field).map(|(_, value)| value.clone());
    set.or_else(|| fields.unset.contains(&field).then_some(bson::Bson::Null))
}

fn state(edits: &ConsequenceEdits, id: DeliveryId) -> Option<S> {
    written(edits, id, "state")?.as_str().and_then(S::from_exact)
}

/// An announcement that is being sent by us.
fn sending(channel: Channel) -> Delivery {
    Delivery { state: S::Sending, epoch: Some(EPOCH), attempts: Count(1), ..entry(channel, 1, 1, 1) }
}

fn correction(alerts: i64, trades: i64) -> UsageCorrection {
    let (subscription, preference) = (subscription_id(1), Some(preference_id(1, 1)));
    UsageCorrection { subscription, preference, alerts, trades }
}

#[test]
fn an_outcome_says_how_a_delivery_ends_and_what_is_kept_of_it() {
    let suspended = AttemptOutcome::Dropped { reason: "suspended".to_owned() };
    let in_vain = AttemptOutcome::Expired { in_doubt: true };
    for (outcome, becomes, error, in_doubt, counted) in [
        (sent_outcome(5), S::Sent, None, false, (1, 0)),
        (expired_outcome(), S::Expired, None, false, (0, 1)),
        (in_vain, S::Expired, None, true, (0, 1)),
        (dead(), S::Dead, Some("Bad Request: chat not found"), false, (0, 1)),
        (suspended, S::Dropped, Some("suspended"), false, (0, 0)),
        (retry(70), S::Pending, Some("Too Many Requests"), false, (0, 0)),
        (doubted_outcome(70), S::Pending, Some("timeout"), true, (0, 0)),
    ] {
        let what = format!("{outcome:?}");
        let shelf = Shelf::of([sending(Telegram)], [trade(1, 1, 1, 1, &[Telegram])]);
        let (_, edits) = shelf.record(first(Telegram), outcome);
        let of = |field| written(&edits, first(Telegram), field);
        assert_eq!(state(&edits, first(Telegram)), Some(becomes), "{what}");
        assert_eq!(of("lastError"), error.map(bson::Bson::from), "{what}");
        assert_eq!(of("possibleRepeat"), in_doubt.then_some(true.into()), "{what}");
        assert_eq!(of("epoch"), Some(bson::Bson::Null), "{what}");
        assert_eq!(of("endedAt"), becomes.is_ended().then_some(NOW.into()), "{what}");
        assert_eq!(of("updatedAt"), Some(NOW.into()), "{what}");
        let outcomes = edits.alerts.iter().map(|(_, outcomes)| (outcomes.sent.0, outcomes.failed.0));
        assert_eq!(outcomes.collect::<Vec<_>>(), if counted == (0, 0) { vec![] } else { vec![counted] }, "{what}");
        assert_eq!(edits.settle.is_empty(), !becomes.is_ended(), "{what}");
    }
}

#[test]
fn a_record_counts_only_under_the_epoch_of_the_sending_unless_what_waits_ends() {
    let others = Delivery { epoch: Some(EPOCH - 1), ..sending(Telegram) };
    let waiting = entry(Telegram, 1, 1, 1);
    let of_trade = || [trade(1, 1, 1, 1, &[Telegram])];
    for outcome in [sent_outcome(5), expired_outcome(), dead(), retry(70)] {
        let (asked, edits) = Shelf::of([others.clone()], of_trade()).record(others.id, outcome);
        assert!(asked.is_empty() && edits.deliveries.is_empty() && edits.usage.is_empty());
    }
    for (outcome, ends) in [(sent_outcome(5), false), (dead(), false), (retry(70), false), (expired_outcome(), true)] {
        let (_, edits) = Shelf::of([waiting.clone()], of_trade()).record(waiting.id, outcome);
        assert_eq!(!edits.deliveries.is_empty(), ends);
    }
}

#[test]
fn a_message_that_was_sent_asks_for_nothing_around_it() {
    let told = Delivery { combines: Some(delivery_id(Telegram, 2, 1)), ..sending(Telegram) };
    for one in [sending(Telegram), told] {
        let (asked, edits) = Shelf::of([one], []).record(first(Telegram), sent_outcome(5));
        assert!(asked.is_empty() && edits.trades.is_empty(), "{asked:?}");
    }
}

#[test]
fn the_general_topic_is_noted_and_forgotten_with_the_next_copy_that_finds_its_own() {
    let to_general = |topic_gone| AttemptOutcome::Sent { message_id: Some(5), entry_lapsed: false, topic_gone };
    for (before, topic_gone, noted) in [
        (false, true, Some(true.into())),
        (true, false, Some(bson::Bson::Null)),
        (true, true, None),
        (false, false, None),
    ] {
        let shelf = Shelf::of([Delivery { topic_gone: before, ..sending(Telegram) }], []);
        let (_, edits) = shelf.record(first(Telegram), to_general(topic_gone));
        assert_eq!(written(&edits, first(Telegram), "topicGone"), noted, "{before} {topic_gone}");
    }
}

#[test]
fn a_refusal_names_who_refuses_us() {
    let (_, edits) = Shelf::of([sending(Telegram)], []).record(first(Telegram), blocked_outcome(1));
    assert_eq!(edits.refusers, [(user_id(1), RefusingRecipient::Chat(chat(1)))]);
    let (_, edits) = Shelf::of([sending(Telegram)], []).record(first(Telegram), dead());
    assert_eq!(edits.refusers, []);
}

#[test]
fn a_trade_whose_last_announcement_ended_unsent_is_marked_and_taken_back() {
    let by_mail = |state, possible_repeat| Delivery { state, possible_repeat, ..entry(Email, 1, 1, 1) };
    for (other, is_marked) in [
        (None, true),
        (Some(by_mail(S::Dead, false)), true),
        (Some(by_mail(S::Dead, true)), false),
        (Some(by_mail(S::Sent, false)), false),
        (Some(by_mail(S::Pending, false)), false),
    ] {
        let channels: &[Channel] = if other.is_some() { &[Telegram, Email] } else { &[Telegram] };
        let what = format!("{:?}", other.as_ref().map(|one| (one.state, one.possible_repeat)));
        let shelf = Shelf::of(other.into_iter().chain([sending(Telegram)]), [trade(1, 1, 1, 1, channels)]);
        let (_, edits) = shelf.record(first(Telegram), dead());
        assert_eq!(edits.usage, if is_marked { vec![correction(-1, -1)] } else { vec![] }, "{what}");
        let marks = vec![
            ("alertcast.unreached", true.into()),
            ("alertcast.rev", bson::Bson::from(Count(2))),
            ("updatedAt", NOW.into()),
        ];
        let marked = vec![(trade_id(1, 1), FieldEdits { set: marks, unset: Vec::new() })];
        assert_eq!(edits.trades, if is_marked { marked } else { vec![] }, "{what}");
        assert_eq!(edits.contested.len(), channels.len() - 1, "several lanes may end it at once: {what}");
    }
}

#[test]
fn an_announcement_that_is_not_kept_any_more_may_have_arrived() {
    let shelf = Shelf::of([sending(Telegram)], [trade(1, 1, 1, 1, &[Telegram, Email])]);
    let (asked, edits) = shelf.record(first(Telegram), dead());
    assert!(asked.deliveries.contains(&first(Email)));
    assert_eq!((edits.trades, edits.usage), (vec![], vec![]));
}

#[test]
fn a_mark_stands_once() {
    let mut of_trade = trade(1, 1, 1, 1, &[Telegram]);
    of_trade.alertcast.unreached = true;
    let (_, edits) = Shelf::of([sending(Telegram)], [of_trade]).record(first(Telegram), dead());
    assert_eq!((edits.trades, edits.usage), (vec![], vec![]));
}

/// Alert 5 closed the trade of alert 1, whose announcement is in this state.
fn with_exit(entry_state: S, exit_state: S) -> Shelf {
    let mut of_trade = trade(1, 1, 1, 1, &[Telegram]);
    of_trade.status = TradeStatus::Closed;
    of_trade.alertcast.end_deliveries = vec![EntryDelivery { channel: Telegram, id: delivery_id(Telegram, 5, 1) }];
    let mut ended = exit(Telegram, 5, 1, 1, 1);
    ended.state = exit_state;
    let mut announced = entry(Telegram, 1, 1, 1);
    announced.state = entry_state;
    if entry_state == S::Superseded {
        announced.superseded_by = Some(ended.id);
        (ended.combines, ended.combines_alert) = (Some(announced.id), Some(alert_id(1)));
        ended.epoch = Some(EPOCH);
    }
    Shelf::of([announced, ended], [of_trade])
}

#[test]
fn an_exit_takes_over_its_waiting_entry_and_is_sent_under_our_epoch() {
    let shelf = with_exit(S::Pending, S::Pending);
    let id = delivery_id(Telegram, 5, 1);
    let (taken, edits) = shelf.take(id);
    let taken = taken.unwrap();
    assert_eq!(
        (taken.delivery.state, taken.delivery.epoch, taken.delivery.attempts),
        (S::Sending, Some(EPOCH), Count(1))
    );
    assert_eq!((taken.delivery.combines, taken.delivery.combines_alert), (Some(first(Telegram)), Some(alert_id(1))));
    assert_eq!(taken.entry.unwrap().state, S::Superseded);
    assert_eq!((state(&edits, first(Telegram)), state(&edits, id)), (Some(S::Superseded), Some(S::Sending)));
    assert_eq!(written(&edits, first(Telegram), "supersededBy"), Some(id.into()));
    assert_eq!((edits.settle, edits.trades), (vec![], vec![]), "it ends with the exit");
}

/// A store that tells of a trade that it is open is asked for no more; of one that has ended it is asked for all.
#[test]
fn of_an_entrys_trade_it_is_enough_to_know_that_it_is_open() {
    let shelf = with_exit(S::Pending, S::Pending);
    for is_open in [true, false] {
        let mut set = WorkingSet::new(NOW).telling_open_trades();
        set.add_delivery(first(Telegram), Some(shelf.deliveries[&first(Telegram)].clone()));
        let asked = set.ask_for_taking(&[first(Telegram)]);
        assert_eq!((asked.trades.len(), asked.open_trades), (0, BTreeSet::from([trade_id(1, 1)])));
        if is_open {
            set.note_open_trade(trade_id(1, 1));
            assert!(set.ask_for_taking(&[first(Telegram)]).is_empty());
            assert_eq!(set.take(first(Telegram), EPOCH).unwrap().delivery.state, S::Sending);
        } else {
            set.add_trade(trade_id(1, 1), shelf.trades.get(&trade_id(1, 1)).cloned());
            shelf.load(&mut set, |set| set.ask_for_taking(&[first(Telegram)]));
            assert_eq!(set.take(first(Telegram), EPOCH), None);
            assert_eq!(state(&shelf.finish(set), first(Telegram)), Some(S::Superseded));
        }
    }
}

#[test]
fn an_entry_whose_trade_has_ended_leaves_its_place_to_the_exit() {
    let (taken, edits) = with_exit(S::Pending, S::Pending).take(first(Telegram));
    let exit = delivery_id(Telegram, 5, 1);
    assert_eq!((taken, state(&edits, first(Telegram))), (None, Some(S::Superseded)));
    assert_eq!(written(&edits, exit, "combines"), Some(first(Telegram).into()));
    assert_eq!(state(&edits, exit), None, "it waits");
}

#[test]
fn an_entry_whose_trade_ended_silently_is_left_out_and_its_trade_marked() {
    let mut of_trade = trade(1, 1, 1, 1, &[Telegram]);
    of_trade.status = TradeStatus::Closed;
    let (taken, edits) = Shelf::of([entry(Telegram, 1, 1, 1)], [of_trade]).take(first(Telegram));
    assert_eq!((taken, state(&edits, first(Telegram))), (None, Some(S::Dropped)));
    assert_eq!(written(&edits, first(Telegram), "lastError"), Some(OVER.into()));
    assert_eq!((edits.usage, edits.settle), (vec![correction(-1, -1)], vec![alert_id(1)]));
}

#[test]
fn a_message_waits_for_one_that_is_being_sent() {
    let (taken, edits) = with_exit(S::Sending, S::Pending).take(delivery_id(Telegram, 5, 1));
    assert_eq!(taken, None);
    assert_eq!(
        written(&edits, delivery_id(Telegram, 5, 1), "dueAt"),
        Some((NOW + std::time::Duration::from_secs(1)).into())
    );
    assert_eq!(edits.deliveries.len(), 1);
}

#[test]
fn an_entry_told_by_an_exit_that_failed_is_unsent_and_both_alerts_are_settled() {
    let shelf = with_exit(S::Superseded, S::Sending);
    let (_, edits) = shelf.record(delivery_id(Telegram, 5, 1), dead());
    assert_eq!((edits.usage, edits.trades.len()), (vec![correction(-1, -1)], 1));
    assert_eq!(edits.settle, [alert_id(5), alert_id(1)]);
    let (_, edits) = shelf.record(delivery_id(Telegram, 5, 1), sent_outcome(5));
    assert_eq!((edits.usage, edits.settle), (vec![], vec![alert_id(5), alert_id(1)]));
}

/// The exit, by both channels, from a trade of which nobody heard.
fn never_entered() -> Shelf {
    let mut shelf = with_exit(S::Dead, S::Pending);
    let by_mail = exit(Email, 5, 1, 1, 1);
    shelf.deliveries.insert(by_mail.id, by_mail);
    shelf.trades.get_mut(&trade_id(1, 1)).unwrap().alertcast.unreached = true;
    shelf
}

#[test]
fn an_exit_that_nobody_needs_is_taken_back_with_the_last_of_its_messages() {
    let mut shelf = never_entered();
    let (taken, edits) = shelf.take(delivery_id(Telegram, 5, 1));
    assert_eq!((taken, edits.usage.len()), (None, 0), "the mail still waits");
    assert_eq!(written(&edits, delivery_id(Telegram, 5, 1), "lastError"), Some(NEVER_ENTERED.into()));
    assert!(edits.contested.contains(&trade_id(1, 1)));
    let left_out = shelf.deliveries.get_mut(&delivery_id(Telegram, 5, 1)).unwrap();
    (left_out.state, left_out.last_error) = (S::Dropped, Some(NEVER_ENTERED.to_owned()));
    let (_, edits) = shelf.take(delivery_id(Email, 5, 1));
    assert_eq!(edits.usage, [correction(-1, 0)]);
    // Erasing the person changes what has ended so, and takes nothing back again.
    let left_out = shelf.deliveries.get_mut(&delivery_id(Email, 5, 1)).unwrap();
    (left_out.state, left_out.last_error) = (S::Dropped, Some(NEVER_ENTERED.to_owned()));
    let (_, edits) = shelf.erase(delivery_id(Email, 5, 1));
    assert_eq!((edits.usage, edits.deliveries.len()), (vec![], 1));
}

#[test]
fn what_is_past_its_deadline_ends_as_its_kind_has_it() {
    let tried = |one: Delivery| Delivery { attempts: Count(3), ..one };
    for (delivery, becomes) in [
        (tried(entry(Telegram, 1, 1, 1)), S::Expired),
        (exit(Telegram, 5, 1, 1, 1), S::Expired),
        (tried(exit(Telegram, 5, 1, 1, 1)), S::Dead),
        (tried(result(5, 1, 1, 1)), S::Dropped),
    ] {
        let mut set = WorkingSet::new(NOW);
        let id = delivery.id;
        set.add_delivery(id, Some(delivery));
        set.expire(id);
        let edits = set.finish().unwrap();
        assert_eq!(state(&edits, id), Some(becomes));
        let is_result = id == result_id(5, 1);
        assert_eq!(written(&edits, id, "lastError"), is_result.then_some(LATE.into()));
        assert_eq!(edits.alerts.is_empty(), is_result, "a result is counted nowhere");
    }
}

#[test]
fn sending_again_takes_back_exactly_what_the_end_had_brought() {
    let mut of_trade = trade(1, 1, 1, 1, &[Telegram]);
    of_trade.alertcast.unreached = true;
    let failed = Delivery { state: S::Dead, ended_at: Some(at(9)), ..entry(Telegram, 1, 1, 1) };
    let (resent, edits) = Shelf::of([failed.clone()], [of_trade.clone()]).resend(first(Telegram));
    let Ok(ResendOutcome::Queued(queued)) = resent else { panic!("{resent:?}") };
    assert_eq!((queued.state, queued.due_at, queued.deadline_at, queued.ended_at), (S::Pending, at(60), at(90), None));
    assert_eq!((edits.usage, edits.reopened), (vec![correction(1, 1)], vec![(alert_id(1), 1)]));
    assert_eq!(edits.trades[0].1.unset, ["alertcast.unreached"]);
    of_trade.status = TradeStatus::Closed;
    let (resent, edits) = Shelf::of([failed], [of_trade]).resend(first(Telegram));
    assert_eq!((resent, edits.deliveries.len()), (Ok(ResendOutcome::TradeEnded), 0));
    for state in [S::Pending, S::Sending, S::Sent, S::Held, S::Superseded, S::Dropped] {
        let one = Delivery { state, ..entry(Telegram, 1, 1, 1) };
        let (resent, edits) = Shelf::of([one], []).resend(first(Telegram));
        assert_eq!((resent, edits.deliveries.len()), (Err(StoreError::Conflict), 0), "{state}");
    }
}

#[test]
fn an_exit_that_tells_its_entry_reopens_both_alerts_and_lowers_one() {
    let mut shelf = with_exit(S::Superseded, S::Dead);
    shelf.trades.get_mut(&trade_id(1, 1)).unwrap().alertcast.unreached = true;
    let (_, edits) = shelf.resend(delivery_id(Telegram, 5, 1));
    assert_eq!((edits.usage, edits.reopened), (vec![correction(1, 1)], vec![(alert_id(5), 1), (alert_id(1), 0)]));
}

#[test]
fn erasing_drops_what_waits_and_takes_the_recipient_from_all() {
    for (state_before, is_dropped) in [(S::Pending, true), (S::Held, true), (S::Sending, false), (S::Sent, false)] {
        let error = Some(format!("chat {} not found", chat(1)));
        let one = Delivery { state: state_before, last_error: error, ..entry(Telegram, 1, 1, 1) };
        let (dropped, edits) = Shelf::of([one], [trade(1, 1, 1, 1, &[Telegram])]).erase(first(Telegram));
        assert_eq!(dropped, is_dropped, "{state_before}");
        assert_eq!(written(&edits, first(Telegram), "to"), Some(erasure::ERASED.into()));
        let error = if is_dropped { erasure::DROPPED_FOR } else { "chat erased not found" };
        assert_eq!(written(&edits, first(Telegram), "lastError"), Some(error.into()));
        assert_eq!(edits.named_in, [(alert_id(1), chat(1))]);
        assert_eq!(edits.usage.len(), usize::from(is_dropped));
    }
}

/// The fields of a delivery in which `after` differs from `before`, and what they are then; none: gone.
fn differences(before: &Delivery, after: &Delivery) -> Vec<(String, Option<bson::Bson>)> {
    if before == after {
        return Vec::new();
    }
    let (before, mut after) = (document(before).unwrap(), document(after).unwrap());
    let gone = before.keys().filter(|name| !after.contains_key(*name)).cloned();
    let mut changes: Vec<_> = gone.map(|name| (name, None)).collect();
    for (name, was) in &before {
        if after.get(name) == Some(was) {
            after.remove(name);
        }
    }
    changes.extend(after.into_iter().map(|(name, value)| (name, Some(value))));
    changes
}

/// Whatever an event changes is written, as the document has it.
#[test]
fn a_field_that_differs_is_written_and_one_that_is_gone_is_removed() {
    let plain = entry(Telegram, 1, 1, 1);
    let also = AlsoEnded { closed: closed_trade(), at: at(3), possible_repeat: true };
    let changed = Delivery {
        state: S::Dead,
        to: "erased".to_owned(),
        queued_at: at(2),
        rotation: 9,
        due_at: at(3),
        deadline_at: at(4),
        entry_deadline_at: Some(at(5)),
        superseded_by: Some(delivery_id(Telegram, 6, 1)),
        combines: Some(delivery_id(Telegram, 7, 1)),
        combines_alert: Some(alert_id(7)),
        also_ended: vec![also],
        old_unknown: true,
        entry_over: true,
        entry_lapsed: true,
        attempts: Count(8),
        possible_repeat: true,
        epoch: Some(9),
        last_error: Some("why".to_owned()),
        topic_gone: true,
        message_id: Some(10),
        ended_at: Some(at(11)),
        about: vec![trade_id(1, 2)],
        facts: crate::delivery::MessageFacts::Exit { closed: closed_trade() },
        updated_at: at(12),
        ..plain.clone()
    };
    for (before, after) in [(&plain, &changed), (&changed, &plain), (&plain, &plain)] {
        let edits = edits::edit_delivery(before, after).unwrap();
        let mut written: Vec<(String, Option<bson::Bson>)> =
            edits.set.into_iter().map(|(path, value)| (path.to_owned(), Some(value))).collect();
        written.extend(edits.unset.into_iter().map(|path| (path.to_owned(), None)));
        let mut differing = differences(before, after);
        written.sort_by(|one, other| one.0.cmp(&other.0));
        differing.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(written, differing);
    }
}
