//! Devices and fixtures of the kernel tests.
//!
//! The GPU is the one that the environment names: `cargo xtask test` sets `MEDSAM3_WGPU_TESTS` and the driver
//! (tests/README.md). `tests/kernels/kernels.safetensors` holds PyTorch's results.

#![allow(dead_code, reason = "each test file uses a part")]

use burn::tensor::{Bool, Device, Tensor, TensorData};
use safetensors::SafeTensors;
use std::sync::OnceLock;

/// Devices that the tests run on, the CPU first.
pub fn devices() -> Vec<(&'static str, Device)> {
    let mut devices = vec![("cpu", Device::flex())];
    match gpu() {
        Some(gpu) => devices.push(("gpu", gpu)),
        None => println!("skipped: MEDSAM3_WGPU_TESTS is not set"),
    }
    devices
}

/// The GPU that the environment names, or `None`.
pub fn gpu() -> Option<Device> {
    static GPU: OnceLock<Device> = OnceLock::new();
    std::env::var_os("MEDSAM3_WGPU_TESTS")?;
    // Once per process: a second initialisation is an error.
    let device = GPU.get_or_init(|| Device::wgpu_options().init().expect("a GPU"));
    Some(device.clone())
}

/// The recorded inputs and results, which travel in the test program: it also runs on machines without the sources.
pub struct Fixture(&'static [u8]);

const KERNELS: &[u8] = include_bytes!("../../../../tests/kernels/kernels.safetensors");
const PRODUCTS: &[u8] = include_bytes!("../../../../tests/kernels/products.safetensors");
const ROI: &[u8] = include_bytes!("../../../../tests/kernels/roi.safetensors");

impl Fixture {
    /// Reads `tests/kernels/kernels.safetensors`.
    pub fn read() -> Self {
        Self::named("kernels")
    }

    /// That of a file of `tests/kernels`.
    pub fn named(name: &str) -> Self {
        match name {
            "kernels" => Self(KERNELS),
            "products" => Self(PRODUCTS),
            "roi" => Self(ROI),
            other => panic!("there is no fixture {other}"),
        }
    }

    /// A recorded tensor's values and shape.
    pub fn values(&self, name: &str) -> (Vec<f32>, Vec<usize>) {
        let file = SafeTensors::deserialize(self.0).expect("safetensors");
        let view = file.tensor(name).expect("a recorded tensor");
        let values = view
            .data()
            .as_chunks::<4>()
            .0
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect();
        (values, view.shape().to_vec())
    }

    /// Recorded ones and zeros as flags.
    pub fn flags<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D, Bool> {
        let (values, shape) = self.values(name);
        let flags: Vec<bool> = values.iter().map(|value| *value != 0.0).collect();
        Tensor::from_data(TensorData::new(flags, shape), device)
    }

    /// A recorded tensor on `device`.
    pub fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        let (values, shape) = self.values(name);
        Tensor::from_data(TensorData::new(values, shape), device)
    }
}

/// Fails unless all values agree to `limit` times the largest of the expected ones.
pub fn assert_close<const D: usize>(
    what: &str,
    got: Tensor<D>,
    want: &(Vec<f32>, Vec<usize>),
    limit: f32,
) {
    assert_eq!(got.dims().to_vec(), want.1, "{what}: shapes");
    let got: Vec<f32> = got.into_data().iter::<f32>().collect();
    let largest = want
        .0
        .iter()
        .fold(0f32, |most, value| most.max(value.abs()));
    let difference = got
        .iter()
        .zip(&want.0)
        // A NaN must not pass as "not larger".
        .map(|(a, b)| {
            if a.is_finite() {
                (a - b).abs()
            } else {
                f32::INFINITY
            }
        })
        .fold(0.0, f32::max);
    assert!(
        difference <= limit * largest,
        "{what}: {difference:e} of {largest}"
    );
}
