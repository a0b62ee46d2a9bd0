//! What the process holds in memory and has had of the processor, as Linux tells it.

pub use medsam3_train::resident::{peak_bytes, resident_bytes};

/// Seconds that all threads of the process have had a processor, in steps of 1/100 s.
pub fn processor_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the program's name in brackets: user and system time are the 12th and 13th fields, in hundredths.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<f64>().ok();
    Some((next()? + next()?) / 100.0)
}

/// Makes a write beyond the limit on the size of files (`ulimit -f`) an error of that write, as on a full disk, instead of the
/// end of the program.
pub fn survive_file_limits() {
    #[cfg(unix)]
    {
        // A handler that only sets a flag; where it cannot be installed the program is as it was.
        let flag = std::sync::Arc::default();
        signal_hook::flag::register(signal_hook::consts::SIGXFSZ, flag).ok();
    }
}
