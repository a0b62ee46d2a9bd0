//! Two segments at one frame of a series, in three dimensions: distances between the voxels of their surfaces
//! (those with one of six neighbours outside), in mm where the series is calibrated, else in pixels and slices.

use medsam3_imaging::series::Series;
use serde::Serialize;

use super::distance::distances;
use super::overlap::{Overlap, dice, iou};
use super::surface::percentile;
use crate::document::Segment;
use crate::error::SegmentationError;

/// Voxels of the box around both segments beyond which distances are not computed.
const MAX_VOXELS: usize = if cfg!(target_arch = "wasm32") {
    1 << 25
} else {
    1 << 28
};

/// A segment compared with a reference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Voxels of the segment, of the reference and of both.
    pub overlap: Overlap,
    /// `2 |A and B| / (|A| + |B|)`; 1 where both are empty.
    pub dice: f64,
    /// `|A and B| / |A or B|`; 1 where both are empty.
    pub iou: f64,
    /// The greater of the two directed 95th percentiles of surface distances; `None` where one is empty.
    pub hd95: Option<f64>,
    /// Share of the voxels of both surfaces that lie within the tolerance of the other surface.
    pub nsd: Option<f64>,
    /// What `nsd` tolerates.
    pub tolerance: f64,
    /// `"mm"`, or `"px"` where the series is not calibrated.
    pub unit: &'static str,
}

/// Compares two segments of a series at one frame. `tolerance` is in mm, in pixels where the series is not
/// calibrated.
///
/// # Errors
///
/// [`SegmentationError::TooLarge`] where distances would take too much memory.
pub fn compare(
    series: &Series,
    segment: &Segment,
    reference: &Segment,
    frame: usize,
    tolerance: f64,
) -> Result<Comparison, SegmentationError> {
    let overlap = count(segment, reference, frame);
    let spacing = match series.spacing_mm() {
        Some([Some(column), Some(row), Some(slice)]) => Some([column, row, slice]),
        Some([Some(column), Some(row), None]) if series.slices() == 1 => Some([column, row, 1.0]),
        _ => None,
    };
    let mut comparison = Comparison {
        overlap,
        dice: dice(overlap),
        iou: iou(overlap),
        hd95: None,
        nsd: None,
        tolerance,
        unit: if spacing.is_some() { "mm" } else { "px" },
    };
    if overlap.found == 0 || overlap.truth == 0 {
        return Ok(comparison);
    }
    let cells = Cells::around(series, segment, reference, frame)?;
    let spacing = spacing.unwrap_or([1.0; 3]);
    let a = cells.surface(segment, frame);
    let b = cells.surface(reference, frame);
    let mut to_b = cells.distances_at(&a, &b, spacing);
    let mut to_a = cells.distances_at(&b, &a, spacing);
    let near = |all: &[f64]| {
        all.iter()
            .filter(|&&distance| distance <= tolerance)
            .count()
    };
    let share = (near(&to_a) + near(&to_b)) as f64 / (to_a.len() + to_b.len()) as f64;
    comparison.nsd = Some(share);
    comparison.hd95 = Some(percentile(&mut to_a, 0.95).max(percentile(&mut to_b, 0.95)));
    Ok(comparison)
}

fn count(segment: &Segment, reference: &Segment, frame: usize) -> Overlap {
    let size = |segment: &Segment| {
        let masks = segment.masks().filter(|(place, _)| place.frame == frame);
        masks.map(|(_, runs)| runs.count()).sum()
    };
    let both = segment
        .masks()
        .filter(|(place, _)| place.frame == frame)
        .filter_map(|(place, runs)| Some(runs.intersection(reference.runs(place)?).count()))
        .sum();
    Overlap {
        found: size(segment),
        truth: size(reference),
        both,
    }
}

/// The box around both segments, with an empty cell at every side.
struct Cells {
    /// First column, row and slice of the box.
    start: [usize; 3],
    /// Columns, rows and slices with the empty ones.
    size: [usize; 3],
    width: usize,
    /// Of each slice of the series, its index on the grid.
    grid: Vec<usize>,
}

impl Cells {
    fn around(
        series: &Series,
        segment: &Segment,
        reference: &Segment,
        frame: usize,
    ) -> Result<Self, SegmentationError> {
        let width = series.columns();
        let grid: Vec<usize> = (0..series.slices())
            .map(|slice| {
                let place = series.places().get(slice);
                place.and_then(|place| place.grid_index).unwrap_or(slice)
            })
            .collect();
        let mut low = [usize::MAX; 3];
        let mut high = [0; 3];
        for (place, runs) in segment.masks().chain(reference.masks()) {
            if place.frame != frame {
                continue;
            }
            let slice = grid.get(place.slice).copied().unwrap_or(place.slice);
            for (row, left, right) in runs.rows(width) {
                for (axis, (first, last)) in [(left, right - 1), (row, row), (slice, slice)]
                    .into_iter()
                    .enumerate()
                {
                    low[axis] = low[axis].min(first);
                    high[axis] = high[axis].max(last);
                }
            }
        }
        let size = [0, 1, 2].map(|axis| high[axis] - low[axis] + 3);
        let voxels = size
            .iter()
            .fold(1usize, |product, &side| product.saturating_mul(side));
        if voxels > MAX_VOXELS {
            return Err(SegmentationError::TooLarge {
                format: "a comparison of surfaces",
                needed: voxels as u64,
                limit: MAX_VOXELS as u64,
            });
        }
        Ok(Self {
            start: low,
            size,
            width,
            grid,
        })
    }

    /// The voxels of a segment that have one of their six neighbours outside.
    fn surface(&self, segment: &Segment, frame: usize) -> Vec<bool> {
        let [width, height, depth] = self.size;
        let mut inside = vec![false; width * height * depth];
        for (place, runs) in segment.masks().filter(|(place, _)| place.frame == frame) {
            let slice = self.grid.get(place.slice).copied().unwrap_or(place.slice);
            for (row, left, right) in runs.rows(self.width) {
                let [x, y, z] = self.start;
                let start = ((slice - z + 1) * height + row - y + 1) * width + left - x + 1;
                inside[start..start + right - left].fill(true);
            }
        }
        let steps = [1, width, width * height];
        let surrounded = |at: usize| {
            steps
                .iter()
                .all(|step| inside[at - step] && inside[at + step])
        };
        (0..inside.len())
            .map(|at| inside[at] && !surrounded(at))
            .collect()
    }

    /// Distances to the nearest of `to`, at every cell of `from`.
    fn distances_at(&self, from: &[bool], to: &[bool], spacing: [f64; 3]) -> Vec<f64> {
        distances(to, self.size, spacing)
            .into_iter()
            .zip(from)
            .filter(|(_, is)| **is)
            .map(|(distance, _)| distance)
            .collect()
    }
}
