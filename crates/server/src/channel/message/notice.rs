//! Messages that change no trade: notices to holders, and what the operators hear.

use std::borrow::Cow;

use alertcast_core::alert::intent::{ExitSignal, Intent, PositionChange};
use alertcast_core::delivery::TargetTrade;
use alertcast_core::market::{Side, Signal};
use alertcast_core::money::{Count, Price};

use super::style::{PriceStyle, remarks_of};
use super::text::{LineBuilder, TextBuilder};
use super::{MessageContext, NUMBERS_MAX, numbers};

const BY_YOURSELF: &str = "Trades of this strategy are not closed for you: close it yourself if you follow";

const UNREAD: &str = "The record of a trade that you hold here cannot be read at the moment, so this is not matched with it. \
                      Compare it with your entry, and act on it if it is meant for that trade";

pub(super) fn partial_exit(
    text: &mut TextBuilder,
    context: &MessageContext<'_>,
    trades: &[Count],
    change: PositionChange,
) {
    let (mark, what) = change_name(change);
    context.write_heading(text, mark, what, &trade_names(trades));
    context.remarks(text, "");
    text.gap();
    text.line(change_line(context, change));
    text.line(LineBuilder::new().text(stays_open(trades.len())));
    context.alert.into_iter().for_each(|alert| remarks_of(text, alert));
    context.time(text, context.happened_at());
}

const fn change_name(change: PositionChange) -> (&'static str, &'static str) {
    match change {
        PositionChange::Reduced => ("✂️", "PARTIAL EXIT"),
        PositionChange::Breakeven => ("🛡️", "STOP AT BREAKEVEN"),
        PositionChange::StopMoved => ("🛡️", "STOP MOVED"),
    }
}

fn change_line(context: &MessageContext<'_>, change: PositionChange) -> LineBuilder {
    let style = PriceStyle::of(context.delivery, context);
    let at = |line: LineBuilder, before: &str, price: Option<Price>| match price {
        Some(price) => line.text(before).code(style.price(price)),
        None => line,
    };
    let stop = context.alert.and_then(|alert| alert.alert_data.stop_loss_price).filter(|stop| stop.is_positive());
    match change {
        PositionChange::Reduced => {
            at(LineBuilder::new().text("Part of the position was closed"), " at ", price(context))
        }
        PositionChange::Breakeven => at(LineBuilder::new().text("Stop moved to breakeven"), "  ", stop),
        PositionChange::StopMoved => at(LineBuilder::new().text("Stop moved"), " to ", stop),
    }
}

pub(super) fn target_reached(
    text: &mut TextBuilder,
    context: &MessageContext<'_>,
    target: Count,
    trades: &[TargetTrade],
    by_yourself: bool,
) {
    let numbers: Vec<Count> = trades.iter().map(|trade| trade.number).collect();
    context.write_heading(text, "🎯", &format!("TARGET {} REACHED", target.0), &trade_names(&numbers));
    context.remarks(text, "");
    text.gap();
    let style = PriceStyle::of(context.delivery, context);
    let alike = trades.windows(2).all(|pair| (pair[0].level, pair[0].next) == (pair[1].level, pair[1].next));
    for trade in trades.iter().take(if alike { 1 } else { NUMBERS_MAX }) {
        let whose = (!alike).then(|| format!("#{}  ", trade.number.0));
        if let Some(level) = trade.level {
            let line = LineBuilder::new().text("🎯 ").maybe(whose.as_ref()).text(format!("Target {}  ", target.0));
            text.line(line.code(style.price(level)));
        }
        if let Some(next) = trade.next {
            let line = LineBuilder::new().text("➡️ ").maybe(whose.as_ref()).text(format!("Target {}  ", target.0 + 1));
            text.line(line.code(style.price(next)));
        }
    }
    if let Some(price) = price(context) {
        text.line(LineBuilder::new().text("Price  ").code(PriceStyle::of(context.delivery, context).price(price)));
    }
    text.line(LineBuilder::new().text(if by_yourself { BY_YOURSELF } else { stays_open(trades.len()) }));
    context.time(text, context.happened_at());
}

const fn stays_open(trades: usize) -> &'static str {
    if trades == 1 { "The trade stays open" } else { "The trades stay open" }
}

pub(super) fn level_reached(text: &mut TextBuilder, context: &MessageContext<'_>, trades: &[Count]) {
    let signal = context.alert.map(|alert| alert.alert_data.signal);
    let (mark, what) = match signal {
        Some(Signal::TpHit) => ("🎯", "TAKE PROFIT REACHED"),
        Some(Signal::SlHit) => ("🛑", "STOP LOSS REACHED"),
        Some(Signal::Buy | Signal::Sell) | None => ("🔔", "LEVEL REACHED"),
    };
    context.write_heading(text, mark, what, &trade_names(trades));
    context.remarks(text, "");
    text.gap();
    if let Some(price) = price(context) {
        text.line(LineBuilder::new().text("Price  ").code(PriceStyle::of(context.delivery, context).price(price)));
    }
    text.line(LineBuilder::new().text(BY_YOURSELF));
    context.time(text, context.happened_at());
}

/// An exit, to the holder of a trade that cannot be read: what the alert says, and nothing of the trade.
pub(super) fn unread_trade(text: &mut TextBuilder, context: &MessageContext<'_>, intent: Intent) {
    let (mark, what) = exit_name(intent);
    context.write_heading(text, mark, &what, position_name(intent.closes()));
    context.remarks(text, "");
    text.gap();
    match (intent, price(context)) {
        (Intent::Partial { change, .. }, _) => text.line(change_line(context, change)),
        (_, Some(price)) => {
            text.line(LineBuilder::new().text("Price  ").code(PriceStyle::of(context.delivery, context).price(price)));
        }
        (_, None) => {}
    }
    context.alert.into_iter().for_each(|alert| remarks_of(text, alert));
    text.gap();
    text.line(LineBuilder::new().text("ℹ️ ").text(UNREAD));
    context.time(text, context.happened_at());
}

fn exit_name(intent: Intent) -> (&'static str, Cow<'static, str>) {
    match (intent, intent.reason()) {
        (Intent::Partial { change, .. }, _) => {
            let (mark, what) = change_name(change);
            (mark, what.into())
        }
        (Intent::Exit { target: Some(target), .. }, Some(ExitSignal::TpHit)) => {
            ("🎯", format!("TARGET {target} REACHED").into())
        }
        (_, Some(ExitSignal::TpHit)) => ("🎯", "TAKE PROFIT HIT".into()),
        (_, Some(ExitSignal::SlHit)) => ("🛑", "STOP LOSS HIT".into()),
        (_, None) => ("🔔", "EXIT".into()),
    }
}

const fn position_name(side: Option<Side>) -> &'static str {
    match side {
        Some(Side::Buy) => "long position",
        Some(Side::Sell) => "short position",
        None => "open position",
    }
}

pub(super) fn operator(
    text: &mut TextBuilder,
    context: &MessageContext<'_>,
    title: &str,
    lines: &[String],
    test: bool,
) {
    text.line(LineBuilder::new().text(if test { "🧪 " } else { "⚠️ " }).bold(title));
    context.remarks(text, "");
    text.gap();
    for line in lines {
        text.line(LineBuilder::new().text(line));
    }
    context.time(text, context.happened_at());
}

pub(super) fn operator_more(text: &mut TextBuilder, context: &MessageContext<'_>, title: &str, count: Count) {
    let times = if count.0 == 1 { "Once more".to_owned() } else { format!("{} times more", count.0) };
    text.line(LineBuilder::new().text("🔁 ").bold(times).text(": ").text(title));
    context.repeat(text);
}

/// The alert's price; one of zero or below is none.
fn price(context: &MessageContext<'_>) -> Option<Price> {
    context.alert.map(|alert| alert.alert_data.price).filter(|price| price.is_positive())
}

fn trade_names(trades: &[Count]) -> String {
    let word = if trades.len() == 1 { "trade" } else { "trades" };
    format!("{word} {}", numbers(trades))
}
