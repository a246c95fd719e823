//! Where a Telegram message goes: a chat, and in a group with topics the topic. Together they are written `-100123:5`.

/// Telegram's chat ids have at most 52 significant bits.
const CHAT_MAX: u64 = 1 << 52;
/// Public names of channels and groups.
const NAME_CHARS: std::ops::RangeInclusive<usize> = 2..=32;

/// Chat and topic, written together.
#[must_use]
pub fn place(chat: &str, topic: Option<i64>) -> String {
    topic.map_or_else(|| chat.to_owned(), |topic| format!("{chat}:{topic}"))
}

/// The chat of a place. Telegram's limits are the chat's, whatever the topic.
pub fn chat_of(place: &str) -> &str {
    place.split_once(':').map_or(place, |(chat, _)| chat)
}

/// The topic of a place.
pub fn topic_of(place: &str) -> Option<i64> {
    place.split_once(':').and_then(|(_, topic)| topic.parse().ok())
}

/// A place in another chat.
#[must_use]
pub fn moved_to(from: &str, chat: &str) -> String {
    place(chat, topic_of(from))
}

/// Chat and topic, read from what a person writes. `names`: whether a public name (`@alerts`) is a chat here.
///
/// # Errors
/// What is wrong, and what to write.
pub fn read_place(text: &str, names: bool) -> Result<(String, Option<i64>), String> {
    let (chat, topic) = match text.trim().split_once(':') {
        Some((chat, topic)) => (chat.trim(), Some(topic.trim())),
        None => (text.trim(), None),
    };
    if !(is_number(chat) || (names && is_name(chat))) {
        let or_name = if names { ", or @name for a public channel" } else { "" };
        return Err(format!("is {text:?}, which is no chat: write the chat's number (-100… for groups){or_name}"));
    }
    let topic = match topic.map(str::parse::<i32>) {
        None => None,
        Some(Ok(topic)) if topic > 0 && chat.starts_with(['-', '@']) => Some(i64::from(topic)),
        Some(_) => return Err(format!("is {text:?}: a topic of a group is written -100…:5")),
    };
    Ok((chat.to_owned(), topic))
}

fn is_number(chat: &str) -> bool {
    let digits = chat.strip_prefix('-').unwrap_or(chat);
    let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u64>().ok()).flatten();
    number.is_some_and(|number| number > 0 && number < CHAT_MAX)
}

fn is_name(chat: &str) -> bool {
    let Some(name) = chat.strip_prefix('@') else { return false };
    let well_formed = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    well_formed && NAME_CHARS.contains(&name.len()) && !name.starts_with(|first: char| first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written() {
        for (text, chat, topic) in [
            ("7000001", "7000001", None),
            (" -1001234567890 ", "-1001234567890", None),
            ("-1001234567890:5", "-1001234567890", Some(5)),
            ("-42", "-42", None),
        ] {
            assert_eq!(read_place(text, false), Ok((chat.to_owned(), topic)), "{text}");
            assert_eq!((chat_of(text.trim()), topic_of(text.trim())), (chat, topic));
            assert_eq!(place(chat, topic), text.trim());
        }
        assert_eq!(read_place("@my_alerts", true), Ok(("@my_alerts".to_owned(), None)));
        assert_eq!(moved_to("-42:5", "-100"), "-100:5");
    }

    #[test]
    fn nonsense_is_no_chat() {
        let nonsense = [
            "",
            "0",
            "-",
            "--5",
            "abc",
            "+7",
            "1.5",
            "7000001:5",
            "-100:0",
            "-100:x",
            "-100:",
            "-100:5:6",
            "@my_alerts",
            "9007199254740993",
            "99999999999999999999999",
            "１２",
        ];
        for text in nonsense {
            assert!(read_place(text, false).is_err(), "{text:?}");
        }
        assert!(read_place("@a", true).is_err() && read_place("@5alerts", true).is_err());
    }
}
