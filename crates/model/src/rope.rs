//! Axial rotary position embedding of the trunk (reference: `vitdet.py`, `compute_axial_cis`).
//!
//! Pairs are interleaved: dims (2j, 2j+1) of a head turn by the angle `position * 10000^(-4j/head_dim)`;
//! the first half of a head turns with x, the second with y. [`medsam3_kernels::rope_qkv`] applies the tables.

use burn::tensor::{Device, Tensor, TensorData};
use medsam3_kernels::Rope;

/// Rotary tables for a square of `side` tokens, row-major. Positions run from 0 to `side - 1` on both axes and are
/// multiplied by `scale`.
pub fn axial(head_dim: usize, side: usize, scale: f64, device: &Device) -> Rope {
    let quarter = head_dim / 4;
    let mut cos = Vec::with_capacity(side * side * head_dim);
    let mut sin = Vec::with_capacity(side * side * head_dim);
    for y in 0..side {
        for x in 0..side {
            for position in [x, y] {
                for j in 0..quarter {
                    let frequency = 10_000f64.powf(-((4 * j) as f64) / head_dim as f64);
                    let angle = position as f64 * scale * frequency;
                    cos.extend([angle.cos() as f32; 2]);
                    sin.extend([angle.sin() as f32; 2]);
                }
            }
        }
    }
    let mut turn = vec![0f32; head_dim * head_dim];
    for pair in 0..head_dim / 2 {
        let (u, v) = (2 * pair, 2 * pair + 1);
        turn[v * head_dim + u] = -1.0;
        turn[u * head_dim + v] = 1.0;
    }
    let table =
        |values| Tensor::from_data(TensorData::new(values, [side * side, head_dim]), device);
    Rope {
        cos: table(cos),
        sin: table(sin),
        turn: Tensor::from_data(TensorData::new(turn, [head_dim, head_dim]), device),
    }
}
