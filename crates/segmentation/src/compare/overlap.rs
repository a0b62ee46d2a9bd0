//! Overlap of two masks on the same pixels: Dice and intersection over union, per image.

use medsam3_imaging::Mask;
use serde::Serialize;

/// Pixel counts of two masks on one image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Overlap {
    /// Pixels of the answer.
    pub found: usize,
    /// Pixels of the ground truth.
    pub truth: usize,
    /// Pixels of both.
    pub both: usize,
}

/// Counts the pixels of `found`, of `truth` and of both. Masks of different sizes share no pixel grid: `None`.
pub fn overlap(found: &Mask, truth: &Mask) -> Option<Overlap> {
    if (found.width, found.height) != (truth.width, truth.height) {
        return None;
    }
    let both = found
        .bits
        .iter()
        .zip(&truth.bits)
        .filter(|&(&a, &b)| a != 0 && b != 0)
        .count();
    Some(Overlap {
        found: found.area_px(),
        truth: truth.area_px(),
        both,
    })
}

/// `2 |A and B| / (|A| + |B|)`; two empty masks agree entirely.
pub fn dice(overlap: Overlap) -> f64 {
    let sum = overlap.found + overlap.truth;
    if sum == 0 {
        1.0
    } else {
        2.0 * overlap.both as f64 / sum as f64
    }
}

/// `|A and B| / |A or B|`; two empty masks agree entirely.
pub fn iou(overlap: Overlap) -> f64 {
    let union = overlap.found + overlap.truth - overlap.both;
    if union == 0 {
        1.0
    } else {
        overlap.both as f64 / union as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(bits: &[u8]) -> Mask {
        Mask {
            width: bits.len(),
            height: 1,
            bits: bits.to_vec(),
        }
    }

    #[test]
    fn overlap_metrics_match_sklearn() {
        // sklearn.metrics.f1_score and jaccard_score of [1,1,1,0,0,1] against [1,0,1,1,0,1]: 0.75 and 0.6
        let counts =
            overlap(&mask(&[1, 1, 1, 0, 0, 1]), &mask(&[1, 0, 1, 1, 0, 1])).expect("same size");
        assert!((dice(counts) - 0.75).abs() < 1e-12);
        assert!((iou(counts) - 0.6).abs() < 1e-12);
    }

    #[test]
    fn empty_masks_agree_and_sizes_must() {
        let empty = overlap(&mask(&[0, 0]), &mask(&[0, 0])).expect("same size");
        assert_eq!((dice(empty), iou(empty)), (1.0, 1.0));
        let missed = overlap(&mask(&[0, 0]), &mask(&[0, 1])).expect("same size");
        assert_eq!((dice(missed), iou(missed)), (0.0, 0.0));
        assert_eq!(overlap(&mask(&[0]), &mask(&[0, 1])), None);
    }
}
