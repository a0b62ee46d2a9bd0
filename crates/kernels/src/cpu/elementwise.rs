//! Operations that touch each value once: one pass, in place where the tensor is not shared.

use super::math;
use super::threads::for_chunks;
use super::view::{Dense, View, change, tensor};
use burn::tensor::Tensor;
use macerator::Simd;

/// Values that a thread takes at a time.
const CHUNK: usize = 1 << 16;

/// Exact GELU; gives `x` back where it does not apply.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Result<Tensor<D>, Tensor<D>> {
    change(x, |values| {
        for_chunks(values, CHUNK, |_, part| gelu_all(part));
    })
}

/// The larger of the value and zero; gives `x` back where it does not apply.
pub fn relu<const D: usize>(x: Tensor<D>) -> Result<Tensor<D>, Tensor<D>> {
    change(x, |values| {
        for_chunks(values, CHUNK, |_, part| relu_all(part));
    })
}

/// `gradient` times the derivative of GELU at `x`; both on the CPU and of one shape.
pub(crate) fn gelu_gradient<const D: usize>(
    gradient: Tensor<D>,
    x: &Tensor<D>,
) -> Option<Tensor<D>> {
    let x = Dense::of(x.clone())?;
    change(gradient, |values| {
        for_chunks(values, CHUNK, |i, part| {
            let x = &x.values()[i * CHUNK..];
            times_gelu_derivative(part, x);
        });
    })
    .ok()
}

/// `gradient` where `y`, the result of ReLU, is above zero, and zero elsewhere; both on the CPU and of one shape.
pub(crate) fn relu_gradient<const D: usize>(
    gradient: Tensor<D>,
    y: &Tensor<D>,
) -> Option<Tensor<D>> {
    let y = Dense::of(y.clone())?;
    change(gradient, |values| {
        for_chunks(values, CHUNK, |i, part| {
            let y = &y.values()[i * CHUNK..];
            zero_where_not_above(part, y);
        });
    })
    .ok()
}

/// Each cell of `coarse` `[b, h, w, c]` four times, plus `fine` `[b, 2h, 2w, c]`.
pub fn upsample2_add(coarse: &Tensor<4>, fine: &Tensor<4>) -> Option<Tensor<4>> {
    let [b, h, w, c] = coarse.dims();
    if fine.dims() != [b, 2 * h, 2 * w, c] {
        return None;
    }
    let device = fine.device();
    let (low, high) = (View::of(coarse)?, Dense::of(fine.clone())?);
    let low_values = low.values();
    if low.steps[3] != 1 {
        return None;
    }
    let row = 2 * w * c;
    let mut out = vec![0.0; b * 2 * h * row];
    for_chunks(&mut out, row, |i, part| {
        let (image, y) = (i / (2 * h), i % (2 * h));
        let from = image * low.steps[0] + (y / 2) * low.steps[1];
        let high = &high.values()[i * row..(i + 1) * row];
        for (x, (cell, high)) in part.chunks_mut(c).zip(high.chunks(c)).enumerate() {
            let from = from + (x / 2) * low.steps[2];
            for ((out, high), low) in cell.iter_mut().zip(high).zip(&low_values[from..from + c]) {
                *out = high + low;
            }
        }
    });
    Some(tensor(out, [b, 2 * h, 2 * w, c], &device))
}

/// The sums of the four cells that [`upsample2_add`] makes of one: `[b, 2h, 2w, c] -> [b, h, w, c]`.
pub(crate) fn sum_of_blocks(fine: &Tensor<4>) -> Option<Tensor<4>> {
    let [b, height, width, c] = fine.dims();
    let (h, w) = (height / 2, width / 2);
    let device = fine.device();
    let fine = Dense::of(fine.clone())?;
    let mut out = vec![0.0; b * h * w * c];
    for_chunks(&mut out, w * c, |i, out| {
        let rows = &fine.values()[2 * i * width * c..2 * (i + 1) * width * c];
        for (x, out) in out.chunks_mut(c).enumerate() {
            for from in [2 * x, 2 * x + 1, width + 2 * x, width + 2 * x + 1] {
                add_all(out, &rows[from * c..(from + 1) * c]);
            }
        }
    });
    Some(tensor(out, [b, h, w, c], &device))
}

/// A row of zeros, then for each of `n` rows of `along_x` and `along_y` `[b, heads, n, grid]` their sums over a square,
/// row by row of it: `[b, heads, 1 + n, grid * grid]`.
pub fn axial_sums(along_x: &Tensor<4>, along_y: &Tensor<4>) -> Option<Tensor<4>> {
    let [b, heads, n, grid] = along_x.dims();
    if along_y.dims() != along_x.dims() || b * heads * grid == 0 {
        return None;
    }
    let (x, y) = (View::of(along_x)?, View::of(along_y)?);
    let line = |view: &View<4>, index: [usize; 3]| -> Vec<f32> {
        let start: usize = index.iter().zip(view.steps).map(|(i, step)| i * step).sum();
        let values = view.values()[start..].iter().step_by(view.steps[3].max(1));
        values.take(grid).copied().collect()
    };
    let mut out = vec![0.0; b * heads * (1 + n) * grid * grid];
    for_chunks(&mut out, grid * grid, |i, square| {
        let (head, row) = (i / (1 + n), i % (1 + n));
        if row > 0 {
            let index = [head / heads, head % heads, row - 1];
            let (x, y) = (line(&x, index), line(&y, index));
            for (out, y) in square.chunks_mut(grid).zip(y) {
                for (out, x) in out.iter_mut().zip(&x) {
                    *out = y + x;
                }
            }
        }
    });
    Some(tensor(
        out,
        [b, heads, 1 + n, grid * grid],
        &along_x.device(),
    ))
}

#[macerator::with_simd]
pub(super) fn gelu_all<S: Simd>(values: &mut [f32]) {
    for value in values {
        *value = math::gelu(*value);
    }
}

#[macerator::with_simd]
pub(super) fn relu_all<S: Simd>(values: &mut [f32]) {
    for value in values {
        // Not `max`: that would turn NaN into zero.
        *value = if *value < 0.0 { 0.0 } else { *value };
    }
}

#[macerator::with_simd]
fn times_gelu_derivative<S: Simd>(values: &mut [f32], x: &[f32]) {
    for (value, x) in values.iter_mut().zip(x) {
        *value *= math::gelu_derivative(*x);
    }
}

#[macerator::with_simd]
fn zero_where_not_above<S: Simd>(values: &mut [f32], y: &[f32]) {
    for (value, y) in values.iter_mut().zip(y) {
        *value = if *y > 0.0 { *value } else { 0.0 };
    }
}

#[macerator::with_simd]
pub(super) fn add_all<S: Simd>(values: &mut [f32], others: &[f32]) {
    for (value, other) in values.iter_mut().zip(others) {
        *value += other;
    }
}
