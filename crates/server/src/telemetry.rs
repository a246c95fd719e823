//! Logging, to stderr. A failure is logged once, where it is handled. Never a secret, never an address, never what a
//! subscriber's name or messages are: ids name what a line is about.

use std::io::{IsTerminal as _, stderr};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::settings::{LogFormat, LogLevel, LogSettings};

/// The crates of ours all begin so. Of others only warnings are logged: at finer levels an HTTP client logs whole
/// requests, and a bot's token stands in each of its URLs.
const OURS: &str = "alertcast";

/// Begins to log. Later calls change nothing.
pub fn init(settings: &LogSettings) {
    let to_stderr = tracing_subscriber::fmt::layer().with_writer(stderr);
    let layer = match settings.format {
        LogFormat::Text => to_stderr.with_target(false).with_ansi(stderr().is_terminal()).boxed(),
        LogFormat::Json => to_stderr.json().flatten_event(true).with_ansi(false).boxed(),
    };
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter(settings.level))).try_init();
}

/// What is logged at all.
fn filter(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let others = level.min(LevelFilter::WARN);
    Targets::new().with_default(others).with_target(OURS, level)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn others_log_warnings_at_most_whatever_the_level() {
        let filter = filter(LogLevel::Trace);
        assert!(filter.would_enable("alertcast::http", &Level::TRACE));
        assert!(filter.would_enable("alertcast_sqlite", &Level::TRACE));
        assert!(filter.would_enable("hyper", &Level::WARN));
        assert!(!filter.would_enable("hyper_util::client", &Level::INFO));
    }

    #[test]
    fn the_level_bounds_everything() {
        let filter = filter(LogLevel::Error);
        assert!(!filter.would_enable("alertcast", &Level::WARN));
        assert!(!filter.would_enable("hyper", &Level::WARN));
    }
}
