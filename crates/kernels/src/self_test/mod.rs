//! Every kernel on a small known input, beside results that the CPU computed and that are part of the program.
//!
//! Run on the user's own device before the first result: drivers differ, a browser reports a shader's failure only to
//! the log, and a wrong mask looks like a right one. The stored results are checked against the CPU by a test, which
//! writes them anew with `MEDSAM3_WRITE_SELF_TEST=1`.

mod cases;

use crate::route::{Kernel, switch};
use burn::tensor::{Device, Tensor, TensorData};
use cases::CASES;

/// Largest error of a result, relative to its largest value, that counts as right: far above what the order of f32 sums
/// and a driver's own exponential make (1e-5), far below what a wrong index or a missing barrier does.
pub const LIMIT: f32 = 1e-3;

/// A kernel, a known input and where its result is stored.
pub(crate) struct Case {
    kernel: Kernel,
    name: &'static str,
    run: fn(&Device) -> Tensor<1>,
    /// Little-endian f32.
    expected: &'static [u8],
}

/// How far a device's result is from the stored one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finding {
    /// What gave the result.
    pub kernel: Kernel,
    /// Which input.
    pub case: &'static str,
    /// Largest difference relative to the largest stored value; infinite where the device gave no number.
    pub error: f32,
}

impl Finding {
    /// Whether the kernel must not be used.
    pub fn is_wrong(&self) -> bool {
        self.error > LIMIT
    }
}

/// Runs all kernels on `device`.
pub async fn run(device: &Device) -> Vec<Finding> {
    let mut findings = Vec::with_capacity(CASES.len());
    for case in CASES {
        let got = (case.run)(device).into_data_async().await.ok();
        findings.push(Finding {
            kernel: case.kernel,
            case: case.name,
            error: error(&got, case.expected),
        });
    }
    findings
}

/// Runs all kernels on `device` and switches off those that are wrong.
pub async fn run_and_replace(device: &Device) -> Vec<Finding> {
    let findings = run(device).await;
    for finding in findings.iter().filter(|finding| finding.is_wrong()) {
        switch(finding.kernel, false);
    }
    findings
}

/// Largest difference between a device's result and the stored one, relative to the largest stored value; infinite for
/// anything that is not the same count of finite numbers.
pub fn error(got: &Option<TensorData>, expected: &[u8]) -> f32 {
    let expected = expected.as_chunks::<4>().0;
    let Some(got) = got else {
        return f32::INFINITY;
    };
    let got: Vec<f32> = got.iter::<f32>().collect();
    if got.len() != expected.len() || got.iter().any(|value| !value.is_finite()) {
        return f32::INFINITY;
    }
    let expected = expected.iter().map(|bytes| f32::from_le_bytes(*bytes));
    let (difference, largest) = got.iter().zip(expected).fold(
        (0f32, f32::MIN_POSITIVE),
        |(difference, largest), (a, b)| (difference.max((a - b).abs()), largest.max(b.abs())),
    );
    difference / largest
}

/// Values in -1..1 from a multiplicative hash of their index: the same on every device.
pub fn known<const D: usize>(seed: u32, shape: [usize; D], device: &Device) -> Tensor<D> {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count as u32)
        .map(|i| {
            let hash = (i.wrapping_add(seed.wrapping_mul(0x9e37_79b9))).wrapping_mul(0x85eb_ca6b);
            let hash = (hash ^ hash >> 15).wrapping_mul(0xc2b2_ae35);
            (hash >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stored results are those of the CPU.
    #[test]
    fn the_stored_results_are_the_cpus() {
        let write = std::env::var_os("MEDSAM3_WRITE_SELF_TEST").is_some();
        for case in CASES {
            let data = (case.run)(&Device::flex()).into_data();
            if write {
                let path = format!(
                    "{}/src/self_test/{}.f32",
                    env!("CARGO_MANIFEST_DIR"),
                    case.name
                );
                let bytes: Vec<u8> = data.iter::<f32>().flat_map(f32::to_le_bytes).collect();
                std::fs::write(path, bytes).expect("written");
            } else {
                let error = error(&Some(data), case.expected);
                assert!(error < 1e-6, "{}: {error:e}", case.name);
            }
        }
    }

    #[test]
    fn a_result_that_is_no_number_is_infinitely_wrong() {
        let stored: Vec<u8> = [1f32, -2.0]
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let data = |values: Vec<f32>| {
            let count = values.len();
            Some(TensorData::new(values, [count]))
        };
        assert_eq!(error(&data(vec![1.0, -2.0]), &stored), 0.0);
        assert_eq!(error(&data(vec![1.5, -2.0]), &stored), 0.25);
        assert_eq!(error(&data(vec![f32::NAN, -2.0]), &stored), f32::INFINITY);
        assert_eq!(error(&data(vec![1.0]), &stored), f32::INFINITY);
        assert_eq!(error(&None, &stored), f32::INFINITY);
    }
}
