//! Who is entitled to a configuration's entries at a moment, under which subscription, with how many open trades; and
//! if nobody's subscription fits, why not. What the subscriber chose to receive is not judged here.

use crate::alert_configuration::{AlertConfiguration, TradeManagement};
use crate::decision::Verdict;
use crate::id::{ConfigId, SubscriptionId, UserId};
use crate::plan::{Features, Plan, PlanStatus};
use crate::subscription::SubscriptionStatus;
use crate::time::Time;
use crate::trade::document::OPEN_TRADES_MAX;
use crate::user::UserStatus;

use super::audience::{Audience, SubscriptionView};

/// A subscriber who may get entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntitledSubscriber {
    /// The subscription under which.
    pub subscription: SubscriptionId,
    /// Open trades in this configuration: see [`trade_limit`].
    pub limit: usize,
    /// Messages go out before those of other plans.
    pub priority_support: bool,
}

/// A subscriber who may not, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnentitledSubscriber {
    pub verdict: Verdict,
    /// The subscription that came nearest.
    pub subscription: Option<SubscriptionId>,
}

/// How many trades a subscriber may hold open in a configuration: the lowest of the configuration's limit, the plan's
/// and the system's (seed 5.1).
///
/// A plan's negative limit sets none of its own, as the seed spells "unlimited" in `maxAlertConfigs`; every other limit
/// below one counts as one (seed 2.3 `min: 1`): a subscriber who is entitled can always hold a trade.
pub fn trade_limit(config: &TradeManagement, plan: &Features) -> usize {
    let of_plan = match plan.max_open_trades.0 {
        limit if limit < 0 => OPEN_TRADES_MAX,
        limit => limit.max(1),
    };
    let limit = config.max_open_trades.0.max(1).min(of_plan).min(OPEN_TRADES_MAX);
    usize::try_from(limit).unwrap_or(1)
}

/// Whether the user may get entries of the configuration that came in at `then`.
///
/// What a document says of dates is judged as of `then`. A subscription that the passing of time has ended since (its
/// end lies between `then` and `now`) was active at `then`, though its status tells of `now`.
///
/// # Errors
/// The most helpful reason. Of several subscriptions the one speaks that comes nearest: not picked, the plan not
/// served, not started, pending, then the one that ended last.
pub fn entitlement(
    audience: &Audience,
    config: &AlertConfiguration,
    user: UserId,
    then: Time,
    now: Time,
) -> Result<EntitledSubscriber, UnentitledSubscriber> {
    let refused = |verdict| Err(UnentitledSubscriber { verdict, subscription: None });
    match audience.user(user).map(|user| user.status) {
        Some(UserStatus::Suspended) => return refused(Verdict::UserSuspended),
        Some(UserStatus::Inactive) => return refused(Verdict::UserInactive),
        Some(UserStatus::Active) | None if audience.is_undecided(user) => return refused(Verdict::UserUnreadable),
        Some(UserStatus::Active) => {}
        None => return refused(Verdict::UserInactive),
    }
    if audience.is_undecided(config.id) {
        return refused(Verdict::ConfigurationUnreadable);
    }
    let mut best: Option<(EntitlementRank, EntitledSubscriber)> = None;
    let mut nearest: Option<(EntitlementNearness, UnentitledSubscriber)> = None;
    // By id: among equals the first stays.
    for subscription in audience.subscriptions(user) {
        let Some(plan) = audience.plan(subscription.plan) else {
            continue;
        };
        let Some(place) = plan.alert_configurations.iter().position(|id| *id == config.id) else {
            continue;
        };
        let undecided = match () {
            () if audience.is_undecided(subscription.id) => Err(Verdict::SubscriptionUnreadable),
            () if audience.is_undecided(plan.id) => Err(Verdict::PlanUnreadable),
            () => Ok(()),
        };
        match undecided.and_then(|()| judge(&subscription, plan, config.id, place, then, now)) {
            Ok(()) => {
                let limit = trade_limit(&config.trade_management, &plan.features);
                // Without an end it runs on: none ends later.
                let rank = (limit, subscription.end.is_none(), subscription.end);
                if best.as_ref().is_none_or(|(other, _)| rank > *other) {
                    let entitled = EntitledSubscriber {
                        subscription: subscription.id,
                        limit,
                        priority_support: plan.features.priority_support,
                    };
                    best = Some((rank, entitled));
                }
            }
            Err(verdict) => {
                let nearness = (helpfulness(verdict), subscription.end);
                if nearest.as_ref().is_none_or(|(other, _)| nearness > *other) {
                    let unentitled = UnentitledSubscriber { verdict, subscription: Some(subscription.id) };
                    nearest = Some((nearness, unentitled));
                }
            }
        }
    }
    match (best, nearest) {
        (Some((_, entitled)), _) => Ok(entitled),
        (None, Some((_, unentitled))) => Err(unentitled),
        // Its plan does not list the configuration any more, or is gone.
        (None, None) => refused(Verdict::PlanInactive),
    }
}

/// The trade limit, then the end: the higher goes first.
type EntitlementRank = (usize, bool, Option<Time>);
/// How near it came, then the end: the higher speaks.
type EntitlementNearness = (u8, Option<Time>);

fn judge(
    subscription: &SubscriptionView<'_>,
    plan: &Plan,
    config: ConfigId,
    place: usize,
    then: Time,
    now: Time,
) -> Result<(), Verdict> {
    runs(subscription, then, now)?;
    if plan.status != PlanStatus::Active {
        return Err(Verdict::PlanInactive);
    }
    if !follows(subscription, plan, config, place) {
        return Err(Verdict::NotPicked);
    }
    Ok(())
}

/// Whether the subscription covers `then`: status active, payment not rejected, and start <= then < end. An active one
/// without an end runs on, and one without a start has begun: the seed asks for neither. (One that is active while its
/// payment is pending is another application's way to run a subscription.) What has ended has an end.
fn runs(subscription: &SubscriptionView<'_>, then: Time, now: Time) -> Result<(), Verdict> {
    let covers_end = subscription.end.is_none_or(|end| then < end);
    let ended_since = subscription.end.is_some_and(|end| then < end && end <= now);
    match subscription.status {
        SubscriptionStatus::Pending => return Err(Verdict::SubscriptionPending),
        SubscriptionStatus::Expired if !ended_since => return Err(Verdict::SubscriptionExpired),
        SubscriptionStatus::Cancelled if !ended_since => return Err(Verdict::SubscriptionCancelled),
        _ if subscription.is_rejected => return Err(Verdict::PaymentRejected),
        SubscriptionStatus::Active | SubscriptionStatus::Expired | SubscriptionStatus::Cancelled => {}
    }
    if !covers_end {
        return Err(Verdict::SubscriptionExpired);
    }
    if subscription.start.is_some_and(|start| then < start) {
        return Err(Verdict::SubscriptionNotStarted);
    }
    Ok(())
}

/// Whether the configuration, at `place` in the plan's order, is among those that the subscription follows: all without
/// a cap; else the first N of the picks that are in the plan; else, where none is, the plan's first N.
fn follows(subscription: &SubscriptionView<'_>, plan: &Plan, config: ConfigId, place: usize) -> bool {
    let Ok(cap) = usize::try_from(plan.features.max_alert_configs.0) else {
        return true;
    };
    let picks = subscription.picks.unwrap_or_default().iter();
    let mut picked = picks.filter(|pick| plan.alert_configurations.contains(pick)).peekable();
    if picked.peek().is_none() {
        return place < cap;
    }
    picked.take(cap).any(|pick| *pick == config)
}

const fn helpfulness(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::SubscriptionUnreadable | Verdict::PlanUnreadable => 5,
        Verdict::NotPicked => 4,
        Verdict::PlanInactive => 3,
        Verdict::SubscriptionNotStarted => 2,
        Verdict::SubscriptionPending | Verdict::PaymentRejected => 1,
        _ => 0,
    }
}
