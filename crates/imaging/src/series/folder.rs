//! Files and folders as sources, natively: what a path stands for, be it a file, a folder with all below
//! it, or a DICOMDIR with the files that it names.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::source::{SharedSource, Source, read_all};
use crate::ImagingError;
use crate::dicom::directory;

/// Nesting of folders beyond which nothing is looked for.
const MAX_DEPTH: usize = 32;

/// Files beyond which a folder is refused.
const MAX_FILES: usize = 500_000;

/// A file, opened for each reading: a study has more files than a process may hold open.
#[derive(Debug)]
pub struct FileSource {
    path: PathBuf,
    name: String,
    size: u64,
}

impl FileSource {
    /// A file.
    ///
    /// # Errors
    ///
    /// [`ImagingError::Unreadable`] where it cannot be found.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self, ImagingError> {
        let path = path.into();
        let size = std::fs::metadata(&path).map_err(unreadable)?.len();
        Ok(Self {
            name: path.to_string_lossy().replace('\\', "/"),
            path,
            size,
        })
    }
}

fn unreadable(error: std::io::Error) -> ImagingError {
    ImagingError::Unreadable {
        detail: error.to_string(),
    }
}

impl Source for FileSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, ImagingError> {
        let mut file = File::open(&self.path).map_err(unreadable)?;
        if offset > 0 {
            file.seek(SeekFrom::Start(offset)).map_err(unreadable)?;
        }
        let left = self.size.saturating_sub(offset).min(length as u64);
        let mut bytes = Vec::with_capacity(usize::try_from(left).unwrap_or_default());
        file.take(length as u64)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        Ok(bytes)
    }
}

/// The files that paths stand for, folders in the order of their names.
///
/// # Errors
///
/// [`ImagingError::Unreadable`] for a path that cannot be read, [`ImagingError::TooLarge`] for a folder
/// of too many files, and what is wrong with a DICOMDIR.
pub fn sources_of_paths(paths: &[PathBuf]) -> Result<Vec<SharedSource>, ImagingError> {
    let mut sources = Vec::new();
    for path in paths {
        if path.is_dir() {
            walk(path, 0, &mut sources)?;
            continue;
        }
        let source = FileSource::new(path)?;
        if let Some(files) = directory_files(path, &source)? {
            for file in files {
                sources.push(Arc::new(FileSource::new(file)?) as SharedSource);
            }
            continue;
        }
        for partner in partners(path) {
            sources.push(Arc::new(FileSource::new(partner)?));
        }
        sources.push(Arc::new(source));
    }
    // A file may be named by itself and with its folder, or come with its other half.
    let mut seen = HashSet::new();
    sources.retain(|source| seen.insert(source.name().to_owned()));
    Ok(sources)
}

fn walk(folder: &Path, depth: usize, into: &mut Vec<SharedSource>) -> Result<(), ImagingError> {
    let mut entries = std::fs::read_dir(folder)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unreadable)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        // Links are not followed into folders: they may lead back.
        let kind = entry.file_type().map_err(unreadable)?;
        if kind.is_dir() {
            if depth < MAX_DEPTH {
                walk(&entry.path(), depth + 1, into)?;
            }
        } else if entry.path().is_file() {
            if into.len() >= MAX_FILES {
                return Err(ImagingError::TooLarge {
                    what: "the number of files",
                    needed: MAX_FILES as u64 + 1,
                    limit: MAX_FILES as u64,
                });
            }
            into.push(Arc::new(FileSource::new(entry.path())?));
        }
    }
    Ok(())
}

/// The files that a DICOMDIR names, without those that are gone; `None` for any other file.
fn directory_files(path: &Path, source: &FileSource) -> Result<Option<Vec<PathBuf>>, ImagingError> {
    let named = path
        .file_name()
        .is_some_and(|name| name.eq_ignore_ascii_case("DICOMDIR"));
    if !named {
        return Ok(None);
    }
    let Some(files) = directory::referenced_files(&read_all(source)?)? else {
        return Ok(None);
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let found: Vec<PathBuf> = files
        .iter()
        .filter_map(|parts| resolve(folder, parts))
        .collect();
    if found.is_empty() {
        return Err(ImagingError::Unreadable {
            detail: format!("none of the {} files that it names is there", files.len()),
        });
    }
    Ok(Some(found))
}

/// A path by its parts, in whatever case the file system has them: discs say `IM_1`, copies `im_1`.
fn resolve(folder: &Path, parts: &[String]) -> Option<PathBuf> {
    let exact = parts
        .iter()
        .fold(folder.to_owned(), |path, part| path.join(part));
    if exact.is_file() {
        return Some(exact);
    }
    let mut path = folder.to_owned();
    for part in parts {
        let here = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path.as_path()
        };
        let entry = std::fs::read_dir(here)
            .ok()?
            .filter_map(Result::ok)
            .find(|entry| entry.file_name().eq_ignore_ascii_case(part))?;
        path = entry.path();
    }
    path.is_file().then_some(path)
}

/// The other file of a NIfTI pair: values beside a header, header beside values.
fn partners(path: &Path) -> Vec<PathBuf> {
    let name = path.to_string_lossy();
    let (stem, ending) = match name.strip_suffix(".gz") {
        Some(stem) => (stem, ".gz"),
        None => (name.as_ref(), ""),
    };
    let other = match stem.rsplit_once('.') {
        Some((stem, "hdr")) => format!("{stem}.img"),
        Some((stem, "img")) => format!("{stem}.hdr"),
        _ => return Vec::new(),
    };
    [
        format!("{other}{ending}"),
        other.clone(),
        format!("{other}.gz"),
    ]
    .into_iter()
    .map(PathBuf::from)
    .find(|path| path.is_file())
    .into_iter()
    .collect()
}
