//! What a message tells, read from its text as the stand-in for Telegram received it; and the same of a delivery. Two
//! messages that tell the same to one person are copies.

use std::collections::BTreeSet;

use alertcast_core::delivery::{Delivery, MessageFacts};
use telegram_sim::SentMessage;

use super::books::Books;

const REPEAT: &str = "May be a repeat";
/// What an exit says that tells its entry too.
const TELLS_ENTRY: [&str; 2] = ["Over before its entry", "Its entry may not have reached you"];

/// One piece of news.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum News {
    /// A trade opened: instrument and strategy, and its number.
    Opened(String, i64),
    /// A trade ended.
    Ended(String, i64),
    /// Anything else, by its words.
    Said(String),
}

/// A message that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) news: BTreeSet<News>,
    /// It says that it may be a repeat.
    pub(crate) marked: bool,
}

impl Told {
    /// What a message says.
    pub(crate) fn by(message: &SentMessage) -> Self {
        let marked = message.plain.contains(REPEAT);
        Self { news: read(&message.plain), marked }
    }
}

fn read(text: &str) -> BTreeSet<News> {
    let mut lines = text.lines();
    let head = lines.next().unwrap_or_default();
    let about = lines.next().unwrap_or_default();
    let said = || BTreeSet::from([News::Said(without_remarks(text))]);
    let (Some((_, instrument)), Some((strategy, trade))) = (head.split_once("  "), about.rsplit_once(" · ")) else {
        return said();
    };
    let is_notice = ["PARTIAL EXIT", "REACHED"].iter().any(|notice| head.contains(notice));
    let Some((side, number)) = trade.split_once("trade #").filter(|_| !is_notice) else { return said() };
    let of = format!("{instrument} {strategy}");
    let (number, replaced) = match number.split_once(", in place of #") {
        Some((number, replaced)) => (number, Some(replaced)),
        None => (number, None),
    };
    let (Ok(number), is_exit) = (number.parse::<i64>(), !side.is_empty()) else { return said() };
    let mut news = BTreeSet::new();
    if is_exit {
        news.insert(News::Ended(of.clone(), number));
    }
    if !is_exit || TELLS_ENTRY.iter().any(|words| text.contains(words)) {
        news.insert(News::Opened(of.clone(), number));
    }
    let had_ended = text.lines().filter_map(|line| line.split_once("Trade #")?.1.split_once(" had ended"));
    for replaced in had_ended.map(|(number, _)| number).chain(replaced) {
        news.insert(News::Ended(of.clone(), replaced.parse().unwrap()));
    }
    news
}

/// The words that do not depend on when or how often it was sent.
fn without_remarks(text: &str) -> String {
    let is_remark = |line: &&str| line.contains(REPEAT) || line.contains(" old");
    text.lines().filter(|line| !is_remark(line)).collect::<Vec<_>>().join("\n")
}

/// What a delivery's message tells. `None` where it has words of its own: a notice, a word to the operators.
pub(crate) fn news_of(books: &Books, delivery: &Delivery) -> Option<BTreeSet<News>> {
    let config = &books.configs[&delivery.alert_config_id?];
    let of = format!("{} · {} {}", config.symbol.as_str(), config.timeframe, config.strategy);
    let mut news = BTreeSet::new();
    match &delivery.facts {
        MessageFacts::Entry { number } => {
            news.insert(News::Opened(of.clone(), number.0));
        }
        MessageFacts::Replacement { number, replaced } => {
            news.insert(News::Opened(of.clone(), number.0));
            if !delivery.old_unknown {
                news.insert(News::Ended(of.clone(), replaced.number.0));
            }
        }
        MessageFacts::Exit { closed } => {
            news.insert(News::Ended(of.clone(), closed.number.0));
            if let Some(MessageFacts::Entry { number } | MessageFacts::Replacement { number, .. }) =
                delivery.combines.map(|entry| &books.deliveries[&entry].facts)
            {
                news.insert(News::Opened(of.clone(), number.0));
            }
        }
        MessageFacts::Result { .. }
        | MessageFacts::PartialExit { .. }
        | MessageFacts::TargetReached { .. }
        | MessageFacts::LevelReached { .. }
        | MessageFacts::UnreadTrade { .. }
        | MessageFacts::Operator { .. }
        | MessageFacts::OperatorMore { .. } => {
            return None;
        }
    }
    news.extend(delivery.also_ended.iter().map(|also| News::Ended(of.clone(), also.closed.number.0)));
    Some(news)
}
