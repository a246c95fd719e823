//! Closing a trade by an operator's hand: what is committed, and whom it is told.

use bson::oid::ObjectId;

use crate::delivery::{
    CauseKind, Delivery, DeliveryCause, DeliveryIdentity, DeliveryRecipient, EndedTrade, MessageFacts, MessageKind,
    priority, rotation,
};
use crate::id::{AlertId, DeliveryId, IdSource};
use crate::money::Price;
use crate::store::UsageIncrement;
use crate::time::Time;
use crate::trade::document::{Trade, TradeEnd};
use crate::trade::machine::{NotOpen, TradeEnding, close_by_hand};

use super::audience::Audience;
use super::chunk::tellers;
use super::decide::exit_routes;
use super::documents::has_priority_support;
use super::job::MessageChannels;
use super::route::{SubscriberRoute, SubscriberRoutes};

/// What an operator asks for.
#[derive(Debug, Clone, Copy)]
pub struct ManualClose<'a> {
    pub trade: &'a Trade,
    pub price: Price,
    /// Why, for the subscriber.
    pub note: Option<&'a str>,
    /// The act: the messages' cause.
    pub act: ObjectId,
    pub outlets: &'a MessageChannels,
}

/// What closing a trade commits.
#[derive(Debug, Clone, PartialEq)]
pub struct ClosePlan {
    pub end: TradeEnd,
    pub rev_seen: i64,
    pub deliveries: Vec<Delivery>,
    pub usage: Vec<UsageIncrement>,
    /// The price is far from all that the trade knows of.
    pub far_off: bool,
}

/// Works out the end of a trade. Its subscriber hears of it as of an alert's exit: by the channels that are switched on,
/// and not at all where exits are muted, the subscriber is suspended, or the entry never arrived.
///
/// # Errors
/// `NotOpen` where the trade has ended.
pub fn close(
    asked: &ManualClose<'_>,
    audience: &Audience,
    now: Time,
    ids: &dyn IdSource,
) -> Result<ClosePlan, NotOpen> {
    let trade = asked.trade;
    let tolerance = audience.config(trade.alert_config_id).map(|config| config.validation.price_validation.tolerance);
    let ending = close_by_hand(trade, asked.price, tolerance.unwrap_or_default())?;
    let user = audience.user(trade.user_id);
    let preference = audience.preference(trade.user_id, trade.alert_config_id);
    let routes = match trade.alertcast.unreached {
        true => SubscriberRoutes::default(),
        false => exit_routes(asked.outlets, user.as_ref(), &preference.choices).unwrap_or_default(),
    };
    let priority_support = has_priority_support(audience, trade.user_id, trade.subscription_id);
    let telling = CloseMessages { asked, ending: &ending, priority_support, now, ids };
    let told = UsageIncrement {
        subscription: trade.subscription_id,
        preference: preference.id,
        alerts: 1,
        trades: 0,
        at: now,
    };
    let deliveries: Vec<Delivery> = routes.iter().flat_map(|route| telling.by(route)).collect();
    Ok(ClosePlan {
        end: TradeEnd { told_by: tellers(&deliveries), ..ending.commit(now, None, None) },
        rev_seen: trade.alertcast.rev.0,
        deliveries,
        usage: if routes.is_empty() { Vec::new() } else { vec![told] },
        far_off: ending.far_off,
    })
}

/// What the messages of one act have in common.
struct CloseMessages<'a> {
    asked: &'a ManualClose<'a>,
    ending: &'a TradeEnding<'a>,
    priority_support: bool,
    now: Time,
    ids: &'a dyn IdSource,
}

impl CloseMessages<'_> {
    /// The exit, and its entry's edit.
    fn by(&self, route: SubscriberRoute<'_>) -> impl Iterator<Item = Delivery> {
        let exit = self.exit(route);
        let result = exit.entry_delivery.and_then(|entry| {
            let id = DeliveryId(self.ids.next());
            exit.result(id, self.asked.trade.id, entry, self.ended_trade(), self.priority_support)
        });
        [Some(exit), result].into_iter().flatten()
    }

    fn ended_trade(&self) -> EndedTrade {
        EndedTrade { note: self.asked.note.map(str::to_owned), ..self.ending.ended_trade() }
    }

    fn exit(&self, route: SubscriberRoute<'_>) -> Delivery {
        let (trade, kind) = (self.asked.trade, MessageKind::Exit);
        let parcel = DeliveryIdentity {
            cause: DeliveryCause { kind: CauseKind::Manual, id: self.asked.act },
            recipient: DeliveryRecipient::User(trade.user_id),
            channel: route.channel,
            kind,
            trade: Some(trade.id),
        };
        let facts = MessageFacts::Exit { closed: self.ended_trade() };
        Delivery {
            alert_config_id: Some(trade.alert_config_id),
            subscription_id: Some(trade.subscription_id),
            entry_delivery: trade.announced_by(route.channel),
            lane: route.lane,
            to: route.to.into_owned(),
            priority: priority(kind, self.priority_support),
            rotation: rotation(AlertId(self.asked.act), trade.user_id),
            ..Delivery::new_pending(DeliveryId(self.ids.next()), parcel, facts, self.now)
        }
    }
}
