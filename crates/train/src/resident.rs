//! Resident memory of the process, as Linux tells it.

/// Its high-water mark in bytes.
pub fn peak_bytes() -> Option<u64> {
    status("VmHWM:")
}

/// What it is now, in bytes.
pub fn resident_bytes() -> Option<u64> {
    status("VmRSS:")
}

fn status(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kibibytes * 1024)
}
