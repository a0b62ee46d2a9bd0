//! How far the outlines of two masks lie apart, in pixels: the 95th percentile of the Hausdorff distance (as MONAI
//! computes it, on boundary pixels) and the normalised surface distance (Nikolov et al. 2018, on boundary segments).

use medsam3_imaging::Mask;

use super::distance::distances;

/// Two masks on the smallest grid that holds both, with one empty cell all around.
struct Pair {
    width: usize,
    found: Vec<bool>,
    truth: Vec<bool>,
}

impl Pair {
    /// `None` where either is empty or they share no grid.
    fn new(found: &Mask, truth: &Mask) -> Option<Self> {
        if (found.width, found.height) != (truth.width, truth.height) {
            return None;
        }
        let (a, b) = (found.bounding_box()?, truth.bounding_box()?);
        let (left, right) = (a.left.min(b.left), a.right.max(b.right));
        let (top, bottom) = (a.top.min(b.top), a.bottom.max(b.bottom));
        let width = right - left + 2;
        let crop = |mask: &Mask| {
            let mut cells = vec![false; width * (bottom - top + 2)];
            let rows = mask.bits.chunks_exact(mask.width).take(bottom).skip(top);
            for (row, cells) in rows.zip(cells.chunks_exact_mut(width).skip(1)) {
                for (bit, cell) in row[left..right].iter().zip(&mut cells[1..]) {
                    *cell = *bit != 0;
                }
            }
            cells
        };
        Some(Self {
            width,
            found: crop(found),
            truth: crop(truth),
        })
    }
}

/// What the surface distances are where one mask or both are empty: perfect where both are, the worst where one is.
fn when_empty(found: &Mask, truth: &Mask, perfect: f64, worst: f64) -> f64 {
    if found.area_px() == 0 && truth.area_px() == 0 {
        perfect
    } else {
        worst
    }
}

/// The greater of the two directed 95th percentiles of boundary distances, in pixels. Two empty masks are 0 apart; one empty
/// mask lies as far from the other as the image allows, its diagonal, so that a miss is counted and not skipped.
pub fn hd95_px(found: &Mask, truth: &Mask) -> f64 {
    let Some(pair) = Pair::new(found, truth) else {
        let diagonal = (truth.width as f64).hypot(truth.height as f64);
        return when_empty(found, truth, 0.0, diagonal);
    };
    let a = boundary_pixels(&pair.found, pair.width);
    let b = boundary_pixels(&pair.truth, pair.width);
    let directed = |from: &[bool], to: &[bool]| {
        let all = distances(to, plane(to, pair.width), [1.0; 3]);
        let mut of_boundary: Vec<f64> = all
            .into_iter()
            .zip(from)
            .filter(|(_, is)| **is)
            .map(|(distance, _)| distance)
            .collect();
        percentile(&mut of_boundary, 0.95)
    };
    directed(&a, &b).max(directed(&b, &a))
}

/// Share of both outlines, by length, that lies within `tolerance_px` of the other outline. 1 for two empty masks, 0 where
/// one is empty.
pub fn nsd(found: &Mask, truth: &Mask, tolerance_px: f64) -> f64 {
    let Some(pair) = Pair::new(found, truth) else {
        return when_empty(found, truth, 1.0, 0.0);
    };
    let a = segment_lengths(&pair.found, pair.width);
    let b = segment_lengths(&pair.truth, pair.width);
    let near = |from: &[f64], to: &[f64]| {
        let marked: Vec<bool> = to.iter().map(|&length| length > 0.0).collect();
        let all = distances(&marked, plane(&marked, pair.width - 1), [1.0; 3]);
        from.iter()
            .zip(all)
            .filter(|(_, distance)| *distance <= tolerance_px)
            .map(|(length, _)| length)
            .sum::<f64>()
    };
    let total = a.iter().sum::<f64>() + b.iter().sum::<f64>();
    (near(&a, &b) + near(&b, &a)) / total
}

/// Width, height and depth of cells of one picture.
fn plane(cells: &[bool], width: usize) -> [usize; 3] {
    [width, cells.len().checked_div(width).unwrap_or(0), 1]
}

/// Pixels of the mask with one of their four neighbours outside. The outermost cells are empty.
fn boundary_pixels(cells: &[bool], width: usize) -> Vec<bool> {
    let inside = |at: Option<usize>| at.and_then(|at| cells.get(at)).copied().unwrap_or(false);
    let surrounded = |at: usize| {
        inside(Some(at + 1))
            && inside(at.checked_sub(1))
            && inside(Some(at + width))
            && inside(at.checked_sub(width))
    };
    cells
        .iter()
        .enumerate()
        .map(|(at, &is)| is && !surrounded(at))
        .collect()
}

/// The outline's length within every block of 2 x 2 cells, `[height - 1, width - 1]`: the marching-squares line through it.
fn segment_lengths(cells: &[bool], width: usize) -> Vec<f64> {
    let below = cells.chunks_exact(width).skip(1);
    let blocks = cells
        .chunks_exact(width)
        .zip(below)
        .flat_map(|(upper, lower)| upper.windows(2).zip(lower.windows(2)));
    blocks
        .map(|(upper, lower)| match (upper, lower) {
            (&[a, b], &[c, d]) => segment_length([a, b, c, d]),
            _ => 0.0,
        })
        .collect()
}

fn segment_length([a, b, c, d]: [bool; 4]) -> f64 {
    match [a, b, c, d].into_iter().filter(|&is| is).count() {
        1 | 3 => std::f64::consts::FRAC_1_SQRT_2,
        2 if a == d => std::f64::consts::SQRT_2,
        2 => 1.0,
        _ => 0.0,
    }
}

/// The `share` quantile with linear interpolation between order statistics; 0 of nothing.
pub fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = share * values.len().saturating_sub(1) as f64;
    let at = |index: f64| values.get(index as usize).copied().unwrap_or(0.0);
    let (low, high) = (at(place.floor()), at(place.ceil()));
    low + (high - low) * place.fract()
}
