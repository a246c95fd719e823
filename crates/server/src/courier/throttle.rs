//! Whom a 429 is about. Telegram does not say: the chat's own pace, or the bot's. A 429 is taken to be about its chat;
//! when several different chats get one, and no message that left after the first of them goes through, it is about the
//! bot.
//!
//! Where the bot was asked to wait for longer than is obeyed, one message after the other probes whether it still is,
//! until one goes through.

use std::collections::HashMap;
use std::time::Duration;

use crate::channel::RetryAfter;

/// So many chats in a row are no coincidence.
const CHATS: usize = 3;
/// Of 429s longer ago than this nothing is concluded.
const MEMORY: Duration = Duration::from_secs(10);

/// The 429s since the last message that went through.
#[derive(Debug, Default)]
pub(super) struct ThrottleState {
    /// When the first of them came.
    since: Duration,
    /// Until when each chat is frozen, and whether it was to be for longer.
    chats: HashMap<String, (Duration, bool)>,
    probing: bool,
}

impl ThrottleState {
    /// A message to this chat got a 429. Answers until when the bot is frozen, where it is.
    pub(super) fn note_refusal(&mut self, now: Duration, chat: &str, retry_after: RetryAfter) -> Option<Duration> {
        let until = now.saturating_add(retry_after.wait());
        if self.probing {
            return Some(until);
        }
        if self.chats.is_empty() || self.since.saturating_add(MEMORY) < now {
            self.chats.clear();
            self.since = now;
        }
        self.chats.insert(chat.to_owned(), (until, retry_after.is_cut()));
        if self.chats.len() < CHATS {
            return None;
        }
        // A freeze of the bot ends at the same moment for all chats. Where it was a coincidence after all, the earliest
        // end does the least harm.
        let earliest = self.chats.values().min().copied();
        self.chats.clear();
        self.probing = earliest.is_some_and(|(_, is_cut)| is_cut);
        earliest.map(|(until, _)| until)
    }

    /// Whether one message at a time is sent, to see whether the bot is still to wait.
    pub(super) const fn is_probing(&self) -> bool {
        self.probing
    }

    /// A message that left at `left` went through.
    pub(super) fn note_passed(&mut self, left: Duration) {
        if left > self.since {
            self.chats.clear();
            self.probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Asked at `now` to wait until then.
    fn after(now: u64, until: u64) -> RetryAfter {
        RetryAfter::seconds(until - now)
    }

    #[test]
    fn single_chats_do_not_freeze_the_bot_while_others_go_through() {
        let mut throttle = ThrottleState::default();
        for n in 0..100 {
            assert_eq!(throttle.note_refusal(s(100 + n), &n.to_string(), after(100 + n, 500)), None);
            throttle.note_passed(s(101 + n));
        }
    }

    #[test]
    fn the_same_chat_again_is_one_chat() {
        let mut throttle = ThrottleState::default();
        for n in 0..9 {
            assert_eq!(throttle.note_refusal(s(100 + n), "7", after(100 + n, 500)), None);
        }
    }

    #[test]
    fn several_chats_in_a_row_are_the_bot_and_the_earliest_end_counts() {
        let mut throttle = ThrottleState::default();
        assert_eq!(throttle.note_refusal(s(100), "1", after(100, 130)), None);
        // It left before the bot was frozen, and says nothing.
        throttle.note_passed(s(99));
        assert_eq!(throttle.note_refusal(s(100), "2", after(100, 131)), None);
        assert_eq!(throttle.note_refusal(s(101), "3", after(101, 600)), Some(s(130)));
    }

    #[test]
    fn a_bot_that_is_to_wait_for_years_is_probed_each_hour_until_a_message_goes_through() {
        let (mut throttle, years, hour) = (ThrottleState::default(), RetryAfter::seconds(u64::MAX), 3_600);
        for chat in ["1", "2"] {
            assert_eq!(throttle.note_refusal(s(100), chat, years), None);
        }
        assert_eq!(throttle.note_refusal(s(100), "3", years), Some(s(100 + hour)));
        assert!(throttle.is_probing());
        assert_eq!(throttle.note_refusal(s(101 + hour), "4", years), Some(s(101 + 2 * hour)), "one is enough");
        assert_eq!(throttle.note_refusal(s(102 + 2 * hour), "5", RetryAfter::seconds(7)), Some(s(109 + 2 * hour)));
        assert!(throttle.is_probing());
        throttle.note_passed(s(110 + 2 * hour));
        assert!(!throttle.is_probing());
        assert_eq!(throttle.note_refusal(s(111 + 2 * hour), "6", years), None);
    }

    #[test]
    fn what_is_long_ago_is_forgotten() {
        let mut throttle = ThrottleState::default();
        assert_eq!(throttle.note_refusal(s(100), "1", after(100, 130)), None);
        assert_eq!(throttle.note_refusal(s(105), "2", after(105, 130)), None);
        assert_eq!(throttle.note_refusal(s(120), "3", after(120, 130)), None);
    }
}
