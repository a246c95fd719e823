//! Documents whose content is somebody else's: a payload, say, or what an act has changed. They are kept as they came.
//!
//! serde's own way for a [`Document`] takes `{"$date": …}`, `{"$oid": …}` and the other names of extended JSON, at any
//! depth, for values of those types, and fails where they are none. So every field of that type is declared
//! `#[serde(with = "verbatim")]` (or `verbatim::option`), and everything else that reads or writes documents goes by
//! bytes: see [`crate::reading`]. The functions that would interpret are forbidden by `clippy.toml`.

use bson::{Document, RawDocument};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// As serde serializes it, which is exact where the target is BSON's bytes.
pub(crate) fn serialize<S: Serializer>(document: &Document, serializer: S) -> Result<S::Ok, S::Error> {
    document.serialize(serializer)
}

/// The document as it stands in the bytes that are read.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Document, D::Error> {
    Document::try_from(<&RawDocument>::deserialize(deserializer)?).map_err(de::Error::custom)
}

/// The same, where there may be none.
pub(crate) mod option {
    use super::{Deserialize, Deserializer, Document, RawDocument, Serialize, Serializer, de};

    pub(crate) fn serialize<S: Serializer>(document: &Option<Document>, serializer: S) -> Result<S::Ok, S::Error> {
        document.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Document>, D::Error> {
        let raw = Option::<&RawDocument>::deserialize(deserializer)?;
        raw.map(Document::try_from).transpose().map_err(de::Error::custom)
    }
}
