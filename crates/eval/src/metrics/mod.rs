//! Measures of one answer against the truth, by their published definitions; `tests/eval` compares each with an independent
//! implementation. Distances are in pixels.

mod calibration;
mod instances;

pub use calibration::{Bin, Calibration, calibration};
pub use instances::{
    Detection, IOU_THRESHOLDS, InstanceMatch, average_precision, f1, match_instances,
};
// Overlap and distances are those of the segmentation crate, which compares volumes by the same rules.
pub use medsam3_segmentation::{dice, hd95_px, iou, nsd, overlap, percentile};
