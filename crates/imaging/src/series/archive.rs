//! Zip archives as sources: the entries are found in the central directory and unpacked when they are read,
//! stored or deflated. Bounded against archives that unpack to more than they are worth.

use std::fmt::Debug;
use std::io::{Error, Read};
use std::sync::Arc;

use rawzip::{CompressionMethod, ReaderAt, ZipArchive, ZipArchiveEntryWayfinder, ZipLocator};

use super::source::{SharedSource, Source};
use crate::ImagingError;

/// Entries beyond which an archive is refused.
const MAX_ENTRIES: usize = 200_000;

/// Most bytes that one entry may unpack to.
const MAX_ENTRY_BYTES: u64 = if cfg!(target_arch = "wasm32") {
    1 << 30
} else {
    1 << 33
};

/// What deflate can do at best is a little less than 1032 bytes from one.
const MAX_RATIO: u64 = 1040;

/// Whether a file begins as a zip archive does.
pub(super) fn is_zip(start: &[u8]) -> bool {
    start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06")
}

/// Reads a source as the archive reader wants it.
struct At(SharedSource);

impl ReaderAt for At {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        let bytes = self.0.read(offset, buffer.len()).map_err(Error::other)?;
        let target = buffer.get_mut(..bytes.len()).unwrap_or_default();
        target.copy_from_slice(bytes.get(..target.len()).unwrap_or_default());
        Ok(target.len())
    }
}

/// One file of an archive.
struct Entry {
    archive: Arc<ZipArchive<At>>,
    name: String,
    place: ZipArchiveEntryWayfinder,
    method: CompressionMethod,
    size: u64,
}

impl Debug for Entry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Entry({} bytes)", self.size)
    }
}

/// The files of an archive.
///
/// # Errors
///
/// [`ImagingError::Archive`] for a damaged directory, too many entries, or encryption.
pub(super) fn entries(source: &SharedSource) -> Result<Vec<SharedSource>, ImagingError> {
    let damaged = |_cause| ImagingError::Archive {
        detail: "its directory is damaged",
    };
    let mut buffer = vec![0; rawzip::RECOMMENDED_BUFFER_SIZE];
    let archive = ZipLocator::new()
        .locate_in_reader(At(Arc::clone(source)), &mut buffer, source.size())
        .map_err(|(_, cause)| damaged(cause))?;
    let archive = Arc::new(archive);
    let mut found: Vec<SharedSource> = Vec::new();
    let mut entries = archive.entries(&mut buffer);
    while let Some(entry) = entries.next_entry().map_err(damaged)? {
        if found.len() >= MAX_ENTRIES {
            return Err(ImagingError::TooLarge {
                what: "the number of files in the archive",
                needed: MAX_ENTRIES as u64 + 1,
                limit: MAX_ENTRIES as u64,
            });
        }
        if entry.is_dir() {
            continue;
        }
        if entry.flags().is_encrypted() {
            return Err(ImagingError::Archive {
                detail: "it is encrypted",
            });
        }
        let name = String::from_utf8_lossy(entry.file_path().as_ref()).into_owned();
        let size = entry.uncompressed_size_hint();
        let most = entry.compressed_size_hint().saturating_mul(MAX_RATIO);
        found.push(Arc::new(Entry {
            archive: Arc::clone(&archive),
            name: format!("{}/{name}", source.name()),
            place: entry.wayfinder(),
            method: entry.compression_method(),
            // A size that no compression reaches is a lie; reading then ends early.
            size: size.min(most.saturating_add(1024)),
        }));
    }
    Ok(found)
}

impl Source for Entry {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, ImagingError> {
        if self.size > MAX_ENTRY_BYTES {
            return Err(ImagingError::TooLarge {
                what: "a file of the archive in bytes",
                needed: self.size,
                limit: MAX_ENTRY_BYTES,
            });
        }
        let damaged = ImagingError::Archive {
            detail: "a file in it is damaged",
        };
        let entry = self
            .archive
            .get_entry(self.place)
            .map_err(|_cause| damaged.clone())?;
        let stored = entry.reader();
        let all = offset == 0 && length as u64 >= self.size;
        // One byte more than there should be: the checksum is compared at the end, and no further is read.
        let most = usize::try_from(self.size).map_or(usize::MAX, |size| size.saturating_add(1));
        let result = match (self.method, all) {
            (CompressionMethod::STORE, false) => part(stored, offset, length),
            (CompressionMethod::STORE, true) => part(entry.verifying_reader(stored), 0, most),
            (CompressionMethod::DEFLATE, false) => {
                part(flate2::read::DeflateDecoder::new(stored), offset, length)
            }
            (CompressionMethod::DEFLATE, true) => {
                let unpacked = flate2::read::DeflateDecoder::new(stored);
                part(entry.verifying_reader(unpacked), 0, most)
            }
            _ => {
                return Err(ImagingError::Archive {
                    detail: "it is packed by a method other than deflate",
                });
            }
        };
        match result {
            Ok(bytes) if bytes.len() < most => Ok(bytes),
            _ => Err(damaged),
        }
    }
}

/// Some bytes of a stream, at most [`MAX_ENTRY_BYTES`].
fn part(mut stream: impl Read, offset: u64, length: usize) -> std::io::Result<Vec<u8>> {
    std::io::copy(&mut stream.by_ref().take(offset), &mut std::io::sink())?;
    let mut bytes = Vec::new();
    stream
        .take((length as u64).min(MAX_ENTRY_BYTES))
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}
