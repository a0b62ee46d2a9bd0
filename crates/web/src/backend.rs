//! Chooses what to compute on: the browser's WebGPU adapter, or burn-flex on the CPU where there is none.
//! Watches the GPU afterwards: burn only logs what a browser reports late, and results would be wrong.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use burn::tensor::Device;
use burn::tensor::wgpu::{WgpuBackend, WgpuSetup, wgpu};
use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::failure;
use crate::protocol::{Backend, BackendChoice, Failure};

/// The first thing the GPU reported that makes further results worthless.
#[derive(Clone, Default)]
pub struct GpuWatch {
    fault: Rc<RefCell<Option<Failure>>>,
}

/// The closures below are only ever called on the worker's one thread.
struct OnThisThread<T>(T);

// SAFETY: without the `atomics` feature WebAssembly has one thread; wgpu asks for Send and Sync alone
// because its native twin has more.
#[allow(unsafe_code)]
unsafe impl<T> Send for OnThisThread<T> {}
#[allow(unsafe_code)]
unsafe impl<T> Sync for OnThisThread<T> {}

impl<T> OnThisThread<T> {
    fn get(&self) -> &T {
        &self.0
    }
}

impl GpuWatch {
    /// What went wrong, if anything did.
    pub fn fault(&self) -> Option<Failure> {
        self.fault.borrow().clone()
    }

    fn report(&self, failure: Failure) {
        self.fault.borrow_mut().get_or_insert(failure);
    }

    /// Takes over the device's error handlers; the default one panics.
    fn watch(&self, setup: &WgpuSetup) {
        let shared = OnThisThread(self.clone());
        setup.device.on_uncaptured_error(Arc::new(move |error| {
            shared.get().report(match error {
                wgpu::Error::OutOfMemory { .. } => failure::gpu_out_of_memory(),
                _ => failure::gpu_fault(),
            });
        }));
        let shared = OnThisThread(self.clone());
        setup.device.set_device_lost_callback(move |_, _| shared.get().report(failure::gpu_lost()));
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
        Err(_) => cpu(Some(failure::no_webgpu("The graphics processor could not be opened"))),
    }
}

/// Whether the browser has WebGPU and gives an adapter.
async fn adapter() -> Result<(), &'static str> {
    const NO_API: &str = "This browser has no WebGPU";
    const NO_ADAPTER: &str = "This browser finds no graphics processor for WebGPU";
    let get = |object: &JsValue, name: &str| {
        Reflect::get(object, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED)
    };
    let gpu = get(&get(&js_sys::global(), "navigator"), "gpu");
    let request = get(&gpu_or_empty(&gpu), "requestAdapter").dyn_into::<Function>();
    let Ok(request) = request else { return Err(NO_API) };
    let promise = request.call0(&gpu).ok().and_then(|value| value.dyn_into::<Promise>().ok());
    let Some(promise) = promise else { return Err(NO_API) };
    match JsFuture::from(promise).await {
        Ok(adapter) if !adapter.is_null() && !adapter.is_undefined() => Ok(()),
        _ => Err(NO_ADAPTER),
    }
}

/// Reading a property of `undefined` throws; of an empty object it does not.
fn gpu_or_empty(gpu: &JsValue) -> JsValue {
    if gpu.is_object() { gpu.clone() } else { js_sys::Object::new().into() }
}
