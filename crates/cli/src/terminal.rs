//! Standard output and standard error, either of which may be closed or full while the program still works. The
//! macros of the standard library end the program with a panic then; these give an error or go on.

use std::fmt;
use std::io::{self, Write as _};

use serde::Serialize;

/// Standard output cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum StdoutError {
    /// As with `| head`: what was wanted was read, and the rest is not missed.
    #[error("standard output was closed by its reader")]
    Closed,
    /// As on a full disk.
    #[error("could not write to standard output: {0}")]
    Failed(io::Error),
}

impl StdoutError {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        "STDOUT"
    }

    /// What to do.
    pub fn next_step(&self) -> &'static str {
        "Free space where the output goes, or send it somewhere else."
    }
}

impl From<io::Error> for StdoutError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::Closed
        } else {
            Self::Failed(error)
        }
    }
}

/// Writes to standard output.
pub fn write(text: fmt::Arguments<'_>) -> Result<(), StdoutError> {
    let mut out = io::stdout().lock();
    out.write_fmt(text).and_then(|()| out.flush())?;
    Ok(())
}

/// Writes a value as one line of JSON.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string(value)?;
    Ok(write(format_args!("{text}\n"))?)
}

/// Writes a line to standard error. Where that is closed there is nobody left to tell.
pub fn write_note(text: fmt::Arguments<'_>) {
    let _ = io::stderr().lock().write_fmt(format_args!("{text}\n"));
}

/// `println!` as an expression with an error.
macro_rules! say {
    ($($arguments:tt)*) => {
        $crate::terminal::write(format_args!("{}\n", format_args!($($arguments)*)))
    };
}

/// `eprintln!` that cannot panic.
macro_rules! note {
    ($($arguments:tt)*) => {
        $crate::terminal::write_note(format_args!($($arguments)*))
    };
}
