//! Gradient of attention: the weights of a tile of queries are computed anew rather than kept.

use super::attention::{Call, LANES, QUERIES, exponentials_of_row, maximum};
use super::gemm::{DEPTH, Into, Matrix, Packed, Rows, partial_product};
use super::threads;
use super::transposed::add_product_of_columns;
use super::view::{View, tensor};
use burn::tensor::Tensor;
use macerator::Simd;
use std::f32::consts::LOG2_E;

/// Gradients of an attention's inputs.
pub(crate) struct AttentionGradients {
    /// `[b, n, width]`
    pub q: Tensor<3>,
    /// `[b, m, width]`
    pub k: Tensor<3>,
    /// `[b, m, width]`
    pub v: Tensor<3>,
    /// `[b, heads, n, m]`, where it was asked for.
    pub bias: Option<Tensor<4>>,
}

/// What one head gives.
struct Head {
    /// `[n, head_dim]`
    q: Vec<f32>,
    /// `[m, head_dim]`
    k: Vec<f32>,
    /// `[m, head_dim]`
    v: Vec<f32>,
    /// `[n, m]`, or nothing.
    bias: Vec<f32>,
}

impl Call {
    /// Gradients from that of [`Call::result`], `[b, n, width]`.
    pub fn gradients(&self, gradient: &Tensor<3>, with_bias: bool) -> Option<AttentionGradients> {
        let gradient = View::of(gradient)?;
        let ([b, n, width], m) = (self.q.dims, self.k.dims[1]);
        let parts = threads::map(b * self.heads, |i| {
            self.head_gradients([i / self.heads, i % self.heads], &gradient, with_bias)
        });
        let join = |tokens: usize, part: fn(&Head) -> &[f32]| {
            let mut out = vec![0.0; b * tokens * width];
            threads::for_chunks(&mut out, width, |row, out| {
                let (image, token) = (row / tokens, row % tokens);
                for (head, out) in out.chunks_mut(self.head_dim).enumerate() {
                    let part = part(&parts[image * self.heads + head]);
                    out.copy_from_slice(&part[token * self.head_dim..][..self.head_dim]);
                }
            });
            tensor(out, [b, tokens, width], &self.device)
        };
        let bias = with_bias.then(|| {
            let values: Vec<f32> = parts
                .iter()
                .flat_map(|part| part.bias.iter().copied())
                .collect();
            tensor(values, [b, self.heads, n, m], &self.device)
        });
        Some(AttentionGradients {
            q: join(n, |part| &part.q),
            k: join(m, |part| &part.k),
            v: join(m, |part| &part.v),
            bias,
        })
    }

    fn head_gradients(&self, at: [usize; 2], gradient: &View<3>, with_bias: bool) -> Head {
        let (width, n, m) = (self.head_dim, self.q.dims[1], self.k.dims[1]);
        let keys = self.part(&self.k, at, 0, m);
        let values = Packed::new(self.part(&self.v, at, 0, m).transposed());
        let (keys, keys_turned) = (Packed::new(keys), Packed::new(keys.transposed()));
        let scale = 1.0 / (width as f32).sqrt();
        let mut found = Head {
            q: vec![0.0; n * width],
            k: vec![0.0; m * width],
            v: vec![0.0; m * width],
            bias: vec![0.0; if with_bias { n * m } else { 0 }],
        };
        let mut weights = vec![0.0; QUERIES.min(n) * m];
        let mut of_scores = vec![0.0; QUERIES.min(n) * m];
        for first in (0..n).step_by(QUERIES) {
            let count = QUERIES.min(n - first);
            let weights = &mut weights[..count * m];
            let of_scores = &mut of_scores[..count * m];
            let q = self.part(&self.q, at, first, count).to_rows(scale * LOG2_E);
            let g = self.part(gradient, at, first, count).to_rows(1.0);
            multiply(weights, Into::place(m), &q, [count, width], &keys_turned);
            self.adjust(weights, at, first, 0, m);
            softmax(weights, m);
            multiply(of_scores, Into::place(m), &g, [count, width], &values);

            let add = Into {
                add: true,
                ..Into::place(width)
            };
            let right = Packed::new(Matrix::new(&g, [count, width], [width, 1]));
            add_product_of_columns(&mut found.v, add, weights, m, 0..m, &right);

            softmax_gradient(of_scores, weights, m);
            if with_bias {
                found.bias[first * m..(first + count) * m].copy_from_slice(of_scores);
            }
            // The queries carry `scale` to base two.
            let add = Into {
                scale: 1.0 / LOG2_E,
                ..add
            };
            let right = Packed::new(Matrix::new(&q, [count, width], [width, 1]));
            add_product_of_columns(&mut found.k, add, of_scores, m, 0..m, &right);
            let place = Into {
                scale,
                ..Into::place(width)
            };
            let of_q = &mut found.q[first * width..(first + count) * width];
            multiply(of_q, place, of_scores, [count, m], &keys);
        }
        found
    }
}

/// `out = into.scale * left right`, `left` `[rows, depth]`.
fn multiply(out: &mut [f32], into: Into, left: &[f32], [rows, depth]: [usize; 2], right: &Packed) {
    for first in (0..depth).step_by(DEPTH) {
        let into = Into {
            add: into.add || first > 0,
            ..into
        };
        let left = Rows {
            values: &left[first..],
            row_step: depth,
            rows,
            depth: DEPTH.min(depth - first),
        };
        partial_product(out, into, left, right, first, 0..right.columns());
    }
}

/// Scores to base two become weights; a row of nothing but minus infinity becomes zeros.
#[macerator::with_simd]
fn softmax<S: Simd>(scores: &mut [f32], keys: usize) {
    for row in scores.chunks_exact_mut(keys) {
        let largest = maximum(row);
        let origin = if largest == f32::NEG_INFINITY {
            0.0
        } else {
            largest
        };
        let sum = exponentials_of_row(row, origin);
        let inverse = if sum > 0.0 { 1.0 / sum } else { 0.0 };
        for value in row {
            *value *= inverse;
        }
    }
}

/// The gradient of weights becomes that of scores.
#[macerator::with_simd]
fn softmax_gradient<S: Simd>(gradient: &mut [f32], weights: &[f32], keys: usize) {
    for (row, weights) in gradient
        .chunks_exact_mut(keys)
        .zip(weights.chunks_exact(keys))
    {
        let mut sums = [0.0f32; LANES];
        for (row, weights) in row.chunks(LANES).zip(weights.chunks(LANES)) {
            for ((sum, value), weight) in sums.iter_mut().zip(row).zip(weights) {
                *sum += value * weight;
            }
        }
        let sum: f32 = sums.iter().sum();
        for (value, weight) in row.iter_mut().zip(weights) {
            *value = weight * (*value - sum);
        }
    }
}
