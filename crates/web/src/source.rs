//! Model folders of a browser, read by position from a worker: files of the origin's private file system through
//! synchronous access handles, blobs through the worker's synchronous file reader, and buffers in the browser's memory.
//! Reads fill the caller's memory piece by piece, so the module never holds a file.

use std::collections::BTreeMap;

use js_sys::{ArrayBuffer, Object, Uint8Array};
use medsam3_weights::{Source, WeightsError};
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::browser::{
    AccessHandle, AccessOptions, Blob, Directory, FileHandle, FileReaderSync, ReadOptions,
    WorkerScope,
};
use crate::failure;
use crate::protocol::Failure;

/// Where the page's store keeps its models.
const FOLDER: &str = "models";

/// One file of a folder.
enum PageFile {
    Bytes(Uint8Array),
    Blob(Blob, FileReaderSync),
    /// Closed when the folder is dropped: until then nobody can delete the file.
    Handle(AccessHandle),
}

impl Drop for PageFile {
    fn drop(&mut self) {
        if let Self::Handle(handle) = self {
            handle.close();
        }
    }
}

impl PageFile {
    fn blob(blob: Blob) -> Option<Self> {
        Some(Self::Blob(blob, FileReaderSync::new().ok()?))
    }

    fn size(&self) -> Option<u64> {
        let size = match self {
            Self::Bytes(bytes) => f64::from(bytes.length()),
            Self::Blob(blob, _) => blob.size(),
            Self::Handle(handle) => handle.get_size().ok()?,
        };
        Some(size as u64)
    }

    /// Fills `buffer`, whose end lies within the file; says whether it could.
    fn fill(&self, offset: u64, buffer: &mut [u8]) -> bool {
        // Offsets are below 2^53, exact in JavaScript's numbers.
        let (start, end) = (offset as f64, (offset + buffer.len() as u64) as f64);
        match self {
            Self::Bytes(bytes) => {
                bytes.subarray(start as u32, end as u32).copy_to(buffer);
                true
            }
            Self::Blob(blob, reader) => {
                let part = reader.read_as_array_buffer(&blob.slice(start, end));
                let part = part.map(|part| Uint8Array::new(&part)).ok();
                let whole = part.filter(|part| part.length() as usize == buffer.len());
                whole.map(|part| part.copy_to(buffer)).is_some()
            }
            Self::Handle(handle) => {
                let options: ReadOptions = Object::new().unchecked_into();
                options.set_at(start);
                let wanted = buffer.len() as f64;
                handle
                    .read(buffer, &options)
                    .is_ok_and(|read| read == wanted)
            }
        }
    }
}

/// A model folder of the browser.
pub struct PageSource {
    /// The engine wants sources that may change threads; a worker has only one.
    files: SendWrapper<BTreeMap<String, PageFile>>,
}

impl PageSource {
    /// The files that the page handed over, each an `ArrayBuffer` or a `Blob`.
    pub fn handed_over(names: Vec<String>, parts: Vec<JsValue>) -> Self {
        let files = names.into_iter().zip(parts).filter_map(|(name, part)| {
            let file = match part.dyn_into::<ArrayBuffer>() {
                Ok(buffer) => PageFile::Bytes(Uint8Array::new(&buffer)),
                // Only files and blobs are handed over beside buffers, and both can be sliced.
                Err(part) => PageFile::blob(part.unchecked_into())?,
            };
            Some((name, file))
        });
        Self {
            files: SendWrapper::new(files.collect()),
        }
    }

    /// The folder `models/<id>` of the private file system.
    ///
    /// # Errors
    /// The failure for the page when there is no such folder, or this browser has no private file system.
    pub async fn stored(id: &str) -> Result<Self, Failure> {
        let files = open_folder(id).await;
        files.map_err(|_missing| failure::no_stored_model())
    }

    fn get(&self, name: &str) -> Result<(&PageFile, u64), WeightsError> {
        let file = self.files.get(name);
        let sized = file.and_then(|file| Some((file, file.size()?)));
        sized.ok_or_else(|| WeightsError::File {
            file: name.to_owned(),
            reason: "it is not there".to_owned(),
        })
    }
}

impl Source for PageSource {
    fn size(&self, file: &str) -> Result<u64, WeightsError> {
        Ok(self.get(file)?.1)
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> Result<(), WeightsError> {
        let (file, found) = self.get(name)?;
        let expected = offset.saturating_add(buffer.len() as u64);
        if expected > found {
            return Err(WeightsError::Truncated {
                file: name.to_owned(),
                expected,
                found,
            });
        }
        if file.fill(offset, buffer) {
            return Ok(());
        }
        Err(WeightsError::File {
            file: name.to_owned(),
            reason: "the browser's storage did not give its bytes".to_owned(),
        })
    }
}

async fn open_folder(id: &str) -> Result<PageSource, JsValue> {
    let scope: WorkerScope = js_sys::global().unchecked_into();
    let storage = scope.navigator().storage().ok_or(JsValue::NULL)?;
    let root: Directory = storage.directory().await?.unchecked_into();
    let models: Directory = root.directory(FOLDER).await?.unchecked_into();
    let folder: Directory = models.directory(id).await?.unchecked_into();
    let entries = folder.values();
    let mut files = BTreeMap::new();
    loop {
        let next = JsFuture::from(entries.next()?).await?;
        let next: js_sys::IteratorNext = next.unchecked_into();
        if next.done() {
            let files = SendWrapper::new(files);
            return Ok(PageSource { files });
        }
        let handle: FileHandle = next.value().unchecked_into();
        if handle.kind() == "file" {
            let name = handle.name();
            files.insert(name, open_file(&handle).await?);
        }
    }
}

/// A shared access handle; where the browser has none, or another tab holds the file, the file as a blob.
async fn open_file(handle: &FileHandle) -> Result<PageFile, JsValue> {
    let options: AccessOptions = Object::new().unchecked_into();
    options.set_mode("read-only");
    if let Ok(access) = handle.access(&options).await {
        return Ok(PageFile::Handle(access.unchecked_into()));
    }
    let file: Blob = handle.file().await?.unchecked_into();
    PageFile::blob(file).ok_or(JsValue::NULL)
}
