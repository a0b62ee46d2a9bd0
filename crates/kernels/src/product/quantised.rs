//! Products with int8 weights: four values to a u32 word along the inner dimension, a f32 scale for 32 of them.
//!
//! `[m, k] x (words [n, k / 4], scales [n, k / 32]) (+ [n]) -> [m, n]`. Either the weight is dequantised while a tile is
//! multiplied, or once into a `[k, n]` buffer that a product in f32 then reads.

use super::epilogue::finish;
use super::tiling::Activation;
use cubecl::prelude::*;

/// Words to a scale: 32 values.
const WORDS_PER_SCALE: u32 = 8;

/// Four inner steps of four columns, whose weights are the rows from `line` on: `out[lane]` holds the four columns at
/// step `4 * step + lane`.
#[cube]
fn dequantise<V: Size>(
    words: &[u32],
    scales: &[f32],
    line: u32,
    step: u32,
    k: u32,
    out: &mut Array<Vector<f32, V>>,
) {
    let mut word = Array::<u32>::new(4usize);
    let mut scale = Array::<f32>::new(4usize);
    #[unroll]
    for c in 0..4usize {
        let row = line + comptime!(c as u32);
        word[c] = words[(row * k + step) as usize];
        scale[c] = scales[(row * (k / WORDS_PER_SCALE) + step / WORDS_PER_SCALE) as usize];
    }
    #[unroll]
    for lane in 0..4usize {
        let mut values = Vector::<f32, V>::empty();
        #[unroll]
        for c in 0..4usize {
            // To the top of the word, then back down with its sign.
            let signed = i32::cast_from(word[c] << comptime!(24u32 - 8 * lane as u32)) >> 24i32;
            values.insert(c, f32::cast_from(signed) * scale[c]);
        }
        out[lane] = values;
    }
}

/// Register tiles, as [`super::register::product`]. `k` counts words, `n` vectors of four columns; the weight's row
/// `first` is the first column.
#[cube(launch_unchecked)]
pub fn register_product<V: Size>(
    a: &[Vector<f32, V>],
    words: &[u32],
    scales: &[f32],
    bias: ComptimeOption<&[Vector<f32, V>]>,
    out: &mut [Vector<f32, V>],
    m: u32,
    k: u32,
    n: u32,
    first: u32,
    #[comptime] rows: usize,
    #[comptime] columns: usize,
    #[comptime] activation: Activation,
) {
    let first_row = ABSOLUTE_POS_Y * comptime!(rows as u32);
    let first_column = CUBE_POS_X * CUBE_DIM_X * comptime!(columns as u32) + UNIT_POS_X;
    if first_row >= m || first_column >= n {
        terminate!();
    }
    let mut sums = Array::<Vector<f32, V>>::new(comptime!(rows * columns));
    #[unroll]
    for i in 0..comptime!(rows * columns) {
        sums[i] = Vector::new(0.0f32);
    }
    let mut start = Array::<u32>::new(rows);
    #[unroll]
    for i in 0..rows {
        start[i] = min(first_row + comptime!(i as u32), m - 1u32) * k;
    }
    for step in 0..k {
        let mut left = Array::<Vector<f32, V>>::new(rows);
        #[unroll]
        for i in 0..rows {
            left[i] = a[(start[i] + step) as usize];
        }
        #[unroll]
        for j in 0..columns {
            let column = min(first_column + comptime!(j as u32) * CUBE_DIM_X, n - 1u32);
            let mut right = Array::<Vector<f32, V>>::new(4usize);
            dequantise::<V>(words, scales, first + column * 4u32, step, k, &mut right);
            #[unroll]
            for lane in 0..4usize {
                #[unroll]
                for i in 0..rows {
                    let index = comptime!(i * columns + j);
                    sums[index] += Vector::new(left[i].extract(lane)) * right[lane];
                }
            }
        }
    }
    #[unroll]
    for j in 0..columns {
        let at = first_column + comptime!(j as u32) * CUBE_DIM_X;
        if at < n {
            #[unroll]
            for i in 0..rows {
                let line = first_row + comptime!(i as u32);
                if line < m {
                    let sum = sums[comptime!(i * columns + j)];
                    out[(line * n + at) as usize] = finish::<V>(sum, &bias, at, activation);
                }
            }
        }
    }
}

/// Shared tiles, as [`super::shared::product`]; the weight is dequantised on its way into shared memory.
#[cube(launch_unchecked)]
pub fn shared_product<V: Size>(
    a: &[Vector<f32, V>],
    words: &[u32],
    scales: &[f32],
    bias: ComptimeOption<&[Vector<f32, V>]>,
    out: &mut [Vector<f32, V>],
    m: u32,
    k: u32,
    n: u32,
    first: u32,
    #[comptime] rows: usize,
    #[comptime] columns: usize,
    #[comptime] threads_x: usize,
    #[comptime] threads_y: usize,
    #[comptime] activation: Activation,
) {
    let depth_of_tile = comptime!(4usize);
    let tile_rows = comptime!(rows * threads_y);
    let tile_columns = comptime!(columns * threads_x);
    let threads = comptime!(threads_x * threads_y);
    let left_loads = comptime!(tile_rows * depth_of_tile / threads);
    let tasks = comptime!(tile_columns * depth_of_tile);

    let mut left_tile = Shared::<[Vector<f32, V>]>::new_slice(comptime!(tile_rows * depth_of_tile));
    let mut right_tile =
        Shared::<[Vector<f32, V>]>::new_slice(comptime!(tile_columns * depth_of_tile * 4));
    let top = CUBE_POS_Y * comptime!(tile_rows as u32);
    let side = CUBE_POS_X * comptime!(tile_columns as u32);

    let mut sums = Array::<Vector<f32, V>>::new(comptime!(rows * columns));
    #[unroll]
    for i in 0..comptime!(rows * columns) {
        sums[i] = Vector::new(0.0f32);
    }
    for slice in range_stepped(0u32, k, comptime!(depth_of_tile as u32)) {
        #[unroll]
        for t in 0..left_loads {
            let index = UNIT_POS + comptime!((t * threads) as u32);
            let line = min(top + index / comptime!(depth_of_tile as u32), m - 1u32);
            let depth = slice + index % comptime!(depth_of_tile as u32);
            let value = a[(line * k + min(depth, k - 1u32)) as usize];
            left_tile[index as usize] = select(depth < k, value, Vector::new(0.0f32));
        }
        #[unroll]
        for t in 0..comptime!(tasks.div_ceil(threads)) {
            let index = UNIT_POS + comptime!((t * threads) as u32);
            if index < comptime!(tasks as u32) {
                let column = index % comptime!(tile_columns as u32);
                let depth = index / comptime!(tile_columns as u32);
                let mut right = Array::<Vector<f32, V>>::new(4usize);
                dequantise::<V>(
                    words,
                    scales,
                    first + min(side + column, n - 1u32) * 4u32,
                    min(slice + depth, k - 1u32),
                    k,
                    &mut right,
                );
                #[unroll]
                for lane in 0..4usize {
                    let line = depth * 4u32 + comptime!(lane as u32);
                    right_tile[(line * comptime!(tile_columns as u32) + column) as usize] =
                        right[lane];
                }
            }
        }
        sync_cube();
        #[unroll]
        for depth in 0..depth_of_tile {
            let mut left = Array::<Vector<f32, V>>::new(rows);
            #[unroll]
            for i in 0..rows {
                let line = UNIT_POS_Y + comptime!((i * threads_y) as u32);
                left[i] = left_tile
                    [(line * comptime!(depth_of_tile as u32) + comptime!(depth as u32)) as usize];
            }
            #[unroll]
            for lane in 0..4usize {
                #[unroll]
                for j in 0..columns {
                    let at = comptime!(((depth * 4 + lane) * tile_columns + j * threads_x) as u32);
                    let right = right_tile[(UNIT_POS_X + at) as usize];
                    #[unroll]
                    for i in 0..rows {
                        let index = comptime!(i * columns + j);
                        sums[index] += Vector::new(left[i].extract(lane)) * right;
                    }
                }
            }
        }
        sync_cube();
    }
    #[unroll]
    for j in 0..columns {
        let at = side + UNIT_POS_X + comptime!((j * threads_x) as u32);
        if at < n {
            #[unroll]
            for i in 0..rows {
                let line = top + UNIT_POS_Y + comptime!((i * threads_y) as u32);
                if line < m {
                    let sum = sums[comptime!(i * columns + j)];
                    out[(line * n + at) as usize] = finish::<V>(sum, &bias, at, activation);
                }
            }
        }
    }
}

/// `words [.., k]` from row `first` on to f32 `[4 * k, n]`: a thread takes a word of a row.
#[cube(launch_unchecked)]
pub fn expand(words: &[u32], scales: &[f32], out: &mut [f32], k: u32, n: u32, first: u32) {
    let column = ABSOLUTE_POS_X;
    let step = ABSOLUTE_POS_Y;
    if column < n && step < k {
        let row = first + column;
        let word = words[(row * k + step) as usize];
        let scale = scales[(row * (k / WORDS_PER_SCALE) + step / WORDS_PER_SCALE) as usize];
        #[unroll]
        for lane in 0..4usize {
            let signed = i32::cast_from(word << comptime!(24u32 - 8 * lane as u32)) >> 24i32;
            let line = step * 4u32 + comptime!(lane as u32);
            out[(line * n + column) as usize] = f32::cast_from(signed) * scale;
        }
    }
}
