//! What can go wrong in training, each with a stable code and a next step.

use std::path::PathBuf;

use medsam3_corpus::CorpusError;
use medsam3_engine::EngineError;

/// A training that could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A file could not be read.
    #[error("could not read {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("could not write {}: {source}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A JSON file does not have the expected fields.
    #[error("{} is not in the expected format: {source}", path.display())]
    Json {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The configuration is not valid TOML or has unknown fields.
    #[error("the configuration is not valid: {source}")]
    Toml {
        /// Why.
        source: toml::de::Error,
    },
    /// The configuration asks for something impossible.
    #[error("the configuration is not valid: {reason}")]
    Config {
        /// What is impossible.
        reason: String,
    },
    /// No training image is left after filtering.
    #[error("no training image matches the tiers and names of the configuration")]
    EmptyCorpus,
    /// A checkpoint does not fit the model or is damaged.
    #[error("{} does not fit: {reason}", path.display())]
    Checkpoint {
        /// Which file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// The run folder holds the checkpoints of another run, which a new one would mix with its own.
    #[error("{} is already there, and the run is to begin anew", path.display())]
    RunExists {
        /// Its newest checkpoint.
        path: PathBuf,
    },
    /// Another process trains in the run folder.
    #[error("another training is writing into {}", folder.display())]
    RunBusy {
        /// The run folder.
        folder: PathBuf,
    },
    /// The model folder to start from does not fit or is damaged.
    #[error("cannot start from {}: {reason}", folder.display())]
    Start {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Some answer of the model is infinite or undefined.
    #[error("the model's answers are not finite")]
    NotFinite,
    /// The loss or its gradient became infinite or undefined.
    #[error("the loss or its gradient is not finite at step {step}")]
    Diverged {
        /// Optimiser step.
        step: usize,
    },
    /// The corpus could not be read.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// The model could not be asked.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Something below failed.
    #[error("{context}: {reason}")]
    Other {
        /// What was being done.
        context: &'static str,
        /// Why it failed.
        reason: String,
    },
}

impl TrainError {
    /// A stable code for logs and tests.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "TRAIN-READ",
            Self::Write { .. } => "TRAIN-WRITE",
            Self::Json { .. } => "TRAIN-JSON",
            Self::Toml { .. } | Self::Config { .. } => "TRAIN-CONFIG",
            Self::EmptyCorpus => "TRAIN-EMPTY-CORPUS",
            Self::Checkpoint { .. } => "TRAIN-CHECKPOINT",
            Self::RunExists { .. } => "TRAIN-RUN-EXISTS",
            Self::RunBusy { .. } => "TRAIN-RUN-BUSY",
            Self::Start { .. } => "TRAIN-START",
            Self::NotFinite | Self::Diverged { .. } => "TRAIN-DIVERGED",
            Self::Corpus(error) => error.code(),
            Self::Engine(error) => error.code(),
            Self::Other { .. } => "TRAIN-OTHER",
        }
    }

    /// What the person can do about it.
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::Read { .. } | Self::Json { .. } => {
                "Check that the path is right and that the file is complete."
            }
            Self::Write { .. } => {
                "Check that `run.folder` can be written and that the disk is not full."
            }
            Self::Toml { .. } | Self::Config { .. } => {
                "Compare the file with configs/default.toml."
            }
            Self::EmptyCorpus => "Widen `data.tiers` or `data.datasets`.",
            Self::Checkpoint { .. } => {
                "Start without --resume, restore the configuration the checkpoint was made with, or remove a damaged file: the one before it is used then."
            }
            Self::RunExists { .. } => {
                "Use --resume to go on from it, or name another `run.folder`, or remove the old run."
            }
            Self::Start { .. } => {
                "Name a model folder with the configuration of `[model]` in `run.start_from`, or leave it out."
            }
            Self::RunBusy { .. } => "Wait until it ends, or name another `run.folder`.",
            Self::NotFinite | Self::Diverged { .. } => {
                "Lower `schedule.learning_rate`; with --resume the run goes on from its last checkpoint, if it has one."
            }
            Self::Corpus(error) => error.next_step(),
            Self::Engine(error) => error.next_step(),
            Self::Other { .. } => "See the cause above.",
        }
    }
}
