//! Is there a point in starting? A folder that cannot be written is found before hours of work, not after them.

use std::fs;
use std::io;
use std::path::Path;

use tempfile::Builder;

use crate::{TEMPORARY_PREFIX, follow_links, remove_leftovers};

/// Makes `folder`, removes what killed processes left there, and tries a file and the free space.
///
/// # Errors
/// What the file system says; [`io::ErrorKind::StorageFull`] where less than `needed_bytes` are free.
pub fn check_output_folder(folder: &Path, needed_bytes: u64) -> io::Result<()> {
    let folder = follow_links(folder)?;
    fs::create_dir_all(&folder)?;
    remove_leftovers(&folder)?;
    let mut builder = Builder::new();
    builder.prefix(TEMPORARY_PREFIX).suffix(".tmp");
    builder.tempfile_in(&folder)?;
    let free = fs4::available_space(&folder)?;
    if free < needed_bytes {
        return Err(io::Error::new(
            io::ErrorKind::StorageFull,
            format!(
                "{} MB are free, {} MB are needed",
                free / 1_000_000,
                needed_bytes.div_ceil(1_000_000)
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_made_and_left_empty() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        check_output_folder(&deep, 1).unwrap();
        assert_eq!(fs::read_dir(&deep).unwrap().count(), 0);
    }

    #[test]
    fn a_disk_that_is_too_small_and_a_file_in_the_way_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let error = check_output_folder(folder.path(), u64::MAX).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        let file = folder.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(check_output_folder(&file, 0).is_err());
    }
}
