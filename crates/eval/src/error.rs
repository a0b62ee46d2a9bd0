//! What can go wrong in writing a report, with a stable code and a next step.

use std::path::PathBuf;

/// A report that could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// A file could not be written.
    #[error("could not write {}: {source}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl EvalError {
    /// A stable code for logs and tests.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Write { .. } => "EVAL-WRITE",
        }
    }

    /// What the person can do about it.
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::Write { .. } => {
                "Check that the folder can be written and that the disk is not full, then run it again."
            }
        }
    }
}
