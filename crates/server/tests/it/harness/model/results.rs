//! What became of a trade stands under its entry, once, and was written after it was told.

use std::collections::{BTreeMap, BTreeSet};

use alertcast_core::delivery::{Channel, Delivery, DeliveryState, MessageKind, chat_of};
use alertcast_core::id::TradeId;
use alertcast_core::trade::document::{Trade, TradeStatus};
use telegram_sim::SentMessage;

use super::messages::by_place;
use super::reading::last_teller;
use super::{Broken, Model};
use crate::harness::books::Books;

type Places<'a> = BTreeMap<(String, i64), &'a SentMessage>;

pub(super) fn check(model: &Model<'_>, broken: &mut Broken) {
    let places = by_place(model);
    let mut results: BTreeMap<TradeId, Vec<&Delivery>> = BTreeMap::new();
    for result in model.books.deliveries.values().filter(|delivery| delivery.kind == MessageKind::Result) {
        results.entry(result.trade_id.unwrap()).or_default().push(result);
        ended(model.books, result, &places, broken);
    }
    let telling = telling(model.books);
    for trade in model.books.trades.values() {
        planned(trade, &telling, results.get(&trade.id).map_or(&[], Vec::as_slice), broken);
    }
    edited_once(model, &results, broken);
}

/// Written under the entry after the end was told, or dropped.
fn ended(books: &Books, result: &Delivery, places: &Places<'_>, broken: &mut Broken) {
    let [entry, told] = [result.entry_delivery, result.follows].map(|id| &books.deliveries[&id.unwrap()]);
    match result.state {
        DeliveryState::Dropped => return,
        DeliveryState::Sent => {}
        state => return broken.unless(false, || format!("result {} is {state}", result.id)),
    }
    broken.equal(&result.message_id, &entry.message_id, || format!("the message that {} edited", result.id));
    let at = |delivery: &Delivery| places.get(&(chat_of(&delivery.to).to_owned(), delivery.message_id?)).copied();
    let Some(message) = at(entry) else {
        return broken.unless(false, || format!("result {} stands under no message", result.id));
    };
    let says = message.edits.last().is_some_and(|edit| edit.starts_with(heading(&message.plain)) && has_result(edit));
    broken.unless(says, || format!("result {} does not stand there: {:?}", result.id, message.edits));
    let Some(told) = last_teller(books, told) else { return };
    if told.state == DeliveryState::Sent {
        let before = at(told).map(|exit| exit.seq).zip(message.edit_seqs.first().copied());
        let in_order = before.is_some_and(|(exit, edit)| exit < edit);
        broken.unless(in_order, || format!("result {} overtook its exit: {before:?}", result.id));
    }
}

fn heading(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn has_result(text: &str) -> bool {
    let last = text.lines().last().unwrap_or_default();
    last.ends_with('%') && ["Closed at ", "Stopped out at ", "Replaced at "].iter().any(|words| last.contains(words))
}

/// The Telegram messages that tell of a trade's end, by kind and by the trade that they are about.
fn telling(books: &Books) -> BTreeMap<(MessageKind, TradeId), &Delivery> {
    let tells = |delivery: &&Delivery| {
        let of_an_end = matches!(delivery.kind, MessageKind::Exit | MessageKind::Replacement);
        of_an_end && delivery.channel == Channel::Telegram
    };
    let all = books.deliveries.values().filter(tells);
    all.filter_map(|delivery| Some(((delivery.kind, delivery.trade_id?), delivery))).collect()
}

/// A trade that Telegram announced, and whose end it told, has one result; no other trade has any.
fn planned(
    trade: &Trade,
    telling: &BTreeMap<(MessageKind, TradeId), &Delivery>,
    results: &[&Delivery],
    broken: &mut Broken,
) {
    let announced = trade.announced_by(Channel::Telegram);
    let about = match trade.status {
        TradeStatus::Open => None,
        TradeStatus::Closed => Some((MessageKind::Exit, trade.id)),
        TradeStatus::Replaced => trade.metadata.replaced_by.map(|by| (MessageKind::Replacement, by)),
    };
    let told = about.filter(|_| announced.is_some()).and_then(|about| telling.get(&about).copied());
    let found: Vec<_> = results.iter().map(|result| (result.entry_delivery, result.follows)).collect();
    let expected: Vec<_> = told.map(|told| (announced, Some(told.id))).into_iter().collect();
    broken.equal(&found, &expected, || format!("results of trade {}", trade.id));
    let to = |delivery: &&&Delivery| told.is_some_and(|told| told.to == delivery.to && told.lane == delivery.lane);
    broken.equal(&results.iter().filter(to).count(), &results.len(), || format!("ways of the result of {}", trade.id));
}

/// No message is edited twice, and none for which no result was tried.
fn edited_once(model: &Model<'_>, results: &BTreeMap<TradeId, Vec<&Delivery>>, broken: &mut Broken) {
    let tried = results.values().flatten().filter(|result| result.attempts.0 > 0);
    let entries = tried.map(|result| &model.books.deliveries[&result.entry_delivery.unwrap()]);
    let places: BTreeSet<_> = entries.map(|entry| (chat_of(&entry.to).to_owned(), entry.message_id)).collect();
    for message in model.messages.iter().filter(|message| !message.edits.is_empty()) {
        let place = (message.chat_id.to_string(), Some(message.message_id));
        broken.equal(&message.edits.len(), &1, || format!("edits of {place:?}"));
        broken.unless(places.contains(&place), || format!("{place:?} was edited for nothing: {:?}", message.edits));
    }
}
