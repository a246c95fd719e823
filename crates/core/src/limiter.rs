//! Telegram's limits, kept by us and not discovered by 429: messages a second from a bot, messages a second to a chat,
//! messages a minute to a group or channel, and the freezes that Telegram announces (`retry_after`).
//!
//! Pure: time is an argument, measured from any fixed moment on a clock that never goes back. Not in here: what is sent,
//! and in what order, but for whose turn it is between deliveries and replies.
//!
//! A limit is Telegram's, measured where messages arrive; we see only when they leave and when they are answered.
//! - A chat has one message under way at most, and its pause runs from the answer: however the network shook, the next
//!   one arrives later than the pause after the last.
//! - A bot's messages leave at an even pace, so that a shaken network does not heap them up, and never more than the
//!   limit in one second and [`SHAKE`].
//! - Whoever owned the bot before may have used all of it: a new owner starts with nothing saved up.

mod turns;

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;
use std::time::Duration;

pub use turns::{REPLIES_ONE_IN, SendSource, SendTurns};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A second's allowance never leaves in less than a second and this much: so far the network may shake without a second
/// at the server ever holding more than its allowance.
pub const SHAKE: Duration = Duration::from_millis(5);

/// A second's allowance is spread over a second and this much: the rate stays 0.9 % below the limit. What it is above
/// [`SHAKE`] is how late a sender may wake up without losing any of its rate.
pub const MARGIN: Duration = Duration::from_millis(9);

/// How far behind its pace a sender may fall and still catch up.
const SLACK: Duration = Duration::from_millis(100);

/// Chats are swept for idle ones when there are this many, or twice as many as the last sweep left.
const SWEEP_MIN: usize = 1_024;

/// What is allowed. Telegram's published limits, or those of a bot with paid broadcasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendLimits {
    /// Messages a second from the bot.
    pub bot_per_second: NonZeroU32,
    /// Messages a second to one chat.
    pub chat_per_second: NonZeroU32,
    /// Messages a minute to one group or channel.
    pub group_per_minute: NonZeroU32,
}

/// The limiter of one bot.
#[derive(Debug)]
pub struct SendLimiter {
    limits: SendLimits,
    /// When this owner's work began.
    begun: Duration,
    bot: BotBudget,
    chats: HashMap<Box<str>, ChatBudget>,
    sweep_at: usize,
}

#[derive(Debug)]
struct BotBudget {
    /// When the next message would leave at the exact pace.
    pace: Duration,
    /// When the messages left that count for the present second; the oldest first.
    starts: VecDeque<Duration>,
    frozen_until: Duration,
}

#[derive(Debug, Default)]
struct ChatBudget {
    /// The pause after the last answer, and freezes.
    free_at: Duration,
    under_way: u32,
    /// For groups and channels: until when each message counts, a minute from its answer; the oldest first.
    counted: VecDeque<Duration>,
}

impl SendLimiter {
    /// The limiter of a bot that was taken on at `now`.
    #[must_use]
    pub fn new(limits: SendLimits, now: Duration) -> Self {
        let bot = BotBudget {
            pace: now.saturating_add(SLACK + interval(limits)),
            starts: VecDeque::new(),
            frozen_until: Duration::ZERO,
        };
        Self { limits, begun: now, bot, chats: HashMap::new(), sweep_at: SWEEP_MIN }
    }

    /// When the next message to this chat may leave: `now` where at once, none while one is under way there.
    #[must_use]
    pub fn earliest(&self, now: Duration, chat: &str) -> Option<Duration> {
        Some(self.earliest_bot(now).max(self.earliest_chat(now, chat)?))
    }

    /// When the bot's next message may leave, to whichever chat.
    #[must_use]
    pub fn earliest_bot(&self, now: Duration) -> Duration {
        let bot = &self.bot;
        let window = usize::try_from(self.limits.bot_per_second.get())
            .ok()
            .and_then(|most| bot.starts.len().checked_sub(most))
            .and_then(|oldest| bot.starts.get(oldest))
            .map_or(Duration::ZERO, |start| start.saturating_add(SECOND + SHAKE));
        bot.pace.saturating_sub(SLACK).max(window).max(bot.frozen_until).max(now)
    }

    /// When this chat's own limits let the next message leave; none while one is under way there.
    #[must_use]
    pub fn earliest_chat(&self, now: Duration, chat: &str) -> Option<Duration> {
        let unknown = self.begun.saturating_add(self.chat_pause());
        match self.chats.get(chat) {
            None if is_group(chat) => Some(self.begun.saturating_add(self.group_pause()).max(unknown).max(now)),
            None => Some(unknown.max(now)),
            Some(state) if state.under_way > 0 => None,
            Some(state) => Some(state.free_at.max(self.group_free_at(state)).max(now)),
        }
    }

    /// A message to this chat leaves now.
    pub fn start(&mut self, now: Duration, chat: &str) {
        self.start_bot(now);
        self.chat(now, chat).under_way += 1;
    }

    /// The answer to a message to this chat arrived, or none will.
    pub fn finish(&mut self, now: Duration, chat: &str) {
        let (pause, most) = (self.chat_pause(), self.group_most());
        let state = self.chat(now, chat);
        state.under_way = state.under_way.saturating_sub(1);
        state.free_at = state.free_at.max(now.saturating_add(pause));
        if is_group(chat) {
            state.counted.push_back(now.saturating_add(MINUTE));
            while state.counted.len() > most {
                state.counted.pop_front();
            }
        }
        self.sweep(now);
    }

    /// Nothing to this chat before `until`.
    pub fn freeze_chat(&mut self, now: Duration, chat: &str, until: Duration) {
        let state = self.chat(now, chat);
        state.free_at = state.free_at.max(until);
    }

    /// Nothing to anybody before `until`.
    pub fn freeze_bot(&mut self, until: Duration) {
        self.bot.frozen_until = self.bot.frozen_until.max(until);
    }

    /// How many chats are remembered.
    #[must_use]
    pub fn chats(&self) -> usize {
        self.chats.len()
    }

    fn start_bot(&mut self, now: Duration) {
        let interval = interval(self.limits);
        let bot = &mut self.bot;
        bot.pace = bot.pace.max(now).saturating_add(interval);
        bot.starts.push_back(now);
        while bot.starts.front().is_some_and(|start| start.saturating_add(SECOND + SHAKE) <= now) {
            bot.starts.pop_front();
        }
    }

    /// The chat's state. One that is met for the first time is as full as its limits allow since the beginning.
    fn chat(&mut self, now: Duration, chat: &str) -> &mut ChatBudget {
        if !self.chats.contains_key(chat) {
            let mut state =
                ChatBudget { free_at: self.begun.saturating_add(self.chat_pause()), ..ChatBudget::default() };
            if is_group(chat) {
                state.counted = self.unseen_minute(now);
            }
            self.chats.insert(chat.into(), state);
        }
        // The entry was made above where it was missing.
        self.chats.entry(chat.into()).or_default()
    }

    /// What a group may have been sent by the owner before: its limit, evenly, up to the beginning.
    fn unseen_minute(&self, now: Duration) -> VecDeque<Duration> {
        let pause = self.group_pause();
        let until = |n| self.begun.saturating_add(pause.saturating_mul(n));
        (1..=self.limits.group_per_minute.get()).map(until).filter(|until| *until > now).collect()
    }

    /// When the minute has room for another message.
    fn group_free_at(&self, state: &ChatBudget) -> Duration {
        let oldest = state.counted.len().checked_sub(self.group_most());
        oldest.and_then(|oldest| state.counted.get(oldest)).copied().unwrap_or(Duration::ZERO)
    }

    /// Forgets chats whose state says no more than that of an unknown one.
    fn sweep(&mut self, now: Duration) {
        if self.chats.len() < self.sweep_at {
            return;
        }
        self.chats.retain(|_, chat| {
            let idle = chat.free_at <= now && chat.counted.back().is_none_or(|until| *until <= now);
            chat.under_way > 0 || !idle
        });
        self.sweep_at = (self.chats.len() * 2).max(SWEEP_MIN);
    }

    fn chat_pause(&self) -> Duration {
        SECOND / self.limits.chat_per_second.get()
    }

    fn group_pause(&self) -> Duration {
        MINUTE / self.limits.group_per_minute.get()
    }

    fn group_most(&self) -> usize {
        usize::try_from(self.limits.group_per_minute.get()).unwrap_or(usize::MAX)
    }
}

/// The pause between two of a bot's messages.
fn interval(limits: SendLimits) -> Duration {
    (SECOND + MARGIN) / limits.bot_per_second.get()
}

/// Groups and channels have negative ids or names.
#[must_use]
pub fn is_group(chat: &str) -> bool {
    chat.starts_with(['-', '@'])
}

#[cfg(test)]
mod tests;
