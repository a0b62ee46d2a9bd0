//! Share of the adapter's own peak for each kernel at the shapes of the full model, as JSON on stdout.
//!
//! ```text
//! cargo run -p medsam3-kernels --example shares -- [gpu|cpu] [NAME...]
//! ```
//!
//! The GPU is the one that the environment names (`VK_ICD_FILENAMES`). Variants are measured first, as on a first
//! visit; each shape then runs once, after a run of another size that compiles the kernel.

use burn::tensor::{Device, Distribution, Tensor};
use medsam3_kernels::attention::attention;
use medsam3_kernels::choice::{Choice, adapter, measure};
use medsam3_kernels::peak::peak;
use medsam3_kernels::{Activation, Q8, conv3x3, linear};
use serde::Serialize;
use std::time::Instant;

#[derive(Serialize)]
struct Report {
    adapter: String,
    /// Operations per second with operands in registers; on the CPU the best product's, for want of such a loop.
    peak_gflops: f64,
    choice: Option<Choice>,
    kernels: Vec<Share>,
}

#[derive(Serialize)]
struct Share {
    name: &'static str,
    gflop: f64,
    seconds: f64,
    gflops: f64,
    share_of_peak: f64,
}

/// Channels of the trunk, and its heads.
const WIDTH: usize = 1024;
const HEADS: usize = 16;

/// What runs: rows, inner dimension, columns; a map's side and channels; or batch and tokens of 16 heads of 64 channels.
enum Shape {
    Linear(usize, usize, usize),
    LinearQ8(usize, usize, usize),
    Convolution(usize, usize),
    Attention(usize, usize),
}

const SHAPES: [(&str, Shape); 8] = [
    ("linear 5184x1024x3072", Shape::Linear(5184, 1024, 3072)),
    ("linear 5184x1024x4736", Shape::Linear(5184, 1024, 4736)),
    (
        "linear q8 5184x1024x3072",
        Shape::LinearQ8(5184, 1024, 3072),
    ),
    (
        "linear q8 5184x1024x4736",
        Shape::LinearQ8(5184, 1024, 4736),
    ),
    ("conv3x3 144x144x256", Shape::Convolution(144, 256)),
    ("conv3x3 288x288x256", Shape::Convolution(288, 256)),
    ("attention, 9 windows of 576", Shape::Attention(9, 576)),
    ("attention, global 5184", Shape::Attention(1, 5184)),
];

impl Shape {
    fn operations(&self) -> f64 {
        match *self {
            Self::Linear(m, k, n) | Self::LinearQ8(m, k, n) => 2.0 * (m * k * n) as f64,
            Self::Convolution(side, channels) => 18.0 * (side * side * channels * channels) as f64,
            Self::Attention(batch, tokens) => (4 * batch * tokens * tokens * WIDTH) as f64,
        }
    }

    /// Seconds of one run, after a small one.
    fn time(&self, device: &Device) -> f64 {
        let random = |shape| Tensor::<2>::random(shape, Distribution::Uniform(-1.0, 1.0), device);
        match *self {
            Self::Linear(m, k, n) => {
                let (x, weight) = (random([m, k]), random([k, n]));
                let run = |x| linear(x, weight.clone(), None, Activation::None);
                time(run(x.clone().narrow(0, 0, 72)), || run(x))
            }
            Self::LinearQ8(m, k, n) => {
                let values: Vec<f32> = (0..n * k).map(|i| (i % 255) as f32 - 127.0).collect();
                let weight = Q8::quantise(&values, [n, k])
                    .expect("blocks fit")
                    .into_tensor(device);
                let x = random([m, k]);
                let run = |x| linear(x, weight.clone(), None, Activation::None);
                time(run(x.clone().narrow(0, 0, 72)), || run(x))
            }
            Self::Convolution(side, channels) => {
                let x = Tensor::<4>::random(
                    [1, side, side, channels],
                    Distribution::Uniform(-1.0, 1.0),
                    device,
                );
                let weight = random([9 * channels, channels]);
                let bias = Tensor::<1>::zeros([channels], device);
                let run = |x| conv3x3(x, weight.clone(), bias.clone());
                time(run(x.clone().narrow(1, 0, 8)), || run(x))
            }
            Self::Attention(batch, tokens) => {
                let distribution = Distribution::Uniform(-1.0, 1.0);
                let x = Tensor::<3>::random([batch, tokens, WIDTH], distribution, device);
                let run = |x: Tensor<3>| attention(x.clone(), x.clone(), x, HEADS, None, None);
                time(run(x.clone().narrow(1, 0, 72)), || run(x))
            }
        }
    }
}

fn time<const D: usize>(small: Tensor<D>, run: impl FnOnce() -> Tensor<D>) -> f64 {
    wait(small);
    let start = Instant::now();
    wait(run());
    start.elapsed().as_secs_f64()
}

/// Reads one value, and with it waits for all of them.
fn wait<const D: usize>(x: Tensor<D>) {
    let one = x
        .slice(core::array::from_fn::<_, D, _>(|_| 0..1))
        .into_data();
    assert!(
        one.iter::<f32>().all(f32::is_finite),
        "the result is finite"
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let cpu = arguments.first().is_some_and(|first| first == "cpu");
    let wanted = |name: &str| {
        let names: Vec<_> = arguments.iter().skip(1).collect();
        names.is_empty() || names.iter().any(|part| name.contains(part.as_str()))
    };
    let device = if cpu {
        Device::flex()
    } else {
        Device::wgpu_options().init().expect("a GPU")
    };
    let block =
        pollster::block_on::<std::pin::Pin<Box<dyn Future<Output = Option<(Choice, f64)>>>>>;
    let on_gpu = if cpu {
        None
    } else {
        block(Box::pin(async {
            let measured = measure(&device).await;
            for timing in &measured.timings {
                let operations = 2.0 * (timing.side as f64).powi(3);
                let gflops = operations / timing.seconds / 1e9;
                eprintln!("{:?} {}: {gflops:.2} GFLOP/s", timing.tiling, timing.side);
            }
            Some((measured.choice, peak(&device).await?))
        }))
    };
    let mut shares: Vec<Share> = SHAPES
        .iter()
        .filter(|(name, _)| wanted(name))
        .map(|(name, shape)| {
            let seconds = shape.time(&device);
            let gflop = shape.operations() / 1e9;
            eprintln!("{name}: {seconds:.3} s, {:.2} GFLOP/s", gflop / seconds);
            Share {
                name,
                gflop,
                seconds,
                gflops: gflop / seconds,
                share_of_peak: 0.0,
            }
        })
        .collect();
    let best = shares.iter().map(|share| share.gflops).fold(0.0, f64::max);
    let peak_gflops = on_gpu.map_or(best, |(_, peak)| peak / 1e9);
    for share in &mut shares {
        share.share_of_peak = share.gflops / peak_gflops;
    }
    let report = Report {
        adapter: if cpu { "cpu".into() } else { adapter(&device) },
        peak_gflops,
        choice: on_gpu.map(|(choice, _)| choice),
        kernels: shares,
    };
    println!("{}", serde_json::to_string_pretty(&report).expect("json"));
}
