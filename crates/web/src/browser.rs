//! What of the browser's interfaces the worker uses, with their types, so that the compiler and not a look-up by name finds
//! a slip. `web-sys` lies below Burn: more of its features here would mean one more build of Burn, and some of these
//! are behind its unstable flag.

use js_sys::{ArrayBuffer, AsyncIterator, Promise};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    /// `DedicatedWorkerGlobalScope`.
    pub type WorkerScope;
    #[wasm_bindgen(method, getter)]
    pub fn navigator(this: &WorkerScope) -> Navigator;

    /// `WorkerNavigator`.
    pub type Navigator;
    /// `undefined` in a browser without WebGPU, and where the page is no secure context.
    #[wasm_bindgen(method, getter)]
    pub fn gpu(this: &Navigator) -> Option<Gpu>;
    #[wasm_bindgen(method, getter)]
    pub fn storage(this: &Navigator) -> Option<StorageManager>;

    /// `GPU`.
    pub type Gpu;
    #[wasm_bindgen(method, catch, js_name = requestAdapter)]
    pub fn request_adapter(this: &Gpu) -> Result<Promise, JsValue>;

    /// `StorageManager`.
    pub type StorageManager;
    #[wasm_bindgen(method, catch, js_name = getDirectory)]
    pub async fn directory(this: &StorageManager) -> Result<JsValue, JsValue>;

    /// `FileSystemDirectoryHandle`.
    pub type Directory;
    #[wasm_bindgen(method, catch, js_name = getDirectoryHandle)]
    pub async fn directory(this: &Directory, name: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method)]
    pub fn values(this: &Directory) -> AsyncIterator;

    /// `FileSystemFileHandle`.
    pub type FileHandle;
    #[wasm_bindgen(method, getter)]
    pub fn kind(this: &FileHandle) -> String;
    #[wasm_bindgen(method, getter)]
    pub fn name(this: &FileHandle) -> String;
    #[wasm_bindgen(method, catch, js_name = createSyncAccessHandle)]
    pub async fn access(this: &FileHandle, options: &AccessOptions) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch, js_name = getFile)]
    pub async fn file(this: &FileHandle) -> Result<JsValue, JsValue>;

    /// `FileSystemSyncAccessHandle`, only in dedicated workers.
    pub type AccessHandle;
    #[wasm_bindgen(method, catch)]
    pub fn read(
        this: &AccessHandle,
        buffer: &mut [u8],
        options: &ReadOptions,
    ) -> Result<f64, JsValue>;
    #[wasm_bindgen(method, catch, js_name = getSize)]
    pub fn get_size(this: &AccessHandle) -> Result<f64, JsValue>;
    #[wasm_bindgen(method)]
    pub fn close(this: &AccessHandle);

    /// Options of `createSyncAccessHandle`.
    #[wasm_bindgen(extends = js_sys::Object)]
    pub type AccessOptions;
    #[wasm_bindgen(method, setter)]
    pub fn set_mode(this: &AccessOptions, mode: &str);

    /// `FileSystemReadWriteOptions`.
    #[wasm_bindgen(extends = js_sys::Object)]
    pub type ReadOptions;
    #[wasm_bindgen(method, setter)]
    pub fn set_at(this: &ReadOptions, at: f64);

    #[wasm_bindgen(js_name = FileReaderSync)]
    pub type FileReaderSync;
    #[wasm_bindgen(constructor, catch, js_class = "FileReaderSync")]
    pub fn new() -> Result<FileReaderSync, JsValue>;
    #[wasm_bindgen(method, catch, js_name = readAsArrayBuffer)]
    pub fn read_as_array_buffer(this: &FileReaderSync, blob: &Blob)
    -> Result<ArrayBuffer, JsValue>;

    /// A blob, or the file behind a handle.
    #[wasm_bindgen(js_name = Blob)]
    pub type Blob;
    #[wasm_bindgen(method, getter)]
    pub fn size(this: &Blob) -> f64;
    #[wasm_bindgen(method)]
    pub fn slice(this: &Blob, start: f64, end: f64) -> Blob;
}
