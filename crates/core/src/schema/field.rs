//! One row of the table: what is declared of a field.

use bson::Bson;
use serde::{Deserialize, Serialize};

use crate::market::words;

/// A field of a document.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FieldDeclaration {
    /// Its dotted path in the store; of an object in a list, its path within that.
    pub path: &'static str,
    pub kind: FieldKind,
    pub presence: FieldPresence,
    /// What the store holds it to, whoever writes, beyond its type.
    pub rule: StoreRule,
    pub weight: FieldWeight,
    pub writer: FieldWriter,
    pub disclosure: FieldDisclosure,
    /// What it is, as the API describes it: a sentence.
    pub description: &'static str,
    /// What its number counts.
    pub unit: Option<FieldUnit>,
    /// How it may look.
    pub example: Option<&'static str>,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FieldKind {
    /// Text. Who gives it gives more than blanks.
    Text,
    /// The same, where case does not count: it is kept in small letters.
    LowercaseText,
    /// The same of an instrument: it is kept in capitals.
    Symbol,
    /// Text that may be given as a whole number: a name that is one, as Telegram's are.
    NumberName,
    /// An e-mail address, in small letters: see [`EMAIL_PATTERN`].
    Email,
    /// A currency by its three letters.
    Currency,
    /// A time zone by its IANA name.
    TimeZone,
    /// One of these.
    Word(&'static [&'static str]),
    /// A whole number from `min` to `max`, both included. Others may have written any number.
    Whole {
        min: i64,
        max: i64,
    },
    Number(NumberRange),
    Flag,
    /// A moment, to the millisecond.
    Date,
    Id,
    /// The level that the fields whose paths begin with this one stand in. What is declared of it holds of all of them.
    Object,
    /// An object of others, which is not interpreted.
    Document,
    /// Whatever others put there.
    Anything,
    List(&'static Self),
    /// A list of objects with these fields.
    Documents(&'static [FieldDeclaration]),
}

/// Which numbers may be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberRange {
    Any,
    NotNegative,
    Positive,
}

/// Whether a field must be there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FieldPresence {
    /// Whoever makes the document must give it.
    Required,
    /// It may be absent, or null (as Mongoose has it), and has its default then.
    Defaulted(FieldDefault),
    /// Every document of ours has it, without a default; others may leave it out.
    Expected,
    /// It may be absent, or null.
    Optional,
}

/// What a field is that is not there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FieldDefault {
    Flag(bool),
    Whole(i64),
    Number(f64),
    Text(&'static str),
    EmptyList,
    /// The moment at which the document was made. Who writes it puts it there: it cannot be told from the field alone.
    WhenMade,
}

impl FieldDefault {
    /// The value; none of what depends on the document.
    pub fn value(self) -> Option<Bson> {
        Some(match self {
            Self::Flag(flag) => Bson::Boolean(flag),
            Self::Whole(number) => Bson::Int64(number),
            Self::Number(number) => Bson::Double(number),
            Self::Text(text) => Bson::String(text.to_owned()),
            Self::EmptyList => Bson::Array(Vec::new()),
            Self::WhenMade => return None,
        })
    }
}

/// What the store holds a field to beyond its type, whoever writes (seed 2 and 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreRule {
    TypeAlone,
    /// Text that is not empty.
    Filled,
    /// Text that fits [`EMAIL_PATTERN`].
    EmailPattern,
    AtLeast(i32),
    /// From one to the other, both included.
    Within(i32, i32),
}

/// The pattern of an e-mail address (seed 7.1).
pub const EMAIL_PATTERN: &str = r"^[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}$";

/// What it means for alerts that a field cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldWeight {
    /// Nothing is to rest on a guess: entries are held back.
    Decides,
    /// Something else stands in for it, and nothing is held back.
    Told,
}

/// Who may write a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldWriter {
    /// Operators, and programs in their name.
    Operator,
    /// Alertcast keeps it; others read it.
    Alertcast,
    /// Alertcast keeps it, and an operator may take it away.
    AlertcastUntilCleared,
    /// It is written with the document, as a record of what happened, and by nobody by hand.
    Nobody,
}

/// Who sees a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldDisclosure {
    /// Whoever may see the document.
    Shown,
    /// The same, but it is long, and left out of lists.
    ShownAlone,
    /// Nobody: it is taken in and never given out.
    Secret,
    /// Nobody: it serves Alertcast alone.
    Internal,
}

words! {
    /// What a number counts.
    FieldUnit {
        Percent = "percent",
        Fraction = "fraction",
        Milliseconds = "milliseconds",
        Months = "calendar months",
        Days = "days",
        AlertsADay = "alerts per day",
        MainUnit = "main unit of the currency",
    }
}

/// What the store wants a field to hold: its kind without what only those must keep to who give it by hand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StoredKind {
    Text,
    /// Text that is not empty.
    Name,
    Email,
    /// One of these.
    Word(&'static [&'static str]),
    /// Any BSON number, as JavaScript writes them.
    Number,
    AtLeast(i32),
    /// A number from one to another, both included.
    Within(i32, i32),
    Flag,
    Date,
    Id,
    Document,
    List(&'static FieldKind),
    /// A list of documents with these fields.
    Documents(&'static [FieldDeclaration]),
}

impl FieldKind {
    /// What the store wants to be there.
    pub const fn stored(self, rule: StoreRule) -> StoredKind {
        match (self, rule) {
            (Self::Whole { .. } | Self::Number(_), StoreRule::AtLeast(min)) => StoredKind::AtLeast(min),
            (Self::Whole { .. } | Self::Number(_), StoreRule::Within(min, max)) => StoredKind::Within(min, max),
            (Self::Whole { .. } | Self::Number(_), _) => StoredKind::Number,
            (Self::Word(words), _) => StoredKind::Word(words),
            (Self::Flag, _) => StoredKind::Flag,
            (Self::Date, _) => StoredKind::Date,
            (Self::Id, _) => StoredKind::Id,
            (Self::Object | Self::Document | Self::Anything, _) => StoredKind::Document,
            (Self::List(kind), _) => StoredKind::List(kind),
            (Self::Documents(fields), _) => StoredKind::Documents(fields),
            (_, StoreRule::Filled) => StoredKind::Name,
            (_, StoreRule::EmailPattern) => StoredKind::Email,
            (_, _) => StoredKind::Text,
        }
    }
}

impl FieldDeclaration {
    /// What the store wants to be there.
    pub const fn stored_kind(&self) -> StoredKind {
        self.kind.stored(self.rule)
    }

    /// Its name within the object that it stands in.
    pub fn name(&self) -> &'static str {
        self.path.rsplit_once('.').map_or(self.path, |(_, name)| name)
    }

    /// Whether it stands within the object at that path.
    pub fn is_within(&self, object: &str) -> bool {
        self.path.strip_prefix(object).is_some_and(|rest| rest.starts_with('.'))
    }

    /// Whether it must be given.
    pub const fn is_required(&self) -> bool {
        matches!(self.presence, FieldPresence::Required)
    }

    /// Whether Alertcast keeps it, and nobody gives it.
    pub const fn is_kept(&self) -> bool {
        matches!(self.writer, FieldWriter::Alertcast | FieldWriter::AlertcastUntilCleared)
    }

    /// Whether others may take away what Alertcast keeps.
    pub const fn is_clearable(&self) -> bool {
        matches!(self.writer, FieldWriter::AlertcastUntilCleared)
    }

    /// Whether it is taken in and never given out.
    pub const fn is_secret(&self) -> bool {
        matches!(self.disclosure, FieldDisclosure::Secret)
    }

    /// Whether others know of it at all.
    pub const fn is_internal(&self) -> bool {
        matches!(self.disclosure, FieldDisclosure::Internal)
    }
}

/// A field that must be given.
pub const fn required(path: &'static str, kind: FieldKind, description: &'static str) -> FieldDeclaration {
    FieldDeclaration {
        path,
        kind,
        presence: FieldPresence::Required,
        rule: StoreRule::TypeAlone,
        weight: FieldWeight::Decides,
        writer: FieldWriter::Operator,
        disclosure: FieldDisclosure::Shown,
        description,
        unit: None,
        example: None,
    }
}

/// A field with a default.
pub const fn defaulted(
    path: &'static str,
    kind: FieldKind,
    default: FieldDefault,
    description: &'static str,
) -> FieldDeclaration {
    FieldDeclaration { presence: FieldPresence::Defaulted(default), ..required(path, kind, description) }
}

/// A field that every document of ours has.
pub const fn expected(path: &'static str, kind: FieldKind, description: &'static str) -> FieldDeclaration {
    FieldDeclaration { presence: FieldPresence::Expected, ..required(path, kind, description) }
}

/// A field that may be absent.
pub const fn optional(path: &'static str, kind: FieldKind, description: &'static str) -> FieldDeclaration {
    FieldDeclaration { presence: FieldPresence::Optional, ..required(path, kind, description) }
}

/// A field of which only Alertcast knows.
pub(super) const fn internal(path: &'static str, kind: FieldKind, description: &'static str) -> FieldDeclaration {
    let field = optional(path, kind, description).kept();
    FieldDeclaration { disclosure: FieldDisclosure::Internal, ..field }
}

/// The level that other fields stand in.
pub(super) const fn object(path: &'static str, description: &'static str) -> FieldDeclaration {
    expected(path, FieldKind::Object, description)
}

/// Of a document that tells what happened: nobody gives its fields by hand.
pub(super) const fn recorded<const N: usize>(mut fields: [FieldDeclaration; N]) -> [FieldDeclaration; N] {
    let mut at = 0;
    while at < N {
        if matches!(fields[at].writer, FieldWriter::Operator) {
            fields[at].writer = FieldWriter::Nobody;
        }
        at += 1;
    }
    fields
}

impl FieldDeclaration {
    /// How it may look.
    pub const fn like(self, example: &'static str) -> Self {
        Self { example: Some(example), ..self }
    }

    pub(super) const fn held_to(self, rule: StoreRule) -> Self {
        Self { rule, ..self }
    }

    pub(super) const fn told(self) -> Self {
        Self { weight: FieldWeight::Told, ..self }
    }

    pub(super) const fn kept(self) -> Self {
        Self { writer: FieldWriter::Alertcast, ..self }
    }

    pub(super) const fn clearable(self) -> Self {
        Self { writer: FieldWriter::AlertcastUntilCleared, ..self }
    }

    pub(super) const fn secret(self) -> Self {
        Self { disclosure: FieldDisclosure::Secret, ..self }
    }

    pub(super) const fn shown_alone(self) -> Self {
        Self { disclosure: FieldDisclosure::ShownAlone, ..self }
    }

    pub(super) const fn counts(self, unit: FieldUnit) -> Self {
        Self { unit: Some(unit), ..self }
    }
}

/// A number of things.
pub const COUNT: FieldKind = FieldKind::Whole { min: 0, max: i64::MAX };
/// A whole number, whatever its sign.
pub const ANY_WHOLE: FieldKind = FieldKind::Whole { min: i64::MIN, max: i64::MAX };
/// Money, or another number that is not below zero.
pub const AMOUNT: FieldKind = FieldKind::Number(NumberRange::NotNegative);
/// Any number.
pub const ANY_NUMBER: FieldKind = FieldKind::Number(NumberRange::Any);
/// A number above zero.
pub const PRICE: FieldKind = FieldKind::Number(NumberRange::Positive);
