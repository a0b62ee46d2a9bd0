//! A failure for people and for machines: its code, what happened, what to do. Bad usage exits with 2, the rest with 1.

use medsam3_corpus::CorpusError;
use medsam3_engine::EngineError;
use medsam3_eval::EvalError;
use medsam3_imaging::ImagingError;
use medsam3_train::TrainError;
use medsam3_weights::{CheckpointError, WeightsError};
use serde::Serialize;

/// The command was asked for something it cannot do; nothing was done.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

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
    let message = format!("{error:#}");
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
    } else if error.is::<UsageError>() {
        ("USAGE", Some("See medsam3 COMMAND --help."))
    } else {
        ("FAILED", None)
    };
    Failure {
        code,
        message,
        next_step,
    }
}

/// Prints a failure to standard error.
pub fn print(error: &anyhow::Error) {
    let Failure {
        code,
        message,
        next_step,
    } = describe(error);
    eprintln!("error [{code}]: {message}");
    if let Some(next_step) = next_step {
        eprintln!("  {next_step}");
    }
}

/// 2 for bad usage, 1 for the rest.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<UsageError>() { 2 } else { 1 }
}
