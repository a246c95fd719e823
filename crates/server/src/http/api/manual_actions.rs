//! What operators do by hand. The acts are `operator`'s; here they are called and answered.

use alertcast_core::alert::intent::OperatorReading;
use alertcast_core::decision::Decision;
use alertcast_core::id::{AlertId, DeliveryId, SubscriptionId, TradeId, UserId};
use alertcast_core::matching::remarks::OperatorRemark;
use alertcast_core::store::Collection;
use alertcast_core::time::Time;
use axum::http::StatusCode;
use bson::Bson;
use serde_json::{Map, Value, json};

use super::document_names::add_names;
use super::error::{ApiResult, broken_rules, not_found, refuse_act, refuse_fields, wrong};
use super::idempotency::RequestKey;
use super::recipients;
use super::reply::ApiReply;
use super::{ApiRequest, reading};
use crate::app::App;
use crate::base::Base;
use crate::document_input::{self, FieldCode};
use crate::document_kinds::{self, DocumentKind};
use crate::document_view::DocumentExtent;
use crate::operator::{self, ActError, OperatorAction, RehearsedRequest};

/// Closes a trade at a price.
pub(super) async fn close_trade(app: &App, asked: &ApiRequest) -> ApiResult<ApiReply> {
    let trade = TradeId(asked.id()?);
    let (price, reason) = document_input::read_closing(reading::json(&asked.body)?).map_err(refuse_fields)?;
    // What the body says, the subscriber hears too; what the header says is for the log alone.
    let note = reason.clone();
    let note = note.as_deref();
    once(app, asked, Collection::Trades, reason, |act| async move {
        operator::close_trade(app, &act, trade, price, note).await.map(drop)
    })
    .await
}

/// Sends a message again.
pub(super) async fn resend(app: &App, asked: &ApiRequest) -> ApiResult<ApiReply> {
    let delivery = DeliveryId(asked.id()?);
    once(app, asked, Collection::Deliveries, None, |act| async move {
        operator::resend(app, &act, delivery).await.map(drop)
    })
    .await
}

/// Writes again to a chat that refused us.
pub(super) async fn unblock(app: &App, asked: &ApiRequest) -> ApiResult<ApiReply> {
    let user = UserId(asked.id()?);
    once(app, asked, Collection::Users, None, |act| async move { operator::unblock(app, &act, user).await }).await
}

/// Has a refused alert processed after all.
pub(super) async fn process(app: &App, asked: &ApiRequest) -> ApiResult<ApiReply> {
    let alert = AlertId(asked.id()?);
    let reading = reading_of(app, asked, Collection::Alerts).await?;
    once(app, asked, Collection::Alerts, None, |act| async move {
        operator::accept_refused(app, &act, alert, reading).await.map(drop)
    })
    .await
}

/// Has a request processed that was kept as a rejected webhook: it becomes an alert with its id.
pub(super) async fn process_rejected(app: &App, asked: &ApiRequest) -> ApiResult<ApiReply> {
    let rejected = asked.id()?;
    let reading = reading_of(app, asked, Collection::RejectedWebhooks).await?;
    once(app, asked, Collection::Alerts, None, |act| async move {
        operator::accept_rejected(app, &act, rejected, reading).await.map(drop)
    })
    .await
}

/// As what the operator says that the alert is meant, where they do.
async fn reading_of(base: &Base, asked: &ApiRequest, of: Collection) -> ApiResult<Option<OperatorReading>> {
    if asked.body.trim_ascii().is_empty() {
        return Ok(None);
    }
    let sent = reading::json(&asked.body)?;
    let id = asked.id()?;
    let mut is_there = reading::load_kept(base, of, id).await?.is_some();
    if !is_there && of == Collection::RejectedWebhooks {
        is_there = reading::load_kept(base, Collection::Alerts, id).await?.is_some();
    }
    if !is_there {
        return Err(not_found(resource(of)?.called));
    }
    document_input::read_meaning(sent).map_err(refuse_fields)
}

/// Finds that a payment has come.
pub(super) async fn approve_subscription(app: &App, asked: &ApiRequest) -> ApiResult<ApiReply> {
    let subscription = SubscriptionId(asked.id()?);
    let sent = if asked.body.trim_ascii().is_empty() { json!({}) } else { reading::json(&asked.body)? };
    let approval = document_input::read_approval(sent).map_err(refuse_fields)?;
    let approval = &approval;
    once(app, asked, Collection::UserSubscriptions, None, |act| async move {
        operator::approve_subscription(app, &act, subscription, approval.clone()).await.map(drop)
    })
    .await
}

/// Finds that a payment has not come.
pub(super) async fn reject_subscription(app: &App, asked: &ApiRequest) -> ApiResult<ApiReply> {
    let subscription = SubscriptionId(asked.id()?);
    let rejection = document_input::read_rejection(reading::json(&asked.body)?).map_err(refuse_fields)?;
    let rejection = &rejection;
    once(app, asked, Collection::UserSubscriptions, rejection.reason.clone(), |act| async move {
        operator::reject_subscription(app, &act, subscription, rejection.clone()).await.map(drop)
    })
    .await
}

/// Cancels a subscription.
pub(super) async fn cancel_subscription(app: &App, asked: &ApiRequest) -> ApiResult<ApiReply> {
    let subscription = SubscriptionId(asked.id()?);
    let when = document_input::read_cancellation(reading::json(&asked.body)?).map_err(refuse_fields)?;
    once(app, asked, Collection::UserSubscriptions, None, |act| async move {
        operator::cancel_subscription(app, &act, subscription, when).await.map(drop)
    })
    .await
}

/// Erases a person.
pub(super) async fn erase_user(app: &App, asked: &ApiRequest) -> ApiResult<ApiReply> {
    let user = UserId(asked.id()?);
    let resource = resource(Collection::Users)?;
    for _ in 0..operator::TRIES_MAX {
        let mut seen = Vec::new();
        if asked.conditions.are_there() {
            let kept = reading::document(app, resource, user.0).await?;
            seen.push(("updatedAt".to_owned(), kept.get("updatedAt").cloned().unwrap_or(Bson::Null)));
            asked.conditions.hold(&resource.show_document(&kept, DocumentExtent::Whole))?;
        }
        match operator::erase_user(app, &asked.act(None), user, seen).await {
            Ok(_) => return Ok(ApiReply::nothing()),
            Err(ActError::Changed) => {}
            Err(error) => return Err(refuse_act(error, resource.called)),
        }
    }
    Err(refuse_act(ActError::Busy, resource.called))
}

/// Does an act once for each `Idempotency-Key`, and answers the document that it was done to.
async fn once<F: Future<Output = operator::ActionResult<()>>>(
    app: &App,
    asked: &ApiRequest,
    collection: Collection,
    reason: Option<String>,
    done: impl Fn(OperatorAction) -> F,
) -> ApiResult<ApiReply> {
    let (id, resource) = (asked.id()?, resource(collection)?);
    let key = RequestKey::of(asked)?;
    let mut act = asked.act(reason);
    if let Some(key) = &key {
        if let Some(before) = key.find_answer(app).await? {
            return Ok(before);
        }
        act.also.push(key.find_record(app).await?.keep_shown(app, resource, id));
    }
    if let Err(error) = do_as_seen(app, asked, resource, act, done).await {
        // Whoever came first with this key may have done it.
        let before = match &key {
            Some(key) => key.find_answer(app).await?,
            None => None,
        };
        return before.ok_or(error);
    }
    let shown = resource.show_document(&reading::document(app, resource, id).await?, DocumentExtent::Whole);
    Ok(ApiReply::document(StatusCode::OK, &shown))
}

/// Does an act under the request's conditions. Where the document has changed since they held, they are judged again.
async fn do_as_seen<F: Future<Output = operator::ActionResult<()>>>(
    app: &App,
    asked: &ApiRequest,
    resource: &DocumentKind,
    mut act: OperatorAction,
    done: impl Fn(OperatorAction) -> F,
) -> ApiResult<()> {
    for _ in 0..operator::TRIES_MAX {
        if asked.conditions.are_there() {
            let kept = reading::document(app, resource, asked.id()?).await?;
            asked.conditions.hold(&resource.show_document(&kept, DocumentExtent::Whole))?;
            act.seen = Some(kept.get_datetime("updatedAt").map_or_else(|_| Time::default(), |at| Time::from(*at)));
        }
        match done(act.clone()).await {
            Err(ActError::Changed) => {}
            done => return done.map_err(|error| refuse_act(error, resource.called)),
        }
    }
    Err(refuse_act(ActError::Busy, resource.called))
}

fn resource(collection: Collection) -> ApiResult<&'static DocumentKind> {
    document_kinds::of(collection).ok_or_else(|| not_found("document"))
}

/// Works out what an alert would come to.
pub(super) async fn rehearse(app: &App, asked: &ApiRequest) -> ApiResult<ApiReply> {
    let rehearsed = operator::rehearse(app, &asked.body, &asked.query).await?;
    Ok(ApiReply::ok(match rehearsed {
        RehearsedRequest::Unreadable(unreadable) => {
            let error = wrong("body", FieldCode::Unreadable, unreadable.to_string());
            json!({"outcome": "unreadable", "errors": [error]})
        }
        RehearsedRequest::Refused { config, problems } => {
            let mut body = json!({"outcome": "refused", "errors": broken_rules(problems)});
            if let Some(config) = config {
                body["alertConfigId"] = config.to_string().into();
            }
            body
        }
        RehearsedRequest::Duplicate { of } => {
            json!({"outcome": "duplicate", "errors": [], "duplicateOf": of.to_string()})
        }
        RehearsedRequest::Accepted { config, testing, left_out, outcome, remarks, texts } => {
            let count = |name: &str, n: usize| (name.to_owned(), Value::from(n));
            let verdicts: Map<String, Value> = outcome.verdicts.iter().map(|(v, n)| count(v.as_str(), *n)).collect();
            let messages: Map<String, Value> = outcome.messages.iter().map(|(c, n)| count(c.as_str(), *n)).collect();
            let texts: Vec<Value> = texts.iter().map(text).collect();
            let mut subscribers: Vec<Value> = outcome.subscribers.iter().map(decision).collect();
            add_names(app, &asked.caller, &mut subscribers).await?;
            json!({
                "outcome": "accepted", "errors": [], "alertConfigId": config.to_string(), "testing": testing,
                "leftOut": broken_rules(left_out), "verdicts": verdicts, "subscribers": subscribers,
                "opened": outcome.opened, "ended": outcome.ended, "messages": messages, "texts": texts,
                "operators": remarks.into_iter().map(remark).collect::<Vec<_>>(),
            })
        }
    }))
}

fn text(sample: &operator::SampleMessage) -> Value {
    let mut text = json!({
        "channel": sample.channel.as_str(), "kind": sample.kind.as_str(), "html": sample.html, "plain": sample.plain,
    });
    if let Some(user) = sample.user {
        text["userId"] = user.to_string().into();
    }
    text
}

fn remark(remark: OperatorRemark) -> Value {
    json!({"kind": remark.kind.as_str(), "title": remark.title, "lines": remark.lines})
}

fn decision(decision: &Decision) -> Value {
    recipients::show_decision(decision)
}
