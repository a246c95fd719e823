//! What the machine can do at all, measured in the same run: figures are told as ratios to it.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

/// A run of timed repetitions.
#[derive(Debug, Clone)]
pub(crate) struct ProbeTimings {
    /// Sorted.
    each: Vec<Duration>,
    pub(crate) total: Duration,
}

impl ProbeTimings {
    /// Timings in any order, and the time that they took together.
    pub(crate) fn new(mut each: Vec<Duration>, total: Duration) -> Self {
        each.sort_unstable();
        Self { each, total }
    }

    /// How many there were.
    pub(crate) const fn count(&self) -> usize {
        self.each.len()
    }

    /// Repetitions a second.
    pub(crate) fn rate(&self) -> f64 {
        self.each.len() as f64 / self.total.as_secs_f64()
    }

    /// The time within which the given fraction was done, in ms.
    pub(crate) fn quantile_ms(&self, fraction: f64) -> f64 {
        let last = self.each.len().saturating_sub(1);
        let index = (last as f64 * fraction).round() as usize;
        self.each.get(index.min(last)).copied().unwrap_or_default().as_secs_f64() * 1e3
    }
}

/// 64 hexadecimal digits, of another kind for each number.
pub(crate) fn digest(number: usize) -> String {
    hex::encode(Sha256::digest(number.to_be_bytes()))
}

/// Now, by the machine's clock.
#[expect(clippy::disallowed_methods, reason = "a measurement is of the machine's own time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Appends 512 bytes and syncs them, again and again: what one durable write costs on this disk.
///
/// # Errors
/// Those of the file.
pub(crate) fn fdatasync(dir: &Path, times: usize) -> anyhow::Result<ProbeTimings> {
    let path = dir.join("fdatasync.probe");
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    let block = [0x5a_u8; 512];
    let begun = now();
    let mut each = Vec::with_capacity(times);
    for _ in 0..times {
        let at = now();
        file.write_all(&block)?;
        file.sync_data()?;
        each.push(at.elapsed());
    }
    let timings = ProbeTimings::new(each, begun.elapsed());
    std::fs::remove_file(path)?;
    Ok(timings)
}

/// The middle one of some figures.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
