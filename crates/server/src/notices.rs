//! What the operators' chat hears: each kind of trouble at once the first time, then counted and told once more at the
//! end of a window, so that a misconfigured alert on a one-minute chart does not bury everything else.

use std::time::Duration;

use alertcast_core::delivery::{
    CauseKind, Channel, Delivery, DeliveryCause, DeliveryIdentity, DeliveryRecipient, LaneName, MessageFacts,
    MessageKind, digest12,
};
use alertcast_core::id::{AlertId, DeliveryId};
use alertcast_core::money::Count;
use alertcast_core::store::OperatorNotice;
use alertcast_core::time::Time;
use bson::oid::ObjectId;

use crate::base::Base;
use crate::settings::bot_id;

/// The same trouble is told once in this time, then counted.
pub const WINDOW: Duration = Duration::from_secs(5 * 60);

/// What groups of notices about alerts in testing begin with: no trouble, but what was asked for.
pub const TESTING: &str = "testing:";

/// Trouble that the operators should hear of.
#[derive(Debug, Clone)]
pub struct NoticeTrouble {
    /// Equal for what is the same trouble: the configuration and the broken rules, say.
    pub group: String,
    /// One line.
    pub title: String,
    /// What happened and what to change, a line each.
    pub lines: Vec<String>,
    /// The alert it is about.
    pub alert: Option<AlertId>,
}

/// The messages about one trouble: two for each operators' chat, the first occurrence and the count of the rest. None
/// where no chat or no bot is configured.
#[must_use]
pub fn notices(base: &Base, trouble: &NoticeTrouble, now: Time) -> Vec<OperatorNotice> {
    let window_ms = i64::try_from(WINDOW.as_millis()).unwrap_or(i64::MAX);
    let number = now.millis().div_euclid(window_ms);
    let end = Time::from_millis((number + 1).saturating_mul(window_ms));
    in_window(base, trouble, &NoticeWindow { name: number.to_string(), end }, now)
}

/// The messages about what stays as it is until somebody changes it: told once, and its count once more an hour later; then
/// not again for as long as deliveries are kept.
#[must_use]
pub fn notices_once(base: &Base, trouble: &NoticeTrouble, now: Time) -> Vec<OperatorNotice> {
    in_window(base, trouble, &NoticeWindow { name: "once".to_owned(), end: now + HOUR }, now)
}

/// Well within the time for which a message to the operators is of use.
const HOUR: Duration = Duration::from_secs(60 * 60);

/// The time in which the same trouble is told once.
struct NoticeWindow {
    name: String,
    end: Time,
}

fn in_window(base: &Base, trouble: &NoticeTrouble, window: &NoticeWindow, now: Time) -> Vec<OperatorNotice> {
    let telegram = &base.settings.telegram;
    let Some(bot) = telegram.tokens.first().and_then(bot_id) else {
        return Vec::new();
    };
    let lane = LaneName::of_bot(&bot);
    telegram.operator_chats.iter().map(|chat| notice(base, trouble, chat, &lane, window, now)).collect()
}

/// A message about trouble that is told once for good, whatever the time: one for each operators' chat.
#[must_use]
pub fn once(base: &Base, trouble: &NoticeTrouble, now: Time) -> Vec<Delivery> {
    let telegram = &base.settings.telegram;
    let Some(bot) = telegram.tokens.first().and_then(bot_id) else {
        return Vec::new();
    };
    let cause = DeliveryCause { kind: CauseKind::Refusal, id: ObjectId::from_bytes(digest12(&[&trouble.group])) };
    let told = |chat: &String| {
        let recipient = DeliveryRecipient::Chat(chat);
        let parcel =
            DeliveryIdentity { cause, recipient, channel: Channel::Telegram, kind: MessageKind::Operator, trade: None };
        let facts = MessageFacts::Operator { title: trouble.title.clone(), lines: trouble.lines.clone(), test: false };
        let lane = LaneName::of_bot(&bot);
        Delivery { lane, ..Delivery::new_pending(DeliveryId(base.ids.next()), parcel, facts, now) }
    };
    telegram.operator_chats.iter().map(told).collect()
}

fn notice(
    base: &Base,
    trouble: &NoticeTrouble,
    chat: &str,
    lane: &LaneName,
    window: &NoticeWindow,
    now: Time,
) -> OperatorNotice {
    let cause_id = ObjectId::from_bytes(digest12(&[&trouble.group, &window.name]));
    let cause = DeliveryCause { kind: CauseKind::Refusal, id: cause_id };
    // No alert's own delivery: an alert's numbers are about its subscribers.
    let delivery = |kind, due_at, facts| {
        let parcel = DeliveryIdentity {
            cause,
            recipient: DeliveryRecipient::Chat(chat),
            channel: Channel::Telegram,
            kind,
            trade: None,
        };
        let lane = lane.clone();
        let to = base.moved.follow(chat);
        Delivery { lane, to, due_at, ..Delivery::new_pending(DeliveryId(base.ids.next()), parcel, facts, now) }
    };
    let mut lines = trouble.lines.clone();
    lines.extend(trouble.alert.map(|alert| format!("Alert {alert}")));
    OperatorNotice {
        first: delivery(
            MessageKind::Operator,
            now,
            MessageFacts::Operator { title: trouble.title.clone(), lines, test: trouble.group.starts_with(TESTING) },
        ),
        more: delivery(
            MessageKind::OperatorMore,
            window.end,
            MessageFacts::OperatorMore { title: trouble.title.clone(), count: Count(0) },
        ),
    }
}
