//! What is kept of a request that is refused, and what the operators hear of it.

use alertcast_core::alert::document::Alert;
use alertcast_core::alert::intent::Intent;
use alertcast_core::alert::payload::{scrub, scrub_query};
use alertcast_core::store::{OperatorNotice, RejectedWebhook, StoreResult};

use super::answer::WebhookAnswer;
use super::intake::AuthorizedRequest;
use crate::app::App;
use crate::base::Base;
use crate::notices::{NoticeTrouble, notices};

/// The most bytes of a body's text that are kept.
const TEXT_BYTES_MAX: usize = 64 * 1024;
/// The most problems that one message names.
const LINES_MAX: usize = 8;

/// Keeps a request that is no alert among the rejected webhooks, and tells the operators: once for each kind of mistake.
pub(super) async fn keep_request(app: &App, request: &AuthorizedRequest, answer: &WebhookAnswer) -> StoreResult<()> {
    let lines = answer.lines();
    let rejected = RejectedWebhook {
        id: app.ids.next(),
        received_at: request.received_at,
        ip_address: Some(request.address.to_string()),
        body: cut(scrub(&String::from_utf8_lossy(&request.kept_body))),
        query: scrub_query(&request.kept_query),
        errors: lines.clone(),
        status: answer.status().as_u16().into(),
    };
    let mut told = shorten_lines(lines);
    told.push(format!("Kept as rejected webhook {}", rejected.id));
    told.extend(how_to_say(answer, &format!("rejected-webhooks/{}", rejected.id)));
    let trouble = NoticeTrouble {
        group: format!("request:{}:{}", answer.outcome(), answer.faults()),
        title: answer.title().to_owned(),
        lines: told,
        alert: None,
    };
    app.intake.reject_webhook(rejected, notices(app, &trouble, request.received_at)).await?;
    app.wake.deliveries_came();
    Ok(())
}

/// What the operators hear of a refused alert: once for each configuration and kind of mistake.
pub(super) fn notices_about_alert(base: &Base, alert: &Alert, answer: &WebhookAnswer) -> Vec<OperatorNotice> {
    let data = &alert.alert_data;
    let name = format!("{} {} {}", data.symbol, data.timeframe, data.strategy);
    let intent = Intent::from_document(data.signal, alert.alertcast.intent.as_ref());
    let what = intent.map_or_else(|_| data.signal.to_string(), |intent| intent.to_string());
    let trouble = NoticeTrouble {
        group: format!("alert:{name}:{}", answer.faults()),
        title: format!("{}: {what} {name}", answer.title()),
        lines: {
            let mut lines = shorten_lines(answer.lines());
            lines.extend(how_to_say(answer, &format!("alerts/{}", alert.id)));
            lines
        },
        alert: Some(alert.id),
    };
    notices(base, &trouble, alert.webhook.received_at)
}

/// How to have it processed where it is only unclear what it asks for: the request to send.
fn how_to_say(answer: &WebhookAnswer, place: &str) -> Option<String> {
    answer.is_unclear().then(|| {
        format!(
            "If you know what it means, say so: POST /api/v1/{place}/process with {{\"as\": \"exit\", \"side\": \"BUY\"}} \
             closes the BUY trades (without side all); \"entry\" opens one on that side, \"turn\" closes the other side \
             and opens one"
        )
    })
}

fn shorten_lines(mut lines: Vec<String>) -> Vec<String> {
    let more = lines.len().saturating_sub(LINES_MAX);
    if more > 0 {
        lines.truncate(LINES_MAX);
        lines.push(format!("… and {more} more"));
    }
    lines
}

/// Bytes that are no text become longer when they are shown.
fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    text
}
