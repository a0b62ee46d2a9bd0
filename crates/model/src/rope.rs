//! Axial rotary position embedding of the trunk (reference: `vitdet.py`, `compute_axial_cis`).
//!
//! Pairs are interleaved: dims (2j, 2j+1) of a head turn by the angle `position * 10000^(-4j/head_dim)`;
//! the first half of a head turns with x, the second with y. Rotation acts on `[batch, tokens, heads, head_dim]`.

use burn::tensor::{Device, Tensor, TensorData};

/// Cosines and sines for a square of `side` tokens, row-major.
#[derive(Debug, Clone)]
pub struct AxialRope {
    /// `[1, tokens, 1, head_dim]`
    cos: Tensor<4>,
    /// `[1, tokens, 1, head_dim]`
    sin: Tensor<4>,
    /// Signed permutation `[head_dim, head_dim]` that takes (u, v) to (-v, u) in each pair.
    turn: Tensor<2>,
}

impl AxialRope {
    /// Positions run from 0 to `side - 1` on both axes and are multiplied by `scale`.
    pub fn new(head_dim: usize, side: usize, scale: f64, device: &Device) -> Self {
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
        let shape = [1, side * side, 1, head_dim];
        Self {
            cos: Tensor::from_data(TensorData::new(cos, shape), device),
            sin: Tensor::from_data(TensorData::new(sin, shape), device),
            turn: Tensor::from_data(TensorData::new(turn, [head_dim, head_dim]), device),
        }
    }

    /// Turns queries or keys, `[batch, tokens, heads, head_dim]`.
    pub fn rotate(&self, x: Tensor<4>) -> Tensor<4> {
        let dims = x.dims();
        let turned = x
            .clone()
            .reshape([dims[0] * dims[1] * dims[2], dims[3]])
            .matmul(self.turn.clone())
            .reshape(dims);
        x * self.cos.clone() + turned * self.sin.clone()
    }
}
