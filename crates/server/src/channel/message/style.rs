//! How the prices of one message are shown: with the decimals that its trade keeps, grouped as its currency is.

use alertcast_core::alert::document::Alert;
use alertcast_core::delivery::{Delivery, EndedTrade};
use alertcast_core::figures;
use alertcast_core::money::{Amount, Count, Price};

use super::MessageContext;
use super::text::{LineBuilder, TextBuilder, clip};

/// Longer comments are cut.
const COMMENT_CHARS_MAX: usize = 200;
const CURRENCY_CHARS_MAX: usize = 8;

/// How prices are shown.
#[derive(Debug, Clone)]
pub(super) struct PriceStyle {
    decimals: Option<u32>,
    currency: String,
}

impl PriceStyle {
    /// Of the prices in a delivery's alert.
    pub(super) fn of(delivery: &Delivery, context: &MessageContext<'_>) -> Self {
        Self::new(delivery.decimals, context.config.map_or("USD", |config| config.currency()))
    }

    /// Of an ended trade: entry and exit read differently where they differ.
    pub(super) fn of_end(ended: &EndedTrade) -> Self {
        let style = Self::new(ended.decimals, &ended.currency);
        let apart = |decimals| figures::telling_apart(decimals, &[ended.entry_price, ended.exit_price]);
        Self { decimals: style.decimals.map(apart), ..style }
    }

    fn new(decimals: Option<Count>, currency: &str) -> Self {
        let decimals = decimals.and_then(|count| u32::try_from(count.0).ok());
        Self { decimals, currency: currency.chars().take(CURRENCY_CHARS_MAX).collect() }
    }

    pub(super) fn price(&self, price: Price) -> String {
        figures::price(price, self.decimals, &self.currency)
    }

    /// A trade's result as money. `per_unit`: of one unit, because the entry did not say how many.
    pub(super) fn result(&self, amount: Amount, per_unit: bool) -> String {
        match per_unit {
            true => format!("{} per unit", figures::per_unit(amount, self.decimals, &self.currency)),
            false => figures::money(amount, &self.currency),
        }
    }
}

/// How much, and what the provider wrote beside it, where the alert says so.
pub(super) fn remarks_of(text: &mut TextBuilder, alert: &Alert) {
    if let Some(quantity) = alert.alertcast.quantity.filter(|quantity| quantity.is_positive()) {
        text.line(LineBuilder::new().text("📦 Quantity  ").text(figures::quantity(quantity)));
    }
    let comment = alert.alertcast.comment.as_deref().map(str::trim).filter(|comment| !comment.is_empty());
    comment.into_iter().for_each(|comment| comment_line(text, comment));
}

pub(super) fn comment_line(text: &mut TextBuilder, comment: &str) {
    text.line(LineBuilder::new().text("💬 ").text(clip(comment, COMMENT_CHARS_MAX)));
}
