//! The user's files as sources of bytes, read in parts from a worker: nothing is copied into the module before it is asked
//! for, and names stay here.

use std::cell::RefCell;
use std::fmt::{Debug, Formatter, Result as Formatted};
use std::rc::Rc;
use std::sync::Arc;

use js_sys::{ArrayBuffer, Uint8Array};
use medsam3_imaging::ImagingError;
use medsam3_imaging::series::{MemorySource, SharedSource, Source};
use wasm_bindgen::{JsCast, JsValue};

use crate::browser::{Blob, FileReaderSync};

/// A read of the browser takes about as long for this much as for a byte; nearly all headers are within it.
const BLOCK_BYTES: usize = 16 << 10;

/// The beginning of the file that was read last: headers are read in small steps, file by file.
#[derive(Default)]
struct Block {
    file: usize,
    bytes: Vec<u8>,
}

/// What the files of one choice share.
struct Shared {
    reader: FileReaderSync,
    block: RefCell<Block>,
}

/// A file of the user's.
struct BlobSource {
    name: String,
    blob: Blob,
    size: u64,
    /// Which of the files, from 1.
    file: usize,
    shared: Rc<Shared>,
}

impl Debug for BlobSource {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Formatted {
        write!(formatter, "BlobSource({} bytes)", self.size)
    }
}

/// The files that the page handed over, by their names; each part is a `File`, a `Blob` or an `ArrayBuffer`.
pub fn sources(names: Vec<String>, parts: Vec<JsValue>) -> Vec<SharedSource> {
    let Ok(reader) = FileReaderSync::new() else {
        return Vec::new();
    };
    let shared = Rc::new(Shared {
        reader,
        block: RefCell::default(),
    });
    let source = |(file, (name, part)): (usize, (String, JsValue))| -> SharedSource {
        match part.dyn_into::<ArrayBuffer>() {
            Ok(buffer) => Arc::new(MemorySource::new(name, Uint8Array::new(&buffer).to_vec())),
            // Only files and blobs are handed over beside buffers, and both can be sliced.
            Err(part) => {
                let blob: Blob = part.unchecked_into();
                Arc::new(BlobSource {
                    name,
                    size: blob.size() as u64,
                    blob,
                    file,
                    shared: Rc::clone(&shared),
                })
            }
        }
    };
    (1..)
        .zip(names.into_iter().zip(parts))
        .map(source)
        .collect()
}

impl BlobSource {
    fn fetch(&self, offset: u64, length: usize) -> Result<Vec<u8>, ImagingError> {
        // Offsets are below 2^53, exact in JavaScript's numbers.
        let end = offset.saturating_add(length as u64).min(self.size);
        let part = self.blob.slice(offset as f64, end as f64);
        let bytes = self.shared.reader.read_as_array_buffer(&part);
        let bytes = bytes.map_err(|_changed| ImagingError::Unreadable {
            detail: "the browser did not give its bytes; it may have been changed or removed since it was chosen"
                .to_owned(),
        })?;
        Ok(Uint8Array::new(&bytes).to_vec())
    }
}

impl Source for BlobSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, ImagingError> {
        if offset >= self.size || length == 0 {
            return Ok(Vec::new());
        }
        let left = usize::try_from(self.size - offset).unwrap_or(usize::MAX);
        let length = length.min(left);
        let end = offset.saturating_add(length as u64);
        if end > BLOCK_BYTES as u64 {
            return self.fetch(offset, length);
        }
        let mut block = self.shared.block.borrow_mut();
        if block.file != self.file {
            *block = Block {
                bytes: self.fetch(0, BLOCK_BYTES)?,
                file: self.file,
            };
        }
        let range = offset as usize..end as usize;
        Ok(block.bytes.get(range).unwrap_or_default().to_vec())
    }
}
