//! Named bytes that are read in parts: a file, a part of memory, an entry of an archive, or whatever the
//! page has. Nothing else in this crate knows where bytes come from.

use std::fmt::Debug;
use std::sync::Arc;

use crate::ImagingError;

/// `Send + Sync` natively. In a browser nothing: its files belong to one thread.
#[cfg(not(target_arch = "wasm32"))]
pub trait Shareable: Send + Sync {}
#[cfg(not(target_arch = "wasm32"))]
impl<T: Send + Sync + ?Sized> Shareable for T {}
/// `Send + Sync` natively. In a browser nothing: its files belong to one thread.
#[cfg(target_arch = "wasm32")]
pub trait Shareable {}
#[cfg(target_arch = "wasm32")]
impl<T: ?Sized> Shareable for T {}

/// Most bytes of one file that are read at once.
const MAX_FILE_BYTES: u64 = if cfg!(target_arch = "wasm32") {
    1 << 30
} else {
    1 << 34
};

/// Named bytes.
pub trait Source: Debug + Shareable {
    /// The name that a person knows it by, with `/` between folders. For messages and for what belongs
    /// together by name, never for the order of slices.
    fn name(&self) -> &str;

    /// Number of bytes.
    fn size(&self) -> u64;

    /// `length` bytes from `offset`, fewer where the source ends.
    ///
    /// # Errors
    ///
    /// [`ImagingError::Unreadable`] where the bytes cannot be had.
    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, ImagingError>;
}

/// A source that several series may hold.
pub type SharedSource = Arc<dyn Source>;

/// All bytes of a source.
///
/// # Errors
///
/// [`ImagingError::TooLarge`] above the limit for one file, [`ImagingError::Unreadable`].
pub(crate) fn read_all(source: &dyn Source) -> Result<Vec<u8>, ImagingError> {
    if source.size() > MAX_FILE_BYTES {
        return Err(ImagingError::TooLarge {
            what: "the file in bytes",
            needed: source.size(),
            limit: MAX_FILE_BYTES,
        });
    }
    source.read(0, usize::try_from(source.size()).unwrap_or(usize::MAX))
}

/// Bytes in memory.
pub struct MemorySource {
    name: String,
    bytes: Vec<u8>,
}

impl MemorySource {
    /// Bytes with a name.
    pub fn new(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self {
            name: name.into(),
            bytes,
        }
    }
}

impl Debug for MemorySource {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "MemorySource({} bytes)", self.bytes.len())
    }
}

impl Source for MemorySource {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, ImagingError> {
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(self.bytes.len());
        let end = start.saturating_add(length).min(self.bytes.len());
        Ok(self.bytes.get(start..end).unwrap_or_default().to_vec())
    }
}
