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
    let device = match kind(name)? {
        None => Device::flex(),
        Some(kind) => Device::wgpu(kind),
    };
    let device = device.autodiff();
    Ok(if checkpointing {
        device.gradient_checkpointing()
    } else {
        device
    })
}

/// Whether `name` is a device's; it is not opened.
///
/// # Errors
/// As [`open`].
pub fn check(name: &str) -> Result<(), TrainError> {
    kind(name).map(|_| ())
}

/// Which GPU; none for the processor.
fn kind(name: &str) -> Result<Option<DeviceKind>, TrainError> {
    Ok(match name.split_once(':') {
        None if name == "cpu" => None,
        None if name == "gpu" => Some(DeviceKind::DefaultDevice),
        // The processor in a GPU's clothes; slow, for tests.
        Some(("gpu", "software")) => Some(DeviceKind::Cpu),
        Some(("gpu", number)) => match number.parse() {
            Ok(number) => Some(DeviceKind::DiscreteGpu(number)),
            Err(_not_a_number) => return Err(unknown(name)),
        },
        _ => return Err(unknown(name)),
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
