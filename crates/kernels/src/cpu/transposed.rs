//! Products and sums along the rows of matrices, which gradients of weights are.

use super::gemm::{DEPTH, Into, Matrix, Packed, Rows, partial_product};
use super::threads::{self, for_chunks};
use super::view::{Dense, tensor};
use burn::tensor::Tensor;
use macerator::Simd;

/// Steps between copied rows: not a power of two, which would put all rows at the same places of the first cache.
const STEP: usize = DEPTH + 16;
/// Side of the squares that are turned at a time.
const SQUARE: usize = 16;

/// `x^T y` of `x` `[rows, n]` and `y` `[rows, m]`: `[n, m]`.
pub(crate) fn product_of_columns(x: &Tensor<2>, y: &Tensor<2>) -> Option<Tensor<2>> {
    let ([rows, n], [of_y, m]) = (x.dims(), y.dims());
    if rows != of_y || rows * n * m == 0 {
        return None;
    }
    let device = x.device();
    let (x, y) = (Dense::of(x.clone())?, Dense::of(y.clone())?);
    let mut out = vec![0.0; n * m];
    let right = Packed::new(Matrix::new(y.values(), [rows, m], [m, 1]));
    let task = n.div_ceil(threads::count()).next_multiple_of(12).min(n);
    for_chunks(&mut out, task * m, |i, out| {
        let columns = i * task..i * task + out.len() / m;
        add_product_of_columns(out, Into::place(m), x.values(), n, columns, &right);
    });
    Some(tensor(out, [n, m], &device))
}

/// The columns `columns` of `x`, whose rows are `width` long, times all of `right`.
pub(super) fn add_product_of_columns(
    out: &mut [f32],
    into: Into,
    x: &[f32],
    width: usize,
    columns: core::ops::Range<usize>,
    right: &Packed,
) {
    let mut turned = vec![0.0; columns.len() * STEP];
    for (run, x) in x.chunks(DEPTH * width).enumerate() {
        let depth = x.len() / width;
        turn(x, width, columns.clone(), &mut turned, STEP);
        let into = Into {
            add: into.add || run > 0,
            ..into
        };
        let left = Rows {
            values: &turned,
            row_step: STEP,
            rows: columns.len(),
            depth,
        };
        partial_product(out, into, left, right, run * DEPTH, 0..right.columns());
    }
}

/// Columns of `x`, whose rows are `width` long, as rows `step` apart.
pub(super) fn turn(
    x: &[f32],
    width: usize,
    columns: core::ops::Range<usize>,
    out: &mut [f32],
    step: usize,
) {
    let depth = x.len() / width;
    for low in (0..depth).step_by(SQUARE) {
        let high = depth.min(low + SQUARE);
        for left in columns.clone().step_by(SQUARE) {
            for column in left..columns.end.min(left + SQUARE) {
                let out = &mut out[(column - columns.start) * step..][low..high];
                for (out, row) in out.iter_mut().zip(low..) {
                    *out = x[row * width + column];
                }
            }
        }
    }
}

/// Sums over the rows of `x` `[rows, n]`: `[n]`.
pub(crate) fn column_sums(x: &Tensor<2>) -> Option<Tensor<1>> {
    let [_, n] = x.dims();
    let device = x.device();
    let x = Dense::of(x.clone())?;
    let mut sums = vec![0.0; n];
    add_rows(&mut sums, x.values());
    Some(tensor(sums, [n], &device))
}

/// Adds every row of `x` to `sums`; partial sums keep the digits of long columns.
pub(super) fn add_rows(sums: &mut [f32], x: &[f32]) {
    let mut part = vec![0.0; sums.len()];
    for run in x.chunks(DEPTH * sums.len().max(1)) {
        part.fill(0.0);
        add_all_rows(&mut part, run);
        for (sum, part) in sums.iter_mut().zip(&part) {
            *sum += part;
        }
    }
}

#[macerator::with_simd]
fn add_all_rows<S: Simd>(sums: &mut [f32], x: &[f32]) {
    for row in x.chunks_exact(sums.len().max(1)) {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += value;
        }
    }
}
