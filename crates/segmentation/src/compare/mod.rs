//! A segment against a reference: overlap and how far the surfaces lie apart, of one picture and of a volume.
//! `medsam3-eval` measures pictures by the same functions, so that both say the same of the same masks.

mod distance;
mod overlap;
mod surface;
mod volume;

pub(crate) use distance::distances;
pub use overlap::{Overlap, dice, iou, overlap};
pub use surface::{hd95_px, nsd, percentile};
pub use volume::{Comparison, compare};
