//! What goes out, and what was sent in vain: messages on their way, and requests that were no alert.

use super::field::FieldKind::{Anything, Date, Flag, Id, List, Object, Text, Word};
use super::field::{ANY_WHOLE, COUNT, defaulted, internal, optional, recorded, required};
use super::{CONFIG_ID, CREATED, FieldDeclaration, FieldDefault, ID, OWN_LEVEL, SUBSCRIPTION_ID, UNREADABLE, UPDATED};
use crate::delivery::{CauseKind, Channel, DeliveryState, MessageKind};

/// A message on its way to one person.
pub(super) const DELIVERIES: &[FieldDeclaration] = &recorded([
    ID,
    required("cause", Object, "What gave rise to it."),
    required("cause.kind", Word(CauseKind::WORDS), "What kind of cause it is."),
    required("cause.id", Id, "The id of the alert, subscription or act."),
    optional("alertId", Id, "The alert that it tells of."),
    optional("alertConfigId", Id, CONFIG_ID),
    optional("userId", Id, "The subscriber's id; none: it is for the operators."),
    optional("subscriptionId", Id, SUBSCRIPTION_ID),
    optional("tradeId", Id, "The trade that it tells of; of a replacement the new one."),
    required("channel", Word(Channel::WORDS), "By which way it goes."),
    required("kind", Word(MessageKind::WORDS), "What it is about."),
    required("to", Text, "The chat or the e-mail address."),
    required("state", Word(DeliveryState::WORDS), "Where it stands."),
    required("priority", ANY_WHOLE, "Lower goes first."),
    required("queuedAt", Date, "When its alert came in: among equals the older goes first."),
    required("dueAt", Date, "Not sent before."),
    required("deadlineAt", Date, "Not sent after."),
    optional("entryDeadlineAt", Date, "Until when a replacement's new entry may be followed."),
    optional("supersededBy", Id, "The message that tells its news instead."),
    optional("combines", Id, "The entry that this exit tells too."),
    optional("alsoEnded", List(&Anything), "The ends of other trades that it tells too."),
    defaulted("attempts", COUNT, FieldDefault::Whole(0), "How often sending it was begun."),
    defaulted("possibleRepeat", Flag, FieldDefault::Flag(false), "Whether an earlier attempt may have arrived."),
    optional("topicGone", Flag, "Whether it stands in the general topic, because its own is gone."),
    optional("lastError", Text, "Why it was not sent the last time."),
    optional("messageId", ANY_WHOLE, "Telegram's number for the message."),
    optional("endedAt", Date, "When it was sent or given up."),
    required("facts", Anything, "What it says beyond its alert and configuration."),
    optional("decimals", COUNT, "With how many decimals prices are shown."),
    internal("key", Anything, "What makes it the only one of its kind."),
    internal("lane", Text, "Whose work it is: the name of the lease that its sender holds."),
    internal("rotation", ANY_WHOLE, "Mixes the recipients of one alert."),
    internal("about", List(&Id), "The trades that a notice tells of."),
    internal("entryDelivery", Id, "The entry, in the same channel, of the trade whose end it tells."),
    internal("follows", Id, "The message that tells the same as this result, and goes first."),
    internal("combinesAlert", Id, "The alert of the entry that it tells too."),
    internal("oldUnknown", Flag, "Whether nobody heard of the trade that it replaces."),
    internal("entryOver", Flag, "Whether the new trade has ended too."),
    internal("entryLapsed", Flag, "Whether it told only of the old trade's end."),
    internal("epoch", ANY_WHOLE, "The epoch of the lease under which it is being sent."),
    internal("copies", List(&ANY_WHOLE), "The numbers of other copies that stand in the chat."),
    CREATED,
    UPDATED,
    OWN_LEVEL,
    UNREADABLE,
]);

/// A request that was no alert.
pub(super) const REJECTED: &[FieldDeclaration] = &recorded([
    ID,
    required("receivedAt", Date, "When it was received."),
    optional("ipAddress", Text, "The address that it came from."),
    required("body", Text, "What was sent, without secrets."),
    required("query", Text, "The query of its address."),
    required("errors", List(&Text), "What was wrong with it."),
    required("status", ANY_WHOLE, "The HTTP status that it was answered with."),
    OWN_LEVEL,
    UNREADABLE,
]);
