//! Runs the module's static constructors (registries of the kernel compiler) once, when it is instantiated.
//!
//! If nothing in a module calls `__wasm_call_ctors`, the linker takes it for a program that lives for one call and puts
//! that call in front of every export: each message, allocation and callback would run some ten thousand constructors again.

#![allow(
    unsafe_code,
    reason = "the linker's function can only be declared as a foreign one"
)]

use wasm_bindgen::prelude::wasm_bindgen;

unsafe extern "C" {
    safe fn __wasm_call_ctors();
}

/// Called by wasm-bindgen's glue before any other export.
#[wasm_bindgen(start)]
pub fn construct() {
    __wasm_call_ctors();
}
