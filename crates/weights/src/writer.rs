//! Writes a model folder: tensors are gathered into shards, everything goes into a hidden folder beside the
//! target, and a rename puts it in place. A crash leaves the old model, or none; never half of one.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;

use crate::layout::{self, HEADER_LENGTH_BYTES};
use crate::manifest::is_plain_name;
use crate::{
    FORMAT_VERSION, FileEntry, MANIFEST_FILE, MODEL_CARD_FILE, Manifest, MaskRule, Precision,
    PromptEntry, Provenance, SHARD_LIMIT_BYTES, TensorEntry, WeightsError, sha256_hex,
};

/// What the manifest says beside the files.
#[derive(Debug, Clone)]
pub struct ModelDescription {
    /// The model's name.
    pub name: String,
    /// The model's configuration, as the model crate writes it.
    pub config: serde_json::Value,
    /// How the tensors are to be stored.
    pub precision: Precision,
    /// Licence of the weights.
    pub licence: String,
    /// Where the weights come from.
    pub provenance: Provenance,
    /// The mask that is shown by default.
    pub mask_rule: MaskRule,
    /// What the model knows by name, with thresholds.
    pub prompts: Vec<PromptEntry>,
}

struct Pending {
    name: String,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// A model folder being written. Dropping it before [`Writer::finish`] leaves the target as it was.
pub struct Writer {
    target: PathBuf,
    /// The hidden folder beside the target; removed on drop unless it became the target.
    scratch: PathBuf,
    shard_limit_bytes: u64,
    description: ModelDescription,
    pending: Vec<Pending>,
    pending_bytes: u64,
    names: BTreeSet<String>,
    files: Vec<FileEntry>,
}

impl Writer {
    /// Starts a model folder at `target`, which may exist if it is a model folder or empty.
    ///
    /// # Errors
    /// [`WeightsError::NotAModelFolder`], or [`WeightsError::Write`].
    pub fn create(
        target: impl AsRef<Path>,
        description: ModelDescription,
    ) -> Result<Self, WeightsError> {
        Self::with_shard_limit(target.as_ref(), description, SHARD_LIMIT_BYTES)
    }

    fn with_shard_limit(
        target: &Path,
        description: ModelDescription,
        shard_limit_bytes: u64,
    ) -> Result<Self, WeightsError> {
        let target = std::path::absolute(target).map_err(|e| cannot_write(&e))?;
        refuse_other_folders(&target)?;
        let name = target.file_name().map(|n| n.to_string_lossy().into_owned());
        let name = name.unwrap_or_else(|| "model".to_owned());
        let scratch = target.with_file_name(format!(".{name}.{}.part", std::process::id()));
        if scratch.exists() {
            fs::remove_dir_all(&scratch).map_err(|e| cannot_write(&e))?;
        }
        fs::create_dir_all(&scratch).map_err(|e| cannot_write(&e))?;
        Ok(Self {
            target,
            scratch,
            shard_limit_bytes,
            description,
            pending: Vec::new(),
            pending_bytes: 0,
            names: BTreeSet::new(),
            files: Vec::new(),
        })
    }

    /// Adds a tensor: `values` in row-major order of `shape`, PyTorch's layout.
    ///
    /// # Errors
    /// [`WeightsError::ValueCount`], [`WeightsError::Duplicate`], [`WeightsError::NotStorable`],
    /// [`WeightsError::TensorTooLarge`] or [`WeightsError::Write`].
    pub fn tensor(
        &mut self,
        name: &str,
        shape: &[usize],
        values: &[f32],
    ) -> Result<(), WeightsError> {
        if shape.iter().product::<usize>() != values.len() {
            return Err(WeightsError::ValueCount {
                name: name.to_owned(),
                shape: shape.to_vec(),
                values: values.len(),
            });
        }
        if !self.names.insert(name.to_owned()) {
            return Err(WeightsError::Duplicate {
                name: name.to_owned(),
            });
        }
        let bytes = layout::encode(name, values, self.description.precision)?;
        let size = header_share_bytes(name) + bytes.len() as u64;
        if size > self.shard_limit_bytes {
            return Err(WeightsError::TensorTooLarge {
                name: name.to_owned(),
                bytes: bytes.len() as u64,
                limit: self.shard_limit_bytes,
            });
        }
        if self.pending_bytes + size > self.shard_limit_bytes {
            self.write_shard()?;
        }
        self.pending_bytes += size;
        self.pending.push(Pending {
            name: name.to_owned(),
            shape: shape.to_vec(),
            bytes,
        });
        Ok(())
    }

    /// Adds a file that is no shard, e.g. `tokenizer.json` or the model card.
    ///
    /// # Errors
    /// [`WeightsError::Duplicate`], [`WeightsError::Manifest`] for a name that is not plain, or
    /// [`WeightsError::Write`].
    pub fn file(&mut self, name: &str, bytes: &[u8]) -> Result<(), WeightsError> {
        if !is_plain_name(name) || name == MANIFEST_FILE || name.ends_with(".safetensors") {
            return Err(WeightsError::Manifest {
                reason: format!("\"{name}\" is not a file name it may use"),
            });
        }
        if self.scratch.join(name).exists() {
            return Err(WeightsError::Duplicate {
                name: name.to_owned(),
            });
        }
        write_durably(&self.scratch.join(name), bytes)?;
        // The card is for people and may be edited after the model was written.
        if name != MODEL_CARD_FILE {
            self.list(name.to_owned(), bytes, Vec::new());
        }
        Ok(())
    }

    /// Writes what is left and the manifest, and puts the folder in its place. A model card of a model that is
    /// replaced is kept unless a new one was written.
    ///
    /// # Errors
    /// [`WeightsError::Write`]; the target is then as it was.
    pub fn finish(mut self) -> Result<Manifest, WeightsError> {
        self.write_shard()?;
        let description = self.description.clone();
        let manifest = Manifest {
            format_version: FORMAT_VERSION,
            name: description.name,
            config: description.config,
            precision: description.precision,
            licence: description.licence,
            provenance: description.provenance,
            mask_rule: description.mask_rule,
            prompts: description.prompts,
            files: std::mem::take(&mut self.files),
        };
        let failed = |e: serde_json::Error| WeightsError::Write {
            reason: e.to_string(),
        };
        let json = serde_json::to_vec_pretty(&manifest).map_err(failed)?;
        // What was written must be readable by the strict reader.
        let manifest = Manifest::parse(&json)?;
        write_durably(&self.scratch.join(MANIFEST_FILE), &json)?;
        let (old_card, new_card) = (
            self.target.join(MODEL_CARD_FILE),
            self.scratch.join(MODEL_CARD_FILE),
        );
        if old_card.exists() && !new_card.exists() {
            fs::copy(&old_card, &new_card).map_err(|e| cannot_write(&e))?;
        }
        self.put_in_place()?;
        Ok(manifest)
    }

    fn put_in_place(&self) -> Result<(), WeightsError> {
        // A folder that is not empty cannot be renamed over: the old one steps aside first.
        let aside = self.scratch.with_extension("old");
        let replaces = self.target.exists();
        if replaces {
            fs::rename(&self.target, &aside).map_err(|e| cannot_write(&e))?;
        }
        if let Err(error) = fs::rename(&self.scratch, &self.target) {
            if replaces {
                fs::rename(&aside, &self.target).map_err(|e| cannot_write(&e))?;
            }
            return Err(cannot_write(&error));
        }
        if replaces {
            fs::remove_dir_all(&aside).map_err(|e| cannot_write(&e))?;
        }
        Ok(())
    }

    fn write_shard(&mut self) -> Result<(), WeightsError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let failed = |reason: String| WeightsError::Write { reason };
        let pending = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        let precision = self.description.precision;
        let dtype = layout::dtype_of(precision);
        let mut views = Vec::with_capacity(pending.len());
        for Pending { name, shape, bytes } in &pending {
            let view = TensorView::new(dtype, shape.clone(), bytes);
            views.push((name, view.map_err(|e| failed(e.to_string()))?));
        }
        let shard = safetensors::serialize(views, None).map_err(|e| failed(e.to_string()))?;
        let read_back = safetensors::SafeTensors::read_metadata(&shard);
        let (header_bytes, metadata) = read_back.map_err(|e| failed(e.to_string()))?;
        let data_start = (HEADER_LENGTH_BYTES + header_bytes) as u64;
        let mut tensors: Vec<TensorEntry> = metadata
            .tensors()
            .into_iter()
            .map(|(name, info)| TensorEntry {
                name,
                dtype: precision,
                shape: info.shape.clone(),
                offset: data_start + info.data_offsets.0 as u64,
            })
            .collect();
        tensors.sort_by_key(|tensor| tensor.offset);
        let shards = self.files.iter().filter(|f| !f.tensors.is_empty()).count();
        let name = format!("model-{:05}.safetensors", shards + 1);
        write_durably(&self.scratch.join(&name), &shard)?;
        self.list(name, &shard, tensors);
        Ok(())
    }

    fn list(&mut self, name: String, bytes: &[u8], tensors: Vec<TensorEntry>) {
        self.files.push(FileEntry {
            name,
            bytes: bytes.len() as u64,
            sha256: sha256_hex(bytes),
            tensors,
        });
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // After a success the folder has moved; after a failure there is nobody left to tell.
        let _ = fs::remove_dir_all(&self.scratch);
    }
}

/// An upper bound of what a tensor takes in the shard's header (name, dtype, shape, offsets) and padding.
fn header_share_bytes(name: &str) -> u64 {
    name.len() as u64 * 2 + 256
}

fn cannot_write(error: &std::io::Error) -> WeightsError {
    WeightsError::Write {
        reason: error.to_string(),
    }
}

fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), WeightsError> {
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
        let belongs = [MANIFEST_FILE, MODEL_CARD_FILE, crate::TOKENIZER_FILE];
        let belongs = belongs.contains(&name.as_ref())
            || name.starts_with("vocabulary.")
            || (name.starts_with("model-") && name.ends_with(".safetensors"));
        if !belongs {
            return Err(WeightsError::NotAModelFolder {
                found: name.into_owned(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
