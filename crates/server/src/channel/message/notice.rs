//! Messages that change no trade: notices to holders, and what the operators hear.

use alertcast_core::market::Signal;
use alertcast_core::money::{Count, Price};

use super::text::{Line, Text};
use super::{Story, numbers};

pub(super) fn partial_exit(text: &mut Text, story: &Story<'_>, trades: &[Count]) {
    story.heading(text, "✂️", "PARTIAL EXIT", &trade_names(trades));
    story.remarks(text, "");
    text.gap();
    let line = Line::new().text("The provider closed a part of the position");
    text.line(match price(story) {
        Some(price) => line.text(" at ").code(price.to_string()),
        None => line,
    });
    let stays = if trades.len() == 1 { "The trade stays open" } else { "The trades stay open" };
    text.line(Line::new().text(stays));
    story.time(text, story.happened_at());
}

pub(super) fn level_reached(text: &mut Text, story: &Story<'_>, trades: &[Count]) {
    let signal = story.alert.map(|alert| alert.alert_data.signal);
    let (mark, what) = match signal {
        Some(Signal::TpHit) => ("🎯", "TAKE PROFIT REACHED"),
        Some(Signal::SlHit) => ("🛑", "STOP LOSS REACHED"),
        Some(Signal::Buy | Signal::Sell) | None => ("🔔", "LEVEL REACHED"),
    };
    story.heading(text, mark, what, &trade_names(trades));
    story.remarks(text, "");
    text.gap();
    if let Some(price) = price(story) {
        text.line(Line::new().text("Price  ").code(price.to_string()));
    }
    text.line(Line::new().text("Trades of this strategy are not closed for you: close it yourself if you follow"));
    story.time(text, story.happened_at());
}

pub(super) fn operator(text: &mut Text, story: &Story<'_>, title: &str, lines: &[String]) {
    text.line(Line::new().text("⚠️ ").bold(title));
    story.remarks(text, "");
    text.gap();
    for line in lines {
        text.line(Line::new().text(line));
    }
    story.time(text, story.happened_at());
}

pub(super) fn operator_more(text: &mut Text, story: &Story<'_>, title: &str, count: Count) {
    let times = if count.0 == 1 { "Once more".to_owned() } else { format!("{} times more", count.0) };
    text.line(Line::new().text("🔁 ").bold(times).text(": ").text(title));
    story.repeat(text);
}

/// The alert's price; one of zero or below is none.
fn price(story: &Story<'_>) -> Option<Price> {
    story.alert.map(|alert| alert.alert_data.price).filter(|price| price.is_positive())
}

fn trade_names(trades: &[Count]) -> String {
    let word = if trades.len() == 1 { "trade" } else { "trades" };
    format!("{word} {}", numbers(trades))
}
