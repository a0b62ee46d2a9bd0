//! A checkpoint of several safetensors files: the index that Hugging Face's libraries write beside them
//! (`model.safetensors.index.json`) names the file of every tensor.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::Path;

use serde::Deserialize;

use super::{CheckpointError, Stored, safetensors, unreadable};
use crate::manifest::is_plain_name;

/// SAM 3 has 1,500 tensors; their index takes 200 KB.
const INDEX_LIMIT_BYTES: u64 = 16 << 20;
/// More files than any published checkpoint has.
const FILES: usize = 1000;

/// The index.
#[derive(Deserialize)]
pub(super) struct Index {
    /// File by tensor.
    weight_map: BTreeMap<String, String>,
}

/// The index, if the file is one: JSON from its first byte, which no safetensors file is.
pub(super) fn index(file: &mut File, file_bytes: u64) -> Result<Option<Index>, CheckpointError> {
    let mut first = [0];
    file.rewind().map_err(unreadable)?;
    if file.read(&mut first).map_err(unreadable)? == 0 || first != *b"{" {
        return Ok(None);
    }
    file.rewind().map_err(unreadable)?;
    let mut text = Vec::new();
    file.take(INDEX_LIMIT_BYTES)
        .read_to_end(&mut text)
        .map_err(unreadable)?;
    let index = serde_json::from_slice(&text).ok();
    if index.is_none() && file_bytes <= INDEX_LIMIT_BYTES {
        let reason = "it is JSON, but not the index of a checkpoint in several files".to_owned();
        return Err(CheckpointError::Format { reason });
    }
    Ok(index)
}

/// Opens the files that the index at `path` names, and holds what they have against it.
pub(super) fn open(
    path: &Path,
    index: &Index,
) -> Result<(Vec<File>, BTreeMap<String, Stored>), CheckpointError> {
    let format = |reason: String| CheckpointError::Format { reason };
    let names: BTreeSet<&String> = index.weight_map.values().collect();
    if names.len() > FILES {
        return Err(format(format!("its index names {} files", names.len())));
    }
    let (mut files, mut tensors) = (Vec::new(), BTreeMap::new());
    for (number, name) in names.into_iter().enumerate() {
        if !is_plain_name(name) {
            return Err(format(format!(
                "its index names \"{name}\", which is no file beside it"
            )));
        }
        let mut file =
            File::open(path.with_file_name(name)).map_err(|error| CheckpointError::File {
                reason: format!("\"{name}\", which its index names: {error}"),
            })?;
        let bytes = file.metadata().map_err(unreadable)?.len();
        let of_file = safetensors::open(&mut file, bytes, number)?;
        let here = |tensor: &String| index.weight_map.get(tensor) == Some(name);
        tensors.extend(of_file.into_iter().filter(|(tensor, _)| here(tensor)));
        files.push(file);
    }
    if let Some((tensor, file)) = index
        .weight_map
        .iter()
        .find(|(tensor, _)| !tensors.contains_key(*tensor))
    {
        return Err(format(format!(
            "its index looks for \"{tensor}\" in \"{file}\", which lacks it"
        )));
    }
    Ok((files, tensors))
}
