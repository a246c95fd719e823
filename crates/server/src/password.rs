//! Administrators' passwords: what one must be, and its hash.

use alertcast_core::admin::PasswordHash;
use secrecy::{ExposeSecret as _, SecretString};

/// Above the 10 of the seed's example: some tenths of a second for each log-in.
const BCRYPT_COST: u32 = 12;
/// bcrypt reads no more.
pub(crate) const BYTES_MAX: usize = 72;
pub(crate) const CHARS_MIN: usize = 12;

/// Whether a password may be one.
///
/// # Errors
/// What is wrong with it, without repeating it.
pub(crate) fn check(text: &SecretString) -> Result<(), String> {
    let text = text.expose_secret();
    let chars = text.chars().count();
    if text.contains('\0') {
        return Err("has a character in it that ends texts (NUL)".to_owned());
    }
    if chars < CHARS_MIN || text.len() > BYTES_MAX {
        return Err(format!("has {chars} characters; use {CHARS_MIN} characters to {BYTES_MAX} bytes"));
    }
    Ok(())
}

/// Its hash. This takes some tenths of a second of work: not on a thread that others wait for.
///
/// # Errors
/// The machine has no random numbers.
pub(crate) fn hash(text: &SecretString) -> Result<PasswordHash, bcrypt::BcryptError> {
    bcrypt::hash(text.expose_secret(), BCRYPT_COST).map(PasswordHash)
}
