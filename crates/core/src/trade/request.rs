//! What an alert asks of the trades of a configuration: its intent, with all that the machine needs to know beside it.

use crate::alert::document::Alert;
use crate::alert::intent::Intent;
use crate::market::Side;
use crate::money::{Amount, Price};
use crate::store::{self, StoreError};

/// What an alert asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TradeRequest {
    pub intent: Intent,
    /// The new trade's entry, the ended trades' exit.
    pub price: Price,
    pub take_profit: Option<Price>,
    pub stop_loss: Option<Price>,
    /// The new trade's take profits behind the first, in their order.
    pub targets: Vec<Price>,
    /// Units of the new trade; above zero.
    pub quantity: Option<Amount>,
    /// The provider's name for the trade: given to a new one, and by which an exit finds it.
    pub trade_ref: Option<TradeRef>,
}

/// The provider's name for a trade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TradeRef {
    pub name: String,
    /// It stood as `trade_id`: the provider means this very trade. An order's id (`order_id`) may be anything, an exit's
    /// own name too.
    pub explicit: bool,
}

impl TradeRequest {
    /// What a stored alert asks for: its intent, or what its signal says where it has none.
    ///
    /// # Errors
    /// `Corrupt` where the intent is unreadable.
    pub fn of(alert: &Alert) -> store::StoreResult<Self> {
        let (data, ours) = (&alert.alert_data, &alert.alertcast);
        let intent = Intent::from_document(data.signal, ours.intent.as_ref())
            .map_err(|error| StoreError::Corrupt(format!("alerts {}: alertcast.intent: {error}", alert.id)))?;
        let targets = if intent.opens().is_some() { data.further_targets() } else { Vec::new() };
        let explicit = ours.trade_ref_explicit;
        Ok(Self {
            intent,
            price: data.price,
            take_profit: data.take_profit_price,
            stop_loss: data.stop_loss_price,
            targets,
            quantity: ours.quantity.filter(|units| units.is_positive()),
            trade_ref: ours.trade_ref.clone().map(|name| TradeRef { name, explicit }),
        })
    }

    /// The side of the trade that it would open, if any.
    pub const fn opens(&self) -> Option<Side> {
        self.intent.opens()
    }

    /// Whether it concerns those who hold an open trade, entitled or not.
    pub const fn concerns_holders(&self) -> bool {
        self.intent.exits()
    }
}
