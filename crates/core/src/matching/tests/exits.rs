//! Exits, their silence, and the chunks in which they are worked out.

use super::world::*;
use crate::alert::document::TradeAction;
use crate::alert::intent::Intent;
use crate::alert_configuration::ConfigStatus;
use crate::decision::Verdict;
use crate::delivery::{MessageFacts, MessageKind};
use crate::id::UserId;
use crate::market::{ExitReason, Side};
use crate::matching::audience::AudienceEntity;
use crate::matching::chunk::{ChunkTally, UserChunk, next_users, plan_chunk, span};
use crate::matching::job::{MatchingJob, MessageChannels};
use crate::matching::remarks::remarks;
use crate::money::Count;
use crate::plan::PlanStatus;
use crate::store::{ChunkState, Collection, StoreError};
use crate::subscription::SubscriptionStatus;
use crate::trade::document::TradeStatus;
use crate::trade::fixtures::{amount, price};
use crate::trade::request::TradeRequest;
use crate::user::UserStatus;

#[test]
fn who_got_the_entry_gets_the_exit_whatever_happened_since() {
    type Change = (&'static str, fn(&mut World));
    let changes: &[Change] = &[
        ("the subscription ended", |w| {
            let mut ended = subscription(1, 1, 1);
            ended.subscription.status = SubscriptionStatus::Expired;
            w.put(AudienceEntity::Subscription(ended));
        }),
        ("the subscription is gone", |w| w.audience.remove(Collection::UserSubscriptions, subscription_id(1).0)),
        ("the plan was archived", |w| {
            w.put(AudienceEntity::Plan(crate::plan::Plan { status: PlanStatus::Archived, ..plan(1, &[1]) }));
        }),
        ("the plan lists it no more", |w| w.put(AudienceEntity::Plan(plan(1, &[])))),
        ("the plan is gone", |w| w.audience.remove(Collection::SubscriptionPlans, plan_id(1).0)),
        ("the configuration is inactive", |w| {
            let inactive =
                crate::alert_configuration::AlertConfiguration { status: ConfigStatus::Inactive, ..config(1) };
            w.put(AudienceEntity::Config(inactive));
        }),
        ("preferences were switched off", |w| w.choose(|c| c.enabled = false)),
        ("entries were muted", |w| w.choose(|c| c.alert_types.entry = false)),
        ("the price is out of bounds", |w| w.choose(|c| c.custom_settings.max_price = Some(price("1")))),
        ("the daily maximum is nought", |w| {
            let mut user = user(1);
            user.preferences.trading.max_daily_alerts = Count(0);
            w.put(AudienceEntity::User(user));
        }),
        ("the chat was blocked", |w| {
            let mut user = user(1);
            user.alertcast.chat_blocked_at = Some(NOON);
            w.put(AudienceEntity::User(user));
        }),
    ];
    for (name, change) in changes {
        let mut world = World::new();
        world.alert(buy("100"));
        change(&mut world);
        let told = world.alert(tp("110"));
        assert_eq!(told.short(), "sent CLOSE_TRADE", "{name}");
        assert_eq!(told.decision(1).subscription, Some(subscription_id(1)), "{name}");
        let exit = told.deliveries().next().unwrap();
        assert_eq!((exit.kind, exit.to.as_str()), (MessageKind::Exit, "1"), "{name}");
    }
}

#[test]
fn a_silent_exit_closes_the_books() {
    let mut world = World::new();
    world.alert(buy("100"));
    world.put(AudienceEntity::User(crate::user::User { status: UserStatus::Suspended, ..user(1) }));
    let told = world.alert(sl("95"));
    assert_eq!(told.short(), "user_suspended CLOSE_TRADE");
    let plan = &told.plans[0];
    assert!(plan.deliveries.is_empty() && plan.usage.is_empty());
    let trade = world.trades.values().next().unwrap();
    assert_eq!((trade.status, trade.trade_data.exit_reason), (TradeStatus::Closed, Some(ExitReason::SlHit)));
    assert_eq!((world.increments.closed_by_tp, world.increments.closed_by_sl), (0, 1));
}

#[test]
fn an_exit_tells_of_each_trade_and_counts_once_for_each_subscription() {
    let mut world = World::new();
    world.alert(buy("100"));
    world.alert(buy("90"));
    world.put(AudienceEntity::Subscription(subscription(2, 1, 1)));
    world.audience.remove(Collection::UserSubscriptions, subscription_id(1).0);
    world.alert(sell("100"));
    let told = world.alert(ask(Intent::Flat { side: None, reason: None }, "110"));
    assert_eq!(told.short(), "sent CLOSE_TRADE CLOSE_TRADE CLOSE_TRADE");
    let reasons: Vec<(i64, ExitReason, bool)> = told
        .deliveries()
        .filter_map(|delivery| match &delivery.facts {
            MessageFacts::Exit { closed } => Some((closed.number.0, closed.reason, closed.inferred)),
            _ => None,
        })
        .collect();
    assert_eq!(reasons, [(1, ExitReason::TpHit, true), (2, ExitReason::TpHit, true), (3, ExitReason::SlHit, true)]);
    let usage = &told.plans[0].usage;
    assert_eq!(
        usage.iter().map(|increment| increment.subscription).collect::<Vec<_>>(),
        [subscription_id(1), subscription_id(2)]
    );
    assert!(usage.iter().all(|increment| (increment.alerts, increment.trades) == (1, 0)));
    assert_eq!((world.increments.closed_by_tp, world.increments.closed_by_sl, world.increments.trades), (2, 1, 3));
    assert_eq!((told.tallies[0].matched, told.tallies[0].unmatched), (3, 0));
}

#[test]
fn what_never_arrived_closes_without_a_word_beside_what_did() {
    let mut world = World::new();
    world.alert(buy("100"));
    world.lose_entries();
    world.alert(buy("90"));
    let told = world.alert(ask(Intent::Flat { side: Some(Side::Buy), reason: None }, "110"));
    assert_eq!(told.short(), "sent CLOSE_TRADE CLOSE_TRADE");
    assert_eq!(told.messages().len(), 1);
    assert_eq!(told.plans[0].usage.len(), 1);
}

#[test]
fn a_holder_without_a_subscription_is_decided_about_like_the_others() {
    let mut world = World::new();
    for n in 2..=7 {
        world.put(AudienceEntity::User(user(n)));
        world.put(AudienceEntity::Subscription(subscription(n, n, 1)));
    }
    world.alert(buy("100"));
    for n in [2, 5, 7] {
        world.audience.remove(Collection::UserSubscriptions, subscription_id(n).0);
    }
    for chunk in [1, 2, 3, 500] {
        world.chunk = chunk;
        let told = world.alert(tp("110"));
        let users: Vec<UserId> = told.decisions().map(|decision| decision.user).collect();
        assert_eq!(users, (1..=7).map(user_id).collect::<Vec<_>>(), "in the order of their ids");
        assert!(told.decisions().all(|decision| decision.verdict == Verdict::Sent));
        assert_eq!((told.messages().len(), world.open_count()), (7, 0));
        for plan in &told.plans {
            let Some(chunk) = &plan.decisions else { continue };
            assert_eq!(chunk.first_user, chunk.decisions.first().unwrap().user);
            assert_eq!(chunk.last_user, chunk.decisions.last().unwrap().user);
        }
        for n in [2, 5, 7] {
            world.put(AudienceEntity::Subscription(subscription(n, n, 1)));
        }
        world.alert(buy("100"));
        for n in [2, 5, 7] {
            world.audience.remove(Collection::UserSubscriptions, subscription_id(n).0);
        }
    }
}

#[test]
fn holders_and_candidates_make_one_walk() {
    let ids = |numbers: &[u32]| numbers.iter().map(|n| user_id(*n)).collect::<Vec<_>>();
    let (candidates, holders) = (ids(&[1, 3, 5, 7]), ids(&[2, 3, 8]));
    assert_eq!(next_users(&candidates, &holders, None, 3), ids(&[1, 2, 3]));
    assert_eq!(next_users(&candidates, &holders, Some(user_id(3)), 3), ids(&[5, 7, 8]));
    assert_eq!(next_users(&candidates, &[], Some(user_id(4)), usize::MAX), ids(&[5, 7]));
    assert_eq!(next_users(&[], &holders, Some(user_id(8)), 3), ids(&[]));
    assert_eq!(next_users(&[], &[], None, 3), ids(&[]));
    assert_eq!(span(&[]), None);
}

#[test]
fn an_exit_finds_holders_that_its_caller_did_not_name() {
    let mut world = World::new();
    world.put(AudienceEntity::User(user(2)));
    world.put(AudienceEntity::Subscription(subscription(2, 2, 1)));
    world.put(AudienceEntity::User(user(3)));
    world.put(AudienceEntity::Subscription(subscription(3, 3, 1)));
    world.alert(buy("100"));
    let users = [user_id(1), user_id(3)];
    let state = world.load(span(&users).unwrap(), &[]);
    let (config, outlets) = (world.audience.config(config_id(1)).unwrap(), MessageChannels::default());
    let job = |ask| MatchingJob {
        alert: crate::fixtures::alert_id(9),
        config,
        ask,
        delayed_feed: None,
        risk: None,
        received_at: NOON,
        followed_from: NOON,
        testing: false,
        decimals: None,
        outlets: &outlets,
    };
    let planned = |ask: TradeRequest, state: &ChunkState| {
        plan_chunk(&job(ask), &world.audience, &UserChunk { users: &users, state, last: true }, NOON, &Ids::default())
    };
    assert_eq!(planned(tp("110"), &state).unwrap().plan.ended.len(), 3);
    let entry = planned(buy("110"), &state).unwrap().plan;
    assert_eq!(entry.decisions.unwrap().decisions.len(), 2);
    assert_eq!(entry.open_seen.unwrap().1.len(), 3, "all that was read is checked");

    let mut broken = state;
    broken.open_trades[1].status = TradeStatus::Closed;
    assert!(matches!(planned(tp("110"), &broken), Err(StoreError::Corrupt(_))));
}

#[test]
fn a_number_is_above_every_open_trade_even_where_the_last_one_was_not_read() {
    let mut world = World::new();
    world.alert(buy("100"));
    world.alert(buy("100"));
    let users = [user_id(1)];
    let state = world.load(span(&users).unwrap(), &[]);
    let (config, outlets) = (world.audience.config(config_id(1)).unwrap(), world.outlets.clone());
    let alert = crate::fixtures::alert_id(9);
    let job = MatchingJob {
        alert,
        config,
        ask: buy("100"),
        delayed_feed: None,
        risk: None,
        received_at: NOON,
        followed_from: NOON,
        testing: false,
        decimals: None,
        outlets: &outlets,
    };
    let chunk = UserChunk { users: &users, state: &state, last: true };
    let plan = plan_chunk(&job, &world.audience, &chunk, NOON, &Ids::default()).unwrap().plan;
    assert_eq!(plan.opened[0].trade_number, Count(3));
}

#[test]
fn an_alert_is_counted_once_however_many_its_chunks() {
    let mut world = World::new();
    for n in 2..=5 {
        world.put(AudienceEntity::User(user(n)));
        world.put(AudienceEntity::Subscription(subscription(n, n, 1)));
    }
    for (chunk, alerts) in [(1, 1), (2, 2), (5, 3), (500, 4)] {
        world.chunk = chunk;
        world.alert(buy("100"));
        assert_eq!((world.increments.alerts, world.increments.trades), (alerts, alerts * 5));
    }
    let mut nobody = World::empty();
    nobody.put(AudienceEntity::Config(config(1)));
    let told = nobody.alert(buy("100"));
    assert_eq!((nobody.increments.alerts, nobody.increments.last_alert_at), (1, Some(NOON)));
    assert!(told.plans[0].decisions.is_none() && told.plans[0].open_seen.is_none());
}

#[test]
fn a_replaced_trade_ends_at_the_new_entry_and_names_its_successor() {
    let mut world = World::new();
    for entry in ["100", "101", "102"] {
        world.alert(buy(entry));
    }
    let told = world.alert(buy("110"));
    let plan = &told.plans[0];
    let (end, new) = (&plan.ended[0], &plan.opened[0]);
    assert_eq!((end.status, end.reason, end.exit_price), (TradeStatus::Replaced, ExitReason::Replaced, price("110")));
    assert_eq!((end.pnl_amount, end.replaced_by, end.exit_alert), (amount("10"), Some(new.id), Some(told.alert)));
    assert_eq!(told.decision(1).actions[0].action, TradeAction::Replace);
    assert_eq!(told.decision(1).actions[0].trade, new.id);
    assert_eq!((new.trade_number, plan.config_increment.closed_by_tp), (Count(4), 0));
}

#[test]
fn the_operators_hear_of_what_stays_open_what_is_far_off_and_of_a_profit_at_a_loss() {
    let mut world = World::new();
    for n in 2..=14 {
        world.put(AudienceEntity::User(user(n)));
        world.put(AudienceEntity::Subscription(subscription(n, n, 1)));
    }
    world.chunk = 4;
    world.alert(buy("100"));
    world.alert(TradeRequest { take_profit: Some(price("110")), ..buy("100") });
    let told = world.alert(tp("0"));
    assert_eq!(told.short(), "sent CLOSE_TRADE");
    let mut total = ChunkTally::default();
    told.tallies.iter().for_each(|tally| total.add(tally));
    assert_eq!((total.left_open.to_string(), total.unmatched), ("14 trades of 14 subscribers (#1)".to_owned(), 0));

    let none_left = world.alert(tp("-1"));
    assert_eq!(none_left.short(), "no_matching_trade");
    assert_eq!(world.open_count(), 14);

    let told = world.alert(tp("40"));
    let mut total = ChunkTally::default();
    told.tallies.iter().for_each(|tally| total.add(tally));
    assert_eq!(total.far_off.to_string(), "14 trades of 14 subscribers (#1)");
    assert_eq!(total.at_a_loss, total.far_off);
    let (config, outlets) = (world.audience.config(config_id(1)).unwrap(), MessageChannels::default());
    let job = MatchingJob {
        alert: told.alert,
        config,
        ask: tp("40"),
        delayed_feed: None,
        risk: None,
        received_at: NOON,
        followed_from: NOON,
        testing: false,
        decimals: None,
        outlets: &outlets,
    };
    let titles: Vec<String> = remarks(&job, &total).into_iter().map(|remark| remark.title).collect();
    assert_eq!(titles, ["Exit at a price far off: BTCUSD 1h EMA 1", "Take profit at a loss: BTCUSD 1h EMA 1"]);
}
