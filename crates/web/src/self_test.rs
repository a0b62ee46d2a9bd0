//! The self-test of the user's graphics processor, before anything is computed for the user on it.

use burn::tensor::Device;
use medsam3_engine::self_test;

use crate::backend::{Chosen, GpuWatch};
use crate::failure;
use crate::protocol::{Backend, SelfTest};

/// Tests what was chosen, if it is a GPU. Kernels that are wrong are replaced by plain operations; where those are wrong
/// too, or the GPU refuses a command, the CPU takes over.
pub async fn checked(chosen: Chosen, started: impl FnOnce()) -> (Chosen, Option<SelfTest>) {
    if chosen.backend == Backend::Cpu {
        return (chosen, None);
    }
    started();
    let report = self_test::check(&chosen.device).await;
    let names: Vec<&str> = report.replaced.iter().map(|kernel| kernel.name()).collect();
    let result = SelfTest {
        checks: report.kernels.len() as u32 + 1,
        largest_error: Some(report.largest_error()).filter(|error| error.is_finite()),
        replaced: (!names.is_empty()).then(|| failure::kernels_replaced(&names.join(", "))),
    };
    // A shader that the browser refused is a fault too, and behind us once its kernel is replaced.
    let fault = chosen.watch.take_fault();
    let is_behind = fault.is_none_or(|fault| fault.code == "GPU-FAULT" && !names.is_empty());
    if report.is_fit() && is_behind {
        return (chosen, Some(result));
    }
    let cpu = Chosen {
        backend: Backend::Cpu,
        device: Device::flex(),
        watch: GpuWatch::default(),
        why_cpu: Some(failure::gpu_wrong()),
    };
    (cpu, Some(result))
}
