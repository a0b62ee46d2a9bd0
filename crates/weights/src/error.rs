//! What can go wrong with a model folder: one variant per cause, each with a stable code, a sentence that says
//! what happened and one that says what to do. File names here are those of the manifest, never a user's path.

use std::fmt;

/// A tensor whose shape is not the one the model has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misshapen {
    /// Canonical name.
    pub name: String,
    /// The shape the model needs, in PyTorch's layout.
    pub expected: Vec<usize>,
    /// The shape found in the folder.
    pub found: Vec<usize>,
}

/// A model folder could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// A file of the folder is missing or unreadable.
    #[error("The model's file \"{file}\" could not be read: {reason}.")]
    File {
        /// Name inside the folder.
        file: String,
        /// The system's reason.
        reason: String,
    },
    /// The manifest is not the JSON it should be, or contradicts itself.
    #[error("The model's manifest is not valid: {reason}.")]
    Manifest {
        /// What is wrong with it.
        reason: String,
    },
    /// The folder was written in another version of the format.
    #[error(
        "The model folder has format version {found}; this program reads versions up to {supported}."
    )]
    Version {
        /// Version of the folder.
        found: u64,
        /// The newest version that this program reads.
        supported: u32,
    },
    /// A file is shorter or longer than the manifest says.
    #[error(
        "The model's file \"{file}\" has {found} bytes where the manifest says {expected}; it was cut off or replaced."
    )]
    Truncated {
        /// Name inside the folder.
        file: String,
        /// Bytes by the manifest.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// A file's SHA-256 is not the manifest's.
    #[error(
        "The model's file \"{file}\" does not have the SHA-256 of the manifest; it is damaged or was changed."
    )]
    Hash {
        /// Name inside the folder.
        file: String,
    },
    /// A shard's own header and the manifest disagree.
    #[error("The model's file \"{file}\" is not laid out as the manifest says: {reason}.")]
    Layout {
        /// Name inside the folder.
        file: String,
        /// The first disagreement.
        reason: String,
    },
    /// The tensors in the folder are not those of the model.
    #[error("The model folder does not fit the model: {}.", TensorList { missing, unexpected, misshapen })]
    Tensors {
        /// Tensors the model has and the folder lacks.
        missing: Vec<String>,
        /// Tensors the folder has and the model lacks.
        unexpected: Vec<String>,
        /// Tensors with another shape.
        misshapen: Vec<Misshapen>,
    },
    /// A tensor asked for is in no shard.
    #[error("The model folder has no tensor \"{name}\".")]
    NoSuchTensor {
        /// The name asked for.
        name: String,
    },
    /// Bytes were asked for that a tensor does not have.
    #[error(
        "The tensor \"{name}\" has {bytes} bytes; {len} bytes from byte {offset} on were asked for."
    )]
    OutOfRange {
        /// Canonical name.
        name: String,
        /// Bytes it has.
        bytes: u64,
        /// First byte asked for.
        offset: u64,
        /// Bytes asked for.
        len: usize,
    },
    /// The same tensor or file was written twice.
    #[error("\"{name}\" was written twice into the model folder.")]
    Duplicate {
        /// Tensor or file name.
        name: String,
    },
    /// The values handed in do not fill the shape.
    #[error("The tensor \"{name}\" of shape {shape:?} was handed {values} values.")]
    ValueCount {
        /// Canonical name.
        name: String,
        /// Shape in PyTorch's layout.
        shape: Vec<usize>,
        /// How many values came.
        values: usize,
    },
    /// A value is not finite, or leaves the range of the precision.
    #[error("The tensor \"{name}\" holds {value}, which {precision} cannot store.")]
    NotStorable {
        /// Canonical name.
        name: String,
        /// The offending value.
        value: f32,
        /// `f32` or `f16`.
        precision: &'static str,
    },
    /// One row of a tensor alone is larger than a shard may be.
    #[error(
        "A row of the tensor \"{name}\" has {bytes} bytes, more than the {limit} bytes a shard may have."
    )]
    TensorTooLarge {
        /// Canonical name.
        name: String,
        /// Bytes of the row.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The target folder holds files that are not a model's.
    #[error(
        "The output folder exists and holds \"{found}\", which does not belong to a model folder."
    )]
    NotAModelFolder {
        /// The first file that does not belong.
        found: String,
    },
    /// The system refused to write.
    #[error("The model folder could not be written: {reason}.")]
    Write {
        /// The system's reason.
        reason: String,
    },
}

impl WeightsError {
    /// A stable code for machines and for the page.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::File { .. } => "WEIGHTS-FILE",
            Self::Manifest { .. } => "WEIGHTS-MANIFEST",
            Self::Version { .. } => "WEIGHTS-VERSION",
            Self::Truncated { .. } => "WEIGHTS-TRUNCATED",
            Self::Hash { .. } => "WEIGHTS-HASH",
            Self::Layout { .. } => "WEIGHTS-LAYOUT",
            Self::Tensors { .. } | Self::NoSuchTensor { .. } => "WEIGHTS-TENSORS",
            Self::OutOfRange { .. } => "WEIGHTS-OUT-OF-RANGE",
            Self::Duplicate { .. } => "WEIGHTS-DUPLICATE",
            Self::ValueCount { .. } => "WEIGHTS-VALUE-COUNT",
            Self::NotStorable { .. } => "WEIGHTS-NOT-STORABLE",
            Self::TensorTooLarge { .. } => "WEIGHTS-TENSOR-TOO-LARGE",
            Self::NotAModelFolder { .. } => "WEIGHTS-NOT-A-MODEL-FOLDER",
            Self::Write { .. } => "WEIGHTS-WRITE",
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::File { .. } => {
                "Check that the folder is a complete model folder (manifest.json and the files it names)."
            }
            Self::Truncated { .. } | Self::Hash { .. } | Self::Layout { .. } => {
                "Fetch the model again; do not use this copy."
            }
            Self::Manifest { .. } => "Fetch the model again, or write it anew with this program.",
            Self::Version { .. } => {
                "Use the version of this program that the model was made with, or convert the model again."
            }
            Self::Tensors { .. } | Self::NoSuchTensor { .. } => {
                "Check that config and weights are of the same model; nothing was loaded."
            }
            Self::NotStorable { precision, .. } if *precision == "f16" => "Write the model as f32.",
            Self::NotStorable { .. } => {
                "The training diverged: go back to an earlier checkpoint with finite values."
            }
            Self::TensorTooLarge { .. } => "Write the model in a smaller precision.",
            Self::NotAModelFolder { .. } => "Choose an empty folder, or the folder of a model.",
            Self::Write { .. } => "Check free space and permissions; nothing was replaced.",
            Self::OutOfRange { .. } | Self::Duplicate { .. } | Self::ValueCount { .. } => {
                "This is a fault of this program, not of the model; please report it."
            }
        }
    }
}

/// Names the first few of each kind, so that the sentence stays readable for a model of 1400 tensors.
struct TensorList<'a> {
    missing: &'a [String],
    unexpected: &'a [String],
    misshapen: &'a [Misshapen],
}

impl fmt::Display for TensorList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 5;
        let mut parts = Vec::new();
        let mut list = |what: &str, count: usize, mut names: Vec<String>| {
            if count > 0 {
                if count > SHOWN {
                    names.push("...".to_owned());
                }
                parts.push(format!("{count} {what} ({})", names.join(", ")));
            }
        };
        let first = |names: &[String]| names.iter().take(SHOWN).cloned().collect();
        list("missing", self.missing.len(), first(self.missing));
        list("unexpected", self.unexpected.len(), first(self.unexpected));
        let misshapen = self.misshapen.iter().take(SHOWN);
        let misshapen = misshapen
            .map(|m| format!("{} is {:?}, not {:?}", m.name, m.found, m.expected))
            .collect();
        list("of another shape", self.misshapen.len(), misshapen);
        f.write_str(&parts.join("; "))
    }
}
