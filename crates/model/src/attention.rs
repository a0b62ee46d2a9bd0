//! Multi-head attention with fused projections (reference: `nn.MultiheadAttention`) around [`medsam3_kernels::attention`].

use crate::layers::{Linear, matrix, uniform};
use crate::trace::{at, scope};
use burn::module::{Module, Param};
use burn::tensor::{Bool, Device, Tensor};
use medsam3_kernels::{Activation, attention, linear, linear_part};

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
            matrix(&self.in_proj_weight),
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
            matrix(&self.in_proj_weight),
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
        let [q, k, v] = [at("q", q), at("k", k), at("v", v)];
        let attended = attention(q, k, v, self.heads, masked, bias);
        scope("out_proj", || at("", self.out_proj.forward(attended)))
    }
}
