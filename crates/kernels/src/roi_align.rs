//! Values of a map at points and in boxes (`torch.nn.functional.grid_sample` and `torchvision.ops.roi_align`).
//!
//! Where to look is known on the host, so that a sum of cells is a row of weights and the lookup one matrix product, by the
//! kernels and their CPU twins that every product has. Weights are computed in f32 as there.

use crate::matmul;
use burn::tensor::{Tensor, TensorData};

/// Bilinear samples of `map` `[b, h, w, c]` at `n` points for each row, x and y in 0..1 of the sides: `[b, n, c]`. Cells
/// outside count as zero, corners are not aligned.
///
/// # Panics
/// When rows have differing numbers of points.
pub fn grid_sample(map: Tensor<4>, points: &[Vec<[f32; 2]>]) -> Tensor<3> {
    let [_, h, w, _] = map.dims();
    let row = |point: &[f32; 2]| {
        // The reference goes through -1..1.
        let place = |share: f32, extent: usize| {
            let grid = share * 2.0 - 1.0;
            ((grid + 1.0) * extent as f32 - 1.0) / 2.0
        };
        let (x, y) = (place(point[0], w), place(point[1], h));
        outer(&between(y, h), &between(x, w))
    };
    weighted(map, points, row)
}

/// Means over `side x side` bins of boxes, each box left, top, right, bottom in cells of `map` `[b, h, w, c]`:
/// `[b, n, side, side, c]`. As many samples per bin as it covers cells, no shift by half a cell.
///
/// # Panics
/// When rows have differing numbers of boxes.
pub fn roi_align(map: Tensor<4>, boxes: &[Vec<[f32; 4]>], side: usize) -> Tensor<5> {
    let [b, h, w, c] = map.dims();
    let count = boxes.first().map_or(0, Vec::len);
    let weights = |[left, top, right, bottom]: &[f32; 4]| {
        let rows = bins(*top, *bottom, side, h);
        let columns = bins(*left, *right, side, w);
        let all = rows
            .iter()
            .flat_map(|row| columns.iter().map(move |column| outer(row, column)));
        all.flatten().collect()
    };
    weighted(map, boxes, weights).reshape([b, count, side, side, c])
}

/// Weights of `extent` cells around a place; none outside.
fn between(place: f32, extent: usize) -> Vec<f32> {
    let low = place.floor();
    let share = place - low;
    let mut weights = vec![0.0; extent];
    for (cell, weight) in [(low, 1.0 - share), (low + 1.0, share)] {
        if cell >= 0.0 && (cell as usize) < extent {
            weights[cell as usize] += weight;
        }
    }
    weights
}

/// Weights of `extent` cells for each of `side` bins from `first` to `last`.
fn bins(first: f32, last: f32, side: usize, extent: usize) -> Vec<Vec<f32>> {
    let length = (last - first).max(1.0);
    let bin = length / side as f32;
    let samples = (length / side as f32).ceil() as usize;
    (0..side)
        .map(|index| {
            let mut weights = vec![0.0; extent];
            for sample in 0..samples {
                let within = (sample as f32 + 0.5) * bin / samples as f32;
                let place = first + index as f32 * bin + within;
                if place < -1.0 || place > extent as f32 {
                    continue;
                }
                let place = place.max(0.0);
                let low = (place as usize).min(extent - 1);
                let share = if low + 1 >= extent {
                    0.0
                } else {
                    place - low as f32
                };
                weights[low] += (1.0 - share) / samples as f32;
                if share > 0.0 {
                    weights[low + 1] += share / samples as f32;
                }
            }
            weights
        })
        .collect()
}

fn outer(rows: &[f32], columns: &[f32]) -> Vec<f32> {
    rows.iter()
        .flat_map(|row| columns.iter().map(move |column| row * column))
        .collect()
}

/// Sums of the cells of `map`, with the weights that `of` gives for each item: one row of cells or several.
fn weighted<T>(map: Tensor<4>, items: &[Vec<T>], of: impl Fn(&T) -> Vec<f32>) -> Tensor<3> {
    let [b, h, w, c] = map.dims();
    assert_eq!(items.len(), b, "a list for each row");
    let device = map.device();
    let weights: Vec<f32> = items.iter().flatten().flat_map(of).collect();
    let rows = weights.len() / (b * h * w);
    let weights = Tensor::from_data(TensorData::new(weights, [b, rows, h * w]), &device);
    matmul(weights, map.reshape([b, h * w, c]))
}
