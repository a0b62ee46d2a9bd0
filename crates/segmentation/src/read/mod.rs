//! Segmentations of other programs, laid on a series: DICOM SEG, RT Structure Set and NIfTI label maps. By the
//! pictures that they name and by their places in the patient; what does not belong to the series is refused.

mod nifti;
mod plane;
mod rtstruct;
mod seg;

use medsam3_imaging::series::{Series, SharedSource};
use medsam3_imaging::{ImagingError, NiftiFile, segmentation_file::SegmentationFile};

use crate::document::Segmentation;
use crate::error::SegmentationError;

/// Fractions from which a pixel of a fractional segmentation is inside.
const INSIDE: f64 = 0.5;

pub use nifti::read_label_map;
pub use rtstruct::read_rtstruct;
pub use seg::read_seg;

/// A segmentation on a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// On the pictures of the series.
    pub segmentation: Segmentation,
    /// Frames or contours that lie on none of its pictures, and were left out.
    pub left_out: usize,
}

/// Reads a segmentation by its content: DICOM SEG, a NIfTI label map, whose segments are called `name`, or an RT
/// Structure Set.
///
/// # Errors
///
/// As [`read_seg`], [`read_label_map`] and [`read_rtstruct`], and what reading the bytes gives.
pub fn read_any(
    series: &Series,
    source: &SharedSource,
    name: &str,
) -> Result<Imported, SegmentationError> {
    if let Ok(file) = NiftiFile::open(source, None) {
        return read_label_map(series, &file, name);
    }
    let bytes = usize::try_from(source.size())
        .map_err(|_too_large| ImagingError::TooLarge {
            what: "the file in bytes",
            needed: source.size(),
            limit: usize::MAX as u64,
        })
        .and_then(|size| source.read(0, size))?;
    if SegmentationFile::is_one(&bytes) {
        read_seg(series, &bytes, INSIDE)
    } else {
        read_rtstruct(series, &bytes)
    }
}
