//! The same products on the CPU ([`crate::cpu`]) and through Burn's own operations, which autodiff and half precision
//! run and which the kernels are compared with.

use super::tiling::Activation;
use crate::{cpu, gradient};
use burn::tensor::Tensor;
use burn::tensor::module::linear as burn_linear;
use core::ops::Range;

/// Most values that the gathered neighbourhoods of a 3x3 convolution may take at once (64 MiB of f32).
const NEIGHBOURHOOD_BUDGET: usize = 16 << 20;

pub(super) fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    activation: Activation,
) -> Tensor<D> {
    cpu::linear(&x, &weight, bias.as_ref(), activation)
        .or_else(|| gradient::linear(&x, &weight, bias.as_ref(), activation))
        .unwrap_or_else(|| activation.apply(burn_linear(x, weight, bias)))
}

/// Int8 blocks `[.., in]`, of which the rows `outputs` are used, through their f32 values.
pub(super) fn linear_q8<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    outputs: Range<usize>,
    activation: Activation,
) -> Tensor<D> {
    let weight = weight.dequantize();
    let weight = weight
        .narrow(0, outputs.start, outputs.len())
        .swap_dims(0, 1);
    linear(x, weight, bias, activation)
}

/// A product over gathered neighbourhoods, in strips of rows.
pub(super) fn conv3x3(x: Tensor<4>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<4> {
    cpu::conv3x3(&x, &weight, &bias)
        .or_else(|| gradient::conv3x3(&x, &weight, &bias))
        .unwrap_or_else(|| gathered(x, weight, bias))
}

fn gathered(x: Tensor<4>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<4> {
    let [b, h, w, c] = x.dims();
    let padded = pad(x);
    let rows = (NEIGHBOURHOOD_BUDGET / (9 * b * w * c)).clamp(1, h);
    let strips = (0..h)
        .step_by(rows)
        .map(|top| {
            let height = rows.min(h - top);
            let shifted = (0..9)
                .map(|k| {
                    padded.clone().slice([
                        0..b,
                        top + k / 3..top + k / 3 + height,
                        k % 3..k % 3 + w,
                        0..c,
                    ])
                })
                .collect();
            burn_linear(Tensor::cat(shifted, 3), weight.clone(), Some(bias.clone()))
        })
        .collect::<Vec<_>>();
    Tensor::cat(strips, 1)
}

/// One row and column of zeros on every side.
fn pad(x: Tensor<4>) -> Tensor<4> {
    let [b, h, w, c] = x.dims();
    let device = x.device();
    let row = Tensor::zeros([b, 1, w, c], &device);
    let x = Tensor::cat(vec![row.clone(), x, row], 1);
    let column = Tensor::zeros([b, h + 2, 1, c], &device);
    Tensor::cat(vec![column.clone(), x, column], 2)
}
