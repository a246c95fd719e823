//! How an `alerts` document comes to be: from a request that keeps the rules, or one that breaks them. The webhook, an
//! operator's acceptance after the fact and every rehearsal make theirs here.

use bson::Document;

use super::document::{
    Alert, AlertData, AlertError, AlertExtension, AlertProcessing, AlertStatistics, AlertStatus, Source, WebhookReceipt,
};
use super::payload::Payload;
use super::rule_violation::RuleViolation;
use super::rules::CheckedAlert;
use crate::alert::intent::Intent;
use crate::id::{AlertId, ConfigId};
use crate::money::Count;
use crate::store::partition_of;
use crate::time::Time;

/// A request that becomes an alert: its id, and how it came in.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertReceipt {
    pub id: AlertId,
    pub received_at: Time,
    /// The body as it was read, without secrets.
    pub raw_payload: Document,
    /// Where it was asked for, and is right.
    pub signature: Option<String>,
    pub ip_address: Option<String>,
}

impl AlertReceipt {
    /// A receipt without a request: of an alert that is rehearsed, or of a kept request that says no more.
    pub const fn plain(id: AlertId, received_at: Time, raw_payload: Document) -> Self {
        Self { id, received_at, raw_payload, signature: None, ip_address: None }
    }
}

/// The configuration for which an alert is kept, and the mark of its receipt there: every alert whose acceptance had been
/// answered before has a `seq` up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiptMark {
    pub config: ConfigId,
    pub after: i64,
}

/// Why an alert is refused.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AlertRefusal {
    /// What people read.
    pub errors: Vec<AlertError>,
    /// The codes of the broken rules, each once.
    pub codes: Vec<String>,
}

impl Alert {
    /// The alert of a request that keeps the rules.
    pub fn accepted(receipt: AlertReceipt, mark: ReceiptMark, checked: &CheckedAlert) -> Self {
        let received_at = receipt.received_at;
        let mut alert = Self::received(receipt, checked.alert_data());
        alert.take_on(mark, checked, received_at);
        alert
    }

    /// The alert of a request that breaks rules; `mark`: none where no configuration was found for it. None where it says
    /// too little to be kept as an alert.
    pub fn refused(
        receipt: AlertReceipt,
        mark: Option<ReceiptMark>,
        payload: &Payload,
        refusal: AlertRefusal,
    ) -> Option<Self> {
        let alert_data = payload.alert_data(receipt.received_at)?;
        let mut alert = Self::received(receipt, alert_data);
        alert.processing.status = AlertStatus::Failed;
        alert.processing.errors = refusal.errors;
        alert.alertcast.refused_for = refusal.codes;
        alert.alertcast.note_request(payload);
        if let Some(mark) = mark {
            alert.mark(mark);
        }
        Some(alert)
    }

    /// Makes of this alert, which was refused, one that keeps the rules: what it was read as then gives way to what it is
    /// read as now. Its status stays as it is.
    pub fn take_on(&mut self, mark: ReceiptMark, checked: &CheckedAlert, now: Time) {
        self.alert_data = checked.alert_data();
        self.mark(mark);
        // Of a turn one half may be left out: the operators see why.
        self.processing.errors.extend(list_errors(&checked.left_out, now));
        self.alertcast.note_checked(checked);
    }

    fn mark(&mut self, mark: ReceiptMark) {
        self.processing.alert_config_id = Some(mark.config);
        self.alertcast.partition = Some(partition_of(mark.config));
        self.alertcast.after = Count(mark.after);
    }

    fn received(receipt: AlertReceipt, alert_data: AlertData) -> Self {
        let AlertReceipt { id, received_at, raw_payload, signature, ip_address } = receipt;
        Self {
            id,
            source: Source::TradingView,
            webhook: WebhookReceipt { received_at, processed_at: None, raw_payload, signature, ip_address },
            alert_data,
            processing: AlertProcessing::default(),
            statistics: AlertStatistics::default(),
            created_at: received_at,
            updated_at: received_at,
            alertcast: AlertExtension::default(),
        }
    }
}

impl AlertExtension {
    fn note_checked(&mut self, checked: &CheckedAlert) {
        self.intent = checked.intent.to_document();
        self.quantity = checked.quantity;
        self.trade_ref.clone_from(&checked.trade_ref);
        self.trade_ref_explicit = checked.trade_ref_explicit;
        self.comment.clone_from(&checked.comment);
        self.risk = checked.risk;
        self.delayed_feed.clone_from(&checked.delayed_feed);
        self.testing = checked.testing;
    }

    fn note_request(&mut self, payload: &Payload) {
        self.intent = payload.intent.and_then(Intent::to_document);
        self.quantity = payload.quantity;
        self.trade_ref.clone_from(&payload.trade_ref);
        self.trade_ref_explicit = payload.trade_ref_explicit;
        self.comment.clone_from(&payload.comment);
        self.risk = payload.risk;
    }
}

/// Broken rules as an alert keeps them.
pub fn list_errors(problems: &[RuleViolation], at: Time) -> impl Iterator<Item = AlertError> {
    problems.iter().map(move |problem| AlertError::new(problem.message.clone(), at))
}

/// The codes of broken rules, each once.
pub fn list_codes(problems: &[RuleViolation]) -> Vec<&'static str> {
    let mut codes = Vec::new();
    for problem in problems {
        if !codes.contains(&problem.code.as_str()) {
            codes.push(problem.code.as_str());
        }
    }
    codes
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;
    use crate::alert::{payload, rules};
    use crate::alert_configuration::AlertConfiguration;
    use crate::fixtures::{alert_id, at, config, config_id};
    use crate::market::Signal;

    fn read(more: &str) -> Payload {
        let body = format!(r#"{{"symbol": "SYM1", "tf": "1h", "strategy": "EMA", "price": 100, {more}}}"#);
        payload::read(body.as_bytes(), "").unwrap()
    }

    fn check(payload: &Payload, config: &AlertConfiguration) -> CheckedAlert {
        rules::check(payload, config, at(1), &[], true).unwrap()
    }

    const MARK: ReceiptMark = ReceiptMark { config: config_id(1), after: 7 };

    fn receipt() -> AlertReceipt {
        AlertReceipt {
            id: alert_id(1),
            received_at: at(1),
            raw_payload: doc! { "price": 100 },
            signature: Some("s".to_owned()),
            ip_address: Some("203.0.113.7".to_owned()),
        }
    }

    fn messages(alert: &Alert) -> Vec<&str> {
        alert.processing.errors.iter().map(|error| error.message.as_str()).collect()
    }

    #[test]
    fn an_accepted_alert_keeps_how_it_came_in_and_what_it_asks_for() {
        let payload =
            read(r#""signal": "exit", "side": "long", "comment": "c", "order_id": "o", "qty": 2, "risk": "low""#);
        let alert = Alert::accepted(receipt(), MARK, &check(&payload, &config(1)));
        let webhook = &alert.webhook;
        assert_eq!((alert.id, webhook.received_at, webhook.processed_at), (alert_id(1), at(1), None));
        assert_eq!((&webhook.raw_payload, webhook.signature.as_deref()), (&doc! { "price": 100 }, Some("s")));
        assert_eq!(
            (webhook.ip_address.as_deref(), alert.created_at, alert.updated_at),
            (Some("203.0.113.7"), at(1), at(1))
        );
        assert_eq!(alert.processing.status, AlertStatus::Received);
        assert_eq!((alert.processing.alert_config_id, messages(&alert).len()), (Some(config_id(1)), 0));
        let own = &alert.alertcast;
        assert_eq!((own.after, own.partition), (Count(7), Some(partition_of(config_id(1)))));
        assert_eq!((&own.intent, own.quantity), (&payload.intent.and_then(Intent::to_document), payload.quantity));
        assert_eq!(
            (own.trade_ref.as_deref(), own.trade_ref_explicit, own.comment.as_deref()),
            (Some("o"), false, Some("c"))
        );
        assert!(own.intent.is_some() && own.quantity.is_some() && own.risk.is_some());
        assert!(own.refused_for.is_empty());
    }

    #[test]
    fn of_a_turn_it_is_kept_why_one_half_is_left_out() {
        let mut no_entries = config(1);
        no_entries.alert_types.entry.enabled = false;
        let turn = read(r#""action": "sell", "market_position": "short", "prev_market_position": "long""#);
        let checked = check(&turn, &no_entries);
        let alert = Alert::accepted(receipt(), MARK, &checked);
        assert_eq!(messages(&alert), [checked.left_out[0].message.as_str()]);
        assert_eq!(alert.processing.errors[0].timestamp, at(1));
        assert_eq!(alert.processing.status, AlertStatus::Received, "the other half is worked on");
    }

    #[test]
    fn a_refused_alert_keeps_why_and_one_that_says_too_little_is_none() {
        let refusal =
            || AlertRefusal { errors: vec![AlertError::new("why".to_owned(), at(2))], codes: vec!["stale".to_owned()] };
        let payload = read(r#""signal": "exit", "side": "long""#);
        let alert = Alert::refused(receipt(), Some(MARK), &payload, refusal()).unwrap();
        assert_eq!((alert.processing.status, messages(&alert)), (AlertStatus::Failed, vec!["why"]));
        assert_eq!(alert.alertcast.refused_for, ["stale"]);
        assert_eq!((alert.processing.alert_config_id, alert.alertcast.after), (Some(config_id(1)), Count(7)));
        assert!(alert.alertcast.intent.is_some());
        let unknown = Alert::refused(receipt(), None, &payload, refusal()).unwrap();
        assert_eq!((unknown.processing.alert_config_id, unknown.alertcast.partition), (None, None));
        assert_eq!(Alert::refused(receipt(), None, &read(r#""note": "x""#), refusal()), None);
    }

    #[test]
    fn what_an_operator_accepts_is_what_would_have_been_accepted_at_once() {
        let payload = read(r#""signal": "BUY", "tp": 110, "sl": 95, "comment": "c""#);
        let checked = check(&payload, &config(1));
        let refused = read(r#""signal": "exit", "side": "long", "trade_id": "t""#);
        let refusal = AlertRefusal { errors: Vec::new(), codes: vec!["stale".to_owned()] };
        let mut alert = Alert::refused(receipt(), None, &refused, refusal).unwrap();
        assert_eq!(alert.alert_data.signal, Signal::TpHit);
        alert.take_on(MARK, &checked, at(9));
        assert_eq!((alert.processing.status, alert.alertcast.refused_for.len()), (AlertStatus::Failed, 1));
        alert.processing.status = AlertStatus::Received;
        alert.alertcast.refused_for.clear();
        assert_eq!(alert, Alert::accepted(receipt(), MARK, &checked));
    }

    #[test]
    fn a_code_is_named_once() {
        let payload = payload::read(br#"{"price": "x"}"#, "").unwrap();
        let problems = rules::without_configuration(&payload, at(1), true, None);
        assert!(problems.len() > 2, "{problems:?}");
        let codes = list_codes(&problems);
        assert!(codes.len() < problems.len() && codes.contains(&"missing"), "{codes:?}");
    }
}
