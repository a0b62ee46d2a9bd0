//! What the paper reports for datasets that this corpus has too: Medical SAM3 (arXiv 2601.10880), text prompts alone, the
//! single best mask above a score of 0.1, images without the target left out. Dice of the tables, IoU and number of images of
//! the released per-image results where there are any.

use serde::Serialize;

/// Published values of one dataset.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Published {
    /// Folder in the corpus.
    pub dataset: &'static str,
    /// The paper's name.
    pub name: &'static str,
    /// The paper's prompt.
    pub prompt: &'static str,
    /// Whether the paper trained on its training part.
    pub trained_on: bool,
    /// Dice of SAM 3 before fine-tuning.
    pub sam3_dice: f64,
    /// Dice of Medical SAM3.
    pub dice: f64,
    /// IoU of Medical SAM3.
    pub iou: Option<f64>,
    /// Images.
    pub images: Option<usize>,
    /// How our images differ from the paper's.
    pub differs: &'static str,
}

const VESSELS: &str = "Retinal Blood Vessel";

const PUBLISHED: [Published; 5] = [
    Published {
        dataset: "drive",
        name: "DRIVE",
        prompt: VESSELS,
        trained_on: true,
        sam3_dice: 0.248,
        dice: 0.558,
        iou: None,
        images: None,
        differs: "the official 20 test images; the paper's split is not stated",
    },
    Published {
        dataset: "chase_db1",
        name: "CHASE_DB1",
        prompt: VESSELS,
        trained_on: false,
        sam3_dice: 0.179,
        dice: 0.6258,
        iou: Some(0.4567),
        images: Some(28),
        differs: "the paper measures all 28 images, never trained on",
    },
    Published {
        dataset: "stare",
        name: "STARE",
        prompt: VESSELS,
        trained_on: false,
        sam3_dice: 0.186,
        dice: 0.5441,
        iou: Some(0.3784),
        images: Some(20),
        differs: "10 of the 20 images",
    },
    Published {
        dataset: "hc18",
        name: "HC18",
        prompt: "fetal head",
        trained_on: false,
        sam3_dice: 0.239,
        dice: 0.926,
        iou: None,
        images: None,
        differs: "one image for each of 240 patient numbers",
    },
    Published {
        dataset: "ph2_derm",
        name: "PH2",
        prompt: "Skin Lesion",
        trained_on: false,
        sam3_dice: 0.184,
        dice: 0.9271,
        iou: Some(0.8746),
        images: Some(200),
        differs: "the paper measures all 200 images, never trained on",
    },
];

/// The paper's values for a dataset of the corpus.
pub fn published(dataset: &str) -> Option<&'static Published> {
    PUBLISHED.iter().find(|entry| entry.dataset == dataset)
}
