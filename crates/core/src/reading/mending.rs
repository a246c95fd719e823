//! Mending: a document that is not its type at once is made so field by field, by what the store declares.

use std::borrow::Cow;

use bson::oid::ObjectId;
use bson::spec::ElementType;
use bson::{Bson, Document};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{
    DecodeFailure, DocumentReading, FieldFlaw, OWN, UnreadableDocument, decode, is_within, list_flaws, pack, unpack,
};
use crate::money::is_number;
use crate::store::validator::{FieldDeclaration, FieldKind, FieldPresence, FieldWeight, fields};
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
        let fields = fields(collection);
        for field in fields {
            self.blame_levels(document, field.path, "", field.weight);
        }
        for field in fields {
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
            let told = if fields(collection).is_empty() { error } else { &mended };
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
                if field.presence == FieldPresence::Required && !self.flaws.iter().any(is_told) {
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
        let has_default = field.presence != FieldPresence::Required;
        if is_nothing(value) && has_default {
            return Some(self.stand_in(field));
        }
        if field.presence == FieldPresence::Defaulted && is_number_kind(field.kind) && is_nan(value) {
            return Some(None);
        }
        match field.kind {
            FieldKind::List(kind) => {
                if let Bson::Array(items) = value {
                    self.mend_items(*kind, items, path, field.weight);
                    return None;
                }
            }
            FieldKind::Documents(fields) => {
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
        self.blame(path, value, &describe_expected(field.kind), field.weight);
        Some(self.stand_in(field))
    }

    /// Of a list, what cannot be read is left out.
    fn mend_items(&mut self, kind: FieldKind, items: &mut Vec<Bson>, path: &str, weight: FieldWeight) {
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
                let needed = matches!(field.kind, FieldKind::Id | FieldKind::Word(_) | FieldKind::Text);
                !needed || field.presence == FieldPresence::Optional || inner.contains_key(field.path)
            });
            self.flaws.len() == before && is_whole
        });
    }

    /// What stands in for a value: nothing where there is a default, and nothing where decisions rest on it.
    fn stand_in(&self, field: &FieldDeclaration) -> Option<Bson> {
        match (field.presence, field.kind) {
            (FieldPresence::Defaulted, FieldKind::Date) => self.made.map(Bson::DateTime),
            (FieldPresence::Required, kind) if field.weight == FieldWeight::Told => Some(match kind {
                FieldKind::Text | FieldKind::Email | FieldKind::Word(_) => Bson::String(String::new()),
                FieldKind::Name => Bson::String("?".to_owned()),
                FieldKind::Number => Bson::Int32(0),
                FieldKind::AtLeast(least) | FieldKind::Within(least, _) => Bson::Int32(least),
                FieldKind::Flag => Bson::Boolean(false),
                FieldKind::Date => Bson::DateTime(self.made?),
                FieldKind::Id => Bson::ObjectId(ObjectId::from_bytes([0; 12])),
                FieldKind::Document => Bson::Document(Document::new()),
                FieldKind::List(_) | FieldKind::Documents(_) => Bson::Array(Vec::new()),
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

fn read_as(kind: FieldKind, value: &Bson) -> FieldFit {
    let fits = match (kind, value) {
        (FieldKind::Text | FieldKind::Name | FieldKind::Email, Bson::String(_))
        | (FieldKind::Flag, Bson::Boolean(_))
        | (FieldKind::Date, Bson::DateTime(_))
        | (FieldKind::Id, Bson::ObjectId(_))
        | (FieldKind::Document, Bson::Document(_)) => true,
        (FieldKind::Word(words), Bson::String(word)) => words.contains(&word.as_str()),
        (FieldKind::Number | FieldKind::AtLeast(_) | FieldKind::Within(..), number) => {
            is_a_number(number) && !is_nan(number)
        }
        _ => false,
    };
    if fits { FieldFit::Fits } else { as_mongoose_reads(kind, value).map_or(FieldFit::Unfit, FieldFit::Means) }
}

/// What a Mongoose application takes a value of another type for, where that is beyond doubt.
fn as_mongoose_reads(kind: FieldKind, value: &Bson) -> Option<Bson> {
    match (kind, value) {
        (FieldKind::Text | FieldKind::Name, Bson::Int32(_) | Bson::Int64(_)) => Some(value.to_string().into()),
        (FieldKind::Text | FieldKind::Name, Bson::Double(number)) => {
            let is_whole = number.fract() == 0.0 && number.abs() <= WHOLE_MAX;
            is_whole.then(|| Bson::String(format!("{}", number + 0.0)))
        }
        (FieldKind::Text | FieldKind::Name, Bson::Decimal128(number)) => {
            let text = number.to_string();
            text.strip_prefix('-').unwrap_or(&text).bytes().all(|byte| byte.is_ascii_digit()).then(|| text.into())
        }
        (FieldKind::Number | FieldKind::AtLeast(_) | FieldKind::Within(..), Bson::String(text)) => {
            let number = is_number(text).then(|| text.parse().ok()).flatten();
            number.filter(|number: &f64| number.is_finite()).map(Bson::Double)
        }
        (FieldKind::Id, Bson::String(text)) => ObjectId::parse_str(text).ok().map(Bson::ObjectId),
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

const fn is_number_kind(kind: FieldKind) -> bool {
    matches!(kind, FieldKind::Number | FieldKind::AtLeast(_) | FieldKind::Within(..))
}

fn is_nan(value: &Bson) -> bool {
    match value {
        Bson::Double(number) => number.is_nan(),
        Bson::Decimal128(number) => number.to_string().trim_start_matches('-').eq_ignore_ascii_case("nan"),
        _ => false,
    }
}

fn describe_expected(kind: FieldKind) -> Cow<'static, str> {
    Cow::Borrowed(match kind {
        FieldKind::Text | FieldKind::Name => "text",
        FieldKind::Email => "an e-mail address",
        FieldKind::Word(words) => return Cow::Owned(format!("one of {}", words.join(", "))),
        FieldKind::Number | FieldKind::AtLeast(_) | FieldKind::Within(..) => "a number",
        FieldKind::Flag => "true or false",
        FieldKind::Date => "a date",
        FieldKind::Id => "an ObjectId",
        FieldKind::Document => "an object",
        FieldKind::List(_) | FieldKind::Documents(_) => "a list",
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
