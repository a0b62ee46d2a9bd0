//! Measures of one answer against the truth, by their published definitions; `tests/eval` compares each with an independent
//! implementation. Distances are in pixels.

mod calibration;
mod distance;
mod instances;
mod overlap;
mod surface;

pub use calibration::{Bin, Calibration, calibration};
pub use instances::{
    Detection, IOU_THRESHOLDS, InstanceMatch, average_precision, f1, match_instances,
};
pub use overlap::{dice, iou, overlap};
pub(crate) use surface::percentile;
pub use surface::{hd95_px, nsd};
