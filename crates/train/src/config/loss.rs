//! Factors of the loss terms and the numbers of the one-to-many part.

use serde::{Deserialize, Serialize};

/// Factors of the loss terms; the defaults are those of the reference configuration.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LossWeights {
    /// L1 of matched boxes (cxcywh).
    pub box_l1: f32,
    /// 1 - GIoU of matched boxes.
    pub box_giou: f32,
    /// IoU-aware classification of queries.
    pub classification: f32,
    /// Image-level presence.
    pub presence: f32,
    /// Focal loss of matched instance masks.
    pub mask_focal: f32,
    /// Dice loss of matched instance masks.
    pub mask_dice: f32,
    /// Focal loss of the semantic mask.
    pub semantic_focal: f32,
    /// Dice loss of the semantic mask.
    pub semantic_dice: f32,
    /// Matched instances per prompt whose masks are scored.
    pub masks_per_prompt: usize,
    /// Whether the sum is multiplied by the square root of the number of prompts in the batch, as the reference does. It
    /// changes where the gradient is clipped, nothing else.
    pub scale_by_prompts: bool,
    /// The auxiliary one-to-many part; without it there is none.
    pub one_to_many: Option<OneToMany>,
}

/// The auxiliary one-to-many matching of a second copy of the queries (reference 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OneToMany {
    /// Queries per object that may be positive.
    pub per_object: usize,
    /// Share of the score in what is ranked; the rest is IoU.
    pub alpha: f32,
    /// Positive only above this.
    pub threshold: f32,
    /// Factor on its box and classification terms.
    pub weight: f32,
    /// Whether auxiliary layers are matched one to many too; the reference matches them one to one.
    pub on_auxiliary_layers: bool,
}

impl Default for OneToMany {
    fn default() -> Self {
        Self {
            per_object: 4,
            alpha: 0.3,
            threshold: 0.4,
            weight: 2.0,
            on_auxiliary_layers: false,
        }
    }
}

impl Default for LossWeights {
    fn default() -> Self {
        Self {
            box_l1: 5.0,
            box_giou: 2.0,
            classification: 20.0,
            presence: 20.0,
            mask_focal: 200.0,
            mask_dice: 10.0,
            semantic_focal: 20.0,
            semantic_dice: 30.0,
            masks_per_prompt: 8,
            scale_by_prompts: false,
            one_to_many: None,
        }
    }
}
