//! Every accepted alert is there once, is processed once, and says who got it.

use std::collections::{BTreeMap, BTreeSet};

use alertcast_core::alert::document::{Alert, AlertStatus, MatchedUser};
use alertcast_core::decision::{Decision, Verdict};
use alertcast_core::delivery::{Delivery, DeliveryState};
use alertcast_core::id::{AlertId, UserId};

use super::{Broken, Model};
use crate::harness::books::Books;

pub(super) fn check(model: &Model<'_>, broken: &mut Broken) {
    answered(model, broken);
    once(model, broken);
    for alert in model.books.alerts.values() {
        if alert.alertcast.refused_for.is_empty() {
            processed(model, alert, broken);
        } else {
            broken.equal(&alert.processing.status, &AlertStatus::Failed, || format!("refused {}", alert.id));
        }
        if alert.processing.status == AlertStatus::Processed {
            decided(model, alert, broken);
            settled(model.books, alert, broken);
        }
    }
}

/// Every alert that was answered 202 is kept.
fn answered(model: &Model<'_>, broken: &mut Broken) {
    for (name, id) in model.answered {
        let found = model.books.alerts.get(id).map(|alert| name_of(alert).unwrap_or_default());
        broken.equal(&found.as_deref(), &Some(name.as_str()), || format!("the answered alert {id}"));
    }
}

/// No alert is kept twice, however often it was posted.
fn once(model: &Model<'_>, broken: &mut Broken) {
    let mut kept: BTreeMap<String, Vec<AlertId>> = BTreeMap::new();
    for alert in model.books.alerts.values().filter(|alert| alert.alertcast.refused_for.is_empty()) {
        if let Some(name) = name_of(alert) {
            kept.entry(name).or_default().push(alert.id);
        }
    }
    for (name, ids) in kept {
        broken.unless(ids.len() == 1, || format!("the alert {name} is kept {} times: {ids:?}", ids.len()));
    }
}

/// The `alert_id` of its body.
pub(crate) fn name_of(alert: &Alert) -> Option<String> {
    alert.webhook.raw_payload.get_str("alert_id").ok().map(str::to_owned)
}

fn processed(model: &Model<'_>, alert: &Alert, broken: &mut Broken) {
    let parked = model.allow.parked.contains(&alert.id);
    let expected = if parked { AlertStatus::Failed } else { AlertStatus::Processed };
    broken.equal(&alert.processing.status, &expected, || format!("status of {}", alert.id));
    if !parked {
        broken.unless(alert.webhook.processed_at.is_some(), || format!("{} has no processedAt", alert.id));
        broken.unless(alert.alertcast.settled_at.is_some(), || format!("{} is not settled", alert.id));
    }
}

/// Every user is decided about exactly once, in the order of their ids.
fn decided(model: &Model<'_>, alert: &Alert, broken: &mut Broken) {
    let users: Vec<UserId> = model.books.decided(alert.id).map(|decision| decision.user).collect();
    broken.unless(users.is_sorted_by(|a, b| a < b), || format!("{}: users are decided about twice", alert.id));
    let Some(config) = alert.processing.alert_config_id else {
        return broken.unless(false, || format!("{} is processed without a configuration", alert.id));
    };
    if !model.allow.audience_changed {
        let decided: BTreeSet<UserId> = users.into_iter().collect();
        let missing: Vec<_> = model.world.candidates(config).difference(&decided).copied().collect();
        broken.unless(missing.is_empty(), || format!("{}: nothing was decided about {missing:?}", alert.id));
    }
    for decision in model.books.decided(alert.id) {
        delivered_as_decided(model.books, alert, decision, broken);
    }
}

/// `sent` is a decision with deliveries, and no delivery is without such a decision. A turn whose entry was held back
/// says why in its verdict, and still tells of the exit.
fn delivered_as_decided(books: &Books, alert: &Alert, decision: &Decision, broken: &mut Broken) {
    let count = books.deliveries_to(alert.id, decision.user).count();
    if alert.alertcast.testing {
        broken.unless(count == 0 && decision.actions.is_empty(), || format!("{}: a test had effects", alert.id));
    } else if decision.verdict == Verdict::Sent {
        broken.unless(count > 0, || format!("{}: nothing goes out to {} to whom it was sent", alert.id, decision.user));
    } else {
        broken.unless(count == 0 || !decision.actions.is_empty(), || {
            format!("{}: {count} messages to {} in spite of {}", alert.id, decision.user, decision.verdict)
        });
    }
}

/// `matchedUsers` and `tradeActions` say what decisions and deliveries say.
fn settled(books: &Books, alert: &Alert, broken: &mut Broken) {
    let matched = |decision: &&Decision| decision.verdict == Verdict::Sent || !decision.actions.is_empty();
    let users: Vec<UserId> = books.decided(alert.id).filter(matched).map(|decision| decision.user).collect();
    let named: Vec<UserId> = alert.processing.matched_users.iter().map(|matched| matched.user_id).collect();
    broken.equal(&named, &users, || format!("matchedUsers of {}", alert.id));
    for matched in &alert.processing.matched_users {
        reached(books, alert, matched, broken);
    }
    let actions = books
        .decided(alert.id)
        .flat_map(|decision| decision.actions.iter().map(|action| (decision.user, action.action, action.trade)));
    let kept = alert.processing.trade_actions.iter().map(|taken| (taken.user_id, taken.action, taken.trade_id));
    broken.equal(&kept.collect::<Vec<_>>(), &actions.collect(), || format!("tradeActions of {}", alert.id));
}

fn reached(books: &Books, alert: &Alert, matched: &MatchedUser, broken: &mut Broken) {
    let told = |delivery: &Delivery| {
        let teller = delivery.told_in().map_or(delivery, |by| &books.deliveries[&by]);
        teller.state == DeliveryState::Sent
    };
    let delivered = books.deliveries_to(alert.id, matched.user_id).any(told);
    broken.equal(&matched.delivered, &delivered, || format!("{} delivered to {}", alert.id, matched.user_id));
    broken.unless(matched.delivered == matched.delivered_at.is_some(), || format!("deliveredAt in {}", alert.id));
}
