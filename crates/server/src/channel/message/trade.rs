//! Messages that change a trade: entry, replacement, exit, an entry told together with its exit, and an entry with its
//! result.

use alertcast_core::alert::document::Alert;
use alertcast_core::delivery::{Delivery, EndedTrade, ExitInference, MessageFacts};
use alertcast_core::figures::{distance, percent, reward};
use alertcast_core::market::{ExitReason, Side};
use alertcast_core::money::{Amount, Count, Price};
use alertcast_core::time::Time;
use rust_decimal::Decimal;

use super::number::{moment, span};
use super::style::{PriceStyle, comment_line, remarks_of};
use super::text::{LineBuilder, TextBuilder, clip};
use super::{MessageContext, ToldEntry, UntellableMessage};

/// More further targets than this are not shown.
const TARGETS_MAX: usize = 8;
/// An entry's edit tells why it was closed by hand in fewer words.
const NOTE_CHARS_MAX: usize = 100;

pub(super) fn entry(
    text: &mut TextBuilder,
    context: &MessageContext<'_>,
    number: Count,
) -> Result<(), UntellableMessage> {
    let alert = context.alert.ok_or(UntellableMessage)?;
    write_opening(text, context, alert, &entry_name(number))?;
    context.time(text, context.happened_at());
    Ok(())
}

pub(super) fn replacement(
    text: &mut TextBuilder,
    context: &MessageContext<'_>,
    number: Count,
    replaced: &EndedTrade,
) -> Result<(), UntellableMessage> {
    let alert = context.alert.ok_or(UntellableMessage)?;
    write_opening(text, context, alert, &replacement_name(context.delivery, number, replaced))?;
    ended_before(text, context.delivery, replaced, alert);
    context.time(text, context.happened_at());
    Ok(())
}

/// The entry's message as it was, and under it what became of the trade.
pub(super) fn entry_with_result(
    text: &mut TextBuilder,
    context: &MessageContext<'_>,
    closed: &EndedTrade,
) -> Result<(), UntellableMessage> {
    let ToldEntry { delivery, alert } = context.entry.ok_or(UntellableMessage)?;
    // As it was when it was sent: what it said of its age, and of being a repeat, stays.
    let now = delivery.ended_at.unwrap_or(context.now);
    let entry = MessageContext { delivery, alert: Some(alert), entry: None, now, ..*context };
    match &delivery.facts {
        MessageFacts::Entry { number } => write_opening(text, &entry, alert, &entry_name(*number))?,
        MessageFacts::Replacement { number, replaced } => {
            write_opening(text, &entry, alert, &replacement_name(delivery, *number, replaced))?;
            ended_before(text, delivery, replaced, alert);
        }
        _ => return Err(UntellableMessage),
    }
    entry.time(text, entry.happened_at());
    text.gap();
    text.line(result_line(closed));
    Ok(())
}

/// What an entry and a replacement have in common.
fn write_opening(
    text: &mut TextBuilder,
    context: &MessageContext<'_>,
    alert: &Alert,
    about: &str,
) -> Result<(), UntellableMessage> {
    let side = side_of(alert).ok_or(UntellableMessage)?;
    context.write_heading(text, mark(side), side.as_str(), about);
    context.remarks(text, ": check the price before you follow");
    text.gap();
    levels(text, side, alert, &PriceStyle::of(context.delivery, context));
    remarks_of(text, alert);
    Ok(())
}

fn entry_name(number: Count) -> String {
    format!("trade #{}", number.0)
}

/// Nothing is said of a trade that its reader never heard of.
fn replacement_name(delivery: &Delivery, number: Count, replaced: &EndedTrade) -> String {
    match delivery.old_unknown {
        false => format!("trade #{}, in place of #{}", number.0, replaced.number.0),
        true => entry_name(number),
    }
}

/// The trades that ended before the one that a replacement opens: the replaced one, and those whose ends others were to
/// tell.
fn ended_before(text: &mut TextBuilder, delivery: &Delivery, replaced: &EndedTrade, alert: &Alert) {
    if !delivery.old_unknown {
        ended_trade(text, replaced, "ends here", alert.webhook.received_at);
    }
    also_ended(text, delivery, None);
}

/// The ends of other trades. `replaced`: the one in whose place the told trade stood.
fn also_ended(text: &mut TextBuilder, delivery: &Delivery, replaced: Option<Count>) {
    for also in &delivery.also_ended {
        let what = if replaced == Some(also.closed.number) { "had ended for it" } else { "had ended" };
        ended_trade(text, &also.closed, what, also.at);
    }
}

/// The end of another trade than the one that the message is about.
fn ended_trade(text: &mut TextBuilder, ended: &EndedTrade, what: &str, at: Time) {
    text.gap();
    text.line(LineBuilder::new().text("🔄 ").bold(format!("Trade #{} {what}", ended.number.0)));
    result(text, ended, at);
}

/// The same as plain text.
pub(super) fn ended_in_a_line(closed: &EndedTrade) -> String {
    let mut text = TextBuilder::default();
    text.line(result_line(closed));
    text.finish().plain
}

/// All that a glance at the entry should tell of the trade's end.
fn result_line(closed: &EndedTrade) -> LineBuilder {
    use ExitInference::{AtALoss, AtLevel, BySign};
    let mark = outcome_mark(closed);
    let (mark, what, why) = match (closed.reason, inference(closed)) {
        (ExitReason::TpHit, None) => (mark, "Closed", " · take profit"),
        (ExitReason::TpHit, Some(AtLevel)) => (mark, "Closed", " · take profit, at its level"),
        (ExitReason::SlHit, None) => (mark, "Stopped out", ""),
        (ExitReason::SlHit, Some(AtLevel)) => (mark, "Stopped out", " · at its level"),
        (ExitReason::TpHit | ExitReason::SlHit, Some(AtALoss)) => (mark, "Closed", " · at a loss"),
        (ExitReason::TpHit | ExitReason::SlHit, Some(BySign)) | (ExitReason::Manual, _) => {
            (mark, "Closed", " · by the provider")
        }
        (ExitReason::Replaced, _) => ("🔄", "Replaced", ""),
    };
    let at = PriceStyle::of_end(closed).price(closed.exit_price);
    let note = closed.note.as_ref().map(|note| format!(": {}", clip(note, NOTE_CHARS_MAX)));
    let line = LineBuilder::new().text(mark).text(" ").bold(what).text(" at ").code(at);
    line.text(why).maybe(note).text(" · ").bold(percent(closed.pnl_percentage.get()))
}

/// Too late for the new entry: only the old trade's end is news that is still of use.
pub(super) fn lapsed_replacement(
    text: &mut TextBuilder,
    context: &MessageContext<'_>,
    number: Count,
    replaced: &EndedTrade,
) {
    let delivery = context.delivery;
    // The one that its reader heard of last stands in its place.
    let (ended, ended_at, more) = match (delivery.old_unknown, delivery.also_ended.split_first()) {
        (true, Some((first, more))) => (&first.closed, first.at, more),
        (_, _) => (replaced, context.received_at(), delivery.also_ended.as_slice()),
    };
    context.write_heading(text, "🔄", "TRADE REPLACED", &trade_name(ended));
    context.remarks(text, "");
    text.gap();
    result(text, ended, ended_at);
    for also in more {
        ended_trade(text, &also.closed, "had ended", also.at);
    }
    text.gap();
    let lapsed = match delivery.entry_over {
        false => format!("The entry that replaces it (trade #{}) is too old to follow: leave it out", number.0),
        true => format!("The entry that replaces it (trade #{}) is over already: leave it out", number.0),
    };
    text.line(LineBuilder::new().text("⌛ ").text(lapsed));
    context.time(text, context.happened_at());
}

pub(super) fn exit(text: &mut TextBuilder, context: &MessageContext<'_>, closed: &EndedTrade) {
    context.write_heading(text, outcome_mark(closed), what_ended(closed), &trade_name(closed));
    context.remarks(text, "");
    text.gap();
    result(text, closed, context.received_at());
    context.alert.into_iter().for_each(|alert| remarks_of(text, alert));
    context.time(text, context.happened_at());
}

/// The entry had not gone out when the exit came.
pub(super) fn write_combined(
    text: &mut TextBuilder,
    context: &MessageContext<'_>,
    untold: ToldEntry<'_>,
    closed: &EndedTrade,
) {
    context.write_heading(text, outcome_mark(closed), what_ended(closed), &trade_name(closed));
    context.remarks(text, "");
    // An entry that was in doubt may have been read, and followed.
    let entry = match (untold.delivery.possible_repeat, context.delivery.also_ended.is_empty()) {
        (false, true) => "ℹ️ Over before its entry could be sent: nothing to do",
        (false, false) => "ℹ️ Over before its entry could be sent",
        (true, _) => "ℹ️ Its entry may not have reached you before",
    };
    text.line(LineBuilder::new().text(entry));
    text.gap();
    levels(text, closed.side, untold.alert, &PriceStyle::of(untold.delivery, context));
    remarks_of(text, untold.alert);
    let opened = moment(untold.alert.alert_data.timestamp, context.zone);
    text.line(LineBuilder::new().text("🕒 ").text(opened));
    text.gap();
    result(text, closed, context.received_at());
    context.alert.into_iter().for_each(|alert| remarks_of(text, alert));
    let replaced = match &untold.delivery.facts {
        MessageFacts::Replacement { replaced, .. } => Some(replaced.number),
        _ => None,
    };
    also_ended(text, context.delivery, replaced);
    context.time(text, context.happened_at());
}

/// Entry, targets, stop, and what is risked for what.
fn levels(text: &mut TextBuilder, side: Side, alert: &Alert, style: &PriceStyle) {
    let data = &alert.alert_data;
    let entry = data.price;
    text.line(LineBuilder::new().text("📍 Entry  ").code(style.price(entry)));
    if let Some(target) = data.take_profit_price {
        text.line(level("🎯 Target  ", side, entry, target, style));
    }
    let further = data.further_targets();
    for (number, target) in (2..).zip(&further).take(TARGETS_MAX) {
        text.line(level(&format!("🎯 Target {number}  "), side, entry, *target, style));
    }
    if further.len() > TARGETS_MAX {
        text.line(LineBuilder::new().text(format!("… and {} further targets", further.len() - TARGETS_MAX)));
    }
    if let Some(stop) = data.stop_loss_price {
        text.line(level("🛑 Stop  ", side, entry, stop, style));
        let reward = data.take_profit_price.and_then(|target| reward(side, entry, target, stop));
        if let Some(reward) = reward {
            text.line(LineBuilder::new().text(format!("⚖️ Risk : reward  1 : {reward}")));
        }
    }
}

fn level(label: &str, side: Side, entry: Price, level: Price, style: &PriceStyle) -> LineBuilder {
    let distance = distance(side, entry, level).map(|d| format!("  {}", percent(d)));
    LineBuilder::new().text(label).code(style.price(level)).maybe(distance)
}

/// From where to where, what it came to, how long it took.
fn result(text: &mut TextBuilder, ended: &EndedTrade, ended_at: Time) {
    let style = PriceStyle::of_end(ended);
    let (from, to) = (style.price(ended.entry_price), style.price(ended.exit_price));
    text.line(LineBuilder::new().code(from).text(" → ").code(to));
    let amount = format!("  ({})", style.result(ended.pnl_amount, is_per_unit(ended)));
    text.line(LineBuilder::new().text("P&L  ").bold(percent(ended.pnl_percentage.get())).text(amount));
    text.line(LineBuilder::new().text(format!("Held  {}", span(ended_at.since(ended.opened_at)))));
    match inference(ended) {
        Some(ExitInference::AtALoss) => {
            text.line(
                LineBuilder::new().text("ℹ️ The alert said take profit, but this is a loss: it counts as a stop loss"),
            );
        }
        Some(ExitInference::AtLevel) => {
            text.line(LineBuilder::new().text("ℹ️ The alert named no price: this is the trade's own level"));
        }
        Some(ExitInference::BySign) | None => {}
    }
    ended.note.iter().for_each(|note| comment_line(text, note));
}

/// What had to be worked out of a trade's end.
fn inference(ended: &EndedTrade) -> Option<ExitInference> {
    ended.inference.or_else(|| ended.inferred.then_some(ExitInference::BySign))
}

/// Whether the amount is that of one unit: the entry did not say how many.
fn is_per_unit(ended: &EndedTrade) -> bool {
    let gain = match ended.side {
        Side::Buy => ended.exit_price.get() - ended.entry_price.get(),
        Side::Sell => ended.entry_price.get() - ended.exit_price.get(),
    };
    Amount::new(gain).is_ok_and(|gain| gain == ended.pnl_amount)
}

const fn mark(side: Side) -> &'static str {
    match side {
        Side::Buy => "🟢",
        Side::Sell => "🔴",
    }
}

/// By what it came to and not by why it ended: a stop may be in profit.
fn outcome_mark(ended: &EndedTrade) -> &'static str {
    match ended.pnl_amount.get().cmp(&Decimal::ZERO) {
        std::cmp::Ordering::Greater => "✅",
        std::cmp::Ordering::Less => "❌",
        std::cmp::Ordering::Equal => "⚪",
    }
}

fn what_ended(ended: &EndedTrade) -> &'static str {
    match (ended.reason, inference(ended)) {
        (ExitReason::TpHit, None | Some(ExitInference::AtLevel)) => "TAKE PROFIT HIT",
        (ExitReason::SlHit, None | Some(ExitInference::AtLevel)) => "STOP LOSS HIT",
        (ExitReason::TpHit | ExitReason::SlHit, Some(ExitInference::AtALoss)) => "CLOSED AT A LOSS",
        (ExitReason::TpHit | ExitReason::SlHit, Some(ExitInference::BySign)) | (ExitReason::Manual, _) => {
            "CLOSED BY THE PROVIDER"
        }
        (ExitReason::Replaced, _) => "TRADE REPLACED",
    }
}

fn trade_name(ended: &EndedTrade) -> String {
    format!("{} trade #{}", ended.side, ended.number.0)
}

fn side_of(alert: &Alert) -> Option<Side> {
    alert.alert_data.signal.entry_side()
}
