//! Who got an alert, who did not and why, and what each was sent.

use std::collections::HashMap;

use alertcast_core::decision::{DecidedAction, Decision};
use alertcast_core::delivery::{CauseKind, Delivery};
use alertcast_core::id::{AlertId, UserId};
use alertcast_core::store::{Collection, document};
use serde_json::{Value, json};

use super::fault::{Answered, bad_query, not_found, wrong};
use super::list::{self, PAGE_DEFAULT};
use super::reply::Reply;
use super::shape::{self, Extent};
use super::{Asked, documents, reading};
use crate::app::App;

/// Decisions come in chunks of some hundreds of users: so many hold a page.
const CHUNKS: usize = 2;
/// Deliveries read at once.
const DELIVERIES: usize = 500;

/// A page of an alert's recipients, by the users' ids.
pub(super) async fn answer(app: &App, asked: &Asked) -> Answered<Reply> {
    let alert = AlertId(asked.id()?);
    if reading::kept(app, Collection::Alerts, alert.0).await?.is_none() {
        return Err(not_found("alert"));
    }
    let (limit, after) = read(&asked.query, &asked.path)?;
    let (decisions, more) = decisions(app, alert, after, limit).await?;
    let mut sent = deliveries(app, alert, &decisions).await?;
    let next = decisions.last().filter(|_| more).map(|last| list::id_cursor(&asked.path, last.user.0));
    let items = decisions.iter().map(|decision| item(decision, sent.remove(&decision.user).unwrap_or_default()));
    let items = items.collect();
    Ok(list::paged(&asked.path, &asked.query, items, next))
}

fn read(query: &str, path: &str) -> Answered<(usize, Option<UserId>)> {
    let (mut limit, mut after, mut errors) = (PAGE_DEFAULT, None, Vec::new());
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let read = match &*name {
            "limit" => list::limit(&value).map(|n| limit = n),
            "cursor" => list::read_id_cursor(path, &value).map(|id| after = Some(UserId(id))),
            _ => Err(wrong(&name, "unknown_field", "is no parameter: there are limit and cursor")),
        };
        errors.extend(read.err());
    }
    if errors.is_empty() { Ok((limit, after)) } else { Err(bad_query(errors).into()) }
}

async fn decisions(app: &App, alert: AlertId, after: Option<UserId>, limit: usize) -> Answered<(Vec<Decision>, bool)> {
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
async fn deliveries(app: &App, alert: AlertId, decisions: &[Decision]) -> Answered<HashMap<UserId, Vec<Delivery>>> {
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
        .map(|delivery| shape::shown(documents::DELIVERY, &delivery, Extent::Listed))
        .collect();
    let mut item = decided(decision);
    item["deliveries"] = deliveries.into();
    item
}

/// A decision as it is given out.
pub(super) fn decided(decision: &Decision) -> Value {
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
