//! What killed processes left behind.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::TEMPORARY_PREFIX;
use crate::scratch_folder::LOCK_FILE;

/// Between its making and its locking a temporary file looks like a leftover.
const YOUNG: Duration = Duration::from_secs(10);

/// Removes temporary files and folders from `folder` that no process is working on. What cannot be removed stays.
///
/// # Errors
/// A folder that cannot be listed.
pub fn remove_leftovers(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)?.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let temporary = name.starts_with(TEMPORARY_PREFIX)
            && [".tmp", ".part", ".old"]
                .iter()
                .any(|end| name.ends_with(end));
        if !temporary || is_young(&entry.path()) {
            continue;
        }
        let path = entry.path();
        // A process was killed while it put a new folder in the place of this one.
        if let Some(target) = replaced(folder, &name)
            && !target.exists()
        {
            let _ = fs::rename(&path, target);
            continue;
        }
        let is_folder = path.is_dir();
        let locked = if is_folder {
            is_locked(&path.join(LOCK_FILE))
        } else {
            is_locked(&path)
        };
        if locked {
            continue;
        }
        let _ = if is_folder {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
    }
    Ok(())
}

/// What a folder that stepped aside was called: `.medsam3-<name>-<random>.old`.
fn replaced(folder: &Path, temporary: &str) -> Option<PathBuf> {
    let name = temporary.strip_prefix(TEMPORARY_PREFIX)?;
    let (name, _random) = name.strip_suffix(".old")?.rsplit_once('-')?;
    Some(folder.join(name))
}

fn is_young(path: &Path) -> bool {
    let age = path
        .symlink_metadata()
        .and_then(|metadata| metadata.modified())
        .ok()
        .and_then(|modified| modified.elapsed().ok());
    age.is_none_or(|age| age < YOUNG)
}

/// Whether a process holds the file. One that is not there is held by nobody.
fn is_locked(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| file.try_lock().is_err())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ScratchFolder;
    use std::time::SystemTime;

    fn old_file(path: &Path) -> File {
        let file = File::create(path).unwrap();
        file.set_modified(SystemTime::now() - 6 * YOUNG).unwrap();
        file
    }

    /// A kill between the two renames that replace a folder.
    #[test]
    fn a_folder_that_stepped_aside_for_nothing_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let aside = folder.path().join(".medsam3-my-model-a1B2c3.old");
        fs::create_dir(&aside).unwrap();
        fs::write(aside.join("weights"), "mine").unwrap();
        let old = SystemTime::now() - 6 * YOUNG;
        File::open(&aside).unwrap().set_modified(old).unwrap();
        remove_leftovers(folder.path()).unwrap();
        let back = folder.path().join("my-model/weights");
        assert_eq!(fs::read(back).unwrap(), b"mine");
    }

    #[test]
    fn only_what_nobody_works_on_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        old_file(&path(".medsam3-dead.tmp"));
        old_file(&path("mine.tmp"));
        old_file(&path(".medsam3-notes.txt"));
        let busy = old_file(&path(".medsam3-busy.tmp"));
        busy.try_lock().unwrap();
        File::create(path(".medsam3-young.tmp")).unwrap();
        let dead_folder = path(".medsam3-model-dead.part");
        fs::create_dir(&dead_folder).unwrap();
        old_file(&dead_folder.join("model.safetensors"));
        File::open(&dead_folder)
            .unwrap()
            .set_modified(SystemTime::now() - 6 * YOUNG)
            .unwrap();
        let working = ScratchFolder::beside(&path("model")).unwrap();
        File::open(working.path())
            .unwrap()
            .set_modified(SystemTime::now() - 6 * YOUNG)
            .unwrap();

        remove_leftovers(folder.path()).unwrap();
        for gone in [".medsam3-dead.tmp", ".medsam3-model-dead.part"] {
            assert!(!path(gone).exists(), "{gone}");
        }
        for kept in [
            "mine.tmp",
            ".medsam3-notes.txt",
            ".medsam3-busy.tmp",
            ".medsam3-young.tmp",
        ] {
            assert!(path(kept).exists(), "{kept}");
        }
        assert!(working.path().is_dir());
    }
}
