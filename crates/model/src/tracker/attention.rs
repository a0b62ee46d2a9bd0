//! Attention with separate projections, as the SAM heads and the memory attention have it (reference:
//! `sam/transformer.py`, `Attention` and `RoPEAttention`). `[batch, tokens, channels]` in and out.

use crate::layers::Linear;
use crate::trace::at;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use medsam3_kernels::attention;

/// Attention that may be narrower inside than outside, and whose keys and values may come in another width.
#[derive(Module, Debug)]
pub struct Attention {
    /// `width -> inner`
    pub q_proj: Linear,
    /// `keys' width -> inner`
    pub k_proj: Linear,
    /// `keys' width -> inner`
    pub v_proj: Linear,
    /// `inner -> width`
    pub out_proj: Linear,
    heads: usize,
}

impl Attention {
    /// Attention of `width` channels over keys of `key_width`, `inner` channels in `heads` heads.
    pub fn new(
        width: usize,
        key_width: usize,
        inner: usize,
        heads: usize,
        device: &Device,
    ) -> Self {
        Self {
            q_proj: Linear::new(width, inner, device),
            k_proj: Linear::new(key_width, inner, device),
            v_proj: Linear::new(key_width, inner, device),
            out_proj: Linear::new(inner, width, device),
            heads,
        }
    }

    /// `q` `[b, n, width]`, `k` and `v` `[b, m, key_width]` to `[b, n, width]`.
    pub fn forward(&self, q: Tensor<3>, k: Tensor<3>, v: Tensor<3>) -> Tensor<3> {
        let (q, k, v) = self.project(q, k, v);
        self.attend(q, k, v)
    }

    /// With rotary embedding: of all queries, whose number is that of the table's rows, and of all keys but the last
    /// `pointers`; the table is repeated for every memory of as many keys.
    pub fn forward_rotated(
        &self,
        q: Tensor<3>,
        k: Tensor<3>,
        v: Tensor<3>,
        rotary: &Rotary,
        pointers: usize,
    ) -> Tensor<3> {
        let (q, k, v) = self.project(q, k, v);
        let spatial = k.dims()[1] - pointers;
        let turned = rotary.turn(k.clone().narrow(1, 0, spatial));
        let k = if pointers == 0 {
            turned
        } else {
            Tensor::cat(vec![turned, k.narrow(1, spatial, pointers)], 1)
        };
        self.attend(rotary.turn(q), k, v)
    }

    fn project(
        &self,
        q: Tensor<3>,
        k: Tensor<3>,
        v: Tensor<3>,
    ) -> (Tensor<3>, Tensor<3>, Tensor<3>) {
        (
            at("q_proj", self.q_proj.forward(q)),
            at("k_proj", self.k_proj.forward(k)),
            at("v_proj", self.v_proj.forward(v)),
        )
    }

    fn attend(&self, q: Tensor<3>, k: Tensor<3>, v: Tensor<3>) -> Tensor<3> {
        let attended = attention(q, k, v, self.heads, None, None);
        at("out_proj", self.out_proj.forward(attended))
    }
}

/// Axial rotary tables for one head: pairs (2j, 2j + 1) turn by `position * 10000^(-4j/width)`, the first half with x,
/// the second with y, positions unscaled.
pub struct Rotary {
    /// Cosines, `[tokens, width / 2]`.
    cos: Tensor<2>,
    /// Sines, `[tokens, width / 2]`.
    sin: Tensor<2>,
}

impl Rotary {
    /// Tables for a square of `side` tokens and heads of `width` channels.
    pub fn new(side: usize, width: usize, device: &Device) -> Self {
        let rope = crate::rope::axial(width, side, 1.0, device);
        // Each angle stands there for both channels of its pair.
        let one = |table: Tensor<2>| {
            let [tokens, width] = table.dims();
            table
                .reshape([tokens, width / 2, 2])
                .narrow(2, 0, 1)
                .reshape([tokens, width / 2])
        };
        Self {
            cos: one(rope.cos),
            sin: one(rope.sin),
        }
    }

    /// `[b, repeats * tokens, width]` in and out.
    fn turn(&self, x: Tensor<3>) -> Tensor<3> {
        let [b, n, width] = x.dims();
        let [tokens, half] = self.cos.dims();
        let pairs = x.reshape([b, n / tokens, tokens, half, 2]);
        let part = |index| pairs.clone().narrow(4, index, 1);
        let table = |table: &Tensor<2>| table.clone().reshape([1, 1, tokens, half, 1]);
        let (u, v, cos, sin) = (part(0), part(1), table(&self.cos), table(&self.sin));
        let first = u.clone() * cos.clone() - v.clone() * sin.clone();
        let second = u * sin + v * cos;
        Tensor::cat(vec![first, second], 4).reshape([b, n, width])
    }
}
