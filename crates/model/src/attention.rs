//! Multi-head attention with fused projections (reference: `nn.MultiheadAttention`), and the one function that
//! all attention in the model goes through. Scores are never held for all queries at once when they are large.

use crate::layers::{Linear, uniform};
use crate::trace::{at, scope};
use burn::module::{Module, Param};
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, Device, Tensor};
use medsam3_kernels::{Activation, linear, linear_part};

/// Most scores held at once (64 MiB of f32), below the 128 MiB that a WebGPU binding is sure to hold.
const SCORE_BUDGET: usize = 16 << 20;

/// `softmax(q k^T / sqrt(head_dim) + bias) v`, all of `[batch, heads, tokens, head_dim]`.
///
/// `masked` is true at keys to leave out, `[batch | 1, 1, 1, keys]`; `bias` is `[batch, heads, queries, keys]`.
/// Queries are taken in slices so that the scores of a slice stay within a fixed budget.
pub fn scaled_dot_product(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    masked: Option<Tensor<4, Bool>>,
    bias: Option<Tensor<4>>,
) -> Tensor<4> {
    within_budget(SCORE_BUDGET, q, k, v, masked, bias)
}

fn within_budget(
    budget: usize,
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    masked: Option<Tensor<4, Bool>>,
    bias: Option<Tensor<4>>,
) -> Tensor<4> {
    let [b, heads, queries, _] = q.dims();
    let keys = k.dims()[2];
    let options = AttentionModuleOptions::default();
    let slice = (budget / (b * heads * keys)).clamp(1, queries);
    if slice == queries {
        return attention(q, k, v, masked, bias, options);
    }
    let parts = (0..queries)
        .step_by(slice)
        .map(|start| {
            let count = slice.min(queries - start);
            let bias = bias.clone().map(|bias| bias.narrow(2, start, count));
            // A mask may differ by query (the text encoder's) or not (padding).
            let masked = masked.clone().map(|masked| match masked.dims()[2] {
                1 => masked,
                _ => masked.narrow(2, start, count),
            });
            attention(
                q.clone().narrow(2, start, count),
                k.clone(),
                v.clone(),
                masked,
                bias,
                options,
            )
        })
        .collect();
    Tensor::cat(parts, 2)
}

/// `[b, n, heads * head_dim] -> [b, heads, n, head_dim]`
pub(crate) fn split_heads(x: Tensor<3>, heads: usize) -> Tensor<4> {
    let [b, n, width] = x.dims();
    x.reshape([b, n, heads, width / heads]).swap_dims(1, 2)
}

/// `[b, heads, n, head_dim] -> [b, n, heads * head_dim]`
pub(crate) fn merge_heads(x: Tensor<4>) -> Tensor<3> {
    let [b, heads, n, head_dim] = x.dims();
    x.swap_dims(1, 2).reshape([b, n, heads * head_dim])
}

/// Attention whose query, key and value projections are thirds of one matrix.
#[derive(Module, Debug)]
pub struct MultiheadAttention {
    /// `[width, 3 * width]`: q, k, v.
    pub in_proj_weight: Param<Tensor<2>>,
    /// `[3 * width]`
    pub in_proj_bias: Param<Tensor<1>>,
    /// Output projection.
    pub out_proj: Linear,
    heads: usize,
}

impl MultiheadAttention {
    /// New attention of `width` channels in `heads` heads.
    pub fn new(width: usize, heads: usize, device: &Device) -> Self {
        Self {
            in_proj_weight: uniform([width, 3 * width], width, device),
            in_proj_bias: uniform([3 * width], width, device),
            out_proj: Linear::new(width, width, device),
            heads,
        }
    }

    /// Attention among the tokens of `x`, `[b, n, width]`: one product for q, k and v.
    ///
    /// `masked` is true at keys to leave out, `[b | 1, 1, n | 1, n]`.
    pub fn self_attention(&self, x: Tensor<3>, masked: Option<Tensor<4, Bool>>) -> Tensor<3> {
        let width = x.dims()[2];
        let qkv = linear(
            x,
            self.in_proj_weight.val(),
            Some(self.in_proj_bias.val()),
            Activation::None,
        );
        let [q, k, v] = [0, 1, 2].map(|third| qkv.clone().narrow(2, third * width, width));
        self.attend(q, k, v, masked, None)
    }

    /// Attention of `query` `[b, n, width]` over `key` and `value` `[b, m, width]`.
    ///
    /// `masked` is true at keys to leave out, `[b, 1, 1, m]`; `bias` is added to the scores, `[b, heads, n, m]`.
    pub fn forward(
        &self,
        query: Tensor<3>,
        key: Tensor<3>,
        value: Tensor<3>,
        masked: Option<Tensor<4, Bool>>,
        bias: Option<Tensor<4>>,
    ) -> Tensor<3> {
        let [q, k, v] = [(0, query), (1, key), (2, value)].map(|(third, x)| self.project(third, x));
        self.attend(q, k, v, masked, bias)
    }

    fn project(&self, third: usize, x: Tensor<3>) -> Tensor<3> {
        let width = x.dims()[2];
        let bias = self.in_proj_bias.val();
        linear_part(
            x,
            self.in_proj_weight.val(),
            bias,
            third * width..(third + 1) * width,
        )
    }

    fn attend(
        &self,
        q: Tensor<3>,
        k: Tensor<3>,
        v: Tensor<3>,
        masked: Option<Tensor<4, Bool>>,
        bias: Option<Tensor<4>>,
    ) -> Tensor<3> {
        let [q, k, v] = [at("q", q), at("k", k), at("v", v)].map(|x| split_heads(x, self.heads));
        let attended = merge_heads(scaled_dot_product(q, k, v, masked, bias));
        scope("out_proj", || at("", self.out_proj.forward(attended)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Distribution;

    /// Slices of queries give what all queries at once give, with a mask, a bias and a last slice that is shorter.
    #[test]
    fn slices_of_queries_agree_with_all_at_once() {
        let device = Device::flex();
        let random = |shape| Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &device);
        let (q, k, v) = (
            random([2, 3, 11, 8]),
            random([2, 3, 7, 8]),
            random([2, 3, 7, 8]),
        );
        let bias = random([2, 3, 11, 7]);
        for rows in [1, 11] {
            let masked = random([2, 1, rows, 7]).lower_elem(-0.7);
            let run = |budget| {
                let (q, k, v) = (q.clone(), k.clone(), v.clone());
                within_budget(budget, q, k, v, Some(masked.clone()), Some(bias.clone()))
            };
            let difference = (run(usize::MAX) - run(4 * 2 * 3 * 7))
                .abs()
                .max()
                .into_scalar::<f32>();
            assert!(difference < 1e-6, "differ by {difference}");
        }
    }
}
