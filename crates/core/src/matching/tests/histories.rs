//! Random histories of one configuration: whatever happens between alerts, the books and the promises hold.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::world::*;
use crate::alert::intent::{ExitSignal, Intent, PositionChange};
use crate::alert_configuration::{AlertConfiguration, ConfigStatus};
use crate::decision::Verdict;
use crate::delivery::{Delivery, MessageFacts, MessageKind};
use crate::id::{TradeId, UserId};
use crate::market::{ExitReason, Side};
use crate::matching::audience::AudienceEntity;
use crate::money::Count;
use crate::plan::{Features, Plan, PlanStatus};
use crate::store::Collection;
use crate::subscription::SubscriptionStatus;
use crate::trade::document::{Trade, TradeEnd, TradeStatus};
use crate::trade::request::TradeRequest;
use crate::user::{User, UserStatus};

const USERS: u32 = 4;

/// What can happen.
#[derive(Debug, Clone)]
enum Event {
    Alert(TradeRequest),
    Subscription { user: u32, plan: u32, status: SubscriptionStatus },
    Unsubscribe { user: u32 },
    Status { user: u32, status: UserStatus },
    Choices { user: u32, enabled: bool, entry: bool, exit: bool, replacement: bool, telegram: bool },
    Plan { plan: u32, status: PlanStatus, listed: bool, limit: i64 },
    Config { status: ConfigStatus, replace: bool, opposite: bool },
    Lose,
    Wait(i64),
}

fn any_intent() -> impl Strategy<Value = Intent> {
    let side = || prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let reason = || prop_oneof![Just(ExitSignal::TpHit), Just(ExitSignal::SlHit)];
    let maybe = move || proptest::option::of(reason());
    prop_oneof![
        8 => side().prop_map(|side| Intent::Entry { side }),
        4 => reason().prop_map(Intent::exit),
        2 => (proptest::option::of(side()), maybe()).prop_map(|(side, reason)| Intent::Flat { side, reason }),
        2 => (side(), maybe()).prop_map(|(closes, reason)| Intent::Turn { closes, reason, opens: closes.opposite() }),
        1 => proptest::option::of(side()).prop_map(|side| Intent::Partial { side, reason: None, change: PositionChange::Reduced }),
    ]
}

fn any_ask() -> impl Strategy<Value = TradeRequest> {
    let level = || proptest::option::of(90_u32..130);
    (any_intent(), 90_u32..130, level(), level()).prop_map(|(intent, at, tp, sl)| {
        let level = |level: Option<u32>| level.map(|level| crate::trade::fixtures::price(&level.to_string()));
        TradeRequest { take_profit: level(tp), stop_loss: level(sl), ..ask(intent, &at.to_string()) }
    })
}

fn any_event() -> impl Strategy<Value = Event> {
    let user = || 1..=USERS;
    let status = |all| proptest::sample::select(all);
    prop_oneof![
        12 => any_ask().prop_map(Event::Alert),
        2 => (user(), 1_u32..=2, status(SubscriptionStatus::ALL))
            .prop_map(|(user, plan, status)| Event::Subscription { user, plan, status }),
        1 => user().prop_map(|user| Event::Unsubscribe { user }),
        1 => (user(), proptest::sample::select(UserStatus::ALL))
            .prop_map(|(user, status)| Event::Status { user, status }),
        2 => (user(), any::<[bool; 5]>()).prop_map(|(user, [enabled, entry, exit, replacement, telegram])| {
            Event::Choices { user, enabled, entry, exit, replacement, telegram }
        }),
        1 => (1_u32..=2, proptest::sample::select(PlanStatus::ALL), any::<bool>(), 1_i64..=4)
            .prop_map(|(plan, status, listed, limit)| Event::Plan { plan, status, listed, limit }),
        1 => (proptest::sample::select(ConfigStatus::ALL), any::<bool>(), any::<bool>())
            .prop_map(|(status, replace, opposite)| Event::Config { status, replace, opposite }),
        1 => Just(Event::Lose),
        2 => (0..30 * HOUR).prop_map(Event::Wait),
    ]
}

fn start() -> World {
    let mut world = World::empty();
    world.put(AudienceEntity::Config(config(1)));
    (1..=2).for_each(|n| world.put(AudienceEntity::Plan(plan(n, &[1]))));
    for n in 1..=USERS {
        world.put(AudienceEntity::User(user(n)));
        world.put(AudienceEntity::Subscription(subscription(n, n, 1 + n % 2)));
    }
    world.chunk = 3;
    world
}

fn happen(world: &mut World, event: &Event) {
    match event {
        Event::Alert(_) => {}
        Event::Subscription { user, plan, status } => {
            let mut held = subscription(*user, *user, *plan);
            held.subscription.status = *status;
            held.subscription.start_date = Some(world.now);
            held.subscription.end_date = Some(world.now + std::time::Duration::from_secs(24 * 3_600));
            world.put(AudienceEntity::Subscription(held));
        }
        Event::Unsubscribe { user } => world.audience.remove(Collection::UserSubscriptions, subscription_id(*user).0),
        Event::Status { user: n, status } => world.put(AudienceEntity::User(User { status: *status, ..user(*n) })),
        Event::Choices { user, enabled, entry, exit, replacement, telegram } => {
            let mut choices = crate::preference::AlertChoices { enabled: *enabled, ..Default::default() };
            choices.alert_types =
                crate::preference::WantedTypes { entry: *entry, exit: *exit, replacement: *replacement };
            choices.notifications.telegram = *telegram;
            world.put(AudienceEntity::Preference(preference(*user, 1, choices)));
        }
        Event::Plan { plan: n, status, listed, limit } => {
            let features = Features { max_open_trades: Count(*limit), ..Features::default() };
            let listed: &[u32] = if *listed { &[1] } else { &[] };
            world.put(AudienceEntity::Plan(Plan { status: *status, features, ..plan(*n, listed) }));
        }
        Event::Config { status, replace, opposite } => {
            let mut changed = AlertConfiguration { status: *status, ..config(1) };
            changed.trade_management.replace_on_same_signal = *replace;
            changed.trade_management.allow_opposite_signals = *opposite;
            world.put(AudienceEntity::Config(changed));
        }
        Event::Lose => world.lose_entries(),
        Event::Wait(millis) => world.now = world.now + std::time::Duration::from_millis(millis.unsigned_abs()),
    }
}

/// Open trades of each user whose entries reached them.
fn known(world: &World) -> BTreeMap<UserId, Vec<&Trade>> {
    let mut known: BTreeMap<UserId, Vec<&Trade>> = BTreeMap::new();
    for trade in world.open().filter(|trade| !trade.alertcast.unreached) {
        known.entry(trade.user_id).or_default().push(trade);
    }
    known
}

/// Whether an exit owes this user a message: active, exits on, a channel on.
fn is_owed(world: &World, user: UserId) -> bool {
    let choices = world.audience.preference(user, config_id(1)).choices;
    world.audience.user(user).is_some_and(|user| user.status == UserStatus::Active)
        && choices.alert_types.exit
        && choices.notifications.telegram
}

/// Whatever an alert ended was told to whoever is owed an exit; whatever it opened was announced.
fn check_promises(world: &World, before: &BTreeMap<TradeId, Trade>, told: &Told) -> Result<(), TestCaseError> {
    let about = |kind: MessageKind, trade: TradeId| {
        told.deliveries().filter(|delivery| delivery.kind == kind && delivery.trade_id == Some(trade)).count()
    };
    for end in told.plans.iter().flat_map(|plan| &plan.ended) {
        let trade = &before[&end.trade];
        let owed = end.reason != ExitReason::Replaced && !trade.alertcast.unreached && is_owed(world, trade.user_id);
        prop_assert_eq!(about(MessageKind::Exit, trade.id), usize::from(owed));
        if end.reason == ExitReason::Replaced {
            prop_assert_eq!(about(MessageKind::Replacement, end.replaced_by.unwrap()), 1);
        }
    }
    for trade in told.plans.iter().flat_map(|plan| &plan.opened) {
        let announced = about(MessageKind::Entry, trade.id) + about(MessageKind::Replacement, trade.id);
        prop_assert_eq!((announced, trade.alertcast.entry_deliveries.len()), (1, 1));
    }
    check_results(before, told)?;
    for decision in told.decisions() {
        let messages = told.deliveries().filter(|delivery| delivery.user_id == Some(decision.user)).count();
        prop_assert!(decision.verdict != Verdict::Sent || messages > 0);
        prop_assert!(messages == 0 || decision.verdict == Verdict::Sent || !decision.actions.is_empty());
    }
    Ok(())
}

/// Each message by Telegram about the end of a trade that Telegram announced has its result, and nothing else has one.
fn check_results(before: &BTreeMap<TradeId, Trade>, told: &Told) -> Result<(), TestCaseError> {
    let mut results = told.results();
    let ends: BTreeMap<TradeId, &TradeEnd> =
        told.plans.iter().flat_map(|plan| &plan.ended).map(|end| (end.trade, end)).collect();
    // A replacement tells of its predecessor's end.
    let ended_by = |message: &Delivery| {
        let mut ended = ends.values().filter(|end| match message.kind {
            MessageKind::Exit => message.trade_id == Some(end.trade),
            MessageKind::Replacement => end.replaced_by.is_some() && message.trade_id == end.replaced_by,
            _ => false,
        });
        ended.next().copied()
    };
    for message in told.deliveries() {
        let Some(end) = ended_by(message) else { continue };
        let Some(entry) = before[&end.trade].announced_by(message.channel) else { continue };
        let Some(result) = results.next() else { return Err(TestCaseError::fail("a result is missing")) };
        prop_assert_eq!((result.trade_id, result.entry_delivery), (Some(end.trade), Some(entry)));
        prop_assert_eq!((result.follows, result.alert_id), (Some(message.id), None));
        prop_assert_eq!((&result.to, &result.lane, result.cause), (&message.to, &message.lane, message.cause));
        let MessageFacts::Result { closed } = &result.facts else { return Err(TestCaseError::fail("no result")) };
        prop_assert_eq!((closed.reason, closed.exit_price), (end.reason, end.exit_price));
        prop_assert!(result.priority > message.priority);
    }
    prop_assert_eq!(results.count(), 0);
    Ok(())
}

/// The counters of the configuration are those of the trades; every alert is counted.
fn check_books(world: &World, alerts: i64) -> Result<(), TestCaseError> {
    let ended_by =
        |reason| world.trades.values().filter(|trade| trade.trade_data.exit_reason == Some(reason)).count() as i64;
    prop_assert_eq!(world.increments.alerts, alerts);
    prop_assert_eq!(world.increments.trades, world.trades.len() as i64);
    prop_assert_eq!(world.increments.closed_by_tp, ended_by(ExitReason::TpHit));
    prop_assert_eq!(world.increments.closed_by_sl, ended_by(ExitReason::SlHit));
    for user in (1..=USERS).map(user_id) {
        let mut numbers: Vec<i64> =
            world.trades.values().filter(|trade| trade.user_id == user).map(|trade| trade.trade_number.0).collect();
        numbers.sort_unstable();
        prop_assert_eq!(numbers.clone(), (1..=numbers.len() as i64).collect::<Vec<_>>(), "numbers count from 1");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn who_got_the_entry_gets_the_exit(events in proptest::collection::vec(any_event(), 1..60)) {
        let mut world = start();
        let mut alerts = 0;
        for event in &events {
            happen(&mut world, event);
            let Event::Alert(ask) = event else { continue };
            let before = world.trades.clone();
            let held: BTreeMap<UserId, usize> =
                known(&world).into_iter().map(|(user, open)| (user, open.len())).collect();
            let told = world.alert(ask.clone());
            alerts += 1;
            check_promises(&world, &before, &told)?;
            check_books(&world, alerts)?;
            for (user, open) in known(&world) {
                prop_assert!(open.len() <= 3.max(held.get(&user).copied().unwrap_or(0)));
            }
        }
        // In the end the positions are ended: each known trade of whoever is owed an exit gets one.
        let before = world.trades.clone();
        let told = world.alert(ask(Intent::Flat { side: None, reason: None }, "100"));
        check_promises(&world, &before, &told)?;
        prop_assert_eq!(world.open_count(), 0);
        prop_assert!(world.trades.values().all(|trade| trade.status != TradeStatus::Open));
    }

    #[test]
    fn chunks_of_any_size_come_to_the_same_whatever_crashes(
        events in proptest::collection::vec(any_event(), 1..40), size in 1_usize..6, crashes in any::<bool>(),
    ) {
        let (mut one, mut other) = (start(), start());
        (one.chunk, other.chunk, other.crashes) = (500, size, crashes);
        for event in &events {
            happen(&mut one, event);
            happen(&mut other, event);
            let Event::Alert(ask) = event else { continue };
            let (told, again) = (one.alert(ask.clone()), other.alert(ask.clone()));
            prop_assert_eq!(told.messages(), again.messages());
            for (decision, same) in told.decisions().zip(again.decisions()) {
                prop_assert_eq!(
                    (decision.user, decision.verdict, decision.subscription, decision.actions.len()),
                    (same.user, same.verdict, same.subscription, same.actions.len())
                );
            }
        }
        prop_assert_eq!(books(&one), books(&other));
        prop_assert_eq!(one.quotas, other.quotas);
        prop_assert_eq!(one.increments, other.increments);
    }

    #[test]
    fn alerts_that_are_planned_ahead_come_to_what_they_come_to_one_by_one(
        events in proptest::collection::vec(any_event(), 1..20), asks in proptest::collection::vec(any_ask(), 1..12),
    ) {
        let (mut one, mut other) = (start(), start());
        one.chunk = 500;
        for event in &events {
            happen(&mut one, event);
            happen(&mut other, event);
            let Event::Alert(ask) = event else { continue };
            one.alert(ask.clone());
            other.alert(ask.clone());
        }
        other.load_ahead();
        for ask in asks {
            let (told, same) = (one.alert(ask.clone()), other.alert_ahead(ask));
            prop_assert_eq!(told.messages(), same.messages());
            prop_assert_eq!(&told.tallies, &same.tallies);
            let decided = |told: &Told| -> Vec<_> {
                told.decisions().map(|one| (one.user, one.verdict, one.subscription, one.actions.len())).collect()
            };
            prop_assert_eq!(decided(&told), decided(&same));
        }
        prop_assert_eq!(books(&one), books(&other));
        prop_assert_eq!(one.quotas, other.quotas);
        prop_assert_eq!(one.increments, other.increments);
    }
}

/// Every trade without its ids.
fn books(world: &World) -> Vec<(UserId, i64, TradeStatus, crate::trade::document::TradeData, i64)> {
    let line = |trade: &Trade| {
        (trade.user_id, trade.trade_number.0, trade.status, trade.trade_data.clone(), trade.alertcast.rev.0)
    };
    let mut books: Vec<_> = world.trades.values().map(line).collect();
    books.sort_by_key(|line| (line.0, line.1));
    books
}
