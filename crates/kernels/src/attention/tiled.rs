//! Attention as two matrix products over tiles in shared memory (Dao et al. 2022): a workgroup of 8 x 8 threads owns
//! `8 * rows` queries of one head and streams over tiles of 32 keys. A thread sums `rows` x 4 scores, then `rows` x 8
//! channels of the results, so that every value it reads from shared memory serves several products.
//!
//! `N` channels make a vector, `lanes` vectors a head. Rows of keys and scores are one vector longer than what they
//! hold, so that neighbouring threads read from different banks; of queries they read the same one. Sums are f32.

use super::kernel::{LEFT_OUT, LOWEST, SPOILT, Sizes, grid_row};
use cubecl::prelude::*;

/// Threads along queries, and along keys or channels.
pub(super) const SIDE: usize = 8;
/// Keys of a tile: four for each thread of a row, one vector of scores.
pub(super) const KEYS: usize = 4 * SIDE;
/// Vectors from one row of scores to the next.
const SCORES: usize = SIDE + 1;

/// Bytes of shared memory that a workgroup takes: queries, keys or values, scores, and one number per query.
pub(super) fn shared_bytes(rows: usize, lanes: usize) -> usize {
    let queries = SIDE * rows;
    16 * (queries * lanes + KEYS * (lanes + 1) + queries * SCORES) + 4 * queries
}

#[cube(launch_unchecked)]
pub(super) fn attention_tiled<F: Float, M: Numeric, N: Size>(
    q: &[Vector<F, N>],
    k: &[Vector<F, N>],
    v: &[Vector<F, N>],
    bias: ComptimeOption<&[F]>,
    masked: ComptimeOption<&[M]>,
    out: &mut [Vector<F, N>],
    sizes: Sizes,
    #[comptime] lanes: usize,
    #[comptime] rows: usize,
    #[comptime] windowed: bool,
    #[define(F, M)] _types: [ElemType; 2],
) {
    // `groups` counts tiles of queries of a head here, `first` and `threads` workgroups.
    let workgroup = CUBE_POS + sizes.first;
    if workgroup >= sizes.threads {
        terminate!();
    }
    let stride = comptime!(lanes + 1);
    let queries = comptime!(SIDE * rows);
    let vectors = comptime!(lanes.div_ceil(SIDE));
    let mut query_tile = Shared::<[Vector<f32, N>]>::new_slice(comptime!(queries * lanes));
    // Keys, then values.
    let mut key_tile = Shared::<[Vector<f32, N>]>::new_slice(comptime!(KEYS * stride));
    let mut scores = Shared::<[Vector<f32, N>]>::new_slice(comptime!(queries * SCORES));
    // What the results so far shrink by; at the end, one over the sum of a query's weights.
    let mut factors = Shared::<[f32]>::new_slice(queries);

    let unit = UNIT_POS as usize;
    let (across, down) = (unit % SIDE, unit / SIDE);
    let pair = workgroup / sizes.groups;
    let (batch, head) = (pair / sizes.heads, pair % sizes.heads);
    let first = (workgroup % sizes.groups) * queries;

    let scale = Vector::<f32, N>::new(f32::new(comptime!(1.0 / ((lanes * 4) as f32).sqrt())));
    let mut load = unit;
    while load < queries * lanes {
        let row = min(first + load / lanes, sizes.queries - 1);
        let from = (batch * sizes.queries + row) * sizes.width + head * lanes + load % lanes;
        query_tile[load] = Vector::<f32, N>::cast_from(q[from]) * scale;
        load += comptime!(SIDE * SIDE);
    }

    let mut result = Array::<Vector<f32, N>>::new(comptime!(rows * vectors));
    #[unroll]
    for i in 0..comptime!(rows * vectors) {
        result[i] = Vector::<f32, N>::zeroed();
    }
    // Of the query that this thread takes the maximum of, where it takes one.
    let mut largest = f32::new(LOWEST);
    let mut total = f32::new(0.0);

    let start = batch * sizes.keys * sizes.width + head * lanes;
    let tiles = (sizes.keys + KEYS - 1) / KEYS;
    for tile in 0..tiles {
        let first_key = tile * KEYS;
        // A thread's keys lie side by side in the scores, and 8 rows apart in the tile.
        let mut load = unit;
        while load < KEYS * lanes {
            let index = load / lanes;
            let key = min(first_key + index, sizes.keys - 1);
            let row = index % 4 * SIDE + index / 4;
            key_tile[row * stride + load % lanes] =
                Vector::<f32, N>::cast_from(k[start + key * sizes.width + load % lanes]);
            load += comptime!(SIDE * SIDE);
        }
        sync_cube();
        // One number each, not a vector of partial sums: registers are what limits the queries of a thread.
        let mut products = Array::<f32>::new(comptime!(rows * 4));
        #[unroll]
        for i in 0..comptime!(rows * 4) {
            products[i] = f32::new(0.0);
        }
        #[unroll]
        for l in 0..lanes {
            let mut keys = Array::<Vector<f32, N>>::new(4usize);
            #[unroll]
            for c in 0..4usize {
                keys[c] = key_tile[(c * SIDE + across) * stride + l];
            }
            #[unroll]
            for r in 0..rows {
                let query = query_tile[(r * SIDE + down) * lanes + l];
                #[unroll]
                for c in 0..4usize {
                    #[unroll]
                    for channel in 0..4usize {
                        products[r * 4 + c] =
                            products[r * 4 + c] + query.extract(channel) * keys[c].extract(channel);
                    }
                }
            }
        }
        #[unroll]
        for r in 0..rows {
            let row = min(first + r * SIDE + down, sizes.queries - 1);
            let mut of_row = Vector::<f32, N>::new(f32::new(LOWEST));
            #[unroll]
            for c in 0..4usize {
                let key = first_key + across * 4 + c;
                let there = min(key, sizes.keys - 1);
                let mut s = products[r * 4 + c];
                #[comptime]
                let added = match bias {
                    ComptimeOption::Some(bias) => {
                        f32::cast_from(bias[(pair * sizes.queries + row) * sizes.keys + there])
                    }
                    ComptimeOption::None => f32::new(0.0),
                };
                #[comptime]
                let is_left_out = match masked {
                    ComptimeOption::Some(masked) => {
                        let flag =
                            masked[batch * sizes.mask_batch + row * sizes.mask_query + there];
                        u32::cast_from(flag) != 0
                    }
                    ComptimeOption::None => false.runtime(),
                };
                s = select(is_left_out, f32::new(LEFT_OUT), s + added);
                of_row.insert(c, select(key < sizes.keys, s, f32::new(LOWEST)));
            }
            scores[(r * SIDE + down) * SCORES + across] = of_row;
        }
        sync_cube();
        let mut load = unit;
        while load < KEYS * lanes {
            let key = min(first_key + load / lanes, sizes.keys - 1);
            key_tile[load / lanes * stride + load % lanes] =
                Vector::<f32, N>::cast_from(v[start + key * sizes.width + load % lanes]);
            load += comptime!(SIDE * SIDE);
        }
        if unit < queries {
            let before = largest;
            let mut four = scores[unit * SCORES];
            #[unroll]
            for i in 1..SIDE {
                four = max(four, scores[unit * SCORES + i]);
            }
            let two = max(four.extract(0usize), four.extract(1usize));
            let other = max(four.extract(2usize), four.extract(3usize));
            largest = max(before, max(two, other));
            let shrink = (before - largest).exp();
            let mut sum = Vector::<f32, N>::zeroed();
            #[unroll]
            for i in 0..SIDE {
                let weight = (scores[unit * SCORES + i] - Vector::new(largest)).exp();
                scores[unit * SCORES + i] = weight;
                sum += weight;
            }
            let sum = sum.extract(0usize)
                + sum.extract(1usize)
                + (sum.extract(2usize) + sum.extract(3usize));
            total = total * shrink + sum;
            factors[unit] = shrink;
        }
        sync_cube();
        #[unroll]
        for r in 0..rows {
            let shrink = Vector::<f32, N>::new(factors[r * SIDE + down]);
            #[unroll]
            for j in 0..vectors {
                result[r * vectors + j] = result[r * vectors + j] * shrink;
            }
        }
        for four in 0..SIDE {
            let mut weights = Array::<Vector<f32, N>>::new(rows);
            #[unroll]
            for r in 0..rows {
                weights[r] = scores[(r * SIDE + down) * SCORES + four];
            }
            #[unroll]
            for c in 0..4usize {
                #[unroll]
                for j in 0..vectors {
                    // Threads past the last channel sum the last one once more and write nothing.
                    let lane = min(across + j * SIDE, lanes - 1);
                    let value = key_tile[(four * 4 + c) * stride + lane];
                    #[unroll]
                    for r in 0..rows {
                        let at = comptime!(r * vectors + j);
                        result[at] = result[at] + Vector::new(weights[r].extract(c)) * value;
                    }
                }
            }
        }
        // The next keys go where the values are.
        sync_cube();
    }
    if unit < queries {
        factors[unit] = f32::new(SPOILT) / total;
    }
    sync_cube();
    #[unroll]
    for r in 0..rows {
        let row = first + r * SIDE + down;
        let (to, is_there) = grid_row(batch, row, &sizes, windowed);
        let scale = Vector::<f32, N>::new(factors[r * SIDE + down]);
        #[unroll]
        for j in 0..vectors {
            let lane = across + j * SIDE;
            if is_there && lane < lanes {
                out[to * sizes.width + head * lanes + lane] =
                    Vector::<F, N>::cast_from(result[r * vectors + j] * scale);
            }
        }
    }
}
