//! Where the bytes of a model folder come from: a directory, or memory; in a browser, files that its worker reads at
//! once. Reads are by range and fill the caller's buffer, so that no reader needs a whole shard.

use std::collections::BTreeMap;

use crate::WeightsError;

/// A folder that can be read by range, at once.
pub trait Source {
    /// Bytes of `file`.
    ///
    /// # Errors
    /// [`WeightsError::File`] when there is no such file.
    fn size(&self, file: &str) -> Result<u64, WeightsError>;

    /// Fills `buffer` with the bytes of `file` from `offset` on.
    ///
    /// # Errors
    /// [`WeightsError::File`] when there is no such file, [`WeightsError::Truncated`] when it ends before.
    fn read_at(&self, file: &str, offset: u64, buffer: &mut [u8]) -> Result<(), WeightsError>;
}

impl<S: Source> Source for &S {
    fn size(&self, file: &str) -> Result<u64, WeightsError> {
        (**self).size(file)
    }

    fn read_at(&self, file: &str, offset: u64, buffer: &mut [u8]) -> Result<(), WeightsError> {
        (**self).read_at(file, offset, buffer)
    }
}

impl<S: Source + ?Sized> Source for Box<S> {
    fn size(&self, file: &str) -> Result<u64, WeightsError> {
        (**self).size(file)
    }

    fn read_at(&self, file: &str, offset: u64, buffer: &mut [u8]) -> Result<(), WeightsError> {
        (**self).read_at(file, offset, buffer)
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
    fn size(&self, file: &str) -> Result<u64, WeightsError> {
        Ok(self.file(file)?.len() as u64)
    }

    fn read_at(&self, file: &str, offset: u64, buffer: &mut [u8]) -> Result<(), WeightsError> {
        let bytes = self.file(file)?;
        let start = usize::try_from(offset).ok();
        let range = start.and_then(|start| Some(start..start.checked_add(buffer.len())?));
        let found = range.and_then(|range| bytes.get(range));
        let found = found.ok_or_else(|| WeightsError::Truncated {
            file: file.to_owned(),
            expected: offset.saturating_add(buffer.len() as u64),
            found: bytes.len() as u64,
        })?;
        buffer.copy_from_slice(found);
        Ok(())
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
        fn size(&self, file: &str) -> Result<u64, WeightsError> {
            Ok(self.open(file)?.1)
        }

        fn read_at(&self, file: &str, offset: u64, buffer: &mut [u8]) -> Result<(), WeightsError> {
            let (mut opened, size) = self.open(file)?;
            let end = offset.saturating_add(buffer.len() as u64);
            if end > size {
                return Err(WeightsError::Truncated {
                    file: file.to_owned(),
                    expected: end,
                    found: size,
                });
            }
            opened
                .seek(SeekFrom::Start(offset))
                .and_then(|_| opened.read_exact(buffer))
                .map_err(|e| unreadable(file, &e))
        }
    }
}
