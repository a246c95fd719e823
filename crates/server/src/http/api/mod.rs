//! `/api/v1`: the documents as JSON, for programs. Every request takes the same way: whose token, how many requests,
//! which permission, what body; then the route's act. What is offered is declared in `resources` and `routes`.

mod by_hand;
mod caller;
mod change;
mod conditions;
mod create;
mod decide;
mod delete;
mod documents;
mod fault;
mod idempotency;
mod limit;
mod list;
mod open_trades;
mod openapi;
mod own;
mod reading;
mod recipients;
mod record;
mod reply;
mod resources;
mod routes;
mod schema;
mod shape;
mod warnings;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use alertcast_core::store::StoreError;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, RawPathParams};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header, request};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodFilter, get, on};
use bson::oid::ObjectId;

pub use self::openapi::description;
pub use self::routes::{Needs, ROUTES, Route};

use self::caller::Caller;
use self::conditions::Conditions;
use self::fault::{Answered, Fault, not_found, unavailable};
use self::limit::{Limit, RightTokens};
use self::reply::Reply;
use self::routes::Act;
use self::shape::Extent;
use super::address::AddressRules;
use super::body::{self, BodyError};
use super::limit::AddressLimiter;
use super::problem::Problem;
use super::server;
use super::webhook::log::Tally;
use crate::app::App;

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
struct Api {
    app: App,
    addresses: AddressRules,
    limit: Limit,
    /// Requests without a token that opens anything.
    strangers: Tally,
    /// Counts requests without a token that is known to be right.
    by_address: AddressLimiter,
    right_tokens: RightTokens,
}

/// A request as the acts see it.
#[derive(Debug)]
struct Asked {
    caller: Caller,
    /// Without `/api/v1`.
    path: String,
    query: String,
    id: Option<ObjectId>,
    head: request::Parts,
    conditions: Conditions,
    body: Bytes,
}

/// Every route of the API.
pub(super) fn router(app: App) -> Router {
    let settings = Arc::clone(&app.settings);
    let api = Arc::new(Api {
        addresses: AddressRules::new(&[], &settings.webhook.trusted_proxies),
        limit: Limit::new(settings.api.requests_a_minute, Arc::clone(&app.clock)),
        strangers: Tally::of("api: requests turned away"),
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
        api.described(peer, &headers)
    };
    let routes = routes.method_not_allowed_fallback(wrong_method).fallback(no_such_route);
    Router::new()
        .nest("/api/v1", routes)
        .route("/api/openapi.json", get(describe))
        .layer(axum::middleware::map_response(not_kept_by_caches))
}

async fn wrong_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "Wrong method", "the Allow header names the methods of this address")
}

async fn no_such_route() -> Problem {
    let detail = "the API has no such address: /api/openapi.json describes every one";
    Problem::new(StatusCode::NOT_FOUND, "No such address", detail)
}

async fn not_kept_by_caches(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl Api {
    async fn serve(
        &self,
        route: &'static Route,
        params: &RawPathParams,
        peer: SocketAddr,
        request: Request<Body>,
    ) -> Response {
        let answer = tokio::select! {
            answer = self.answer(route, params, peer, request) => answer,
            () = self.app.clock.sleep(PATIENCE) => Err(unavailable("the request took too long; whether a change was \
                made is not known, and an Idempotency-Key makes a repetition safe").into()),
        };
        if let Err(Fault::Refused(problem)) = &answer
            && let Some(reason) = problem.reason()
        {
            self.turned_away(reason);
        }
        answer.map_or_else(Fault::into_response, Reply::into_response)
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
        route: &'static Route,
        params: &RawPathParams,
        peer: SocketAddr,
        request: Request<Body>,
    ) -> Answered<Reply> {
        let (head, body) = request.into_parts();
        let address = self.addresses.sender(peer.ip(), &head.headers);
        let caller = self.caller(&head, address).await?;
        self.limit.check(caller.token.id)?;
        caller.must(route.needs)?;
        let body = match route.act.body() {
            Taken::Nothing => Bytes::new(),
            Taken::Json => {
                must_be_json(&head)?;
                read_body(body).await?
            }
            Taken::JsonIfAny => {
                let body = read_body(body).await?;
                if !body.trim_ascii().is_empty() {
                    must_be_json(&head)?;
                }
                body
            }
            Taken::Anything => read_body(body).await?,
        };
        let path = head.uri.path();
        let conditions = Conditions::of(&head.headers)?;
        if !route.act.has_etag() {
            conditions.without_document()?;
        }
        let asked = Asked {
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
    async fn caller(&self, head: &request::Parts, address: IpAddr) -> Answered<Caller> {
        let shown = caller::shown(&head.headers);
        if !shown.as_ref().is_ok_and(|token| self.right_tokens.contain(token)) {
            self.count_stranger(address)?;
        }
        let token = shown?;
        let found = Caller::of(&self.app, &token, address).await;
        self.right_tokens.note(token, found.is_ok());
        if found.is_ok() {
            server::has_shown_secret(&head.extensions);
        }
        found
    }

    fn count_stranger(&self, address: IpAddr) -> Answered<()> {
        self.by_address.check(address).map_err(|wait| {
            let detail = "this address has sent more requests without a right token than it may in a minute";
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "Too many requests", detail)
                .retry_after(wait)
                .because("too_many_requests")
                .into()
        })
    }

    /// The description, made once.
    fn described(&self, peer: SocketAddr, headers: &HeaderMap) -> Response {
        static DESCRIPTION: LazyLock<Bytes> = LazyLock::new(|| description().to_string().into());
        match self.count_stranger(self.addresses.sender(peer.ip(), headers)) {
            Ok(()) => ([(header::CONTENT_TYPE, "application/json")], DESCRIPTION.clone()).into_response(),
            Err(fault) => fault.into_response(),
        }
    }

    async fn act(&self, act: Act, asked: &Asked) -> Answered<Reply> {
        let app = &self.app;
        match act {
            Act::List(resource) => list::answer(app, resource, &asked.path, &asked.query).await,
            Act::Read(resource) => {
                let found = reading::document(app, resource, asked.id()?).await?;
                let shown = resource.shown(&found, Extent::Whole);
                let status = match asked.conditions.not_modified(&shown)? {
                    true => StatusCode::NOT_MODIFIED,
                    false => StatusCode::OK,
                };
                Ok(Reply::document(status, &shown).without_body_of(StatusCode::NOT_MODIFIED))
            }
            Act::Create(resource) => create::answer(app, resource, asked).await,
            Act::Change(resource) => change::answer(app, resource, asked).await,
            Act::Delete(resource) => delete::answer(app, resource, asked).await,
            Act::Recipients => recipients::answer(app, asked).await,
            Act::OpenTrades => open_trades::answer(app, asked).await,
            Act::Me => Ok(own::who(&asked.caller)),
            Act::Tokens => own::tokens(app, asked).await,
            Act::DeleteToken => own::delete_token(app, asked).await,
            Act::CloseTrade => by_hand::close_trade(app, asked).await,
            Act::Resend => by_hand::resend(app, asked).await,
            Act::Unblock => by_hand::unblock(app, asked).await,
            Act::Process => by_hand::process(app, asked).await,
            Act::ProcessRejected => by_hand::process_rejected(app, asked).await,
            Act::Rehearse => by_hand::rehearse(app, asked).await,
            Act::EraseUser => by_hand::erase_user(app, asked).await,
        }
    }
}

/// What a route takes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    Nothing,
    Json,
    /// The same, or nothing.
    JsonIfAny,
    /// As TradingView sends it.
    Anything,
}

impl Act {
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
            | Self::EraseUser => true,
        }
    }

    const fn body(self) -> Taken {
        match self {
            Self::Create(_) | Self::Change(_) | Self::CloseTrade => Taken::Json,
            Self::Process | Self::ProcessRejected => Taken::JsonIfAny,
            Self::Rehearse => Taken::Anything,
            _ => Taken::Nothing,
        }
    }
}

impl Asked {
    /// The document that the address names.
    fn id(&self) -> Answered<ObjectId> {
        self.id.ok_or_else(|| not_found("document"))
    }
}

/// What is no id names nothing.
fn id_in(params: &RawPathParams) -> Answered<Option<ObjectId>> {
    let Some((_, text)) = params.iter().find(|(name, _)| *name == "id") else { return Ok(None) };
    ObjectId::parse_str(text).map(Some).map_err(|_| {
        let detail = "the address names no document: an id is 24 hexadecimal digits";
        Problem::new(StatusCode::NOT_FOUND, "Not found", detail).into()
    })
}

fn must_be_json(head: &request::Parts) -> Answered<()> {
    let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !["application/json", "application/merge-patch+json"].iter().any(|json| media_type.eq_ignore_ascii_case(json)) {
        let detail = "the body is JSON: send Content-Type: application/json";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unknown media type", detail).into());
    }
    Ok(())
}

async fn read_body(body: Body) -> Answered<Bytes> {
    body::read(body, BODY_BYTES_MAX).await.map_err(|error| match error {
        BodyError::TooLarge { .. } => {
            let detail = format!("a body has at most {} KiB", BODY_BYTES_MAX / 1024);
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "Request too large", detail).closing().into()
        }
        BodyError::Broken => {
            Problem::new(StatusCode::BAD_REQUEST, "Request broken off", "the body ended early").closing().into()
        }
    })
}

/// Lets every part of this process see a change that was written. Nothing rests on it: they look by themselves.
async fn changed(app: &App) {
    let caught_up: Result<(), StoreError> = app.audience.catch_up(&*app.store).await;
    if let Err(error) = caught_up {
        tracing::warn!(%error, "a change by the API is seen a moment later");
    }
}
