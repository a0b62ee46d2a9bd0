//! The kernels that the full model spends its time in, at its shapes: how long each takes on a device, in any variant.
//! Beside [`crate::peak`] that gives shares of the adapter's own peak.

use crate::attention::attention;
use crate::choice::Choice;
use crate::clock::{Clock, first};
use crate::product::{Activation, conv3x3, linear};
use crate::q8::Q8;
use burn::tensor::{Device, Distribution, Tensor};

/// A run longer than this is timed once.
const SECONDS_TO_REPEAT: f64 = 2.0;

/// Channels of the trunk.
const WIDTH: usize = 1024;
/// Its heads.
const HEADS: usize = 16;

/// A kernel at a shape of the full model at 1008 pixels.
#[derive(Debug, Clone, Copy)]
pub struct Problem {
    /// What it is called in reports.
    pub name: &'static str,
    shape: Shape,
}

/// Rows, inner dimension and columns of a product; side and channels of a map; batch and tokens of attention.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Linear(usize, usize, usize),
    LinearQ8(usize, usize, usize),
    Convolution(usize, usize),
    Attention(usize, usize),
}

const fn problem(name: &'static str, shape: Shape) -> Problem {
    Problem { name, shape }
}

/// Where the full model's operations are: the trunk's projections and attention, the neck's convolutions, and the text
/// encoder's few rows.
pub const PROBLEMS: [Problem; 10] = [
    problem("linear 5184x1024x3072", Shape::Linear(5184, 1024, 3072)),
    problem("linear 5184x1024x4736", Shape::Linear(5184, 1024, 4736)),
    problem(
        "linear q8 5184x1024x3072",
        Shape::LinearQ8(5184, 1024, 3072),
    ),
    problem(
        "linear q8 5184x1024x4736",
        Shape::LinearQ8(5184, 1024, 4736),
    ),
    problem("linear 32x1024x4096", Shape::Linear(32, 1024, 4096)),
    problem("linear 32x4096x1024", Shape::Linear(32, 4096, 1024)),
    problem("conv3x3 144x144x256", Shape::Convolution(144, 256)),
    problem("conv3x3 288x288x256", Shape::Convolution(288, 256)),
    problem("attention, 9 windows of 576", Shape::Attention(9, 576)),
    problem("attention, global 5184", Shape::Attention(1, 5184)),
];

impl Problem {
    /// Floating-point operations of one run.
    pub fn operations(&self) -> f64 {
        match self.shape {
            Shape::Linear(m, k, n) | Shape::LinearQ8(m, k, n) => 2.0 * (m * k * n) as f64,
            Shape::Convolution(side, channels) => 18.0 * (side * side * channels * channels) as f64,
            Shape::Attention(batch, tokens) => (4 * batch * tokens * tokens * WIDTH) as f64,
        }
    }

    /// Whether `Choice::attention` decides about it, and not the tiling of products.
    pub fn is_attention(&self) -> bool {
        matches!(self.shape, Shape::Attention(..))
    }

    /// Seconds of one run on `device` in the variants of `choice`, after a small one that compiles the kernel; `None`
    /// where it gives no finite number. The device's own choice is as before afterwards.
    pub async fn seconds(&self, choice: Choice, device: &Device) -> Option<f64> {
        let before = Choice::of(device);
        choice.set(device);
        let seconds = self.time(device).await;
        before.set(device);
        device.memory_cleanup();
        seconds
    }

    async fn time(&self, device: &Device) -> Option<f64> {
        let distribution = Distribution::Uniform(-1.0, 1.0);
        let random = |shape| Tensor::<2>::random(shape, distribution, device);
        match self.shape {
            Shape::Linear(m, k, n) => {
                let (x, weight) = (random([m, k]), random([k, n]));
                let run = |x| linear(x, weight.clone(), None, Activation::None);
                timed(device, run(x.clone().narrow(0, 0, m.min(72))), || {
                    run(x.clone())
                })
                .await
            }
            Shape::LinearQ8(m, k, n) => {
                let values: Vec<f32> = (0..n * k).map(|i| (i % 255) as f32 - 127.0).collect();
                let weight = Q8::quantise(&values, [n, k]).ok()?.into_tensor(device);
                let x = random([m, k]);
                let run = |x| linear(x, weight.clone(), None, Activation::None);
                timed(device, run(x.clone().narrow(0, 0, 72)), || run(x.clone())).await
            }
            Shape::Convolution(side, channels) => {
                let x = Tensor::<4>::random([1, side, side, channels], distribution, device);
                let weight = random([9 * channels, channels]);
                let bias = Tensor::<1>::zeros([channels], device);
                let run = |x| conv3x3(x, weight.clone(), bias.clone());
                timed(device, run(x.clone().narrow(1, 0, 8)), || run(x.clone())).await
            }
            Shape::Attention(batch, tokens) => {
                let x = Tensor::<3>::random([batch, tokens, WIDTH], distribution, device);
                let run = |x: Tensor<3>| attention(x.clone(), x.clone(), x, HEADS, None, None);
                timed(device, run(x.clone().narrow(1, 0, 72)), || run(x.clone())).await
            }
        }
    }
}

async fn timed<const D: usize>(
    device: &Device,
    small: Tensor<D>,
    run: impl Fn() -> Tensor<D>,
) -> Option<f64> {
    if !first(small).await?.is_finite() {
        return None;
    }
    let clock = Clock::of(device).await;
    let seconds = clock.seconds(&run, f64::INFINITY).await?;
    // Burn's own product chooses its kernel by the size, and memory of this size is taken for the first time.
    if seconds > SECONDS_TO_REPEAT {
        return Some(seconds);
    }
    let again = clock.seconds(&run, f64::INFINITY).await?;
    Some(seconds.min(again))
}
