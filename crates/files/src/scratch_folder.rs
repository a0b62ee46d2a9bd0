//! A folder that is complete or not there: filled under a hidden name beside its target, then renamed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::{Builder, TempDir};

use crate::atomic::{folder_of, follow_links, sync_folder};
use crate::{Lock, TEMPORARY_PREFIX, remove_leftovers};

/// Held while the folder is filled; not part of what is put in place.
pub(crate) const LOCK_FILE: &str = ".lock";

/// A hidden folder beside `target`; removed on drop unless it was put in place.
#[derive(Debug)]
pub struct ScratchFolder {
    target: PathBuf,
    folder: TempDir,
    lock: Option<Lock>,
}

impl ScratchFolder {
    /// Makes the hidden folder, and the folders above `target`. A link is followed. What killed processes left
    /// beside the target is removed.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] for the working directory or one above it, which the shell is standing in
    /// and must not lose; and what the file system says.
    pub fn beside(target: &Path) -> io::Result<Self> {
        let target = std::path::absolute(follow_links(target)?)?;
        let parent = folder_of(&target);
        fs::create_dir_all(parent)?;
        refuse_working_directory(&target)?;
        remove_leftovers(parent)?;
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let prefix = format!("{TEMPORARY_PREFIX}{name}-");
        let mut builder = Builder::new();
        builder.prefix(&prefix).suffix(".part");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            builder.permissions(fs::Permissions::from_mode(0o777));
        }
        let folder = builder.tempdir_in(parent)?;
        // Some file systems have no locks; the age of the folder protects it for a while.
        let lock = Lock::try_take(&folder.path().join(LOCK_FILE))
            .ok()
            .flatten();
        Ok(Self {
            target,
            folder,
            lock,
        })
    }

    /// Where to write.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where the folder will be.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Gives the folder its name. One that is there already is replaced as a whole, and is back as it was if that
    /// fails.
    ///
    /// # Errors
    /// What the file system says.
    pub fn put_in_place(mut self) -> io::Result<()> {
        self.lock = None;
        match fs::remove_file(self.path().join(LOCK_FILE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // A folder that is not empty cannot be renamed over: the old one steps aside first.
        let aside = self.path().with_extension("old");
        let replaces = self.target.exists();
        if replaces {
            fs::rename(&self.target, &aside)?;
        }
        if let Err(error) = fs::rename(self.path(), &self.target) {
            if replaces {
                fs::rename(&aside, &self.target)?;
            }
            return Err(error);
        }
        sync_folder(folder_of(&self.target));
        // There is nothing left under the hidden name.
        let _ = self.folder.keep();
        if replaces {
            fs::remove_dir_all(&aside)?;
        }
        Ok(())
    }
}

fn refuse_working_directory(target: &Path) -> io::Result<()> {
    let (Ok(target), Ok(here)) = (target.canonicalize(), std::env::current_dir()) else {
        return Ok(());
    };
    let here = here.canonicalize().unwrap_or(here);
    if here.starts_with(&target) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is the folder that the program runs in, or one above it, and would be replaced as a whole",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_folder_is_replaced_as_a_whole_or_stays() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("deep/model");
        let first = ScratchFolder::beside(&target).unwrap();
        fs::write(first.path().join("a"), "1").unwrap();
        first.put_in_place().unwrap();
        drop(ScratchFolder::beside(&target).unwrap());
        assert_eq!(fs::read(target.join("a")).unwrap(), b"1");
        let second = ScratchFolder::beside(&target).unwrap();
        fs::write(second.path().join("b"), "2").unwrap();
        second.put_in_place().unwrap();
        assert_eq!(entries(&target), 1);
        assert_eq!(fs::read(target.join("b")).unwrap(), b"2");
        assert_eq!(entries(&folder.path().join("deep")), 1);
    }

    #[test]
    fn the_working_directory_is_refused() {
        let here = std::env::current_dir().unwrap();
        for folder in [here.as_path(), Path::new("."), here.parent().unwrap()] {
            let error = ScratchFolder::beside(folder).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{folder:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink("real", &link).unwrap();
        let scratch = ScratchFolder::beside(&link).unwrap();
        fs::write(scratch.path().join("a"), "1").unwrap();
        scratch.put_in_place().unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(real.join("a")).unwrap(), b"1");
    }
}
