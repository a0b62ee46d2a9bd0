//! Segmentations of other programs, laid on a series: DICOM SEG, RT Structure Set and NIfTI label maps. By the
//! pictures that they name and by their places in the patient; what does not belong to the series is refused.

mod nifti;
mod plane;
mod rtstruct;
mod seg;

use crate::document::Segmentation;

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
