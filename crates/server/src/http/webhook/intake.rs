//! From a request to what it comes to: read, find the configuration, hold it against the rules, accept or refuse. The
//! decisions are the domain's; this brings it what they rest on, and stores what they come to.
//!
//! Everything here happens within the deadline of intake, refusals too: a refusal that could not be kept is answered
//! like an alert that could not (503), because TradingView's resend is what gets it kept, and the operators told.

use std::net::IpAddr;
use std::sync::Arc;

use alertcast_core::alert::acceptance::{AlertReceipt, AlertRefusal, ReceiptMark, list_codes, list_errors};
use alertcast_core::alert::document::{Alert, AlertError, PricePoint};
use alertcast_core::alert::duplicate::{self, SecretId};
use alertcast_core::alert::intent::Intent;
use alertcast_core::alert::payload::{self, Payload};
use alertcast_core::alert::rule_violation::{ProblemCode, RuleViolation};
use alertcast_core::alert::rules::{self, CheckedAlert, REFERENCE_AGE_MAX};
use alertcast_core::alert_configuration::AlertConfiguration;
use alertcast_core::id::{AlertId, ConfigId};
use alertcast_core::store::{AlertAcceptance, StoreResult};
use alertcast_core::time::Time;
use axum::body::Bytes;
use futures::future;

use super::answer::WebhookAnswer;
use super::authentication::SignatureVerdict;
use super::{refusal, swallowed};
use crate::app::App;
use crate::base::Base;

/// A request with a right secret.
#[derive(Debug)]
pub(super) struct AuthorizedRequest {
    pub(super) secret_id: SecretId,
    /// As they came: what tells a resend. Of a body that was too large, its beginning.
    pub(super) query: String,
    pub(super) body: Bytes,
    /// Without the secrets that are configured, as the webhook's own, which some paste into their message with its whole
    /// address: what is read and kept.
    pub(super) kept_query: String,
    pub(super) kept_body: Bytes,
    pub(super) too_large: bool,
    pub(super) signed: SignatureVerdict,
    pub(super) address: IpAddr,
    pub(super) address_allowed: bool,
    pub(super) received_at: Time,
}

impl AuthorizedRequest {
    fn signature(&self) -> Option<String> {
        match &self.signed {
            SignatureVerdict::Well(signature) => Some(signature.clone()),
            SignatureVerdict::NotAsked | SignatureVerdict::Badly { .. } => None,
        }
    }

    fn request(&self) -> duplicate::WebhookRequest<'_> {
        duplicate::WebhookRequest { secret_id: &self.secret_id, query: &self.query, body: &self.body }
    }
}

/// Takes a request in.
///
/// # Errors
/// Those of the store: then nothing is known to be kept.
pub(super) async fn take_in(app: &App, request: &AuthorizedRequest) -> StoreResult<WebhookAnswer> {
    if let Some(answer) = turned_away(request) {
        refusal::keep_request(app, request, &answer).await?;
        return Ok(answer);
    }
    let payload = match payload::read(&request.kept_body, &request.kept_query) {
        Ok(payload) => payload,
        Err(unreadable) => {
            let answer = WebhookAnswer::Unreadable { why: unreadable.to_string() };
            refusal::keep_request(app, request, &answer).await?;
            return Ok(answer);
        }
    };
    let mut judged = judge(app, request, &payload, None).await?;
    let mut known = AudienceAge::Now;
    if let RuleVerdict::Breaks { config, after, .. } = judged {
        // The configuration may have been made or mended a moment ago. The mark stays that of the receipt.
        known = catch_up(app).await?;
        judged = judge(app, request, &payload, config.map(|config| (config, after))).await?;
    }
    match judged {
        RuleVerdict::Keeps { config, checked, after } => accept(app, request, &payload, config, *checked, after).await,
        RuleVerdict::Breaks { config, problems, after } => {
            refuse(app, request, &payload, (config, after), problems, known).await
        }
    }
}

/// As of when the audience is known that an alert is judged by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AudienceAge {
    Now,
    /// As of when the store went away.
    Before,
}

/// Brings the audience up to date. While the store is away and there is a spool, it stays as it is.
async fn catch_up(app: &App) -> StoreResult<AudienceAge> {
    let newest = app.audience.catch_up(&*app.store);
    match &app.spool {
        None => newest.await.map(|()| AudienceAge::Now),
        Some(spool) => Ok(if spool.while_it_answers(newest).await? { AudienceAge::Now } else { AudienceAge::Before }),
    }
}

/// What is wrong with a request before its body is read at all.
fn turned_away(request: &AuthorizedRequest) -> Option<WebhookAnswer> {
    if request.too_large {
        return Some(WebhookAnswer::TooLarge);
    }
    if !request.address_allowed {
        return Some(WebhookAnswer::AddressNotAllowed { address: request.address });
    }
    match request.signed {
        SignatureVerdict::Badly { why } => Some(WebhookAnswer::WrongSignature { why }),
        SignatureVerdict::NotAsked | SignatureVerdict::Well(_) => None,
    }
}

/// What the rules say. `after`: the mark of the alert's receipt.
enum RuleVerdict {
    Keeps { config: ConfigId, checked: Box<CheckedAlert>, after: i64 },
    Breaks { config: Option<ConfigId>, problems: Vec<RuleViolation>, after: i64 },
}

async fn judge(
    app: &App,
    request: &AuthorizedRequest,
    payload: &Payload,
    marked: Option<(ConfigId, i64)>,
) -> StoreResult<RuleVerdict> {
    let Some(config) = configuration(app, payload) else {
        let problems = app.audience.with(|audience| {
            rules::without_configuration(payload, request.received_at, false, audience.strategy_meant(payload))
        });
        return Ok(RuleVerdict::Breaks { config: None, problems, after: 0 });
    };
    let mark = async {
        match marked {
            Some((of, mark)) if of == config.id => Ok(mark),
            _ => app.intake.receipt_mark(config.id).await,
        }
    };
    let (after, recent) = future::try_join(mark, recent_prices(app, request, payload, &config)).await?;
    Ok(match rules::check(payload, &config, request.received_at, &recent, false) {
        Ok(checked) if is_undecided(app, &config) && matches!(checked.intent, Intent::Entry { .. }) => {
            let message = format!(
                "the configuration {} cannot be read in what entries depend on: mend its document (`alertcast doctor` \
                 says what is wrong with it), then process this alert by hand or send it anew",
                config.id
            );
            let problem = RuleViolation::new("configuration", ProblemCode::ConfigurationUnreadable, message);
            RuleVerdict::Breaks { config: Some(config.id), problems: vec![problem], after }
        }
        Ok(checked) => RuleVerdict::Keeps { config: config.id, checked: Box::new(checked), after },
        Err(problems) => RuleVerdict::Breaks { config: Some(config.id), problems, after },
    })
}

/// Whether the configuration cannot be read in what entries depend on. Exits go by what can be read.
fn is_undecided(app: &App, config: &AlertConfiguration) -> bool {
    app.audience.with(|audience| audience.is_undecided(config.id))
}

/// The configuration that the alert names.
fn configuration(app: &App, payload: &Payload) -> Option<Arc<AlertConfiguration>> {
    app.audience.with(|audience| audience.config_of(payload).cloned())
}

/// What an entry's price is held against. Exits are not.
async fn recent_prices(
    app: &App,
    request: &AuthorizedRequest,
    payload: &Payload,
    config: &AlertConfiguration,
) -> StoreResult<Vec<PricePoint>> {
    let opens = payload.intent.is_some_and(|intent| intent.opens().is_some());
    if !opens || !config.validation.price_validation.enabled {
        return Ok(Vec::new());
    }
    app.intake.recent_prices(config.id, request.received_at - REFERENCE_AGE_MAX).await
}

async fn accept(
    app: &App,
    request: &AuthorizedRequest,
    payload: &Payload,
    config: ConfigId,
    checked: CheckedAlert,
    after: i64,
) -> StoreResult<WebhookAnswer> {
    let keys = duplicate::keys(&request.request(), payload, config, checked.signal, request.received_at);
    let alert = Alert::accepted(receipt(app, request, payload), ReceiptMark { config, after }, &checked);
    let id = alert.id;
    Ok(match app.intake.accept_alert(alert, keys, request.received_at).await? {
        AlertAcceptance::Stored => {
            app.wake.alerts_came();
            WebhookAnswer::Accepted { alert: id }
        }
        AlertAcceptance::Duplicate { of } => {
            swallowed::tell(app, payload, config, of, request.received_at);
            WebhookAnswer::Duplicate { of }
        }
    })
}

async fn refuse(
    app: &App,
    request: &AuthorizedRequest,
    payload: &Payload,
    (config, after): (Option<ConfigId>, i64),
    problems: Vec<RuleViolation>,
    known: AudienceAge,
) -> StoreResult<WebhookAnswer> {
    // A resend of an accepted alert may break a rule by now: it has grown old, say.
    let keys = duplicate::keys_of_refused(&request.request(), payload, config, request.received_at);
    if let Some(of) = app.intake.find_duplicate(&keys, request.received_at).await? {
        if let Some(config) = config {
            swallowed::tell(app, payload, config, of, request.received_at);
        }
        return Ok(WebhookAnswer::Duplicate { of });
    }
    let mut errors: Vec<AlertError> = list_errors(&problems, request.received_at).collect();
    if known == AudienceAge::Before {
        // An operator who has just made the configuration sees why it did not count.
        let message = "the store was away: judged by the configurations as they were known before";
        errors.push(AlertError::new(message.to_owned(), request.received_at));
    }
    let codes = list_codes(&problems).into_iter().map(str::to_owned).collect();
    let refused = AlertRefusal { errors, codes };
    let mark = config.map(|config| ReceiptMark { config, after });
    let Some(alert) = Alert::refused(receipt(app, request, payload), mark, payload, refused) else {
        let answer = WebhookAnswer::Refused { problems, alert: None };
        refusal::keep_request(app, request, &answer).await?;
        return Ok(answer);
    };
    let answer = WebhookAnswer::Refused { problems, alert: Some(alert.id) };
    let notices = refusal::notices_about_alert(app, &alert, &answer);
    app.intake.refuse_alert(alert, notices).await?;
    app.wake.deliveries_came();
    Ok(answer)
}

fn receipt(base: &Base, request: &AuthorizedRequest, payload: &Payload) -> AlertReceipt {
    AlertReceipt {
        id: AlertId(base.ids.next()),
        received_at: request.received_at,
        raw_payload: payload.raw.clone(),
        signature: request.signature(),
        ip_address: Some(request.address.to_string()),
    }
}
