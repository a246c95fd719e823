//! The documents that follow from a ruling: the new trade, and the deliveries.

use crate::delivery::{
    Delivery, DeliveryIdentity, DeliveryRecipient, EXIT_DEADLINE, MessageFacts, MessageKind, TargetTrade, priority,
    rotation,
};
use crate::id::{DeliveryId, IdSource, SubscriptionId, TradeId, UserId};
use crate::money::Count;
use crate::store::UnreadableTrade;
use crate::time::Time;
use crate::trade::document::{
    EntryDelivery, Pnl, Trade, TradeAlerts, TradeData, TradeExtension, TradeMetadata, TradeStatus, TradeTimes,
};
use crate::trade::machine::{HolderNews, HolderNotice, TradeEnding, nth_target};

use super::audience::Audience;
use super::decide::EntryPart;
use super::job::MatchingJob;
use super::route::{SubscriberRoute, SubscriberRoutes};

/// Whether the plan of a subscription goes first.
pub(super) fn has_priority_support(audience: &Audience, user: UserId, subscription: SubscriptionId) -> bool {
    let held = audience.subscriptions(user).find(|held| held.id == subscription);
    let plan = held.and_then(|held| audience.plan(held.plan));
    plan.is_some_and(|plan| plan.features.priority_support)
}

fn at_target(trade: &Trade, number: u32) -> TargetTrade {
    TargetTrade {
        number: trade.trade_number,
        level: nth_target(trade, number),
        next: nth_target(trade, number.saturating_add(1)),
    }
}

/// Where documents are made out.
#[derive(Debug, Clone, Copy)]
pub(super) struct DocumentBuilder<'a> {
    pub(super) job: &'a MatchingJob<'a>,
    pub(super) audience: &'a Audience,
    pub(super) now: Time,
    pub(super) ids: &'a dyn IdSource,
}

/// What a delivery is about.
struct DeliverySubject {
    user: UserId,
    subscription: Option<SubscriptionId>,
    kind: MessageKind,
    trade: Option<TradeId>,
    priority_support: bool,
    deadline_at: Time,
    entry_deadline_at: Option<Time>,
    /// With how many decimals the alert's prices are shown.
    decimals: Option<Count>,
}

impl DocumentBuilder<'_> {
    /// The new trade and its announcements.
    pub(super) fn entry(&self, user: UserId, number: i64, entry: &EntryPart<'_>) -> (Trade, Vec<Delivery>) {
        let number = Count(number);
        let trade_id = TradeId(self.ids.next());
        let entry_deadline = self.job.entry_deadline();
        let subject = DeliverySubject {
            user,
            subscription: Some(entry.entitled.subscription),
            kind: MessageKind::Entry,
            trade: Some(trade_id),
            priority_support: entry.entitled.priority_support,
            deadline_at: entry_deadline,
            entry_deadline_at: None,
            decimals: self.job.decimals,
        };
        let (subject, facts) = match &entry.replaced {
            None => (subject, MessageFacts::Entry { number }),
            Some(replaced) => {
                let subject = DeliverySubject {
                    kind: MessageKind::Replacement,
                    deadline_at: self.now + EXIT_DEADLINE,
                    entry_deadline_at: Some(entry_deadline),
                    ..subject
                };
                let replaced = replaced.ended_trade();
                (subject, MessageFacts::Replacement { number, replaced })
            }
        };
        let replaced = |channel| entry.replaced.as_ref().and_then(|replaced| replaced.trade.announced_by(channel));
        let send = |route: SubscriberRoute<'_>| {
            let old = replaced(route.channel);
            self.delivery(&subject, route, facts.clone(), old)
        };
        let mut deliveries: Vec<Delivery> = entry.routes.iter().map(send).collect();
        let trade = self.trade(trade_id, number, entry, &subject, &deliveries);
        if let Some(replaced) = &entry.replaced {
            let result = |told| self.result(told, replaced, subject.priority_support);
            let results: Vec<Delivery> = deliveries.iter().filter_map(result).collect();
            deliveries.extend(results);
        }
        (trade, deliveries)
    }

    /// An exit's messages, and the result for its entry.
    pub(super) fn exit(&self, user: UserId, routes: SubscriberRoutes<'_>, ending: &TradeEnding<'_>) -> Vec<Delivery> {
        let trade = ending.trade;
        let subject = self.about_exit(user, Some(trade.subscription_id), MessageKind::Exit, Some(trade.id));
        let send = |route: SubscriberRoute<'_>| {
            let entry = trade.announced_by(route.channel);
            let exit = self.delivery(&subject, route, MessageFacts::Exit { closed: ending.ended_trade() }, entry);
            let result = self.result(&exit, ending, subject.priority_support);
            [Some(exit), result]
        };
        routes.iter().flat_map(send).flatten().collect()
    }

    /// The edit of the ended trade's entry, where it was announced in the channel of the message that tells of its end.
    fn result(&self, told: &Delivery, ending: &TradeEnding<'_>, priority_support: bool) -> Option<Delivery> {
        let entry = ending.trade.announced_by(told.channel)?;
        told.result(DeliveryId(self.ids.next()), ending.trade.id, entry, ending.ended_trade(), priority_support)
    }

    /// A notice's messages.
    pub(super) fn notice(
        &self,
        user: UserId,
        routes: SubscriberRoutes<'_>,
        notice: &HolderNotice<'_>,
    ) -> Vec<Delivery> {
        let Some(first) = notice.trades.first() else {
            return Vec::new();
        };
        let decimals = notice.trades.iter().filter_map(|trade| trade.alertcast.decimals).max();
        let subject = DeliverySubject {
            decimals,
            ..self.about_exit(user, Some(first.subscription_id), MessageKind::Notice, None)
        };
        let numbers: Vec<Count> = notice.trades.iter().map(|trade| trade.trade_number).collect();
        let facts = match notice.news {
            HolderNews::LevelReached => MessageFacts::LevelReached { numbers },
            HolderNews::TargetReached { number } => MessageFacts::TargetReached {
                target: Count(number.into()),
                trades: notice.trades.iter().map(|trade| at_target(trade, number)).collect(),
                by_yourself: !self.job.config.trade_management.auto_close_on_tp_sl,
            },
            HolderNews::PartialExit(change) => MessageFacts::PartialExit { numbers, change },
        };
        let about: Vec<TradeId> = notice.trades.iter().map(|trade| trade.id).collect();
        let send = |route| Delivery { about: about.clone(), ..self.delivery(&subject, route, facts.clone(), None) };
        routes.iter().map(send).collect()
    }

    /// What the holder of trades that cannot be read hears of an exit that may be for them: it is one message, and no
    /// trade is named in its key.
    pub(super) fn unread(
        &self,
        user: UserId,
        routes: SubscriberRoutes<'_>,
        trades: &[UnreadableTrade],
    ) -> Vec<Delivery> {
        let subscription = trades.iter().find_map(|trade| trade.subscription);
        let subject = self.about_exit(user, subscription, MessageKind::Exit, None);
        let facts = MessageFacts::UnreadTrade { intent: self.job.ask.intent };
        routes.iter().map(|route| self.delivery(&subject, route, facts.clone(), None)).collect()
    }

    fn about_exit(
        &self,
        user: UserId,
        subscription: Option<SubscriptionId>,
        kind: MessageKind,
        trade: Option<TradeId>,
    ) -> DeliverySubject {
        let has_support = |subscription| has_priority_support(self.audience, user, subscription);
        DeliverySubject {
            user,
            subscription,
            kind,
            trade,
            priority_support: subscription.is_some_and(has_support),
            deadline_at: self.now + EXIT_DEADLINE,
            entry_deadline_at: None,
            decimals: None,
        }
    }

    fn delivery(
        &self,
        subject: &DeliverySubject,
        route: SubscriberRoute<'_>,
        facts: MessageFacts,
        entry: Option<DeliveryId>,
    ) -> Delivery {
        let job = self.job;
        let parcel = DeliveryIdentity {
            cause: job.cause(),
            recipient: DeliveryRecipient::User(subject.user),
            channel: route.channel,
            kind: subject.kind,
            trade: subject.trade,
        };
        Delivery {
            alert_id: Some(job.alert),
            alert_config_id: Some(job.config.id),
            subscription_id: subject.subscription,
            lane: route.lane,
            to: route.to.into_owned(),
            priority: priority(subject.kind, subject.priority_support),
            queued_at: job.received_at,
            rotation: rotation(job.alert, subject.user),
            deadline_at: subject.deadline_at,
            entry_deadline_at: subject.entry_deadline_at,
            entry_delivery: entry,
            decimals: subject.decimals,
            ..Delivery::new_pending(DeliveryId(self.ids.next()), parcel, facts, self.now)
        }
    }

    fn trade(
        &self,
        id: TradeId,
        number: Count,
        entry: &EntryPart<'_>,
        subject: &DeliverySubject,
        deliveries: &[Delivery],
    ) -> Trade {
        let (config, ask) = (self.job.config, &self.job.ask);
        let announcement = |delivery: &Delivery| EntryDelivery { channel: delivery.channel, id: delivery.id };
        Trade {
            id,
            trade_number: number,
            user_id: subject.user,
            alert_config_id: config.id,
            subscription_id: entry.entitled.subscription,
            trade_data: TradeData {
                symbol: config.symbol.as_str().to_owned(),
                timeframe: config.timeframe.as_str().to_owned(),
                strategy: config.strategy.clone(),
                signal: entry.side,
                entry_price: ask.price,
                take_profit_price: ask.take_profit,
                stop_loss_price: ask.stop_loss,
                exit_price: None,
                exit_reason: None,
            },
            status: TradeStatus::Open,
            pnl: config
                .alertcast
                .currency
                .clone()
                .map_or_else(Pnl::default, |currency| Pnl { currency, ..Pnl::default() }),
            timestamps: TradeTimes { opened_at: self.now, ..TradeTimes::default() },
            alerts: TradeAlerts { entry_alert_id: Some(self.job.alert), exit_alert_id: None },
            metadata: TradeMetadata::default(),
            created_at: self.now,
            updated_at: self.now,
            alertcast: TradeExtension {
                rev: Count(1),
                quantity: ask.quantity,
                trade_ref: ask.trade_ref.as_ref().map(|named| named.name.clone()),
                targets: ask.targets.clone(),
                decimals: self.job.decimals,
                preference_id: entry.preference,
                entry_deliveries: deliveries.iter().map(announcement).collect(),
                ..TradeExtension::default()
            },
        }
    }
}
