//! Trades for tests.

use bson::oid::ObjectId;

use crate::id::{ConfigId, SubscriptionId, TradeId, UserId};
use crate::market::Side;
use crate::money::{Amount, Count, Price};

use super::document::{Pnl, Trade, TradeAlerts, TradeData, TradeExtension, TradeMetadata, TradeStatus, TradeTimes};

/// An id that is `n`, and of a kind.
pub(crate) fn oid(kind: u8, n: u32) -> ObjectId {
    let mut bytes = [0; 12];
    bytes[0] = kind;
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    ObjectId::from_bytes(bytes)
}

pub(crate) fn price(text: &str) -> Price {
    Price::parse(text).unwrap()
}

pub(crate) fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

/// An open trade without levels.
pub(crate) fn trade(number: u32, side: Side, entry: &str) -> Trade {
    Trade {
        id: TradeId(oid(b't', number)),
        trade_number: Count(i64::from(number)),
        user_id: UserId(oid(b'u', 1)),
        alert_config_id: ConfigId(oid(b'c', 1)),
        subscription_id: SubscriptionId(oid(b's', 1)),
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
