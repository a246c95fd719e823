//! What an alert came to or would come to for each subscriber, and what acts by hand take in.

use alertcast_core::alert::document::TradeAction;
use alertcast_core::alert::intent::ReadAs;
use alertcast_core::decision::Verdict;
use alertcast_core::delivery::{Channel, DeliveryState, MessageKind};
use alertcast_core::market::Side;
use alertcast_core::schema::FieldKind::{Anything, Date, Documents, Flag, Id, Text, Word};
use alertcast_core::schema::{
    CONFIG_ID, COUNT, FieldDeclaration, FieldKind, PRICE, USER_ID, expected, fields, optional, required,
};
use alertcast_core::store::Collection;
use alertcast_core::subscription::lifecycle::CancellationTime;

/// Names stand where the administrator may see the documents that have them.
const USER_NAME: FieldDeclaration = optional("userName", Text, "The subscriber's name; takes users.view.").like("Asha");
const PLAN_NAME: FieldDeclaration =
    optional("planName", Text, "The name of the subscription's plan; takes subscriptions.view.").like("Crypto");
const JUDGED: &str = "The id of the subscription that was judged.";
const DONE: &str = "What is done to the subscriber's trades.";

/// What was decided about one subscriber, and what they were sent.
pub(super) const RECIPIENT: &[FieldDeclaration] = &[
    expected("userId", Id, USER_ID),
    USER_NAME,
    optional("subscriptionId", Id, JUDGED),
    PLAN_NAME,
    expected(
        "verdict",
        Word(&TOLD_VERDICTS),
        "What was decided, and why; of who gets a message, where that stands: `sent` once a channel has sent it.",
    ),
    expected("actions", Documents(DECIDED), DONE),
    expected("deliveries", Documents(fields(Collection::Deliveries)), "The messages that the subscriber was sent."),
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
const DECIDED: &[FieldDeclaration] = &[
    expected("action", Word(TradeAction::WORDS), "What is done."),
    expected("tradeId", Id, "The trade; where one is replaced, the new one."),
];

/// What closing a trade by hand takes.
pub(super) const CLOSING: &[FieldDeclaration] = &[
    required("price", PRICE, "The price at which it is closed."),
    optional("reason", Text, "Why; the subscriber reads it.").like("holiday"),
];

/// What approving a payment takes.
pub(super) const APPROVAL: &[FieldDeclaration] = &[
    optional(
        "startDate",
        Date,
        "The first moment that is covered; else now, or the end of what runs of the same plan.",
    ),
    optional("endDate", Date, "The first moment that is not covered any more; else as the plan's duration says."),
    optional("overrules", Flag, OVERRULES),
];
const OVERRULES: &str = "Whether it takes the place of another decision, which whoever decides has seen.";

/// What rejecting a payment takes.
pub(super) const REJECTION: &[FieldDeclaration] = &[
    required("reason", Text, "Why; the subscriber reads it.").like("no money came"),
    optional("overrules", Flag, OVERRULES),
];

/// What cancelling a subscription takes.
pub(super) const CANCELLATION: &[FieldDeclaration] =
    &[required("when", Word(CancellationTime::WORDS), "At the end that was paid for, or at once.")];

/// As what an alert is meant that does not say so clearly.
pub(super) const MEANING: &[FieldDeclaration] = &[
    expected("as", Word(ReadAs::WORDS), "What it is."),
    expected("side", Word(Side::WORDS), "On which side; an exit without it is of both."),
];

/// What an alert would come to.
pub(super) const REHEARSAL: &[FieldDeclaration] = &[
    expected(
        "outcome",
        Word(&["unreadable", "refused", "duplicate", "accepted"]),
        "What the webhook would make of it.",
    ),
    expected("errors", Documents(ERROR), "Why it would be refused."),
    optional("alertConfigId", Id, CONFIG_ID),
    optional("duplicateOf", Id, "The alert that it would be taken for a resend of."),
    optional("testing", Flag, "Whether the configuration is in testing: the operators alone would hear of it."),
    optional("leftOut", Documents(ERROR), "What would be left out of it."),
    optional("verdicts", Anything, "How many subscribers each verdict is about."),
    optional("subscribers", Documents(REHEARSED), "What would be decided about each subscriber, up to a bound."),
    optional("opened", COUNT, "Trades that would be opened."),
    optional("ended", COUNT, "Trades that would end."),
    optional("messages", Anything, "How many messages would go by each way."),
    optional("operators", Documents(REMARK), "What the operators' chat would hear."),
    optional("texts", Documents(SAMPLE), "A message of each kind, as it would be read."),
];
const ERROR: &[FieldDeclaration] = &[
    expected("field", Text, "The field that is wrong."),
    expected("code", Text, "Which rule it breaks."),
    expected("message", Text, "What is wrong, and what to change."),
];
const REHEARSED: &[FieldDeclaration] = &[
    expected("userId", Id, USER_ID),
    USER_NAME,
    optional("subscriptionId", Id, JUDGED),
    PLAN_NAME,
    expected("verdict", Word(Verdict::WORDS), "What would be decided, and why."),
    expected("actions", Documents(DECIDED), DONE),
];
const REMARK: &[FieldDeclaration] = &[
    expected("kind", Text, "What it is about."),
    expected("title", Text, "Its first line."),
    expected("lines", FieldKind::List(&Text), "Its other lines."),
];
const SAMPLE: &[FieldDeclaration] = &[
    optional("userId", Id, "The subscriber who would read it; none: the operators."),
    expected("channel", Word(Channel::WORDS), "By which way it would go."),
    expected("kind", Word(MessageKind::WORDS), "What it is about."),
    expected("html", Text, "The text with its marks."),
    expected("plain", Text, "The text alone."),
];
