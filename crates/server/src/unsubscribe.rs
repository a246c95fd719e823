//! The link by which a subscriber stops the e-mails without logging in: it holds who they are, signed under a key that
//! the store keeps. Whoever has the link can do no more with it than that.

use std::fmt;

use alertcast_core::id::UserId;
use bson::oid::ObjectId;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use url::Url;

/// The key's name in the store.
pub const KEY: &str = "unsubscribe";
/// What is signed begins so: a signature is good for nothing else.
const PURPOSE: &[u8] = b"alertcast unsubscribe email ";
const ID_BYTES: usize = 12;
/// So much of the signature goes into the link: as good as a key of as many bits against guessing.
const SIGNATURE_BYTES: usize = 16;

/// The key under which links are signed. Cheap to clone.
#[derive(Clone)]
pub struct LinkKey(Option<Hmac<Sha256>>);

impl fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkKey(…)")
    }
}

impl LinkKey {
    /// The links under this key.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        // HMAC takes a key of any length: this is never none.
        Self(Hmac::new_from_slice(&key).ok())
    }

    /// The user's link, below the address at which the program is reached from outside.
    #[must_use]
    pub fn link(&self, public_url: &Url, user: UserId) -> Option<String> {
        let base = public_url.as_str().trim_end_matches('/');
        Some(format!("{base}/unsubscribe/{}", self.token(user)?))
    }

    /// What stands in the user's link.
    #[must_use]
    pub fn token(&self, user: UserId) -> Option<String> {
        let signature = self.new_signature(user)?.finalize().into_bytes();
        Some(hex::encode([user.bytes().as_slice(), &signature[..SIGNATURE_BYTES]].concat()))
    }

    /// Whose link it is, if it is one of ours. Compares in a time that says nothing about the signature.
    #[must_use]
    pub fn user(&self, token: &str) -> Option<UserId> {
        let bytes = hex::decode(token).ok().filter(|bytes| bytes.len() == ID_BYTES + SIGNATURE_BYTES)?;
        let (id, signature) = bytes.split_at(ID_BYTES);
        let user = UserId(ObjectId::from_bytes(id.try_into().ok()?));
        self.new_signature(user)?.verify_truncated_left(signature).ok()?;
        Some(user)
    }

    fn new_signature(&self, user: UserId) -> Option<Hmac<Sha256>> {
        Some(self.0.clone()?.chain_update(PURPOSE).chain_update(user.bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(n: u8) -> UserId {
        UserId(ObjectId::from_bytes([n; 12]))
    }

    #[test]
    fn a_token_names_its_user_under_its_key_only() {
        let key = LinkKey::new([1; 32]);
        let token = key.token(user(7)).unwrap();
        assert_eq!(key.user(&token), Some(user(7)));
        assert_eq!(LinkKey::new([2; 32]).user(&token), None);
        assert_ne!(key.token(user(8)).unwrap()[24..], token[24..]);
    }

    #[test]
    fn no_other_text_is_a_token() {
        let key = LinkKey::new([1; 32]);
        let token = key.token(user(7)).unwrap();
        for at in 0..token.len() {
            let mut other = token.clone().into_bytes();
            other[at] = if other[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(key.user(std::str::from_utf8(&other).unwrap()), None, "digit {at}");
        }
        for other in ["", "00", &token[..24], &token[..54], &format!("{token}00"), "not hexadecimal"] {
            assert_eq!(key.user(other), None, "{other}");
        }
    }

    #[test]
    fn a_link_stands_below_the_public_address() {
        let key = LinkKey::new([1; 32]);
        let token = key.token(user(7)).unwrap();
        for base in ["https://a.example.com", "https://a.example.com/", "https://a.example.com/signals/"] {
            let link = key.link(&base.parse().unwrap(), user(7)).unwrap();
            assert_eq!(link, format!("{}/unsubscribe/{token}", base.trim_end_matches('/')));
        }
        assert!(!format!("{key:?}").contains('1'));
    }
}
