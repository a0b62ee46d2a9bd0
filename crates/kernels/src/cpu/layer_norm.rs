//! Layer norm over rows and its gradient, each in one pass over the rows.

use super::threads;
use super::view::{Dense, tensor};
use burn::tensor::Tensor;
use macerator::Simd;

/// Rows that a thread takes at a time.
const ROWS: usize = 64;
/// Sums that run side by side, so that they become vectors.
const LANES: usize = 16;

/// Mean and `1 / sqrt(variance + epsilon)` of every row.
pub(crate) type Moments = Vec<[f32; 2]>;

/// The norm of every row of `x` `[rows, width]` times `gamma` plus `beta` `[width]`, and the moments of the rows.
pub(crate) fn layer_norm(
    x: &Tensor<2>,
    gamma: &Tensor<1>,
    beta: &Tensor<1>,
    epsilon: f32,
) -> Option<(Tensor<2>, Moments)> {
    let [rows, width] = x.dims();
    if rows * width == 0 || gamma.dims() != [width] || beta.dims() != [width] {
        return None;
    }
    let device = x.device();
    let x = Dense::of(x.clone())?;
    let (gamma, beta) = (Dense::of(gamma.clone())?, Dense::of(beta.clone())?);
    let moments: Moments = threads::map(rows.div_ceil(ROWS), |i| {
        let part = i * ROWS * width..rows.min((i + 1) * ROWS) * width;
        moments(&x.values()[part], width, epsilon)
    })
    .concat();
    let mut out = vec![0.0; rows * width];
    threads::for_chunks(&mut out, ROWS * width, |i, out| {
        let x = &x.values()[i * ROWS * width..];
        normalise(out, x, &moments[i * ROWS..], gamma.values(), beta.values());
    });
    Some((tensor(out, [rows, width], &device), moments))
}

/// Gradients of `x`, `gamma` and `beta` from that of [`layer_norm`]'s result.
pub(crate) fn layer_norm_gradient(
    gradient: &Tensor<2>,
    x: &Tensor<2>,
    gamma: &Tensor<1>,
    moments: &[[f32; 2]],
) -> Option<(Tensor<2>, Tensor<1>, Tensor<1>)> {
    let [rows, width] = x.dims();
    let device = x.device();
    let (x, gradient, gamma) = (
        Dense::of(x.clone())?,
        Dense::of(gradient.clone())?,
        Dense::of(gamma.clone())?,
    );
    let parts = threads::map(rows.div_ceil(ROWS), |i| {
        let part = i * ROWS * width..rows.min((i + 1) * ROWS) * width;
        let mut sums = vec![0.0; 2 * width];
        let (of_gamma, of_beta) = sums.split_at_mut(width);
        let (g, x) = (&gradient.values()[part.clone()], &x.values()[part]);
        sum_columns(g, x, &moments[i * ROWS..], of_gamma, of_beta);
        sums
    });
    let mut sums = vec![0.0; 2 * width];
    for part in parts {
        for (sum, part) in sums.iter_mut().zip(part) {
            *sum += part;
        }
    }
    let mut out = vec![0.0; rows * width];
    threads::for_chunks(&mut out, ROWS * width, |i, out| {
        let part = i * ROWS * width..i * ROWS * width + out.len();
        let (g, x) = (&gradient.values()[part.clone()], &x.values()[part]);
        gradients(out, g, x, &moments[i * ROWS..], gamma.values());
    });
    let of_beta = sums.split_off(width);
    Some((
        tensor(out, [rows, width], &device),
        tensor(sums, [width], &device),
        tensor(of_beta, [width], &device),
    ))
}

/// Sum of `value` over pairs, in [`LANES`] sums side by side.
#[inline(always)]
fn sum_pairs(a: &[f32], b: &[f32], value: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (whole_a, rest_a) = a.as_chunks::<LANES>();
    let (whole_b, rest_b) = b.as_chunks::<LANES>();
    for (a, b) in whole_a.iter().zip(whole_b) {
        for lane in 0..LANES {
            sums[lane] += value(a[lane], b[lane]);
        }
    }
    let rest: f32 = rest_a.iter().zip(rest_b).map(|(a, b)| value(*a, *b)).sum();
    sums.iter().sum::<f32>() + rest
}

#[macerator::with_simd]
fn moments<S: Simd>(x: &[f32], width: usize, epsilon: f32) -> Moments {
    let share = 1.0 / width as f32;
    x.chunks_exact(width)
        .map(|row| {
            let mean = sum_pairs(row, row, |x, _| x) * share;
            let variance = sum_pairs(row, row, |x, _| (x - mean) * (x - mean)) * share;
            [mean, 1.0 / (variance + epsilon).sqrt()]
        })
        .collect()
}

#[macerator::with_simd]
fn normalise<S: Simd>(
    out: &mut [f32],
    x: &[f32],
    moments: &[[f32; 2]],
    gamma: &[f32],
    beta: &[f32],
) {
    let width = gamma.len();
    let rows = out.chunks_exact_mut(width).zip(x.chunks_exact(width));
    for ((out, x), [mean, scale]) in rows.zip(moments) {
        for (((out, x), gamma), beta) in out.iter_mut().zip(x).zip(gamma).zip(beta) {
            *out = (x - mean) * scale * gamma + beta;
        }
    }
}

#[macerator::with_simd]
fn sum_columns<S: Simd>(
    gradient: &[f32],
    x: &[f32],
    moments: &[[f32; 2]],
    of_gamma: &mut [f32],
    of_beta: &mut [f32],
) {
    let width = of_gamma.len();
    let rows = gradient.chunks_exact(width).zip(x.chunks_exact(width));
    for ((g, x), [mean, scale]) in rows.zip(moments) {
        for (((g, x), of_gamma), of_beta) in g
            .iter()
            .zip(x)
            .zip(of_gamma.iter_mut())
            .zip(of_beta.iter_mut())
        {
            *of_gamma += g * (x - mean) * scale;
            *of_beta += g;
        }
    }
}

#[macerator::with_simd]
fn gradients<S: Simd>(
    out: &mut [f32],
    gradient: &[f32],
    x: &[f32],
    moments: &[[f32; 2]],
    gamma: &[f32],
) {
    let width = gamma.len();
    let share = 1.0 / width as f32;
    let rows = out
        .chunks_exact_mut(width)
        .zip(gradient.chunks_exact(width))
        .zip(x.chunks_exact(width));
    for (((out, g), x), [mean, scale]) in rows.zip(moments) {
        for ((out, g), gamma) in out.iter_mut().zip(g).zip(gamma) {
            *out = g * gamma;
        }
        let plain = sum_pairs(out, x, |a, _| a) * share;
        let along = sum_pairs(out, x, |a, x| a * (x - mean)) * scale * share;
        for (out, x) in out.iter_mut().zip(x) {
            *out = scale * (*out - plain - (x - mean) * scale * along);
        }
    }
}
