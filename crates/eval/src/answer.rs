//! What a model answered to one prompt on one image, measured at every mask threshold that may be chosen.

use medsam3_segmentation::Overlap;
use serde::Serialize;

/// Mask probabilities above which a pixel may be said to belong to the prompt.
pub const MASK_THRESHOLDS: [f32; 9] = [0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7];

/// A prompt of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Key {
    /// Dataset folder.
    pub dataset: String,
    /// Canonical prompt.
    pub prompt: String,
}

/// One image asked one prompt.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Which prompt of which dataset.
    pub key: Key,
    /// Probability that the prompt is in the image at all.
    pub presence: f32,
    /// Whether it is.
    pub present: bool,
    /// Overlap with the truth at each of [`MASK_THRESHOLDS`].
    pub overlaps: [Overlap; MASK_THRESHOLDS.len()],
}

impl Answer {
    /// Overlap as it is shown: nothing where the presence does not exceed its threshold.
    pub fn shown(&self, presence: f32, mask_threshold: usize) -> Overlap {
        let overlap = self.overlaps[mask_threshold.min(MASK_THRESHOLDS.len() - 1)];
        if self.presence > presence {
            overlap
        } else {
            Overlap {
                found: 0,
                both: 0,
                ..overlap
            }
        }
    }
}
