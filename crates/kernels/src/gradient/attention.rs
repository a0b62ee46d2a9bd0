//! Gradient of attention: queries, keys and values are kept, weights are computed again.

use super::tape::{Operation, close, constant, is_followed, open, record};
use crate::attention::{WindowGrid, to_grid};
use crate::cpu::attention::{Call, read_mask, scores_of};
use crate::cpu::view::{Host, Mask};
use crate::cpu::{rope_qkv, rope_qkv_gradient};
use crate::rope_qkv::Rope;
use burn::tensor::{Bool, Tensor};
use std::sync::Arc;

#[derive(Debug, Clone)]
struct Attention {
    heads: usize,
    masked: Option<Arc<Mask>>,
}

/// [`crate::attention`] where autodiff follows any of the tensors on the CPU.
pub(crate) fn attention(
    q: &Tensor<3>,
    k: &Tensor<3>,
    v: &Tensor<3>,
    heads: usize,
    masked: Option<&Tensor<4, Bool>>,
    bias: Option<&Tensor<4>>,
) -> Option<Tensor<3>> {
    // Before the mask is read: that waits for its device.
    if ![q, k, v].into_iter().any(is_followed) {
        return None;
    }
    let masked = read_mask(masked, scores_of(q, k, heads))?;
    let operation = Attention { heads, masked };
    let [q, k, v] = [q, k, v].map(|x| x.clone().into_dispatch());
    let result = match bias {
        Some(bias) => record::<4, _>(operation, [q, k, v, bias.clone().into_dispatch()]),
        None => record::<3, _>(operation, [q, k, v]),
    }?;
    Some(Tensor::from_dispatch(result))
}

impl Attention {
    fn call(&self, [q, k, v]: [Host; 3], bias: Option<Host>) -> Option<Call> {
        let [q, k, v] = [q, k, v].map(open::<3>);
        let bias = bias.map(open::<4>);
        Call::new(&q, &k, &v, self.heads, self.masked.clone(), bias.as_ref())
    }

    fn differentiate(
        &self,
        inputs: [Host; 3],
        bias: Option<Host>,
        gradient: Host,
        with_bias: bool,
    ) -> [Option<Host>; 4] {
        let found = self
            .call(inputs, bias)
            .and_then(|call| call.gradients(&open(gradient), with_bias));
        match found {
            Some(found) => [
                Some(close(found.q)),
                Some(close(found.k)),
                Some(close(found.v)),
                found.bias.map(close),
            ],
            None => [None, None, None, None],
        }
    }
}

impl Operation<3> for Attention {
    type Kept = [Host; 3];

    fn forward(&self, inputs: [Host; 3]) -> Option<(Host, Self::Kept)> {
        let result = self.call(inputs.clone(), None)?.result();
        Some((close(result), inputs))
    }

    fn backward(&self, kept: Self::Kept, gradient: Host, _wanted: [bool; 3]) -> [Option<Host>; 3] {
        let [q, k, v, _] = self.differentiate(kept, None, gradient, false);
        [q, k, v]
    }
}

impl Operation<4> for Attention {
    type Kept = [Host; 4];

    fn forward(&self, inputs: [Host; 4]) -> Option<(Host, Self::Kept)> {
        let [q, k, v, bias] = inputs.clone();
        let result = self.call([q, k, v], Some(bias))?.result();
        Some((close(result), inputs))
    }

    fn backward(
        &self,
        [q, k, v, bias]: Self::Kept,
        gradient: Host,
        wanted: [bool; 4],
    ) -> [Option<Host>; 4] {
        self.differentiate([q, k, v], Some(bias), gradient, wanted[3])
    }
}

/// Attention of the trunk, from the fused projection on.
#[derive(Debug, Clone)]
struct RopeAttention {
    rope: Rope,
    heads: usize,
    grid: WindowGrid,
}

/// [`crate::rope_attention`] where autodiff follows `qkv` on the CPU and windows fit the grid: cells beyond it would give the
/// bias a gradient.
pub(crate) fn rope_attention(
    qkv: &Tensor<4>,
    rope: &Rope,
    heads: usize,
    grid: WindowGrid,
) -> Option<Tensor<4>> {
    if !grid.rows.is_multiple_of(grid.window_rows)
        || !grid.columns.is_multiple_of(grid.window_columns)
    {
        return None;
    }
    let operation = RopeAttention {
        rope: Rope {
            cos: constant(&rope.cos)?,
            sin: constant(&rope.sin)?,
            turn: constant(&rope.turn)?,
        },
        heads,
        grid,
    };
    record::<1, _>(operation, [qkv.clone().into_dispatch()]).map(Tensor::from_dispatch)
}

impl RopeAttention {
    fn call(&self, qkv: Host) -> Option<Call> {
        let qkv = open::<4>(qkv);
        let unused = Tensor::zeros([qkv.dims()[3]], &qkv.device());
        let window = (self.grid.window_rows, self.grid.window_columns);
        let [q, k, v] = rope_qkv(&qkv, &unused, &self.rope, window)?;
        Call::new(&q, &k, &v, self.heads, None, None)
    }
}

impl Operation<1> for RopeAttention {
    type Kept = Host;

    fn forward(&self, [qkv]: [Host; 1]) -> Option<(Host, Host)> {
        let result = to_grid(self.call(qkv.clone())?.result(), self.grid);
        Some((close(result), qkv))
    }

    fn backward(&self, qkv: Host, gradient: Host, _wanted: [bool; 1]) -> [Option<Host>; 1] {
        let gradient = self.grid.to_windows(open(gradient));
        let found = self
            .call(qkv)
            .and_then(|call| call.gradients(&gradient, false))
            .and_then(|found| {
                rope_qkv_gradient([&found.q, &found.k, &found.v], &self.rope, self.grid)
            });
        [found.map(close)]
    }
}
