//! Bilinear resizing of masks as PyTorch's `interpolate` does it (corners not aligned): one matrix per axis, whose
//! weights are computed in f32 as there, so that a position between two cells rounds the same way.

use burn::tensor::{Device, Tensor, TensorData};
use medsam3_kernels::{Activation, linear};

/// How a pixel of the result is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// From its two neighbours along each axis, however far apart the result's pixels are.
    Plain,
    /// From all cells that it covers (`antialias=True`); the same as plain where the map grows.
    Antialiased,
}

/// `[b, h, w] -> [b, height, width]`
pub fn bilinear(x: Tensor<3>, [height, width]: [usize; 2], filter: Filter) -> Tensor<3> {
    let [_, h, w] = x.dims();
    let device = x.device();
    let mut x = x;
    if w != width {
        x = along_last(x, w, width, filter, &device);
    }
    if h != height {
        x = along_last(x.swap_dims(1, 2), h, height, filter, &device).swap_dims(1, 2);
    }
    x
}

fn along_last(x: Tensor<3>, from: usize, to: usize, filter: Filter, device: &Device) -> Tensor<3> {
    let values = match filter {
        Filter::Plain => plain(from, to),
        Filter::Antialiased => antialiased(from, to),
    };
    let matrix = Tensor::from_data(TensorData::new(values, [from, to]), device);
    linear(x, matrix, None, Activation::None)
}

/// `[from, to]`: two weights in each column.
fn plain(from: usize, to: usize) -> Vec<f32> {
    let scale = from as f32 / to as f32;
    let mut matrix = vec![0.0; from * to];
    for target in 0..to {
        let place = (scale * (target as f32 + 0.5) - 0.5).max(0.0);
        let low = (place as usize).min(from - 1);
        let high = (low + 1).min(from - 1);
        let second = (place - low as f32).min(1.0);
        matrix[low * to + target] += 1.0 - second;
        matrix[high * to + target] += second;
    }
    matrix
}

/// `[from, to]`: a triangle over the cells that a pixel covers.
fn antialiased(from: usize, to: usize) -> Vec<f32> {
    let scale = from as f32 / to as f32;
    let support = scale.max(1.0);
    let steepness = 1.0 / support;
    let mut matrix = vec![0.0; from * to];
    for target in 0..to {
        let centre = scale * (target as f32 + 0.5);
        let first = (centre - support + 0.5).max(0.0) as usize;
        let last = ((centre + support + 0.5) as usize).min(from);
        let weight = |cell: usize| {
            let distance = (cell as f32 - centre + 0.5) * steepness;
            (1.0 - distance.abs()).max(0.0)
        };
        let total: f32 = (first..last).map(weight).sum();
        for cell in first..last {
            matrix[cell * to + target] = weight(cell) / total;
        }
    }
    matrix
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `torch.nn.functional.interpolate` (2.15) on `[[1, 5, 2, 8]]`, width 4 to 6 and 7 to 3.
    #[test]
    fn weights_are_those_of_pytorch() {
        let row = |values: &[f32], to: usize, filter| {
            let x = Tensor::<3>::from_data(
                TensorData::new(values.to_vec(), [1, 1, values.len()]),
                &Device::flex(),
            );
            bilinear(x, [1, to], filter)
                .into_data()
                .iter::<f32>()
                .collect::<Vec<_>>()
        };
        let near = |ours: Vec<f32>, theirs: &[f32]| {
            assert_eq!(ours.len(), theirs.len());
            for (a, b) in ours.iter().zip(theirs) {
                assert!((a - b).abs() < 1e-5, "{ours:?} {theirs:?}");
            }
        };
        let wider = [1.0, 3.0, 4.5, 2.5, 5.0, 8.0];
        near(row(&[1., 5., 2., 8.], 6, Filter::Plain), &wider);
        near(row(&[1., 5., 2., 8.], 6, Filter::Antialiased), &wider);
        let values = [1., 5., 2., 8., 3., 9., 4.];
        near(
            row(&values, 3, Filter::Plain),
            &[3.666_666_5, 8.0, 7.333_335],
        );
        let covered = [2.928_571_5, 5.294_118, 5.928_571_7];
        near(row(&values, 3, Filter::Antialiased), &covered);
    }
}
