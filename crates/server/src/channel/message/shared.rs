//! The texts of entries and exits, each rendered once for all who get the same.
//!
//! What is kept is rendered from nothing but what it is kept under, of the delivery too: so it is what would be rendered
//! for whoever finds it.

use std::sync::Arc;
use std::time::Duration;

use alertcast_core::alert::document::Alert;
use alertcast_core::alert_configuration::AlertConfiguration;
use alertcast_core::delivery::{
    CauseKind, Channel, Delivery, DeliveryCause, DeliveryIdentity, DeliveryRecipient, LATE_AFTER, MessageFacts,
    MessageKind,
};
use alertcast_core::id::DeliveryId;
use alertcast_core::money::Count;
use alertcast_core::time::Time;
use bson::oid::ObjectId;
use jiff::tz::TimeZone;

use super::{MessageContext, RenderedMessage, UntellableMessage, render};

/// More texts are not kept: of one alert there are as many as its readers have time zones and numbers of trades.
const KEPT_MAX: usize = 64;
const MINUTE: Duration = Duration::from_secs(60);

/// What the message of a delivery is made of that tells of one alert alone.
#[derive(Debug, Clone, Copy)]
pub struct SharedContext<'a> {
    pub delivery: &'a Delivery,
    pub alert: &'a Arc<Alert>,
    pub config: Option<&'a Arc<AlertConfiguration>>,
    /// The reader's.
    pub zone: &'a TimeZone,
    pub now: Time,
}

/// The texts that were rendered last.
#[derive(Debug, Default)]
pub struct SharedTexts {
    /// The one used last at the end.
    kept: Vec<KeptText>,
}

#[derive(Debug)]
struct KeptText {
    /// Held, so that no other comes to stand in its place.
    alert: Arc<Alert>,
    config: Option<Arc<AlertConfiguration>>,
    news: SharedNews,
    zone: TimeZone,
    rendered: RenderedMessage,
}

/// What a text says beyond its alert and configuration.
#[derive(Debug, Clone, PartialEq)]
struct SharedNews {
    facts: MessageFacts,
    decimals: Option<Count>,
    possible_repeat: bool,
    /// How old its alert is in minutes, where it is late.
    minutes_late: Option<u64>,
}

impl SharedTexts {
    /// The message.
    ///
    /// # Errors
    /// As [`render`].
    pub fn render(&mut self, context: &SharedContext<'_>) -> Result<RenderedMessage, UntellableMessage> {
        let Some(news) = SharedNews::of(context) else { return render(&context.whole(context.delivery, context.now)) };
        if let Some(at) = self.kept.iter().rposition(|kept| kept.is_for(context, &news)) {
            let kept = self.kept.remove(at);
            let rendered = kept.rendered.clone();
            self.kept.push(kept);
            return Ok(rendered);
        }
        let rendered = render(&context.whole(&news.delivery(), news.now(context.alert)))?;
        if self.kept.len() >= KEPT_MAX {
            self.kept.remove(0);
        }
        let (alert, config) = (Arc::clone(context.alert), context.config.map(Arc::clone));
        self.kept.push(KeptText { alert, config, news, zone: context.zone.clone(), rendered: rendered.clone() });
        Ok(rendered)
    }
}

impl KeptText {
    fn is_for(&self, context: &SharedContext<'_>, news: &SharedNews) -> bool {
        let is_same_config = match (&self.config, context.config) {
            (Some(kept), Some(config)) => Arc::ptr_eq(kept, config),
            (None, None) => true,
            _ => false,
        };
        Arc::ptr_eq(&self.alert, context.alert) && is_same_config && self.news == *news && self.zone == *context.zone
    }
}

impl SharedContext<'_> {
    fn whole<'a>(&'a self, delivery: &'a Delivery, now: Time) -> MessageContext<'a> {
        let (alert, config) = (Some(&**self.alert), self.config.map(|config| &**config));
        MessageContext { delivery, alert, config, entry: None, zone: self.zone, now }
    }
}

impl SharedNews {
    /// None where it tells of other trades too, or of what only its reader has.
    fn of(context: &SharedContext<'_>) -> Option<Self> {
        let delivery = context.delivery;
        if !matches!(delivery.facts, MessageFacts::Entry { .. } | MessageFacts::Exit { .. })
            || !delivery.also_ended.is_empty()
        {
            return None;
        }
        let age = context.now.since(context.alert.webhook.received_at);
        Some(Self {
            facts: delivery.facts.clone(),
            decimals: delivery.decimals,
            possible_repeat: delivery.possible_repeat,
            minutes_late: (age > LATE_AFTER).then_some(age.as_secs() / MINUTE.as_secs()),
        })
    }

    /// A moment at which it is as late.
    fn now(&self, alert: &Alert) -> Time {
        let past = |minutes: u64| MINUTE * u32::try_from(minutes).unwrap_or(u32::MAX) + Duration::from_millis(1);
        alert.webhook.received_at + self.minutes_late.map_or(Duration::ZERO, past)
    }

    /// A delivery of which nothing else can be told.
    fn delivery(&self) -> Delivery {
        let (id, never) = (ObjectId::from_bytes([0; 12]), Time::from_millis(0));
        let nobodys = DeliveryIdentity {
            cause: DeliveryCause { kind: CauseKind::Alert, id },
            recipient: DeliveryRecipient::Chat(""),
            channel: Channel::Telegram,
            kind: MessageKind::Entry,
            trade: None,
        };
        let blank = Delivery::new_pending(DeliveryId(id), nobodys, self.facts.clone(), never);
        Delivery { decimals: self.decimals, possible_repeat: self.possible_repeat, ..blank }
    }
}

#[cfg(test)]
mod tests {
    use alertcast_core::delivery::EndedTrade;
    use alertcast_core::fixtures;
    use alertcast_core::market::{ExitReason, Side};
    use alertcast_core::money::{Amount, Price};

    use super::*;

    fn closed() -> EndedTrade {
        EndedTrade {
            number: Count(3),
            side: Side::Buy,
            entry_price: Price::parse("100").unwrap(),
            exit_price: Price::parse("110").unwrap(),
            reason: ExitReason::TpHit,
            inferred: false,
            inference: None,
            opened_at: fixtures::at(0),
            pnl_amount: Amount::new(10.into()).unwrap(),
            pnl_percentage: Amount::new(10.into()).unwrap(),
            currency: "USD".to_owned(),
            decimals: None,
            note: None,
        }
    }

    fn moments() -> impl Iterator<Item = i64> {
        [-5_000, 0, 2_000, 59_999, 60_000, 60_001, 61_000, 119_999, 120_000, 7_200_000].into_iter()
    }

    #[test]
    fn what_is_kept_is_what_would_be_rendered() {
        let zones = ["Asia/Kolkata", "America/New_York", "UTC"].map(|name| TimeZone::get(name).unwrap());
        let alerts = [1, 2].map(|n| Arc::new(fixtures::alert(n, 1)));
        let config = Arc::new(fixtures::config(1));
        let mut texts = SharedTexts::default();
        let exit = MessageFacts::Exit { closed: closed() };
        let facts = [1, 2].map(|n| MessageFacts::Entry { number: Count(n) }).into_iter().chain([exit]);
        let facts: Vec<MessageFacts> = facts.collect();
        for round in 0..2 {
            for (n, zone, alert, late) in all(&zones, &alerts) {
                for (facts, possible_repeat) in facts.iter().zip([false, true].into_iter().cycle()) {
                    let decimals = n.is_multiple_of(2).then_some(Count(3));
                    let user = fixtures::entry(Channel::Telegram, n, n, 1);
                    let delivery = Delivery { facts: facts.clone(), decimals, possible_repeat, ..user };
                    let now = Time::from_millis(alert.webhook.received_at.millis() + late);
                    let config = (!n.is_multiple_of(3)).then_some(&config);
                    let context = SharedContext { delivery: &delivery, alert, config, zone, now };
                    let whole = render(&context.whole(&delivery, now));
                    assert_eq!(texts.render(&context), whole, "{round} {facts:?} {late}");
                    assert!(texts.kept.len() <= KEPT_MAX);
                }
            }
        }
    }

    fn all<'a>(
        zones: &'a [TimeZone],
        alerts: &'a [Arc<Alert>],
    ) -> impl Iterator<Item = (u32, &'a TimeZone, &'a Arc<Alert>, i64)> {
        let pairs = zones.iter().flat_map(move |zone| alerts.iter().map(move |alert| (zone, alert)));
        let all = pairs.flat_map(|(zone, alert)| moments().map(move |late| (zone, alert, late)));
        (1..).zip(all).map(|(n, (zone, alert, late))| (n, zone, alert, late))
    }

    #[test]
    fn readers_of_the_same_share_one_text() {
        let (alert, zone, mut texts) = (Arc::new(fixtures::alert(1, 1)), TimeZone::UTC, SharedTexts::default());
        for user in 1..=100 {
            let delivery = fixtures::entry(Channel::Telegram, 1, user, 1);
            let now = Time::from_millis(alert.webhook.received_at.millis() + i64::from(user) * 10);
            let context = SharedContext { delivery: &delivery, alert: &alert, config: None, zone: &zone, now };
            texts.render(&context).unwrap();
        }
        assert_eq!(texts.kept.len(), 1);
    }

    #[test]
    fn what_tells_of_other_trades_too_is_not_shared() {
        let (alert, zone, mut texts) = (Arc::new(fixtures::alert(1, 1)), TimeZone::UTC, SharedTexts::default());
        let mut delivery = fixtures::entry(Channel::Telegram, 1, 1, 1);
        delivery.facts = MessageFacts::PartialExit { numbers: vec![Count(1)], change: Default::default() };
        let now = alert.webhook.received_at;
        let context = SharedContext { delivery: &delivery, alert: &alert, config: None, zone: &zone, now };
        assert_eq!(texts.render(&context), render(&context.whole(&delivery, now)));
        assert!(texts.kept.is_empty());
    }
}
