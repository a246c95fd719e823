//! BSON's bytes as a value of a type, by serde.
//!
//! bson's own reader hands what is in a document to its type in ten ways, for dates, ids and so on, and the compiler makes
//! the reading of every type once for each: a third of the program. Here there is one way for objects and one for lists.
//! It is stricter too: a structure is read from an object alone, never from a list by its places, nor from a date.

use std::fmt;

use bson::raw::{RawElement, RawIter};
use bson::spec::{BinarySubtype, ElementType};
use bson::{RawBsonRef, RawDocument};
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Unexpected, Visitor};

/// Why bytes are not of the type wanted.
#[derive(Debug)]
pub struct DecodeFailure(Box<str>);

impl fmt::Display for DecodeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DecodeFailure {}

impl de::Error for DecodeFailure {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string().into())
    }
}

impl From<bson::error::Error> for DecodeFailure {
    fn from(error: bson::error::Error) -> Self {
        de::Error::custom(error)
    }
}

/// Reads a document's bytes as the type that they are as they stand.
///
/// # Errors
/// They are not.
pub fn decode<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, DecodeFailure> {
    let document = RawDocument::from_bytes(bytes)?;
    T::deserialize(ValueReader { value: RawBsonRef::Document(document), is_unwrapped: false })
}

/// The name under which a type asks for a date: its milliseconds.
pub(crate) const DATE: &str = "alertcast date";
/// The name under which a type asks for a number of any kind; the sixteen bytes of a decimal.
pub(crate) const NUMBER: &str = "alertcast number";
/// The name under which a type asks for an object's bytes.
pub(crate) const OBJECT: &str = "alertcast object";

#[derive(Clone, Copy)]
struct ValueReader<'de> {
    value: RawBsonRef<'de>,
    /// It has been taken out of the object that serde is given for values that it has no form for.
    is_unwrapped: bool,
}

impl<'de> ValueReader<'de> {
    fn of(element: &RawElement<'de>) -> Result<Self, DecodeFailure> {
        Ok(Self { value: element.value()?, is_unwrapped: false })
    }

    /// A value that is neither an object nor a list.
    fn read_scalar<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeFailure> {
        match self.value {
            RawBsonRef::String(text) => visitor.visit_borrowed_str(text),
            RawBsonRef::Boolean(flag) => visitor.visit_bool(flag),
            RawBsonRef::Binary(binary) if binary.subtype == BinarySubtype::Generic => {
                visitor.visit_borrowed_bytes(binary.bytes)
            }
            RawBsonRef::Null => visitor.visit_unit(),
            RawBsonRef::ObjectId(id) if self.is_unwrapped => visitor.visit_bytes(&id.bytes()),
            _ => self.read_number(visitor),
        }
    }

    /// Text, which serde would make of binary data too.
    fn read_text<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeFailure> {
        match self.value {
            RawBsonRef::String(text) => visitor.visit_borrowed_str(text),
            _ => Err(self.unfit(&visitor)),
        }
    }

    fn read_number<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeFailure> {
        match self.value {
            RawBsonRef::Double(number) => visitor.visit_f64(number),
            RawBsonRef::Int32(number) => visitor.visit_i32(number),
            RawBsonRef::Int64(number) => visitor.visit_i64(number),
            RawBsonRef::DateTime(at) if self.is_unwrapped => visitor.visit_i64(at.timestamp_millis()),
            RawBsonRef::Decimal128(number) if self.is_unwrapped => visitor.visit_bytes(&number.bytes()),
            _ => Err(self.unfit(&visitor)),
        }
    }

    fn unfit(&self, wanted: &dyn de::Expected) -> DecodeFailure {
        unfit(self.value.element_type(), wanted)
    }
}

#[cold]
fn unfit(found: ElementType, wanted: &dyn de::Expected) -> DecodeFailure {
    de::Error::invalid_type(Unexpected::Other(super::mending::type_name(found)), wanted)
}

/// The name of the only field of the object that serde is given for a value that it has no form for. It is bson's name,
/// by which bson's types read theirs.
const fn wrapping(value: &RawBsonRef<'_>) -> Option<&'static str> {
    match value {
        RawBsonRef::ObjectId(_) => Some("$oid"),
        RawBsonRef::DateTime(_) => Some("$date"),
        RawBsonRef::Decimal128(_) => Some("$numberDecimalBytes"),
        _ => None,
    }
}

/// What is neither an object nor a list, nor asked for by a name of ours.
macro_rules! plain_values {
    ($($method:ident => $read:ident),+ $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeFailure> {
            self.$read(visitor)
        }
    )+};
}

impl<'de> Deserializer<'de> for ValueReader<'de> {
    type Error = DecodeFailure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeFailure> {
        match (self.value, wrapping(&self.value)) {
            (RawBsonRef::Document(document), _) => visitor.visit_map(FieldReader::Of(document.iter_elements(), None)),
            (RawBsonRef::Array(array), _) => visitor.visit_seq(ItemReader(array.iter_elements())),
            (value, Some(name)) if !self.is_unwrapped => visitor.visit_map(FieldReader::Wrapped(Some(name), value)),
            _ => self.read_scalar(visitor),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeFailure> {
        match self.value {
            RawBsonRef::Document(document) => visitor.visit_map(FieldReader::Of(document.iter_elements(), None)),
            _ => Err(self.unfit(&visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        #[cfg_attr(not(test), expect(unused_variables, reason = "a test holds them against what is declared"))]
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeFailure> {
        #[cfg(test)]
        crate::schema::tests::note_asked(fields);
        self.deserialize_map(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeFailure> {
        match self.value {
            RawBsonRef::Array(array) => visitor.visit_seq(ItemReader(array.iter_elements())),
            _ => Err(self.unfit(&visitor)),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, DecodeFailure> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeFailure> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeFailure> {
        match self.value {
            RawBsonRef::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    /// A word; no enumeration of ours is spelt as an object that names its variant.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeFailure> {
        match self.value {
            RawBsonRef::String(text) => visitor.visit_enum(BorrowedStrDeserializer::new(text)),
            _ => Err(self.unfit(&visitor)),
        }
    }

    /// bson's ids ask so for theirs.
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeFailure> {
        match self.value {
            RawBsonRef::ObjectId(id) => visitor.visit_bytes(&id.bytes()),
            _ if self.is_unwrapped => self.read_scalar(visitor),
            _ => Err(self.unfit(&visitor)),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeFailure> {
        match (name, self.value) {
            (DATE, RawBsonRef::DateTime(at)) => visitor.visit_i64(at.timestamp_millis()),
            (NUMBER, RawBsonRef::Decimal128(number)) => visitor.visit_bytes(&number.bytes()),
            (NUMBER, _) => self.read_number(visitor),
            (OBJECT, RawBsonRef::Document(document)) => visitor.visit_borrowed_bytes(document.as_bytes()),
            (DATE | OBJECT, _) => Err(self.unfit(&visitor)),
            // bson's raw types ask so for bytes. Without them they would interpret what is in an object.
            _ if name.starts_with('$') => Err(de::Error::custom("raw values are not read")),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, DecodeFailure> {
        self.read_scalar(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeFailure> {
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    plain_values! {
        deserialize_bool => read_scalar,
        deserialize_i8 => read_number,
        deserialize_i16 => read_number,
        deserialize_i32 => read_number,
        deserialize_i64 => read_number,
        deserialize_u8 => read_number,
        deserialize_u16 => read_number,
        deserialize_u32 => read_number,
        deserialize_u64 => read_number,
        deserialize_f32 => read_number,
        deserialize_f64 => read_number,
        deserialize_char => read_text,
        deserialize_str => read_text,
        deserialize_string => read_text,
        deserialize_identifier => read_text,
        deserialize_byte_buf => read_scalar,
        deserialize_unit => read_scalar,
    }
}

/// The fields of an object, one after another.
enum FieldReader<'de> {
    /// With the one whose name was told last.
    Of(RawIter<'de>, Option<RawElement<'de>>),
    /// A value that serde has no form for, as an object with one field, of this name as long as it was not told.
    Wrapped(Option<&'static str>, RawBsonRef<'de>),
}

impl<'de> FieldReader<'de> {
    fn next_name(&mut self) -> Result<Option<&'de str>, DecodeFailure> {
        match self {
            Self::Of(fields, told) => {
                *told = fields.next().transpose()?;
                Ok(told.as_ref().map(|field| field.key().as_str()))
            }
            Self::Wrapped(name, _) => Ok(name.take()),
        }
    }

    fn value(&self) -> Result<ValueReader<'de>, DecodeFailure> {
        match self {
            Self::Of(_, Some(field)) => ValueReader::of(field),
            Self::Of(_, None) => Err(de::Error::custom("a value without its name")),
            Self::Wrapped(_, value) => Ok(ValueReader { value: *value, is_unwrapped: true }),
        }
    }
}

impl<'de> MapAccess<'de> for FieldReader<'de> {
    type Error = DecodeFailure;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DecodeFailure> {
        let name = self.next_name()?;
        name.map(|name| seed.deserialize(BorrowedStrDeserializer::new(name))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DecodeFailure> {
        seed.deserialize(self.value()?)
    }
}

/// The items of a list, one after another.
struct ItemReader<'de>(RawIter<'de>);

impl<'de> SeqAccess<'de> for ItemReader<'de> {
    type Error = DecodeFailure;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, DecodeFailure> {
        let item = self.0.next().transpose()?;
        item.map(|item| seed.deserialize(ValueReader::of(&item)?)).transpose()
    }
}

#[cfg(test)]
mod tests;
