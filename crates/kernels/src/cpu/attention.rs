//! Attention with a running softmax: scores exist for one tile of queries and keys at a time, in the second cache.

use super::gemm::{DEPTH, Into, Matrix, Packed, Rows, partial_product};
use super::math::exp2;
use super::threads;
use super::view::{Mask, View, tensor};
use burn::tensor::{Bool, Device, Tensor};
use macerator::Simd;
use std::f32::consts::LOG2_E;
use std::sync::Arc;

/// Queries of a tile, whole register tiles.
pub(super) const QUERIES: usize = 96;
/// Most keys of a tile; a 24x24 window is one tile.
const KEYS: usize = 3 * DEPTH;
/// Most queries of a task: enough that packing keys and values for each does not show.
const TASK: usize = 18 * QUERIES;

/// `softmax(q k^T / sqrt(head_dim) + bias) v` in `heads` heads, of `q` `[b, n, width]`, `k` and `v` `[b, m, width]`,
/// which may be parts of a wider tensor. `masked` is true at keys to leave out, `[b | 1, heads | 1, n | 1, m]`; `bias`
/// is added to the scores, `[b, heads, n, m]`. A query without any key gives zeros.
pub fn attention(
    q: &Tensor<3>,
    k: &Tensor<3>,
    v: &Tensor<3>,
    heads: usize,
    masked: Option<&Tensor<4, Bool>>,
    bias: Option<&Tensor<4>>,
) -> Option<Tensor<3>> {
    // Before the mask is read: a browser cannot wait for one on another device.
    View::of(q)?;
    let masked = read_mask(masked, scores_of(q, k, heads))?;
    Some(Call::new(q, k, v, heads, masked, bias)?.result())
}

/// The mask on the host, which waits for its device; `None` where it does not fit the scores.
pub(crate) fn read_mask(
    masked: Option<&Tensor<4, Bool>>,
    scores: [usize; 4],
) -> Option<Option<Arc<Mask>>> {
    match masked {
        Some(masked) => Mask::of(masked.clone(), scores).map(|mask| Some(Arc::new(mask))),
        None => Some(None),
    }
}

/// Extents of the scores, `[b, heads, n, m]`.
pub(crate) fn scores_of(q: &Tensor<3>, k: &Tensor<3>, heads: usize) -> [usize; 4] {
    [q.dims()[0], heads, q.dims()[1], k.dims()[1]]
}

/// Queries, keys and values of one attention.
pub(crate) struct Call {
    pub(super) q: View<3>,
    pub(super) k: View<3>,
    pub(super) v: View<3>,
    pub(super) heads: usize,
    pub(super) head_dim: usize,
    masked: Option<Arc<Mask>>,
    bias: Option<View<4>>,
    pub(super) device: Device,
}

impl Call {
    /// `None` where an extent does not fit the others or a tensor is not a plain one of the CPU.
    pub fn new(
        q: &Tensor<3>,
        k: &Tensor<3>,
        v: &Tensor<3>,
        heads: usize,
        masked: Option<Arc<Mask>>,
        bias: Option<&Tensor<4>>,
    ) -> Option<Self> {
        let [b, n, width] = q.dims();
        let m = k.dims()[1];
        if k.dims() != [b, m, width]
            || v.dims() != [b, m, width]
            || bias.is_some_and(|bias| bias.dims() != [b, heads, n, m])
            || b * heads * n * m * width == 0
            || !width.is_multiple_of(heads)
            || width / heads > DEPTH
        {
            return None;
        }
        Some(Self {
            q: View::of(q)?,
            k: View::of(k)?,
            v: View::of(v)?,
            heads,
            head_dim: width / heads,
            masked,
            bias: match bias {
                Some(bias) => Some(View::of(bias)?),
                None => None,
            },
            device: q.device(),
        })
    }

    /// `[b, n, width]`
    pub fn result(&self) -> Tensor<3> {
        let ([b, n, width], heads) = (self.q.dims, self.heads);
        let tasks = n.div_ceil(TASK);
        let parts = threads::map(b * heads * tasks, |task| {
            let (rest, part) = (task / tasks, task % tasks);
            self.head(
                [rest / heads, rest % heads],
                part * TASK..n.min((part + 1) * TASK),
            )
        });
        let mut out = vec![0.0; b * n * width];
        threads::for_chunks(&mut out, width, |row, out| {
            let (image, query) = (row / n, row % n);
            for (head, out) in out.chunks_mut(self.head_dim).enumerate() {
                let part = &parts[(image * heads + head) * tasks + query / TASK];
                let start = query % TASK * self.head_dim;
                out.copy_from_slice(&part[start..start + self.head_dim]);
            }
        });
        tensor(out, [b, n, width], &self.device)
    }

    /// One head for some queries, `[queries, head_dim]`.
    fn head(&self, at: [usize; 2], queries: core::ops::Range<usize>) -> Vec<f32> {
        let (width, m) = (self.head_dim, self.k.dims[1]);
        let keys = Packed::new(self.part(&self.k, at, 0, m).transposed());
        let values = Packed::new(self.part(&self.v, at, 0, m));
        let scale = LOG2_E / (width as f32).sqrt();
        let mut result = vec![0.0; queries.len() * width];
        let mut scores = vec![0.0; QUERIES * KEYS.min(m)];
        for (i, out) in result.chunks_mut(QUERIES * width).enumerate() {
            let first = queries.start + i * QUERIES;
            let count = out.len() / width;
            let q = self.part(&self.q, at, first, count).to_rows(scale);
            let mut largest = [f32::NEG_INFINITY; QUERIES];
            let mut sums = [0.0; QUERIES];
            for start in (0..m).step_by(KEYS) {
                let tile = KEYS.min(m - start);
                let scores = &mut scores[..count * tile];
                let q = Rows {
                    values: &q,
                    row_step: width,
                    rows: count,
                    depth: width,
                };
                partial_product(scores, Into::place(tile), q, &keys, 0, start..start + tile);
                self.adjust(scores, at, first, start, tile);
                exponentials(scores, tile, &mut largest, &mut sums, out, width);
                for run in (0..tile).step_by(DEPTH) {
                    let into = Into {
                        add: start + run > 0,
                        ..Into::place(width)
                    };
                    let weights = Rows {
                        values: &scores[run..],
                        row_step: tile,
                        rows: count,
                        depth: DEPTH.min(tile - run),
                    };
                    partial_product(out, into, weights, &values, start + run, 0..width);
                }
            }
            divide(out, width, &sums);
        }
        result
    }

    /// `count` rows from `token` on of one head of one image.
    pub(super) fn part<'a>(
        &self,
        view: &'a View<3>,
        [image, head]: [usize; 2],
        token: usize,
        count: usize,
    ) -> Matrix<'a> {
        let [of_image, of_token, of_channel] = view.steps;
        let start = image * of_image + token * of_token + head * self.head_dim * of_channel;
        Matrix::new(
            &view.values()[start..],
            [count, self.head_dim],
            [of_token, of_channel],
        )
    }

    /// Adds the bias to scores, which are to base two, and takes masked keys out.
    pub(super) fn adjust(
        &self,
        scores: &mut [f32],
        [image, head]: [usize; 2],
        query: usize,
        key: usize,
        keys: usize,
    ) {
        if let Some(bias) = &self.bias {
            let [of_image, of_head, of_query, of_key] = bias.steps;
            let from = image * of_image + head * of_head + query * of_query + key * of_key;
            add_bias(scores, keys, &bias.values()[from..], of_query, of_key);
        }
        if let Some(masked) = &self.masked {
            for (i, scores) in scores.chunks_mut(keys).enumerate() {
                for (j, score) in scores.iter_mut().enumerate() {
                    if masked.at([image, head, query + i, key + j]) {
                        *score = f32::NEG_INFINITY;
                    }
                }
            }
        }
    }
}

/// Adds the bias in units of the scores, which are to base two. Rows of `bias` start `row_step` apart.
#[macerator::with_simd]
fn add_bias<S: Simd>(scores: &mut [f32], keys: usize, bias: &[f32], row_step: usize, step: usize) {
    for (i, scores) in scores.chunks_mut(keys).enumerate() {
        let bias = &bias[i * row_step..];
        if step == 1 {
            for (score, bias) in scores.iter_mut().zip(bias) {
                *score += LOG2_E * bias;
            }
        } else {
            for (score, bias) in scores.iter_mut().zip(bias.iter().step_by(step.max(1))) {
                *score += LOG2_E * bias;
            }
        }
    }
}

/// Turns scores into `2^(score - largest)` and scales what was summed with a smaller largest score.
#[macerator::with_simd]
fn exponentials<S: Simd>(
    scores: &mut [f32],
    keys: usize,
    largest: &mut [f32],
    sums: &mut [f32],
    out: &mut [f32],
    width: usize,
) {
    for (((scores, largest), sum), out) in scores
        .chunks_mut(keys)
        .zip(largest)
        .zip(sums)
        .zip(out.chunks_mut(width))
    {
        let before = *largest;
        let now = maximum(scores).max(before);
        // Without any key so far the exponentials are of minus infinity, zero.
        let origin = if now == f32::NEG_INFINITY { 0.0 } else { now };
        let added = exponentials_of_row(scores, origin);
        *largest = now;
        if before == now || before == f32::NEG_INFINITY {
            *sum += added;
        } else {
            let shrink = exp2(before - origin);
            *sum = *sum * shrink + added;
            for value in out {
                *value *= shrink;
            }
        }
    }
}

/// Independent sums or maxima, so that the order of additions does not keep them from being vectors.
pub(super) const LANES: usize = 32;

#[inline(always)]
pub(super) fn maximum(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let mut chunks = values.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = if *value > *lane { *value } else { *lane };
        }
    }
    lanes
        .iter()
        .chain(chunks.remainder())
        .fold(f32::NEG_INFINITY, |a, b| a.max(*b))
}

#[inline(always)]
pub(super) fn exponentials_of_row(values: &mut [f32], origin: f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let mut chunks = values.chunks_exact_mut(LANES);
    for chunk in &mut chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *value = exp2(*value - origin);
            *lane += *value;
        }
    }
    let mut sum: f32 = lanes.iter().sum();
    for value in chunks.into_remainder() {
        *value = exp2(*value - origin);
        sum += *value;
    }
    sum
}

#[macerator::with_simd]
fn divide<S: Simd>(out: &mut [f32], width: usize, sums: &[f32]) {
    for (out, sum) in out.chunks_mut(width).zip(sums) {
        let inverse = if *sum > 0.0 { 1.0 / sum } else { 0.0 };
        for value in out {
            *value *= inverse;
        }
    }
}
