//! One alert's work: what all its subscribers' decisions have in common.

use std::time::Duration;

use crate::alert::document::Alert;
use crate::alert_configuration::AlertConfiguration;
use crate::delivery::{CauseKind, DeliveryCause, entry_deadline};
use crate::figures::{self, PriceHistory};
use crate::id::AlertId;
use crate::money::{Count, Price};
use crate::store;
use crate::time::Time;
use crate::trade::machine::TradeRules;
use crate::trade::request::TradeRequest;
use crate::user::RiskLevel;

/// How messages leave the house.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MessageChannels {
    /// The bot (the numeric part of its token) that writes to those of whom no other is known; none: Telegram is off
    /// for them.
    pub default_bot: Option<String>,
    /// Into how many lanes the e-mail is split; 0: the channel is off.
    pub mail_shards: u32,
    /// How long an entry may be followed; none: one bar, at least five minutes.
    pub entry_deadline: Option<Duration>,
}

/// An alert that is to be worked out.
#[derive(Debug, Clone)]
pub struct MatchingJob<'a> {
    pub alert: AlertId,
    pub config: &'a AlertConfiguration,
    pub ask: TradeRequest,
    /// The feed that the alert came of, where its data are delayed.
    pub delayed_feed: Option<String>,
    /// The alert's risk; none holds nobody back.
    pub risk: Option<RiskLevel>,
    /// Entitlement and quotas are judged as of this moment.
    pub received_at: Time,
    /// From when an entry may be followed: its receipt, or when an operator accepted it after the fact.
    pub followed_from: Time,
    /// Decisions only: no trade, no counter, no message to subscribers.
    pub testing: bool,
    /// With how many decimals the new trade's prices are shown; none: as they are.
    pub decimals: Option<Count>,
    pub outlets: &'a MessageChannels,
}

impl<'a> MatchingJob<'a> {
    /// The work on a stored alert of this configuration. It is a test if the configuration was `testing` when the alert
    /// came in, whatever it is now.
    ///
    /// # Errors
    /// `Corrupt` where the alert's intent is unreadable.
    pub fn new(
        alert: &Alert,
        config: &'a AlertConfiguration,
        outlets: &'a MessageChannels,
    ) -> store::StoreResult<Self> {
        Ok(Self {
            alert: alert.id,
            config,
            ask: TradeRequest::of(alert)?,
            delayed_feed: alert.alertcast.delayed_feed.clone(),
            risk: alert.alertcast.risk,
            received_at: alert.webhook.received_at,
            followed_from: alert.alertcast.accepted_at.unwrap_or(alert.webhook.received_at),
            testing: alert.alertcast.testing,
            decimals: None,
            outlets,
        })
    }

    /// The same, once it is known what the configuration's prices were before.
    #[must_use]
    pub fn after(self, history: &PriceHistory) -> Self {
        let ask = &self.ask;
        let levels: Vec<Price> =
            ask.take_profit.into_iter().chain(ask.stop_loss).chain(ask.targets.iter().copied()).collect();
        let decimals = ask.opens().map(|_| Count(history.decimals(ask.price, &levels).into()));
        Self { decimals, ..self }
    }

    /// A price of it, as people read it.
    pub fn show_price(&self, price: Price) -> String {
        figures::price(price, None, self.config.currency())
    }

    /// Whether those who hold an open trade are concerned, subscribed or not: everything but a mere entry. Their users
    /// are then to be planned beside the audience's candidates: see [`super::walk::ChunkWalk`].
    pub const fn concerns_holders(&self) -> bool {
        self.ask.concerns_holders()
    }

    /// The trade machine's rules for a user with this limit.
    pub(super) const fn settings(&self, limit: usize) -> TradeRules {
        let rules = &self.config.trade_management;
        TradeRules {
            limit,
            replace_on_same_signal: rules.replace_on_same_signal,
            allow_opposite_signals: rules.allow_opposite_signals,
            auto_close: rules.auto_close_on_tp_sl,
            tolerance: self.config.validation.price_validation.tolerance,
        }
    }

    pub(super) const fn cause(&self) -> DeliveryCause {
        DeliveryCause { kind: CauseKind::Alert, id: self.alert.0 }
    }

    /// Until when its entry may be followed.
    pub(super) fn entry_deadline(&self) -> Time {
        entry_deadline(self.followed_from, self.config.timeframe, self.outlets.entry_deadline)
    }
}
