//! A program's key to the API: the `api_tokens` document. The token itself is shown once and kept nowhere; what is kept
//! is its digest, by which it is found.

use std::fmt;

use bson::oid::ObjectId;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::id::AdminId;
use crate::time::Time;

/// What every token begins with, so that a token left lying about is recognised.
pub const TOKEN_PREFIX: &str = "act_";
/// Random bytes in a token: too many for its digest to need a salt or a slow hash.
pub const TOKEN_BYTES: usize = 32;

/// A token as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiToken {
    #[serde(rename = "_id")]
    pub id: ObjectId,
    /// Whose permissions it has.
    pub admin_id: AdminId,
    /// Unique.
    pub digest: TokenDigest,
    /// What it is for, in its maker's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    pub created_at: Time,
}

/// SHA-256 of a token, in hexadecimal digits. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenDigest(pub String);

impl TokenDigest {
    /// The digest of a token's text.
    pub fn of(token: &str) -> Self {
        Self(hex(&Sha256::digest(token.as_bytes())))
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(…)")
    }
}

/// The text of a token of these random bytes.
pub fn token_text(random: [u8; TOKEN_BYTES]) -> String {
    format!("{TOKEN_PREFIX}{}", hex(&random))
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_by_its_digest_and_shows_neither() {
        let token = token_text([0xa5; TOKEN_BYTES]);
        assert_eq!(token.len(), TOKEN_PREFIX.len() + 64);
        let digest = TokenDigest::of(&token);
        assert_eq!(digest, TokenDigest::of(&token));
        assert_ne!(digest, TokenDigest::of(&token_text([0xa6; TOKEN_BYTES])));
        assert_eq!(format!("{digest:?}"), "TokenDigest(…)");
    }
}
