//! Every delivery has ended in one state; what is sent arrived; of two copies at least one says so; nothing arrived that
//! was not decided.

use std::collections::{BTreeMap, BTreeSet};

use alertcast_core::delivery::{Channel, Delivery, DeliveryState, LaneName, MessageKind, chat_of};
use alertcast_core::erasure::ERASED;
use telegram_sim::SentMessage;

use super::{Broken, Model};
use crate::harness::books::Books;
use crate::harness::told::{News, Told, news_of};

pub(super) fn check(model: &Model<'_>, broken: &mut Broken) {
    for delivery in model.books.deliveries.values() {
        ended(model, delivery, broken);
    }
    let by_place = by_place(model);
    let is_sent = |delivery: &&Delivery| delivery.state == DeliveryState::Sent && delivery.kind != MessageKind::Result;
    // What is sent by e-mail is held against the mail server's record, in the tests of e-mail.
    let by_telegram = |delivery: &&Delivery| delivery.channel == Channel::Telegram;
    for delivery in model.books.deliveries.values().filter(is_sent).filter(by_telegram) {
        arrived(model.books, delivery, &by_place, broken);
    }
    copies(model, broken);
}

/// What arrived, by chat and number.
pub(super) fn by_place<'a>(model: &Model<'a>) -> BTreeMap<(String, i64), &'a SentMessage> {
    model.messages.iter().map(|message| ((message.chat_id.to_string(), message.message_id), message)).collect()
}

/// One end state, and what belongs to it.
fn ended(model: &Model<'_>, delivery: &Delivery, broken: &mut Broken) {
    // How often a refusal happened is told at the end of its window.
    let waits = delivery.kind == MessageKind::OperatorMore && delivery.due_at > model.now;
    let is_ended = delivery.state.is_ended();
    broken.unless(is_ended || waits, || format!("delivery {} is still {}", delivery.id, delivery.state));
    broken.equal(&delivery.ended_at.is_some(), &is_ended, || format!("endedAt of delivery {}", delivery.id));
    broken.unless(delivery.epoch.is_none() || !is_ended, || format!("delivery {} keeps an epoch", delivery.id));
    if delivery.state == DeliveryState::Superseded {
        let teller = delivery.superseded_by.and_then(|by| model.books.deliveries.get(&by));
        let tells = teller.is_some_and(|teller| teller.combines == Some(delivery.id));
        broken.unless(tells, || format!("delivery {} is superseded by none that tells it", delivery.id));
    }
}

/// What is `sent` is in the ledger: in its chat, by its bot, under its number, with its news.
fn arrived(books: &Books, delivery: &Delivery, by_place: &BTreeMap<(String, i64), &SentMessage>, broken: &mut Broken) {
    if delivery.to == ERASED {
        return;
    }
    let place = (chat_of(&delivery.to).to_owned(), delivery.message_id.unwrap_or_default());
    let Some(message) = by_place.get(&place) else {
        return broken.unless(false, || format!("delivery {} is sent and did not arrive", delivery.id));
    };
    broken.equal(&LaneName::of_bot(&message.bot.to_string()), &delivery.lane, || {
        format!("bot of delivery {}", delivery.id)
    });
    if let Some(expected) = news_of(books, delivery) {
        let news = Told::by(message).news;
        // A replacement past its entry's deadline leaves the entry out.
        let fits = !news.is_empty() && news.is_subset(&expected);
        broken.unless(fits, || format!("delivery {} should tell {expected:?}, tells {news:?}", delivery.id));
    }
}

/// Of two messages with the same news at least one is marked, and all news is that of a delivery.
fn copies(model: &Model<'_>, broken: &mut Broken) {
    let mut news: BTreeMap<&str, BTreeSet<News>> = BTreeMap::new();
    let mut others: BTreeMap<&str, usize> = BTreeMap::new();
    for delivery in model.books.deliveries.values().filter(|delivery| may_have_left(delivery)) {
        match news_of(model.books, delivery) {
            Some(told) => news.entry(chat_of(&delivery.to)).or_default().extend(told),
            None => *others.entry(chat_of(&delivery.to)).or_default() += 1,
        }
    }
    let mut unmarked: BTreeMap<(String, News), usize> = BTreeMap::new();
    let mut unmarked_others: BTreeMap<String, usize> = BTreeMap::new();
    for message in model.messages {
        let chat = message.chat_id.to_string();
        if model.allow.erased_chats.contains(&chat) {
            continue;
        }
        let told = Told::by(message);
        for item in told.news {
            if matches!(item, News::Said(_)) {
                *unmarked_others.entry(chat.clone()).or_default() += usize::from(!told.marked);
                continue;
            }
            let known = news.get(chat.as_str()).is_some_and(|news| news.contains(&item));
            broken.unless(known, || format!("nobody decided that {chat} is told {item:?}: {}", message.plain));
            *unmarked.entry((chat.clone(), item)).or_default() += usize::from(!told.marked);
        }
    }
    for ((chat, item), count) in unmarked {
        broken.unless(count <= 1, || format!("{chat} was told {item:?} {count} times without a mark"));
    }
    for (chat, count) in unmarked_others {
        let most = others.get(chat.as_str()).copied().unwrap_or(0);
        broken.unless(count <= most, || format!("{chat} got {count} notices for {most} deliveries"));
    }
}

/// Whether a message of its own may be in the ledger.
fn may_have_left(delivery: &Delivery) -> bool {
    delivery.attempts.0 > 0 && delivery.kind != MessageKind::Result
}
