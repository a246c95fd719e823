//! Who got an alert, who did not and why, and what each was sent.

use std::collections::HashMap;

use alertcast_core::decision::{DecidedAction, Decision};
use alertcast_core::delivery::{CauseKind, Delivery};
use alertcast_core::id::{AlertId, UserId};
use alertcast_core::store::{Collection, document};
use bson::oid::ObjectId;
use serde_json::{Value, json};

use super::error::{ApiResult, bad_query, not_found, unknown_parameter, wrong};
use super::list::{self, PAGE_DEFAULT};
use super::reply::ApiReply;
use super::shape::{self, DocumentExtent};
use super::{ApiRequest, documents, reading};
use crate::app::App;
use crate::document_input::FieldCode;

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
pub(super) async fn answer(app: &App, asked: &ApiRequest) -> ApiResult<ApiReply> {
    let alert = AlertId(asked.id()?);
    if reading::load_kept(app, Collection::Alerts, alert.0).await?.is_none() {
        return Err(not_found("alert"));
    }
    let (decisions, more) = match read(&asked.query, &asked.path)? {
        RecipientFilter::Page { limit, after } => decisions(app, alert, after, limit).await?,
        RecipientFilter::User(user) => (decision(app, alert, user).await?, false),
    };
    let mut sent = deliveries(app, alert, &decisions).await?;
    let next = decisions.last().filter(|_| more).map(|last| list::id_cursor(&asked.path, last.user.0));
    let items = decisions.iter().map(|decision| item(decision, sent.remove(&decision.user).unwrap_or_default()));
    let items = items.collect();
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
async fn decision(app: &App, alert: AlertId, user: UserId) -> ApiResult<Vec<Decision>> {
    let chunks = app.store.decisions(alert, before(user), 1).await?;
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

async fn decisions(app: &App, alert: AlertId, after: Option<UserId>, limit: usize) -> ApiResult<(Vec<Decision>, bool)> {
    let (mut found, mut last) = (Vec::new(), after);
    loop {
        let chunks = app.store.decisions(alert, last, CHUNKS).await?;
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
async fn deliveries(app: &App, alert: AlertId, decisions: &[Decision]) -> ApiResult<HashMap<UserId, Vec<Delivery>>> {
    let mut by_user: HashMap<UserId, Vec<Delivery>> = HashMap::new();
    let (Some(first), Some(last)) = (decisions.first(), decisions.last()) else { return Ok(by_user) };
    let mut after = vec![CauseKind::Alert as u8];
    after.extend_from_slice(&alert.bytes());
    after.extend_from_slice(&first.user.bytes());
    loop {
        let found = app.store.deliveries_of(alert, Some(&after), DELIVERIES).await?;
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
        .map(|delivery| shape::show_shape(documents::DELIVERY, &delivery, DocumentExtent::Listed))
        .collect();
    let mut item = show_decision(decision);
    item["deliveries"] = deliveries.into();
    item
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
