//! A failure for people and for machines: its code, what happened, what to do. Bad usage exits with 2, a signal with
//! 128 and its number, a reader who closed standard output with 141 as if by SIGPIPE, the rest with 1.

use medsam3_corpus::CorpusError;
use medsam3_corpus::import::ImportError;
use medsam3_engine::EngineError;
use medsam3_eval::EvalError;
use medsam3_imaging::ImagingError;
use medsam3_segmentation::SegmentationError;
use medsam3_train::TrainError;
use medsam3_weights::{CheckpointError, WeightsError};
use serde::Serialize;

use crate::signals;
use crate::terminal::StdoutError;

/// 128 and the number of SIGPIPE.
const BROKEN_PIPE: u8 = 141;

/// The command was asked for something it cannot do; nothing was done.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// A failure of a command itself.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    /// Stable code.
    pub code: &'static str,
    /// What happened.
    pub message: String,
    /// What to do.
    pub next_step: &'static str,
}

/// A signal ended the work; what was done is kept.
#[derive(Debug, thiserror::Error)]
#[error("stopped by a signal after {done} of {total} {unit}; what is done is kept")]
pub struct Stopped {
    /// What was finished.
    pub done: usize,
    /// What was asked for.
    pub total: usize,
    /// Of what.
    pub unit: &'static str,
}

/// Some inputs of a batch failed; each was reported when it did.
#[derive(Debug, thiserror::Error)]
#[error("{failed} of {total} inputs failed")]
pub struct SomeFailed {
    /// Inputs that failed.
    pub failed: usize,
    /// All inputs.
    pub total: usize,
}

/// A failure as `--json` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Stable code.
    pub code: &'static str,
    /// What happened.
    pub message: String,
    /// What to do, where that is known.
    pub next_step: Option<&'static str>,
}

/// Finds the library's error in a chain of contexts.
pub fn describe(error: &anyhow::Error) -> Failure {
    let (code, next_step) = if let Some(e) = error.downcast_ref::<EngineError>() {
        (e.code(), Some(e.next_step()))
    } else if let Some(e) = error.downcast_ref::<WeightsError>() {
        (e.code(), Some(e.next_step()))
    } else if let Some(e) = error.downcast_ref::<CheckpointError>() {
        (e.code(), Some(e.next_step()))
    } else if let Some(e) = error.downcast_ref::<ImagingError>() {
        (e.code(), Some(e.next_step()))
    } else if let Some(e) = error.downcast_ref::<CorpusError>() {
        (e.code(), Some(e.next_step()))
    } else if let Some(e) = error.downcast_ref::<TrainError>() {
        (e.code(), Some(e.next_step()))
    } else if let Some(e) = error.downcast_ref::<EvalError>() {
        (e.code(), Some(e.next_step()))
    } else if let Some(e) = error.downcast_ref::<SegmentationError>() {
        (e.code(), Some(e.next_step()))
    } else if let Some(e) = error.downcast_ref::<CommandError>() {
        (e.code, Some(e.next_step))
    } else if let Some(e) = error.downcast_ref::<StdoutError>() {
        (e.code(), Some(e.next_step()))
    } else if error.is::<Stopped>() {
        ("STOPPED", None)
    } else if error.is::<SomeFailed>() {
        (
            "SOME-FAILED",
            Some("Each failed input was reported with its cause."),
        )
    } else if error.is::<UsageError>() {
        ("USAGE", Some("See medsam3 COMMAND --help."))
    } else {
        ("FAILED", None)
    };
    Failure {
        code,
        message: message(error),
        next_step,
    }
}

/// The chain of causes, each said once: many errors say their cause in their own sentence too.
fn message(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if message.contains(&cause) {
            continue;
        }
        if !message.is_empty() {
            message.push_str(": ");
        }
        message.push_str(&cause);
    }
    message
}

/// Whether the error says that a signal or the user ended the work.
pub fn is_cancelled(error: &anyhow::Error) -> bool {
    error.is::<Stopped>()
        || matches!(error.downcast_ref(), Some(EngineError::Cancelled))
        || matches!(error.downcast_ref(), Some(CheckpointError::Interrupted))
        || matches!(
            error.downcast_ref(),
            Some(CorpusError::Import(ImportError::Cancelled))
        )
}

/// Whether the reader of standard output has gone: there is nothing to report, and nobody to report it to.
fn is_closed_output(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(StdoutError::Closed))
}

/// Prints a failure to standard error.
pub fn print(error: &anyhow::Error) {
    if is_closed_output(error) {
        return;
    }
    let Failure {
        code,
        message,
        next_step,
    } = describe(error);
    note!("error [{code}]: {message}");
    if let Some(next_step) = next_step {
        note!("  {next_step}");
    }
}

/// The program's exit code.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    match signals::exit_code() {
        Some(code) if is_cancelled(error) => code,
        _ if is_closed_output(error) => BROKEN_PIPE,
        _ if error.is::<UsageError>() => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn a_cause_is_said_once() {
        let source = std::io::Error::other("no space left");
        let path = "a.csv".into();
        let error = anyhow::Error::from(TrainError::Write { path, source });
        assert_eq!(message(&error), "could not write a.csv: no space left");
        let error: anyhow::Error = Err::<(), _>(std::io::Error::other("no space left"))
            .context("writing the table")
            .unwrap_err();
        assert_eq!(message(&error), "writing the table: no space left");
    }
}
