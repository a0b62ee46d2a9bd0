//! The hidden folder beside the target: written durably, verified, then renamed into place.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::{
    DirectorySource, MANIFEST_FILE, MODEL_CARD_FILE, Manifest, Reader, TOKENIZER_FILE, WeightsError,
};

/// The hidden folder; removed on drop unless it became the target.
pub(super) struct Scratch {
    target: PathBuf,
    path: PathBuf,
}

impl Scratch {
    pub(super) fn beside(target: &Path) -> Result<Self, WeightsError> {
        let target = std::path::absolute(target).map_err(|e| cannot_write(&e))?;
        refuse_other_folders(&target)?;
        let name = target.file_name().map(|n| n.to_string_lossy().into_owned());
        let name = name.unwrap_or_else(|| "model".to_owned());
        let path = target.with_file_name(format!(".{name}.{}.part", std::process::id()));
        if path.exists() {
            fs::remove_dir_all(&path).map_err(|e| cannot_write(&e))?;
        }
        fs::create_dir_all(&path).map_err(|e| cannot_write(&e))?;
        Ok(Self { target, path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // After a success the folder has moved; after a failure there is nobody left to tell.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// A model folder that is complete but not in its place yet. Dropping it leaves the target as it was.
pub struct Sealed {
    scratch: Scratch,
    manifest: Manifest,
}

impl Sealed {
    pub(super) fn new(scratch: Scratch, manifest: Manifest) -> Self {
        Self { scratch, manifest }
    }

    /// Opens what was written, as any reader of the model will.
    ///
    /// # Errors
    /// See [`Reader::open`].
    pub fn reader(&self) -> Result<Reader<DirectorySource>, WeightsError> {
        Reader::open(DirectorySource::new(self.scratch.path()))
    }

    /// Puts the folder in its place. A model card of a model that is replaced is kept unless a new one was written.
    ///
    /// # Errors
    /// [`WeightsError::Write`]; the target is then as it was.
    pub fn put_in_place(self) -> Result<Manifest, WeightsError> {
        let Scratch { target, path } = &self.scratch;
        let (old_card, new_card) = (target.join(MODEL_CARD_FILE), path.join(MODEL_CARD_FILE));
        if old_card.exists() && !new_card.exists() {
            fs::copy(&old_card, &new_card).map_err(|e| cannot_write(&e))?;
        }
        // A folder that is not empty cannot be renamed over: the old one steps aside first.
        let aside = path.with_extension("old");
        let replaces = target.exists();
        if replaces {
            fs::rename(target, &aside).map_err(|e| cannot_write(&e))?;
        }
        if let Err(error) = fs::rename(path, target) {
            if replaces {
                fs::rename(&aside, target).map_err(|e| cannot_write(&e))?;
            }
            return Err(cannot_write(&error));
        }
        if replaces {
            fs::remove_dir_all(&aside).map_err(|e| cannot_write(&e))?;
        }
        Ok(self.manifest)
    }
}

pub(super) fn cannot_write(error: &std::io::Error) -> WeightsError {
    WeightsError::Write {
        reason: error.to_string(),
    }
}

pub(super) fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), WeightsError> {
    let write = || {
        let mut file = fs::File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|e| cannot_write(&e))
}

/// Replacing a folder deletes what is in it, so only a model folder or an empty one may be the target.
fn refuse_other_folders(target: &Path) -> Result<(), WeightsError> {
    if !target.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(target).map_err(|e| cannot_write(&e))? {
        let name = entry.map_err(|e| cannot_write(&e))?.file_name();
        let name = name.to_string_lossy();
        let belongs = [MANIFEST_FILE, MODEL_CARD_FILE, TOKENIZER_FILE];
        let shard = |start: &str| name.starts_with(start) && name.ends_with(".safetensors");
        let belongs = belongs.contains(&name.as_ref())
            || name.starts_with("vocabulary.")
            || shard("model-")
            || shard("text-");
        if !belongs {
            return Err(WeightsError::NotAModelFolder {
                found: name.into_owned(),
            });
        }
    }
    Ok(())
}
