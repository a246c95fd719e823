//! Trades for tests.

use crate::fixtures::{config_id, oid, subscription_id, user_id};
use crate::id::TradeId;
use crate::market::Side;
use crate::money::{Amount, Count, Price};

use super::document::{Pnl, Trade, TradeAlerts, TradeData, TradeExtension, TradeMetadata, TradeStatus, TradeTimes};

pub(crate) fn price(text: &str) -> Price {
    Price::parse(text).unwrap()
}

pub(crate) fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

/// An open trade without levels.
pub(crate) fn trade(number: u32, side: Side, entry: &str) -> Trade {
    Trade {
        id: TradeId(oid(7, 0, number)),
        trade_number: Count(i64::from(number)),
        user_id: user_id(1),
        alert_config_id: config_id(1),
        subscription_id: subscription_id(1),
        trade_data: TradeData {
            symbol: "BTCUSD".to_owned(),
            timeframe: "1h".to_owned(),
            strategy: "EMA".to_owned(),
            signal: side,
            entry_price: price(entry),
            take_profit_price: None,
            stop_loss_price: None,
            exit_price: None,
            exit_reason: None,
        },
        status: TradeStatus::Open,
        pnl: Pnl::default(),
        timestamps: TradeTimes::default(),
        alerts: TradeAlerts::default(),
        metadata: TradeMetadata::default(),
        created_at: crate::time::Time::default(),
        updated_at: crate::time::Time::default(),
        alertcast: TradeExtension { rev: Count(1), ..TradeExtension::default() },
    }
}

impl Trade {
    pub(crate) fn tp(mut self, level: &str) -> Self {
        self.trade_data.take_profit_price = Some(price(level));
        self
    }

    pub(crate) fn sl(mut self, level: &str) -> Self {
        self.trade_data.stop_loss_price = Some(price(level));
        self
    }

    pub(crate) fn named(mut self, name: &str) -> Self {
        self.alertcast.trade_ref = Some(name.to_owned());
        self
    }

    /// Those behind the first.
    pub(crate) fn targets(mut self, levels: &[&str]) -> Self {
        self.alertcast.targets = levels.iter().map(|level| price(level)).collect();
        self
    }

    pub(crate) fn unreached(mut self) -> Self {
        self.alertcast.unreached = true;
        self
    }

    pub(crate) fn units(mut self, quantity: &str) -> Self {
        self.alertcast.quantity = Some(amount(quantity));
        self
    }
}
