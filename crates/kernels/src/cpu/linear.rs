//! A linear layer: rows of tokens times one weight, the bias added while the rows are still in the cache.

use super::elementwise::{add_all, gelu_all, relu_all};
use super::gemm::{DEPTH, Into, Matrix, Packed, Rows, partial_product};
use super::threads::{self, for_chunks};
use super::view::{Dense, View, tensor};
use crate::product::Activation;
use burn::tensor::Tensor;

/// Rows of a task: their part of the left side stays in the second cache.
const ROWS: usize = 192;
/// Columns that are finished at a time, so that they are still in the cache for the bias.
const COLUMNS: usize = 256;
/// Steps between copied rows: not a power of two, which would put all rows at the same places of the first cache.
const STEP: usize = DEPTH + 16;

/// `x` `[.., in]` times `weight` `[in, out]` plus `bias` `[out]`, `activation` applied.
pub fn linear<const D: usize>(
    x: &Tensor<D>,
    weight: &Tensor<2>,
    bias: Option<&Tensor<1>>,
    activation: Activation,
) -> Option<Tensor<D>> {
    let mut dims = x.dims();
    let device = x.device();
    let [inputs, outputs] = weight.dims();
    if dims[D - 1] != inputs || inputs * outputs == 0 {
        return None;
    }
    let (x, weight) = (Dense::of(x.clone())?, View::of(weight)?);
    let bias = match bias {
        Some(bias) => Some(Dense::of(bias.clone())?),
        None => None,
    };
    dims[D - 1] = outputs;
    let rows: usize = dims[..D - 1].iter().product();
    let mut out = vec![0.0; rows * outputs];
    let weight = Packed::new(Matrix::new(
        weight.values(),
        [inputs, outputs],
        weight.steps,
    ));
    for_chunks(&mut out, task_rows(rows) * outputs, |i, out| {
        let count = out.len() / outputs;
        let from = i * task_rows(rows) * inputs;
        let left = copy_runs(&x.values()[from..from + count * inputs], inputs);
        for start in (0..outputs).step_by(COLUMNS) {
            let columns = start..outputs.min(start + COLUMNS);
            for (run, values) in left.chunks(count * STEP).enumerate() {
                let into = Into {
                    add: run > 0,
                    ..Into::place(outputs)
                };
                let left = Rows {
                    values,
                    row_step: STEP,
                    rows: count,
                    depth: DEPTH.min(inputs - run * DEPTH),
                };
                partial_product(
                    &mut out[start..],
                    into,
                    left,
                    &weight,
                    run * DEPTH,
                    columns.clone(),
                );
            }
            for row in out.chunks_mut(outputs) {
                let row = &mut row[columns.clone()];
                if let Some(bias) = &bias {
                    add_all(row, &bias.values()[columns.clone()]);
                }
                match activation {
                    Activation::None => {}
                    Activation::Relu => relu_all(row),
                    Activation::Gelu => gelu_all(row),
                }
            }
        }
    });
    Some(tensor(out, dims, &device))
}

/// Rows of a task: fewer where there are few.
fn task_rows(rows: usize) -> usize {
    rows.div_ceil(2 * threads::count())
        .next_multiple_of(12)
        .min(ROWS)
}

/// Rows cut into runs of [`DEPTH`] values: for each run all rows, [`STEP`] apart.
fn copy_runs(x: &[f32], inputs: usize) -> Vec<f32> {
    let rows = x.len() / inputs.max(1);
    let mut runs = vec![0.0; inputs.div_ceil(DEPTH) * rows * STEP];
    for (run, out) in runs.chunks_mut(rows * STEP).enumerate() {
        let part = run * DEPTH..inputs.min((run + 1) * DEPTH);
        for (out, x) in out.chunks_mut(STEP).zip(x.chunks(inputs)) {
            out[..part.len()].copy_from_slice(&x[part.clone()]);
        }
    }
    runs
}
