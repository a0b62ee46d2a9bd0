//! Group norm over channels-last maps, with the ReLU that follows it.

use super::threads::{for_chunks, map};
use super::view::{Dense, change};
use burn::tensor::Tensor;
use macerator::Simd;

/// Cells whose sums a thread takes at a time.
const CELLS: usize = 1024;

/// Gives `x` back where it does not apply; otherwise the norm of `x` `[b, h, w, c]` in `groups` groups of channels, times `gamma` plus `beta` `[c]`, then ReLU where `relu`.
pub fn group_norm(
    x: Tensor<4>,
    groups: usize,
    gamma: &Tensor<1>,
    beta: &Tensor<1>,
    epsilon: f64,
    relu: bool,
) -> Result<Tensor<4>, Tensor<4>> {
    let [b, h, w, c] = x.dims();
    if groups == 0 || c % groups != 0 || b * h * w == 0 {
        return Err(x);
    }
    let (Some(gamma), Some(beta)) = (Dense::of(gamma.clone()), Dense::of(beta.clone())) else {
        return Err(x);
    };
    change(x, |values| {
        for image in values.chunks_mut(h * w * c) {
            let mean = group_means(image, c, groups, &vec![0.0; c], false);
            let variance = group_means(image, c, groups, &mean, true);
            let scale: Vec<f32> = variance
                .iter()
                .zip(gamma.values())
                .map(|(variance, gamma)| gamma / (f64::from(*variance) + epsilon).sqrt() as f32)
                .collect();
            for_chunks(image, CELLS * c, |_, part| {
                normalise(part, &mean, &scale, beta.values(), relu);
            });
        }
    })
}

/// For each channel the mean over its group of `x - centre`, or of its square.
fn group_means(image: &[f32], c: usize, groups: usize, centre: &[f32], squared: bool) -> Vec<f32> {
    let cells = image.len() / c;
    let parts = map(cells.div_ceil(CELLS), |i| {
        let end = ((i + 1) * CELLS).min(cells);
        let mut sums = vec![0.0; c];
        sum(&image[i * CELLS * c..end * c], centre, squared, &mut sums);
        sums
    });
    let width = c / groups;
    (0..groups)
        .flat_map(|group| {
            let total: f64 = parts
                .iter()
                .flat_map(|sums| &sums[group * width..(group + 1) * width])
                .map(|sum| f64::from(*sum))
                .sum();
            std::iter::repeat_n((total / (cells * width) as f64) as f32, width)
        })
        .collect()
}

#[macerator::with_simd]
fn sum<S: Simd>(values: &[f32], centre: &[f32], squared: bool, sums: &mut [f32]) {
    for cell in values.chunks_exact(centre.len()) {
        for ((sum, value), centre) in sums.iter_mut().zip(cell).zip(centre) {
            let value = value - centre;
            *sum += if squared { value * value } else { value };
        }
    }
}

#[macerator::with_simd]
fn normalise<S: Simd>(values: &mut [f32], mean: &[f32], scale: &[f32], beta: &[f32], relu: bool) {
    for cell in values.chunks_exact_mut(mean.len()) {
        for (((value, mean), scale), beta) in cell.iter_mut().zip(mean).zip(scale).zip(beta) {
            let normed = (*value - mean) * scale + beta;
            *value = if relu && normed < 0.0 { 0.0 } else { normed };
        }
    }
}
