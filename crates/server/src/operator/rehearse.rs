//! Rehearsing an alert: what the webhook would answer, and what would follow. Nothing is written.

use std::sync::Arc;

use alertcast_core::alert::acceptance::{AlertReceipt, ReceiptMark};
use alertcast_core::alert::document::Alert;
use alertcast_core::alert::duplicate::{WebhookRequest, keys, keys_of_refused, secret_id};
use alertcast_core::alert::payload::{self, Payload, UnreadableBody};
use alertcast_core::alert::rule_violation::RuleViolation;
use alertcast_core::alert::rules::{self, CheckedAlert, REFERENCE_AGE_MAX};
use alertcast_core::alert_configuration::AlertConfiguration;
use alertcast_core::delivery::{Channel, MessageKind};
use alertcast_core::id::{AlertId, ConfigId, UserId};
use alertcast_core::matching::rehearsal::RehearsedPlan;
use alertcast_core::matching::remarks::{OperatorRemark, remarks};
use alertcast_core::store::{IntakeKey, StoreResult};
use alertcast_core::time::Time;
use jiff::tz::TimeZone;
use secrecy::{ExposeSecret as _, SecretString};

use crate::app::App;
use crate::channel::message::{MessageContext, render};
use crate::processor::{ChunkLoader, outlets, prepare_job};

/// Of so many subscribers it is told what would be decided about them.
const LISTED_MAX: usize = 200;

/// What would become of a request to the webhook.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is mostly the large one")]
pub enum RehearsedRequest {
    Unreadable(UnreadableBody),
    /// Never without problems.
    Refused {
        config: Option<ConfigId>,
        problems: Vec<RuleViolation>,
    },
    /// The same request, or an alert with its `alert_id`, was accepted already: nothing would become of it.
    Duplicate {
        of: AlertId,
    },
    Accepted {
        config: ConfigId,
        /// Its configuration is `testing`: none of this would happen, and only the operators would hear of it.
        testing: bool,
        /// Why one half of a turn would be left out.
        left_out: Vec<RuleViolation>,
        outcome: RehearsedPlan,
        /// What the operators would hear of it.
        remarks: Vec<OperatorRemark>,
        texts: Vec<SampleMessage>,
    },
}

/// A message as it would be, in UTC: the first of its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleMessage {
    pub user: Option<UserId>,
    pub channel: Channel,
    pub kind: MessageKind,
    pub html: String,
    pub plain: String,
}

/// Works out what a request to the webhook, with this body and query, would come to now.
///
/// # Errors
/// Those of the store.
pub async fn rehearse(app: &App, body: &[u8], query: &str) -> StoreResult<RehearsedRequest> {
    let payload = match payload::read(body, query) {
        Ok(payload) => payload,
        Err(unreadable) => return Ok(RehearsedRequest::Unreadable(unreadable)),
    };
    app.audience.catch_up(&*app.store).await?;
    let now = app.clock.now();
    let judged = judge(app, &payload, now).await?;
    if let Some(of) = accepted_before(app, (body, query), &payload, &judged, now).await? {
        return Ok(RehearsedRequest::Duplicate { of });
    }
    match judged {
        RehearsalVerdict::Keeps { config, checked } => rehearse_accepted(app, &payload, &config, *checked, now).await,
        RehearsalVerdict::Breaks { config, problems } => Ok(RehearsedRequest::Refused { config, problems }),
    }
}

/// What the rules say of it.
enum RehearsalVerdict {
    Keeps { config: Arc<AlertConfiguration>, checked: Box<CheckedAlert> },
    Breaks { config: Option<ConfigId>, problems: Vec<RuleViolation> },
}

async fn judge(app: &App, payload: &Payload, now: Time) -> StoreResult<RehearsalVerdict> {
    let Some(config) = app.audience.with(|audience| audience.config_of(payload).cloned()) else {
        let problems = app
            .audience
            .with(|audience| rules::without_configuration(payload, now, false, audience.strategy_meant(payload)));
        return Ok(RehearsalVerdict::Breaks { config: None, problems });
    };
    let recent = app.store.recent_prices(config.id, now - REFERENCE_AGE_MAX).await?;
    Ok(match rules::check(payload, &config, now, &recent, false) {
        Ok(checked) => RehearsalVerdict::Keeps { config, checked: Box::new(checked) },
        Err(problems) => RehearsalVerdict::Breaks { config: Some(config.id), problems },
    })
}

/// The alert of which this request would be a resend, whichever of the webhook's secrets it came with: of one that
/// breaks a rule by now, too.
async fn accepted_before(
    app: &App,
    (body, query): (&[u8], &str),
    payload: &Payload,
    judged: &RehearsalVerdict,
    now: Time,
) -> StoreResult<Option<AlertId>> {
    let of_secret = |secret: &SecretString| {
        let secret_id = secret_id(secret.expose_secret());
        let request = WebhookRequest { secret_id: &secret_id, query, body };
        match judged {
            RehearsalVerdict::Keeps { config, checked } => keys(&request, payload, config.id, checked.signal, now),
            RehearsalVerdict::Breaks { config, .. } => keys_of_refused(&request, payload, *config, now),
        }
    };
    let keys: Vec<IntakeKey> = app.settings.webhook.secrets.iter().flat_map(of_secret).collect();
    app.intake.find_duplicate(&keys, now).await
}

async fn rehearse_accepted(
    app: &App,
    payload: &Payload,
    config: &AlertConfiguration,
    checked: CheckedAlert,
    now: Time,
) -> StoreResult<RehearsedRequest> {
    let receipt = AlertReceipt::plain(AlertId(app.ids.next()), now, payload.raw.clone());
    let mut alert = Alert::accepted(receipt, ReceiptMark { config: config.id, after: 0 }, &checked);
    // What would become of it, were it no test.
    alert.alertcast.testing = false;
    let (outcome, remarks) = work_out(app, &alert, config, now).await?;
    let texts = outcome.samples.iter().filter_map(|delivery| {
        let story = MessageContext {
            delivery,
            alert: Some(&alert),
            config: Some(config),
            entry: None,
            zone: &TimeZone::UTC,
            now,
        };
        let message = render(&story).ok()?.message;
        let (user, channel, kind) = (delivery.user_id, delivery.channel, delivery.kind);
        Some(SampleMessage { user, channel, kind, html: message.html, plain: message.plain })
    });
    let texts = texts.collect();
    Ok(RehearsedRequest::Accepted {
        config: config.id,
        testing: checked.testing,
        left_out: checked.left_out,
        outcome,
        remarks,
        texts,
    })
}

/// Plans every chunk as the processor would, also where the configuration is `testing`.
async fn work_out(
    app: &App,
    alert: &Alert,
    config: &AlertConfiguration,
    now: Time,
) -> StoreResult<(RehearsedPlan, Vec<OperatorRemark>)> {
    let outlets = outlets(app);
    let job = prepare_job(app, alert, config, &outlets, None).await?;
    let mut chunks = ChunkLoader::new(app, &job, None);
    let mut outcome = RehearsedPlan::default();
    loop {
        let chunk = chunks.next().await?;
        let state = chunks.load(&chunk, now).await?;
        outcome.add(chunks.plan(&chunk, &state, now)?, LISTED_MAX);
        if chunk.is_last {
            let remarks = remarks(&job, &outcome.tally);
            return Ok((outcome, remarks));
        }
        chunks.move_on(&chunk);
    }
}
