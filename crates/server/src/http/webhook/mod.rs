//! `POST /webhook/{secret}`: who may post, what is read, and the answer. What an alert comes to is decided in `intake`.

mod answer;
mod authentication;
mod intake;
pub(in crate::http) mod log;
mod refusal;
mod swallowed;

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use alertcast_core::alert::known_secrets::KnownSecrets;
use alertcast_core::store::INTAKE_DEADLINE;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, Request};
use axum::response::{IntoResponse as _, Response};

use self::answer::WebhookAnswer;
pub(super) use self::authentication::WebhookSecrets;
use self::authentication::{HmacKey, SignatureVerdict};
use self::intake::AuthorizedRequest;
use self::log::RequestLog;
use super::address::AddressRules;
use super::body::{self, BodyError};
use super::limit::AddressLimiter;
use super::server;
use crate::app::App;
use crate::metrics::StorePart;

/// The most bytes of an alert's body.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// What the webhook needs.
#[derive(Debug)]
pub(super) struct WebhookState {
    app: App,
    secrets: WebhookSecrets,
    known_secrets: KnownSecrets,
    addresses: AddressRules,
    hmac_key: Option<HmacKey>,
    /// Counts requests with a wrong secret.
    strangers: AddressLimiter,
    log: RequestLog,
}

impl WebhookState {
    pub(super) fn new(app: App) -> Self {
        let settings = &app.settings.webhook;
        Self {
            secrets: WebhookSecrets::new(&settings.secrets),
            known_secrets: app.settings.known_secrets(),
            addresses: AddressRules::new(&settings.allowed_addresses, &settings.trusted_proxies),
            hmac_key: settings.hmac_key.as_ref().map(HmacKey::new),
            strangers: AddressLimiter::new(settings.requests_a_minute, Arc::clone(&app.clock)),
            log: RequestLog::new(Arc::clone(&app.clock)),
            app,
        }
    }
}

/// Takes a request in and answers it.
pub(super) async fn receive(
    State(hook): State<Arc<WebhookState>>,
    secret: Result<Path<String>, PathRejection>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request<Body>,
) -> Response {
    let began = hook.app.clock.monotonic();
    // What cannot be decoded is no secret.
    let secret = secret.map(|Path(secret)| secret).unwrap_or_default();
    let answer = hook.answer(&secret, peer.ip(), request).await;
    hook.log.log_answer(&answer, began);
    let took = hook.app.clock.monotonic().saturating_sub(began);
    hook.app.metrics.count_answer(answer.outcome(), answer.status().as_u16(), took);
    match &answer {
        WebhookAnswer::NotDurable { error } => {
            hook.app.metrics.store_failed(StorePart::Webhook, error);
            hook.app.readiness.not_kept(error);
        }
        WebhookAnswer::Accepted { .. } | WebhookAnswer::Refused { .. } => hook.app.readiness.note_kept(),
        _ => {}
    }
    answer.into_response()
}

impl WebhookState {
    async fn answer(&self, secret: &str, peer: IpAddr, request: Request<Body>) -> WebhookAnswer {
        let received_at = self.app.clock.now();
        let address = self.addresses.sender(peer, request.headers());
        let Some(secret_id) = self.secrets.id_of(secret) else {
            let checked = self.strangers.check(address);
            return checked.map_or_else(|wait| WebhookAnswer::TooMany { wait }, |()| WebhookAnswer::WrongSecret);
        };
        server::has_shown_secret(request.extensions());
        let mut deadline = self.app.clock.sleep(INTAKE_DEADLINE);
        let (head, body) = request.into_parts();
        let body = tokio::select! {
            // What has arrived counts, however late this process gets to look at it.
            biased;
            body = body::read(body, BODY_BYTES_MAX) => body,
            () = &mut deadline => return WebhookAnswer::TooSlow,
        };
        let (body, too_large) = match body {
            Ok(body) => (body, false),
            Err(BodyError::TooLarge { start }) => (start.into(), true),
            Err(BodyError::Broken) => return WebhookAnswer::BrokenOff,
        };
        let query = head.uri.query().unwrap_or_default();
        let delivered = AuthorizedRequest {
            secret_id,
            kept_query: String::from_utf8_lossy(&self.known_secrets.cut(query.as_bytes())).into_owned(),
            kept_body: match self.known_secrets.cut(&body) {
                Cow::Borrowed(_) => body.clone(),
                Cow::Owned(kept) => kept.into(),
            },
            query: query.to_owned(),
            signed: self.check_signature(&head.headers, &body),
            body,
            too_large,
            address,
            address_allowed: self.addresses.allows(address),
            received_at,
        };
        let _under_way = self.app.in_flight.enter();
        tokio::select! {
            biased;
            answer = intake::take_in(&self.app, &delivered) => answer.unwrap_or_else(|error| WebhookAnswer::NotDurable { error }),
            // Dropping the work cancels what is still queued in the store.
            () = &mut deadline => WebhookAnswer::not_in_time(),
        }
    }

    fn check_signature(&self, headers: &HeaderMap, body: &[u8]) -> SignatureVerdict {
        self.hmac_key.as_ref().map_or(SignatureVerdict::NotAsked, |key| key.check(headers, body))
    }
}
