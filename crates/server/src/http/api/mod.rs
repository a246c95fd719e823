//! `/api/v1`: the documents as JSON, for programs. Every request takes the same way: whose token, how many requests,
//! which permission, what body; then the route's act. What is offered is declared in `resources` and `routes`.

mod caller;
mod change;
mod conditions;
mod create;
mod delete;
mod document_names;
mod error;
mod idempotency;
mod json_schema;
mod limit;
mod list;
mod list_bounds;
mod manual_actions;
mod open_trades;
mod openapi;
mod outcomes;
mod own;
mod parameters;
mod projection;
mod reading;
mod recipients;
mod reply;
mod routes;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, RawPathParams};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header, request};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodFilter, get, on};
use bson::oid::ObjectId;

pub use self::openapi::description;
pub use self::routes::{ApiRoute, ROUTES, RoutePermission};

use self::caller::ApiCaller;
use self::conditions::RequestConditions;
use self::error::{ApiError, ApiResult, not_found, unavailable};
use self::limit::{RightTokens, TokenLimit};
use self::reply::ApiReply;
use self::routes::Endpoint;
use super::address::AddressRules;
use super::body::{self, BodyError};
use super::limit::AddressLimiter;
use super::problem::ProblemResponse;
use super::server;
use super::webhook::log::RefusalTally;
use crate::app::App;
use crate::operator::OperatorAction;

/// The most bytes of a request's body.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// Requests a minute from one address with tokens that are not known to be right.
const STRANGERS_A_MINUTE: NonZeroU32 = match NonZeroU32::new(300) {
    Some(n) => n,
    None => NonZeroU32::MIN,
};
/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the API needs.
#[derive(Debug)]
struct ApiState {
    app: App,
    addresses: AddressRules,
    limit: TokenLimit,
    /// Requests without a token that opens anything.
    strangers: RefusalTally,
    /// Counts requests without a token that is known to be right.
    by_address: AddressLimiter,
    right_tokens: RightTokens,
}

/// A request as the acts see it.
#[derive(Debug)]
struct ApiRequest {
    caller: ApiCaller,
    /// Without `/api/v1`.
    path: String,
    query: String,
    id: Option<ObjectId>,
    head: request::Parts,
    conditions: RequestConditions,
    body: Bytes,
}

/// Every route of the API.
pub(super) fn router(app: App) -> Router {
    let settings = Arc::clone(&app.settings);
    let api = Arc::new(ApiState {
        addresses: AddressRules::new(&[], &settings.webhook.trusted_proxies),
        limit: TokenLimit::new(settings.api.requests_a_minute, Arc::clone(&app.clock)),
        strangers: RefusalTally::of("api: requests turned away"),
        by_address: AddressLimiter::new(STRANGERS_A_MINUTE, Arc::clone(&app.clock)),
        right_tokens: RightTokens::default(),
        app,
    });
    let mut routes = Router::new();
    for route in ROUTES.iter() {
        let Ok(filter) = MethodFilter::try_from(route.method.clone()) else { continue };
        let api = Arc::clone(&api);
        let serve = move |params: RawPathParams, ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request<Body>| async move {
            api.serve(route, &params, peer, request).await
        };
        routes = routes.route(&route.path, on(filter, serve));
    }
    let describe = move |ConnectInfo(peer): ConnectInfo<SocketAddr>, headers: HeaderMap| async move {
        api.serve_description(peer, &headers)
    };
    let routes = routes.method_not_allowed_fallback(wrong_method).fallback(no_such_route);
    Router::new()
        .nest("/api/v1", routes)
        .route("/api/openapi.json", get(describe))
        .layer(axum::middleware::map_response(not_kept_by_caches))
}

async fn wrong_method() -> ProblemResponse {
    ProblemResponse::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "Wrong method",
        "the Allow header names the methods of this address",
    )
}

async fn no_such_route() -> ProblemResponse {
    let detail = "the API has no such address: /api/openapi.json describes every one";
    ProblemResponse::new(StatusCode::NOT_FOUND, "No such address", detail)
}

async fn not_kept_by_caches(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl ApiState {
    async fn serve(
        &self,
        route: &'static ApiRoute,
        params: &RawPathParams,
        peer: SocketAddr,
        request: Request<Body>,
    ) -> Response {
        let answer = tokio::select! {
            answer = self.answer(route, params, peer, request) => answer,
            () = self.app.clock.sleep(PATIENCE) => Err(unavailable("the request took too long; whether a change was \
                made is not known, and an Idempotency-Key makes a repetition safe").into()),
        };
        if let Err(ApiError::Refused(problem)) = &answer
            && let Some(reason) = problem.reason()
        {
            self.turned_away(reason);
        }
        answer.map_or_else(ApiError::into_response, ApiReply::into_response)
    }

    /// Counts a request that was turned away, and tells of it. What is not permitted has been told with its name.
    fn turned_away(&self, reason: &'static str) {
        self.app.metrics.turned_away(reason);
        if reason != caller::NOT_PERMITTED {
            self.strangers.note(reason, self.app.clock.monotonic());
        }
    }

    async fn answer(
        &self,
        route: &'static ApiRoute,
        params: &RawPathParams,
        peer: SocketAddr,
        request: Request<Body>,
    ) -> ApiResult<ApiReply> {
        let (head, body) = request.into_parts();
        let address = self.addresses.sender(peer.ip(), &head.headers);
        let caller = self.caller(&head, address).await?;
        self.limit.check(caller.token.id)?;
        caller.must(route.needs)?;
        let body = match route.act.body() {
            RouteInput::Nothing => Bytes::new(),
            RouteInput::Json => {
                must_be_json(&head)?;
                read_body(body).await?
            }
            RouteInput::JsonIfAny => {
                let body = read_body(body).await?;
                if !body.trim_ascii().is_empty() {
                    must_be_json(&head)?;
                }
                body
            }
            RouteInput::Anything => read_body(body).await?,
        };
        // Nothing is answered by half of it.
        self.app.audience.wait_whole().await;
        let path = head.uri.path();
        let conditions = RequestConditions::of(&head.headers)?;
        if !route.act.has_etag() {
            conditions.without_document()?;
        }
        let asked = ApiRequest {
            caller,
            path: path.strip_prefix("/api/v1").unwrap_or(path).to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            id: id_in(params)?,
            head,
            conditions,
            body,
        };
        self.act(route.act, &asked).await
    }

    /// Whose request it is. What strangers may have looked up is limited before it is.
    async fn caller(&self, head: &request::Parts, address: IpAddr) -> ApiResult<ApiCaller> {
        let shown = caller::read_token(&head.headers);
        if !shown.as_ref().is_ok_and(|token| self.right_tokens.contain(token)) {
            self.count_stranger(address)?;
        }
        let token = shown?;
        let found = ApiCaller::of(&self.app, &token, address).await;
        self.right_tokens.note(token, found.is_ok());
        if found.is_ok() {
            server::has_shown_secret(&head.extensions);
        }
        found
    }

    fn count_stranger(&self, address: IpAddr) -> ApiResult<()> {
        self.by_address.check(address).map_err(|wait| {
            let detail = "this address has sent more requests without a right token than it may in a minute";
            ProblemResponse::new(StatusCode::TOO_MANY_REQUESTS, "Too many requests", detail)
                .retry_after(wait)
                .because("too_many_requests")
                .into()
        })
    }

    /// The description, made once.
    fn serve_description(&self, peer: SocketAddr, headers: &HeaderMap) -> Response {
        static DESCRIPTION: LazyLock<Bytes> = LazyLock::new(|| description().to_string().into());
        match self.count_stranger(self.addresses.sender(peer.ip(), headers)) {
            Ok(()) => ([(header::CONTENT_TYPE, "application/json")], DESCRIPTION.clone()).into_response(),
            Err(fault) => fault.into_response(),
        }
    }

    async fn act(&self, act: Endpoint, asked: &ApiRequest) -> ApiResult<ApiReply> {
        let app = &self.app;
        match act {
            Endpoint::List(resource) => list::answer(app, resource, &asked.path, &asked.query).await,
            Endpoint::Read(resource) => reading::answer(app, resource, asked).await,
            Endpoint::Create(resource) => create::answer(app, resource, asked).await,
            Endpoint::Change(resource) => change::answer(app, resource, asked).await,
            Endpoint::Delete(resource) => delete::answer(app, resource, asked).await,
            Endpoint::Recipients => recipients::answer(app, asked).await,
            Endpoint::OpenTrades => open_trades::answer(app, asked).await,
            Endpoint::Me => Ok(own::who(&asked.caller)),
            Endpoint::Tokens => own::tokens(app, asked).await,
            Endpoint::DeleteToken => own::delete_token(app, asked).await,
            Endpoint::CloseTrade => manual_actions::close_trade(app, asked).await,
            Endpoint::Resend => manual_actions::resend(app, asked).await,
            Endpoint::Unblock => manual_actions::unblock(app, asked).await,
            Endpoint::Process => manual_actions::process(app, asked).await,
            Endpoint::ProcessRejected => manual_actions::process_rejected(app, asked).await,
            Endpoint::Rehearse => manual_actions::rehearse(app, asked).await,
            Endpoint::EraseUser => manual_actions::erase_user(app, asked).await,
            Endpoint::ApproveSubscription => manual_actions::approve_subscription(app, asked).await,
            Endpoint::RejectSubscription => manual_actions::reject_subscription(app, asked).await,
            Endpoint::CancelSubscription => manual_actions::cancel_subscription(app, asked).await,
        }
    }
}

/// What a route takes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RouteInput {
    Nothing,
    Json,
    /// The same, or nothing.
    JsonIfAny,
    /// As TradingView sends it.
    Anything,
}

impl Endpoint {
    /// Whether it is about one document, which has an ETag.
    const fn has_etag(self) -> bool {
        match self {
            Self::List(_)
            | Self::Create(_)
            | Self::Recipients
            | Self::OpenTrades
            | Self::Me
            | Self::Tokens
            | Self::ProcessRejected
            | Self::Rehearse => false,
            Self::Read(_)
            | Self::Change(_)
            | Self::Delete(_)
            | Self::DeleteToken
            | Self::CloseTrade
            | Self::Resend
            | Self::Process
            | Self::Unblock
            | Self::EraseUser
            | Self::ApproveSubscription
            | Self::RejectSubscription
            | Self::CancelSubscription => true,
        }
    }

    const fn body(self) -> RouteInput {
        match self {
            Self::Create(_)
            | Self::Change(_)
            | Self::CloseTrade
            | Self::RejectSubscription
            | Self::CancelSubscription => RouteInput::Json,
            Self::Process | Self::ProcessRejected | Self::ApproveSubscription => RouteInput::JsonIfAny,
            Self::Rehearse => RouteInput::Anything,
            _ => RouteInput::Nothing,
        }
    }
}

/// The most characters of a reason.
const REASON_CHARS_MAX: usize = 1_000;

impl ApiRequest {
    /// What is done by it: by whom, and why, where its body says so (`reason`) or the header `X-Reason` does.
    fn act(&self, reason: Option<String>) -> OperatorAction {
        let reason = reason.or_else(|| self.reason());
        OperatorAction { who: self.caller.actor(), reason, seen: None, also: Vec::new() }
    }

    fn reason(&self) -> Option<String> {
        let said = self.head.headers.get("x-reason")?;
        let text: String = String::from_utf8_lossy(said.as_bytes()).trim().chars().take(REASON_CHARS_MAX).collect();
        (!text.is_empty()).then_some(text)
    }

    /// The document that the address names.
    fn id(&self) -> ApiResult<ObjectId> {
        self.id.ok_or_else(|| not_found("document"))
    }
}

/// What is no id names nothing.
fn id_in(params: &RawPathParams) -> ApiResult<Option<ObjectId>> {
    let Some((_, text)) = params.iter().find(|(name, _)| *name == "id") else { return Ok(None) };
    ObjectId::parse_str(text).map(Some).map_err(|_| {
        let detail = "the address names no document: an id is 24 hexadecimal digits";
        ProblemResponse::new(StatusCode::NOT_FOUND, "Not found", detail).into()
    })
}

fn must_be_json(head: &request::Parts) -> ApiResult<()> {
    let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !["application/json", "application/merge-patch+json"].iter().any(|json| media_type.eq_ignore_ascii_case(json)) {
        let detail = "the body is JSON: send Content-Type: application/json";
        return Err(ProblemResponse::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unknown media type", detail).into());
    }
    Ok(())
}

async fn read_body(body: Body) -> ApiResult<Bytes> {
    body::read(body, BODY_BYTES_MAX).await.map_err(|error| match error {
        BodyError::TooLarge { .. } => {
            let detail = format!("a body has at most {} KiB", BODY_BYTES_MAX / 1024);
            ProblemResponse::new(StatusCode::PAYLOAD_TOO_LARGE, "Request too large", detail).close_connection().into()
        }
        BodyError::Broken => {
            ProblemResponse::new(StatusCode::BAD_REQUEST, "Request broken off", "the body ended early")
                .close_connection()
                .into()
        }
    })
}
