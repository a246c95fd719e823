//! Every verdict, and what comes with it.

use std::collections::BTreeSet;

use super::world::*;
use crate::alert::intent::Intent;
use crate::decision::Verdict;
use crate::market::Side;
use crate::matching::audience::AudienceEntity;
use crate::money::Count;
use crate::plan::{Features, PlanStatus};
use crate::quota::Quota;
use crate::store::Collection;
use crate::subscription::SubscriptionStatus;
use crate::trade::fixtures::price;
use crate::trade::request::TradeRequest;
use crate::user::{RiskLevel, UserStatus};

type Case = (Verdict, &'static str, fn(&mut World), fn() -> TradeRequest);

fn status(world: &mut World, status: UserStatus) {
    world.put(AudienceEntity::User(crate::user::User { status, ..user(1) }));
}

fn subscribed(world: &mut World, change: impl FnOnce(&mut crate::subscription::Subscription)) {
    let mut subscription = subscription(1, 1, 1);
    change(&mut subscription);
    world.put(AudienceEntity::Subscription(subscription));
}

fn planned(world: &mut World, change: impl FnOnce(&mut crate::plan::Plan)) {
    let mut plan = plan(1, &[2, 1]);
    change(&mut plan);
    world.put(AudienceEntity::Plan(plan));
}

fn configured(world: &mut World, change: impl FnOnce(&mut crate::alert_configuration::AlertConfiguration)) {
    let mut config = config(1);
    change(&mut config);
    world.put(AudienceEntity::Config(config));
}

fn counted(world: &mut World, day_entries: i64, hour_entries: i64) {
    let quota = Quota {
        user: user_id(1),
        rev: Count(9),
        day: "2026-03-10".to_owned(),
        day_entries: Count(day_entries),
        hour_start: after(-HOUR + 1),
        hour_entries: Count(hour_entries),
    };
    world.quotas.insert(user_id(1), quota);
}

fn enter(world: &mut World, times: usize) {
    for _ in 0..times {
        world.alert(buy("100"));
    }
}

fn at100() -> TradeRequest {
    buy("100")
}

fn tp110() -> TradeRequest {
    tp("110")
}

const CASES: &[Case] = &[
    (Verdict::Sent, "entry", |_| {}, at100),
    (Verdict::Sent, "replacement", |w| enter(w, 3), at100),
    (Verdict::Sent, "exit", |w| enter(w, 1), tp110),
    (
        Verdict::Sent,
        "exit, preferences switched off",
        |w| {
            enter(w, 1);
            w.choose(|c| c.enabled = false)
        },
        tp110,
    ),
    (
        Verdict::Sent,
        "exit to a blocked chat is tried",
        |w| {
            enter(w, 1);
            blocked(w)
        },
        tp110,
    ),
    (
        Verdict::Silent,
        "exit of what never arrived",
        |w| {
            enter(w, 1);
            w.lose_entries()
        },
        tp110,
    ),
    (Verdict::UserInactive, "entry", |w| status(w, UserStatus::Inactive), at100),
    (
        Verdict::UserInactive,
        "exit",
        |w| {
            enter(w, 1);
            status(w, UserStatus::Inactive)
        },
        tp110,
    ),
    (
        Verdict::UserInactive,
        "entry, no such user",
        |w| w.audience.remove(crate::store::Collection::Users, user_id(1).0),
        at100,
    ),
    (Verdict::UserSuspended, "entry", |w| status(w, UserStatus::Suspended), at100),
    (
        Verdict::UserSuspended,
        "exit",
        |w| {
            enter(w, 1);
            status(w, UserStatus::Suspended)
        },
        tp110,
    ),
    (
        Verdict::SubscriptionPending,
        "entry",
        |w| subscribed(w, |s| s.subscription.status = SubscriptionStatus::Pending),
        at100,
    ),
    (
        Verdict::SubscriptionPending,
        "exit",
        |w| subscribed(w, |s| s.subscription.status = SubscriptionStatus::Pending),
        tp110,
    ),
    (
        Verdict::SubscriptionNotStarted,
        "entry",
        |w| subscribed(w, |s| s.subscription.start_date = Some(after(1))),
        at100,
    ),
    (
        Verdict::SubscriptionExpired,
        "entry, by date",
        |w| subscribed(w, |s| s.subscription.end_date = Some(NOON)),
        at100,
    ),
    (
        Verdict::SubscriptionExpired,
        "entry, by status",
        |w| subscribed(w, |s| s.subscription.status = SubscriptionStatus::Expired),
        at100,
    ),
    (
        Verdict::SubscriptionCancelled,
        "entry",
        |w| subscribed(w, |s| s.subscription.status = SubscriptionStatus::Cancelled),
        at100,
    ),
    (Verdict::PlanInactive, "entry, archived", |w| planned(w, |p| p.status = PlanStatus::Archived), at100),
    (Verdict::PlanInactive, "entry, inactive", |w| planned(w, |p| p.status = PlanStatus::Inactive), at100),
    (
        Verdict::NotPicked,
        "entry",
        |w| planned(w, |p| p.features = Features { max_alert_configs: Count(1), ..Features::default() }),
        at100,
    ),
    (Verdict::Disabled, "entry", |w| w.choose(|c| c.enabled = false), at100),
    (
        Verdict::Disabled,
        "replacement",
        |w| {
            enter(w, 3);
            w.choose(|c| c.enabled = false)
        },
        at100,
    ),
    (Verdict::EntryMuted, "entry", |w| w.choose(|c| c.alert_types.entry = false), at100),
    (
        Verdict::Sent,
        "replacement, entries muted",
        |w| {
            enter(w, 3);
            w.choose(|c| c.alert_types.entry = false)
        },
        at100,
    ),
    (
        Verdict::ReplacementMuted,
        "replacement",
        |w| {
            enter(w, 3);
            w.choose(|c| c.alert_types.replacement = false)
        },
        at100,
    ),
    (Verdict::Sent, "entry, replacements muted", |w| w.choose(|c| c.alert_types.replacement = false), at100),
    (
        Verdict::ExitMuted,
        "exit",
        |w| {
            enter(w, 1);
            w.choose(|c| c.alert_types.exit = false)
        },
        tp110,
    ),
    (Verdict::BelowMinPrice, "entry", |w| w.choose(|c| c.custom_settings.min_price = Some(price("100.01"))), at100),
    (
        Verdict::Sent,
        "entry at both bounds",
        |w| {
            w.choose(|c| {
                c.custom_settings.min_price = Some(price("100"));
                c.custom_settings.max_price = Some(price("100"));
            })
        },
        at100,
    ),
    (Verdict::AboveMaxPrice, "entry", |w| w.choose(|c| c.custom_settings.max_price = Some(price("99.99"))), at100),
    (Verdict::RiskTooHigh, "entry, general level", |w| w.risk = Some(RiskLevel::High), at100),
    (
        Verdict::RiskTooHigh,
        "entry, custom level",
        |w| {
            w.risk = Some(RiskLevel::Medium);
            w.choose(|c| c.custom_settings.risk_level = Some(RiskLevel::Low));
        },
        at100,
    ),
    (
        Verdict::Sent,
        "entry, custom level stands over the general one",
        |w| {
            w.risk = Some(RiskLevel::High);
            w.choose(|c| c.custom_settings.risk_level = Some(RiskLevel::High));
        },
        at100,
    ),
    (
        Verdict::Sent,
        "entry without a risk",
        |w| w.choose(|c| c.custom_settings.risk_level = Some(RiskLevel::Low)),
        at100,
    ),
    (Verdict::DailyLimit, "entry", |w| counted(w, 50, 0), at100),
    (Verdict::Sent, "the last entry of the day", |w| counted(w, 49, 0), at100),
    (Verdict::HourlyLimit, "entry", |w| counted(w, 0, 120), at100),
    (Verdict::Sent, "the last entry of the hour", |w| counted(w, 0, 119), at100),
    (
        Verdict::Sent,
        "no limit holds an exit",
        |w| {
            enter(w, 1);
            counted(w, 50, 120)
        },
        tp110,
    ),
    (
        Verdict::LimitReached,
        "entry",
        |w| {
            configured(w, |c| c.trade_management.replace_on_same_signal = false);
            enter(w, 3);
        },
        at100,
    ),
    (
        Verdict::OppositeOpen,
        "entry",
        |w| {
            configured(w, |c| c.trade_management.allow_opposite_signals = false);
            enter(w, 1);
        },
        || sell("100"),
    ),
    (Verdict::NoChannel, "entry, general switch", |w| no_telegram(w), at100),
    (Verdict::NoChannel, "entry, preference", |w| w.choose(|c| c.notifications.telegram = false), at100),
    (Verdict::NoChannel, "entry, blocked chat", blocked, at100),
    (Verdict::NoChannel, "entry, no bot", |w| w.outlets.default_bot = None, at100),
    (
        Verdict::NoChannel,
        "exit",
        |w| {
            enter(w, 1);
            no_telegram(w)
        },
        tp110,
    ),
    (
        Verdict::PaymentRejected,
        "entry",
        |w| subscribed(w, |s| s.payment.status = crate::subscription::PaymentStatus::Rejected),
        at100,
    ),
    (
        Verdict::UserUnreadable,
        "entry",
        |w| w.spoil(Collection::Users, &user(1), "preferences.trading.maxDailyAlerts", "many".into()),
        at100,
    ),
    (
        Verdict::SubscriptionUnreadable,
        "entry",
        |w| w.spoil(Collection::UserSubscriptions, &subscription(1, 1, 1), "subscription.endDate", "2027".into()),
        at100,
    ),
    (
        Verdict::PlanUnreadable,
        "entry",
        |w| w.spoil(Collection::SubscriptionPlans, &plan(1, &[2, 1]), "status", 1.into()),
        at100,
    ),
    (
        Verdict::PreferenceUnreadable,
        "entry",
        |w| {
            let kept = preference(1, 1, crate::preference::AlertChoices::default());
            w.spoil(Collection::UserAlertPreferences, &kept, "preferences.enabled", "no".into())
        },
        at100,
    ),
    (
        Verdict::PreferenceUnreadable,
        "entry, for which configuration cannot be read",
        |w| {
            let kept = preference(1, 1, crate::preference::AlertChoices::default());
            w.spoil(Collection::UserAlertPreferences, &kept, "alertConfigId", 5.into())
        },
        at100,
    ),
    (
        Verdict::ConfigurationUnreadable,
        "entry",
        |w| w.spoil(Collection::AlertConfigurations, &config(1), "tradeManagement.replaceOnSameSignal", 1.into()),
        at100,
    ),
    (Verdict::TradeUnreadable, "entry", |w| w.unreadable.push(unread(1, None)), at100),
    (Verdict::TradeUnreadable, "exit", |w| w.unreadable.push(unread(1, None)), tp110),
    (
        Verdict::ExitMuted,
        "exit of what cannot be read",
        |w| {
            w.unreadable.push(unread(1, None));
            w.choose(|c| c.alert_types.exit = false);
        },
        tp110,
    ),
    (
        Verdict::NoMatchingTrade,
        "exit of another side than what cannot be read",
        |w| w.unreadable.push(unread(1, Some(Side::Buy))),
        || ask(Intent::Flat { side: Some(Side::Sell), reason: None }, "100"),
    ),
    (Verdict::NoMatchingTrade, "exit, nothing open", |_| {}, tp110),
    (
        Verdict::NoMatchingTrade,
        "exit of another side",
        |w| enter(w, 1),
        || ask(Intent::Flat { side: Some(Side::Sell), reason: None }, "100"),
    ),
];

fn blocked(world: &mut World) {
    let mut user = user(1);
    user.alertcast.chat_blocked_at = Some(NOON);
    world.put(AudienceEntity::User(user));
}

fn no_telegram(world: &mut World) {
    let mut user = user(1);
    user.preferences.notifications.telegram = false;
    world.put(AudienceEntity::User(user));
}

#[test]
fn each_verdict_has_its_cause() {
    for (want, name, prepare, ask) in CASES {
        let mut world = World::new();
        prepare(&mut world);
        let (open, quotas) = (world.open_count(), world.quotas.clone());
        let ask = ask();
        let (entry, exit) = (ask.opens().is_some(), ask.concerns_holders());
        let told = world.alert(ask);
        let (decision, plan) = (told.decision(1), &told.plans[0]);
        assert_eq!(decision.verdict, *want, "{want}: {name}");

        let is_unread_exit = *want == Verdict::TradeUnreadable && !entry;
        let sent = *want == Verdict::Sent || is_unread_exit;
        assert_eq!(!plan.deliveries.is_empty(), sent, "{want}: {name}: a message goes out if and only if it is sent");
        assert_eq!(!plan.usage.is_empty(), sent, "{want}: {name}: what is sent is counted");
        if entry {
            assert_eq!(plan.opened.len(), usize::from(sent), "{want}: {name}");
            assert_eq!(plan.quotas.len(), usize::from(sent), "{want}: {name}");
            assert!(sent || world.open_count() == open, "{want}: {name}: what is held back leaves the old trade open");
        }
        if exit && open > 0 {
            let matched = *want != Verdict::NoMatchingTrade;
            assert_eq!(world.open_count(), if matched { 0 } else { open }, "{want}: {name}: the trade closes");
            assert_eq!(decision.actions.len(), usize::from(matched), "{want}: {name}");
            assert_eq!(world.quotas, quotas, "{want}: {name}: exits cost nothing");
        }
    }
    let covered: BTreeSet<&str> = CASES.iter().map(|case| case.0.as_str()).collect();
    let all: BTreeSet<&str> = Verdict::ALL.iter().map(|verdict| verdict.as_str()).collect();
    assert_eq!(covered, all);
}

#[test]
fn whatever_cannot_be_read_holds_back_no_exit() {
    let spoil: [fn(&mut World); 5] = [
        |w| w.spoil(Collection::Users, &user(1), "status", 5.into()),
        |w| w.spoil(Collection::Users, &user(1), "preferences", "none".into()),
        |w| w.spoil(Collection::UserSubscriptions, &subscription(1, 1, 1), "subscription", 5.into()),
        |w| {
            let kept = preference(1, 1, crate::preference::AlertChoices::default());
            w.spoil(Collection::UserAlertPreferences, &kept, "preferences", 5.into())
        },
        |w| w.spoil(Collection::AlertConfigurations, &config(1), "status", 5.into()),
    ];
    for spoil in spoil {
        let mut world = World::new();
        enter(&mut world, 1);
        spoil(&mut world);
        let told = world.alert(tp110());
        assert_eq!((told.verdict(1), world.open_count()), (Verdict::Sent, 0));
    }
}

/// What is not there has its default.
fn lacks_all(value: &bson::Bson) -> bool {
    matches!(value, bson::Bson::Document(_) | bson::Bson::Null | bson::Bson::Undefined)
}

/// Every type of BSON in every field of every document of a subscriber, and in the objects around them: who gets the entry, and who the exit.
#[test]
fn whatever_stands_in_a_field_its_neighbour_gets_all_and_its_user_every_exit_and_no_entry_against_their_will() {
    use crate::reading::{every_bson_type, put_at, trouble_of};
    use crate::schema::{FieldWeight, contract_fields, levels_and_fields};
    use crate::store::document;
    let kept = preference(1, 1, crate::preference::AlertChoices { enabled: false, ..Default::default() });
    let documents = [
        (Collection::Users, document(&user(1)).unwrap()),
        (Collection::UserSubscriptions, document(&subscription(1, 1, 1)).unwrap()),
        (Collection::SubscriptionPlans, document(&plan(1, &[1])).unwrap()),
        (Collection::UserAlertPreferences, document(&kept).unwrap()),
    ];
    for (collection, before) in documents {
        let places = levels_and_fields(collection);
        for ((path, weight), value) in
            places.iter().flat_map(|place| every_bson_type().into_iter().map(move |value| (*place, value)))
        {
            let mut spoilt = before.clone();
            put_at(&mut spoilt, path, value.clone());
            let what = format!("{collection} {path} {value:?}");
            let mut world = World::new();
            world.put(AudienceEntity::User(user(2)));
            world.put(AudienceEntity::Plan(crate::plan::Plan { name: "Other".to_owned(), ..plan(2, &[1]) }));
            world.put(AudienceEntity::Subscription(subscription(2, 2, 2)));
            enter(&mut world, 2);
            world.audience.take_in(collection, &crate::reading::pack(&spoilt).unwrap());
            let trouble = trouble_of(collection, &spoilt);
            let told = world.alert(buy("100"));
            assert_eq!(told.verdict(2), Verdict::Sent, "{what}: the neighbour's entry");
            let opted_out = collection == Collection::UserAlertPreferences
                && path != "preferences.enabled"
                && !(path == "preferences" && lacks_all(&value));
            let of_user =
                told.decisions().find(|decision| decision.user == user_id(1)).map(|decision| decision.verdict);
            let refers = ["userId", "alertConfigId", "subscriptionPlanId"].contains(&path);
            if opted_out && !refers {
                assert_ne!(of_user, Some(Verdict::Sent), "{what}: an opt-out never fails open");
            }
            // Whose a document is, and of what: one that does not say is nobody's.
            let is_field = contract_fields(collection).iter().any(|field| field.path == path);
            if trouble.is_some() && !refers && weight == FieldWeight::Decides && (is_field || !lacks_all(&value)) {
                assert_ne!(of_user, Some(Verdict::Sent), "{what}: nothing rests on a guess");
            }
            let told = world.alert(tp("150"));
            assert_eq!(told.verdict(2), Verdict::Sent, "{what}: the neighbour's exit");
            let ways = ["telegram.chatId", "status", "alertTypes.exit", "notifications.telegram", "email"];
            if trouble.is_some() || !ways.iter().any(|way| path.ends_with(way)) {
                let of_user =
                    told.decisions().find(|decision| decision.user == user_id(1)).map(|decision| decision.verdict);
                if !["telegram", "telegram.chatId"].contains(&path) {
                    assert_eq!(of_user, Some(Verdict::Sent), "{what}: every exit");
                }
            }
        }
    }
}

#[test]
fn a_decision_names_the_subscription_that_was_judged() {
    let mut world = World::new();
    assert_eq!(world.alert(buy("100")).decision(1).subscription, Some(subscription_id(1)));
    subscribed(&mut world, |s| s.subscription.status = SubscriptionStatus::Pending);
    assert_eq!(world.alert(buy("100")).decision(1).subscription, Some(subscription_id(1)));
    assert_eq!(world.alert(tp("100")).decision(1).subscription, Some(subscription_id(1)));
    status(&mut world, UserStatus::Suspended);
    assert_eq!(world.alert(buy("100")).decision(1).subscription, None);
}

#[test]
fn a_turn_tells_holders_of_the_exit_even_where_its_entry_is_held_back() {
    let turn = || ask(Intent::Turn { closes: Side::Buy, reason: None, opens: Side::Sell }, "110");
    let mut world = World::new();
    enter(&mut world, 2);
    assert_eq!(world.alert(turn()).short(), "sent CLOSE_TRADE CLOSE_TRADE OPEN_TRADE");

    let mut world = World::new();
    enter(&mut world, 1);
    world.choose(|c| c.alert_types.entry = false);
    let told = world.alert(turn());
    assert_eq!(told.short(), "entry_muted CLOSE_TRADE");
    assert_eq!(told.messages().len(), 1);
    assert_eq!(world.open_count(), 0);

    let mut world = World::new();
    enter(&mut world, 1);
    world.choose(|c| c.alert_types.exit = false);
    let told = world.alert(turn());
    assert_eq!(told.short(), "sent CLOSE_TRADE OPEN_TRADE");
    assert_eq!(told.messages().len(), 1, "of the entry alone");

    let mut world = World::new();
    enter(&mut world, 1);
    subscribed(&mut world, |s| s.subscription.status = SubscriptionStatus::Expired);
    let told = world.alert(turn());
    assert_eq!(told.short(), "subscription_expired CLOSE_TRADE");
    assert_eq!(told.messages().len(), 1);

    // Where exits are only told, no action tells of the message.
    let mut world = World::new();
    configured(&mut world, |c| c.trade_management.auto_close_on_tp_sl = false);
    enter(&mut world, 1);
    world.choose(|c| c.alert_types.entry = false);
    let told = world.alert(turn());
    assert_eq!(told.short(), "sent");
    assert_eq!((told.messages().len(), world.open_count()), (1, 1));
}

#[test]
fn a_test_decides_and_does_nothing() {
    let mut world = World::new();
    enter(&mut world, 3);
    world.testing = true;
    let before = (world.trades.clone(), world.quotas.clone(), world.increments);
    for (ask, want) in [(buy("100"), "sent"), (tp("110"), "sent"), (sell("100"), "limit_reached")] {
        let told = world.alert(ask);
        assert_eq!(told.short(), want);
        let plan = &told.plans[0];
        assert!(plan.deliveries.is_empty() && plan.usage.is_empty() && plan.open_seen.is_none());
    }
    assert_eq!((world.trades.clone(), world.quotas.clone(), world.increments), before);
}

#[test]
fn allowances_count_by_the_local_day_and_the_running_hour() {
    let mut world = World::new();
    let mut kiwi = user(1);
    kiwi.profile.timezone = "Pacific/Auckland".to_owned();
    kiwi.preferences.trading.max_daily_alerts = Count(2);
    world.put(AudienceEntity::User(kiwi));
    // Noon in UTC is one o'clock at night in Auckland, on the 11th.
    for (at, want) in [
        (0, Verdict::Sent),
        (HOUR, Verdict::Sent),
        (2 * HOUR, Verdict::DailyLimit),
        (23 * HOUR - 1, Verdict::DailyLimit),
        (23 * HOUR, Verdict::Sent),
        // An alert of the day before that is worked out late counts toward the new day.
        (22 * HOUR, Verdict::Sent),
        (22 * HOUR, Verdict::DailyLimit),
    ] {
        world.now = after(at);
        assert_eq!(world.alert(buy("100")).verdict(1), want, "{}", world.now);
    }
    let quota = &world.quotas[&user_id(1)];
    assert_eq!((quota.day.as_str(), quota.day_entries, quota.rev), ("2026-03-12", Count(2), Count(4)));

    let mut world = World::new();
    let mut keen = user(1);
    keen.preferences.trading.max_daily_alerts = Count(-1);
    keen.profile.timezone = "Atlantis/Capital".to_owned();
    world.put(AudienceEntity::User(keen));
    enter(&mut world, 120);
    world.now = after(HOUR - 1);
    assert_eq!(world.alert(buy("100")).verdict(1), Verdict::HourlyLimit);
    world.now = after(HOUR);
    assert_eq!(world.alert(buy("100")).verdict(1), Verdict::Sent);
    let quota = &world.quotas[&user_id(1)];
    assert_eq!((quota.day.as_str(), quota.hour_start, quota.hour_entries), ("2026-03-10", after(HOUR), Count(1)));
}

#[test]
fn what_is_worked_out_late_is_judged_as_of_its_receipt() {
    let mut world = World::new();
    let mut modest = user(1);
    modest.preferences.trading.max_daily_alerts = Count(1);
    world.put(AudienceEntity::User(modest));
    world.now = after(12 * HOUR - 1);
    world.delay = HOUR;
    assert_eq!(world.alert(buy("100")).verdict(1), Verdict::Sent);
    assert_eq!(world.quotas[&user_id(1)].day, "2026-03-10");
    assert_eq!(world.quotas[&user_id(1)].hour_start, world.now);
    assert_eq!(world.alert(buy("100")).verdict(1), Verdict::DailyLimit);
    world.now = after(12 * HOUR);
    assert_eq!(world.alert(buy("100")).verdict(1), Verdict::Sent);

    // The term ends between receipt and work, and its status has followed.
    let mut world = World::new();
    world.delay = HOUR;
    subscribed(&mut world, |s| {
        s.subscription.end_date = Some(after(1));
        s.subscription.status = SubscriptionStatus::Expired;
    });
    assert_eq!(world.alert(buy("100")).verdict(1), Verdict::Sent);
}

#[test]
fn a_quota_from_the_future_is_not_believed() {
    let mut world = World::new();
    counted(&mut world, 50, 120);
    let quota = world.quotas.get_mut(&user_id(1)).unwrap();
    quota.day = "2031-01-01".to_owned();
    quota.hour_start = after(1_000 * HOUR);
    assert_eq!(world.alert(buy("100")).verdict(1), Verdict::Sent);
}
