//! Reading documents that others write too.
//!
//! Everything goes by BSON's bytes, and nothing in them is interpreted: see [`crate::verbatim`]. A document is read as
//! its type at once. Where that fails it is mended field by field, by what the store declares of its collection
//! ([`crate::store::validator`]):
//! - Null, and NaN, in a field with a default is the default.
//! - A field that cannot be read is left out, and told as a [`Flaw`]; one that must be there and decides nothing has
//!   something stand in for it.
//! - What is then still unreadable is set aside alone, as [`Unreadable`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bson::oid::ObjectId;
use bson::spec::ElementType;
use bson::{Bson, Document, RawDocument, Utf8Lossy};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::validator::{Field, Kind, Presence, Weight, fields};
use crate::store::{Collection, StoreError};

/// A document that cannot be read. Every other goes on without it.
#[derive(Debug, Clone, PartialEq)]
pub struct Unreadable {
    pub collection: Collection,
    /// Its `_id`; null where not even that can be read.
    pub id: Bson,
    /// What is wrong with it: fields and types, no values.
    pub cause: String,
}

impl Unreadable {
    /// Its id as people write it.
    pub fn id_text(&self) -> String {
        match &self.id {
            Bson::ObjectId(id) => id.to_hex(),
            Bson::String(text) => text.clone(),
            Bson::Null => "(without an id)".to_owned(),
            other => other.to_string(),
        }
    }

    /// Its id, where it is an `ObjectId`.
    pub const fn object_id(&self) -> Option<ObjectId> {
        match self.id {
            Bson::ObjectId(id) => Some(id),
            _ => None,
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.collection, self.id_text(), self.cause)
    }
}

impl From<Unreadable> for StoreError {
    fn from(unreadable: Unreadable) -> Self {
        Self::Corrupt(unreadable.to_string())
    }
}

/// What a question found: what can be read, and what cannot.
#[derive(Debug, Clone, PartialEq)]
pub struct Found<T> {
    pub readable: Vec<T>,
    pub unreadable: Vec<Unreadable>,
}

impl<T> Default for Found<T> {
    fn default() -> Self {
        Self { readable: Vec::new(), unreadable: Vec::new() }
    }
}

impl<T> Found<T> {
    /// Takes up what was read, or could not be.
    pub fn add(&mut self, read: Result<T, Unreadable>) {
        match read {
            Ok(value) => self.readable.push(value),
            Err(unreadable) => self.unreadable.push(unreadable),
        }
    }

    /// Whether nothing was found.
    pub const fn is_empty(&self) -> bool {
        self.readable.is_empty() && self.unreadable.is_empty()
    }
}

impl<T> FromIterator<Result<T, Unreadable>> for Found<T> {
    fn from_iter<I: IntoIterator<Item = Result<T, Unreadable>>>(read: I) -> Self {
        let mut found = Self::default();
        read.into_iter().for_each(|one| found.add(one));
        found
    }
}

/// What readers found that cannot be read. Each document is news once, and again with another cause; so much is known at
/// most. Cheap to clone; the clones share it.
#[derive(Debug, Clone, Default)]
pub struct UnreadableLog {
    inner: Arc<Mutex<LogInner>>,
}

#[derive(Debug, Default)]
struct LogInner {
    known: BTreeMap<(Collection, String), Unreadable>,
    news: Vec<Unreadable>,
}

/// More documents are not remembered: whoever has so many has one cause for them.
const KNOWN_MAX: usize = 10_000;

impl UnreadableLog {
    /// A document cannot be read.
    pub fn note(&self, unreadable: Unreadable) {
        let mut inner = self.lock();
        let key = (unreadable.collection, unreadable.id_text());
        let is_known = inner.known.get(&key).is_some_and(|known| known.cause == unreadable.cause);
        if is_known || (inner.known.len() >= KNOWN_MAX && !inner.known.contains_key(&key)) {
            return;
        }
        inner.known.insert(key, unreadable.clone());
        inner.news.push(unreadable);
    }

    /// Notes what could not be read; answers what could.
    pub fn sift<T>(&self, found: Found<T>) -> Vec<T> {
        found.unreadable.into_iter().for_each(|unreadable| self.note(unreadable));
        found.readable
    }

    /// What was noted since this was asked last.
    pub fn take_news(&self) -> Vec<Unreadable> {
        std::mem::take(&mut self.lock().news)
    }

    /// Everything that is known to be unreadable, by collection.
    pub fn known(&self) -> Vec<Unreadable> {
        self.lock().known.values().cloned().collect()
    }

    /// A document can be read again, or is gone.
    pub fn forget(&self, collection: Collection, id_text: &str) {
        self.lock().known.remove(&(collection, id_text.to_owned()));
    }

    fn lock(&self) -> MutexGuard<'_, LogInner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A field that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// Its dotted path.
    pub path: String,
    /// What it is, and what it should be.
    pub what: String,
    pub weight: Weight,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.what)
    }
}

/// A document, as far as it can be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading<T> {
    pub value: T,
    /// What was left out.
    pub flaws: Vec<Flaw>,
}

impl<T> Reading<T> {
    /// What was left out that decisions rest on; none where nothing was.
    pub fn undecided(&self) -> Option<String> {
        listed(self.flaws.iter().filter(|flaw| flaw.weight == Weight::Decides))
    }
}

/// Flaws in one line.
pub fn listed<'a>(flaws: impl IntoIterator<Item = &'a Flaw>) -> Option<String> {
    let lines: Vec<String> = flaws.into_iter().map(ToString::to_string).collect();
    (!lines.is_empty()).then(|| lines.join("; "))
}

/// Reads a document's bytes as its type, as far as that goes.
///
/// # Errors
/// What of it that must be there is not, or cannot be read.
pub fn read_leniently<T: DeserializeOwned>(collection: Collection, bytes: &[u8]) -> Result<Reading<T>, Unreadable> {
    match bson::deserialize_from_slice(bytes) {
        Ok(value) => Ok(Reading { value, flaws: Vec::new() }),
        Err(error) => mended(collection, bytes, &error),
    }
}

/// Reads a document's bytes as its type, where nothing is left out that decisions rest on.
///
/// # Errors
/// What could not be read.
pub fn read_bytes<T: DeserializeOwned>(collection: Collection, bytes: &[u8]) -> Result<T, Unreadable> {
    let reading = read_leniently(collection, bytes)?;
    match reading.undecided() {
        None => Ok(reading.value),
        Some(cause) => Err(Unreadable { collection, id: id_of(bytes), cause }),
    }
}

/// The same for a document that is unpacked.
///
/// # Errors
/// What could not be read.
pub fn read_document<T: DeserializeOwned>(collection: Collection, document: &Document) -> Result<T, Unreadable> {
    let broken = |error: StoreError| Unreadable {
        collection,
        id: document.get("_id").cloned().unwrap_or(Bson::Null),
        cause: error.to_string(),
    };
    read_bytes(collection, &pack(document).map_err(broken)?)
}

/// What of a document cannot be read; none where all of it can.
pub fn trouble_of(collection: Collection, document: &Document) -> Option<Unreadable> {
    let bytes = pack(document).ok()?;
    let trouble = |error: Option<String>| {
        error.map(|cause| Unreadable { collection, id: document.get("_id").cloned().unwrap_or(Bson::Null), cause })
    };
    fn flaws_of<T: DeserializeOwned>(collection: Collection, bytes: &[u8]) -> Option<String> {
        match read_leniently::<T>(collection, bytes) {
            Ok(reading) => listed(&reading.flaws),
            Err(unreadable) => Some(unreadable.cause),
        }
    }
    trouble(match collection {
        Collection::Users => flaws_of::<crate::user::User>(collection, &bytes),
        Collection::SubscriptionPlans => flaws_of::<crate::plan::Plan>(collection, &bytes),
        Collection::AlertConfigurations => flaws_of::<crate::config::AlertConfiguration>(collection, &bytes),
        Collection::UserSubscriptions => flaws_of::<crate::subscription::Subscription>(collection, &bytes),
        Collection::UserAlertPreferences => flaws_of::<crate::preference::AlertPreference>(collection, &bytes),
        Collection::Trades => flaws_of::<crate::trade::document::Trade>(collection, &bytes),
        Collection::Alerts => flaws_of::<crate::alert::document::Alert>(collection, &bytes),
        Collection::AdminUsers => flaws_of::<crate::admin::Admin>(collection, &bytes),
        Collection::Deliveries => flaws_of::<crate::delivery::Delivery>(collection, &bytes),
        Collection::Decisions => flaws_of::<crate::decision::DecisionChunk>(collection, &bytes),
        Collection::Quotas => flaws_of::<crate::quota::Quota>(collection, &bytes),
        Collection::RejectedWebhooks => flaws_of::<crate::store::RejectedWebhook>(collection, &bytes),
        Collection::Leases => flaws_of::<crate::store::Lease>(collection, &bytes),
        Collection::ApiTokens => flaws_of::<crate::token::ApiToken>(collection, &bytes),
        Collection::AuditLog => flaws_of::<crate::audit::AuditEntry>(collection, &bytes),
        Collection::IntakeKeys
        | Collection::Changes
        | Collection::IdempotencyKeys
        | Collection::MovedChats
        | Collection::Secrets => None,
    })
}

/// A document's bytes, unpacked as they stand; text that is no UTF-8 loses what is wrong with it.
///
/// # Errors
/// The bytes are damaged.
pub fn unpack(collection: Collection, bytes: &[u8]) -> Result<Document, Unreadable> {
    let unreadable =
        |error: &dyn fmt::Display| Unreadable { collection, id: id_of(bytes), cause: format!("is damaged: {error}") };
    let raw = RawDocument::from_bytes(bytes).map_err(|error| unreadable(&error))?;
    Document::try_from(raw).or_else(|_| match Utf8Lossy::<Document>::try_from(raw) {
        Ok(Utf8Lossy(document)) => Ok(document),
        Err(error) => Err(unreadable(&error)),
    })
}

/// The same; of a damaged one its id alone, under which it can be seen and replaced.
pub fn unpack_what_is_there(collection: Collection, bytes: &[u8]) -> Document {
    unpack(collection, bytes).unwrap_or_else(|unreadable| bson::doc! { "_id": unreadable.id })
}

/// A document as bytes.
///
/// # Errors
/// `Corrupt` where a key of it has a NUL in it.
pub fn pack(document: &Document) -> Result<Vec<u8>, StoreError> {
    document.to_vec().map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// A value as a document's bytes.
///
/// # Errors
/// `Corrupt` where the value has no form as a document.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    bson::serialize_to_vec(value).map_err(|error| StoreError::Corrupt(error.to_string()))
}

fn id_of(bytes: &[u8]) -> Bson {
    let raw = RawDocument::from_bytes(bytes).ok();
    let id = raw.and_then(|raw| raw.get("_id").ok().flatten());
    id.and_then(|id| Bson::try_from(id).ok()).unwrap_or(Bson::Null)
}

/// The long way: field by field.
fn mended<T: DeserializeOwned>(
    collection: Collection,
    bytes: &[u8],
    error: &bson::error::Error,
) -> Result<Reading<T>, Unreadable> {
    let mut document = unpack(collection, bytes)?;
    let id = document.get("_id").cloned().unwrap_or(Bson::Null);
    let mut mender = Mender { made: id.as_object_id().map(|id| id.timestamp()), flaws: Vec::new() };
    mender.mend(&mut document, fields(collection));
    let first = match as_type(&document) {
        Ok(value) => return Ok(Reading { value, flaws: mender.flaws }),
        Err(error) => error,
    };
    if let Some(value) = mender.without_own(&mut document, collection) {
        return Ok(Reading { value, flaws: mender.flaws });
    }
    let cause = listed(&mender.flaws).unwrap_or_else(|| {
        without_values(&if fields(collection).is_empty() { error.to_string() } else { first.to_string() })
    });
    Err(Unreadable { collection, id, cause })
}

fn as_type<T: DeserializeOwned>(document: &Document) -> Result<T, bson::error::Error> {
    bson::deserialize_from_slice(&document.to_vec()?)
}

/// What serde says, without the values that it quotes.
fn without_values(error: &str) -> String {
    let mut parts = error.split('"');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for (n, part) in parts.enumerate() {
        out.push_str(if n % 2 == 0 { "\"…\"" } else { part });
    }
    out
}

/// Where Alertcast keeps what it adds to a document.
const OWN: &str = "alertcast";

struct Mender {
    /// When the document was made, by its id: what a date with a default was then.
    made: Option<bson::DateTime>,
    flaws: Vec<Flaw>,
}

impl Mender {
    fn mend(&mut self, document: &mut Document, fields: &[Field]) {
        for field in fields {
            self.mend_field(document, field, field.path, "");
        }
    }

    fn mend_field(&mut self, within: &mut Document, field: &Field, path: &str, parent: &str) {
        let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let here = if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") };
        match (rest, within.get_mut(name)) {
            (Some(rest), Some(Bson::Document(inner))) => self.mend_field(inner, field, rest, &here),
            (Some(rest), Some(other)) => {
                if !is_nothing(other) {
                    self.blame(&here, other, "an object", field.weight);
                }
                within.remove(name);
                self.mend_within(within, field, (name, rest), &here);
            }
            (Some(rest), None) => self.mend_within(within, field, (name, rest), &here),
            (None, Some(value)) => {
                if let Some(instead) = self.judge(field, value, &here) {
                    match instead {
                        Some(instead) => within.insert(name, instead),
                        None => within.remove(name),
                    };
                }
            }
            (None, None) => {
                if field.presence == Presence::Required {
                    self.flaws.push(Flaw { path: here, what: "is missing".to_owned(), weight: field.weight });
                }
                if let Some(instead) = self.stand_in(field) {
                    within.insert(name, instead);
                }
            }
        }
    }

    /// A level that is not there is made only where something must stand in it.
    fn mend_within(&mut self, within: &mut Document, field: &Field, (name, rest): (&str, &str), here: &str) {
        let mut inner = Document::new();
        self.mend_field(&mut inner, field, rest, here);
        if !inner.is_empty() {
            within.insert(name, inner);
        }
    }

    /// None: the value stays. Else what stands in its place, if anything.
    fn judge(&mut self, field: &Field, value: &mut Bson, path: &str) -> Option<Option<Bson>> {
        let has_default = field.presence != Presence::Required;
        if is_nothing(value) && has_default {
            return Some(self.stand_in(field));
        }
        if field.presence == Presence::Defaulted && is_number_kind(field.kind) && is_nan(value) {
            return Some(None);
        }
        match field.kind {
            Kind::List(kind) => {
                if let Bson::Array(items) = value {
                    self.mend_items(*kind, items, path, field.weight);
                    return None;
                }
            }
            Kind::Documents(fields) => {
                if let Bson::Array(items) = value {
                    self.mend_documents(fields, items, path, field.weight);
                    return None;
                }
            }
            kind => match read_as(kind, value) {
                Fit::Fits => return None,
                Fit::Means(meant) => return Some(Some(meant)),
                Fit::Unfit => {}
            },
        }
        self.blame(path, value, &expected(field.kind), field.weight);
        Some(self.stand_in(field))
    }

    /// Of a list, what cannot be read is left out.
    fn mend_items(&mut self, kind: Kind, items: &mut Vec<Bson>, path: &str, weight: Weight) {
        let mut place = 0;
        items.retain_mut(|item| {
            let here = format!("{path}.{place}");
            place += 1;
            match read_as(kind, item) {
                Fit::Fits => true,
                Fit::Means(meant) => {
                    *item = meant;
                    true
                }
                Fit::Unfit => {
                    self.blame(&here, item, &expected(kind), weight);
                    false
                }
            }
        });
    }

    fn mend_documents(&mut self, fields: &[Field], items: &mut Vec<Bson>, path: &str, weight: Weight) {
        let mut place = 0;
        items.retain_mut(|item| {
            let here = format!("{path}.{place}");
            place += 1;
            let Bson::Document(inner) = item else {
                self.blame(&here, item, "an object", weight);
                return false;
            };
            let before = self.flaws.len();
            for field in fields {
                self.mend_field(inner, &Field { weight, ..*field }, field.path, &here);
            }
            // What such a list tells of somebody is told whole or not at all.
            let is_whole = fields.iter().all(|field| {
                let needed = matches!(field.kind, Kind::Id | Kind::Word(_) | Kind::Text);
                !needed || field.presence == Presence::Optional || inner.contains_key(field.path)
            });
            self.flaws.len() == before && is_whole
        });
    }

    /// What stands in for a value: nothing where there is a default, and nothing where decisions rest on it.
    fn stand_in(&self, field: &Field) -> Option<Bson> {
        match (field.presence, field.kind) {
            (Presence::Defaulted, Kind::Date) => self.made.map(Bson::DateTime),
            (Presence::Required, kind) if field.weight == Weight::Told => Some(match kind {
                Kind::Text | Kind::Email | Kind::Word(_) => Bson::String(String::new()),
                Kind::Name => Bson::String("?".to_owned()),
                Kind::Number => Bson::Int32(0),
                Kind::AtLeast(least) | Kind::Within(least, _) => Bson::Int32(least),
                Kind::Flag => Bson::Boolean(false),
                Kind::Date => Bson::DateTime(self.made?),
                Kind::Id => Bson::ObjectId(ObjectId::from_bytes([0; 12])),
                Kind::Document => Bson::Document(Document::new()),
                Kind::List(_) | Kind::Documents(_) => Bson::Array(Vec::new()),
            }),
            _ => None,
        }
    }

    /// Leaves out of what Alertcast keeps with the document what cannot be read.
    fn without_own<T: DeserializeOwned>(&mut self, document: &mut Document, collection: Collection) -> Option<T> {
        let own = document.remove(OWN)?;
        as_type::<T>(document).ok()?;
        let weight = collection.own_weight();
        let Bson::Document(own) = own else {
            if !is_nothing(&own) {
                self.blame(OWN, &own, "an object", weight);
            }
            return as_type(document).ok();
        };
        let mut kept = Document::new();
        for (name, value) in own {
            let mut alone = document.clone();
            alone.insert(OWN, bson::doc! { &name: value.clone() });
            if as_type::<T>(&alone).is_ok() {
                kept.insert(name, value);
            } else if !is_nothing(&value) {
                self.blame(&format!("{OWN}.{name}"), &value, "what Alertcast keeps there", weight);
            }
        }
        document.insert(OWN, kept);
        as_type(document).ok()
    }

    fn blame(&mut self, path: &str, value: &Bson, expected: &str, weight: Weight) {
        if self.flaws.iter().any(|flaw| flaw.path == path) {
            return;
        }
        let what = format!("is {}, not {expected}", named(value));
        self.flaws.push(Flaw { path: path.to_owned(), what, weight });
    }
}

/// How a value fits its field.
enum Fit {
    Fits,
    /// It is spelt otherwise.
    Means(Bson),
    Unfit,
}

fn read_as(kind: Kind, value: &Bson) -> Fit {
    let fits = match (kind, value) {
        (Kind::Text | Kind::Name | Kind::Email, Bson::String(_))
        | (Kind::Flag, Bson::Boolean(_))
        | (Kind::Date, Bson::DateTime(_))
        | (Kind::Id, Bson::ObjectId(_))
        | (Kind::Document, Bson::Document(_)) => true,
        (Kind::Word(words), Bson::String(word)) => words.contains(&word.as_str()),
        (Kind::Number | Kind::AtLeast(_) | Kind::Within(..), number) => is_number(number) && !is_nan(number),
        // As Mongoose reads them.
        (Kind::Text | Kind::Name, Bson::Int32(_) | Bson::Int64(_)) => return Fit::Means(value.to_string().into()),
        (Kind::Id, Bson::String(text)) => {
            return ObjectId::parse_str(text).map_or(Fit::Unfit, |id| Fit::Means(Bson::ObjectId(id)));
        }
        _ => false,
    };
    if fits { Fit::Fits } else { Fit::Unfit }
}

const fn is_nothing(value: &Bson) -> bool {
    matches!(value, Bson::Null | Bson::Undefined)
}

const fn is_number(value: &Bson) -> bool {
    matches!(value, Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) | Bson::Decimal128(_))
}

const fn is_number_kind(kind: Kind) -> bool {
    matches!(kind, Kind::Number | Kind::AtLeast(_) | Kind::Within(..))
}

fn is_nan(value: &Bson) -> bool {
    match value {
        Bson::Double(number) => number.is_nan(),
        Bson::Decimal128(number) => number.to_string().trim_start_matches('-').eq_ignore_ascii_case("nan"),
        _ => false,
    }
}

fn expected(kind: Kind) -> Cow<'static, str> {
    Cow::Borrowed(match kind {
        Kind::Text | Kind::Name => "text",
        Kind::Email => "an e-mail address",
        Kind::Word(words) => return Cow::Owned(format!("one of {}", words.join(", "))),
        Kind::Number | Kind::AtLeast(_) | Kind::Within(..) => "a number",
        Kind::Flag => "true or false",
        Kind::Date => "a date",
        Kind::Id => "an ObjectId",
        Kind::Document => "an object",
        Kind::List(_) | Kind::Documents(_) => "a list",
    })
}

/// A value's type, for people. No value is told: it may be personal, or a secret.
fn named(value: &Bson) -> &'static str {
    match value.element_type() {
        ElementType::Double if is_nan(value) => "NaN",
        ElementType::Double | ElementType::Int32 | ElementType::Int64 | ElementType::Decimal128 => "a number",
        ElementType::String => "another text",
        ElementType::EmbeddedDocument => "an object",
        ElementType::Array => "a list",
        ElementType::Binary => "binary data",
        ElementType::Undefined => "undefined",
        ElementType::ObjectId => "an ObjectId",
        ElementType::Boolean => "true or false",
        ElementType::DateTime => "a date",
        ElementType::Null => "null",
        ElementType::RegularExpression => "a regular expression",
        ElementType::DbPointer => "a DBPointer",
        ElementType::JavaScriptCode | ElementType::JavaScriptCodeWithScope => "JavaScript code",
        ElementType::Symbol => "a symbol",
        ElementType::Timestamp => "a timestamp",
        ElementType::MinKey => "MinKey",
        ElementType::MaxKey => "MaxKey",
    }
}

/// One value and more of each type that BSON has.
#[cfg(any(test, feature = "conformance"))]
pub fn every_bson_type() -> Vec<Bson> {
    use bson::spec::BinarySubtype;
    let code = bson::JavaScriptCodeWithScope { code: "1".to_owned(), scope: bson::doc! { "a": 1 } };
    let decimal = |text: &str| text.parse().map_or(Bson::Null, Bson::Decimal128);
    let pointer = bson::RawDocumentBuf::from_bytes(vec![
        31, 0, 0, 0, 0x0c, b'p', 0, 4, 0, 0, 0, b'a', b'.', b'b', 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 0, 0, 0,
    ]);
    let pointer = pointer.ok().and_then(|raw| Document::try_from(raw).ok()).and_then(|mut raw| raw.remove("p"));
    let mut all = vec![
        Bson::Double(1.5),
        Bson::Double(f64::NAN),
        Bson::Double(f64::INFINITY),
        Bson::Double(f64::NEG_INFINITY),
        Bson::Double(1e20),
        Bson::Double(-1e20),
        Bson::Double(-0.0),
        "text".into(),
        "".into(),
        "active".into(),
        "BUY".into(),
        "$price".into(),
        bson::doc! {}.into(),
        bson::doc! { "$date": "x" }.into(),
        bson::doc! { "a": { "$oid": "zz" } }.into(),
        Bson::Array(Vec::new()),
        Bson::Array(vec![1.into(), Bson::Null]),
        Bson::Array(vec!["BUY".into()]),
        Bson::Binary(bson::Binary { subtype: BinarySubtype::Generic, bytes: vec![1, 2] }),
        Bson::Binary(bson::Binary { subtype: BinarySubtype::Uuid, bytes: vec![7; 16] }),
        Bson::Undefined,
        ObjectId::from_bytes([9; 12]).into(),
        true.into(),
        false.into(),
        bson::DateTime::from_millis(0).into(),
        bson::DateTime::MAX.into(),
        bson::DateTime::MIN.into(),
        Bson::Null,
        Bson::JavaScriptCode("1".to_owned()),
        Bson::Symbol("s".to_owned()),
        Bson::JavaScriptCodeWithScope(code),
        0.into(),
        7.into(),
        (-1).into(),
        i32::MAX.into(),
        Bson::Timestamp(bson::Timestamp { time: 1, increment: 2 }),
        Bson::Int64(7),
        Bson::Int64(i64::MAX),
        Bson::Int64(i64::MIN),
        decimal("7.5"),
        decimal("NaN"),
        decimal("Infinity"),
        decimal("1E+6000"),
        Bson::MinKey,
        Bson::MaxKey,
    ];
    let text = |text: &str| bson::raw::CString::try_from(text).ok();
    let regex = text("a").zip(text("i")).map(|(pattern, options)| bson::Regex { pattern, options });
    all.extend(regex.map(Bson::RegularExpression));
    all.extend(pointer);
    all
}

/// Puts a value at a dotted path, whatever stood there or above it.
#[cfg(any(test, feature = "conformance"))]
pub fn put_at(document: &mut Document, path: &str, value: Bson) {
    let Some((first, rest)) = path.split_once('.') else {
        document.insert(path, value);
        return;
    };
    let mut inner = match document.remove(first) {
        Some(Bson::Document(inner)) => inner,
        _ => Document::new(),
    };
    put_at(&mut inner, rest, value);
    document.insert(first, inner);
}

#[cfg(test)]
mod tests;
