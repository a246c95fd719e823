//! How long sending would take: every message leaves as soon as its bot's pace and its chat's pause allow, in the order
//! in which they come. Answers are taken to come at once.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use alertcast_core::delivery::{Delivery, LaneName};
use alertcast_core::limiter::{MARGIN, SendLimits};
use alertcast_core::time::Time;

use super::report::{LaneForecast, SlowestAlert};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// The lanes of all bots.
#[derive(Debug)]
pub(super) struct SendForecasts {
    /// Between two messages of a bot, to one chat, to one group.
    bot: Duration,
    chat: Duration,
    group: Duration,
    lanes: BTreeMap<LaneName, SendForecast>,
}

#[derive(Debug, Default)]
struct SendForecast {
    messages: usize,
    /// When the next message may leave, since 1970: a bot's pace is finer than a `Time`.
    free: Duration,
    chats: HashMap<String, Duration>,
    worst: Option<SlowestAlert>,
}

impl SendForecasts {
    pub(super) fn new(limits: SendLimits) -> Self {
        Self {
            bot: (SECOND + MARGIN) / limits.bot_per_second.get(),
            chat: SECOND / limits.chat_per_second.get(),
            group: MINUTE / limits.group_per_minute.get(),
            lanes: BTreeMap::new(),
        }
    }

    /// Sends an alert's messages.
    pub(super) fn send(&mut self, line: u64, received_at: Time, deliveries: &[Delivery]) {
        let mut in_order: Vec<&Delivery> = deliveries.iter().collect();
        in_order.sort_by_key(|delivery| (delivery.priority, delivery.rotation, delivery.id));
        let mut of_alert = BTreeMap::<&LaneName, (usize, Duration)>::new();
        let received = received_at.since(Time::from_millis(0));
        for delivery in in_order {
            let pause = if delivery.to.starts_with('-') { self.group } else { self.chat };
            let road = self.lanes.entry(delivery.lane.clone()).or_default();
            let leaves = road.free.max(received);
            road.free = leaves + self.bot;
            let chat = road.chats.entry(delivery.to.clone()).or_default();
            let arrives = leaves.max(*chat);
            *chat = arrives + pause;
            road.messages += 1;
            let (messages, last) = of_alert.entry(&delivery.lane).or_default();
            *messages += 1;
            *last = arrives.max(*last);
        }
        for (lane, (messages, last)) in of_alert {
            let Some(road) = self.lanes.get_mut(lane) else { continue };
            let seconds = last.saturating_sub(received).as_secs_f64();
            if road.worst.is_none_or(|worst| worst.seconds < seconds) {
                road.worst = Some(SlowestAlert { line, messages, seconds });
            }
        }
    }

    pub(super) fn finish(self) -> Vec<LaneForecast> {
        let lane =
            |(lane, road): (LaneName, SendForecast)| LaneForecast { lane, messages: road.messages, worst: road.worst };
        self.lanes.into_iter().map(lane).collect()
    }
}
