//! One request to the Bot API: reading it, letting faults strike, carrying it out, answering.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, FromRequest, Multipart, Path, Request, State as Shared};
use axum::http::{Response, StatusCode, header};
use httpdate::fmt_http_date;

use crate::answer::{BotApiError, BotApiResult, envelope};
use crate::api::{MethodCall, carry_out};
use crate::bot::{SimBot, bot_id_of};
use crate::fault::{FaultAction, FaultStrike, FreezeScope};
use crate::limiter::{LimitCause, LimitRefusal};
use crate::params::CallParams;
use crate::record::{RequestOutcome, RowKind, SenderView, TranscriptRow};
use crate::server::ConnectionInfo;
use crate::sim::{SimHandle, SimState};
use crate::sync::lock;

/// Of a request without files.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Of a request with files; Telegram takes documents of up to 50 MB.
pub(crate) const FORM_BYTES_MAX: usize = 51 << 20;

/// The year 9999, the last that a `Date` can name, has begun by then.
const SECONDS_MAX: u64 = 253_370_764_800;

/// What goes back over the connection.
enum ConnectionReply {
    Envelope(BotApiResult),
    Raw(Response<Body>),
    /// Nothing: the connection is cut.
    Cut,
}

/// Answers everything outside of `/sim`.
pub(crate) async fn handle(
    Shared(sim): Shared<SimHandle>,
    ConnectInfo(connection): ConnectInfo<ConnectionInfo>,
    request: Request,
) -> Response<Body> {
    let state = &sim.0;
    state.stats.requests.fetch_add(1, Relaxed);
    let call = read(state, request).await;
    let is_long_poll = call.as_ref().is_ok_and(|call| call.method == "getupdates");
    let in_flight = (!is_long_poll).then(|| RequestGuard::enter(state));
    let reply = match call {
        Ok(call) => respond(state, &call).await,
        Err(error) => {
            state.stats.count_error(&error);
            ConnectionReply::Envelope(Err(error))
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
        ConnectionReply::Envelope(outcome) => add_date(state, envelope(&outcome)),
        ConnectionReply::Raw(response) => response,
        ConnectionReply::Cut => {
            state.stats.dropped.fetch_add(1, Relaxed);
            connection.cut();
            Response::new(Body::empty())
        }
    }
}

/// The answer with the time by the simulator's clock.
fn add_date(state: &SimState, mut response: Response<Body>) -> Response<Body> {
    let now = Duration::from_millis(u64::try_from(state.now_ms()).unwrap_or_default());
    // What the clock cannot be written as is left to the server, which goes by the machine's.
    if let Some(date) = SystemTime::UNIX_EPOCH.checked_add(now).filter(|_| now.as_secs() < SECONDS_MAX)
        && let Ok(date) = fmt_http_date(date).parse()
    {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

/// Counts a request as under way. Dropped without [`RequestGuard::finish`], its sender has gone.
struct RequestGuard<'a> {
    state: &'a SimState,
    finished: bool,
}

impl<'a> RequestGuard<'a> {
    fn enter(state: &'a SimState) -> Self {
        let now = state.stats.in_flight.fetch_add(1, Relaxed) + 1;
        state.stats.max_in_flight.fetch_max(now, Relaxed);
        Self { state, finished: false }
    }

    fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for RequestGuard<'_> {
    fn drop(&mut self) {
        self.state.stats.in_flight.fetch_sub(1, Relaxed);
        if !self.finished {
            self.state.stats.abandoned.fetch_add(1, Relaxed);
            self.state.progress.send_modify(|n| *n += 1);
        }
    }
}

/// Finds the bot and reads the parameters: `/bot<token>/<method>`.
async fn read(state: &SimState, request: Request) -> Result<MethodCall, BotApiError> {
    let path = request.uri().path().replace("%3A", ":").replace("%3a", ":");
    let (bot, method) =
        path.strip_prefix("/bot").map(|rest| bot_of(state, rest)).ok_or_else(BotApiError::not_found)??;
    let is_multipart = request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"multipart/form-data"));
    let params = if is_multipart {
        let query = request.uri().query().map(str::to_owned);
        let form = Multipart::from_request(request, &()).await;
        let form = form.map_err(|_| BotApiError::bad_request("can't read the form"))?;
        CallParams::read_multipart(query.as_deref(), form).await?
    } else {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, BODY_BYTES_MAX).await.map_err(|_| BotApiError::too_large())?;
        CallParams::read(parts.uri.query(), &parts.headers, &body)?
    };
    Ok(MethodCall { bot, method: method.to_ascii_lowercase(), params })
}

/// Splits `<token>/<rest>`.
fn bot_of<'a>(state: &SimState, path: &'a str) -> Result<(Arc<SimBot>, &'a str), BotApiError> {
    let (token, rest) = path.split_once('/').ok_or_else(BotApiError::not_found)?;
    match state.bot(token) {
        Some(bot) => Ok((bot, rest)),
        None if bot_id_of(token).is_some() => Err(BotApiError::unauthorized_answer()),
        None => Err(BotApiError::not_found()),
    }
}

/// Answers `/file/bot<token>/<file_path>`.
pub(crate) async fn download(Shared(sim): Shared<SimHandle>, Path(path): Path<String>) -> Response<Body> {
    let found = path
        .strip_prefix("bot")
        .ok_or_else(BotApiError::not_found)
        .and_then(|rest| bot_of(&sim.0, rest))
        .and_then(|(_, file_path)| sim.0.files.download(file_path).ok_or_else(BotApiError::not_found));
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

async fn respond(state: &Arc<SimState>, call: &MethodCall) -> ConnectionReply {
    match state.faults.strike(call.bot.id, call.params.int("chat_id"), &call.method) {
        None => plain(state, call, SenderView::Ok).await,
        Some(strike) => apply_strike(state, call, strike).await,
    }
}

async fn plain(state: &Arc<SimState>, call: &MethodCall, answered: SenderView) -> ConnectionReply {
    let outcome = carry_out(state, call, answered).await;
    if let Err(error) = &outcome {
        state.note_refusal(call, error);
    }
    ConnectionReply::Envelope(outcome)
}

async fn apply_strike(state: &Arc<SimState>, call: &MethodCall, strike: FaultStrike) -> ConnectionReply {
    match strike.action {
        FaultAction::StallAnswer { ms } => {
            let reply = plain(state, call, SenderView::Late).await;
            stall(state, ms, strike.removed).await;
            reply
        }
        FaultAction::StallRequest { ms } => {
            stall(state, ms, strike.removed).await;
            plain(state, call, SenderView::Ok).await
        }
        FaultAction::DropBefore => {
            state.note_refused(call, RequestOutcome { answered: SenderView::Dropped, ..RequestOutcome::default() });
            ConnectionReply::Cut
        }
        FaultAction::DropAfter => {
            plain(state, call, SenderView::Dropped).await;
            ConnectionReply::Cut
        }
        FaultAction::ErrorBefore { status } => refuse(state, call, BotApiError::server(status)),
        FaultAction::ErrorAfter { status } => {
            plain(state, call, SenderView::ServerError).await;
            let error = BotApiError::server(status);
            state.stats.count_error(&error);
            ConnectionReply::Envelope(Err(error))
        }
        FaultAction::TooManyRequests { retry_after, scope } => {
            refuse(state, call, freeze(state, call, retry_after.max(1), scope))
        }
        FaultAction::Forbidden => refuse(state, call, BotApiError::blocked_answer()),
        FaultAction::CannotParse => {
            let why = "Can't find end tag corresponding to start tag \"b\"";
            refuse(state, call, BotApiError::cannot_parse_entities(why))
        }
        FaultAction::Garbage { delivered } => {
            if delivered {
                plain(state, call, SenderView::Garbage).await;
            } else {
                state.note_refused(call, RequestOutcome { answered: SenderView::Garbage, ..RequestOutcome::default() });
            }
            ConnectionReply::Raw(garbage())
        }
    }
}

fn refuse(state: &SimState, call: &MethodCall, error: BotApiError) -> ConnectionReply {
    state.note_refusal(call, &error);
    ConnectionReply::Envelope(Err(error))
}

/// Holds until the time is up, the fault is removed or the simulator stops.
async fn stall(state: &SimState, ms: Option<u64>, mut removed: tokio::sync::watch::Receiver<bool>) {
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

fn freeze(state: &SimState, call: &MethodCall, retry_after_s: u32, scope: FreezeScope) -> BotApiError {
    let until_ms = state.now_ms() + i64::from(retry_after_s) * 1_000;
    match (scope, call.params.int("chat_id")) {
        (FreezeScope::Bot, _) => lock(&call.bot.meter).freeze(until_ms, LimitCause::Injected),
        (FreezeScope::Chat, Some(chat_id)) => state
            .chats
            .with(chat_id, |chat| chat.member(call.bot.id).meters.chat.freeze(until_ms, LimitCause::Injected)),
        (FreezeScope::Chat, None) => {}
    }
    BotApiError::too_many_requests(LimitRefusal { cause: LimitCause::Injected, retry_after_s, while_frozen: false })
}

fn garbage() -> Response<Body> {
    let mut response = Response::new(Body::from("<html><body>upstream said nothing we understand</body>"));
    *response.status_mut() = StatusCode::OK;
    response
}

impl SimState {
    /// Counts an error and puts it into the transcript.
    pub(crate) fn note_refusal(&self, call: &MethodCall, error: &BotApiError) {
        self.stats.count_error(error);
        let outcome = RequestOutcome {
            status: error.code,
            description: Some(error.description.clone()),
            limit: error.refusal.map(|refusal| refusal.cause),
            answered: SenderView::Ok,
        };
        self.note_refused(call, outcome);
    }

    fn note_refused(&self, call: &MethodCall, outcome: RequestOutcome) {
        let chat_id = call.params.int("chat_id").unwrap_or(0);
        self.append(TranscriptRow {
            message_id: call.params.int("message_id").unwrap_or(0),
            method: call.method.clone(),
            text: call.params.text("text").or_else(|| call.params.text("caption")).unwrap_or_default(),
            parse_mode: call.params.text("parse_mode"),
            outcome,
            ..TranscriptRow::new(RowKind::Refused, self.now_ms(), call.bot.id, chat_id)
        });
    }

    /// Counts a message or an edit that arrived.
    pub(crate) fn count_accepted(&self, kind: RowKind, answered: SenderView) {
        let counter = if kind == RowKind::Edit { &self.stats.edits } else { &self.stats.messages };
        counter.fetch_add(1, Relaxed);
        if matches!(answered, SenderView::Dropped | SenderView::ServerError | SenderView::Garbage) {
            self.stats.in_doubt.fetch_add(1, Relaxed);
        }
    }
}
