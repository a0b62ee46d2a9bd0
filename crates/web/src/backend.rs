//! Chooses what to compute on: the browser's WebGPU adapter, or burn-flex on the CPU where there is none.
//! Watches the GPU afterwards: burn only logs what a browser reports late, and results would be wrong.

use std::sync::{Arc, Mutex};

use burn::tensor::Device;
use burn::tensor::wgpu::{WgpuBackend, WgpuSetup, wgpu};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;

use crate::browser::WorkerScope;
use crate::failure;
use crate::protocol::{Backend, BackendChoice, Failure};

/// The first thing the GPU reported that makes further results worthless. wgpu wants handlers that could
/// be called on any thread; a worker has one, so the lock is always free.
#[derive(Clone, Default)]
pub struct GpuWatch {
    fault: Arc<Mutex<Option<Failure>>>,
}

impl GpuWatch {
    /// What went wrong, if anything did.
    pub fn fault(&self) -> Option<Failure> {
        self.fault.lock().ok().and_then(|fault| fault.clone())
    }

    /// What went wrong, and forgets it.
    pub fn take_fault(&self) -> Option<Failure> {
        self.fault.lock().ok().and_then(|mut fault| fault.take())
    }

    fn report(&self, failure: Failure) {
        if let Ok(mut fault) = self.fault.lock() {
            fault.get_or_insert(failure);
        }
    }

    /// Takes over the device's error handlers; the default one panics.
    fn watch(&self, setup: &WgpuSetup) {
        let watch = self.clone();
        setup.device.on_uncaptured_error(Arc::new(move |error| {
            watch.report(match error {
                wgpu::Error::OutOfMemory { .. } => failure::gpu_out_of_memory(),
                _ => failure::gpu_fault(),
            });
        }));
        let watch = self.clone();
        setup
            .device
            .set_device_lost_callback(move |_, _| watch.report(failure::gpu_lost()));
    }
}

/// What the model will run on.
pub struct Chosen {
    pub backend: Backend,
    pub device: Device,
    pub watch: GpuWatch,
    /// Why it is the CPU although WebGPU was wanted.
    pub why_cpu: Option<Failure>,
}

/// Opens the device that the page wants, or the CPU with the reason.
pub async fn choose(choice: BackendChoice) -> Chosen {
    let cpu = |why_cpu| Chosen {
        backend: Backend::Cpu,
        device: Device::flex(),
        watch: GpuWatch::default(),
        why_cpu,
    };
    if choice == BackendChoice::Cpu {
        return cpu(None);
    }
    // Asked first: without an adapter the initialisation below would panic instead of failing.
    if let Err(why) = adapter().await {
        return cpu(Some(failure::no_webgpu(why)));
    }
    let options = Device::wgpu_options().graphics_api(WgpuBackend::WebGpu);
    match options.init_with_setup_async().await {
        Ok((device, setup)) => {
            let watch = GpuWatch::default();
            watch.watch(&setup);
            Chosen {
                backend: Backend::Webgpu,
                device,
                watch,
                why_cpu: None,
            }
        }
        Err(_) => cpu(Some(failure::no_webgpu(
            "The graphics processor could not be opened",
        ))),
    }
}

/// Whether the browser has WebGPU and gives an adapter.
async fn adapter() -> Result<(), &'static str> {
    const NO_API: &str = "This browser has no WebGPU";
    const NO_ADAPTER: &str = "This browser finds no graphics processor for WebGPU";
    let scope: WorkerScope = js_sys::global().unchecked_into();
    let gpu = scope.navigator().gpu().ok_or(NO_API)?;
    let promise = gpu.request_adapter().map_err(|_refused| NO_API)?;
    match JsFuture::from(promise).await {
        Ok(adapter) if !adapter.is_null() && !adapter.is_undefined() => Ok(()),
        _ => Err(NO_ADAPTER),
    }
}
