//! Proofs that a sender may post: the secret in the path, and the signature of a relay. Both are compared in a time
//! that says nothing about them.

use std::fmt;

use alertcast_core::alert::duplicate::{SecretId, secret_id};
use axum::http::HeaderMap;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq as _};

/// The secrets, as digests: all are of one length, so that a comparison does not tell the secret's.
pub(in crate::http) struct WebhookSecrets(Vec<SecretId>);

impl WebhookSecrets {
    pub(in crate::http) fn new(secrets: &[SecretString]) -> Self {
        Self(secrets.iter().map(|secret| secret_id(secret.expose_secret())).collect())
    }

    /// Which secret was given, if it is one. Compares with every one, whichever fits.
    pub(in crate::http) fn id_of(&self, given: &str) -> Option<SecretId> {
        let given = secret_id(given);
        let is_one = self.0.iter().fold(Choice::from(0), |found, secret| found | secret.ct_eq(&given));
        bool::from(is_one).then_some(given)
    }
}

impl fmt::Debug for WebhookSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

/// The header that carries a signature.
const HEADER: &str = "x-signature";

/// What the signature showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SignatureVerdict {
    /// No key is configured.
    NotAsked,
    /// By the key's holder; the signature in hexadecimal.
    Well(String),
    Badly {
        why: &'static str,
    },
}

/// The key under which requests are signed.
pub(super) struct HmacKey(Option<Hmac<Sha256>>);

impl HmacKey {
    pub(super) fn new(key: &SecretString) -> Self {
        // HMAC takes a key of any length: this is never none.
        Self(Hmac::new_from_slice(key.expose_secret().as_bytes()).ok())
    }

    /// Checks `X-Signature: [sha256=]HEX` against the body.
    pub(super) fn check(&self, headers: &HeaderMap, body: &[u8]) -> SignatureVerdict {
        let Some(header) = headers.get(HEADER) else {
            return SignatureVerdict::Badly {
                why: "X-Signature is missing: it must hold the HMAC-SHA256 of the body under the configured key, in \
                      hexadecimal",
            };
        };
        let text = header.to_str().unwrap_or_default().trim();
        let hexadecimal = text.strip_prefix("sha256=").unwrap_or(text).to_ascii_lowercase();
        let signature = hex::decode(&hexadecimal).unwrap_or_default();
        let fits = self.0.as_ref().is_some_and(|key| key.clone().chain_update(body).verify_slice(&signature).is_ok());
        if fits {
            SignatureVerdict::Well(hexadecimal)
        } else {
            SignatureVerdict::Badly { why: "X-Signature is not the HMAC-SHA256 of this body under the configured key" }
        }
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HmacKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_configured_secret_is_known_and_no_other() {
        let secrets = WebhookSecrets::new(&["first-secret-0123".into(), "second-secret-012".into()]);
        let first = secrets.id_of("first-secret-0123").unwrap();
        assert_ne!(Some(first), secrets.id_of("second-secret-012"));
        for other in ["", "first-secret-012", "first-secret-01234", "FIRST-SECRET-0123"] {
            assert_eq!(secrets.id_of(other), None, "{other}");
        }
        assert_eq!(WebhookSecrets::new(&[]).id_of(""), None);
    }

    #[test]
    fn a_signature_is_the_bodys_under_the_key() {
        // RFC 4231, test case 2.
        let key = HmacKey::new(&"Jefe".into());
        let signature = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let check = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, value.parse().unwrap());
            key.check(&headers, b"what do ya want for nothing?")
        };
        assert_eq!(check(signature), SignatureVerdict::Well(signature.to_owned()));
        assert_eq!(
            check(&format!("sha256={}", signature.to_uppercase())),
            SignatureVerdict::Well(signature.to_owned())
        );
        for wrong in ["", "sha256=", "zz", &signature[..62], &signature.replace('5', "6"), "sha1=00"] {
            assert!(matches!(check(wrong), SignatureVerdict::Badly { .. }), "{wrong}");
        }
        assert!(matches!(key.check(&HeaderMap::new(), b""), SignatureVerdict::Badly { .. }));
    }
}
