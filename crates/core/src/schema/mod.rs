//! What each document is: one row for each field, and everything else derives from that.
//!
//! | what | where |
//! |---|---|
//! | MongoDB's validators | `mongo::setup::schema` |
//! | how documents are read that others write too | [`crate::reading`] |
//! | what the API shows, takes in, describes and filters by | `server::http::api` |
//! | types, bounds and defaults of what people send | `server::document_input` |
//!
//! The documents themselves are structs, written by hand; the tests of this module hold them, and the seed's contract,
//! against the table. The seed's fields are its sections 2, 5.1 and 7.1. Fields that are not declared are always
//! allowed: other applications keep theirs beside ours.

mod catalog;
mod events;
mod field;
mod outgoing;
mod people;
mod staff;
#[cfg(test)]
pub(crate) mod tests;

pub use field::{
    AMOUNT, ANY_NUMBER, ANY_WHOLE, COUNT, EMAIL_PATTERN, FieldDeclaration, FieldDefault, FieldDisclosure, FieldKind,
    FieldPresence, FieldUnit, FieldWeight, FieldWriter, NumberRange, PRICE, StoreRule, StoredKind, defaulted, expected,
    optional, required,
};

use crate::reading::is_within;
use crate::store::Collection;

/// Every field that is declared of a collection's documents, each object before the fields within it; none of the
/// collections that nobody sees but Alertcast.
pub const fn fields(collection: Collection) -> &'static [FieldDeclaration] {
    match collection {
        Collection::Users => people::USERS,
        Collection::UserSubscriptions => people::SUBSCRIPTIONS,
        Collection::UserAlertPreferences => people::PREFERENCES,
        Collection::SubscriptionPlans => catalog::PLANS,
        Collection::AlertConfigurations => catalog::CONFIGS,
        Collection::Trades => events::TRADES,
        Collection::Alerts => events::ALERTS,
        Collection::AdminUsers => staff::ADMINS,
        Collection::ApiTokens => staff::TOKENS,
        Collection::AuditLog => staff::AUDIT,
        Collection::Deliveries => outgoing::DELIVERIES,
        Collection::RejectedWebhooks => outgoing::REJECTED,
        Collection::Decisions
        | Collection::Quotas
        | Collection::IntakeKeys
        | Collection::Changes
        | Collection::Leases
        | Collection::IdempotencyKeys
        | Collection::Secrets
        | Collection::MovedChats => &[],
    }
}

/// Where Alertcast keeps what it adds to a document of the seed.
pub const OWN: &str = "alertcast";

/// The fields that the seed's contract has: what a store checks, whoever writes, and what is mended when it is read. None
/// of the collections that are ours.
pub fn contract_fields(collection: Collection) -> Vec<&'static FieldDeclaration> {
    let is_contract =
        |field: &&FieldDeclaration| field.kind != FieldKind::Object && field.path != "_id" && !field.is_within(OWN);
    match collection.is_in_seed() {
        true => fields(collection).iter().filter(is_contract).collect(),
        false => Vec::new(),
    }
}

/// The fields of one level, each with those that stand within it.
pub fn level(
    fields: &'static [FieldDeclaration],
) -> impl Iterator<Item = (&'static FieldDeclaration, &'static [FieldDeclaration])> {
    let mut rest = fields;
    std::iter::from_fn(move || {
        let (first, behind) = rest.split_first()?;
        let count = behind.iter().take_while(|field| field.is_within(first.path)).count();
        let (within, behind) = behind.split_at(count);
        rest = behind;
        Some((first, within))
    })
}

/// The field at a dotted path, where others know of it.
pub fn find(fields: &'static [FieldDeclaration], path: &str) -> Option<&'static FieldDeclaration> {
    fields.iter().find(|field| field.path == path && !field.is_internal())
}

/// The field at a dotted path, where others give its value: neither it nor an object around it is kept by Alertcast.
pub fn find_given(fields: &'static [FieldDeclaration], path: &str) -> Option<&'static FieldDeclaration> {
    let around = |field: &&FieldDeclaration| is_within(path, field.path);
    let found = find(fields, path)?;
    (!fields.iter().filter(around).any(FieldDeclaration::is_kept)).then_some(found)
}

/// Whether some document has a secret of this name: it stands in no log, whatever the document.
pub fn is_secret_name(name: &str) -> bool {
    let has_it =
        |collection: &Collection| fields(*collection).iter().any(|field| field.is_secret() && field.name() == name);
    Collection::ALL.iter().any(has_it)
}

/// The paths of a collection's contract and of the objects around them; an object weighs as the weightiest within.
#[cfg(any(test, feature = "fixtures"))]
pub fn levels_and_fields(collection: Collection) -> Vec<(&'static str, FieldWeight)> {
    let mut places: Vec<(&'static str, FieldWeight)> = Vec::new();
    for field in contract_fields(collection) {
        let levels = field.path.match_indices('.').map(|(end, _)| &field.path[..end]);
        for path in levels.chain([field.path]) {
            match places.iter_mut().find(|place| place.0 == path) {
                Some(place) if field.weight == FieldWeight::Decides => place.1 = field.weight,
                Some(_) => {}
                None => places.push((path, field.weight)),
            }
        }
    }
    places
}

const ID: FieldDeclaration = expected("_id", FieldKind::Id, "The document's id.").kept();
const CREATED: FieldDeclaration =
    defaulted("createdAt", FieldKind::Date, FieldDefault::WhenMade, "When it was made.").told().kept();
const UPDATED: FieldDeclaration =
    defaulted("updatedAt", FieldKind::Date, FieldDefault::WhenMade, "When it was last changed.").told().kept();

/// What Alertcast keeps with a document.
const OWN_LEVEL: FieldDeclaration = optional(OWN, FieldKind::Object, "What Alertcast keeps with the document.");
/// What of a document of others cannot be read. It is told, and never written.
const UNREADABLE: FieldDeclaration = optional(
    "alertcast.unreadable",
    FieldKind::Documents(FLAWS),
    "What of the document cannot be read, because another program wrote it otherwise than the contract has it.",
)
.kept();
const FLAWS: &[FieldDeclaration] = &[
    expected("field", FieldKind::Text, "The path of the field that cannot be read."),
    expected("message", FieldKind::Text, "What is wrong with it."),
];

/// The subscriber of whom something is.
pub const USER_ID: &str = "The subscriber's id.";
/// The configuration that something is about.
pub const CONFIG_ID: &str = "The alert configuration's id.";
const SUBSCRIPTION_ID: &str = "The id of the subscription under which it happened.";
