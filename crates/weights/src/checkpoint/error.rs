//! What can go wrong with a checkpoint: one variant per cause, each with a stable code, a sentence that says what
//! happened and one that says what to do. Tensors, members of the archive and globals are named; paths are not.

use std::fmt;

use crate::{Misshapen, WeightsError};

/// A checkpoint could not be read or converted; nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The system could not read the file.
    #[error("The checkpoint could not be read: {reason}.")]
    File {
        /// The system's reason.
        reason: String,
    },
    /// It is neither a PyTorch archive nor safetensors, or not one that holds a model.
    #[error("The file is not a checkpoint that can be read: {reason}.")]
    Format {
        /// What was found instead.
        reason: String,
    },
    /// It ends before its own table of contents says.
    #[error("The checkpoint is cut off: {what} ends at byte {expected}, the file at byte {found}.")]
    Truncated {
        /// Tensor or member of the archive.
        what: String,
        /// Bytes there should be.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// A member of the archive would unpack to far more than it is.
    #[error(
        "The archive's member \"{member}\" has {packed} bytes and would unpack to {unpacked} bytes; no checkpoint does that."
    )]
    ZipBomb {
        /// Name inside the archive.
        member: String,
        /// Bytes in the archive.
        packed: u64,
        /// Bytes it claims, or had given when it was stopped.
        unpacked: u64,
    },
    /// The pickle asks for something that is not on the list of harmless names.
    #[error(
        "The checkpoint's pickle asks for \"{name}\"; only names that rebuild tensors and plain data are known here, and nothing was called."
    )]
    Global {
        /// Module and name.
        name: String,
    },
    /// The pickle is damaged, or uses what checkpoints do not.
    #[error("The checkpoint's pickle cannot be read at byte {at}: {reason}.")]
    Pickle {
        /// Byte of the pickle.
        at: usize,
        /// What is wrong.
        reason: String,
    },
    /// A tensor of the model holds no floating-point numbers.
    #[error("The tensor \"{name}\" is stored as {dtype}, not as floating-point numbers.")]
    Dtype {
        /// Name in the checkpoint.
        name: String,
        /// Its dtype.
        dtype: String,
    },
    /// The names are of none of the known layouts.
    #[error(
        "The tensors are named as in no known layout of SAM 3 or Medical SAM3; the first is \"{first}\"."
    )]
    Layout {
        /// Alphabetically first name.
        first: String,
    },
    /// A low-rank adapter without the model that it adapts.
    #[error(
        "The file holds a low-rank adapter (LoRA) alone: {tensors} tensors such as \"{first}\", and none of the model that it adapts."
    )]
    AdapterAlone {
        /// How many tensors.
        tensors: usize,
        /// Alphabetically first name.
        first: String,
    },
    /// The tensors are not those of the model.
    #[error("The checkpoint does not fit the model: {}.", TensorList { missing, unexpected, misshapen })]
    Tensors {
        /// Tensors the model needs and the checkpoint lacks, by their name in the checkpoint's layout.
        missing: Vec<String>,
        /// Tensors the checkpoint has and no SAM 3 has.
        unexpected: Vec<String>,
        /// Tensors with another shape.
        misshapen: Vec<Misshapen>,
    },
    /// The user asked to stop.
    #[error("The conversion was stopped; nothing was written.")]
    Interrupted,
    /// The model folder could not be written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

impl CheckpointError {
    /// A stable code for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::File { .. } => "CHECKPOINT-FILE",
            Self::Format { .. } => "CHECKPOINT-FORMAT",
            Self::Truncated { .. } => "CHECKPOINT-TRUNCATED",
            Self::ZipBomb { .. } => "CHECKPOINT-ZIP-BOMB",
            Self::Global { .. } => "CHECKPOINT-GLOBAL",
            Self::Pickle { .. } => "CHECKPOINT-PICKLE",
            Self::Dtype { .. } => "CHECKPOINT-DTYPE",
            Self::Layout { .. } => "CHECKPOINT-LAYOUT",
            Self::AdapterAlone { .. } => "CHECKPOINT-ADAPTER-ALONE",
            Self::Tensors { .. } => "CHECKPOINT-TENSORS",
            Self::Interrupted => "CONVERT-INTERRUPTED",
            Self::Weights(error) => error.code(),
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::File { .. } => "Check the path and that you may read the file.",
            Self::Format { .. } => {
                "Give a .pt file as torch.save writes it, or a .safetensors file."
            }
            Self::Truncated { .. } => {
                "The download did not finish or the disk was full; fetch the file again."
            }
            Self::ZipBomb { .. } => "Do not use this file; fetch it from its publisher.",
            Self::Global { .. } => {
                "Do not load this file with PyTorch unless you trust its publisher. If you do, save its state dict alone: torch.save({\"model\": state_dict}, path)."
            }
            Self::Pickle { .. } => {
                "Fetch the file again, or save its state dict alone with torch.save."
            }
            Self::Dtype { .. } => "Save the model as float32, float16 or bfloat16.",
            Self::Layout { .. } => {
                "Known are sam3.pt, model.safetensors of Hugging Face, and the 2-D and 3-D checkpoints of Medical SAM3."
            }
            Self::AdapterAlone { .. } => {
                "Merge it into its base model where it was trained, and convert the merged checkpoint."
            }
            Self::Tensors { .. } => {
                "Check that the file is whole and of the published size of the model."
            }
            Self::Interrupted => "Run the command again to convert from the start.",
            Self::Weights(error) => error.next_step(),
        }
    }
}

/// So many names of each kind stay readable; SAM 3 has over 1400 tensors.
const SHOWN: usize = 10;

/// Names the first of each kind and counts all of them.
struct TensorList<'a> {
    missing: &'a [String],
    unexpected: &'a [String],
    misshapen: &'a [Misshapen],
}

impl fmt::Display for TensorList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        let mut list = |what: &str, names: &[String]| {
            if !names.is_empty() {
                let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
                let more = match names.len() - shown.len() {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                parts.push(format!(
                    "{} {what} ({}{more})",
                    names.len(),
                    shown.join(", ")
                ));
            }
        };
        list("missing", self.missing);
        list("unexpected", self.unexpected);
        let shapes = self.misshapen.iter();
        let shapes: Vec<String> = shapes
            .map(|m| format!("{} is {:?}, not {:?}", m.name, m.found, m.expected))
            .collect();
        list("of another shape", &shapes);
        f.write_str(&parts.join("; "))
    }
}
