//! What is to be written once the events have been applied: by field, so that what others keep in a document stays.

use std::collections::BTreeSet;
use std::ops::Deref;

use bson::Bson;
use serde::Serialize;

use super::{LoadedDelivery, LoadedTrade, WorkingSet};
use crate::alert::settling::OutcomeCounts;
use crate::delivery::{Delivery, DeliveryState};
use crate::id::{AlertId, DeliveryId, PreferenceId, SubscriptionId, TradeId, UserId};
use crate::money::Count;
use crate::store::{self, FieldEdits, document};
use crate::time::Time;
use crate::user::RefusingRecipient;

/// What one operation changes.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsequenceEdits {
    pub deliveries: Vec<(DeliveryId, FieldEdits)>,
    /// What is being sent from now on and has not changed beside, where the store records that in batches: see
    /// [`WorkingSet::with_batches`]. It is not among `deliveries`.
    pub sending: Vec<SendingMark>,
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

/// A delivery that is being sent from now on, and is else as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendingMark {
    pub delivery: DeliveryId,
    /// How often sending it had been begun before.
    pub attempts_before: i64,
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
    let (mut deliveries, mut sending) = (Vec::new(), Vec::new());
    for (id, loaded) in set.deliveries.iter().filter_map(|(id, one)| Some((*id, one.as_ref()?))) {
        if !loaded.is_changed {
            continue;
        }
        if set.has_batches && loaded.is_merely_sending() {
            sending.push(SendingMark { delivery: id, attempts_before: loaded.current.attempts.0.saturating_sub(1) });
        } else if !loaded.changed.is_empty() {
            deliveries.push((id, write_fields(&loaded.current, loaded.changed)?));
        }
    }
    let trades = set.trades.iter().filter_map(|(id, one)| Some((*id, one.as_ref().filter(|one| one.is_changed)?)));
    let trades = trades.map(|(id, loaded)| (id, edit_trade(loaded, set.now))).collect();
    Ok(ConsequenceEdits {
        deliveries,
        sending,
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

/// Declares the fields of a delivery that events change: for each its path in the document, how it stands there, and the
/// method that changes it, where it is changed alone. What a delivery is, and for whom, no event changes.
macro_rules! changing_fields {
    ($($field:ident, $path:literal, $write:ident $(, $set:ident($type:ty))?;)+) => {
        /// Which fields of a delivery events have changed.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub(super) struct ChangedFields {
            $($field: bool,)+
        }

        impl ChangedFields {
            /// The fields in which two forms of a delivery differ.
            pub(super) fn find(before: &Delivery, after: &Delivery) -> Self {
                Self { $($field: before.$field != after.$field,)+ }
            }

            pub(super) fn add(&mut self, other: Self) {
                $(self.$field |= other.$field;)+
            }

            pub(super) const fn is_empty(self) -> bool {
                !($(self.$field)||+)
            }
        }

        /// Changes a delivery, and notes in which fields.
        #[derive(Debug)]
        pub(super) struct DeliveryEditor<'a> {
            pub(super) current: &'a mut Delivery,
            pub(super) changed: &'a mut ChangedFields,
        }

        impl DeliveryEditor<'_> {
            $($(pub(super) fn $set(&mut self, value: $type) {
                if self.current.$field != value {
                    self.current.$field = value;
                    self.changed.$field = true;
                }
            })?)+
        }

        /// The changed fields as they are now.
        fn write_fields(current: &Delivery, changed: ChangedFields) -> store::StoreResult<FieldEdits> {
            let mut edits = FieldEdits::default();
            $(if changed.$field {
                $write(&mut edits, $path, &current.$field)?;
            })+
            Ok(edits)
        }
    };
}

changing_fields! {
    state, "state", write_value, set_state(DeliveryState);
    to, "to", write_value, set_to(String);
    queued_at, "queuedAt", write_value;
    rotation, "rotation", write_value;
    due_at, "dueAt", write_value, set_due_at(Time);
    deadline_at, "deadlineAt", write_value, set_deadline_at(Time);
    entry_deadline_at, "entryDeadlineAt", write_option, set_entry_deadline_at(Option<Time>);
    superseded_by, "supersededBy", write_option, set_superseded_by(Option<DeliveryId>);
    combines, "combines", write_option;
    combines_alert, "combinesAlert", write_option;
    old_unknown, "oldUnknown", write_flag;
    entry_over, "entryOver", write_flag;
    entry_lapsed, "entryLapsed", write_flag, set_entry_lapsed(bool);
    attempts, "attempts", write_value, set_attempts(Count);
    possible_repeat, "possibleRepeat", write_value, set_possible_repeat(bool);
    epoch, "epoch", write_option, set_epoch(Option<i64>);
    last_error, "lastError", write_option, set_last_error(Option<String>);
    topic_gone, "topicGone", write_flag, set_topic_gone(bool);
    message_id, "messageId", write_option, set_message_id(Option<i64>);
    ended_at, "endedAt", write_option, set_ended_at(Option<Time>);
    about, "about", write_ids;
    also_ended, "alsoEnded", write_list;
    facts, "facts", write_document;
    updated_at, "updatedAt", write_value, set_updated_at(Time);
}

impl LoadedDelivery {
    /// Whether nothing has changed but that it is being sent.
    fn is_merely_sending(&self) -> bool {
        let beside = ChangedFields { state: false, attempts: false, epoch: false, updated_at: false, ..self.changed };
        self.changed.state && self.current.state == DeliveryState::Sending && beside.is_empty()
    }
}

impl Deref for DeliveryEditor<'_> {
    type Target = Delivery;

    fn deref(&self) -> &Delivery {
        self.current
    }
}

fn write_value<T: Clone + Into<Bson>>(edits: &mut FieldEdits, path: &'static str, value: &T) -> store::StoreResult<()> {
    edits.set(path, value.clone());
    Ok(())
}

fn write_option<T: Clone + Into<Bson>>(
    edits: &mut FieldEdits,
    path: &'static str,
    value: &Option<T>,
) -> store::StoreResult<()> {
    edits.put(path, value.clone());
    Ok(())
}

/// It stands in the document only where it is true.
fn write_flag(edits: &mut FieldEdits, path: &'static str, flag: &bool) -> store::StoreResult<()> {
    edits.put(path, flag.then_some(true));
    Ok(())
}

fn write_ids(edits: &mut FieldEdits, path: &'static str, ids: &[TradeId]) -> store::StoreResult<()> {
    let ids: Vec<Bson> = ids.iter().map(|id| Bson::from(*id)).collect();
    edits.put(path, Some(ids).filter(|ids| !ids.is_empty()));
    Ok(())
}

fn write_list<T: Serialize>(edits: &mut FieldEdits, path: &'static str, values: &[T]) -> store::StoreResult<()> {
    let list = values.iter().map(|one| document(one).map(Bson::from)).collect::<store::StoreResult<Vec<Bson>>>()?;
    edits.put(path, Some(list).filter(|list| !list.is_empty()));
    Ok(())
}

fn write_document<T: Serialize>(edits: &mut FieldEdits, path: &'static str, value: &T) -> store::StoreResult<()> {
    edits.set(path, document(value)?);
    Ok(())
}

/// The fields that events change, where they differ.
#[cfg(test)]
pub(super) fn edit_delivery(before: &Delivery, after: &Delivery) -> store::StoreResult<FieldEdits> {
    write_fields(after, ChangedFields::find(before, after))
}
