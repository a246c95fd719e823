//! What the machine gives: open files and memory.

use rustix::process::{Resource, getrlimit};

use super::DoctorFinding;

/// Connections at once, the store's files, the bots' connections, and some room.
const FILES_MIN: u64 = 1_024;
/// The audience of a hundred thousand subscribers, and the store's caches.
const MEMORY_MIN: u64 = 256 << 20;

pub(super) fn look() -> Vec<DoctorFinding> {
    std::iter::once(files()).chain(memory()).collect()
}

fn files() -> DoctorFinding {
    match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < FILES_MIN => DoctorFinding::attention(
            format!("A process may have {limit} open files: with many connections at once some would be refused"),
            "raise it: `ulimit -n 4096`, or LimitNOFILE=4096 in the systemd unit",
        ),
        Some(limit) => DoctorFinding::good(format!("A process may have {limit} open files")),
        None => DoctorFinding::good("A process may have any number of open files"),
    }
}

/// What is left of the machine's memory, or of the container's. Nothing is said where it cannot be read.
fn memory() -> Option<DoctorFinding> {
    let left = [of_machine(), of_container()].into_iter().flatten().min()?;
    let shown = super::data::size(left);
    Some(if left < MEMORY_MIN {
        DoctorFinding::attention(
            format!("{shown} of memory are free"),
            "stop what else runs here, or give the machine or container more: 512 MiB are plenty",
        )
    } else {
        DoctorFinding::good(format!("{shown} of memory are free"))
    })
}

fn of_machine() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

fn of_container() -> Option<u64> {
    let number =
        |name: &str| std::fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?.trim().parse::<u64>().ok();
    Some(number("memory.max")?.saturating_sub(number("memory.current")?))
}
