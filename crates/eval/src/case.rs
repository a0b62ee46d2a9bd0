//! One image asked one prompt: what was shown, measured against what is drawn.

use medsam3_imaging::Mask;
use serde::Serialize;

use crate::metrics::{InstanceMatch, dice, hd95_px, iou, nsd, overlap};
use crate::runs::Runs;
use medsam3_segmentation::Overlap;

/// Which image and which prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Question {
    /// Dataset folder.
    pub dataset: String,
    /// Canonical prompt.
    pub prompt: String,
    /// Item of the dataset.
    pub item: String,
    /// Whom it was taken from; the item itself where that is unknown.
    pub subject: String,
}

/// What the model said besides the mask.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Confidence {
    /// Probability that the prompt is in the image at all.
    pub presence: f64,
    /// The best score of any instance.
    pub score: f64,
}

/// One image asked one prompt.
#[derive(Debug, Clone, Serialize)]
pub struct Case {
    /// What was asked.
    #[serde(flatten)]
    pub question: Question,
    /// How sure the model was.
    #[serde(flatten)]
    pub confidence: Confidence,
    /// Pixel counts.
    #[serde(flatten)]
    pub overlap: Overlap,
    /// Dice; two empty masks agree entirely.
    pub dice: f64,
    /// Intersection over union; two empty masks agree entirely.
    pub iou: f64,
    /// Normalised surface distance.
    pub nsd: f64,
    /// 95th percentile of the Hausdorff distance in pixels.
    pub hd95_px: f64,
    /// The instances, where they are measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances: Option<InstanceMatch>,
    /// The mask shown, for pictures.
    #[serde(skip)]
    pub found: Runs,
    /// The mask drawn, for pictures.
    #[serde(skip)]
    pub truth: Runs,
}

impl Case {
    /// Measures the mask that was shown. `None` where the two are on different grids.
    pub fn measure(
        question: Question,
        confidence: Confidence,
        found: &Mask,
        truth: &Mask,
        instances: Option<InstanceMatch>,
        tolerance_px: f64,
    ) -> Option<Self> {
        let overlap = overlap(found, truth)?;
        Some(Self {
            question,
            confidence,
            overlap,
            dice: dice(overlap),
            iou: iou(overlap),
            nsd: nsd(found, truth, tolerance_px),
            hd95_px: hd95_px(found, truth),
            instances,
            found: Runs::new(found),
            truth: Runs::new(truth),
        })
    }

    /// Whether the prompt is in the image.
    pub fn present(&self) -> bool {
        self.overlap.truth > 0
    }

    /// Whether anything was shown.
    pub fn shown(&self) -> bool {
        self.overlap.found > 0
    }
}
