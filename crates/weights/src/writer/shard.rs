//! Tensors, or rows of them, to the bytes of one safetensors file and to what the manifest says of them.

use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::layout::{self, Encoded, HEADER_LENGTH_BYTES};
use crate::manifest::scales_shape;
use crate::{Precision, TensorEntry, WeightsError};

/// A tensor, or rows of it, on its way into a shard; the entry's offsets are not known yet.
pub(super) struct Piece {
    pub(super) entry: TensorEntry,
    pub(super) stored: Encoded,
}

impl Piece {
    /// An upper bound of what it takes in a shard.
    pub(super) fn size_bytes(&self) -> u64 {
        let data = self.stored.values.len() + self.stored.scales.len();
        header_share_bytes(&self.entry.name, self.entry.dtype) + data as u64
    }
}

/// An upper bound of what a tensor takes in the shard's header (name, dtype, shape, offsets) and padding; scales are
/// a tensor of their own there.
pub(super) fn header_share_bytes(name: &str, dtype: Precision) -> u64 {
    let tensors = if dtype == Precision::Q8 { 2 } else { 1 };
    tensors * (name.len() as u64 * 2 + 256)
}

/// The file and its tensors in the order of their bytes.
pub(super) fn build(pieces: Vec<Piece>) -> Result<(Vec<u8>, Vec<TensorEntry>), WeightsError> {
    let failed = |reason: String| WeightsError::Write { reason };
    let mut views = Vec::with_capacity(pieces.len());
    for Piece { entry, stored } in &pieces {
        let shape = entry.stored_shape();
        if entry.dtype == Precision::Q8 {
            let scales = TensorView::new(Dtype::F16, scales_shape(&shape), &stored.scales);
            views.push((
                entry.scales_name(),
                scales.map_err(|e| failed(e.to_string()))?,
            ));
        }
        let values = TensorView::new(layout::dtype_of(entry.dtype), shape, &stored.values);
        views.push((
            entry.stored_name(),
            values.map_err(|e| failed(e.to_string()))?,
        ));
    }
    let shard = safetensors::serialize(views, None).map_err(|e| failed(e.to_string()))?;
    let read_back = safetensors::SafeTensors::read_metadata(&shard);
    let (_, metadata) = read_back.map_err(|e| failed(e.to_string()))?;
    let data_start = data_start(&shard)?;
    let offset = |name: &str| {
        let info = metadata.info(name);
        let info = info.ok_or_else(|| failed(format!("\"{name}\" was lost in a shard")))?;
        Ok(data_start + info.data_offsets.0 as u64)
    };
    let mut tensors = Vec::with_capacity(pieces.len());
    for Piece { mut entry, .. } in pieces {
        entry.offset = offset(&entry.stored_name())?;
        if entry.dtype == Precision::Q8 {
            entry.scales_offset = Some(offset(&entry.scales_name())?);
        }
        tensors.push(entry);
    }
    tensors.sort_by_key(|tensor| tensor.offset);
    Ok((shard, tensors))
}

/// Bytes in front of the data of a safetensors file.
pub(super) fn data_start(file: &[u8]) -> Result<u64, WeightsError> {
    let read = safetensors::SafeTensors::read_metadata(file);
    let (header_bytes, _) = read.map_err(|e| WeightsError::Write {
        reason: e.to_string(),
    })?;
    Ok((HEADER_LENGTH_BYTES + header_bytes) as u64)
}
