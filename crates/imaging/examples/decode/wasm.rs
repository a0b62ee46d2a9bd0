//! The decoders alone as a WebAssembly module without imports: the host asks for room for a file, writes it there, and
//! reads back a line of text (`tests/browser/decode.mjs`).

// Exported names are the whole interface.
#![allow(unsafe_code)]

#[path = "digest.rs"]
mod digest;

use std::sync::{Mutex, PoisonError};

static FILE: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static LINE: Mutex<String> = Mutex::new(String::new());

/// Where the host writes `length` bytes.
#[unsafe(no_mangle)]
pub extern "C" fn room(length: usize) -> *mut u8 {
    let mut file = FILE.lock().unwrap_or_else(PoisonError::into_inner);
    *file = vec![0; length];
    file.as_mut_ptr()
}

/// Decodes what was written; gives the length of the line.
#[unsafe(no_mangle)]
pub extern "C" fn decode() -> usize {
    let file = std::mem::take(&mut *FILE.lock().unwrap_or_else(PoisonError::into_inner));
    let mut line = LINE.lock().unwrap_or_else(PoisonError::into_inner);
    *line = digest::line(&file);
    line.len()
}

/// Where the line is.
#[unsafe(no_mangle)]
pub extern "C" fn line() -> *const u8 {
    let line = LINE.lock().unwrap_or_else(PoisonError::into_inner);
    line.as_ptr()
}
