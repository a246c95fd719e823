//! Who got an alert, who did not and why, and what each was sent.

use std::collections::{BTreeMap, HashMap};

use alertcast_core::decision::{DecidedAction, Decision, Verdict};
use alertcast_core::delivery::{CauseKind, Delivery, DeliveryState, MessageKind};
use alertcast_core::id::{AlertId, TradeId, UserId};
use alertcast_core::schema;
use alertcast_core::store::{Collection, document};
use bson::oid::ObjectId;
use serde_json::{Value, json};

use super::document_names::add_names;
use super::error::{ApiResult, bad_query, not_found, unknown_parameter, wrong};
use super::list::{self, PAGE_DEFAULT};
use super::reply::ApiReply;
use super::{ApiRequest, reading};
use crate::base::Base;
use crate::document_input::FieldCode;
use crate::document_view::{self, DocumentExtent};

/// Decisions come in chunks of some hundreds of users: so many hold a page.
const CHUNKS: usize = 2;
/// Deliveries read at once.
const DELIVERIES: usize = 500;

/// Which recipients are asked for.
#[derive(Debug)]
enum RecipientFilter {
    /// So many behind one.
    Page { limit: usize, after: Option<UserId> },
    /// One only.
    User(UserId),
}

/// A page of an alert's recipients, by the users' ids; or the one that is asked for.
pub(super) async fn answer(base: &Base, asked: &ApiRequest) -> ApiResult<ApiReply> {
    let alert = AlertId(asked.id()?);
    if reading::load_kept(base, Collection::Alerts, alert.0).await?.is_none() {
        return Err(not_found("alert"));
    }
    let (decisions, more) = match read(&asked.query, &asked.path)? {
        RecipientFilter::Page { limit, after } => decisions(base, alert, after, limit).await?,
        RecipientFilter::User(user) => (decision(base, alert, user).await?, false),
    };
    let mut sent = deliveries(base, alert, &decisions).await?;
    let next = decisions.last().filter(|_| more).map(|last| list::id_cursor(&asked.path, last.user.0));
    let item = |decision: &Decision| item(decision, sent.remove(&decision.user).unwrap_or_default());
    let mut items: Vec<Value> = decisions.iter().map(item).collect();
    add_names(base, &asked.caller, &mut items).await?;
    Ok(list::page_reply(&asked.path, &asked.query, items, next))
}

fn read(query: &str, path: &str) -> ApiResult<RecipientFilter> {
    let (mut limit, mut after, mut user, mut errors) = (PAGE_DEFAULT, None, None, Vec::new());
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let read = match &*name {
            "limit" => list::limit(&value).map(|n| limit = n),
            "cursor" => list::read_id_cursor(path, &value).map(|id| after = Some(UserId(id))),
            "userId" => match ObjectId::parse_str(&value) {
                Ok(id) => {
                    user = Some(UserId(id));
                    Ok(())
                }
                Err(_) => Err(wrong(&name, FieldCode::Invalid, "is 24 hexadecimal digits")),
            },
            _ => Err(unknown_parameter(&name, &["userId", "limit", "cursor"])),
        };
        errors.extend(read.err());
    }
    if user.is_some() && after.is_some() {
        errors.push(wrong("cursor", FieldCode::Invalid, "belongs to another query: with userId there is one page"));
    }
    match user {
        _ if !errors.is_empty() => Err(bad_query(errors).into()),
        Some(user) => Ok(RecipientFilter::User(user)),
        None => Ok(RecipientFilter::Page { limit, after }),
    }
}

/// What was decided about one user: in the chunk that the id before theirs is followed by.
async fn decision(base: &Base, alert: AlertId, user: UserId) -> ApiResult<Vec<Decision>> {
    let chunks = base.store.decisions(alert, before(user), 1).await?;
    Ok(chunks.into_iter().flat_map(|chunk| chunk.decisions).filter(|decision| decision.user == user).collect())
}

/// The id right before this one; none before the first.
fn before(user: UserId) -> Option<UserId> {
    let mut bytes = user.bytes();
    let last = bytes.iter().rposition(|byte| *byte > 0)?;
    bytes[last] -= 1;
    bytes[last + 1..].fill(u8::MAX);
    Some(UserId(ObjectId::from_bytes(bytes)))
}

async fn decisions(
    base: &Base,
    alert: AlertId,
    after: Option<UserId>,
    limit: usize,
) -> ApiResult<(Vec<Decision>, bool)> {
    let (mut found, mut last) = (Vec::new(), after);
    loop {
        let chunks = base.store.decisions(alert, last, CHUNKS).await?;
        let Some(end) = chunks.last().map(|chunk| chunk.last_user) else { return Ok((found, false)) };
        let beyond = |decision: &Decision| after.is_none_or(|after| decision.user > after);
        found.extend(chunks.into_iter().flat_map(|chunk| chunk.decisions).filter(beyond));
        if found.len() > limit {
            found.truncate(limit);
            return Ok((found, true));
        }
        last = Some(end);
    }
}

/// What these users were sent because of the alert. The keys of deliveries begin with the cause and the user.
async fn deliveries(base: &Base, alert: AlertId, decisions: &[Decision]) -> ApiResult<HashMap<UserId, Vec<Delivery>>> {
    let mut by_user: HashMap<UserId, Vec<Delivery>> = HashMap::new();
    let (Some(first), Some(last)) = (decisions.first(), decisions.last()) else { return Ok(by_user) };
    let mut after = vec![CauseKind::Alert as u8];
    after.extend_from_slice(&alert.bytes());
    after.extend_from_slice(&first.user.bytes());
    loop {
        let found = base.store.deliveries_of(alert, Some(&after), DELIVERIES).await?;
        let full = found.len() == DELIVERIES;
        for delivery in found {
            after.clone_from(&delivery.key.bytes);
            match delivery.user_id {
                Some(user) if user > last.user => return Ok(by_user),
                Some(user) => by_user.entry(user).or_default().push(delivery),
                None => {}
            }
        }
        if !full {
            return Ok(by_user);
        }
    }
}

fn item(decision: &Decision, sent: Vec<Delivery>) -> Value {
    let deliveries: Vec<Value> = sent
        .iter()
        .filter_map(|delivery| document(delivery).ok())
        .map(|delivery| {
            document_view::show_fields(schema::fields(Collection::Deliveries), &delivery, DocumentExtent::Listed)
        })
        .collect();
    let mut item = show_decision(decision);
    item["verdict"] =
        told_verdict(decision.verdict, sent.iter().map(|delivery| (delivery.kind, delivery.trade_id, delivery.state)))
            .into();
    item["deliveries"] = deliveries.into();
    item
}

/// A verdict by what became of it: of who gets a message, where it stands. A message has been sent where one channel has
/// sent it; of several messages that counts which is least well. Results are no messages of their own.
fn told_verdict(
    verdict: Verdict,
    sent: impl Iterator<Item = (MessageKind, Option<TradeId>, DeliveryState)>,
) -> &'static str {
    if verdict != Verdict::Sent {
        return verdict.as_str();
    }
    let mut messages: BTreeMap<_, DeliveryState> = BTreeMap::new();
    for (kind, trade, state) in sent.filter(|(kind, ..)| *kind != MessageKind::Result) {
        let state = if state == DeliveryState::Sending { DeliveryState::Pending } else { state };
        let best = messages.entry((kind, trade)).or_insert(state);
        if place_in(&BEST_FIRST, state) < place_in(&BEST_FIRST, *best) {
            *best = state;
        }
    }
    let least = messages.into_values().min_by_key(|state| place_in(&OPEN_AND_LOST_FIRST, *state));
    // Those of long ago are not kept: it is told as it was decided.
    least.unwrap_or(DeliveryState::Sent).as_str()
}

/// Of one message by several channels the first of these counts.
const BEST_FIRST: [DeliveryState; 7] = [
    DeliveryState::Sent,
    DeliveryState::Superseded,
    DeliveryState::Pending,
    DeliveryState::Held,
    DeliveryState::Dead,
    DeliveryState::Expired,
    DeliveryState::Dropped,
];
/// Of several messages the first of these counts.
const OPEN_AND_LOST_FIRST: [DeliveryState; 7] = [
    DeliveryState::Pending,
    DeliveryState::Held,
    DeliveryState::Dead,
    DeliveryState::Expired,
    DeliveryState::Dropped,
    DeliveryState::Superseded,
    DeliveryState::Sent,
];

fn place_in(order: &[DeliveryState], state: DeliveryState) -> usize {
    order.iter().position(|one| *one == state).unwrap_or(order.len())
}

/// A decision as it is given out.
pub(super) fn show_decision(decision: &Decision) -> Value {
    let action = |done: &DecidedAction| json!({"action": done.action.as_str(), "tradeId": done.trade.to_string()});
    let actions: Vec<Value> = decision.actions.iter().map(action).collect();
    let mut item = json!({
        "userId": decision.user.to_string(), "verdict": decision.verdict.as_str(), "actions": actions,
    });
    if let Some(subscription) = decision.subscription {
        item["subscriptionId"] = subscription.to_string().into();
    }
    item
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_tells_where_the_messages_stand_and_of_several_the_least_well() {
        use DeliveryState::{Dead, Dropped, Expired, Held, Pending, Sending, Sent, Superseded};
        use MessageKind::{Entry, Exit, Result};
        let trade = |n: u8| Some(TradeId(ObjectId::from_bytes([n; 12])));
        let told = |sent: &[(MessageKind, u8, DeliveryState)]| {
            told_verdict(Verdict::Sent, sent.iter().map(|(kind, of, state)| (*kind, trade(*of), *state)))
        };
        for (sent, expected) in [
            (&[(Entry, 1, Sent)][..], "sent"),
            (&[(Entry, 1, Sending)], "pending"),
            (&[(Entry, 1, Held)], "held"),
            (&[(Entry, 1, Expired)], "expired"),
            (&[(Entry, 1, Dropped)], "dropped"),
            (&[(Entry, 1, Dead), (Entry, 1, Sent)], "sent"),
            (&[(Entry, 1, Dead), (Entry, 1, Pending)], "pending"),
            (&[(Entry, 1, Dead), (Entry, 1, Expired)], "dead"),
            (&[(Entry, 1, Superseded), (Entry, 1, Dead)], "superseded"),
            (&[(Exit, 1, Sent), (Exit, 2, Dead)], "dead"),
            (&[(Exit, 1, Pending), (Exit, 2, Dead)], "pending"),
            (&[(Exit, 1, Sent), (Result, 1, Dropped)], "sent"),
            (&[], "sent"),
        ] {
            assert_eq!(told(sent), expected, "{sent:?}");
        }
        assert_eq!(told_verdict(Verdict::DailyLimit, [(Exit, trade(1), Dead)].into_iter()), "daily_limit");
    }

    #[test]
    fn the_id_before_an_id_borrows_as_numbers_do() {
        let id = |text: &str| UserId(ObjectId::parse_str(text).unwrap());
        for (user, expected) in [
            ("000000000000000000000002", Some("000000000000000000000001")),
            ("0102030405060708090a0000", Some("01020304050607080909ffff")),
            ("010000000000000000000000", Some("00ffffffffffffffffffffff")),
            ("000000000000000000000000", None),
        ] {
            assert_eq!(before(id(user)), expected.map(id), "{user}");
        }
    }
}
