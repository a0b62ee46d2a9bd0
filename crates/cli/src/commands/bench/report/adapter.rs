//! The adapter as it describes itself: name, driver, kind, the limits that decide what fits, the features that are used.

use anyhow::{Context as _, Result};
use medsam3_model::burn::tensor::DType;
use serde::Serialize;

use crate::device::Chosen;

/// What a report is a report of.
#[derive(Debug, Serialize)]
pub struct Adapter {
    pub name: String,
    pub backend: String,
    pub kind: String,
    /// The processor in disguise.
    pub is_software: bool,
    pub driver: String,
    /// The kernels' measurement is kept under this name.
    pub fingerprint: String,
    pub limits: Limits,
    pub features: Features,
}

/// Limits in bytes and threads.
#[derive(Debug, Serialize)]
pub struct Limits {
    pub largest_buffer: u64,
    pub largest_binding: u64,
    pub workgroup_memory: u32,
    pub workgroup_threads: u32,
    pub bindings: u32,
}

/// What the adapter can do, and whether tensors use it.
#[derive(Debug, Serialize)]
pub struct Features {
    pub shader_f16: bool,
    pub subgroups: bool,
    pub timestamps: bool,
    /// Burn stores and converts 16-bit floats here.
    pub tensors_in_f16: bool,
}

/// Asks the adapter.
pub fn describe(chosen: &Chosen) -> Result<Adapter> {
    use medsam3_model::burn::tensor::wgpu::wgpu;

    let setup = chosen
        .setup
        .as_ref()
        .context("a report is of a GPU, and none was found")?;
    let info = setup.adapter.get_info();
    let limits = setup.adapter.limits();
    let features = setup.adapter.features();
    Ok(Adapter {
        name: info.name,
        backend: info.backend.to_string(),
        kind: format!("{:?}", info.device_type),
        is_software: info.device_type == wgpu::DeviceType::Cpu,
        driver: format!("{} {}", info.driver, info.driver_info)
            .trim()
            .to_owned(),
        fingerprint: medsam3_engine::kernels::adapter(&chosen.device),
        limits: Limits {
            largest_buffer: limits.max_buffer_size,
            largest_binding: limits.max_storage_buffer_binding_size,
            workgroup_memory: limits.max_compute_workgroup_storage_size,
            workgroup_threads: limits.max_compute_invocations_per_workgroup,
            bindings: limits.max_storage_buffers_per_shader_stage,
        },
        features: Features {
            shader_f16: features.contains(wgpu::Features::SHADER_F16),
            subgroups: features.contains(wgpu::Features::SUBGROUP),
            timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
            tensors_in_f16: chosen.device.supports_dtype(DType::F16),
        },
    })
}
