//! Where the workers of a run compute: `cpu`, or `gpu` and `gpu:N` for the N-th discrete GPU. Data parallel: every worker has all
//! weights on its device and a share of the batch, and the mean of their gradients is formed on the host.

use burn::tensor::{Device, DeviceKind};

use crate::error::TrainError;

/// A device that differentiates, by its name in `run.devices`. `checkpointing` recomputes what is limited by memory in the
/// backward pass instead of keeping it (Burn's balanced strategy).
///
/// # Errors
/// [`TrainError::Config`] for a name that is none.
pub fn open(name: &str, checkpointing: bool) -> Result<Device, TrainError> {
    let device = match name.split_once(':') {
        None if name == "cpu" => Device::flex(),
        None if name == "gpu" => Device::wgpu(DeviceKind::DefaultDevice),
        // The processor in a GPU's clothes; slow, for tests.
        Some(("gpu", "software")) => Device::wgpu(DeviceKind::Cpu),
        Some(("gpu", number)) => match number.parse() {
            Ok(number) => Device::wgpu(DeviceKind::DiscreteGpu(number)),
            Err(_not_a_number) => return Err(unknown(name)),
        },
        _ => return Err(unknown(name)),
    };
    let device = device.autodiff();
    Ok(if checkpointing {
        device.gradient_checkpointing()
    } else {
        device
    })
}

fn unknown(name: &str) -> TrainError {
    TrainError::Config {
        reason: format!("run.devices has {name:?}, which is none of cpu, gpu, gpu:N"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_devices_that_differentiate() {
        for checkpointing in [false, true] {
            let device = open("cpu", checkpointing).expect("a device");
            assert!(device.is_autodiff());
            assert_eq!(device.inner(), Device::flex());
        }
        for name in ["", "tpu", "gpu:", "gpu:x", "cpu:0"] {
            let error = open(name, false).expect_err("no device");
            assert_eq!(error.code(), "TRAIN-CONFIG", "{name}");
        }
    }
}
