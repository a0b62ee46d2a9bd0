//! Which device runs the model. A GPU that is the processor in disguise (a software adapter) is many times slower than
//! the CPU back end, so `auto` takes only a real one.

use crate::kernels;
use anyhow::{Context as _, Result};
use clap::ValueEnum;
use medsam3_engine::Hold;
use medsam3_model::burn::tensor::Device;
use medsam3_model::burn::tensor::wgpu::WgpuSetup;
use medsam3_model::burn::tensor::wgpu::wgpu::DeviceType;

/// The choice of the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DeviceChoice {
    /// A GPU if there is a real one, else the CPU.
    Auto,
    /// The first GPU, even if it is a software adapter.
    Gpu,
    /// The CPU.
    Cpu,
}

/// A device and what to call it in results.
pub struct Chosen {
    /// The device.
    pub device: Device,
    /// `cpu`, or `gpu` with the adapter's name.
    pub name: String,
    /// How it holds weights.
    pub hold: Hold,
    /// The GPU's adapter; none for the CPU.
    pub setup: Option<WgpuSetup>,
}

/// Opens the device of the user's choice.
pub fn open(choice: DeviceChoice) -> Result<Chosen> {
    let cpu = || Chosen {
        device: Device::flex(),
        name: "cpu".to_owned(),
        hold: Hold::Single,
        setup: None,
    };
    if choice == DeviceChoice::Cpu {
        return Ok(cpu());
    }
    // Without any driver the graphics layer panics instead of returning; that is no reason to end the program.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let opened = std::panic::catch_unwind(|| Device::wgpu_options().init_with_setup());
    std::panic::set_hook(hook);
    let opened = match opened {
        Ok(opened) => opened.map_err(|e| anyhow::anyhow!("{e}")),
        Err(_panic) => Err(anyhow::anyhow!("there is no graphics driver")),
    };
    match (choice, opened) {
        (DeviceChoice::Gpu, opened) => {
            let (device, setup) = opened.context("no GPU could be opened; use --device cpu")?;
            Ok(gpu(device, setup))
        }
        (_, Ok((device, setup))) => {
            // A software adapter calls itself a CPU.
            if setup.adapter.get_info().device_type == DeviceType::Cpu {
                return Ok(cpu());
            }
            Ok(gpu(device, setup))
        }
        (_, Err(_)) => Ok(cpu()),
    }
}

fn gpu(device: Device, setup: WgpuSetup) -> Chosen {
    kernels::choose(&device);
    Chosen {
        hold: Hold::stored_on(&device),
        device,
        name: format!("gpu ({})", setup.adapter.get_info().name),
        setup: Some(setup),
    }
}
