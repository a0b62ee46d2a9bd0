//! The hidden folder beside the target: written durably, verified, then renamed into place.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use medsam3_files::{ScratchFolder, check_output_folder, follow_links};

use crate::{
    DirectorySource, MANIFEST_FILE, MODEL_CARD_FILE, Manifest, Reader, TOKENIZER_FILE, WeightsError,
};

/// Finds out before the work whether a model folder can be written at `target`: it is no other folder, and the disk
/// takes files and has `needed_bytes` free.
///
/// # Errors
/// [`WeightsError::NotAModelFolder`] or [`WeightsError::Write`].
pub fn check_model_target(target: &Path, needed_bytes: u64) -> Result<(), WeightsError> {
    let scratch = open(target)?;
    check_output_folder(scratch.path(), needed_bytes).map_err(|e| cannot_write(&e))
}

pub(super) fn open(target: &Path) -> Result<ScratchFolder, WeightsError> {
    let target = follow_links(target).map_err(|e| cannot_write(&e))?;
    refuse_other_folders(&target)?;
    ScratchFolder::beside(&target).map_err(|e| cannot_write(&e))
}

/// A model folder that is complete but not in its place yet. Dropping it leaves the target as it was.
pub struct Sealed {
    scratch: ScratchFolder,
    manifest: Manifest,
}

impl Sealed {
    pub(super) fn new(scratch: ScratchFolder, manifest: Manifest) -> Self {
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
        let old_card = self.scratch.target().join(MODEL_CARD_FILE);
        let new_card = self.scratch.path().join(MODEL_CARD_FILE);
        if old_card.exists() && !new_card.exists() {
            fs::copy(&old_card, &new_card).map_err(|e| cannot_write(&e))?;
        }
        self.scratch.put_in_place().map_err(|e| cannot_write(&e))?;
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
