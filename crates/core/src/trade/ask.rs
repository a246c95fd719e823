//! What an alert asks of the trades of a configuration, with all that the machine needs to know of it.

use crate::alert::document::Alert;
use crate::market::{ExitReason, Side, Signal};
use crate::money::{Amount, Price};
use crate::store;

/// Which of a trade's levels was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hit {
    TakeProfit,
    StopLoss,
}

impl From<Hit> for ExitReason {
    fn from(hit: Hit) -> Self {
        match hit {
            Hit::TakeProfit => Self::TpHit,
            Hit::StopLoss => Self::SlHit,
        }
    }
}

/// What is to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Open a trade.
    Entry { side: Side },
    /// End the trade whose level was reached.
    Exit { reason: Hit },
    /// End every open trade of the side (none: of both), whatever its levels.
    Flat { side: Option<Side>, reason: Option<Hit> },
    /// End every open trade of one side, and open one of the other.
    Turn {
        closes: Side,
        reason: Option<Hit>,
        opens: Side,
    },
    /// A part of the position was closed: told to holders, nothing changes.
    Partial { side: Side },
}

/// What an alert asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    pub act: Act,
    /// The new trade's entry, the ended trades' exit.
    pub price: Price,
    pub take_profit: Option<Price>,
    pub stop_loss: Option<Price>,
    /// Units of the new trade.
    pub quantity: Option<Amount>,
    /// The provider's name for the trade: given to a new one, and by which an exit finds it.
    pub trade_ref: Option<String>,
}

impl Ask {
    /// What a stored alert asks for: its intent, or what its signal says where it has none.
    ///
    /// # Errors
    /// `Corrupt` where the intent is unreadable.
    pub fn of(alert: &Alert) -> store::Result<Self> {
        let data = &alert.alert_data;
        let act = match data.signal {
            Signal::Buy => Act::Entry { side: Side::Buy },
            Signal::Sell => Act::Entry { side: Side::Sell },
            Signal::TpHit => Act::Exit {
                reason: Hit::TakeProfit,
            },
            Signal::SlHit => Act::Exit { reason: Hit::StopLoss },
        };
        Ok(Self {
            act,
            price: data.price,
            take_profit: data.take_profit_price,
            stop_loss: data.stop_loss_price,
            quantity: alert.alertcast.quantity.filter(|units| units.is_positive()),
            trade_ref: alert.alertcast.trade_ref.clone(),
        })
    }

    /// The side of the trade that it would open, if any.
    pub const fn opens(&self) -> Option<Side> {
        match self.act {
            Act::Entry { side } | Act::Turn { opens: side, .. } => Some(side),
            Act::Exit { .. } | Act::Flat { .. } | Act::Partial { .. } => None,
        }
    }

    /// Whether it concerns those who hold an open trade, entitled or not.
    pub const fn concerns_holders(&self) -> bool {
        !matches!(self.act, Act::Entry { .. })
    }
}
