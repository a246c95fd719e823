//! Mending: a document that is not its type at once is made so field by field, by what is declared of it.

use std::borrow::Cow;

use bson::oid::ObjectId;
use bson::spec::ElementType;
use bson::{Bson, Document};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{
    DecodeFailure, DocumentReading, FieldFlaw, UnreadableDocument, decode, is_within, list_flaws, pack, unpack,
};
use crate::money::is_number;
use crate::schema::{FieldDeclaration, FieldPresence, FieldWeight, OWN, StoreRule, StoredKind, contract_fields};
use crate::store::{Collection, StoreError};

/// A document for those who show and mend it.
#[derive(Debug, Clone, PartialEq)]
pub struct PartialDocument {
    /// With the defaults of its type, and without what cannot be read. Where a type cannot be made of it, with what is
    /// there.
    pub document: Document,
    /// What cannot be read.
    pub flaws: Vec<FieldFlaw>,
    /// The paths of what is read, but spelt otherwise than its field wants it.
    pub respelt: Vec<String>,
}

/// Reads a document as far as it goes.
///
/// # Errors
/// `Corrupt` where the document has no form as bytes.
pub fn read_partially<T: Serialize + DeserializeOwned>(
    collection: Collection,
    kept: &Document,
) -> Result<PartialDocument, StoreError> {
    let error = match decode::<T>(&pack(kept)?) {
        Ok(value) => {
            let document = crate::store::document(&value)?;
            return Ok(PartialDocument { document, flaws: Vec::new(), respelt: Vec::new() });
        }
        Err(error) => error,
    };
    let (mut document, mut mender) = (kept.clone(), DocumentMender::of(kept));
    mender.mend(&mut document, collection);
    match mender.read_typed::<T>(&mut document.clone(), collection, &error) {
        Ok(value) => document = crate::store::document(&value)?,
        Err(cause) if mender.flaws.is_empty() => {
            mender.flaws.push(FieldFlaw { path: String::new(), what: cause, weight: FieldWeight::Decides });
        }
        Err(_) => {}
    }
    Ok(PartialDocument { document, flaws: mender.flaws, respelt: mender.respelt })
}

/// The long way: field by field.
pub(super) fn mend_document<T: DeserializeOwned>(
    collection: Collection,
    bytes: &[u8],
    error: &DecodeFailure,
) -> Result<DocumentReading<T>, UnreadableDocument> {
    let mut document = unpack(collection, bytes)?;
    let id = document.get("_id").cloned().unwrap_or(Bson::Null);
    let mut mender = DocumentMender::of(&document);
    mender.mend(&mut document, collection);
    match mender.read_typed(&mut document, collection, error) {
        Ok(value) => Ok(DocumentReading { value, flaws: mender.flaws }),
        Err(cause) => Err(UnreadableDocument { collection, id, cause }),
    }
}

fn as_type<T: DeserializeOwned>(document: &Document) -> Result<T, DecodeFailure> {
    decode(&document.to_vec()?)
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

struct DocumentMender {
    /// When the document was made, by its id: what a date with a default was then.
    made: Option<bson::DateTime>,
    flaws: Vec<FieldFlaw>,
    /// The paths of what is read, but spelt otherwise.
    respelt: Vec<String>,
}

impl DocumentMender {
    fn of(document: &Document) -> Self {
        let id = document.get_object_id("_id").ok();
        Self { made: id.map(|id| id.timestamp()), flaws: Vec::new(), respelt: Vec::new() }
    }

    fn mend(&mut self, document: &mut Document, collection: Collection) {
        if let Some(own) = document.get(OWN).filter(|own| !matches!(own, Bson::Document(_))) {
            if !is_nothing(own) {
                self.blame(OWN, own, "an object", collection.own_weight());
            }
            document.remove(OWN);
        }
        let fields = contract_fields(collection);
        for field in &fields {
            self.blame_levels(document, field.path, "", field.weight);
        }
        for field in &fields {
            self.mend_field(document, field, field.path, "");
        }
    }

    /// The document that was mended as its type, if need be without some of what Alertcast keeps with it; or why it is
    /// none. `error` is what it was unmended.
    fn read_typed<T: DeserializeOwned>(
        &mut self,
        document: &mut Document,
        collection: Collection,
        error: &DecodeFailure,
    ) -> Result<T, String> {
        let mended = match as_type(document) {
            Ok(value) => return Ok(value),
            Err(mended) => mended,
        };
        self.without_own(document, collection).ok_or_else(|| {
            let told = if !collection.is_in_seed() { error } else { &mended };
            list_flaws(&self.flaws).unwrap_or_else(|| without_values(&told.to_string()))
        })
    }

    /// What stands where an object is wanted takes all fields within with it: it weighs as the weightiest of them.
    fn blame_levels(&mut self, within: &Document, path: &str, parent: &str, weight: FieldWeight) {
        let Some((name, rest)) = path.split_once('.') else { return };
        let here = if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") };
        match within.get(name) {
            Some(Bson::Document(inner)) => self.blame_levels(inner, rest, &here, weight),
            Some(other) if !is_nothing(other) => self.blame(&here, other, "an object", weight),
            _ => {}
        }
    }

    fn mend_field(&mut self, within: &mut Document, field: &FieldDeclaration, path: &str, parent: &str) {
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
                // What takes a level away is told once.
                let is_told = |flaw: &FieldFlaw| here != flaw.path && is_within(&here, &flaw.path);
                if field.is_required() && !self.flaws.iter().any(is_told) {
                    self.flaws.push(FieldFlaw { path: here, what: "is missing".to_owned(), weight: field.weight });
                }
                if let Some(instead) = self.stand_in(field) {
                    within.insert(name, instead);
                }
            }
        }
    }

    /// A level that is not there is made only where something must stand in it.
    fn mend_within(&mut self, within: &mut Document, field: &FieldDeclaration, (name, rest): (&str, &str), here: &str) {
        let mut inner = Document::new();
        self.mend_field(&mut inner, field, rest, here);
        if !inner.is_empty() {
            within.insert(name, inner);
        }
    }

    /// None: the value stays. Else what stands in its place, if anything.
    fn judge(&mut self, field: &FieldDeclaration, value: &mut Bson, path: &str) -> Option<Option<Bson>> {
        if is_nothing(value) && !field.is_required() {
            return Some(self.stand_in(field));
        }
        let kind = field.stored_kind();
        let has_default = matches!(field.presence, FieldPresence::Defaulted(_));
        if has_default && is_number_kind(kind) && is_nan(value) {
            return Some(None);
        }
        match kind {
            StoredKind::List(kind) => {
                if let Bson::Array(items) = value {
                    self.mend_items(kind.stored(StoreRule::TypeAlone), items, path, field.weight);
                    return None;
                }
            }
            StoredKind::Documents(fields) => {
                if let Bson::Array(items) = value {
                    self.mend_documents(fields, items, path, field.weight);
                    return None;
                }
            }
            kind => match read_as(kind, value) {
                FieldFit::Fits => return None,
                FieldFit::Means(meant) => {
                    self.respelt.push(path.to_owned());
                    return Some(Some(meant));
                }
                FieldFit::Unfit => {}
            },
        }
        self.blame(path, value, &describe_expected(kind), field.weight);
        Some(self.stand_in(field))
    }

    /// Of a list, what cannot be read is left out.
    fn mend_items(&mut self, kind: StoredKind, items: &mut Vec<Bson>, path: &str, weight: FieldWeight) {
        let mut place = 0;
        items.retain_mut(|item| {
            let here = format!("{path}.{place}");
            place += 1;
            match read_as(kind, item) {
                FieldFit::Fits => true,
                FieldFit::Means(meant) => {
                    self.respelt.push(here);
                    *item = meant;
                    true
                }
                FieldFit::Unfit => {
                    self.blame(&here, item, &describe_expected(kind), weight);
                    false
                }
            }
        });
    }

    fn mend_documents(&mut self, fields: &[FieldDeclaration], items: &mut Vec<Bson>, path: &str, weight: FieldWeight) {
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
                self.mend_field(inner, &FieldDeclaration { weight, ..*field }, field.path, &here);
            }
            // What such a list tells of somebody is told whole or not at all.
            let is_whole = fields.iter().all(|field| {
                let needed = matches!(field.stored_kind(), StoredKind::Id | StoredKind::Word(_) | StoredKind::Text);
                !needed || field.presence == FieldPresence::Optional || inner.contains_key(field.path)
            });
            self.flaws.len() == before && is_whole
        });
    }

    /// What stands in for a value: nothing where there is a default, and nothing where decisions rest on it.
    fn stand_in(&self, field: &FieldDeclaration) -> Option<Bson> {
        match (field.presence, field.stored_kind()) {
            (FieldPresence::Defaulted(_), StoredKind::Date) => self.made.map(Bson::DateTime),
            (FieldPresence::Required, kind) if field.weight == FieldWeight::Told => Some(match kind {
                StoredKind::Text | StoredKind::Email | StoredKind::Word(_) => Bson::String(String::new()),
                StoredKind::Name => Bson::String("?".to_owned()),
                StoredKind::Number => Bson::Int32(0),
                StoredKind::AtLeast(least) | StoredKind::Within(least, _) => Bson::Int32(least),
                StoredKind::Flag => Bson::Boolean(false),
                StoredKind::Date => Bson::DateTime(self.made?),
                StoredKind::Id => Bson::ObjectId(ObjectId::from_bytes([0; 12])),
                StoredKind::Document => Bson::Document(Document::new()),
                StoredKind::List(_) | StoredKind::Documents(_) => Bson::Array(Vec::new()),
            }),
            _ => None,
        }
    }

    /// Leaves out of what Alertcast keeps with the document what cannot be read.
    fn without_own<T: DeserializeOwned>(&mut self, document: &mut Document, collection: Collection) -> Option<T> {
        let own = document.remove(OWN)?;
        as_type::<T>(document).ok()?;
        let weight = collection.own_weight();
        let Bson::Document(own) = own else { return None };
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

    fn blame(&mut self, path: &str, value: &Bson, expected: &str, weight: FieldWeight) {
        if let Some(known) = self.flaws.iter_mut().find(|flaw| flaw.path == path) {
            if weight == FieldWeight::Decides {
                known.weight = weight;
            }
            return;
        }
        let what = format!("is {}, not {expected}", name_type(value));
        self.flaws.push(FieldFlaw { path: path.to_owned(), what, weight });
    }
}

/// How a value fits its field.
enum FieldFit {
    Fits,
    /// It is spelt otherwise.
    Means(Bson),
    Unfit,
}

fn read_as(kind: StoredKind, value: &Bson) -> FieldFit {
    let fits = match (kind, value) {
        (StoredKind::Text | StoredKind::Name | StoredKind::Email, Bson::String(_))
        | (StoredKind::Flag, Bson::Boolean(_))
        | (StoredKind::Date, Bson::DateTime(_))
        | (StoredKind::Id, Bson::ObjectId(_))
        | (StoredKind::Document, Bson::Document(_)) => true,
        (StoredKind::Word(words), Bson::String(word)) => words.contains(&word.as_str()),
        (StoredKind::Number | StoredKind::AtLeast(_) | StoredKind::Within(..), number) => {
            is_a_number(number) && !is_nan(number)
        }
        _ => false,
    };
    if fits { FieldFit::Fits } else { as_mongoose_reads(kind, value).map_or(FieldFit::Unfit, FieldFit::Means) }
}

/// What a Mongoose application takes a value of another type for, where that is beyond doubt.
fn as_mongoose_reads(kind: StoredKind, value: &Bson) -> Option<Bson> {
    match (kind, value) {
        (StoredKind::Text | StoredKind::Name, Bson::Int32(_) | Bson::Int64(_)) => Some(value.to_string().into()),
        (StoredKind::Text | StoredKind::Name, Bson::Double(number)) => {
            let is_whole = number.fract() == 0.0 && number.abs() <= WHOLE_MAX;
            is_whole.then(|| Bson::String(format!("{}", number + 0.0)))
        }
        (StoredKind::Text | StoredKind::Name, Bson::Decimal128(number)) => {
            let text = number.to_string();
            text.strip_prefix('-').unwrap_or(&text).bytes().all(|byte| byte.is_ascii_digit()).then(|| text.into())
        }
        (StoredKind::Number | StoredKind::AtLeast(_) | StoredKind::Within(..), Bson::String(text)) => {
            let number = is_number(text).then(|| text.parse().ok()).flatten();
            number.filter(|number: &f64| number.is_finite()).map(Bson::Double)
        }
        (StoredKind::Id, Bson::String(text)) => ObjectId::parse_str(text).ok().map(Bson::ObjectId),
        _ => None,
    }
}

/// Up to this a double tells every whole number from the next.
const WHOLE_MAX: f64 = 9_007_199_254_740_991.0;

const fn is_nothing(value: &Bson) -> bool {
    matches!(value, Bson::Null | Bson::Undefined)
}

const fn is_a_number(value: &Bson) -> bool {
    matches!(value, Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) | Bson::Decimal128(_))
}

const fn is_number_kind(kind: StoredKind) -> bool {
    matches!(kind, StoredKind::Number | StoredKind::AtLeast(_) | StoredKind::Within(..))
}

fn is_nan(value: &Bson) -> bool {
    match value {
        Bson::Double(number) => number.is_nan(),
        Bson::Decimal128(number) => number.to_string().trim_start_matches('-').eq_ignore_ascii_case("nan"),
        _ => false,
    }
}

fn describe_expected(kind: StoredKind) -> Cow<'static, str> {
    Cow::Borrowed(match kind {
        StoredKind::Text | StoredKind::Name => "text",
        StoredKind::Email => "an e-mail address",
        StoredKind::Word(words) => return Cow::Owned(format!("one of {}", words.join(", "))),
        StoredKind::Number | StoredKind::AtLeast(_) | StoredKind::Within(..) => "a number",
        StoredKind::Flag => "true or false",
        StoredKind::Date => "a date",
        StoredKind::Id => "an ObjectId",
        StoredKind::Document => "an object",
        StoredKind::List(_) | StoredKind::Documents(_) => "a list",
    })
}

/// A value's type, for people. No value is told: it may be personal, or a secret.
fn name_type(value: &Bson) -> &'static str {
    if is_nan(value) { "NaN" } else { type_name(value.element_type()) }
}

pub(super) const fn type_name(found: ElementType) -> &'static str {
    match found {
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
