//! How much memory this machine has.

use autograd::trace::bytes;
use tensor::{Error, Result};

/// Fails if this machine has less memory than that: a run would be killed, or crawl. `advice` says what to
/// do.
///
/// # Errors
/// As above.
pub fn check_fits(needed: usize, advice: impl FnOnce() -> String) -> Result<()> {
    match here().filter(|&here| needed > here) {
        None => Ok(()),
        Some(here) => Err(Error::device(format!(
            "{} are needed, this machine has {}: {}",
            bytes(needed),
            bytes(here),
            advice()
        ))),
    }
}

/// Bytes of memory that this process may use, as far as the system tells (Linux): the machine's, or
/// the container's if that has a limit.
fn here() -> Option<usize> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let machine = 1024 * line.trim().trim_end_matches(" kB").parse::<usize>().ok()?;
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limit = |file| std::fs::read_to_string(file).ok()?.trim().parse::<usize>().ok();
    limits.into_iter().filter_map(limit).chain([machine]).min()
}
