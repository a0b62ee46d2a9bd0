//! What the readers of the layouts hand to the writer: a list of units (an image, a volume, a series), each read by itself into
//! drawn images.

use std::path::{Path, PathBuf};

use image::{DynamicImage, GrayImage};

use super::canvas::{Canvas, LabelSet};
use super::notes::Notes;
use super::pattern::Groups;
use crate::error::CorpusError;

/// An image of 8 bits, grey or RGB.
#[derive(Debug, Clone)]
pub(super) struct Image {
    pub(super) pixels: DynamicImage,
    /// A PNG or JPEG with exactly these pixels, which may be copied.
    pub(super) file: Option<PathBuf>,
}

impl Image {
    /// A grey image; `values` is `[height, width]`.
    pub(super) fn gray(width: usize, height: usize, values: Vec<u8>) -> Self {
        let size = |side| u32::try_from(side).unwrap_or(u32::MAX);
        let image = GrayImage::from_raw(size(width), size(height), values).unwrap_or_default();
        Self {
            pixels: DynamicImage::ImageLuma8(image),
            file: None,
        }
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.pixels.width() as usize, self.pixels.height() as usize)
    }
}

/// One image with what is drawn on it.
#[derive(Debug, Clone)]
pub(super) struct Drawn {
    /// Unique in the dataset.
    pub(super) id: String,
    /// Whom it was taken from.
    pub(super) subject: String,
    /// Named parts of its path, for the split.
    pub(super) groups: Groups,
    /// Where it comes from.
    pub(super) path: PathBuf,
    pub(super) image: Image,
    pub(super) canvas: Canvas,
    /// Labels that nobody looked for.
    pub(super) unlabelled: LabelSet,
    /// What is to be said about it.
    pub(super) notes: Notes,
}

/// Reads one layout.
pub(super) trait Reader: Sync {
    /// How many units there are.
    fn units(&self) -> usize;

    /// Whether units hold many slices: they are read one by one, and empty slices are left out unless the manifest says otherwise.
    fn volumes(&self) -> bool;

    /// Whether objects are told apart.
    fn objects(&self) -> bool;

    /// Reads a unit, an empty list where it is left out.
    ///
    /// # Errors
    /// The file that is wrong, and how.
    fn read(&self, unit: usize) -> Result<Vec<Drawn>, CorpusError>;
}

/// `path` of the source folder.
pub(super) fn join(folder: &Path, path: &str) -> PathBuf {
    path.split('/')
        .fold(folder.to_owned(), |joined, part| joined.join(part))
}
