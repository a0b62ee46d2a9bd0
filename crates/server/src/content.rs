//! An opened file of the site as `ServeDir` reads it: on the disk, or in memory.

use std::future::{Ready, ready};
use std::io::{self, Cursor, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};
use tower_http::services::fs;

use crate::page::CarriedFile;

/// Size and date, which are also what a file's `ETag` is made of.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    is_folder: bool,
    bytes: u64,
    modified: SystemTime,
}

impl Facts {
    /// Of the page's own folder, the only one that has an address.
    pub fn folder() -> Self {
        Self {
            is_folder: true,
            bytes: 0,
            modified: UNIX_EPOCH,
        }
    }

    /// Of a file that the program carries.
    pub fn carried(file: &CarriedFile) -> Self {
        let (seconds, nanoseconds) = file.modified;
        Self {
            is_folder: false,
            bytes: file.bytes.len() as u64,
            modified: UNIX_EPOCH + Duration::new(seconds, nanoseconds),
        }
    }

    /// Of bytes that were put together at some time.
    pub fn made(bytes: &[u8], modified: SystemTime) -> Self {
        Self {
            is_folder: false,
            bytes: bytes.len() as u64,
            modified,
        }
    }

    /// Of a file on the disk.
    pub fn of(metadata: &std::fs::Metadata) -> Self {
        Self {
            is_folder: false,
            bytes: metadata.len(),
            modified: metadata.modified().unwrap_or(UNIX_EPOCH),
        }
    }

    /// When it was changed last.
    pub fn modified(&self) -> SystemTime {
        self.modified
    }
}

impl fs::Metadata for Facts {
    fn is_dir(&self) -> bool {
        self.is_folder
    }

    fn modified(&self) -> io::Result<SystemTime> {
        Ok(self.modified)
    }

    fn len(&self) -> u64 {
        self.bytes
    }
}

/// Bytes in memory, either the program's own or put together.
#[derive(Debug, Clone)]
pub enum Bytes {
    Static(&'static [u8]),
    Shared(std::sync::Arc<[u8]>),
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Static(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// An opened file.
pub struct Content {
    facts: Facts,
    reader: Reader,
}

enum Reader {
    Disk(tokio::fs::File),
    Memory(Cursor<Bytes>),
}

impl Content {
    /// A file on the disk, just opened.
    pub fn disk(facts: Facts, file: tokio::fs::File) -> Self {
        Self {
            facts,
            reader: Reader::Disk(file),
        }
    }

    /// Bytes in memory.
    pub fn memory(facts: Facts, bytes: Bytes) -> Self {
        Self {
            facts,
            reader: Reader::Memory(Cursor::new(bytes)),
        }
    }
}

impl AsyncRead for Content {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.reader {
            Reader::Disk(file) => Pin::new(file).poll_read(context, buffer),
            Reader::Memory(bytes) => Pin::new(bytes).poll_read(context, buffer),
        }
    }
}

impl AsyncSeek for Content {
    fn start_seek(mut self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
        match &mut self.reader {
            Reader::Disk(file) => Pin::new(file).start_seek(position),
            Reader::Memory(bytes) => Pin::new(bytes).start_seek(position),
        }
    }

    fn poll_complete(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<u64>> {
        match &mut self.reader {
            Reader::Disk(file) => Pin::new(file).poll_complete(context),
            Reader::Memory(bytes) => Pin::new(bytes).poll_complete(context),
        }
    }
}

impl fs::File for Content {
    type Metadata = Facts;
    type MetadataFuture<'a> = Ready<io::Result<Facts>>;

    fn metadata(&self) -> Self::MetadataFuture<'_> {
        ready(Ok(self.facts))
    }
}
