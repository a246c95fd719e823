//! The text of every message, made from a delivery, its alert and its configuration. Pure: the time and the reader's zone
//! are arguments.
//!
//! The first line says what happened, because it is all that a phone's notification shows.

mod notice;
mod number;
mod shared;
mod style;
mod text;
mod trade;

#[cfg(test)]
mod tests;

use alertcast_core::alert::document::Alert;
use alertcast_core::alert_configuration::AlertConfiguration;
use alertcast_core::delivery::{Delivery, LATE_AFTER, MessageFacts};
use alertcast_core::money::Count;
use alertcast_core::time::Time;
use jiff::tz::TimeZone;

pub use self::shared::{SharedContext, SharedTexts};
pub use self::text::MessageText;
use self::text::{LineBuilder, TextBuilder, clip};

/// Longer strategy and symbol names are cut.
const NAME_CHARS_MAX: usize = 64;
/// More numbers of trades than this are not listed.
const NUMBERS_MAX: usize = 10;

/// What a message is made of.
#[derive(Debug, Clone, Copy)]
pub struct MessageContext<'a> {
    pub delivery: &'a Delivery,
    pub alert: Option<&'a Alert>,
    pub config: Option<&'a AlertConfiguration>,
    /// The entry that is told in the same message: because it had not gone out, or to write its result under it.
    pub entry: Option<ToldEntry<'a>>,
    /// The reader's.
    pub zone: &'a TimeZone,
    pub now: Time,
}

/// An entry that another delivery's message tells.
#[derive(Debug, Clone, Copy)]
pub struct ToldEntry<'a> {
    pub delivery: &'a Delivery,
    pub alert: &'a Alert,
}

/// What a message tells of lacks a part without which nothing can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the alert that it tells of is not there any more")]
pub struct UntellableMessage;

/// A message, and whether its entry was left out as too old to follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedMessage {
    pub message: MessageText,
    pub entry_lapsed: bool,
}

/// The message.
///
/// # Errors
/// `UntellableMessage` where the entry's alert is missing.
pub fn render(context: &MessageContext<'_>) -> Result<RenderedMessage, UntellableMessage> {
    let mut text = TextBuilder::new();
    let mut entry_lapsed = false;
    match &context.delivery.facts {
        MessageFacts::Entry { number } => trade::entry(&mut text, context, *number)?,
        MessageFacts::Replacement { number, replaced } => {
            let too_late = context.delivery.entry_deadline_at.is_some_and(|deadline| context.now > deadline);
            entry_lapsed = too_late || context.delivery.entry_over;
            if entry_lapsed {
                trade::lapsed_replacement(&mut text, context, *number, replaced);
            } else {
                trade::replacement(&mut text, context, *number, replaced)?;
            }
        }
        MessageFacts::Exit { closed } => match context.entry {
            Some(entry) => trade::write_combined(&mut text, context, entry, closed),
            None => trade::exit(&mut text, context, closed),
        },
        MessageFacts::Result { closed } => trade::entry_with_result(&mut text, context, closed)?,
        MessageFacts::PartialExit { numbers, change } => notice::partial_exit(&mut text, context, numbers, *change),
        MessageFacts::TargetReached { target, trades, by_yourself } => {
            notice::target_reached(&mut text, context, *target, trades, *by_yourself);
        }
        MessageFacts::LevelReached { numbers } => notice::level_reached(&mut text, context, numbers),
        MessageFacts::UnreadTrade { intent } => notice::unread_trade(&mut text, context, *intent),
        MessageFacts::Operator { title, lines, test } => notice::operator(&mut text, context, title, lines, *test),
        MessageFacts::OperatorMore { title, count } => notice::operator_more(&mut text, context, title, *count),
    }
    Ok(RenderedMessage { message: text.finish(), entry_lapsed })
}

/// What a mail about a trade's end opens with: what it came to, in a line.
#[must_use]
pub fn opening_line(delivery: &Delivery) -> Option<String> {
    match &delivery.facts {
        MessageFacts::Exit { closed } => Some(trade::ended_in_a_line(closed)),
        _ => None,
    }
}

impl MessageContext<'_> {
    /// When what it tells of came in.
    fn received_at(&self) -> Time {
        self.alert.map_or(self.delivery.queued_at, |alert| alert.webhook.received_at)
    }

    /// When what it tells of happened, by the provider's clock.
    fn happened_at(&self) -> Time {
        self.alert.map_or(self.delivery.queued_at, |alert| alert.alert_data.timestamp)
    }

    /// `BTCUSDT · 1h`.
    fn instrument(&self) -> Option<String> {
        let (symbol, timeframe) = match (self.alert, self.config) {
            (Some(alert), _) => (alert.alert_data.symbol.as_str(), alert.alert_data.timeframe.as_str()),
            (None, Some(config)) => (config.symbol.as_str(), config.timeframe.as_str()),
            (None, None) => return None,
        };
        Some(format!("{} · {}", clip(symbol, NAME_CHARS_MAX), clip(timeframe, NAME_CHARS_MAX)))
    }

    fn strategy(&self) -> Option<String> {
        let strategy = match (self.alert, self.config) {
            (Some(alert), _) => alert.alert_data.strategy.as_str(),
            (None, Some(config)) => config.strategy.as_str(),
            (None, None) => return None,
        };
        Some(clip(strategy, NAME_CHARS_MAX))
    }

    /// The first two lines: what happened to what; whose signal and which trade.
    fn write_heading(&self, text: &mut TextBuilder, mark: &str, what: &str, about: &str) {
        let instrument = self.instrument();
        text.line(
            LineBuilder::new()
                .text(mark)
                .text(" ")
                .bold(what)
                .maybe(instrument.as_ref().map(|_| "  "))
                .bold(instrument.unwrap_or_default()),
        );
        let strategy = self.strategy();
        text.line(LineBuilder::new().maybe(strategy.as_ref()).maybe(strategy.as_ref().map(|_| " · ")).text(about));
    }

    /// How old the news is where it is late, and whether it may have been told before.
    fn remarks(&self, text: &mut TextBuilder, when_late: &str) {
        let age = self.now.since(self.received_at());
        if age > LATE_AFTER {
            let age = number::span(std::time::Duration::from_secs(age.as_secs() / 60 * 60));
            text.line(LineBuilder::new().text("⏱ ").bold(format!("{age} old")).text(when_late));
        }
        self.repeat(text);
    }

    fn repeat(&self, text: &mut TextBuilder) {
        let told_before = |delivery: &Delivery| {
            delivery.possible_repeat || delivery.also_ended.iter().any(|also| also.possible_repeat)
        };
        if told_before(self.delivery) || self.entry.is_some_and(|entry| told_before(entry.delivery)) {
            text.line(LineBuilder::new().text("♻️ ").italic("May be a repeat of a message you already have"));
        }
    }

    /// The last line.
    fn time(&self, text: &mut TextBuilder, at: Time) {
        text.gap();
        text.line(LineBuilder::new().text("🕒 ").text(number::moment(at, self.zone)));
    }
}

/// `#3, #4`.
fn numbers(numbers: &[Count]) -> String {
    let mut listed: Vec<String> = numbers.iter().take(NUMBERS_MAX).map(|number| format!("#{}", number.0)).collect();
    if numbers.len() > NUMBERS_MAX {
        listed.push("…".to_owned());
    }
    listed.join(", ")
}
