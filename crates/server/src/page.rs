//! The built page: a folder, or files that the program carries.

use std::path::PathBuf;

/// One file of a page that the program carries.
#[derive(Debug, Clone, Copy)]
pub struct CarriedFile {
    /// Path below the page, with `/`.
    pub path: &'static str,
    /// When it was built: seconds since 1970 and nanoseconds.
    pub modified: (u64, u32),
    /// What is in it.
    pub bytes: &'static [u8],
}

/// Where the page is.
#[derive(Debug, Clone)]
pub enum Page {
    /// A folder with `index.html` and `_headers`, as Trunk builds it. It may change while it is served; its
    /// `_headers` are read once.
    Folder(PathBuf),
    /// Files in memory, in the order of their paths.
    Carried(&'static [CarriedFile]),
}

const CARRIED: &[CarriedFile] = include!(concat!(env!("OUT_DIR"), "/carried.rs"));

/// The page that this program was built with (`MEDSAM3_PAGE`), if it was.
#[must_use]
pub fn carried() -> Option<Page> {
    (!CARRIED.is_empty()).then_some(Page::Carried(CARRIED))
}
