//! What an alert came to or would come to for each subscriber, and what acts by hand take in.

use alertcast_core::alert::document::TradeAction;
use alertcast_core::alert::intent::ReadAs;
use alertcast_core::decision::Verdict;
use alertcast_core::delivery::{Channel, DeliveryState, MessageKind};
use alertcast_core::market::Side;
use alertcast_core::subscription::lifecycle::CancellationTime;

use super::super::shape::ShapeKind::{Anything, Flag, Id, List, Object, Text, Time};
use super::super::shape::{ShapeField, ShapeKind, field, may, must};
use super::{CONFIG_ID, COUNT, DELIVERY, PRICE, USER_ID, words};

/// Names stand where the administrator may see the documents that have them.
const USER_NAME: ShapeField = may("userName", Text, "The subscriber's name; takes users.view.").like("Asha");
const PLAN_NAME: ShapeField =
    may("planName", Text, "The name of the subscription's plan; takes subscriptions.view.").like("Crypto");
const JUDGED: &str = "The id of the subscription that was judged.";
const DONE: &str = "What is done to the subscriber's trades.";

/// What was decided about one subscriber, and what they were sent.
pub(in super::super) const RECIPIENT: &[ShapeField] = &[
    field("userId", Id, USER_ID),
    USER_NAME,
    may("subscriptionId", Id, JUDGED),
    PLAN_NAME,
    field(
        "verdict",
        ShapeKind::Word(&TOLD_VERDICTS),
        "What was decided, and why; of who gets a message, where that stands: `sent` once a channel has sent it.",
    ),
    field("actions", List(&DECIDED), DONE),
    field("deliveries", List(&Object(DELIVERY)), "The messages that the subscriber was sent."),
];
/// Verdicts, and where a message stands that was not sent.
const TOLD_VERDICTS: [&str; Verdict::WORDS.len() + UNSENT.len()] = {
    let mut words = [""; Verdict::WORDS.len() + UNSENT.len()];
    let mut at = 0;
    while at < words.len() {
        words[at] = if at < UNSENT.len() { UNSENT[at].as_str() } else { Verdict::WORDS[at - UNSENT.len()] };
        at += 1;
    }
    words
};
const UNSENT: [DeliveryState; 6] = [
    DeliveryState::Pending,
    DeliveryState::Held,
    DeliveryState::Expired,
    DeliveryState::Dead,
    DeliveryState::Superseded,
    DeliveryState::Dropped,
];
const DECIDED: ShapeKind = Object(&[
    field("action", words!(TradeAction), "What is done."),
    field("tradeId", Id, "The trade; where one is replaced, the new one."),
]);

/// A permission by its path.
pub(in super::super) const PERMISSION: ShapeKind = words!(alertcast_core::admin::Permission);

/// What closing a trade by hand takes.
pub(in super::super) const CLOSING: &[ShapeField] = &[
    must("price", PRICE, "The price at which it is closed."),
    may("reason", Text, "Why; the subscriber reads it.").like("holiday"),
];

/// What approving a payment takes.
pub(in super::super) const APPROVAL: &[ShapeField] = &[
    may("startDate", Time, "The first moment that is covered; else now, or the end of what runs of the same plan."),
    may("endDate", Time, "The first moment that is not covered any more; else as the plan's duration says."),
    may("overrules", Flag, OVERRULES),
];
const OVERRULES: &str = "Whether it takes the place of another decision, which whoever decides has seen.";

/// What rejecting a payment takes.
pub(in super::super) const REJECTION: &[ShapeField] =
    &[must("reason", Text, "Why; the subscriber reads it.").like("no money came"), may("overrules", Flag, OVERRULES)];

/// What cancelling a subscription takes.
pub(in super::super) const CANCELLATION: &[ShapeField] =
    &[must("when", words!(CancellationTime), "At the end that was paid for, or at once.")];

/// As what an alert is meant that does not say so clearly.
pub(in super::super) const MEANING: &[ShapeField] = &[
    field("as", words!(ReadAs), "What it is."),
    field("side", words!(Side), "On which side; an exit without it is of both."),
];

/// What an alert would come to.
pub(in super::super) const REHEARSAL: &[ShapeField] = &[
    field(
        "outcome",
        ShapeKind::Word(&["unreadable", "refused", "duplicate", "accepted"]),
        "What the webhook would make of it.",
    ),
    field("errors", List(&ERROR), "Why it would be refused."),
    may("alertConfigId", Id, CONFIG_ID),
    may("duplicateOf", Id, "The alert that it would be taken for a resend of."),
    may("testing", Flag, "Whether the configuration is in testing: the operators alone would hear of it."),
    may("leftOut", List(&ERROR), "What would be left out of it."),
    may("verdicts", Anything, "How many subscribers each verdict is about."),
    may("subscribers", List(&Object(REHEARSED)), "What would be decided about each subscriber, up to a bound."),
    may("opened", COUNT, "Trades that would be opened."),
    may("ended", COUNT, "Trades that would end."),
    may("messages", Anything, "How many messages would go by each way."),
    may("operators", List(&Object(REMARK)), "What the operators' chat would hear."),
    may("texts", List(&Object(SAMPLE)), "A message of each kind, as it would be read."),
];
const ERROR: ShapeKind = Object(&[
    field("field", Text, "The field that is wrong."),
    field("code", Text, "Which rule it breaks."),
    field("message", Text, "What is wrong, and what to change."),
]);
const REHEARSED: &[ShapeField] = &[
    field("userId", Id, USER_ID),
    USER_NAME,
    may("subscriptionId", Id, JUDGED),
    PLAN_NAME,
    field("verdict", words!(Verdict), "What would be decided, and why."),
    field("actions", List(&DECIDED), DONE),
];
const REMARK: &[ShapeField] = &[
    field("kind", Text, "What it is about."),
    field("title", Text, "Its first line."),
    field("lines", List(&Text), "Its other lines."),
];
const SAMPLE: &[ShapeField] = &[
    may("userId", Id, "The subscriber who would read it; none: the operators."),
    field("channel", words!(Channel), "By which way it would go."),
    field("kind", words!(MessageKind), "What it is about."),
    field("html", Text, "The text with its marks."),
    field("plain", Text, "The text alone."),
];
