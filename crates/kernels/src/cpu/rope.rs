//! Rotary embedding fused with the split of the projection into queries, keys and values by windows: one pass.

use super::threads::for_chunks;
use super::view::{Dense, tensor};
use crate::attention::WindowGrid;
use crate::rope_qkv::Rope;
use burn::tensor::Tensor;
use macerator::Simd;

/// See [`crate::rope_qkv`].
pub fn rope_qkv(
    qkv: &Tensor<4>,
    bias: &Tensor<1>,
    rope: &Rope,
    (high, wide): (usize, usize),
) -> Option<[Tensor<3>; 3]> {
    let [b, rows, columns, channels] = qkv.dims();
    let [tokens, head_dim] = rope.cos.dims();
    let width = channels / 3;
    if tokens != high * wide
        || rope.sin.dims() != rope.cos.dims()
        || head_dim % 2 == 1
        || channels == 0
    {
        return None;
    }
    let device = qkv.device();
    let (qkv, bias) = (Dense::of(qkv.clone())?, Dense::of(bias.clone())?);
    let (cos, sin) = (Dense::of(rope.cos.clone())?, Dense::of(rope.sin.clone())?);
    let (down, across) = (rows.div_ceil(high), columns.div_ceil(wide));
    let windows = b * down * across;
    let part = |third: usize| {
        let mut out = vec![0.0; windows * tokens * width];
        // A task is one row of a window.
        for_chunks(&mut out, wide * width, |i, part| {
            let (window, y) = (i / high, i % high);
            let (image, place) = (window / (down * across), window % (down * across));
            let row = (place / across) * high + y;
            for (x, out) in part.chunks_mut(width).enumerate() {
                let column = (place % across) * wide + x;
                let from = if row < rows && column < columns {
                    let token = (image * rows + row) * columns + column;
                    &qkv.values()[token * channels..(token + 1) * channels]
                } else {
                    bias.values()
                };
                let from = &from[third * width..(third + 1) * width];
                if third == 2 {
                    out.copy_from_slice(from);
                } else {
                    let angles = (y * wide + x) * head_dim..(y * wide + x + 1) * head_dim;
                    rotate(
                        out,
                        from,
                        &cos.values()[angles.clone()],
                        &sin.values()[angles],
                    );
                }
            }
        });
        tensor(out, [windows, tokens, width], &device)
    };
    Some([0, 1, 2].map(part))
}

/// With the pair (u, v) in channels (2j, 2j + 1) of a head, `u cos - v sin` and `v cos + u sin`.
#[macerator::with_simd]
fn rotate<S: Simd>(out: &mut [f32], values: &[f32], cos: &[f32], sin: &[f32]) {
    for (out, values) in out
        .chunks_exact_mut(cos.len())
        .zip(values.chunks_exact(cos.len()))
    {
        for (((out, pair), cos), sin) in out
            .chunks_exact_mut(2)
            .zip(values.chunks_exact(2))
            .zip(cos.chunks_exact(2))
            .zip(sin.chunks_exact(2))
        {
            out[0] = pair[0] * cos[0] - pair[1] * sin[0];
            out[1] = pair[1] * cos[1] + pair[0] * sin[1];
        }
    }
}

/// The gradient of `qkv` `[b, rows, columns, 3 * width]` from those of q, k and v `[b * windows, window tokens, width]`: turned
/// back and put in their places. Windows fit the grid.
pub(crate) fn rope_qkv_gradient(
    [q, k, v]: [&Tensor<3>; 3],
    rope: &Rope,
    grid: WindowGrid,
) -> Option<Tensor<4>> {
    let [windows, tokens, width] = q.dims();
    let head_dim = rope.cos.dims()[1];
    let device = q.device();
    let [q, k, v] = [
        Dense::of(q.clone())?,
        Dense::of(k.clone())?,
        Dense::of(v.clone())?,
    ];
    let (cos, sin) = (Dense::of(rope.cos.clone())?, Dense::of(rope.sin.clone())?);
    let back: Vec<f32> = sin.values().iter().map(|sin| -sin).collect();
    let across = grid.columns / grid.window_columns;
    let images = windows / grid.windows();
    let mut out = vec![0.0; windows * tokens * 3 * width];
    // A task is one row of the grid.
    for_chunks(&mut out, grid.columns * 3 * width, |i, out| {
        let (image, row) = (i / grid.rows, i % grid.rows);
        for (column, out) in out.chunks_mut(3 * width).enumerate() {
            let window = image * grid.windows()
                + row / grid.window_rows * across
                + column / grid.window_columns;
            let token = row % grid.window_rows * grid.window_columns + column % grid.window_columns;
            let from = (window * tokens + token) * width..(window * tokens + token + 1) * width;
            let angles = token * head_dim..(token + 1) * head_dim;
            let (cos, back) = (&cos.values()[angles.clone()], &back[angles]);
            let (of_q, rest) = out.split_at_mut(width);
            let (of_k, of_v) = rest.split_at_mut(width);
            rotate(of_q, &q.values()[from.clone()], cos, back);
            rotate(of_k, &k.values()[from.clone()], cos, back);
            of_v.copy_from_slice(&v.values()[from]);
        }
    });
    Some(tensor(
        out,
        [images, grid.rows, grid.columns, 3 * width],
        &device,
    ))
}
