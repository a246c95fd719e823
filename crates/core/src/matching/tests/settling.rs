//! What a decision writes into the plan of its chunk: whom it counts for, what it says it did, and what operators hear.

use super::world::*;
use crate::alert::document::TradeAction;
use crate::decision::{DecidedAction, Verdict};
use crate::delivery::MessageKind;
use crate::fixtures::preference_id;
use crate::id::TradeId;
use crate::market::Side;
use crate::matching::audience::AudienceEntity;
use crate::matching::chunk::{ChunkTally, PlannedChunk};
use crate::store::{ChunkPlan, ConfigIncrement, UsageIncrement};
use crate::trade::fixtures::price;
use crate::trade::request::TradeRequest;

/// One message of an alert, and so many trades, counted for user 1's subscription.
fn used(subscription: u32, preference: Option<u32>, trades: i64) -> UsageIncrement {
    UsageIncrement {
        subscription: subscription_id(subscription),
        preference: preference.map(|config| preference_id(config, 1)),
        alerts: 1,
        trades,
        at: NOON,
    }
}

fn chunk_of(told: Told) -> PlannedChunk {
    let [plan] = <[ChunkPlan; 1]>::try_from(told.plans).unwrap();
    let [tally] = <[ChunkTally; 1]>::try_from(told.tallies).unwrap();
    PlannedChunk { plan, tally }
}

fn plan_of(told: Told) -> ChunkPlan {
    chunk_of(told).plan
}

fn only_open(world: &World) -> TradeId {
    let open: Vec<TradeId> = world.open().map(|trade| trade.id).collect();
    assert_eq!(open.len(), 1);
    open[0]
}

#[test]
fn an_entry_opens_a_trade_and_counts_a_message_and_a_trade() {
    let mut world = World::new();
    world.choose(|_| {});
    let told = world.alert(buy("100"));
    let opened = only_open(&world);
    let decision = told.decision(1).clone();
    assert_eq!((decision.subscription, decision.verdict), (Some(subscription_id(1)), Verdict::Sent));
    assert_eq!(decision.actions, [DecidedAction { action: TradeAction::Open, trade: opened }]);
    let PlannedChunk { plan, tally } = chunk_of(told);
    assert_eq!(plan.usage, [used(1, Some(1), 1)]);
    assert_eq!((plan.opened.len(), plan.ended.len(), plan.quotas.len()), (1, 0, 1));
    let counted = ConfigIncrement { alerts: 1, trades: 1, last_alert_at: Some(NOON), ..ConfigIncrement::default() };
    assert_eq!((plan.config_increment, tally.sent), (counted, 1));
}

#[test]
fn who_is_not_sent_an_entry_is_decided_about_and_counted_nowhere() {
    let mut world = World::new();
    world.choose(|choices| choices.enabled = false);
    let told = world.alert(buy("100"));
    let decision = told.decision(1).clone();
    assert_ne!(decision.verdict, Verdict::Sent);
    assert_eq!(decision.subscription, Some(subscription_id(1)));
    let PlannedChunk { plan, tally } = chunk_of(told);
    assert_eq!((decision.actions.len(), plan.usage.len(), plan.opened.len(), tally.sent), (0, 0, 0, 0));
    assert_eq!((plan.quotas.len(), plan.config_increment.trades), (0, 0));
}

#[test]
fn an_exit_ends_a_trade_and_counts_a_message() {
    for (hits, by_tp, by_sl) in [(tp("110"), 1, 0), (sl("90"), 0, 1)] {
        let mut world = World::new();
        world.choose(|_| {});
        world.alert(buy("100"));
        let trade = only_open(&world);
        let told = world.alert(hits);
        let close = DecidedAction { action: TradeAction::Close, trade };
        assert_eq!((told.verdict(1), told.decision(1).actions.as_slice()), (Verdict::Sent, &[close][..]));
        let PlannedChunk { plan, tally } = chunk_of(told);
        assert_eq!(plan.usage, [used(1, Some(1), 0)]);
        assert_eq!((tally.sent, tally.matched, tally.unmatched), (1, 1, 0));
        assert_eq!((plan.config_increment.closed_by_tp, plan.config_increment.closed_by_sl), (by_tp, by_sl));
        let exits = plan.deliveries.iter().filter(|one| one.kind == MessageKind::Exit);
        let told_by: Vec<_> = exits.map(|one| one.id).collect();
        assert_eq!(plan.ended[0].told_by.iter().map(|one| one.id).collect::<Vec<_>>(), told_by);
        assert!(!told_by.is_empty());
    }
}

#[test]
fn the_end_of_a_trade_that_nobody_heard_of_is_an_action_and_no_message() {
    let mut world = World::new();
    world.alert(buy("100"));
    let trade = only_open(&world);
    world.lose_entries();
    let told = world.alert(tp("110"));
    assert_eq!(told.decision(1).actions, [DecidedAction { action: TradeAction::Close, trade }]);
    let plan = plan_of(told);
    assert_eq!((plan.ended.len(), plan.deliveries.len(), plan.usage.len()), (1, 0, 0));
}

#[test]
fn an_exit_counts_one_message_for_each_subscription_under_which_it_ends_trades() {
    let aimed = || TradeRequest { take_profit: Some(price("110")), ..buy("100") };
    let mut world = World::new();
    world.alert(aimed());
    world.alert(aimed());
    let plan = plan_of(world.alert(tp("110")));
    assert_eq!((plan.ended.len(), plan.usage.as_slice()), (2, &[used(1, None, 0)][..]), "one subscription, once");

    let mut world = World::new();
    world.alert(aimed());
    world.put(AudienceEntity::Subscription(subscription(2, 1, 1)));
    world.audience.remove(crate::store::Collection::UserSubscriptions, subscription_id(1).0);
    world.alert(aimed());
    let plan = plan_of(world.alert(tp("110")));
    assert_eq!((plan.ended.len(), plan.usage.as_slice()), (2, &[used(1, None, 0), used(2, None, 0)][..]));
}

#[test]
fn a_muted_exit_ends_the_trade_and_counts_no_message() {
    let mut world = World::new();
    world.alert(buy("100"));
    world.choose(|choices| choices.alert_types.exit = false);
    let plan = plan_of(world.alert(tp("110")));
    assert_eq!((plan.ended.len(), plan.deliveries.len(), plan.usage.len()), (1, 0, 0));
}

#[test]
fn a_notice_counts_a_message_and_ends_nothing() {
    let mut world = World::new();
    let mut by_yourself = config(1);
    by_yourself.trade_management.auto_close_on_tp_sl = false;
    world.put(AudienceEntity::Config(by_yourself));
    world.alert(buy("100"));
    let told = world.alert(tp("110"));
    assert_eq!((told.verdict(1), told.decision(1).actions.len()), (Verdict::Sent, 0));
    let PlannedChunk { plan, tally } = chunk_of(told);
    assert_eq!((plan.ended.len(), plan.usage.as_slice()), (0, &[used(1, None, 0)][..]));
    assert_eq!(tally.matched, 1);
    assert!(plan.deliveries.iter().all(|one| one.kind == MessageKind::Notice) && !plan.deliveries.is_empty());
}

#[test]
fn the_holder_of_a_trade_that_cannot_be_read_is_told_and_counted_under_its_subscription() {
    let mut world = World::new();
    world.unreadable.push(unread(1, Some(Side::Buy)));
    let PlannedChunk { plan, tally } = chunk_of(world.alert(tp("110")));
    assert_eq!((plan.usage.as_slice(), tally.unreadable.len()), (&[used(1, None, 0)][..], 1));
    assert!(!plan.deliveries.is_empty());
}

#[test]
fn a_replacement_ends_the_old_trade_and_opens_the_new_one_in_one_action() {
    let mut world = World::new();
    let mut one_at_a_time = config(1);
    one_at_a_time.trade_management.max_open_trades = crate::money::Count(1);
    world.put(AudienceEntity::Config(one_at_a_time));
    world.alert(buy("100"));
    let old = only_open(&world);
    let told = world.alert(buy("105"));
    let new = only_open(&world);
    assert_ne!(old, new);
    assert_eq!(told.decision(1).actions, [DecidedAction { action: TradeAction::Replace, trade: new }]);
    let plan = plan_of(told);
    assert_eq!((plan.ended[0].trade, plan.ended[0].replaced_by), (old, Some(new)));
    let tells = plan.deliveries.iter().filter(|one| one.kind == MessageKind::Replacement);
    let tells: Vec<_> = tells.map(|one| one.id).collect();
    assert_eq!(plan.ended[0].told_by.iter().map(|one| one.id).collect::<Vec<_>>(), tells);
    assert_eq!((plan.usage.as_slice(), plan.config_increment.trades), (&[used(1, None, 1)][..], 1));
    assert_eq!((plan.config_increment.closed_by_tp, plan.config_increment.closed_by_sl), (0, 0));
}

#[test]
fn a_test_decides_tallies_and_writes_nothing_more() {
    let mut world = World::new();
    world.alert(buy("100"));
    world.testing = true;
    for (ask, sent, matched) in [(buy("100"), 1, 0), (tp("110"), 1, 1)] {
        let told = world.alert(ask);
        let decision = told.decision(1).clone();
        assert_eq!((decision.verdict, decision.actions.len()), (Verdict::Sent, 0), "no such trade exists");
        let PlannedChunk { plan, tally } = chunk_of(told);
        assert_eq!((tally.sent, tally.matched), (sent, matched));
        let decisions = plan.decisions.clone();
        assert_eq!(plan, ChunkPlan { decisions, ..ChunkPlan::default() });
    }
}
