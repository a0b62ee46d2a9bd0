//! Why the engine could not do what it was asked: a stable code, a sentence that says what happened, a sentence that
//! says what to do. No error carries a file's or a patient's name.

use burn::tensor::ExecutionError;
use medsam3_model::burn;
use medsam3_model::{ConfigError, LoadError};
use medsam3_weights::WeightsError;

/// A failure of the engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// A prompt without a word in it.
    #[error("The prompt is empty.")]
    PromptEmpty,
    /// An image without pixels, or with fewer than it says.
    #[error("The image has no pixels, or fewer than its size says.")]
    ImageEmpty,
    /// The model folder.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The manifest's configuration is not one of this model.
    #[error("The model's configuration is not valid: {reason}.")]
    Config {
        /// What is wrong with it.
        reason: String,
    },
    /// `tokenizer.json` is not the tokenizer of this model.
    #[error("The model's tokenizer is not valid: {reason}.")]
    Tokenizer {
        /// What is wrong with it.
        reason: String,
    },
    /// `vocabulary.json` is not a vocabulary pack.
    #[error("The model's vocabulary is not valid: {reason}.")]
    Vocabulary {
        /// What is wrong with it.
        reason: String,
    },
    /// A prompt outside the vocabulary, and a model that was fetched without its text encoder.
    #[error("The prompt is not in the model's vocabulary, and the text encoder is not there.")]
    TextEncoderAbsent,
    /// The user pressed cancel.
    #[error("The work was cancelled.")]
    Cancelled,
    /// The device has no room.
    #[error("The GPU has not enough memory for this model and image side.")]
    GpuMemory,
    /// The device went away or faulted.
    #[error("The GPU stopped answering.")]
    GpuLost,
    /// Any other failure of the device.
    #[error("The device failed: {reason}.")]
    Device {
        /// The back end's reason, first line.
        reason: String,
    },
    /// The result contains numbers that are not finite.
    #[error("The model's result is not a number.")]
    NotFinite,
}

impl EngineError {
    /// A stable code for machines and for the page.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::PromptEmpty => "PROMPT-EMPTY",
            Self::ImageEmpty => "IMAGE-EMPTY",
            Self::Weights(error) => error.code(),
            Self::Config { .. } => "WEIGHTS-CONFIG",
            Self::Tokenizer { .. } => "TOKENIZER",
            Self::Vocabulary { .. } => "VOCABULARY",
            Self::TextEncoderAbsent => "TEXT-ENCODER-NONE",
            Self::Cancelled => "CANCELLED",
            Self::GpuMemory => "GPU-MEMORY",
            Self::GpuLost => "GPU-LOST",
            Self::Device { .. } => "DEVICE",
            Self::NotFinite => "RESULT-NOT-FINITE",
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::PromptEmpty => "Type what to find, for example \"lungs\".",
            Self::ImageEmpty => "Open another image.",
            Self::Weights(error) => error.next_step(),
            Self::Config { .. } | Self::Tokenizer { .. } | Self::Vocabulary { .. } => {
                "Use a model folder written by this version of the program."
            }
            Self::TextEncoderAbsent => {
                "Choose a prompt from the list, or fetch the model's text encoder too."
            }
            Self::Cancelled => "Start again when ready; the open image is kept.",
            Self::GpuMemory => {
                "Close other programs that use the GPU, choose a smaller image side, or run on the CPU."
            }
            Self::GpuLost => "Load the model again; if it happens again, run on the CPU.",
            Self::Device { .. } => "Load the model again, or run on the CPU.",
            Self::NotFinite => {
                "Do not use this result. Run on the CPU, and report the device if the CPU gives a result."
            }
        }
    }
}

impl From<ExecutionError> for EngineError {
    fn from(error: ExecutionError) -> Self {
        let reason = match &error {
            ExecutionError::DevicePoisoned { .. } => return Self::GpuLost,
            ExecutionError::WithContext { reason } | ExecutionError::Generic { reason, .. } => {
                reason
            }
        };
        // The back ends hand their errors on as text.
        let lower = reason.to_lowercase();
        let says = |phrases: &[&str]| phrases.iter().any(|phrase| lower.contains(phrase));
        if says(&[
            "out of memory",
            "out of device memory",
            "can't allocate buffer",
        ]) {
            Self::GpuMemory
        } else if says(&[
            "device lost",
            "device is lost",
            "device was lost",
            "poisoned",
        ]) {
            Self::GpuLost
        } else {
            Self::Device {
                reason: reason.lines().next().unwrap_or_default().to_owned(),
            }
        }
    }
}

impl From<ConfigError> for EngineError {
    fn from(error: ConfigError) -> Self {
        Self::Config {
            reason: error.to_string(),
        }
    }
}

impl From<LoadError<EngineError>> for EngineError {
    fn from(error: LoadError<EngineError>) -> Self {
        match error {
            LoadError::Source { source, .. } => source,
            LoadError::Count {
                name,
                expected,
                found,
            } => Self::Config {
                reason: format!("the tensor {name} has {found} values, not {expected}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_failures_are_told_apart() {
        let code = |reason: &str| EngineError::from(ExecutionError::with_context(reason)).code();
        assert_eq!(code("can't allocate buffer of size: 5"), "GPU-MEMORY");
        assert_eq!(code("Out of Memory"), "GPU-MEMORY");
        assert_eq!(code("Parent device is lost"), "GPU-LOST");
        assert_eq!(code("something else"), "DEVICE");
        let poisoned = ExecutionError::DevicePoisoned {
            reason: String::new(),
        };
        assert_eq!(EngineError::from(poisoned).code(), "GPU-LOST");
    }
}
