//! Where the bytes of a model folder come from: a directory, or memory. Reads are by range, so that no reader
//! needs a whole shard; they are asynchronous because a browser's storage is.

use std::collections::BTreeMap;

use crate::WeightsError;

/// A folder that can be read by range.
#[allow(async_fn_in_trait)] // Used by generic code on one thread; no caller needs the futures to be Send.
pub trait Source {
    /// Bytes of `file`.
    ///
    /// # Errors
    /// [`WeightsError::File`] when there is no such file.
    async fn size(&self, file: &str) -> Result<u64, WeightsError>;

    /// Exactly `len` bytes of `file` from `offset` on.
    ///
    /// # Errors
    /// [`WeightsError::File`] when there is no such file, [`WeightsError::Truncated`] when it ends before.
    async fn read(&self, file: &str, offset: u64, len: usize) -> Result<Vec<u8>, WeightsError>;
}

impl<S: Source> Source for &S {
    async fn size(&self, file: &str) -> Result<u64, WeightsError> {
        (**self).size(file).await
    }

    async fn read(&self, file: &str, offset: u64, len: usize) -> Result<Vec<u8>, WeightsError> {
        (**self).read(file, offset, len).await
    }
}

fn no_such_file(file: &str) -> WeightsError {
    WeightsError::File {
        file: file.to_owned(),
        reason: "it is not there".to_owned(),
    }
}

/// Files handed in as bytes: the browser after a download, and tests.
#[derive(Debug, Clone, Default)]
pub struct MemorySource {
    files: BTreeMap<String, Vec<u8>>,
}

impl MemorySource {
    /// An empty folder.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces a file.
    pub fn insert(&mut self, name: impl Into<String>, bytes: Vec<u8>) {
        self.files.insert(name.into(), bytes);
    }

    fn file(&self, name: &str) -> Result<&[u8], WeightsError> {
        let bytes = self.files.get(name).ok_or_else(|| no_such_file(name))?;
        Ok(bytes)
    }
}

impl FromIterator<(String, Vec<u8>)> for MemorySource {
    fn from_iter<I: IntoIterator<Item = (String, Vec<u8>)>>(files: I) -> Self {
        Self {
            files: files.into_iter().collect(),
        }
    }
}

impl Source for MemorySource {
    async fn size(&self, file: &str) -> Result<u64, WeightsError> {
        Ok(self.file(file)?.len() as u64)
    }

    async fn read(&self, file: &str, offset: u64, len: usize) -> Result<Vec<u8>, WeightsError> {
        let bytes = self.file(file)?;
        let start = usize::try_from(offset).ok();
        let range = start.and_then(|start| Some(start..start.checked_add(len)?));
        let found = range.and_then(|range| bytes.get(range));
        found
            .map(<[u8]>::to_vec)
            .ok_or_else(|| WeightsError::Truncated {
                file: file.to_owned(),
                expected: offset.saturating_add(len as u64),
                found: bytes.len() as u64,
            })
    }
}

#[cfg(not(target_arch = "wasm32"))]
pub use directory::DirectorySource;

#[cfg(not(target_arch = "wasm32"))]
mod directory {
    use std::fs::File;
    use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
    use std::path::PathBuf;

    use super::{Source, no_such_file};
    use crate::WeightsError;
    use crate::manifest::is_plain_name;

    /// A model folder on disk.
    #[derive(Debug, Clone)]
    pub struct DirectorySource {
        folder: PathBuf,
    }

    impl DirectorySource {
        /// The folder at this path; nothing is opened yet.
        pub fn new(folder: impl Into<PathBuf>) -> Self {
            Self {
                folder: folder.into(),
            }
        }

        fn open(&self, file: &str) -> Result<(File, u64), WeightsError> {
            if !is_plain_name(file) {
                return Err(no_such_file(file));
            }
            let opened = File::open(self.folder.join(file)).map_err(|e| unreadable(file, &e))?;
            let size = opened.metadata().map_err(|e| unreadable(file, &e))?.len();
            Ok((opened, size))
        }
    }

    fn unreadable(file: &str, error: &std::io::Error) -> WeightsError {
        if error.kind() == ErrorKind::NotFound {
            return no_such_file(file);
        }
        WeightsError::File {
            file: file.to_owned(),
            reason: error.to_string(),
        }
    }

    impl Source for DirectorySource {
        async fn size(&self, file: &str) -> Result<u64, WeightsError> {
            Ok(self.open(file)?.1)
        }

        async fn read(&self, file: &str, offset: u64, len: usize) -> Result<Vec<u8>, WeightsError> {
            let (mut opened, size) = self.open(file)?;
            let end = offset.saturating_add(len as u64);
            // Asked before the buffer is made: a damaged manifest must not reserve gigabytes.
            if end > size {
                return Err(WeightsError::Truncated {
                    file: file.to_owned(),
                    expected: end,
                    found: size,
                });
            }
            let mut bytes = vec![0; len];
            opened
                .seek(SeekFrom::Start(offset))
                .and_then(|_| opened.read_exact(&mut bytes))
                .map_err(|e| unreadable(file, &e))?;
            Ok(bytes)
        }
    }
}
