//! A program's key to the API: the `api_tokens` document. The token itself is shown once and kept nowhere; what is kept
//! is its digest, by which it is found.

use std::fmt;
use std::time::Duration;

use bson::oid::ObjectId;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::admin::{Admin, AdminStatus};
use crate::id::AdminId;
use crate::market::words;
use crate::time::Time;

/// What every token begins with, so that a token left lying about is recognised.
pub const TOKEN_PREFIX: &str = "act_";
/// Random bytes in a token: too many for its digest to need a salt or a slow hash.
pub const TOKEN_BYTES: usize = 32;

/// How many days a token lasts where nobody asks for another number.
pub const TOKEN_DAYS: u32 = 90;

/// The end of a token that is to last so many days from a moment.
pub fn token_end(from: Time, days: u32) -> Time {
    from + Duration::from_secs(24 * 60 * 60) * days
}

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
    /// None only of one that was made before every token had an end, until it is given one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    pub created_at: Time,
}

words! {
    /// Why a token that is kept opens nothing.
    TokenEnd {
        Expired = "expired_token",
        /// Its administrator's password was changed after it was made.
        PasswordChanged = "password_changed",
        /// Its administrator is not active.
        Inactive = "inactive_administrator",
    }
}

impl ApiToken {
    /// Why it opens nothing; none where it does.
    pub fn find_end(&self, admin: &Admin, now: Time) -> Option<TokenEnd> {
        if self.expires_at.is_some_and(|end| end <= now) {
            return Some(TokenEnd::Expired);
        }
        if admin.security.password_changed_at.is_some_and(|changed| self.created_at < changed) {
            return Some(TokenEnd::PasswordChanged);
        }
        (admin.status != AdminStatus::Active).then_some(TokenEnd::Inactive)
    }
}

/// SHA-256 of a token, in hexadecimal digits. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenDigest(pub String);

impl TokenDigest {
    /// The digest of a token's text.
    pub fn of(token: &str) -> Self {
        Self(hex::encode(Sha256::digest(token.as_bytes())))
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(…)")
    }
}

/// The text of a token of these random bytes.
pub fn token_text(random: [u8; TOKEN_BYTES]) -> String {
    format!("{TOKEN_PREFIX}{}", hex::encode(random))
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
