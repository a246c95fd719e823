//! What is to be written once the events have been applied: by field, so that what others keep in a document stays.

use std::collections::BTreeSet;

use bson::Bson;

use super::{LoadedTrade, WorkingSet};
use crate::alert::settling::OutcomeCounts;
use crate::delivery::Delivery;
use crate::id::{AlertId, DeliveryId, PreferenceId, SubscriptionId, TradeId, UserId};
use crate::store::{self, FieldEdits, document};
use crate::time::Time;
use crate::user::RefusingRecipient;

/// What one operation changes.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsequenceEdits {
    pub deliveries: Vec<(DeliveryId, FieldEdits)>,
    pub trades: Vec<(TradeId, FieldEdits)>,
    /// Trades whose messages stand in several lanes, so that several operations may end the last of them at once: these
    /// must exclude each other where the store does not let them follow each other anyway.
    pub contested: BTreeSet<TradeId>,
    pub usage: Vec<UsageCorrection>,
    /// What alerts' counters grow by.
    pub alerts: Vec<(AlertId, OutcomeCounts)>,
    /// Who will not have our messages any more, as it was found.
    pub refusers: Vec<(UserId, RefusingRecipient)>,
    /// Alerts that are settled anew because one of their deliveries is sent again, and how many of them have not failed
    /// after all.
    pub reopened: Vec<(AlertId, i64)>,
    /// Alerts whose lists may tell an error that names this recipient, who is erased.
    pub named_in: Vec<(AlertId, String)>,
    /// Alerts one of whose deliveries ended: to be settled.
    pub settle: Vec<AlertId>,
}

/// What is added to a subscriber's counters after the commit that counted. It is no activity: no `last…At` moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageCorrection {
    pub subscription: SubscriptionId,
    pub preference: Option<PreferenceId>,
    pub alerts: i64,
    pub trades: i64,
}

pub(super) fn collect(mut set: WorkingSet) -> store::StoreResult<ConsequenceEdits> {
    let mut deliveries = Vec::new();
    for (id, loaded) in set.deliveries.iter().filter_map(|(id, one)| Some((*id, one.as_ref()?))) {
        let Some(before) = &loaded.before else { continue };
        let edits = edit_delivery(before, &loaded.current)?;
        if !edits.is_empty() {
            deliveries.push((id, edits));
        }
    }
    let trades = set.trades.iter().filter_map(|(id, one)| Some((*id, one.as_ref().filter(|one| one.is_changed)?)));
    let trades = trades.map(|(id, loaded)| (id, edit_trade(loaded, set.now))).collect();
    Ok(ConsequenceEdits {
        deliveries,
        trades,
        contested: std::mem::take(&mut set.contested),
        usage: std::mem::take(&mut set.usage),
        alerts: set.ended.outcomes().collect(),
        refusers: std::mem::take(&mut set.refusers),
        reopened: std::mem::take(&mut set.reopened),
        named_in: std::mem::take(&mut set.named_in),
        settle: set.ended.alerts(),
    })
}

fn edit_trade(loaded: &LoadedTrade, now: Time) -> FieldEdits {
    let ours = &loaded.current.alertcast;
    let mut edits = FieldEdits::default();
    edits.put("alertcast.unreached", ours.unreached.then_some(true));
    edits.set("alertcast.rev", ours.rev);
    edits.set("updatedAt", now);
    edits
}

/// The fields that events change, where they differ. What a delivery is, and for whom, no event changes.
pub(super) fn edit_delivery(before: &Delivery, after: &Delivery) -> store::StoreResult<FieldEdits> {
    let mut edits = FieldEdits::default();
    edits.set_changed("state", &before.state, &after.state);
    edits.set_changed("to", &before.to, &after.to);
    edits.set_changed("queuedAt", &before.queued_at, &after.queued_at);
    edits.set_changed("rotation", &before.rotation, &after.rotation);
    edits.set_changed("dueAt", &before.due_at, &after.due_at);
    edits.set_changed("deadlineAt", &before.deadline_at, &after.deadline_at);
    edits.put_changed("entryDeadlineAt", before.entry_deadline_at.as_ref(), after.entry_deadline_at.as_ref());
    edits.put_changed("supersededBy", before.superseded_by.as_ref(), after.superseded_by.as_ref());
    edits.put_changed("combines", before.combines.as_ref(), after.combines.as_ref());
    edits.put_changed("combinesAlert", before.combines_alert.as_ref(), after.combines_alert.as_ref());
    edits.put_flag("oldUnknown", before.old_unknown, after.old_unknown);
    edits.put_flag("entryOver", before.entry_over, after.entry_over);
    edits.put_flag("entryLapsed", before.entry_lapsed, after.entry_lapsed);
    edits.set_changed("attempts", &before.attempts, &after.attempts);
    edits.set_changed("possibleRepeat", &before.possible_repeat, &after.possible_repeat);
    edits.put_changed("epoch", before.epoch.as_ref(), after.epoch.as_ref());
    edits.put_changed("lastError", before.last_error.as_ref(), after.last_error.as_ref());
    edits.put_flag("topicGone", before.topic_gone, after.topic_gone);
    edits.put_changed("messageId", before.message_id.as_ref(), after.message_id.as_ref());
    edits.put_changed("endedAt", before.ended_at.as_ref(), after.ended_at.as_ref());
    if before.about != after.about {
        let about: Vec<Bson> = after.about.iter().map(|id| Bson::from(*id)).collect();
        edits.put("about", Some(about).filter(|about| !about.is_empty()));
    }
    if before.also_ended != after.also_ended {
        let also = after
            .also_ended
            .iter()
            .map(|one| document(one).map(Bson::from))
            .collect::<store::StoreResult<Vec<Bson>>>()?;
        edits.put("alsoEnded", Some(also).filter(|also| !also.is_empty()));
    }
    if before.facts != after.facts {
        edits.set("facts", document(&after.facts)?);
    }
    edits.set_changed("updatedAt", &before.updated_at, &after.updated_at);
    Ok(edits)
}
