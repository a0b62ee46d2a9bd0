//! Attention with online softmax (Milakov and Gimelshein 2018; Dao et al. 2022): scores are never held beyond a few keys.
//!
//! `softmax(q k^T / sqrt(head_dim) + bias) v` per head, on `[batch, tokens, heads * head_dim]`, which is how projections
//! leave and enter: nothing is transposed. Windowed attention writes its result back to its place on the grid.

mod custom;
mod kernel;
mod plain;
mod tiled;
mod variant;

pub use plain::plain;
pub(crate) use plain::to_grid;
pub use variant::{Form, Variant, candidates, choose, chosen};

use crate::route::{Kernel, Route, route};
use crate::{Rope, cpu, gradient, rope_qkv};
use burn::backend::Dispatch;
use burn::tensor::{Bool, FloatDType, Tensor};
pub(crate) use custom::fits;
use custom::{AttentionOps as _, Extra};

/// Most channels of a head that the kernel holds in registers; all of SAM 3's heads have at most 64.
const MOST_CHANNELS: usize = 64;

/// Token grids cut into windows: where the rows of windowed attention belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowGrid {
    /// Rows of the grid.
    pub rows: usize,
    /// Columns of the grid.
    pub columns: usize,
    /// Rows of a window.
    pub window_rows: usize,
    /// Columns of a window.
    pub window_columns: usize,
}

impl WindowGrid {
    /// `[batch, rows, columns, width] -> [batch * windows, window tokens, width]`, where windows fit the grid.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn to_windows(self, x: Tensor<4>) -> Tensor<3> {
        let [b, rows, columns, width] = x.dims();
        let (high, wide) = (self.window_rows, self.window_columns);
        x.reshape([b, rows / high, high, columns / wide, wide, width])
            .permute([0, 1, 3, 2, 4, 5])
            .reshape([b * self.windows(), high * wide, width])
    }

    /// Windows that cover a grid.
    pub fn windows(&self) -> usize {
        self.rows.div_ceil(self.window_rows) * self.columns.div_ceil(self.window_columns)
    }
}

/// Attention of `q`, `[batch, n, width]`, over `k` and `v`, `[batch, m, width]`, in `heads` heads: `[batch, n, width]`.
///
/// `masked` is true at keys to leave out, `[batch | 1, 1, n | 1, m]`, and leaves every query at least one key;
/// `bias` is added to the scores, `[batch, heads, n, m]`.
pub fn attention(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    heads: usize,
    masked: Option<Tensor<4, Bool>>,
    bias: Option<Tensor<4>>,
) -> Tensor<3> {
    if !is_custom(&q, heads) {
        return on_cpu(q, k, v, heads, masked, bias);
    }
    let bias = bias.map(|bias| bias.cast(FloatDType::from(q.dtype())));
    let extra = match (bias, masked) {
        (None, None) => Extra::Nothing,
        (Some(bias), None) => Extra::Bias(bias.into_dispatch()),
        (None, Some(masked)) => Extra::Masked(masked.into_dispatch()),
        (Some(bias), Some(masked)) => Extra::Both {
            bias: bias.into_dispatch(),
            masked: masked.into_dispatch(),
        },
    };
    custom(q, k, v, extra, heads, None)
}

/// Attention within windows, as [`crate::rope_qkv`] cuts them: `[batch * windows, window tokens, width]` each, to
/// `[batch, rows, columns, width]`. Rows beyond the grid are dropped.
pub fn window_attention(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    heads: usize,
    grid: WindowGrid,
) -> Tensor<4> {
    if is_custom(&q, heads) {
        custom(q, k, v, Extra::Nothing, heads, Some(grid))
    } else {
        to_grid(on_cpu(q, k, v, heads, None, None), grid)
    }
}

/// [`crate::rope_qkv`] and [`window_attention`] in one, from `qkv` `[batch, rows, columns, 3 * width]` on; `bias` is that of its
/// projection.
pub fn rope_attention(
    qkv: Tensor<4>,
    bias: Tensor<1>,
    rope: &Rope,
    heads: usize,
    grid: WindowGrid,
) -> Tensor<4> {
    if let Some(result) = gradient::rope_attention(&qkv, rope, heads, grid) {
        return result;
    }
    let [q, k, v] = rope_qkv(qkv, bias, rope, (grid.window_rows, grid.window_columns));
    window_attention(q, k, v, heads, grid)
}

/// The CPU's own kernel, or plain operations where that does not apply.
fn on_cpu(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    heads: usize,
    masked: Option<Tensor<4, Bool>>,
    bias: Option<Tensor<4>>,
) -> Tensor<3> {
    let (mask, add) = (masked.as_ref(), bias.as_ref());
    cpu::attention(&q, &k, &v, heads, mask, add)
        .or_else(|| gradient::attention(&q, &k, &v, heads, mask, add))
        .unwrap_or_else(|| plain(q, k, v, heads, masked, bias))
}

fn is_custom(q: &Tensor<3>, heads: usize) -> bool {
    let head_dim = q.dims()[2] / heads;
    head_dim.is_multiple_of(4)
        && head_dim <= MOST_CHANNELS
        && route(Kernel::Attention, &q.device()) == Route::Custom
}

fn custom<const D: usize>(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    extra: Extra<Dispatch>,
    heads: usize,
    grid: Option<WindowGrid>,
) -> Tensor<D> {
    let (q, k, v) = (q.into_dispatch(), k.into_dispatch(), v.into_dispatch());
    Tensor::from_dispatch(Dispatch::attention_custom(q, k, v, extra, heads, grid))
}
