//! One request to the Bot API: reading it, letting faults strike, carrying it out, answering.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, FromRequest, Multipart, Path, Request, State as Shared};
use axum::http::{Response, StatusCode, header};
use httpdate::fmt_http_date;

use crate::answer::{ApiError, ApiResult, envelope};
use crate::api::{Call, carry_out};
use crate::bot::{Bot, bot_id_of};
use crate::fault::{FaultAction, FreezeScope, Strike};
use crate::limiter::{LimitCause, Refusal};
use crate::params::Params;
use crate::record::{Answered, Outcome, Row, RowKind};
use crate::server::Connection;
use crate::sim::{Sim, State};
use crate::sync::lock;

/// Of a request without files.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Of a request with files; Telegram takes documents of up to 50 MB.
pub(crate) const FORM_BYTES_MAX: usize = 51 << 20;

/// The year 9999, the last that a `Date` can name, has begun by then.
const SECONDS_MAX: u64 = 253_370_764_800;

/// What goes back over the connection.
enum Reply {
    Envelope(ApiResult),
    Raw(Response<Body>),
    /// Nothing: the connection is cut.
    Cut,
}

/// Answers everything outside of `/sim`.
pub(crate) async fn handle(
    Shared(sim): Shared<Sim>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response<Body> {
    let state = &sim.0;
    state.stats.requests.fetch_add(1, Relaxed);
    let call = read(state, request).await;
    let is_long_poll = call.as_ref().is_ok_and(|call| call.method == "getupdates");
    let in_flight = (!is_long_poll).then(|| InFlight::enter(state));
    let reply = match call {
        Ok(call) => respond(state, &call).await,
        Err(error) => {
            state.stats.count_error(&error);
            Reply::Envelope(Err(error))
        }
    };
    let latency_ms = state.settings().latency_ms;
    if latency_ms > 0 {
        tokio::time::sleep(Duration::from_millis(latency_ms)).await;
    }
    if let Some(in_flight) = in_flight {
        in_flight.finish();
    }
    match reply {
        Reply::Envelope(outcome) => dated(state, envelope(&outcome)),
        Reply::Raw(response) => response,
        Reply::Cut => {
            state.stats.dropped.fetch_add(1, Relaxed);
            connection.cut();
            Response::new(Body::empty())
        }
    }
}

/// The answer with the time by the simulator's clock.
fn dated(state: &State, mut response: Response<Body>) -> Response<Body> {
    let now = Duration::from_millis(u64::try_from(state.now_ms()).unwrap_or_default());
    // What the clock cannot be written as is left to the server, which goes by the machine's.
    if let Some(date) = SystemTime::UNIX_EPOCH.checked_add(now).filter(|_| now.as_secs() < SECONDS_MAX)
        && let Ok(date) = fmt_http_date(date).parse()
    {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

/// Counts a request as under way. Dropped without [`InFlight::finish`], its sender has gone.
struct InFlight<'a> {
    state: &'a State,
    finished: bool,
}

impl<'a> InFlight<'a> {
    fn enter(state: &'a State) -> Self {
        let now = state.stats.in_flight.fetch_add(1, Relaxed) + 1;
        state.stats.max_in_flight.fetch_max(now, Relaxed);
        Self { state, finished: false }
    }

    fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.state.stats.in_flight.fetch_sub(1, Relaxed);
        if !self.finished {
            self.state.stats.abandoned.fetch_add(1, Relaxed);
            self.state.progress.send_modify(|n| *n += 1);
        }
    }
}

/// Finds the bot and reads the parameters: `/bot<token>/<method>`.
async fn read(state: &State, request: Request) -> Result<Call, ApiError> {
    let path = request.uri().path().replace("%3A", ":").replace("%3a", ":");
    let (bot, method) = path.strip_prefix("/bot").map(|rest| bot_of(state, rest)).ok_or_else(ApiError::not_found)??;
    let is_multipart = request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"multipart/form-data"));
    let params = if is_multipart {
        let query = request.uri().query().map(str::to_owned);
        let form = Multipart::from_request(request, &()).await;
        let form = form.map_err(|_| ApiError::bad_request("can't read the form"))?;
        Params::read_multipart(query.as_deref(), form).await?
    } else {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, BODY_BYTES_MAX).await.map_err(|_| ApiError::too_large())?;
        Params::read(parts.uri.query(), &parts.headers, &body)?
    };
    Ok(Call { bot, method: method.to_ascii_lowercase(), params })
}

/// Splits `<token>/<rest>`.
fn bot_of<'a>(state: &State, path: &'a str) -> Result<(Arc<Bot>, &'a str), ApiError> {
    let (token, rest) = path.split_once('/').ok_or_else(ApiError::not_found)?;
    match state.bot(token) {
        Some(bot) => Ok((bot, rest)),
        None if bot_id_of(token).is_some() => Err(ApiError::unauthorized()),
        None => Err(ApiError::not_found()),
    }
}

/// Answers `/file/bot<token>/<file_path>`.
pub(crate) async fn download(Shared(sim): Shared<Sim>, Path(path): Path<String>) -> Response<Body> {
    let found = path
        .strip_prefix("bot")
        .ok_or_else(ApiError::not_found)
        .and_then(|rest| bot_of(&sim.0, rest))
        .and_then(|(_, file_path)| sim.0.files.download(file_path).ok_or_else(ApiError::not_found));
    match found {
        Ok((mime, bytes)) => {
            let mut response = Response::new(Body::from(bytes.to_vec()));
            if let Ok(mime) = mime.parse() {
                response.headers_mut().insert(header::CONTENT_TYPE, mime);
            }
            response
        }
        Err(error) => envelope(&Err(error)),
    }
}

async fn respond(state: &Arc<State>, call: &Call) -> Reply {
    match state.faults.strike(call.bot.id, call.params.int("chat_id"), &call.method) {
        None => plain(state, call, Answered::Ok).await,
        Some(strike) => struck(state, call, strike).await,
    }
}

async fn plain(state: &Arc<State>, call: &Call, answered: Answered) -> Reply {
    let outcome = carry_out(state, call, answered).await;
    if let Err(error) = &outcome {
        state.refused(call, error);
    }
    Reply::Envelope(outcome)
}

async fn struck(state: &Arc<State>, call: &Call, strike: Strike) -> Reply {
    match strike.action {
        FaultAction::StallAnswer { ms } => {
            let reply = plain(state, call, Answered::Late).await;
            stall(state, ms, strike.removed).await;
            reply
        }
        FaultAction::StallRequest { ms } => {
            stall(state, ms, strike.removed).await;
            plain(state, call, Answered::Ok).await
        }
        FaultAction::DropBefore => {
            state.note_refused(call, Outcome { answered: Answered::Dropped, ..Outcome::default() });
            Reply::Cut
        }
        FaultAction::DropAfter => {
            plain(state, call, Answered::Dropped).await;
            Reply::Cut
        }
        FaultAction::ErrorBefore { status } => refuse(state, call, ApiError::server(status)),
        FaultAction::ErrorAfter { status } => {
            plain(state, call, Answered::ServerError).await;
            let error = ApiError::server(status);
            state.stats.count_error(&error);
            Reply::Envelope(Err(error))
        }
        FaultAction::TooManyRequests { retry_after, scope } => {
            refuse(state, call, freeze(state, call, retry_after.max(1), scope))
        }
        FaultAction::Forbidden => refuse(state, call, ApiError::blocked()),
        FaultAction::CannotParse => {
            let why = "Can't find end tag corresponding to start tag \"b\"";
            refuse(state, call, ApiError::cannot_parse_entities(why))
        }
        FaultAction::Garbage { delivered } => {
            if delivered {
                plain(state, call, Answered::Garbage).await;
            } else {
                state.note_refused(call, Outcome { answered: Answered::Garbage, ..Outcome::default() });
            }
            Reply::Raw(garbage())
        }
    }
}

fn refuse(state: &State, call: &Call, error: ApiError) -> Reply {
    state.refused(call, &error);
    Reply::Envelope(Err(error))
}

/// Holds until the time is up, the fault is removed or the simulator stops.
async fn stall(state: &State, ms: Option<u64>, mut removed: tokio::sync::watch::Receiver<bool>) {
    state.stats.stalled.fetch_add(1, Relaxed);
    let mut shutdown = state.shutdown.subscribe();
    let time_is_up = async {
        match ms {
            Some(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = time_is_up => {}
        _ = removed.wait_for(|removed| *removed) => {}
        _ = shutdown.wait_for(|stopping| *stopping) => {}
    }
}

fn freeze(state: &State, call: &Call, retry_after_s: u32, scope: FreezeScope) -> ApiError {
    let until_ms = state.now_ms() + i64::from(retry_after_s) * 1_000;
    match (scope, call.params.int("chat_id")) {
        (FreezeScope::Bot, _) => lock(&call.bot.meter).freeze(until_ms, LimitCause::Injected),
        (FreezeScope::Chat, Some(chat_id)) => state
            .chats
            .with(chat_id, |chat| chat.member(call.bot.id).meters.chat.freeze(until_ms, LimitCause::Injected)),
        (FreezeScope::Chat, None) => {}
    }
    ApiError::too_many_requests(Refusal { cause: LimitCause::Injected, retry_after_s, while_frozen: false })
}

fn garbage() -> Response<Body> {
    let mut response = Response::new(Body::from("<html><body>upstream said nothing we understand</body>"));
    *response.status_mut() = StatusCode::OK;
    response
}

impl State {
    /// Counts an error and puts it into the transcript.
    pub(crate) fn refused(&self, call: &Call, error: &ApiError) {
        self.stats.count_error(error);
        let outcome = Outcome {
            status: error.code,
            description: Some(error.description.clone()),
            limit: error.refusal.map(|refusal| refusal.cause),
            answered: Answered::Ok,
        };
        self.note_refused(call, outcome);
    }

    fn note_refused(&self, call: &Call, outcome: Outcome) {
        let chat_id = call.params.int("chat_id").unwrap_or(0);
        self.append(Row {
            message_id: call.params.int("message_id").unwrap_or(0),
            method: call.method.clone(),
            text: call.params.text("text").or_else(|| call.params.text("caption")).unwrap_or_default(),
            parse_mode: call.params.text("parse_mode"),
            outcome,
            ..Row::new(RowKind::Refused, self.now_ms(), call.bot.id, chat_id)
        });
    }

    /// Counts a message or an edit that arrived.
    pub(crate) fn count_accepted(&self, kind: RowKind, answered: Answered) {
        let counter = if kind == RowKind::Edit { &self.stats.edits } else { &self.stats.messages };
        counter.fetch_add(1, Relaxed);
        if matches!(answered, Answered::Dropped | Answered::ServerError | Answered::Garbage) {
            self.stats.in_doubt.fetch_add(1, Relaxed);
        }
    }
}
