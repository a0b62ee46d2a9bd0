//! Gradient of the 3x3 convolution: of the map by the same convolution with the kernel turned round, of the kernel by nine
//! products per strip over one turned copy of it.

use super::conv::{conv3x3, pad, strip_rows};
use super::gemm::{DEPTH, Into, Matrix, Packed, Rows, partial_product};
use super::threads;
use super::transposed::{add_rows, turn};
use super::view::{Dense, tensor};
use burn::tensor::Tensor;

/// Gradient of `x` from that of [`conv3x3`]'s result, `[b, h, w, out]`, and `weight` `[9 * in, out]`.
pub(crate) fn conv3x3_gradient_of_map(
    gradient: &Tensor<4>,
    weight: &Tensor<2>,
) -> Option<Tensor<4>> {
    let [taps, outputs] = weight.dims();
    let inputs = taps / 9;
    let turned = weight
        .clone()
        .reshape([9, inputs, outputs])
        .flip([0])
        .swap_dims(1, 2)
        .reshape([9 * outputs, inputs]);
    let bias = Tensor::zeros([inputs], &gradient.device());
    conv3x3(gradient, &turned, &bias)
}

/// Gradients of the kernel `[9 * in, out]` and the bias `[out]`.
pub(crate) fn conv3x3_gradient_of_kernel(
    gradient: &Tensor<4>,
    x: &Tensor<4>,
) -> Option<(Tensor<2>, Tensor<1>)> {
    let ([b, h, w, c], outputs) = (x.dims(), gradient.dims()[3]);
    if gradient.dims()[..3] != [b, h, w] || b * h * w * c * outputs == 0 {
        return None;
    }
    let device = x.device();
    let (x, gradient) = (Dense::of(x.clone())?, Dense::of(gradient.clone())?);
    let rows = strip_rows(h, w);
    let strips = h.div_ceil(rows);
    let parts = threads::map(b * strips, |i| {
        let (image, top) = (i / strips, i % strips * rows);
        let count = rows.min(h - top);
        let x = &x.values()[image * h * w * c..(image + 1) * h * w * c];
        let start = (image * h + top) * w * outputs;
        let gradient = &gradient.values()[start..start + count * w * outputs];
        strip(pad(x, [h, w, c], top, count), gradient, [w, c, outputs])
    });
    let mut kernel = vec![0.0; 9 * c * outputs];
    for part in parts {
        for (sum, part) in kernel.iter_mut().zip(part) {
            *sum += part;
        }
    }
    let mut bias = vec![0.0; outputs];
    add_rows(&mut bias, gradient.values());
    Some((
        tensor(kernel, [9 * c, outputs], &device),
        tensor(bias, [outputs], &device),
    ))
}

/// The part of a strip in the kernel's gradient. `padded` has two rows and two columns more than `gradient`.
fn strip(padded: Vec<f32>, gradient: &[f32], [w, c, outputs]: [usize; 3]) -> Vec<f32> {
    let wide = w + 2;
    let count = gradient.len() / (w * outputs);
    let cells = count * wide - 2;
    // As wide as the padded strip: the cells between its rows have no gradient.
    let mut spread = vec![0.0; count * wide * outputs];
    for (spread, gradient) in spread
        .chunks_mut(wide * outputs)
        .zip(gradient.chunks(w * outputs))
    {
        spread[..w * outputs].copy_from_slice(gradient);
    }
    let right = Packed::new(Matrix::new(&spread, [cells, outputs], [outputs, 1]));
    let length = padded.len() / c;
    // Not a power of two, which would put all rows at the same places of the first cache.
    let step = length.next_multiple_of(32) + 16;
    let mut turned = vec![0.0; c * step];
    turn(&padded, c, 0..c, &mut turned, step);
    let mut kernel = vec![0.0; 9 * c * outputs];
    for (tap, kernel) in kernel.chunks_mut(c * outputs).enumerate() {
        let shift = tap / 3 * wide + tap % 3;
        for run in (0..cells).step_by(DEPTH) {
            let left = Rows {
                values: &turned[shift + run..],
                row_step: step,
                rows: c,
                depth: DEPTH.min(cells - run),
            };
            let into = Into {
                add: run > 0,
                ..Into::place(outputs)
            };
            partial_product(kernel, into, left, &right, run, 0..outputs);
        }
    }
    kernel
}
