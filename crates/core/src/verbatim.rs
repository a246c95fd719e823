//! Documents whose content is somebody else's: a payload, say, or what an act has changed. They are kept as they came.
//!
//! serde's own way for a [`Document`] takes `{"$date": …}`, `{"$oid": …}` and the other names of extended JSON, at any
//! depth, for values of those types, and fails where they are none. So every field of that type is declared
//! `#[serde(with = "verbatim")]` (or `verbatim::option`), and everything else that reads or writes documents goes by
//! bytes: see [`crate::reading`]. The functions that would interpret are forbidden by `clippy.toml`.

use std::fmt;

use bson::{Document, RawDocument};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::reading::OBJECT;

/// As serde serializes it, which is exact where the target is BSON's bytes.
pub(crate) fn serialize<S: Serializer>(document: &Document, serializer: S) -> Result<S::Ok, S::Error> {
    document.serialize(serializer)
}

/// The document as it stands in the bytes that are read.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Document, D::Error> {
    Ok(VerbatimDocument::deserialize(deserializer)?.0)
}

struct VerbatimDocument(Document);

impl<'de> Deserialize<'de> for VerbatimDocument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(OBJECT, ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = VerbatimDocument;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<VerbatimDocument, E> {
        RawDocument::from_bytes(bytes).and_then(Document::try_from).map(VerbatimDocument).map_err(E::custom)
    }

    /// From any other reader than ours.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<VerbatimDocument, D::Error> {
        Document::try_from(<&RawDocument>::deserialize(deserializer)?).map(VerbatimDocument).map_err(de::Error::custom)
    }
}

/// The same, where there may be none.
pub(crate) mod option {
    use super::{Deserialize, Deserializer, Document, Serialize, Serializer, VerbatimDocument};

    pub(crate) fn serialize<S: Serializer>(document: &Option<Document>, serializer: S) -> Result<S::Ok, S::Error> {
        document.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Document>, D::Error> {
        Ok(Option::<VerbatimDocument>::deserialize(deserializer)?.map(|VerbatimDocument(document)| document))
    }
}
