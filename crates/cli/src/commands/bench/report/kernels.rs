//! The kernels one by one: the self-test, and the share of the adapter's own peak that every variant reaches at the full
//! model's shapes.

use anyhow::{Context as _, Result};
use medsam3_model::burn::backend::DispatchDevice;
use medsam3_model::burn::tensor::Device;
use medsam3_model::kernels::attention::candidates;
use medsam3_model::kernels::choice::Choice;
use medsam3_model::kernels::peak::peak;
use medsam3_model::kernels::shares::{PROBLEMS, Problem};
use medsam3_model::kernels::{Tiling, self_test};
use serde::Serialize;

/// A result of the self-test.
#[derive(Debug, Serialize)]
pub struct Checked {
    pub kernel: &'static str,
    pub case: &'static str,
    /// Relative to the largest stored value; absent where the device gave no number.
    pub error: Option<f32>,
    pub is_right: bool,
}

/// Runs the self-test.
pub fn self_test(device: &Device) -> Vec<Checked> {
    pollster::block_on(self_test::run(device))
        .into_iter()
        .map(|finding| Checked {
            kernel: finding.kernel.name(),
            case: finding.case,
            error: finding.error.is_finite().then_some(finding.error),
            is_right: !finding.is_wrong(),
        })
        .collect()
}

/// All kernels.
#[derive(Debug, Serialize)]
pub struct Kernels {
    /// Multiply-adds with operands in registers; on the CPU, which has no such loop here, the best kernel's.
    pub peak_gflops: f64,
    pub chosen: Choice,
    pub kernels: Vec<Timed>,
    /// Of a kernel in the variants in use, in all its dispatches.
    pub longest_seconds: f64,
}

/// A kernel at a shape.
#[derive(Debug, Serialize)]
pub struct Timed {
    pub name: &'static str,
    pub gflop: f64,
    /// In the variant in use.
    pub seconds: f64,
    pub gflops: f64,
    pub share_of_peak: f64,
    pub variants: Vec<Variant>,
}

/// A variant at that shape.
#[derive(Debug, Serialize)]
pub struct Variant {
    pub name: String,
    /// Absent where it does not work.
    pub seconds: Option<f64>,
}

/// Times every variant at every shape; on the CPU and on software adapters only those in use.
pub fn shares(device: &Device) -> Result<Kernels> {
    let is_cpu = !matches!(device.as_dispatch(), DispatchDevice::Cube(_));
    let peak = if is_cpu {
        None
    } else {
        Some(pollster::block_on(peak(device)).context("the adapter gave no peak")?)
    };
    if let Some(peak) = peak {
        anyhow::ensure!(
            peak > SLOWEST,
            "left out: at {:.1} GFLOP/s, this adapter's peak, each kernel would take minutes",
            peak / 1e9
        );
    }
    let is_slow = peak.is_none_or(|peak| peak < SLOW);
    let chosen = Choice::of(device);
    let mut kernels = Vec::new();
    for problem in PROBLEMS {
        let seconds = |choice| pollster::block_on(problem.seconds(choice, device));
        let in_use = seconds(chosen).with_context(|| format!("{} gave no result", problem.name))?;
        kernels.push(Timed {
            name: problem.name,
            gflop: problem.operations() / 1e9,
            seconds: in_use,
            gflops: problem.operations() / in_use / 1e9,
            share_of_peak: 0.0,
            variants: if is_slow {
                Vec::new()
            } else {
                variants(&problem, chosen, &seconds)
            },
        });
    }
    let best = kernels
        .iter()
        .map(|kernel| kernel.gflops)
        .fold(0.0, f64::max);
    let peak_gflops = peak.map_or(best, |peak| peak / 1e9);
    for kernel in &mut kernels {
        kernel.share_of_peak = kernel.gflops / peak_gflops;
    }
    Ok(Kernels {
        peak_gflops,
        chosen,
        longest_seconds: kernels
            .iter()
            .map(|kernel| kernel.seconds)
            .fold(0.0, f64::max),
        kernels,
    })
}

/// Operations per second below which the full model's shapes are left out.
const SLOWEST: f64 = 30e9;

/// Operations per second below which an adapter is a processor in disguise, and each variant takes seconds.
const SLOW: f64 = 0.2e12;

fn variants(
    problem: &Problem,
    chosen: Choice,
    seconds: &dyn Fn(Choice) -> Option<f64>,
) -> Vec<Variant> {
    if problem.is_attention() {
        let each = candidates().into_iter().map(|attention| Variant {
            name: format!("{:?}, {} queries", attention.form, attention.rows),
            seconds: seconds(Choice {
                attention,
                ..chosen
            }),
        });
        return each.collect();
    }
    let each = Tiling::ALL.into_iter().map(|tiling| Variant {
        name: format!("{tiling:?}"),
        seconds: seconds(Choice {
            product: tiling,
            convolution: tiling,
            ..chosen
        }),
    });
    each.collect()
}
