//! What the machine can do at all, measured in the same run: figures are told as ratios to it.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// A run of timed repetitions.
#[derive(Debug, Clone)]
pub(crate) struct Timings {
    /// Sorted.
    each: Vec<Duration>,
    pub(crate) total: Duration,
}

impl Timings {
    /// Timings in any order, and the time that they took together.
    pub(crate) fn new(mut each: Vec<Duration>, total: Duration) -> Self {
        each.sort_unstable();
        Self { each, total }
    }

    /// Repetitions a second.
    pub(crate) fn rate(&self) -> f64 {
        self.each.len() as f64 / self.total.as_secs_f64()
    }

    /// The time within which the given fraction was done.
    pub(crate) fn quantile(&self, fraction: f64) -> Duration {
        let last = self.each.len().saturating_sub(1);
        let index = (last as f64 * fraction).round() as usize;
        self.each.get(index.min(last)).copied().unwrap_or_default()
    }
}

/// Appends 512 bytes and syncs them, again and again: what one durable write costs on this disk.
///
/// # Errors
/// Those of the file.
#[expect(clippy::disallowed_methods, reason = "a measurement is of the machine's own time")]
pub(crate) fn fdatasync(dir: &Path, times: usize) -> anyhow::Result<Timings> {
    let path = dir.join("fdatasync.probe");
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    let block = [0x5a_u8; 512];
    let begun = Instant::now();
    let mut each = Vec::with_capacity(times);
    for _ in 0..times {
        let at = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        each.push(at.elapsed());
    }
    let timings = Timings::new(each, begun.elapsed());
    std::fs::remove_file(path)?;
    Ok(timings)
}

/// The process's memory now, in MiB: `VmRSS` of `/proc/self/status`.
pub(crate) fn resident_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1_024)
}

/// The middle one of some figures.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
