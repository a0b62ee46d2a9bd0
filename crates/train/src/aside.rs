//! Files that are whole or not there: written aside and then renamed, so that a full disk costs no earlier version.

use std::fs;
use std::io;
use std::path::Path;

use crate::error::TrainError;

/// Lets `write` fill a file beside `path` and gives it that name.
///
/// # Errors
/// [`TrainError::Write`] with `path`; what was written of the new file is removed.
pub(crate) fn replace(
    path: &Path,
    write: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<(), TrainError> {
    let aside = path.with_extension("tmp");
    write(&aside)
        // Some disks say only now that they are full.
        .and_then(|()| fs::File::open(&aside)?.sync_all())
        .and_then(|()| fs::rename(&aside, path))
        .map_err(|source| {
            // Half a file would keep the disk full.
            fs::remove_file(&aside).ok();
            TrainError::Write {
                path: path.to_owned(),
                source,
            }
        })
}
