//! Posting a bot's updates to its webhook, one after the other, until each is taken with a 2xx.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde_json::Value;

use crate::api::{MethodCall, carry_out};
use crate::bot::{BotWebhook, QueuedUpdate, SimBot};
use crate::params::CallParams;
use crate::record::SenderView;
use crate::sim::SimState;

/// Shorter than Telegram's, so that tests of a receiver that comes back need not wait long.
const RETRY_MS_FIRST: u64 = 100;
const RETRY_MS_MAX: u64 = 5_000;

/// Starts the sender for a webhook; it ends when the webhook is replaced or the simulator stops.
pub(crate) fn start(state: &Arc<SimState>, bot: &Arc<SimBot>, epoch: u64) {
    tokio::spawn(run(Arc::clone(state), Arc::clone(bot), epoch));
}

async fn run(state: Arc<SimState>, bot: Arc<SimBot>, epoch: u64) {
    let (mut changed, mut shutdown) = (bot.watch(), state.shutdown.subscribe());
    let mut retry_ms = RETRY_MS_FIRST;
    loop {
        changed.borrow_and_update();
        let Some(webhook) = bot.webhook().filter(|webhook| webhook.epoch == epoch) else {
            return;
        };
        if *shutdown.borrow() {
            return;
        }
        let Some(update) = bot.pending_updates(1).pop() else {
            tokio::select! {
                _ = changed.changed() => {}
                _ = shutdown.changed() => {}
            }
            continue;
        };
        let posted = tokio::select! {
            posted = post(&state, &webhook, &update) => posted,
            _ = shutdown.changed() => return,
        };
        match posted {
            Ok(reply) => {
                retry_ms = RETRY_MS_FIRST;
                bot.confirm(update.id + 1);
                carry_out_reply(&state, &bot, reply).await;
            }
            Err(why) => {
                bot.webhook_failed(epoch, state.now_ms(), why);
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(retry_ms)) => {}
                    _ = shutdown.changed() => return,
                }
                retry_ms = (retry_ms * 2).min(RETRY_MS_MAX);
            }
        }
    }
}

async fn post(state: &SimState, webhook: &BotWebhook, update: &QueuedUpdate) -> Result<Vec<u8>, String> {
    let mut request = state.http.post(&webhook.url).json(&*update.json);
    if let Some(secret) = &webhook.secret {
        request = request.header("X-Telegram-Bot-Api-Secret-Token", secret);
    }
    state.stats.webhook_posts.fetch_add(1, Relaxed);
    let response = request.send().await.map_err(|_| "Connection failed".to_owned())?;
    let status = response.status();
    if !status.is_success() {
        return Err(format!("Wrong response from the webhook: {status}"));
    }
    Ok(response.bytes().await.map(|body| body.to_vec()).unwrap_or_default())
}

/// A receiver may answer with a method call; its result is not told.
async fn carry_out_reply(state: &Arc<SimState>, bot: &Arc<SimBot>, reply: Vec<u8>) {
    let Ok(Value::Object(mut params)) = serde_json::from_slice(&reply) else {
        return;
    };
    let Some(Value::String(method)) = params.remove("method") else {
        return;
    };
    let call =
        MethodCall { bot: Arc::clone(bot), method: method.to_ascii_lowercase(), params: CallParams::from_map(params) };
    if let Err(error) = Box::pin(carry_out(state, &call, SenderView::Ok)).await {
        state.note_refusal(&call, &error);
    }
}
