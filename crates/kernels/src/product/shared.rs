//! Matrix product through tiles in shared memory: a workgroup loads a slice of both operands once, a thread then
//! sums its values from there. Between load and use stands a barrier.
//!
//! The same shapes and the same implicit GEMM as in [`super::register`]; only vectors of four.

use super::epilogue::finish;
use super::register::neighbour;
use super::tiling::Activation;
use cubecl::prelude::*;

/// Inner dimension of a tile, in vectors of four.
const DEPTH: usize = 4;

/// One product, or a batch of them along the grid's third axis. `k` and `n` count vectors of four, as do `a_row`, from
/// one row of the left operand to the next, and `a_batch` and `b_batch`, from one product's operands to the next one's.
#[cube(launch_unchecked)]
pub fn product<V: Size>(
    a: &[Vector<f32, V>],
    b: &[Vector<f32, V>],
    bias: ComptimeOption<&[Vector<f32, V>]>,
    out: &mut [Vector<f32, V>],
    m: u32,
    k: u32,
    n: u32,
    a_row: u32,
    a_batch: u32,
    b_batch: u32,
    first_workgroup: u32,
    height: u32,
    width: u32,
    #[comptime] rows: usize,
    #[comptime] columns: usize,
    #[comptime] threads_x: usize,
    #[comptime] threads_y: usize,
    #[comptime] image: bool,
    #[comptime] activation: Activation,
) {
    let tile_rows = comptime!(rows * threads_y);
    let tile_columns = comptime!(columns * threads_x);
    let threads = comptime!(threads_x * threads_y);
    let left_loads = comptime!(tile_rows * DEPTH / threads);
    let right_loads = comptime!(tile_columns * DEPTH * 4 / threads);

    let mut left_tile = Shared::<[Vector<f32, V>]>::new_slice(comptime!(tile_rows * DEPTH));
    let mut right_tile = Shared::<[Vector<f32, V>]>::new_slice(comptime!(tile_columns * DEPTH * 4));

    let batch = CUBE_POS_Z;
    let top = (CUBE_POS_Y + first_workgroup) * comptime!(tile_rows as u32);
    let side = CUBE_POS_X * comptime!(tile_columns as u32);

    let mut sums = Array::<Vector<f32, V>>::new(comptime!(rows * columns));
    #[unroll]
    for i in 0..comptime!(rows * columns) {
        sums[i] = Vector::new(0.0f32);
    }

    // What this thread loads of the left operand: a row, and where in the slice.
    let mut load_row = Array::<u32>::new(left_loads);
    #[unroll]
    for t in 0..left_loads {
        let index = UNIT_POS + comptime!((t * threads) as u32);
        load_row[t] = min(top + index / comptime!(DEPTH as u32), m - 1u32);
    }

    let segments = comptime!(if image { 9u32 } else { 1u32 });
    for segment in 0..segments {
        let mut start = Array::<u32>::new(left_loads);
        let mut inside = Array::<bool>::new(left_loads);
        #[unroll]
        for t in 0..left_loads {
            if comptime!(image) {
                let (neighbour, within) = neighbour(load_row[t], segment, height, width);
                start[t] = batch * a_batch + neighbour * a_row;
                inside[t] = within;
            } else {
                start[t] = batch * a_batch + load_row[t] * a_row;
                inside[t] = true;
            }
        }
        for slice in range_stepped(0u32, k, comptime!(DEPTH as u32)) {
            #[unroll]
            for t in 0..left_loads {
                let index = UNIT_POS + comptime!((t * threads) as u32);
                let depth = slice + index % comptime!(DEPTH as u32);
                let value = a[(start[t] + min(depth, k - 1u32)) as usize];
                left_tile[index as usize] =
                    select(inside[t] && depth < k, value, Vector::new(0.0f32));
            }
            #[unroll]
            for t in 0..right_loads {
                let index = UNIT_POS + comptime!((t * threads) as u32);
                let depth = slice * 4u32 + index / comptime!(tile_columns as u32);
                let column = min(side + index % comptime!(tile_columns as u32), n - 1u32);
                let line = segment * k * 4u32 + min(depth, k * 4u32 - 1u32);
                let value = b[(batch * b_batch + line * n + column) as usize];
                right_tile[index as usize] = select(depth < k * 4u32, value, Vector::new(0.0f32));
            }
            sync_cube();
            #[unroll]
            for depth in 0..DEPTH {
                let mut left = Array::<Vector<f32, V>>::new(rows);
                #[unroll]
                for i in 0..rows {
                    let line = UNIT_POS_Y + comptime!((i * threads_y) as u32);
                    left[i] = left_tile
                        [(line * comptime!(DEPTH as u32) + comptime!(depth as u32)) as usize];
                }
                #[unroll]
                for lane in 0..4usize {
                    #[unroll]
                    for j in 0..columns {
                        let at =
                            comptime!(((depth * 4 + lane) * tile_columns + j * threads_x) as u32);
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
                    out[((batch * m + line) * n + at) as usize] =
                        finish::<V>(sum, &bias, at, activation);
                }
            }
        }
    }
}
