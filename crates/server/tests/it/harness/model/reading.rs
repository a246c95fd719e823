//! What a subscriber reads, in the order in which it arrived, is true: no entry after its end, no notice about a trade
//! that is not open, and of whatever was read as opened the end is read too.

use std::collections::{BTreeMap, BTreeSet};

use alertcast_core::delivery::{Channel, Delivery, DeliveryState, NEVER_ENTERED, OVER, chat_of};
use alertcast_core::trade::document::Trade;
use telegram_sim::SentMessage;

use super::{Broken, Model};
use crate::harness::books::Books;
use crate::harness::told::{News, Told};

/// What was read in a chat so far: trades by instrument, strategy and number.
#[derive(Debug, Default)]
struct Read {
    opened: BTreeSet<(String, i64)>,
    ended: BTreeSet<(String, i64)>,
}

pub(super) fn check(model: &Model<'_>, broken: &mut Broken) {
    let mut messages: Vec<&SentMessage> = model.messages.iter().collect();
    messages.sort_by_key(|message| message.seq);
    let mut chats: BTreeMap<String, Read> = BTreeMap::new();
    for message in messages {
        chats.entry(message.chat_id.to_string()).or_default().message(message, broken);
    }
    for trade in model.books.trades.values() {
        told_to_the_end(model.books, trade, &chats, broken);
    }
}

impl Read {
    fn message(&mut self, message: &SentMessage, broken: &mut Broken) {
        let news = Told::by(message).news;
        let text = || format!("{}: {}", message.chat_id, message.plain);
        let mut ends = BTreeSet::new();
        for item in &news {
            if let News::Ended(of, number) = item {
                ends.insert((of.clone(), *number));
            }
        }
        for item in news {
            match item {
                News::Opened(of, number) => {
                    let trade = (of, number);
                    let is_late = self.ended.contains(&trade) && !ends.contains(&trade);
                    broken.unless(!is_late, || format!("an entry was read after its end: {}", text()));
                    self.opened.insert(trade);
                }
                News::Ended(..) => {}
                News::Said(said) => {
                    for trade in noticed(&said) {
                        let is_open = self.opened.contains(&trade) && !self.ended.contains(&trade);
                        broken.unless(is_open, || format!("a notice was read about no open trade: {}", text()));
                    }
                }
            }
        }
        self.ended.extend(ends);
    }
}

/// The trades that a notice is about.
fn noticed(text: &str) -> Vec<(String, i64)> {
    let mut lines = text.lines();
    let head = lines.next().filter(|head| head.contains("PARTIAL EXIT") || head.contains("REACHED"));
    let instrument = head.and_then(|head| head.split_once("  ")).map(|(_, instrument)| instrument);
    let about = lines.next().and_then(|about| about.rsplit_once(" · "));
    let Some((instrument, (strategy, trades))) = instrument.zip(about) else { return Vec::new() };
    let numbers =
        trades.split('#').skip(1).map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
    let of = |digits: String| Some((format!("{instrument} {strategy}"), digits.parse().ok()?));
    numbers.filter_map(of).collect()
}

/// Who has read that a trade opened reads that it ended, where the message that tells it went out, or was left out for
/// want of an entry.
fn told_to_the_end(books: &Books, trade: &Trade, chats: &BTreeMap<String, Read>, broken: &mut Broken) {
    let Some(told) = trade.end_told_by(Channel::Telegram).and_then(|id| last_teller(books, &books.deliveries[&id]))
    else {
        return;
    };
    let left_out = [NEVER_ENTERED, OVER].map(Some).contains(&told.last_error.as_deref());
    let is_owed = told.state == DeliveryState::Sent || (told.state == DeliveryState::Dropped && left_out);
    let Some(read) = chats.get(chat_of(&told.to)).filter(|_| is_owed) else { return };
    let config = &books.configs[&trade.alert_config_id];
    let of = format!("{} · {} {}", config.symbol.as_str(), config.timeframe, config.strategy);
    let trade = (of, trade.trade_number.0);
    let holds = !read.opened.contains(&trade) || read.ended.contains(&trade);
    broken.unless(holds, || format!("{} has read that {trade:?} opened, and not that it ended", told.to));
}

/// The delivery that tells what this one was to tell.
pub(super) fn last_teller<'a>(books: &'a Books, delivery: &'a Delivery) -> Option<&'a Delivery> {
    let mut at = delivery;
    while let Some(by) = at.superseded_by {
        at = books.deliveries.get(&by)?;
    }
    Some(at)
}
