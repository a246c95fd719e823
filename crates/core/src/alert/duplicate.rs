//! What tells a resend from a new alert (product, "Duplicates"): keys that the store claims together with the alert.
//!
//! A key is a hash: neither the webhook's secret nor the body can be got back from it.

use std::fmt;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::intent::Intent;
use super::payload::Payload;
use crate::id::ConfigId;
use crate::market::Signal;
use crate::store::IntakeKey;
use crate::time::Time;

/// How long the same request counts as a resend where its body carries a timestamp: two alerts of different moments
/// then differ.
pub const DATED_WINDOW: Duration = Duration::from_secs(10 * 60);

/// The same for a body without a timestamp: longer than TradingView's resends (three, five seconds apart), shorter than
/// a bar.
pub const UNDATED_WINDOW: Duration = Duration::from_secs(45);

/// How long an `alert_id` is remembered for its configuration and signal.
pub const ALERT_ID_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

/// The keys that an accepted alert claims: that of its request, and that of its `alert_id` where it has one.
///
/// `signal` is that of the checked alert.
pub fn keys(
    request: &WebhookRequest<'_>,
    payload: &Payload,
    config: ConfigId,
    signal: Signal,
    received_at: Time,
) -> Vec<IntakeKey> {
    let window = if payload.timestamp_in_body { DATED_WINDOW } else { UNDATED_WINDOW };
    let mut keys = vec![IntakeKey { key: fingerprint(request), until: received_at + window }];
    keys.extend(payload.alert_id.as_ref().map(|alert_id| IntakeKey {
        key: alert_id_key(alert_id, config, signal, payload.intent),
        until: received_at + ALERT_ID_WINDOW,
    }));
    keys
}

/// The keys by which a request is known that breaks a rule by now: it may be a resend of an alert that was accepted.
pub fn keys_of_refused(
    request: &WebhookRequest<'_>,
    payload: &Payload,
    config: Option<ConfigId>,
    received_at: Time,
) -> Vec<IntakeKey> {
    match (config, payload.signal) {
        (Some(config), Some(signal)) => keys(request, payload, config, signal, received_at),
        _ => vec![IntakeKey { key: fingerprint(request), until: received_at }],
    }
}

/// Names one of the webhook's secrets without telling it.
pub type SecretId = [u8; 32];

/// The name of a secret.
#[must_use]
pub fn secret_id(secret: &str) -> SecretId {
    Sha256::digest(secret).into()
}

/// A request to the webhook, as it came.
#[derive(Clone, Copy)]
pub struct WebhookRequest<'a> {
    /// Which of the webhook's secrets was used, so that two providers who send the same words do not hide each other's
    /// alerts.
    pub secret_id: &'a [u8],
    /// The URL's query.
    pub query: &'a str,
    pub body: &'a [u8],
}

/// Shows nothing but sizes: query and body may hold secrets.
impl fmt::Debug for WebhookRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} bytes of query, {} of body)", self.query.len(), self.body.len())
    }
}

/// The key of a request: 64 hexadecimal digits.
fn fingerprint(request: &WebhookRequest<'_>) -> String {
    hash("request", &[request.secret_id, request.query.as_bytes(), request.body])
}

/// The key of an `alert_id`: 64 hexadecimal digits. The signal is what the sender said: TP1, TP2, a partial exit, an exit
/// of the long position and one of the short are five, though all of them are stored as TP_HIT.
pub fn alert_id_key(alert_id: &str, config: ConfigId, signal: Signal, intent: Option<Intent>) -> String {
    let config = config.bytes();
    let mut parts = vec![alert_id.as_bytes(), &config, signal.as_str().as_bytes()];
    // Where the signal says it all there is nothing finer.
    let finer =
        intent.filter(|intent| intent.to_document().is_some()).and_then(|intent| serde_json::to_vec(&intent).ok());
    parts.extend(finer.as_deref());
    hash("alert_id", &parts)
}

/// Each part goes in behind its length, so that no two lists of parts make the same input.
fn hash(kind: &str, parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in [kind.as_bytes()].iter().chain(parts) {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hex::encode(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::intent::{ExitSignal, PositionChange};
    use crate::market::Side;

    #[test]
    fn a_fingerprint_changes_with_each_of_its_parts_and_with_where_they_meet() {
        let fingerprint = |secret_id, query, body| fingerprint(&WebhookRequest { secret_id, query, body });
        let all = [
            fingerprint(b"0", "a=1", b"body"),
            fingerprint(b"1", "a=1", b"body"),
            fingerprint(b"0", "a=2", b"body"),
            fingerprint(b"0", "a=1", b"bodY"),
            fingerprint(b"0", "a=1b", b"ody"),
            fingerprint(b"0a", "=1", b"body"),
        ];
        for (i, a) in all.iter().enumerate() {
            assert_eq!(a.len(), 64);
            assert!(all[i + 1..].iter().all(|b| a != b));
        }
        assert_eq!(all[0], fingerprint(b"0", "a=1", b"body"));
    }

    #[test]
    fn the_window_follows_the_bodys_timestamp_and_an_alert_id_adds_a_key() {
        let config = ConfigId::MIN;
        let body = br#"{"timestamp":"2026-11-22T10:00:00Z"}"#;
        let windows = |body: &[u8], query: &str| {
            let payload = super::super::payload::read(body, query).unwrap();
            let request = WebhookRequest { secret_id: b"0", query, body };
            let keys = keys(&request, &payload, config, Signal::Buy, Time::default());
            keys.into_iter().map(|key| key.until.since(Time::default())).collect::<Vec<_>>()
        };
        assert_eq!(windows(body, ""), [DATED_WINDOW]);
        assert_eq!(windows(b"{}", "time=2026-11-22T10:00:00Z"), [UNDATED_WINDOW], "a query's time is always the same");
        assert_eq!(windows(br#"{"alert_id": 7}"#, ""), [UNDATED_WINDOW, ALERT_ID_WINDOW]);
        assert_eq!(
            windows(br#"{"alert_id": "{{plot_0}}"}"#, ""),
            [UNDATED_WINDOW],
            "an unfilled one would be everyone's"
        );
        assert_ne!(alert_id_key("7", config, Signal::Buy, None), alert_id_key("7", config, Signal::TpHit, None));
        let at = |target| Intent::Exit { reason: ExitSignal::TpHit, side: None, target };
        let partial = |change| Intent::Partial { side: None, reason: None, change };
        let of = |side| Intent::Exit { reason: ExitSignal::TpHit, side, target: None };
        let flat = |side| Intent::Flat { side, reason: None };
        let keys: std::collections::BTreeSet<String> =
            [at(None), at(Some(1)), at(Some(2)), partial(PositionChange::Reduced), partial(PositionChange::Breakeven)]
                .into_iter()
                .chain([
                    of(Some(Side::Buy)),
                    of(Some(Side::Sell)),
                    flat(None),
                    flat(Some(Side::Buy)),
                    flat(Some(Side::Sell)),
                ])
                .map(|intent| alert_id_key("7", config, Signal::TpHit, Some(intent)))
                .collect();
        assert_eq!(keys.len(), 10, "what the sender tells apart is apart");
        assert!(keys.contains(&alert_id_key("7", config, Signal::TpHit, None)));
    }
}
