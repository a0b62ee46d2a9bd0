//! Focal and dice loss of masks (reference 5.1), for matched instances (α = 0.25) and the semantic mask (α = 0.6).
//!
//! Targets live on the mask grid as the share of each cell that is covered, so that nothing is up-sampled to be scored.

use burn::tensor::Tensor;

use super::elementwise::{dice, focal};

/// Sums over masks; the caller divides by the number of objects or rows.
#[derive(Debug, Clone)]
pub struct MaskLosses {
    /// Focal loss, mean over pixels, summed over masks; scalar.
    pub focal: Tensor<1>,
    /// Dice loss, summed over masks; scalar.
    pub dice: Tensor<1>,
}

/// Scores `logits` against `targets` (0..1), both `[masks, cells]` with at least one mask.
pub fn mask_losses(logits: Tensor<2>, targets: Tensor<2>, alpha: f32) -> MaskLosses {
    MaskLosses {
        focal: focal(logits.clone(), targets.clone(), alpha)
            .mean_dim(1)
            .sum(),
        dice: dice(logits, targets).sum(),
    }
}
