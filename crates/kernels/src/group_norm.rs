//! Group norm over a channels-last map, with the ReLU behind it (SAM 3's pixel decoder, behind each 3x3 convolution).
//!
//! `[batch, height, width, channels]` in and out, in three passes: each chunk of pixels gives a mean and a sum of squared
//! differences per channel, these are combined per group (Chan, Golub and LeVeque 1979), the map is scaled.

use crate::launch::{UNITS, empty, workgroups};
use crate::product::Activation;
use crate::route::{Kernel, Route, route};
use crate::{cpu, gradient};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{DType, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use cubecl::prelude::*;

/// Pixels of a chunk: at the full model's 288 x 288 this makes 162 of them.
const CHUNK: usize = 512;
/// Added to the variance.
const EPSILON: f64 = 1e-5;

/// `(x - mean) / sqrt(variance + 1e-5) * gamma + beta`, mean and variance over the pixels and a group's channels; then
/// ReLU if asked for.
pub fn group_norm(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    groups: usize,
    relu: bool,
) -> Tensor<4> {
    let [batch, _, _, channels] = x.dims();
    let custom = route(Kernel::GroupNorm, &x.device()) == Route::Custom
        && x.dtype() == DType::F32
        && channels.is_multiple_of(groups)
        && batch <= 65_535
        && x.shape().num_elements() > 0;
    if !custom {
        let x = match cpu::group_norm(x, groups, &gamma, &beta, EPSILON, relu) {
            Ok(normed) => return normed,
            Err(x) => x,
        };
        if let Some(normed) = gradient::group_norm(&x, &gamma, &beta, groups, EPSILON, relu) {
            return normed;
        }
        let activation = if relu {
            Activation::Relu
        } else {
            Activation::None
        };
        return activation.apply(plain(x, gamma, beta, groups));
    }
    Tensor::from_dispatch(Dispatch::group_norm_custom(
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        groups,
        relu,
    ))
}

/// Nearest-neighbour upsampling by exactly two, `[b, h, w, c] -> [b, 2h, 2w, c]`, plus a map of that size.
pub fn upsample2_add(coarse: &Tensor<4>, fine: &Tensor<4>) -> Tensor<4> {
    let [b, h, w, c] = coarse.dims();
    cpu::upsample2_add(coarse, fine)
        .or_else(|| gradient::upsample2_add(coarse, fine))
        .unwrap_or_else(|| {
            let cells = coarse.clone().reshape([b, h, 1, w, 1, c]);
            cells
                .expand([b, h, 2, w, 2, c])
                .reshape([b, 2 * h, 2 * w, c])
                + fine.clone()
        })
}

/// The same by plain tensor operations, without ReLU.
pub fn plain(x: Tensor<4>, gamma: Tensor<1>, beta: Tensor<1>, groups: usize) -> Tensor<4> {
    let [b, h, w, c] = x.dims();
    let x = x.reshape([b, h * w, groups, c / groups]);
    let mean = x.clone().mean_dim(3).mean_dim(1);
    let x = x - mean;
    let variance = (x.clone() * x.clone()).mean_dim(3).mean_dim(1);
    let x = x / (variance + EPSILON).sqrt();
    x.reshape([b, h, w, c]) * gamma.reshape([1, 1, 1, c]) + beta.reshape([1, 1, 1, c])
}

/// The kernels as an operation of a back end.
#[backend_extension(Cube, Fusion)]
pub trait GroupNormOps: Backend {
    /// See [`group_norm`].
    #[fusion(dtype = x, shape = x)]
    fn group_norm_custom(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        groups: usize,
        relu: bool,
    ) -> FloatTensor<Self>;
}

impl GroupNormOps for CubeBackend {
    fn group_norm_custom(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        groups: usize,
        relu: bool,
    ) -> FloatTensor<Self> {
        let [x, gamma, beta] = [x, gamma, beta].map(into_contiguous);
        let shape = x.meta.shape().clone();
        let (batch, pixels, channels) = (shape[0], shape[1] * shape[2], shape[3]);
        let chunks = pixels.div_ceil(CHUNK);
        let client = x.client.clone();
        let parts = empty(&x, [batch, chunks, channels, 2], DType::F32);
        let moments = empty(&x, [batch, groups, 2], DType::F32);
        let out = empty(&x, shape, DType::F32);
        let dim = CubeDim::new_1d(UNITS);
        let elements = batch * pixels * channels;
        // SAFETY: every kernel leaves when its position is not below its count, and its indices follow from the extents.
        unsafe {
            chunk_moments::launch_unchecked(
                &client,
                CubeCount::Static(
                    channels.div_ceil(UNITS as usize) as u32,
                    chunks as u32,
                    batch as u32,
                ),
                dim,
                x.clone().into_buffer_arg(),
                parts.clone().into_buffer_arg(),
                pixels as u32,
                channels as u32,
                CHUNK as u32,
            );
            group_moments::launch_unchecked(
                &client,
                workgroups(&x, batch * groups),
                dim,
                parts.into_buffer_arg(),
                moments.clone().into_buffer_arg(),
                (batch * groups) as u32,
                groups as u32,
                pixels as u32,
                channels as u32,
                CHUNK as u32,
                EPSILON as f32,
            );
            scale::launch_unchecked(
                &client,
                workgroups(&x, elements),
                dim,
                x.into_buffer_arg(),
                moments.into_buffer_arg(),
                gamma.into_buffer_arg(),
                beta.into_buffer_arg(),
                out.clone().into_buffer_arg(),
                elements as u32,
                (pixels * channels) as u32,
                channels as u32,
                groups as u32,
                relu,
            );
        }
        out
    }
}

/// Mean and sum of squared differences of one channel over a chunk of pixels: `[batch, chunks, channels, 2]`.
#[cube(launch_unchecked)]
fn chunk_moments(x: &[f32], parts: &mut [f32], pixels: u32, channels: u32, chunk: u32) {
    let channel = ABSOLUTE_POS_X;
    if channel >= channels {
        terminate!();
    }
    let first = CUBE_POS_Y * chunk;
    let last = min(first + chunk, pixels);
    let image = CUBE_POS_Z * pixels;
    // About the first value of the chunk, so that the squares keep their digits.
    let about = x[((image + first) * channels + channel) as usize];
    let mut sum = 0.0f32;
    let mut squares = 0.0f32;
    for pixel in first..last {
        let difference = x[((image + pixel) * channels + channel) as usize] - about;
        sum += difference;
        squares += difference * difference;
    }
    let count = f32::cast_from(last - first);
    let mean = sum / count;
    let at = ((CUBE_POS_Z * CUBE_COUNT_Y + CUBE_POS_Y) * channels + channel) * 2u32;
    parts[at as usize] = about + mean;
    parts[(at + 1u32) as usize] = squares - sum * mean;
}

/// Mean and `1 / sqrt(variance + epsilon)` of one group: `[batch, groups, 2]`.
#[cube(launch_unchecked)]
fn group_moments(
    parts: &[f32],
    moments: &mut [f32],
    count: u32,
    groups: u32,
    pixels: u32,
    channels: u32,
    chunk: u32,
    epsilon: f32,
) {
    let position = ABSOLUTE_POS as u32;
    if position >= count {
        terminate!();
    }
    let own = channels / groups;
    let chunks = (pixels + chunk - 1u32) / chunk;
    let first = (position / groups) * chunks * channels + (position % groups) * own;
    let all = f32::cast_from(pixels * own);
    let mut mean = 0.0f32;
    for part in 0..chunks {
        let weight = f32::cast_from(min(chunk, pixels - part * chunk)) / all;
        for channel in 0..own {
            mean += weight * parts[((first + part * channels + channel) * 2u32) as usize];
        }
    }
    let mut squares = 0.0f32;
    for part in 0..chunks {
        let weight = f32::cast_from(min(chunk, pixels - part * chunk));
        for channel in 0..own {
            let at = (first + part * channels + channel) * 2u32;
            let difference = parts[at as usize] - mean;
            squares += parts[(at + 1u32) as usize] + weight * difference * difference;
        }
    }
    moments[(position * 2u32) as usize] = mean;
    moments[(position * 2u32 + 1u32) as usize] = 1.0f32 / (squares / all + epsilon).sqrt();
}

#[cube(launch_unchecked)]
fn scale(
    x: &[f32],
    moments: &[f32],
    gamma: &[f32],
    beta: &[f32],
    out: &mut [f32],
    count: u32,
    image: u32,
    channels: u32,
    groups: u32,
    #[comptime] relu: bool,
) {
    let position = ABSOLUTE_POS as u32;
    if position >= count {
        terminate!();
    }
    let channel = position % channels;
    let group = (position / image) * groups + channel / (channels / groups);
    let mean = moments[(group * 2u32) as usize];
    let factor = moments[(group * 2u32 + 1u32) as usize];
    let mut y =
        (x[position as usize] - mean) * factor * gamma[channel as usize] + beta[channel as usize];
    if comptime!(relu) {
        y = max(y, 0.0f32);
    }
    out[position as usize] = y;
}
