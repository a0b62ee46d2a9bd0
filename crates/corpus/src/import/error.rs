//! What can go wrong while a published dataset is imported, each with a stable code and a next step.

use std::path::PathBuf;

/// An import that could not be done. Nothing of the corpus has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The manifest is not valid TOML, has unknown fields or contradicts itself.
    #[error("the manifest {} is not valid: {reason}", path.display())]
    Manifest {
        /// Which manifest.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Nothing fits a path pattern.
    #[error("no file of {} fits `{pattern}`", folder.display())]
    NoFiles {
        /// The source folder.
        folder: PathBuf,
        /// The pattern.
        pattern: String,
    },
    /// An image without its mask.
    #[error("{} has no mask: no file fits `{pattern}`", image.display())]
    NoMask {
        /// The image.
        image: PathBuf,
        /// Where its mask should be.
        pattern: String,
    },
    /// A source file is damaged or not what the manifest says.
    #[error("{}: {reason}", path.display())]
    Source {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Annotations that lie on other pixels than those of the picture.
    #[error("{}: {reason}", path.display())]
    OtherPixels {
        /// Which picture or mask.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// COCO objects that are all marked as crowds, as CVAT exports masks.
    #[error(
        "not one of {images} images of {} has an object: {objects} objects are crowds (iscrowd = 1)",
        folder.display()
    )]
    OnlyCrowds {
        /// The source folder.
        folder: PathBuf,
        /// Images read.
        images: usize,
        /// Crowds.
        objects: usize,
    },
    /// A source file holds a grey value, colour, category or segment that the manifest does not name.
    #[error("{} holds {value}, which the manifest does not name", path.display())]
    UnknownValue {
        /// Which file.
        path: PathBuf,
        /// The value.
        value: String,
    },
    /// Two images with one name.
    #[error("{} and {} are both called `{id}`", first.display(), second.display())]
    Duplicate {
        /// The name.
        id: String,
        /// One.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// All masks are empty, which a threshold or a wrong path explains more often than the data.
    #[error("not one of {images} images of {} has a pixel of any label", folder.display())]
    NothingDrawn {
        /// The source folder.
        folder: PathBuf,
        /// Images read.
        images: usize,
    },
    /// More than 255 labels and combinations of labels.
    #[error("{} needs more than 255 label indices: too many labels lie on one another", path.display())]
    TooManyLabels {
        /// The file at which they ran out.
        path: PathBuf,
    },
    /// The corpus already has a dataset of this name.
    #[error("{} is already there", path.display())]
    Exists {
        /// Its folder.
        path: PathBuf,
    },
    /// Stopped by the user.
    #[error("the import was stopped")]
    Cancelled,
}

impl ImportError {
    /// A stable code for logs and tests.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Manifest { .. } => "CORPUS-IMPORT-MANIFEST",
            Self::NoFiles { .. } => "CORPUS-IMPORT-NO-FILES",
            Self::NoMask { .. } => "CORPUS-IMPORT-NO-MASK",
            Self::Source { .. } => "CORPUS-IMPORT-SOURCE",
            Self::OtherPixels { .. } => "CORPUS-IMPORT-OTHER-PIXELS",
            Self::OnlyCrowds { .. } => "CORPUS-IMPORT-ONLY-CROWDS",
            Self::UnknownValue { .. } => "CORPUS-UNKNOWN-LABEL",
            Self::Duplicate { .. } => "CORPUS-IMPORT-DUPLICATE",
            Self::NothingDrawn { .. } => "CORPUS-IMPORT-NOTHING-DRAWN",
            Self::TooManyLabels { .. } => "CORPUS-IMPORT-TOO-MANY-LABELS",
            Self::Exists { .. } => "CORPUS-IMPORT-EXISTS",
            Self::Cancelled => "CORPUS-IMPORT-CANCELLED",
        }
    }

    /// What the person can do about it.
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::Manifest { .. } => "Compare it with the examples of docs/datasets.md.",
            Self::NoFiles { .. } => {
                "Check --from: patterns are relative to that folder, and case counts."
            }
            Self::NoMask { .. } => {
                "Complete the download, or say `missing = \"background\"`, \"unlabelled\" or \"skip\" in the manifest."
            }
            Self::Source { .. } => {
                "Download the file again; if it is as published, the manifest describes another layout."
            }
            Self::OtherPixels { .. } => {
                "Use the pictures that were annotated; for pictures turned by EXIF say `exif = \"upright\"` (as viewers show them) or \"stored\" in `[layout]`."
            }
            Self::OnlyCrowds { .. } => {
                "If they are single objects, as in CVAT's masks, say `crowds = \"objects\"` in `[layout]`; else export polygons."
            }
            Self::UnknownValue { .. } => {
                "Name it in the manifest; an empty name leaves it to the background."
            }
            Self::Duplicate { .. } => {
                "Make the names differ by `id` in `[layout]`, for example \"{subject}_{id}\"."
            }
            Self::NothingDrawn { .. } => {
                "Check `threshold` (the largest value that is background), the values or colours, and the paths of the masks."
            }
            Self::TooManyLabels { .. } => "Leave out labels, or import the dataset in two parts.",
            Self::Exists { .. } => "Use --replace to write it anew.",
            Self::Cancelled => "Nothing was changed; run it again.",
        }
    }
}
