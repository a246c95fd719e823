//! Lets a test make this process die at a failpoint, as hard as a power cut: no destructor runs, nothing is flushed. Or
//! fail there, as the crate `fail` spells it.
//!
//! Only in builds with the feature `failpoints`, which only tests switch on.

use std::sync::atomic::{AtomicU32, Ordering};

/// The variable: a failpoint's name, and after an `@` which time it is passed (without: the first), to die there; or
/// `NAME=ACTIONS`.
pub const VARIABLE: &str = "ALERTCAST_TEST_FAILPOINT";

/// Sets the failpoint that the environment names.
///
/// # Errors
/// The variable does not have that form.
pub fn arm_from_environment() -> anyhow::Result<()> {
    let Ok(wish) = std::env::var(VARIABLE) else { return Ok(()) };
    if let Some((name, actions)) = wish.split_once('=') {
        return fail::cfg(name, actions).map_err(anyhow::Error::msg);
    }
    let (name, time) = wish.split_once('@').unwrap_or((&wish, "1"));
    let time: u32 = time.parse()?;
    let passed = AtomicU32::new(0);
    let pass = move || {
        if passed.fetch_add(1, Ordering::SeqCst) + 1 == time {
            std::process::abort();
        }
    };
    fail::cfg_callback(name, pass).map_err(anyhow::Error::msg)
}
