//! The simulator's own routes, under `/sim`: everything that the handle can do, for another process.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, Response, header};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::SimError;
use crate::answer::json_response;
use crate::chat::ChatKind;
use crate::config::{ChatMode, SimLimits};
use crate::fault::{FaultAction, FaultId, InjectedFault};
use crate::files::FileKind;
use crate::inbound::UserFile;
use crate::sim::SimHandle;

/// All control routes.
pub(crate) fn routes() -> Router<SimHandle> {
    Router::new()
        .route("/bots", get(list_bots).post(add_bot))
        .route("/faults", get(list_faults).post(add_fault).delete(clear_faults))
        .route("/faults/{id}", delete(remove_fault))
        .route("/limits", get(get_limits).post(set_limits))
        .route("/settings", post(set_settings))
        .route("/chats/{chat}/{change}", post(change_chat))
        .route("/updates", post(add_update))
        .route("/files", post(add_file))
        .route("/files/{id}", get(file))
        .route("/messages", get(messages))
        .route("/transcript", get(transcript))
        .route("/transcript/{name}", get(chat_text))
        .route("/stats", get(stats))
        .route("/wait", get(wait))
        .route("/reset", post(reset))
}

fn reply_done(value: impl Serialize) -> Response<Body> {
    json_response(200, json!(value).to_string())
}

fn reply_failed(status: u16, why: impl std::fmt::Display) -> Response<Body> {
    json_response(status, json!({ "error": why.to_string() }).to_string())
}

fn outcome(result: Result<impl Serialize, SimError>) -> Response<Body> {
    match result {
        Ok(value) => reply_done(value),
        Err(error @ (SimError::UnknownBot(_) | SimError::UnknownMessage { .. })) => reply_failed(404, error),
        Err(error @ SimError::TimedOut { .. }) => reply_failed(408, error),
        Err(error) => reply_failed(400, error),
    }
}

#[derive(Deserialize)]
struct NewBot {
    token: String,
}

async fn list_bots(State(sim): State<SimHandle>) -> Response<Body> {
    reply_done(sim.bot_ids())
}

async fn add_bot(State(sim): State<SimHandle>, Json(bot): Json<NewBot>) -> Response<Body> {
    outcome(sim.add_bot(&bot.token).map(|id| json!({ "id": id })))
}

async fn list_faults(State(sim): State<SimHandle>) -> Response<Body> {
    let faults: Vec<Value> = sim.faults().into_iter().map(|(id, fault)| json!({ "id": id, "fault": fault })).collect();
    reply_done(faults)
}

async fn add_fault(State(sim): State<SimHandle>, Json(fault): Json<InjectedFault>) -> Response<Body> {
    if let FaultAction::ErrorBefore { status } | FaultAction::ErrorAfter { status } = fault.action
        && !(500..=599).contains(&status)
    {
        return reply_failed(400, "a server error has a status from 500 to 599");
    }
    reply_done(json!({ "id": sim.inject_fault(fault) }))
}

async fn clear_faults(State(sim): State<SimHandle>) -> Response<Body> {
    sim.clear_faults();
    reply_done(true)
}

async fn remove_fault(State(sim): State<SimHandle>, Path(id): Path<u64>) -> Response<Body> {
    if sim.remove_fault(FaultId(id)) { reply_done(true) } else { reply_failed(404, "there is no such fault") }
}

async fn get_limits(State(sim): State<SimHandle>) -> Response<Body> {
    reply_done(sim.limits())
}

/// `null` switches the limits off; what an object leaves out is as published.
async fn set_limits(State(sim): State<SimHandle>, Json(limits): Json<Option<SimLimits>>) -> Response<Body> {
    sim.set_limits(limits);
    reply_done(sim.limits())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewSettings {
    mode: Option<ChatMode>,
    latency_ms: Option<u64>,
}

async fn set_settings(State(sim): State<SimHandle>, Json(settings): Json<NewSettings>) -> Response<Body> {
    if let Some(mode) = settings.mode {
        sim.set_mode(mode);
    }
    if let Some(latency_ms) = settings.latency_ms {
        sim.set_latency_ms(latency_ms);
    }
    reply_done(true)
}

/// Without a bot, every bot is meant.
#[derive(Deserialize, Default)]
struct ChatChange {
    bot: Option<i64>,
    #[serde(rename = "type")]
    kind: Option<ChatKind>,
    title: Option<String>,
}

async fn change_chat(
    State(sim): State<SimHandle>,
    Path((chat, change)): Path<(i64, String)>,
    body: Option<Json<ChatChange>>,
) -> Response<Body> {
    let Json(wanted) = body.unwrap_or_default();
    for bot in wanted.bot.map_or_else(|| sim.bot_ids(), |bot| vec![bot]) {
        match change.as_str() {
            "start" => {
                sim.start_chat_as(bot, chat, wanted.kind.unwrap_or(ChatKind::of(chat)), wanted.title.as_deref());
            }
            "block" => sim.block_bot(bot, chat),
            "unblock" => sim.unblock_bot(bot, chat),
            _ => return reply_failed(404, "a chat can be changed by start, block or unblock"),
        }
    }
    reply_done(true)
}

/// What a user does. `chat` is the user's own where it is left out.
#[derive(Deserialize)]
#[serde(untagged)]
enum NewUpdate {
    Press { bot: i64, from: i64, chat: Option<i64>, message_id: i64, data: String },
    Text { bot: i64, from: i64, chat: Option<i64>, text: String },
    Raw { bot: i64, kind: String, body: Value },
}

async fn add_update(State(sim): State<SimHandle>, Json(update): Json<NewUpdate>) -> Response<Body> {
    match update {
        NewUpdate::Press { bot, from, chat, message_id, data } => outcome(
            sim.press_button(bot, chat.unwrap_or(from), from, message_id, &data)
                .map(|id| json!({ "callback_query_id": id })),
        ),
        NewUpdate::Text { bot, from, chat, text } => {
            outcome(sim.send_user_text(bot, chat.unwrap_or(from), from, &text).map(|id| json!({ "message_id": id })))
        }
        NewUpdate::Raw { bot, kind, body } => {
            outcome(sim.inject_update(bot, &kind, body).map(|id| json!({ "update_id": id })))
        }
    }
}

/// A user's upload: who, and what; the body is the file.
#[derive(Deserialize)]
struct NewFile {
    bot: i64,
    from: i64,
    chat: Option<i64>,
    #[serde(default)]
    kind: FileKind,
    name: String,
    #[serde(default)]
    caption: String,
}

async fn add_file(State(sim): State<SimHandle>, Query(new): Query<NewFile>, body: Bytes) -> Response<Body> {
    let file = UserFile { kind: new.kind, name: new.name, bytes: body.to_vec(), caption: new.caption };
    let sent = sim.send_user_file(new.bot, new.chat.unwrap_or(new.from), new.from, file);
    outcome(sent.map(|id| json!({ "message_id": id })))
}

async fn file(State(sim): State<SimHandle>, Path(id): Path<String>) -> Response<Body> {
    match sim.file_bytes(&id) {
        Some(bytes) => Response::new(Body::from(bytes)),
        None => reply_failed(404, "there is no such file"),
    }
}

#[derive(Deserialize)]
struct TranscriptPage {
    chat: Option<i64>,
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

async fn messages(State(sim): State<SimHandle>, Query(page): Query<TranscriptPage>) -> Response<Body> {
    let mut messages = page.chat.map_or_else(|| sim.messages(), |chat| sim.messages_to(chat));
    messages.retain(|message| message.seq > page.after);
    messages.truncate(page.limit.unwrap_or(usize::MAX));
    reply_done(messages)
}

async fn transcript(State(sim): State<SimHandle>, Query(page): Query<TranscriptPage>) -> Response<Body> {
    reply_done(sim.transcript(page.chat, page.after, page.limit.unwrap_or(1_000)))
}

async fn chat_text(State(sim): State<SimHandle>, Path(name): Path<String>) -> Response<Body> {
    match name.strip_suffix(".txt").and_then(|chat| chat.parse().ok()) {
        Some(chat) => {
            let mut response = Response::new(Body::from(sim.chat_text(chat)));
            let plain = HeaderValue::from_static("text/plain; charset=utf-8");
            response.headers_mut().insert(header::CONTENT_TYPE, plain);
            response
        }
        None => reply_failed(404, "a transcript is named by its chat: 12345.txt"),
    }
}

async fn stats(State(sim): State<SimHandle>) -> Response<Body> {
    reply_done(sim.stats())
}

#[derive(Deserialize)]
struct WaitQuery {
    count: u64,
    chat: Option<i64>,
    #[serde(default = "ten_seconds")]
    timeout_ms: u64,
}

fn ten_seconds() -> u64 {
    10_000
}

async fn wait(State(sim): State<SimHandle>, Query(wait): Query<WaitQuery>) -> Response<Body> {
    let timeout = Duration::from_millis(wait.timeout_ms);
    let reached = match wait.chat {
        Some(chat) => sim.wait_for_chat(chat, usize::try_from(wait.count).unwrap_or(usize::MAX), timeout).await,
        None => sim.wait_for(wait.count, timeout).await,
    };
    outcome(reached.map(|()| sim.stats()))
}

#[derive(Deserialize, Default)]
struct ResetQuery {
    #[serde(default)]
    chats: bool,
}

async fn reset(State(sim): State<SimHandle>, body: Option<Json<ResetQuery>>) -> Response<Body> {
    sim.reset(body.unwrap_or_default().chats);
    reply_done(true)
}
