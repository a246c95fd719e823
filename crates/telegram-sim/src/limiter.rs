//! The limits, as pure arithmetic on a clock that is passed in: one [`LimitMeter`] for a bot, a chat, a group.
//!
//! A meter is a generic cell rate algorithm (a token bucket that stores one number). Whoever goes over it is frozen
//! for the announced `retry_after`; what is refused meanwhile neither costs an allowance nor lengthens the freeze.

use serde::{Deserialize, Serialize};

use crate::config::SimLimits;

#[cfg(test)]
mod tests;

const NS_PER_MS: i64 = 1_000_000;
const NS_PER_S: i64 = 1_000_000_000;

/// Why a request was answered 429.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitCause {
    /// The bot's messages a second.
    Bot,
    /// The pause between two messages to a chat.
    Chat,
    /// The group's messages a minute.
    Group,
    /// A fault put it there.
    Injected,
}

/// A refusal by the limiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LimitRefusal {
    pub(crate) cause: LimitCause,
    pub(crate) retry_after_s: u32,
    /// The request came during a freeze that had been announced before: the sender did not obey `retry_after`.
    pub(crate) while_frozen: bool,
}

/// One limit: a message every `interval_ns`, and how far ahead of that pace a sender may get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LimitRule {
    interval_ns: i64,
    ahead_ns: i64,
}

impl LimitRule {
    /// `count` messages in `period_ns`, of which `burst` may come at once.
    fn bucket(count: u32, period_ns: i64, burst: u32) -> Self {
        // Rounded up, so that the rate is never above the limit.
        let count = i64::from(count.max(1));
        let interval_ns = (period_ns + count - 1) / count;
        Self { interval_ns, ahead_ns: interval_ns.saturating_mul(i64::from(burst.max(1)) - 1) }
    }

    fn bot(limits: &SimLimits) -> Self {
        Self::bucket(limits.bot_per_second, NS_PER_S, limits.bot_burst)
    }

    fn chat(limits: &SimLimits) -> Self {
        let ms = |ms: u32| i64::from(ms) * NS_PER_MS;
        Self { interval_ns: ms(limits.chat_interval_ms), ahead_ns: ms(limits.chat_jitter_ms) }
    }

    fn group(limits: &SimLimits) -> Self {
        Self::bucket(limits.group_per_minute, 60 * NS_PER_S, limits.group_per_minute)
    }
}

/// The state of one limit for one subject.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LimitMeter {
    /// When the next message would be due at the exact pace.
    due_ns: i64,
    frozen_until_ms: i64,
    frozen_by: Option<LimitCause>,
}

impl LimitMeter {
    /// Refuses everything until `until_ms`, unless it is frozen for longer already.
    pub(crate) fn freeze(&mut self, until_ms: i64, cause: LimitCause) {
        if until_ms > self.frozen_until_ms {
            self.frozen_until_ms = until_ms;
            self.frozen_by = Some(cause);
        }
    }

    fn frozen(&self, now_ms: i64) -> Option<LimitRefusal> {
        let cause = self.frozen_by?;
        let left_ms = self.frozen_until_ms - now_ms;
        (left_ms > 0).then(|| LimitRefusal {
            cause,
            retry_after_s: whole_seconds(left_ms * NS_PER_MS),
            while_frozen: true,
        })
    }

    /// How long a message would have to wait, `None` if it may go.
    fn wait_ns(&self, now_ms: i64, rule: LimitRule) -> Option<i64> {
        let wait_ns = self.due_ns - rule.ahead_ns - now_ms * NS_PER_MS;
        (wait_ns > 0).then_some(wait_ns)
    }

    fn take(&mut self, now_ms: i64, rule: LimitRule) {
        self.due_ns = self.due_ns.max(now_ms * NS_PER_MS) + rule.interval_ns;
    }
}

/// The meters of one bot in one chat.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ChatMeters {
    pub(crate) chat: LimitMeter,
    pub(crate) group: LimitMeter,
}

/// Admits one message, or says why not. Only an admitted message costs anything, and then it costs on every meter.
pub(crate) fn admit(
    limits: Option<&SimLimits>,
    bot: &mut LimitMeter,
    chat: &mut ChatMeters,
    is_group: bool,
    now_ms: i64,
) -> Result<(), LimitRefusal> {
    let frozen = [chat.chat.frozen(now_ms), chat.group.frozen(now_ms), bot.frozen(now_ms)];
    if let Some(refusal) = frozen.into_iter().flatten().max_by_key(|refusal| refusal.retry_after_s) {
        return Err(refusal);
    }
    let Some(limits) = limits else { return Ok(()) };
    let mut all = [
        (LimitCause::Chat, LimitRule::chat(limits), &mut chat.chat),
        (LimitCause::Bot, LimitRule::bot(limits), bot),
        (LimitCause::Group, LimitRule::group(limits), &mut chat.group),
    ];
    let meters = if is_group { &mut all[..] } else { &mut all[..2] };
    // Whoever breaks several limits is told of the one that lasts longest.
    let waits =
        meters.iter_mut().filter_map(|(cause, rule, meter)| Some((meter.wait_ns(now_ms, *rule)?, *cause, meter)));
    if let Some((wait_ns, cause, meter)) = waits.max_by_key(|(wait_ns, _, _)| *wait_ns) {
        let retry_after_s = whole_seconds(wait_ns);
        meter.freeze(now_ms + i64::from(retry_after_s) * 1_000, cause);
        return Err(LimitRefusal { cause, retry_after_s, while_frozen: false });
    }
    for (_, rule, meter) in meters {
        meter.take(now_ms, *rule);
    }
    Ok(())
}

/// Telegram announces whole seconds, never zero.
fn whole_seconds(ns: i64) -> u32 {
    u32::try_from((ns + NS_PER_S - 1) / NS_PER_S).unwrap_or(u32::MAX).max(1)
}
