//! A file that is complete or not there: written under a name of its own in the same folder, brought to the disk,
//! and renamed.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use crate::TEMPORARY_PREFIX;

/// What happens to a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It is replaced as a whole; its permissions are kept.
    Replace,
    /// It stays, and the write fails with [`io::ErrorKind::AlreadyExists`], also where another process made it
    /// between a look and the write.
    Keep,
}

/// Lets `write` fill a new file and gives it the name `path`. A link is followed. If anything fails, an earlier
/// file is as it was and nothing of the new one is left.
///
/// # Errors
/// What `write` returns, and what the file system says.
pub fn atomic_write(
    path: &Path,
    existing: Existing,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    if let Some(device) = device(path)? {
        let mut file = File::options().write(true).open(device)?;
        return write(&mut file);
    }
    fill_and_rename(path, existing, |file| write(file.as_file_mut()))
}

/// [`atomic_write`] for libraries that open the file themselves: `write` is given the temporary file's path.
///
/// # Errors
/// What `write` returns, and what the file system says.
pub fn atomic_write_at(
    path: &Path,
    existing: Existing,
    write: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    if let Some(device) = device(path)? {
        return write(&device);
    }
    fill_and_rename(path, existing, |file| write(file.path()))
}

/// Where `path` leads, if that is a device or a pipe: such a thing is written into, and never replaced by a file.
fn device(path: &Path) -> io::Result<Option<PathBuf>> {
    let path = follow_links(path)?;
    let is_device = path
        .metadata()
        .is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir());
    Ok(is_device.then_some(path))
}

fn fill_and_rename(
    path: &Path,
    existing: Existing,
    fill: impl FnOnce(&mut NamedTempFile) -> io::Result<()>,
) -> io::Result<()> {
    let path = follow_links(path)?;
    if existing == Existing::Keep && path.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let mut file = temporary_file(&path)?;
    // Tells cleaners in other processes that somebody is at work. Some file systems have no locks.
    let _ = file.as_file().try_lock();
    fill(&mut file)?;
    // Some disks say only now that they are full.
    file.as_file().sync_all()?;
    match existing {
        Existing::Replace => file.persist(&path),
        Existing::Keep => file.persist_noclobber(&path),
    }?;
    sync_folder(folder_of(&path));
    Ok(())
}

/// [`atomic_write`] of bytes that are in memory.
///
/// # Errors
/// What the file system says.
pub fn atomic_write_bytes(path: &Path, existing: Existing, bytes: &[u8]) -> io::Result<()> {
    atomic_write(path, existing, |file| file.write_all(bytes))
}

/// Where a path leads, whether or not the end of its links exists.
///
/// # Errors
/// Links in a circle, and folders that may not be read.
pub fn follow_links(path: &Path) -> io::Result<PathBuf> {
    /// As many as Linux follows.
    const LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        match fs::read_link(&path) {
            Ok(target) => path = folder_of(&path).join(target),
            // Not a link, or nothing there.
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("links lead in a circle"))
}

fn temporary_file(path: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(TEMPORARY_PREFIX).suffix(".tmp");
    let permissions = match path.metadata() {
        Ok(old) => Some(old.permissions()),
        Err(_) => usual_permissions(),
    };
    if let Some(permissions) = permissions {
        builder.permissions(permissions);
    }
    builder.tempfile_in(folder_of(path))
}

/// What any new file gets: temporary files are the owner's alone by default.
fn usual_permissions() -> Option<Permissions> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // Less the process' umask.
        Some(Permissions::from_mode(0o666))
    }
    #[cfg(not(unix))]
    None
}

/// The folder that holds `path`.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// After a power cut a rename counts only if the folder is on the disk too. Not every system can do that.
pub(crate) fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        atomic_write_bytes(&path, Existing::Replace, b"old").unwrap();
        let failed = atomic_write(&path, Existing::Replace, |file| {
            file.write_all(b"half of the new")?;
            Err(io::Error::other("the disk is full"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn a_file_that_is_to_be_kept_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(&path, "mine").unwrap();
        let error = atomic_write_bytes(&path, Existing::Keep, b"yours").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn of_many_writers_at_once_exactly_one_makes_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        let made: usize = (0..64)
            .into_par_iter()
            .map(|n: usize| {
                let bytes = n.to_string().repeat(10_000);
                usize::from(atomic_write_bytes(&path, Existing::Keep, bytes.as_bytes()).is_ok())
            })
            .sum();
        assert_eq!(made, 1);
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn writers_of_the_same_name_do_not_disturb_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        (0..64).into_par_iter().for_each(|n: usize| {
            let bytes = format!("{n:03}").repeat(10_000);
            atomic_write_bytes(&path, Existing::Replace, bytes.as_bytes()).unwrap();
        });
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, text[..3].repeat(10_000));
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_permissions_kept() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a.txt"), folder.path().join("link"));
        let broken = folder.path().join("broken");
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        symlink("a.txt", &link).unwrap();
        symlink("new.txt", &broken).unwrap();
        atomic_write_bytes(&link, Existing::Replace, b"new").unwrap();
        atomic_write_bytes(&broken, Existing::Replace, b"made").unwrap();
        assert!(link.is_symlink() && broken.is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!(fs::read(folder.path().join("new.txt")).unwrap(), b"made");
        let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o640);
        let circle = folder.path().join("circle");
        symlink("circle", &circle).unwrap();
        assert!(atomic_write_bytes(&circle, Existing::Replace, b"x").is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_device_is_written_into_and_stays_one() {
        use std::os::unix::fs::FileTypeExt as _;
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/dev/full", &link).unwrap();
        let error = atomic_write_bytes(&link, Existing::Replace, b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        atomic_write_bytes(Path::new("/dev/null"), Existing::Keep, b"x").unwrap();
        for device in ["/dev/full", "/dev/null"] {
            assert!(fs::metadata(device).unwrap().file_type().is_char_device());
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_new_file_may_be_read_by_whoever_may_read_any_new_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (ours, usual) = (folder.path().join("a"), folder.path().join("b"));
        atomic_write_bytes(&ours, Existing::Replace, b"x").unwrap();
        fs::write(&usual, "x").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&usual));
    }
}
