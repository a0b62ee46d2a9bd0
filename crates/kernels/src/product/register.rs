//! Matrix product in registers alone: a thread sums a small tile and reads its operands straight from the buffers.
//!
//! `[m, k] x [k, n] (+ [n]) -> [m, n]`; as an implicit GEMM also the 3x3 convolution with padding 1, where a row of
//! the left matrix is the neighbourhood of a pixel. No barrier and no shared memory: the caches do the sharing.

use super::epilogue::finish;
use super::tiling::Activation;
use cubecl::prelude::*;

/// One product, or a batch of them along the grid's third axis.
///
/// `VK` and `VN` are vector sizes along the inner dimension and along columns, `k` and `n` counts of such vectors.
/// `first_workgroup` is that of this dispatch along rows. With `image` set, `a` is a map `[batch, height, width, channels]` and `k` counts the channels' vectors.
#[cube(launch_unchecked)]
pub fn product<VK: Size, VN: Size>(
    a: &[Vector<f32, VK>],
    b: &[Vector<f32, VN>],
    bias: ComptimeOption<&[Vector<f32, VN>]>,
    out: &mut [Vector<f32, VN>],
    m: u32,
    k: u32,
    n: u32,
    b_batch: u32,
    first_workgroup: u32,
    height: u32,
    width: u32,
    #[comptime] rows: usize,
    #[comptime] columns: usize,
    #[comptime] image: bool,
    #[comptime] activation: Activation,
) {
    // Rows of a thread lie together, so that threads past the last row have nothing to do; columns of neighbouring
    // threads lie together, so that they are read at once.
    let first_row =
        ((CUBE_POS_Y + first_workgroup) * CUBE_DIM_Y + UNIT_POS_Y) * comptime!(rows as u32);
    let first_column = CUBE_POS_X * CUBE_DIM_X * comptime!(columns as u32) + UNIT_POS_X;
    let batch = CUBE_POS_Z;
    if first_row >= m || first_column >= n {
        terminate!();
    }

    let mut sums = Array::<Vector<f32, VN>>::new(comptime!(rows * columns));
    #[unroll]
    for i in 0..comptime!(rows * columns) {
        sums[i] = Vector::new(0.0f32);
    }

    // Rows and columns past the edge repeat the last one; only their stores are left out.
    let mut row = Array::<u32>::new(rows);
    #[unroll]
    for i in 0..rows {
        row[i] = min(first_row + comptime!(i as u32), m - 1u32);
    }
    let mut column = Array::<u32>::new(columns);
    #[unroll]
    for j in 0..columns {
        column[j] = min(first_column + comptime!(j as u32) * CUBE_DIM_X, n - 1u32);
    }

    let segments = comptime!(if image { 9u32 } else { 1u32 });
    for segment in 0..segments {
        let mut start = Array::<u32>::new(rows);
        let mut inside = Array::<bool>::new(rows);
        #[unroll]
        for i in 0..rows {
            if comptime!(image) {
                let (neighbour, within) = neighbour(row[i], segment, height, width);
                start[i] = (batch * m + neighbour) * k;
                inside[i] = within;
            } else {
                start[i] = (batch * m + row[i]) * k;
                inside[i] = true;
            }
        }
        for step in 0..k {
            let mut left = Array::<Vector<f32, VK>>::new(rows);
            #[unroll]
            for i in 0..rows {
                let value = a[(start[i] + step) as usize];
                if comptime!(image) {
                    left[i] = select(inside[i], value, Vector::new(0.0f32));
                } else {
                    left[i] = value;
                }
            }
            let lanes = VK::value();
            let line = batch * b_batch + (segment * k + step) * comptime!(lanes as u32) * n;
            #[unroll]
            for lane in 0..lanes {
                #[unroll]
                for j in 0..columns {
                    let right = b[(line + comptime!(lane as u32) * n + column[j]) as usize];
                    #[unroll]
                    for i in 0..rows {
                        let index = comptime!(i * columns + j);
                        sums[index] += Vector::new(left[i].extract(lane)) * right;
                    }
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
                    out[((batch * m + line) * n + at) as usize] =
                        finish::<VN>(sum, &bias, at, activation);
                }
            }
        }
    }
}

/// The pixel that cell `tap` (0..9, in rows) of the 3x3 kernel sees from pixel `pixel`, and whether it lies within
/// the image; where it does not, the pixel itself, so that any read stays in the buffer.
#[cube]
pub fn neighbour(pixel: u32, tap: u32, height: u32, width: u32) -> (u32, bool) {
    // Wraps below zero to a large number, which is outside as well.
    let y = pixel / width + tap / 3u32 - 1u32;
    let x = pixel % width + tap % 3u32 - 1u32;
    let within = y < height && x < width;
    (select(within, y * width + x, pixel), within)
}
