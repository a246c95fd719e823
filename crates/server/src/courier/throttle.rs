//! Whom a 429 is about. Telegram does not say: the chat's own pace, or the bot's. A 429 is taken to be about its chat;
//! when several different chats get one, and no message that left after the first of them goes through, it is about the
//! bot.

use std::collections::HashMap;
use std::time::Duration;

/// So many chats in a row are no coincidence.
const CHATS: usize = 3;
/// Of 429s longer ago than this nothing is concluded.
const MEMORY: Duration = Duration::from_secs(10);

/// The 429s since the last message that went through.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    /// When the first of them came.
    since: Duration,
    /// Until when each chat is frozen.
    chats: HashMap<String, Duration>,
}

impl Throttle {
    /// A message to this chat got a 429 that lasts until `until`. Answers until when the bot is frozen, where it is.
    pub(super) fn refused(&mut self, now: Duration, chat: &str, until: Duration) -> Option<Duration> {
        if self.chats.is_empty() || self.since + MEMORY < now {
            self.chats.clear();
            self.since = now;
        }
        self.chats.insert(chat.to_owned(), until);
        if self.chats.len() < CHATS {
            return None;
        }
        // A freeze of the bot ends at the same moment for all chats. Where it was a coincidence after all, the earliest
        // end does the least harm.
        let until = self.chats.values().min().copied();
        self.chats.clear();
        until
    }

    /// A message that left at `left` went through.
    pub(super) fn passed(&mut self, left: Duration) {
        if left > self.since {
            self.chats.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn single_chats_do_not_freeze_the_bot_while_others_go_through() {
        let mut throttle = Throttle::default();
        for n in 0..100 {
            assert_eq!(throttle.refused(s(100 + n), &n.to_string(), s(500)), None);
            throttle.passed(s(101 + n));
        }
    }

    #[test]
    fn the_same_chat_again_is_one_chat() {
        let mut throttle = Throttle::default();
        for n in 0..9 {
            assert_eq!(throttle.refused(s(100 + n), "7", s(500)), None);
        }
    }

    #[test]
    fn several_chats_in_a_row_are_the_bot_and_the_earliest_end_counts() {
        let mut throttle = Throttle::default();
        assert_eq!(throttle.refused(s(100), "1", s(130)), None);
        // It left before the bot was frozen, and says nothing.
        throttle.passed(s(99));
        assert_eq!(throttle.refused(s(100), "2", s(131)), None);
        assert_eq!(throttle.refused(s(101), "3", s(600)), Some(s(130)));
    }

    #[test]
    fn what_is_long_ago_is_forgotten() {
        let mut throttle = Throttle::default();
        assert_eq!(throttle.refused(s(100), "1", s(130)), None);
        assert_eq!(throttle.refused(s(105), "2", s(130)), None);
        assert_eq!(throttle.refused(s(120), "3", s(130)), None);
    }
}
