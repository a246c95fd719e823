//! Who is entitled, and under which subscription.

use proptest::prelude::*;

use super::world::*;
use crate::decision::Verdict;
use crate::market::Side;
use crate::matching::audience::AudienceEntity;
use crate::matching::entitlement::{EntitledSubscriber, UnentitledSubscriber, entitlement, trade_limit};
use crate::money::Count;
use crate::plan::{Features, Plan, PlanStatus};
use crate::subscription::{PaymentStatus, Subscription, SubscriptionExtension, SubscriptionStatus};
use crate::time::Time;
use crate::trade::document::Trade;

fn judged(world: &World) -> Result<EntitledSubscriber, UnentitledSubscriber> {
    entitlement(&world.audience, world.audience.config(config_id(1)).unwrap(), user_id(1), NOON, world.now)
}

fn with(plans: Vec<Plan>, subscriptions: Vec<Subscription>) -> World {
    let mut world = World::empty();
    world.put(AudienceEntity::User(user(1)));
    world.put(AudienceEntity::Config(config(1)));
    plans.into_iter().for_each(|plan| world.put(AudienceEntity::Plan(plan)));
    subscriptions.into_iter().for_each(|subscription| world.put(AudienceEntity::Subscription(subscription)));
    world
}

fn limited(n: u32, max_open_trades: i64) -> Plan {
    Plan { features: Features { max_open_trades: Count(max_open_trades), ..Features::default() }, ..plan(n, &[1]) }
}

fn capped(order: &[u32], cap: i64) -> Plan {
    Plan { features: Features { max_alert_configs: Count(cap), ..Features::default() }, ..plan(1, order) }
}

fn ending(end: i64, subscription: Subscription) -> Subscription {
    let mut subscription = subscription;
    subscription.subscription.end_date = Some(after(end));
    subscription
}

fn being(status: SubscriptionStatus, subscription: Subscription) -> Subscription {
    let mut subscription = subscription;
    subscription.subscription.status = status;
    subscription
}

fn picking(picks: &[u32], subscription: Subscription) -> Subscription {
    let picks = Some(picks.iter().map(|n| config_id(*n)).collect());
    Subscription { alertcast: SubscriptionExtension { picks, ..SubscriptionExtension::default() }, ..subscription }
}

#[test]
fn of_several_subscriptions_the_highest_limit_then_the_latest_end_then_the_lowest_id() {
    let table: Vec<(&str, Vec<Plan>, Vec<Subscription>, u32)> = vec![
        (
            "limit",
            vec![limited(1, 1), limited(2, 2)],
            vec![ending(9 * HOUR, subscription(1, 1, 1)), ending(HOUR, subscription(2, 1, 2))],
            2,
        ),
        (
            "end",
            vec![limited(1, 2), limited(2, 2)],
            vec![ending(HOUR, subscription(1, 1, 1)), ending(9 * HOUR, subscription(2, 1, 2))],
            2,
        ),
        ("id", vec![limited(1, 2), limited(2, 2)], vec![subscription(2, 1, 1), subscription(1, 1, 2)], 1),
        (
            "above the system's limit all are one",
            vec![limited(1, 3), limited(2, 5)],
            vec![ending(9 * HOUR, subscription(1, 1, 1)), ending(HOUR, subscription(2, 1, 2))],
            1,
        ),
        (
            "only those that hold count",
            vec![limited(1, 1), limited(2, 3)],
            vec![subscription(1, 1, 1), ending(0, subscription(2, 1, 2))],
            1,
        ),
    ];
    for (name, plans, subscriptions, want) in table {
        assert_eq!(judged(&with(plans, subscriptions)).unwrap().subscription, subscription_id(want), "{name}");
    }
}

#[test]
fn the_term_is_judged_as_of_the_receipt() {
    let term = |start: Option<i64>, end: Option<i64>, status| {
        let mut subscription = being(status, subscription(1, 1, 1));
        subscription.subscription.start_date = start.map(after);
        subscription.subscription.end_date = end.map(after);
        subscription
    };
    use SubscriptionStatus::{Active, Cancelled, Expired, Pending};
    use Verdict::{
        PaymentRejected, SubscriptionCancelled, SubscriptionExpired, SubscriptionNotStarted, SubscriptionPending,
    };
    // Received at noon, worked out five minutes later.
    let minute = 60_000;
    let table = [
        (term(Some(0), Some(1), Active), None),
        (term(Some(1), Some(9 * minute), Active), Some(SubscriptionNotStarted)),
        (term(Some(-minute), Some(0), Active), Some(SubscriptionExpired)),
        (term(None, Some(2 * minute), Active), None),
        (term(Some(0), None, Active), None),
        (term(None, None, Active), None),
        (term(Some(0), None, Cancelled), Some(SubscriptionCancelled)),
        (term(Some(0), Some(9 * minute), Pending), Some(SubscriptionPending)),
        // It ended after the receipt, and the status has followed.
        (term(Some(0), Some(minute), Expired), None),
        (term(Some(0), Some(5 * minute), Cancelled), None),
        // It was ended by hand.
        (term(Some(0), Some(9 * minute), Expired), Some(SubscriptionExpired)),
        (term(Some(0), Some(9 * minute), Cancelled), Some(SubscriptionCancelled)),
        (term(Some(-minute), Some(-1), Cancelled), Some(SubscriptionCancelled)),
    ];
    let rejected = |mut subscription: Subscription| {
        subscription.payment.status = PaymentStatus::Rejected;
        subscription
    };
    let pending = |mut subscription: Subscription| {
        subscription.payment.status = PaymentStatus::Pending;
        subscription
    };
    let of_payments = [
        (rejected(term(Some(0), Some(9 * minute), Active)), Some(PaymentRejected)),
        (rejected(term(Some(0), Some(minute), Cancelled)), Some(PaymentRejected)),
        (rejected(term(Some(0), Some(9 * minute), Pending)), Some(SubscriptionPending)),
        // Another application's.
        (pending(term(Some(0), Some(9 * minute), Active)), None),
    ];
    for (subscription, want) in table.into_iter().chain(of_payments) {
        let name = format!("{:?}", subscription.subscription);
        let mut world = with(vec![plan(1, &[1])], vec![subscription]);
        world.now = after(5 * minute);
        assert_eq!(judged(&world).err().map(|refused| refused.verdict), want, "{name}");
    }
}

#[test]
fn the_nearest_subscription_says_why_not() {
    use SubscriptionStatus::{Active, Cancelled, Expired, Pending};
    let archived = || Plan { status: PlanStatus::Archived, ..plan(2, &[1]) };
    let unpicked = || Plan { id: plan_id(3), ..capped(&[2, 1], 1) };
    let later = || {
        let mut subscription = subscription(5, 1, 1);
        subscription.subscription.start_date = Some(after(HOUR));
        subscription
    };
    let of = |n, plan, status| being(status, subscription(n, 1, plan));
    let table: Vec<(Vec<Subscription>, Verdict, u32)> = vec![
        (vec![of(1, 1, Pending), of(2, 2, Active), of(3, 3, Active), later()], Verdict::NotPicked, 3),
        (vec![of(1, 1, Pending), of(2, 2, Active), later()], Verdict::PlanInactive, 2),
        (vec![of(1, 1, Pending), of(4, 1, Expired), later()], Verdict::SubscriptionNotStarted, 5),
        (vec![of(1, 1, Expired), of(2, 1, Cancelled), of(3, 2, Pending)], Verdict::SubscriptionPending, 3),
        (
            vec![ending(-9 * HOUR, of(1, 1, Expired)), ending(-HOUR, of(2, 1, Cancelled))],
            Verdict::SubscriptionCancelled,
            2,
        ),
        (
            vec![ending(-HOUR, of(1, 1, Expired)), ending(-9 * HOUR, of(2, 1, Cancelled))],
            Verdict::SubscriptionExpired,
            1,
        ),
    ];
    for (subscriptions, verdict, n) in table {
        let world = with(vec![plan(1, &[1]), archived(), unpicked()], subscriptions);
        assert_eq!(judged(&world), Err(UnentitledSubscriber { verdict, subscription: Some(subscription_id(n)) }));
    }
    let twins = with(vec![plan(1, &[1])], vec![of(2, 1, Pending), of(1, 1, Pending)]);
    assert_eq!(judged(&twins).unwrap_err().subscription, Some(subscription_id(1)), "of equals the lowest id");
    let elsewhere = with(vec![plan(1, &[2])], vec![subscription(1, 1, 1)]);
    assert_eq!(judged(&elsewhere), Err(UnentitledSubscriber { verdict: Verdict::PlanInactive, subscription: None }));
}

#[test]
fn a_capped_plan_serves_the_picks_or_its_first() {
    type Case<'a> = (&'a str, &'a [u32], i64, Option<&'a [u32]>, bool);
    let table: &[Case<'_>] = &[
        ("no cap", &[3, 2, 1], -1, Some(&[2]), true),
        ("no picks: among the first", &[2, 1, 3], 2, None, true),
        ("no picks: behind the first", &[2, 3, 1], 2, None, false),
        ("picked", &[2, 3, 1], 2, Some(&[1]), true),
        ("another picked", &[1, 2, 3], 2, Some(&[2]), false),
        ("picked beyond the cap", &[1, 2, 3], 2, Some(&[2, 3, 1]), false),
        ("picks that left the plan make room", &[1, 2], 1, Some(&[9, 1]), true),
        ("all picks left the plan: its first", &[1, 2], 1, Some(&[8, 9]), true),
        ("no pick at all: its first", &[1, 2], 1, Some(&[]), true),
        ("twice the same pick takes one place", &[1, 2], 2, Some(&[2, 2, 1]), true),
        ("twice the same in the plan takes one place", &[2, 2, 1], 2, None, true),
        ("a cap of none", &[1], 0, None, false),
    ];
    for (name, order, cap, picks, want) in table {
        let own = subscription(1, 1, 1);
        let own = picks.map_or_else(|| own.clone(), |picks| picking(picks, own.clone()));
        let judged = judged(&with(vec![capped(order, *cap)], vec![own]));
        assert_eq!(judged.is_ok(), *want, "{name}");
    }
}

#[test]
fn the_limit_is_the_lowest_and_at_least_one() {
    let limit = |of_config: i64, of_plan: i64| {
        let mut config = config(1);
        config.trade_management.max_open_trades = Count(of_config);
        trade_limit(&config.trade_management, &limited(1, of_plan).features)
    };
    let table =
        [((5, 5), 3), ((2, 3), 2), ((3, 1), 1), ((0, 3), 1), ((-1, 3), 1), ((3, 0), 1), ((3, -1), 3), ((2, -1), 2)];
    for ((of_config, of_plan), want) in table {
        assert_eq!(limit(of_config, of_plan), want, "{of_config} {of_plan}");
    }
}

fn any_subscription(n: u32) -> impl Strategy<Value = Subscription> {
    let status = proptest::sample::select(SubscriptionStatus::ALL);
    (1_u32..=3, status, proptest::option::of(-5_i64..5), proptest::option::of(-5_i64..5)).prop_map(
        move |(plan, status, start, end)| {
            let mut subscription = being(status, subscription(n, 1, plan));
            subscription.subscription.start_date = start.map(after);
            subscription.subscription.end_date = end.map(after);
            subscription
        },
    )
}

proptest! {
    /// The rule as product and seed state it, over every subscription.
    #[test]
    fn entitled_is_who_the_rule_says(
        subscriptions in (any_subscription(1), any_subscription(2), any_subscription(3)),
        limits in (1_i64..=4, 1_i64..=4, 1_i64..=4),
        archived in 0_u32..=3, then in -5_i64..5,
    ) {
        let subscriptions = vec![subscriptions.0, subscriptions.1, subscriptions.2];
        let plans: Vec<Plan> = [limits.0, limits.1, limits.2].into_iter().zip(1..)
            .map(|(limit, n)| limited(n, limit))
            .map(|plan| {
                let status = if plan.id == plan_id(archived) { PlanStatus::Archived } else { plan.status };
                Plan { status, ..plan }
            })
            .collect();
        let then = after(then);
        let fits = |subscription: &&Subscription| {
            let term = &subscription.subscription;
            let (begun, runs) =
                (term.start_date.is_none_or(|start| start <= then), term.end_date.is_none_or(|end| then < end));
            subscription.subscription_plan_id != plan_id(archived)
                && term.status == SubscriptionStatus::Active && begun && runs
        };
        let rank = |subscription: &&Subscription| {
            let plan = plans.iter().find(|plan| plan.id == subscription.subscription_plan_id).unwrap();
            let end: Option<Time> = subscription.subscription.end_date;
            (plan.features.max_open_trades.0.min(3), end.is_none(), end, std::cmp::Reverse(subscription.id))
        };
        let want = subscriptions.iter().filter(fits).max_by_key(rank).map(|subscription| subscription.id);
        let world = with(plans.clone(), subscriptions.clone());
        let got = entitlement(&world.audience, world.audience.config(config_id(1)).unwrap(), user_id(1), then, then);
        prop_assert_eq!(got.ok().map(|entitled| entitled.subscription), want);
    }
}

#[test]
fn a_lower_limit_of_the_plan_holds_for_its_subscriber() {
    let mut world = with(vec![limited(1, 1)], vec![subscription(1, 1, 1)]);
    world.alert(buy("100"));
    let told = world.alert(buy("101"));
    assert_eq!(told.short(), "sent REPLACE_TRADE");
    let open: Vec<&Trade> = world.open().collect();
    assert_eq!((open.len(), open[0].trade_number, open[0].trade_data.signal), (1, Count(2), Side::Buy));
}
