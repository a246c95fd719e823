//! The trades and deliveries that a chunk makes, field by field.

use std::time::Duration;

use super::world::*;
use crate::alert::document::{
    Alert, AlertData, AlertExtension, AlertProcessing, AlertStatistics, Source, WebhookReceipt,
};
use crate::alert::intent::{ExitSignal, Intent, PositionChange};
use crate::delivery::LaneName;
use crate::delivery::{
    CauseKind, Channel, Delivery, DeliveryRecipient, DeliveryState, EXIT_DEADLINE, MessageFacts, MessageKind,
    RESULT_DEADLINE, TargetTrade, delivery_key, rotation,
};
use crate::figures::PriceHistory;
use crate::market::{Side, Signal};
use crate::matching::audience::AudienceEntity;
use crate::matching::chunk::{UserChunk, entries_for_targets, learn_targets, plan_chunk};
use crate::matching::job::MatchingJob;
use crate::money::Count;
use crate::plan::Features;
use crate::trade::document::{EntryDelivery, TradeStatus};
use crate::trade::fixtures::{amount, price};
use crate::trade::request::{TradeRef, TradeRequest};

fn rich() -> TradeRequest {
    TradeRequest {
        take_profit: Some(price("120")),
        stop_loss: Some(price("90")),
        quantity: Some(amount("2.5")),
        targets: vec![price("130"), price("140")],
        trade_ref: Some(TradeRef { name: "L1".to_owned(), explicit: false }),
        ..buy("100")
    }
}

fn by_both_channels() -> World {
    let mut world = World::new();
    world.choose(|choices| choices.notifications.email = true);
    world
}

#[test]
fn a_new_trade_is_complete() {
    let mut world = by_both_channels();
    let mut priced = config(1);
    priced.alertcast.currency = Some("EUR".to_owned());
    world.put(AudienceEntity::Config(priced));
    let told = world.alert(rich());
    let plan = &told.plans[0];
    let trade = &plan.opened[0];
    assert_eq!(
        (trade.user_id, trade.alert_config_id, trade.subscription_id),
        (user_id(1), config_id(1), subscription_id(1))
    );
    assert_eq!((trade.trade_number, trade.status, trade.alertcast.rev), (Count(1), TradeStatus::Open, Count(1)));
    let data = &trade.trade_data;
    assert_eq!((data.symbol.as_str(), data.timeframe.as_str(), data.strategy.as_str()), ("BTCUSD", "1h", "EMA 1"));
    assert_eq!((data.signal, data.entry_price, data.exit_price), (Side::Buy, price("100"), None));
    assert_eq!((data.take_profit_price, data.stop_loss_price), (Some(price("120")), Some(price("90"))));
    assert_eq!((trade.pnl.amount, trade.pnl.currency.as_str()), (None, "EUR"));
    assert_eq!((trade.timestamps.opened_at, trade.created_at, trade.updated_at), (NOON, NOON, NOON));
    assert_eq!((trade.alerts.entry_alert_id, trade.alerts.exit_alert_id), (Some(told.alert), None));
    assert_eq!((trade.alertcast.quantity, trade.alertcast.trade_ref.as_deref()), (Some(amount("2.5")), Some("L1")));
    assert_eq!(trade.alertcast.targets, [price("130"), price("140")]);
    let announced: Vec<EntryDelivery> =
        plan.deliveries.iter().map(|d| EntryDelivery { channel: d.channel, id: d.id }).collect();
    assert_eq!(trade.alertcast.entry_deliveries, announced);
    assert_eq!(announced.len(), 2);
    let usage = &plan.usage[0];
    assert_eq!((plan.usage.len(), usage.alerts, usage.trades, usage.at), (1, 1, 1, NOON));
    assert_eq!(
        (usage.subscription, usage.preference),
        (subscription_id(1), Some(preference(1, 1, Default::default()).id))
    );
}

#[test]
fn an_entry_goes_out_by_every_channel_that_both_preferences_allow() {
    let mut world = by_both_channels();
    let told = world.alert(rich());
    let [telegram, email] = told.deliveries().collect::<Vec<_>>()[..] else { panic!("two messages") };
    let trade = told.plans[0].opened[0].id;
    assert_eq!((telegram.channel, telegram.lane.as_str(), telegram.to.as_str()), (Channel::Telegram, "tg:42", "1"));
    assert_eq!((email.channel, email.to.as_str()), (Channel::Email, "user1@example.com"));
    assert_eq!(email.lane, LaneName::of_mail_to(user_id(1), 4));
    for delivery in [telegram, email] {
        assert_eq!((delivery.cause.kind, delivery.cause.id), (CauseKind::Alert, told.alert.0));
        let key = delivery_key(
            delivery.cause,
            DeliveryRecipient::User(user_id(1)),
            delivery.channel,
            MessageKind::Entry,
            Some(trade),
        );
        assert_eq!((&delivery.key, delivery.kind, delivery.trade_id), (&key, MessageKind::Entry, Some(trade)));
        assert_eq!((delivery.alert_id, delivery.alert_config_id), (Some(told.alert), Some(config_id(1))));
        assert_eq!((delivery.user_id, delivery.subscription_id), (Some(user_id(1)), Some(subscription_id(1))));
        assert_eq!((delivery.state, delivery.priority, delivery.attempts), (DeliveryState::Pending, 3, Count(0)));
        assert_eq!((delivery.queued_at, delivery.due_at, delivery.created_at), (NOON, NOON, NOON));
        assert_eq!((delivery.deadline_at, delivery.entry_deadline_at), (after(HOUR), None));
        assert_eq!((delivery.rotation, delivery.entry_delivery), (rotation(told.alert, user_id(1)), None));
        assert_eq!(delivery.facts, MessageFacts::Entry { number: Count(1) });
    }
}

#[test]
fn an_exit_follows_its_entry_in_each_channel() {
    let mut world = by_both_channels();
    let entries: Vec<_> = world.alert(rich()).deliveries().map(|delivery| delivery.id).collect();
    world.now = after(7);
    let told = world.alert(tp("120"));
    let exits: Vec<_> = told.deliveries().collect();
    assert_eq!(exits.iter().map(|exit| exit.entry_delivery).collect::<Vec<_>>(), [Some(entries[0]), Some(entries[1])]);
    for exit in exits {
        assert_eq!((exit.kind, exit.priority), (MessageKind::Exit, 1));
        assert_eq!((exit.deadline_at, exit.queued_at), (after(7) + EXIT_DEADLINE, after(7)));
        let MessageFacts::Exit { closed } = &exit.facts else { panic!("{:?}", exit.facts) };
        assert_eq!((closed.number, closed.side, closed.opened_at), (Count(1), Side::Buy, NOON));
        assert_eq!((closed.pnl_amount, closed.pnl_percentage), (amount("50"), amount("20")));
        assert_eq!((closed.currency.as_str(), closed.inferred), ("USD", false));
    }
    // By e-mail alone: the exit of an entry that went out by both.
    world.alert(buy("100"));
    let mut mail_only = user(1);
    mail_only.preferences.notifications.telegram = false;
    world.put(AudienceEntity::User(mail_only));
    let told = world.alert(tp("120"));
    assert_eq!((told.messages(), told.results().count()), (vec![(Channel::Email, MessageKind::Exit)], 0));
}

#[test]
fn the_telegram_message_of_an_entry_gets_its_result() {
    let mut world = by_both_channels();
    let entry = world.alert(rich()).deliveries().next().unwrap().id;
    world.now = after(7);
    let told = world.alert(tp("120"));
    let exit = told.deliveries().next().unwrap();
    let [result] = told.results().collect::<Vec<_>>()[..] else { panic!("one result: mail is not edited") };
    let trade = told.plans[0].ended[0].trade;
    let recipient = DeliveryRecipient::User(user_id(1));
    let key = delivery_key(exit.cause, recipient, Channel::Telegram, MessageKind::Result, Some(trade));
    assert_eq!((&result.key, result.kind, result.trade_id), (&key, MessageKind::Result, Some(trade)));
    assert_eq!((result.entry_delivery, result.follows), (Some(entry), Some(exit.id)));
    assert_eq!((result.cause, result.alert_id), (exit.cause, None), "listed with its alert, and counted nowhere");
    assert_eq!((result.channel, &result.lane, &result.to), (Channel::Telegram, &exit.lane, &exit.to));
    assert_eq!((result.priority, result.due_at), (7, after(7)));
    assert_eq!(result.deadline_at, after(7) + RESULT_DEADLINE);
    let (MessageFacts::Result { closed }, MessageFacts::Exit { closed: told_of }) = (&result.facts, &exit.facts) else {
        panic!("{:?}", result.facts)
    };
    assert_eq!(closed, told_of);
    assert_eq!(told.plans[0].usage.len(), 1, "an edit is no message");
}

#[test]
fn an_entry_that_was_announced_by_mail_alone_has_nothing_to_edit() {
    let mut world = World::new();
    world.choose(|choices| (choices.notifications.email, choices.notifications.telegram) = (true, false));
    world.alert(rich());
    world.choose(|choices| choices.notifications.email = true);
    let told = world.alert(tp("120"));
    assert_eq!((told.messages().len(), told.results().count()), (2, 0));
}

#[test]
fn the_entry_of_a_replaced_trade_gets_its_result() {
    let mut world = World::new();
    let entries: Vec<_> = ["100", "101", "102"].map(|at| world.alert(buy(at)).deliveries().next().unwrap().id).to_vec();
    let told = world.alert(buy("110"));
    let message = told.deliveries().next().unwrap();
    let [result] = told.results().collect::<Vec<_>>()[..] else { panic!("one result") };
    assert_eq!((result.entry_delivery, result.follows), (Some(entries[0]), Some(message.id)));
    let end = &told.plans[0].ended[0];
    assert_eq!((result.trade_id, end.replaced_by), (Some(end.trade), message.trade_id));
    assert_eq!((result.entry_deadline_at, result.deadline_at), (None, NOON + RESULT_DEADLINE));
    let MessageFacts::Result { closed } = &result.facts else { panic!("{:?}", result.facts) };
    assert_eq!((closed.number, closed.reason), (Count(1), crate::market::ExitReason::Replaced));
}

#[test]
fn a_replacement_is_one_message_with_two_deadlines() {
    let mut world = World::new();
    for entry in ["100", "101", "102"] {
        world.alert(buy(entry));
    }
    world.outlets.entry_deadline = Some(Duration::from_secs(60));
    let told = world.alert(buy("110"));
    let [message] = told.deliveries().collect::<Vec<_>>()[..] else { panic!("one message") };
    let new = &told.plans[0].opened[0];
    assert_eq!((message.kind, message.trade_id, message.priority), (MessageKind::Replacement, Some(new.id), 3));
    assert_eq!((message.deadline_at, message.entry_deadline_at), (NOON + EXIT_DEADLINE, Some(after(60_000))));
    assert_eq!(new.alertcast.entry_deliveries, [EntryDelivery { channel: Channel::Telegram, id: message.id }]);
    let MessageFacts::Replacement { number, replaced } = &message.facts else { panic!("{:?}", message.facts) };
    assert_eq!((*number, replaced.number, replaced.exit_price), (Count(4), Count(1), price("110")));
}

#[test]
fn a_notice_names_the_trades_and_changes_none() {
    let mut world = by_both_channels();
    world.alert(buy("100"));
    world.alert(buy("101"));
    let told = world
        .alert(ask(Intent::Partial { side: Some(Side::Buy), reason: None, change: PositionChange::Reduced }, "110"));
    assert_eq!(told.short(), "sent");
    assert_eq!(told.messages(), [(Channel::Telegram, MessageKind::Notice), (Channel::Email, MessageKind::Notice)]);
    let notice = told.deliveries().next().unwrap();
    assert_eq!((notice.trade_id, notice.priority), (None, 5));
    assert_eq!(
        notice.facts,
        MessageFacts::PartialExit { numbers: vec![Count(1), Count(2)], change: PositionChange::Reduced }
    );
    assert_eq!((told.plans[0].ended.len(), world.open_count()), (0, 2));
    assert_eq!((told.plans[0].usage.len(), told.plans[0].usage[0].alerts), (1, 1));

    let mut manual = config(1);
    manual.trade_management.auto_close_on_tp_sl = false;
    world.put(AudienceEntity::Config(manual));
    let told = world.alert(tp("110"));
    let notice = told.deliveries().next().unwrap();
    assert_eq!(notice.facts, MessageFacts::LevelReached { numbers: vec![Count(1)] }, "the oldest without a level");
    assert_eq!(world.open_count(), 2);
    world.choose(|choices| choices.alert_types.exit = false);
    let told = world.alert(tp("110"));
    assert_eq!((told.short().as_str(), told.messages().len()), ("exit_muted", 0));
}

#[test]
fn an_exit_is_told_once_to_the_holder_of_trades_that_cannot_be_read_and_nothing_of_them() {
    let mut world = by_both_channels();
    world.put(AudienceEntity::User(user(2)));
    world.alert(buy("100"));
    world.unreadable.extend([unread(1, None), unread(1, Some(Side::Buy)), unread(2, Some(Side::Sell))]);
    let told = world.alert(tp("110"));
    assert_eq!(told.short(), "sent CLOSE_TRADE", "what can be read ends as ever");
    let unread_of = |user: u32| {
        let of_user = move |one: &&Delivery| one.user_id == Some(user_id(user));
        let is_unread = |one: &&Delivery| matches!(one.facts, MessageFacts::UnreadTrade { .. });
        told.deliveries().filter(of_user).filter(is_unread)
    };
    for (user, channels) in [(1, vec![Channel::Telegram, Channel::Email]), (2, vec![Channel::Telegram])] {
        let messages: Vec<_> = unread_of(user).map(|one| (one.channel, one.kind, one.trade_id)).collect();
        let wanted: Vec<_> = channels.into_iter().map(|channel| (channel, MessageKind::Exit, None)).collect();
        assert_eq!(messages, wanted, "user {user}");
    }
    let message = unread_of(1).next().unwrap();
    assert_eq!(message.facts, MessageFacts::UnreadTrade { intent: Intent::exit(ExitSignal::TpHit) });
    assert_eq!((message.priority, message.deadline_at), (1, NOON + EXIT_DEADLINE));
    assert_eq!(message.subscription_id, Some(subscription_id(1)));
    let plan = &told.plans[0];
    assert_eq!(plan.usage.len(), 2, "{:?}: each subscription once", plan.usage);
    assert_eq!(told.tallies[0].unreadable, [user_id(1), user_id(2)]);
    assert!(told.tallies[0].untold.is_empty());

    // Of the other side, or never announced: it is for none of them.
    let told = world.alert(ask(Intent::Flat { side: Some(Side::Sell), reason: None }, "110"));
    let users: Vec<_> = told.deliveries().filter_map(|one| one.user_id).collect();
    assert_eq!(users, [1, 1, 2].map(user_id), "of user 1 one has no side");
    world.unreadable.iter_mut().for_each(|trade| trade.unreached = true);
    let told = world.alert(tp("110"));
    assert_eq!((told.messages().len(), told.tallies[0].unreadable.len()), (0, 0));
}

#[test]
fn operators_hear_who_was_not_told_of_an_exit_for_a_trade_that_cannot_be_read() {
    let mut world = World::new();
    world.unreadable.push(unread(1, None));
    world.choose(|choices| choices.alert_types.exit = false);
    let told = world.alert(tp("110"));
    let tally = &told.tallies[0];
    assert_eq!((&tally.unreadable, &tally.untold), (&vec![user_id(1)], &vec![user_id(1)]));
    assert_eq!((told.short().as_str(), told.messages().len()), ("exit_muted", 0));
}

#[test]
fn a_target_is_told_with_its_level_and_the_last_one_closes() {
    let mut world = World::new();
    world.alert(rich());
    world.alert(TradeRequest { take_profit: Some(price("120")), ..buy("101") });
    let target = |number| Intent::Exit { reason: ExitSignal::TpHit, side: Some(Side::Buy), target: Some(number) };
    let told = world.alert(ask(target(1), "120"));
    assert_eq!(told.short(), "sent CLOSE_TRADE");
    assert_eq!(told.messages(), [(Channel::Telegram, MessageKind::Exit), (Channel::Telegram, MessageKind::Notice)]);
    let notice = told.deliveries().last().unwrap();
    let reached = TargetTrade { number: Count(1), level: Some(price("120")), next: Some(price("130")) };
    let facts = MessageFacts::TargetReached { target: Count(1), trades: vec![reached], by_yourself: false };
    assert_eq!(notice.facts, facts);
    assert_eq!((world.increments.closed_by_tp, told.plans[0].usage.len()), (1, 1));

    assert_eq!(world.alert(ask(target(2), "130")).short(), "sent");
    let told = world.alert(ask(target(3), "140"));
    assert_eq!((told.short().as_str(), world.open_count()), ("sent CLOSE_TRADE", 0));
    assert_eq!(world.increments.closed_by_tp, 2);
}

#[test]
fn a_trade_and_its_messages_keep_how_its_prices_are_shown() {
    let mut history = PriceHistory::default();
    ["1.1", "1.08452", "1.09"].iter().for_each(|at| history.note(price(at)));
    let mut world = World::new();
    world.history = Some(history);
    let told = world.alert(TradeRequest { take_profit: Some(price("1.09345123456789")), ..buy("1.08") });
    let trade = &told.plans[0].opened[0];
    assert_eq!(trade.alertcast.decimals, Some(Count(5)));
    assert_eq!(trade.trade_data.take_profit_price, Some(price("1.09345123456789")), "what is kept stays exact");
    assert_eq!(told.deliveries().next().unwrap().decimals, Some(Count(5)));
    let partial = Intent::Partial { side: None, reason: None, change: PositionChange::Reduced };
    assert_eq!(world.alert(ask(partial, "1.085")).deliveries().next().unwrap().decimals, Some(Count(5)));
    let told = world.alert(tp("1.0934"));
    let MessageFacts::Exit { closed } = &told.deliveries().next().unwrap().facts else { panic!("{told:?}") };
    assert_eq!(closed.decimals, Some(Count(5)));
}

/// The alert of a BUY at 100 with a target at 120.
fn entry_alert(id: crate::id::AlertId, additional: bson::Document) -> Alert {
    Alert {
        id,
        source: Source::TradingView,
        webhook: WebhookReceipt {
            received_at: NOON,
            processed_at: None,
            raw_payload: bson::Document::new(),
            signature: None,
            ip_address: None,
        },
        alert_data: AlertData {
            symbol: "BTCUSD".to_owned(),
            timeframe: "1h".to_owned(),
            strategy: "EMA 1".to_owned(),
            signal: Signal::Buy,
            price: price("100"),
            take_profit_price: Some(price("120")),
            stop_loss_price: None,
            timestamp: NOON,
            additional_data: Some(additional),
        },
        processing: AlertProcessing::default(),
        statistics: AlertStatistics::default(),
        created_at: NOON,
        updated_at: NOON,
        alertcast: AlertExtension::default(),
    }
}

/// Of a trade that was opened before its targets were kept with it, the entry's alert tells them.
#[test]
fn an_older_trades_targets_are_those_of_its_entry() {
    let mut world = World::new();
    let opened = world.alert(rich());
    for trade in world.trades.values_mut() {
        trade.alertcast.targets.clear();
    }
    let users = [user_id(1)];
    let span = crate::matching::chunk::span(&users).unwrap();
    let (config, outlets) = (world.audience.config(config_id(1)).unwrap(), world.outlets.clone());
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
    let target = |number| Intent::Exit { reason: ExitSignal::TpHit, side: None, target: Some(number) };
    let mut state = world.load(span, &[]);
    assert_eq!(entries_for_targets(&job(tp("120")), &state), [], "only a TPn asks");
    assert_eq!(entries_for_targets(&job(ask(target(1), "120")), &state), [opened.alert]);

    let entry = entry_alert(opened.alert, bson::doc! { "tp2": 130, "note": "x" });
    learn_targets(&mut state, &[entry]);
    assert_eq!(state.open_trades[0].alertcast.targets, [price("130")]);
    assert_eq!(entries_for_targets(&job(ask(target(1), "120")), &state), [], "what is kept is not asked for");
    let planned = |number, at| {
        let chunk = UserChunk { users: &users, state: &state, last: true };
        plan_chunk(&job(ask(target(number), at)), &world.audience, &chunk, NOON, &Ids::default()).unwrap().plan
    };
    assert_eq!((planned(1, "120").ended.len(), planned(2, "130").ended.len()), (0, 1));
}

#[test]
fn what_is_worked_out_late_keeps_its_entry_deadline_and_gives_exits_their_time() {
    let mut world = World::new();
    world.delay = 30 * HOUR;
    let told = world.alert(buy("100"));
    let entry = told.deliveries().next().unwrap();
    assert_eq!((entry.queued_at, entry.due_at), (NOON, after(30 * HOUR)));
    assert_eq!(entry.deadline_at, after(HOUR));
    let told = world.alert(tp("110"));
    let exit = told.deliveries().next().unwrap();
    assert_eq!((exit.queued_at, exit.deadline_at), (NOON, after(54 * HOUR)));
}

#[test]
fn priority_support_goes_first() {
    let mut world = World::new();
    let features = Features { priority_support: true, ..Features::default() };
    world.put(AudienceEntity::Plan(crate::plan::Plan { features, ..plan(1, &[1]) }));
    assert_eq!(world.alert(buy("100")).deliveries().next().unwrap().priority, 2);
    assert_eq!(world.alert(tp("100")).deliveries().next().unwrap().priority, 0);
}

#[test]
fn the_bot_that_a_person_started_writes_to_them() {
    let mut world = World::new();
    let mut own = user(1);
    own.alertcast.bot_id = Some("77".to_owned());
    world.put(AudienceEntity::User(own));
    assert_eq!(world.alert(buy("100")).deliveries().next().unwrap().lane.as_str(), "tg:77");
    world.outlets.default_bot = None;
    assert_eq!(world.alert(tp("100")).deliveries().next().unwrap().lane.as_str(), "tg:77");
}

#[test]
fn mail_is_spread_over_its_lanes_and_off_without_any() {
    let lanes: std::collections::BTreeSet<LaneName> = (0..1_000).map(|n| LaneName::of_mail_to(user_id(n), 4)).collect();
    assert_eq!(lanes.iter().map(LaneName::as_str).collect::<Vec<_>>(), ["mail:0", "mail:1", "mail:2", "mail:3"]);
    let mut world = by_both_channels();
    world.outlets.mail_shards = 0;
    assert_eq!(world.alert(buy("100")).messages(), [(Channel::Telegram, MessageKind::Entry)]);
}
