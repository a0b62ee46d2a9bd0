//! Writes a model folder: tensors are gathered into shards, everything goes into a hidden folder beside the
//! target, and a rename puts it in place. A crash leaves the old model, or none; never half of one.

mod place;
mod shard;

use std::collections::BTreeSet;
use std::path::Path;

use crate::manifest::{count, is_plain_name, scales_shape};
use crate::{
    FORMAT_VERSION, FileEntry, MANIFEST_FILE, MODEL_CARD_FILE, Manifest, MaskRule, Part, Precision,
    PromptEntry, Provenance, SHARD_LIMIT_BYTES, TensorEntry, VOCABULARY_FEATURES_FILE,
    VOCABULARY_FILE, VOCABULARY_TENSOR, VocabularyBuilder, WeightsError, layout, sha256_hex,
};
use medsam3_files::ScratchFolder;
use place::write_durably;
pub use place::{Sealed, check_model_target};
use shard::{Piece, header_share_bytes};

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

/// A model folder being written. Dropping it before [`Writer::finish`] leaves the target as it was.
pub struct Writer {
    scratch: ScratchFolder,
    shard_limit_bytes: u64,
    description: ModelDescription,
    pending: Vec<Piece>,
    pending_bytes: u64,
    pending_part: Part,
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
        Ok(Self {
            scratch: place::open(target)?,
            shard_limit_bytes,
            description,
            pending: Vec::new(),
            pending_bytes: 0,
            pending_part: Part::Image,
            names: BTreeSet::new(),
            files: Vec::new(),
        })
    }

    /// Adds a tensor: `values` in row-major order of `shape`, PyTorch's layout. One that is larger than a shard is cut
    /// by rows of its first axis.
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
        if count(shape) != Some(values.len()) {
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
        let dtype = self.description.precision.of_tensor(name, shape);
        let columns = shape.last().copied().unwrap_or(1);
        let entry = TensorEntry {
            name: name.to_owned(),
            dtype,
            shape: shape.to_vec(),
            offset: 0,
            scales_offset: None,
            rows: None,
        };
        let room = self
            .shard_limit_bytes
            .saturating_sub(header_share_bytes(name, dtype));
        let whole_bytes = stored_bytes(shape, dtype);
        if whole_bytes <= room {
            let stored = layout::encode(name, values, columns, dtype)?;
            return self.gather(Piece { entry, stored });
        }
        let rows = shape.first().copied().unwrap_or(1).max(1);
        let row_bytes = whole_bytes / rows as u64;
        let rows_at_once = (room / row_bytes.max(1)) as usize;
        if shape.len() < 2 || rows_at_once == 0 {
            return Err(WeightsError::TensorTooLarge {
                name: name.to_owned(),
                bytes: if shape.len() < 2 {
                    whole_bytes
                } else {
                    row_bytes
                },
                limit: self.shard_limit_bytes,
            });
        }
        let row_values = values.len() / rows;
        let mut first = 0;
        for some in values.chunks(rows_at_once * row_values) {
            let end = first + some.len() / row_values;
            let stored = layout::encode(name, some, columns, dtype)?;
            let entry = TensorEntry {
                rows: Some([first, end]),
                ..entry.clone()
            };
            self.gather(Piece { entry, stored })?;
            first = end;
        }
        Ok(())
    }

    /// Adds the vocabulary pack, whose features have `channels` channels.
    ///
    /// # Errors
    /// [`WeightsError::Duplicate`] or [`WeightsError::Write`].
    pub fn vocabulary(
        &mut self,
        pack: &VocabularyBuilder,
        channels: usize,
    ) -> Result<(), WeightsError> {
        let (list, features, shape) = pack.finish(channels)?;
        self.file(VOCABULARY_FILE, &list)?;
        if !self.names.insert(VOCABULARY_TENSOR.to_owned()) {
            return Err(WeightsError::Duplicate {
                name: VOCABULARY_TENSOR.to_owned(),
            });
        }
        let entry = TensorEntry {
            name: VOCABULARY_TENSOR.to_owned(),
            dtype: Precision::F16,
            shape: shape.to_vec(),
            offset: shard::data_start(&features)?,
            scales_offset: None,
            rows: None,
        };
        write_durably(
            &self.scratch.path().join(VOCABULARY_FEATURES_FILE),
            &features,
        )?;
        let name = VOCABULARY_FEATURES_FILE.to_owned();
        self.list(name, &features, Part::Image, vec![entry]);
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
        let path = self.scratch.path().join(name);
        if path.exists() {
            return Err(WeightsError::Duplicate {
                name: name.to_owned(),
            });
        }
        write_durably(&path, bytes)?;
        // The card is for people and may be edited after the model was written.
        if name != MODEL_CARD_FILE {
            self.list(name.to_owned(), bytes, Part::Image, Vec::new());
        }
        Ok(())
    }

    /// Writes what is left and the manifest, and puts the folder in its place. A model card of a model that is
    /// replaced is kept unless a new one was written.
    ///
    /// # Errors
    /// [`WeightsError::Write`]; the target is then as it was.
    pub fn finish(self) -> Result<Manifest, WeightsError> {
        self.seal()?.put_in_place()
    }

    /// Writes what is left and the manifest, and leaves the folder beside its target, to be verified first.
    ///
    /// # Errors
    /// [`WeightsError::Write`]; the target is as it was.
    pub fn seal(mut self) -> Result<Sealed, WeightsError> {
        self.write_shard()?;
        let description = self.description;
        let manifest = Manifest {
            format_version: FORMAT_VERSION,
            name: description.name,
            config: description.config,
            precision: description.precision,
            licence: description.licence,
            provenance: description.provenance,
            mask_rule: description.mask_rule,
            prompts: description.prompts,
            files: self.files,
        };
        let failed = |e: serde_json::Error| WeightsError::Write {
            reason: e.to_string(),
        };
        let json = serde_json::to_vec_pretty(&manifest).map_err(failed)?;
        // What was written must be readable by the strict reader.
        let manifest = Manifest::parse(&json)?;
        write_durably(&self.scratch.path().join(MANIFEST_FILE), &json)?;
        Ok(Sealed::new(self.scratch, manifest))
    }

    fn gather(&mut self, piece: Piece) -> Result<(), WeightsError> {
        let part = Part::of_tensor(&piece.entry.name);
        let size = piece.size_bytes();
        if part != self.pending_part || self.pending_bytes + size > self.shard_limit_bytes {
            self.write_shard()?;
        }
        self.pending_part = part;
        self.pending_bytes += size;
        self.pending.push(piece);
        Ok(())
    }

    fn write_shard(&mut self) -> Result<(), WeightsError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let (bytes, tensors) = shard::build(std::mem::take(&mut self.pending))?;
        self.pending_bytes = 0;
        let part = self.pending_part;
        let start = match part {
            Part::Image => "model",
            Part::Text => "text",
        };
        let of_part = |file: &&FileEntry| !file.tensors.is_empty() && file.name.starts_with(start);
        let number = self.files.iter().filter(of_part).count() + 1;
        let name = format!("{start}-{number:05}.safetensors");
        write_durably(&self.scratch.path().join(&name), &bytes)?;
        self.list(name, &bytes, part, tensors);
        Ok(())
    }

    fn list(&mut self, name: String, bytes: &[u8], part: Part, tensors: Vec<TensorEntry>) {
        self.files.push(FileEntry {
            name,
            bytes: bytes.len() as u64,
            sha256: sha256_hex(bytes),
            part,
            tensors,
        });
    }
}

/// Bytes of values and scales; the shape was counted.
fn stored_bytes(shape: &[usize], dtype: Precision) -> u64 {
    let bytes = |shape: &[usize], each: usize| count(shape).unwrap_or(0) as u64 * each as u64;
    let scales = match dtype {
        Precision::Q8 => bytes(&scales_shape(shape), 2),
        Precision::F32 | Precision::F16 => 0,
    };
    bytes(shape, dtype.bytes()) + scales
}

#[cfg(test)]
mod cut_tests;
#[cfg(test)]
mod tests;
