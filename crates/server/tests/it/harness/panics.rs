//! A panic in the program's own code fails the test, wherever it was caught.

use std::sync::{Mutex, Once, PoisonError};

static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());
static WATCH: Once = Once::new();

/// Notes panics from now on, beside whatever else is done about them.
pub(crate) fn watch() {
    WATCH.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // The tests' own panics speak for themselves.
            let of_the_program = panic.location().filter(|place| place.file().contains("src/"));
            if let Some(place) = of_the_program.filter(|place| place.file().contains("crates/")) {
                SEEN.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{place}: {panic}"));
            }
            usual(panic);
        }));
    });
}

/// The panics that were noted.
pub(crate) fn seen() -> Vec<String> {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
