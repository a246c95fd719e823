//! In which order the alerts of one configuration are processed: A before B if A's acceptance was answered before B was
//! received; else by the payloads' times, then by id (product: "Trades").

use alertcast_core::alert::document::{Alert, AlertStatus};

/// Takes the alert that comes next out of `pending`.
pub(super) fn take_next(pending: &mut Vec<Alert>) -> Option<Alert> {
    // What was begun before a crash is finished first.
    if let Some(begun) = pending.iter().position(|alert| alert.processing.status == AlertStatus::Processing) {
        return Some(pending.remove(begun));
    }
    let first_accepted = pending.iter().map(|alert| alert.alertcast.seq).min()?;
    // Whoever was received after the first one's answer has to wait for it.
    let (index, _) = pending
        .iter()
        .enumerate()
        .filter(|(_, alert)| alert.alertcast.after < first_accepted)
        .min_by_key(|(_, alert)| (alert.alert_data.timestamp, alert.id))
        // The first one itself is always free: its own mark was read before it was accepted.
        .or_else(|| pending.iter().enumerate().find(|(_, alert)| alert.alertcast.seq == first_accepted))?;
    Some(pending.remove(index))
}

#[cfg(test)]
mod tests {
    use alertcast_core::alert::document::{AlertData, AlertExtension, AlertStatistics, Processing, Source, Webhook};
    use alertcast_core::id::AlertId;
    use alertcast_core::market::Signal;
    use alertcast_core::money::{Count, Price};
    use alertcast_core::time::Time;
    use bson::Document;
    use bson::oid::ObjectId;

    use super::*;

    /// An alert by its place of acceptance, its mark of receipt and its payload's time.
    fn alert(seq: i64, after: i64, payload_time: i64) -> Alert {
        let at = Time::from_millis(0);
        let mut id = [0; 12];
        id[11] = u8::try_from(seq).unwrap();
        Alert {
            id: AlertId(ObjectId::from_bytes(id)),
            source: Source::TradingView,
            webhook: Webhook {
                received_at: at,
                processed_at: None,
                raw_payload: Document::new(),
                signature: None,
                ip_address: None,
            },
            alert_data: AlertData {
                symbol: "A".into(),
                timeframe: "1h".into(),
                strategy: "S".into(),
                signal: Signal::Buy,
                price: Price::parse("1").unwrap(),
                take_profit_price: None,
                stop_loss_price: None,
                timestamp: Time::from_millis(payload_time),
                additional_data: None,
            },
            processing: Processing::default(),
            statistics: AlertStatistics::default(),
            created_at: at,
            updated_at: at,
            alertcast: AlertExtension { seq: Count(seq), after: Count(after), ..AlertExtension::default() },
        }
    }

    fn order(mut pending: Vec<Alert>) -> Vec<i64> {
        std::iter::from_fn(|| take_next(&mut pending)).map(|alert| alert.alertcast.seq.0).collect()
    }

    #[test]
    fn an_alert_received_after_anothers_answer_comes_after_it_whatever_its_time_says() {
        assert_eq!(order(vec![alert(2, 1, 10), alert(1, 0, 99)]), [1, 2]);
    }

    #[test]
    fn alerts_under_way_together_go_by_their_own_times() {
        assert_eq!(order(vec![alert(1, 0, 99), alert(2, 0, 10), alert(3, 0, 50)]), [2, 3, 1]);
    }

    #[test]
    fn equal_times_go_by_id() {
        assert_eq!(order(vec![alert(2, 0, 5), alert(1, 0, 5)]), [1, 2]);
    }

    #[test]
    fn a_chain_of_answers_is_kept() {
        // 3 was received after 1's answer, 2 together with both.
        assert_eq!(order(vec![alert(3, 1, 1), alert(2, 0, 50), alert(1, 0, 99)]), [2, 1, 3]);
    }
}
