//! Updates: `getUpdates`, webhooks, and the answer to a pressed button.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::answer::{BotApiError, BotApiResult};
use crate::bot::{QueuedUpdate, SimBot};
use crate::params::CallParams;
use crate::record::{RowKind, TranscriptRow};
use crate::sim::SimState;
use crate::webhook;

const OTHER_POLL: &str = "terminated by other getUpdates request; make sure that only one bot instance is running";
const WEBHOOK_ACTIVE: &str =
    "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first";

/// Hands out unconfirmed updates; waits up to `timeout` real seconds for the first.
pub(super) async fn get_updates(state: &Arc<SimState>, bot: &SimBot, params: &CallParams) -> BotApiResult {
    if bot.webhook().is_some() {
        return Err(BotApiError::conflict(WEBHOOK_ACTIVE));
    }
    let limit = params.int("limit").filter(|limit| (1..=100).contains(limit)).unwrap_or(100);
    let limit = usize::try_from(limit).unwrap_or(100);
    let timeout_s = params.int("timeout").unwrap_or(0).clamp(0, 50);
    let deadline = Instant::now() + Duration::from_secs(timeout_s.unsigned_abs());
    allow(bot, params)?;
    let poll = bot.begin_poll();
    bot.confirm(params.int("offset").unwrap_or(0));
    let (mut changed, mut shutdown) = (bot.watch(), state.shutdown.subscribe());
    loop {
        if !bot.is_latest_poll(poll) {
            let why = if bot.webhook().is_some() { "terminated by setWebhook request" } else { OTHER_POLL };
            return Err(BotApiError::conflict(why));
        }
        let updates = bot.pending_updates(limit);
        if !updates.is_empty() || Instant::now() >= deadline || *shutdown.borrow() {
            return Ok(join(&updates));
        }
        tokio::select! {
            _ = changed.changed() => {}
            _ = shutdown.changed() => {}
            () = tokio::time::sleep_until(deadline) => {}
        }
    }
}

fn join(updates: &[QueuedUpdate]) -> String {
    let updates: Vec<String> = updates.iter().map(|update| update.json.to_string()).collect();
    format!("[{}]", updates.join(","))
}

/// Absent leaves the kinds as they are, as in the real API.
fn allow(bot: &SimBot, params: &CallParams) -> Result<(), BotApiError> {
    if let Some(Value::Array(kinds)) = params.json("allowed_updates", "allowed updates")? {
        bot.allow(kinds.iter().filter_map(|kind| kind.as_str().map(str::to_owned)).collect());
    }
    Ok(())
}

/// From now on, updates are posted to a URL. An empty one removes the webhook.
pub(super) fn set_webhook(state: &Arc<SimState>, bot: &Arc<SimBot>, params: &CallParams) -> BotApiResult {
    let url = params.text("url").unwrap_or_default();
    if url.is_empty() {
        return delete_webhook(bot, params);
    }
    // The real API takes https only; plain http is for tests on one machine.
    if !url::Url::parse(&url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
        return Err(BotApiError::bad_request("bad webhook: invalid webhook URL specified"));
    }
    let secret = params.text("secret_token").filter(|secret| !secret.is_empty());
    let is_valid = |secret: &String| {
        secret.len() <= 256 && secret.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
    };
    if secret.as_ref().is_some_and(|secret| !is_valid(secret)) {
        return Err(BotApiError::bad_request("secret token contains unallowed characters"));
    }
    allow(bot, params)?;
    if params.flag("drop_pending_updates") {
        bot.drop_pending();
    }
    let epoch = bot.set_webhook(Some((url, secret)));
    webhook::start(state, bot, epoch);
    Ok("true".to_owned())
}

/// Back to getUpdates.
pub(super) fn delete_webhook(bot: &SimBot, params: &CallParams) -> BotApiResult {
    bot.set_webhook(None);
    if params.flag("drop_pending_updates") {
        bot.drop_pending();
    }
    Ok("true".to_owned())
}

/// `WebhookInfo`.
pub(super) fn webhook_info(bot: &SimBot) -> Value {
    let webhook = bot.webhook();
    let mut info = json!({
        "url": webhook.as_ref().map(|webhook| webhook.url.as_str()).unwrap_or_default(),
        "has_custom_certificate": false,
        "pending_update_count": bot.pending_count(),
    });
    if let Some((at_ms, why)) = webhook.and_then(|webhook| webhook.last_error) {
        info["last_error_date"] = json!(at_ms.div_euclid(1_000));
        info["last_error_message"] = json!(why);
    }
    info
}

/// Ends a press that [`crate::Sim::press_button`] made.
pub(super) fn answer_callback_query(state: &SimState, bot: &SimBot, params: &CallParams) -> BotApiResult {
    let id = params.text("callback_query_id").unwrap_or_default();
    let Some(chat_id) = bot.close_press(&id) else {
        return Err(BotApiError::bad_request("query is too old and response timeout expired or query ID is invalid"));
    };
    let text = params.text("text").unwrap_or_default();
    state.append(TranscriptRow {
        method: "answerCallbackQuery".to_owned(),
        plain: text.clone(),
        text,
        ..TranscriptRow::new(RowKind::Answer, state.now_ms(), bot.id, chat_id)
    });
    Ok("true".to_owned())
}
