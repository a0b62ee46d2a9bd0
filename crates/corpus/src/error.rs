//! What can go wrong with a corpus, each with a stable code and a next step.

use std::path::PathBuf;

use crate::import::ImportError;

/// A corpus that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CorpusError {
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
    /// A picture could not be decoded.
    #[error("could not decode {}: {source}", path.display())]
    Decode {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: image::ImageError,
    },
    /// An image of the corpus cannot be shown.
    #[error("{}: {source}", path.display())]
    Image {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: medsam3_imaging::ImagingError,
    },
    /// A mask is not a grey PNG of the expected depth.
    #[error("{} is not a grey index map of the expected bit depth", path.display())]
    MaskKind {
        /// Which file.
        path: PathBuf,
    },
    /// A mask is not as large as its image.
    #[error("{} has {}x{} pixels, its image {}x{}", path.display(), found.0, found.1, image.0, image.1)]
    MaskSize {
        /// Which mask.
        path: PathBuf,
        /// Its width and height.
        found: (usize, usize),
        /// Those of the image.
        image: (usize, usize),
    },
    /// A picture of a corpus that viewers turn: its mask lies on the stored pixels, and readers would not agree.
    #[error("{} has an EXIF orientation: its mask would lie on other pixels than those that are seen", path.display())]
    Turned {
        /// Which picture.
        path: PathBuf,
    },
    /// A mask holds a label index that its dataset does not declare.
    #[error("{} holds the label {label}, which its dataset does not declare", path.display())]
    UnknownLabel {
        /// Which mask.
        path: PathBuf,
        /// The index.
        label: u8,
    },
    /// A dataset has no item in the part asked for.
    #[error("{} lists no item of the split asked for ({split})", path.display())]
    EmptySplit {
        /// The file that lists the items.
        path: PathBuf,
        /// Part asked for.
        split: &'static str,
    },
    /// A dataset is named that the corpus does not have.
    #[error("the corpus has no dataset named {name}")]
    UnknownDataset {
        /// The name asked for.
        name: String,
    },
    /// A dataset is named that must never be trained on.
    #[error("{name} is an external test set and must not be trained on")]
    ExternalDataset {
        /// The name asked for.
        name: String,
    },
    /// A prompt is asked of a dataset that does not have it.
    #[error("`data.prompts` asks {dataset} for {words:?}, which it does not have")]
    UnknownPrompt {
        /// The dataset.
        dataset: String,
        /// The words asked for.
        words: String,
    },
    /// A published dataset could not be imported.
    #[error(transparent)]
    Import(#[from] ImportError),
}

impl CorpusError {
    /// A stable code for logs and tests.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "CORPUS-READ",
            Self::Write { .. } => "CORPUS-WRITE",
            Self::Json { .. } => "CORPUS-JSON",
            Self::Decode { .. } => "CORPUS-DECODE",
            Self::Image { source, .. } => source.code(),
            Self::MaskKind { .. } => "CORPUS-MASK-KIND",
            Self::MaskSize { .. } => "CORPUS-MASK-SIZE",
            Self::Turned { .. } => "CORPUS-TURNED",
            Self::UnknownLabel { .. } => "CORPUS-UNKNOWN-LABEL",
            Self::EmptySplit { .. } => "CORPUS-EMPTY-SPLIT",
            Self::UnknownDataset { .. } => "CORPUS-UNKNOWN-DATASET",
            Self::ExternalDataset { .. } => "CORPUS-EXTERNAL-DATASET",
            Self::UnknownPrompt { .. } => "CORPUS-UNKNOWN-PROMPT",
            Self::Import(error) => error.code(),
        }
    }

    /// What the person can do about it.
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::Read { .. } | Self::Json { .. } | Self::Decode { .. } => {
                "Check that the folder is the right one and that the copy is complete."
            }
            Self::Image { source, .. } => source.next_step(),
            Self::MaskKind { .. } => "Save the mask as a grey PNG or TIFF of whole numbers.",
            Self::Write { .. } => {
                "Check that the corpus' folder can be written and that the disk is not full."
            }
            Self::MaskSize { .. } => {
                "Write the mask on the pixels of its image; nothing is resized silently."
            }
            Self::Turned { .. } => {
                "Save it without the orientation, as its mask was drawn; `medsam3 import` does that."
            }
            Self::UnknownLabel { .. } => {
                "Add the label to `labels` in dataset.json, or repair the mask."
            }
            Self::EmptySplit { .. } => "Ask for another split or leave the dataset out.",
            Self::UnknownDataset { .. } => "Use a name from the corpus' index.json.",
            Self::ExternalDataset { .. } => {
                "Remove it from `data.datasets`; measure on it with `medsam3 evaluate`."
            }
            Self::UnknownPrompt { .. } => "Use a prompt from `prompts` in its dataset.json.",
            Self::Import(error) => error.next_step(),
        }
    }
}
