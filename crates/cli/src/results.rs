//! Files and folders that commands write their results to: what may be replaced, and what is said when one cannot be written.

use std::io;
use std::path::Path;

use medsam3_files::{Existing, check_output_folder};

use crate::failure::CommandError;

/// What becomes of a file that is there already.
pub fn existing(overwrite: bool) -> Existing {
    if overwrite {
        Existing::Replace
    } else {
        Existing::Keep
    }
}

/// Tries whether a folder can be written, before the work.
///
/// # Errors
/// OUTPUT-FOLDER, with `next_step`.
pub fn check_folder(
    folder: &Path,
    needed_bytes: u64,
    next_step: &'static str,
) -> Result<(), CommandError> {
    check_output_folder(folder, needed_bytes).map_err(|error| CommandError {
        code: "OUTPUT-FOLDER",
        message: format!("{} cannot be written: {error}", folder.display()),
        next_step,
    })
}

/// Why a file that the user named was not written; `if_there` is what to do where one of that name is there.
pub fn file_not_written(path: &Path, error: &io::Error, if_there: &'static str) -> CommandError {
    let (code, next_step) = match error.kind() {
        io::ErrorKind::AlreadyExists => ("OUTPUT-EXISTS", if_there),
        _ => (
            "OUTPUT-WRITE",
            "Check the folder's permissions and the free space.",
        ),
    };
    CommandError {
        code,
        message: format!("{} was not written: {error}", path.display()),
        next_step,
    }
}
