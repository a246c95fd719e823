//! `POST /webhook/{secret}`: who may post, what is read, and the answer. What an alert comes to is decided in `intake`.

mod address;
mod answer;
mod intake;
mod limit;
mod proof;
mod refusal;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use alertcast_core::store::INTAKE_DEADLINE;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, Request};
use axum::response::{IntoResponse as _, Response};
use tracing::{info, warn};

use self::address::AddressRules;
use self::answer::Answer;
use self::intake::Delivered;
use self::limit::Limits;
use self::proof::{HmacKey, Secrets, Signed};
use super::body::{self, BodyError};
use crate::app::App;

/// The most bytes of an alert's body.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// What the webhook needs.
#[derive(Debug)]
pub(super) struct Webhook {
    app: App,
    secrets: Secrets,
    addresses: AddressRules,
    hmac_key: Option<HmacKey>,
    limits: Limits,
}

impl Webhook {
    pub(super) fn new(app: App) -> Self {
        let settings = &app.settings.webhook;
        Self {
            secrets: Secrets::new(&settings.secrets),
            addresses: AddressRules::new(&settings.allowed_addresses, &settings.trusted_proxies),
            hmac_key: settings.hmac_key.as_ref().map(HmacKey::new),
            limits: Limits::new(settings.requests_a_minute, Arc::clone(&app.clock)),
            app,
        }
    }
}

/// Takes a request in and answers it.
pub(super) async fn receive(
    State(hook): State<Arc<Webhook>>,
    secret: Result<Path<String>, PathRejection>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request<Body>,
) -> Response {
    let began = hook.app.clock.monotonic();
    // What cannot be decoded is no secret.
    let secret = secret.map(|Path(secret)| secret).unwrap_or_default();
    let answer = hook.answer(&secret, peer.ip(), request).await;
    log(&answer, hook.app.clock.monotonic().saturating_sub(began));
    answer.into_response()
}

impl Webhook {
    async fn answer(&self, secret: &str, peer: IpAddr, request: Request<Body>) -> Answer {
        let received_at = self.app.clock.now();
        let address = self.addresses.sender(peer, request.headers());
        let Some(secret_id) = self.secrets.id_of(secret) else {
            return self
                .limits
                .wrong_secret(address)
                .map_or_else(|wait| Answer::TooMany { wait }, |()| Answer::WrongSecret);
        };
        if let Err(wait) = self.limits.request(address) {
            return Answer::TooMany { wait };
        }
        let mut deadline = self.app.clock.sleep(INTAKE_DEADLINE);
        let (head, body) = request.into_parts();
        let body = tokio::select! {
            body = body::read(body, BODY_BYTES_MAX) => body,
            () = &mut deadline => return Answer::TooSlow,
        };
        let (body, too_large) = match body {
            Ok(body) => (body, false),
            Err(BodyError::TooLarge { start }) => (start.into(), true),
            Err(BodyError::Broken) => return Answer::BrokenOff,
        };
        let delivered = Delivered {
            secret_id,
            query: head.uri.query().unwrap_or_default().to_owned(),
            signed: self.signed(&head.headers, &body),
            body,
            too_large,
            address,
            address_allowed: self.addresses.allows(address),
            received_at,
        };
        let _under_way = self.app.in_flight.enter();
        tokio::select! {
            biased;
            answer = intake::take_in(&self.app, &delivered) => answer.unwrap_or_else(|error| Answer::NotDurable { error }),
            // Dropping the work cancels what is still queued in the store.
            () = &mut deadline => Answer::not_in_time(),
        }
    }

    fn signed(&self, headers: &HeaderMap, body: &[u8]) -> Signed {
        self.hmac_key.as_ref().map_or(Signed::NotAsked, |key| key.check(headers, body))
    }
}

/// One line for each request: what came of it. Never an address, a body or a URL, which holds the secret.
fn log(answer: &Answer, took: Duration) {
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let outcome = answer.outcome();
    let alert = answer.alert().map(tracing::field::display);
    match answer {
        Answer::Accepted { .. } | Answer::Duplicate { .. } => info!(outcome, alert, duration_ms, "webhook"),
        Answer::NotDurable { error } => warn!(outcome, duration_ms, %error, "webhook"),
        other => {
            let codes = Some(other.codes().join(",")).filter(|codes| !codes.is_empty());
            warn!(outcome, alert, duration_ms, codes, "webhook");
        }
    }
}
