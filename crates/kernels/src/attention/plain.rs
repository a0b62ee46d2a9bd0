//! Attention by plain tensor operations: the CPU's way, and that of devices that differentiate.

use super::WindowGrid;
use burn::tensor::module;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, Tensor};

/// Most scores held at once (64 MiB of f32), below the 128 MiB that a WebGPU binding is sure to hold.
const SCORE_BUDGET: usize = 16 << 20;

/// See [`super::attention`]. Queries are taken in slices so that the scores of a slice stay within a fixed budget.
pub fn plain(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    heads: usize,
    masked: Option<Tensor<4, Bool>>,
    bias: Option<Tensor<4>>,
) -> Tensor<3> {
    let [b, n, width] = q.dims();
    let [q, k, v] = [q, k, v].map(|x| {
        let [b, n, _] = x.dims();
        x.reshape([b, n, heads, width / heads]).swap_dims(1, 2)
    });
    within_budget(SCORE_BUDGET, q, k, v, masked, bias)
        .swap_dims(1, 2)
        .reshape([b, n, width])
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
        return module::attention(q, k, v, masked, bias, options);
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
            let q = q.clone().narrow(2, start, count);
            module::attention(q, k.clone(), v.clone(), masked, bias, options)
        })
        .collect();
    Tensor::cat(parts, 2)
}

/// `[batch * windows, window tokens, width] -> [batch, rows, columns, width]`; rows beyond the grid are dropped.
pub fn to_grid(x: Tensor<3>, grid: WindowGrid) -> Tensor<4> {
    let [all, _, width] = x.dims();
    let b = all / grid.windows();
    let (high, wide) = (grid.window_rows, grid.window_columns);
    let (down, across) = (grid.rows.div_ceil(high), grid.columns.div_ceil(wide));
    x.reshape([b, down, across, high, wide, width])
        .permute([0, 1, 3, 2, 4, 5])
        .reshape([b, down * high, across * wide, width])
        .slice([0..b, 0..grid.rows, 0..grid.columns, 0..width])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution};

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
