//! Slices between drawn ones, by shape: the signed distances to the outlines of two masks, mixed by how near
//! each slice is (Raya and Udupa, IEEE Trans. Med. Imaging 1990). The result is an edit like any other.

use std::collections::BTreeMap;

use crate::compare::distances;
use crate::document::{Place, Segment, Segmentation};
use crate::edit::Edit;
use crate::error::SegmentationError;
use crate::runs::{Run, Runs};

/// Fills the slices between neighbouring drawn ones, at every frame; `spacing` is between columns and rows
/// (`[1.0, 1.0]` where it is not known). Slices that have pixels stay as they are.
///
/// # Errors
///
/// [`SegmentationError::NoSuchSegment`].
pub fn interpolate(
    segmentation: &Segmentation,
    index: usize,
    spacing: [f64; 2],
) -> Result<Edit, SegmentationError> {
    let old = segmentation
        .segments()
        .get(index)
        .ok_or(SegmentationError::NoSuchSegment { index })?;
    let width = segmentation.grid().columns;
    let mut new = BTreeMap::new();
    for frame in 0..segmentation.grid().frames {
        let slices: Vec<usize> = old
            .masks()
            .filter(|(place, _)| place.frame == frame)
            .map(|(place, _)| place.slice)
            .collect();
        for (&first, &second) in slices.iter().zip(slices.iter().skip(1)) {
            if second - first > 1 {
                between(old, frame, [first, second], width, spacing, &mut new);
            }
        }
    }
    Ok(Edit::between(index, old, new))
}

/// The slices between two.
fn between(
    segment: &Segment,
    frame: usize,
    [first, second]: [usize; 2],
    width: usize,
    spacing: [f64; 2],
    new: &mut BTreeMap<Place, Runs>,
) {
    let runs = |slice| segment.runs(Place { slice, frame });
    let (Some(a), Some(b)) = (runs(first), runs(second)) else {
        return;
    };
    // What is between lies within the box around both, as a mixture is negative only where one of them is.
    let (mut left, mut right, mut top, mut bottom) = (usize::MAX, 0, usize::MAX, 0);
    for (row, start, end) in a.rows(width).chain(b.rows(width)) {
        (left, right) = (left.min(start), right.max(end));
        (top, bottom) = (top.min(row), bottom.max(row + 1));
    }
    let size = [right - left + 2, bottom - top + 2, 1];
    let signed = |runs: &Runs| -> Vec<f64> {
        let mut inside = vec![false; size[0] * size[1]];
        for (row, start, end) in runs.rows(width) {
            let at = (row - top + 1) * size[0] + start - left + 1;
            inside
                .get_mut(at..at + end - start)
                .unwrap_or_default()
                .fill(true);
        }
        let outside: Vec<bool> = inside.iter().map(|is| !is).collect();
        let spacing = [spacing[0], spacing[1], 1.0];
        let to_inside = distances(&inside, size, spacing);
        let to_outside = distances(&outside, size, spacing);
        to_inside
            .into_iter()
            .zip(to_outside)
            .map(|(to_inside, to_outside)| to_inside - to_outside)
            .collect()
    };
    let (a, b) = (signed(a), signed(b));
    for slice in first + 1..second {
        let part = (slice - first) as f64 / (second - first) as f64;
        let pixels = a
            .iter()
            .zip(&b)
            .enumerate()
            .filter(|&(_, (a, b))| (1.0 - part) * a + part * b < 0.0)
            .map(|(at, _)| {
                let (column, row) = (at % size[0] + left - 1, at / size[0] + top - 1);
                (row * width + column) as u32
            });
        let runs = Runs::of_sorted(pixels.map(|start| Run {
            start,
            end: start + 1,
        }));
        new.insert(Place { slice, frame }, runs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Grid;
    use crate::origin::Origin;

    #[test]
    fn five_of_fifty_slices_make_a_smooth_shape() {
        let grid = Grid {
            columns: 96,
            rows: 80,
            slices: 50,
            frames: 1,
        };
        // An oblique ellipsoid.
        let inside = |x: f64, y: f64, z: f64| {
            let (u, v) = (x - 48.0 - 0.2 * (z - 25.0), y - 40.0 + 0.3 * (z - 25.0));
            (u / 30.0).powi(2) + (v / 20.0).powi(2) + ((z - 25.0) / 27.0).powi(2) <= 1.0
        };
        let mask = |slice: usize| {
            Runs::of_bits(
                (0..96 * 80).map(|at| inside((at % 96) as f64, (at / 96) as f64, slice as f64)),
            )
        };
        let mut document = Segmentation::on(grid);
        document.add(Segment::new("spleen", Origin::of_person()));
        for slice in [0, 12, 25, 37, 49] {
            document
                .set_runs(0, Place { slice, frame: 0 }, mask(slice))
                .unwrap();
        }
        let before = document.clone();
        let edit = interpolate(&document, 0, [1.0, 1.0]).unwrap();
        edit.apply(&mut document).unwrap();
        let (mut both, mut sum) = (0, 0);
        for slice in 0..50 {
            let (found, truth) = (
                document.segments()[0].runs(Place { slice, frame: 0 }),
                mask(slice),
            );
            let found = found.cloned().unwrap_or_default();
            both += found.intersection(&truth).count();
            sum += found.count() + truth.count();
        }
        let dice = 2.0 * both as f64 / sum as f64;
        assert!(dice > 0.95, "{dice}");
        edit.inverse().apply(&mut document).unwrap();
        assert_eq!(document, before);
    }
}
