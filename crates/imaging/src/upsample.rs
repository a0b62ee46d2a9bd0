//! Mask logits to a mask at the image's own size: torch `interpolate(mode="bilinear",
//! align_corners=False)` without antialias, then a threshold. In `[grid_h, grid_w]` logits, out
//! `[height, width]` bits. The logits are resized, not the probabilities, as Meta's postprocessing does.

use crate::Mask;

/// Resizes logits and keeps pixels whose probability is above `threshold` (0.5 keeps logits above 0).
///
/// A size that does not match `logits`, or an empty one, gives an empty mask of the size asked for.
pub fn mask_from_logits(
    logits: &[f32],
    grid_w: usize,
    grid_h: usize,
    width: usize,
    height: usize,
    threshold: f32,
) -> Mask {
    let mut mask = Mask::empty(width, height);
    if logits.is_empty() || grid_w.checked_mul(grid_h) != Some(logits.len()) {
        return mask;
    }
    let cut = logit(threshold);
    let columns: Vec<Sample> = (0..width).map(|x| Sample::new(x, grid_w, width)).collect();
    for (y, bits) in mask.bits.chunks_exact_mut(width.max(1)).enumerate() {
        let row = Sample::new(y, grid_h, height);
        let low = row_of(logits, grid_w, row.low);
        let high = row_of(logits, grid_w, row.high);
        for (bit, column) in bits.iter_mut().zip(&columns) {
            let top = column.blend(low);
            let bottom = column.blend(high);
            *bit = u8::from(row.low_weight * top + row.high_weight * bottom > cut);
        }
    }
    mask
}

/// The logit whose sigmoid is `probability`.
fn logit(probability: f32) -> f32 {
    if probability == 0.5 {
        0.0
    } else {
        (probability / (1.0 - probability)).ln()
    }
}

fn row_of(logits: &[f32], grid_w: usize, row: usize) -> &[f32] {
    logits.chunks_exact(grid_w).nth(row).unwrap_or_default()
}

/// Two neighbours on one axis and how much of each.
struct Sample {
    low: usize,
    high: usize,
    low_weight: f32,
    high_weight: f32,
}

impl Sample {
    /// Half-pixel centres, clamped at the edges, in f32 as torch computes them.
    fn new(index: usize, input: usize, output: usize) -> Self {
        let scale = input as f32 / output as f32;
        let position = (scale * (index as f32 + 0.5) - 0.5).max(0.0);
        let low = (position as usize).min(input.saturating_sub(1));
        let high_weight = (position - low as f32).clamp(0.0, 1.0);
        Self {
            low,
            high: (low + 1).min(input.saturating_sub(1)),
            low_weight: 1.0 - high_weight,
            high_weight,
        }
    }

    fn blend(&self, row: &[f32]) -> f32 {
        let at = |index: usize| row.get(index).copied().unwrap_or_default();
        self.low_weight * at(self.low) + self.high_weight * at(self.high)
    }
}

#[cfg(test)]
mod tests {
    use super::mask_from_logits;

    #[test]
    fn threshold_is_a_probability() {
        let logits = [-2.0, -0.1, 0.1, 2.0];
        let bits = |threshold| mask_from_logits(&logits, 4, 1, 4, 1, threshold).bits;
        assert_eq!(bits(0.5), [0, 0, 1, 1]);
        assert_eq!(bits(0.3), [0, 1, 1, 1]);
        assert_eq!(bits(0.8), [0, 0, 0, 1]);
        assert_eq!(bits(1.0), [0, 0, 0, 0]);
        assert_eq!(bits(0.0), [1, 1, 1, 1]);
    }

    #[test]
    fn sizes_that_do_not_match_give_an_empty_mask() {
        let mask = mask_from_logits(&[1.0; 3], 2, 2, 5, 4, 0.5);
        assert_eq!((mask.width, mask.height, mask.area_px()), (5, 4, 0));
        assert_eq!(mask_from_logits(&[], 0, 0, 0, 0, 0.5).bits.len(), 0);
    }
}
