//! Rounding to bf16 beside values that `torch.tensor(x).bfloat16()` (2.15) gives, ties among them.

mod support;

use burn::tensor::{Device, Tensor, TensorData};
use medsam3_kernels::round_to_bf16;

/// Input and what PyTorch makes of it. 1 + 1/256 and 1 + 3/256 lie halfway between two neighbours.
const PAIRS: [(f32, f32); 10] = [
    (0.0, 0.0),
    (1.0 + 1.0 / 256.0, 1.0),
    (1.0 + 3.0 / 256.0, 1.0 + 4.0 / 256.0),
    (-1.0 - 1.0 / 256.0, -1.0),
    (std::f32::consts::PI, 3.140_625),
    (-0.1, -0.100_097_656),
    (1e-20, 1.000_557_7e-20),
    (3.3e38, 3.296_485_5e38),
    (f32::INFINITY, f32::INFINITY),
    (65_535.0, 65_536.0),
];

fn check(device: &Device) {
    let input: Vec<f32> = PAIRS.iter().map(|(from, _)| *from).collect();
    let x = Tensor::<2>::from_data(TensorData::new(input, [2, 5]), device);
    let out: Vec<f32> = round_to_bf16(x).into_data().iter::<f32>().collect();
    for ((from, to), out) in PAIRS.iter().zip(out) {
        assert!(
            (out - to).abs() <= 1e-6 * to.abs() || out == *to,
            "{from}: {out}, not {to}"
        );
    }
}

#[test]
fn the_cpu_rounds_as_pytorch_does() {
    check(&Device::flex());
}

#[test]
fn a_device_that_differentiates_rounds_as_pytorch_does() {
    check(&Device::flex().autodiff());
}

#[test]
fn the_gpu_rounds_as_pytorch_does() {
    match support::gpu() {
        Some(device) => check(&device),
        None => println!("skipped: MEDSAM3_WGPU_TESTS is not set"),
    }
}
