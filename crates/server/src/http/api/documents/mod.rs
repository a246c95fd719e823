//! The documents of the API, field by field, in the seed's order and names (`id` for `_id`), with what each field is.

mod events;
mod offers;
mod outcomes;
mod people;

pub(super) use events::{ALERT, AUDIT, DELIVERY, REJECTED, TRADE};
pub(super) use offers::{CONFIGURATION, PLAN};
pub(super) use outcomes::{APPROVAL, CANCELLATION, CLOSING, MEANING, PERMISSION, RECIPIENT, REHEARSAL, REJECTION};
pub(super) use people::{ADMIN, PREFERENCE, SUBSCRIPTION, TOKEN, USER};

use super::shape::ShapeKind::{Id, List, Object, Text, Time};
use super::shape::{ShapeField, ShapeKind, field, may};

/// The spellings of an enumeration.
macro_rules! words {
    ($kind:ty) => {{
        const WORDS: [&str; <$kind>::ALL.len()] = {
            let mut words = [""; <$kind>::ALL.len()];
            let mut at = 0;
            while at < words.len() {
                words[at] = <$kind>::ALL[at].as_str();
                at += 1;
            }
            words
        };
        crate::http::api::shape::ShapeKind::Word(&WORDS)
    }};
}
use words;

const COUNT: ShapeKind = ShapeKind::Whole { min: 0, max: i64::MAX };
const ANY_WHOLE: ShapeKind = ShapeKind::Whole { min: i64::MIN, max: i64::MAX };
const AMOUNT: ShapeKind = ShapeKind::Number { min: Some(0), above: false };
const ANY_NUMBER: ShapeKind = ShapeKind::Number { min: None, above: false };
const PRICE: ShapeKind = ShapeKind::Number { min: Some(0), above: true };

const CURRENCY: ShapeKind = ShapeKind::Spelled(r"^\s*[A-Za-z]{3}\s*$");
/// Seed 7.1.
const EMAIL: ShapeKind = ShapeKind::Spelled(r"^\s*[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}\s*$");

const ID: ShapeField = field("id", Id, "The document's id.").make_kept();
const CREATED: ShapeField = field("createdAt", Time, "When it was made.").make_kept();
const UPDATED: ShapeField = field("updatedAt", Time, "When it was last changed.").make_kept();
/// What of a document of others cannot be read.
const UNREADABLE: ShapeField = may(
    "unreadable",
    List(&Object(&[
        field("field", Text, "The path of the field that cannot be read."),
        field("message", Text, "What is wrong with it."),
    ])),
    "What of the document cannot be read, because another program wrote it otherwise than the contract has it.",
)
.make_kept();
const OWN_TEXT: &str = "What Alertcast keeps with the document.";
const OWN: ShapeField = may("alertcast", Object(&[UNREADABLE]), OWN_TEXT);

const USER_ID: &str = "The subscriber's id.";
const CONFIG_ID: &str = "The alert configuration's id.";
const SUBSCRIPTION_ID: &str = "The id of the subscription under which it happened.";
