//! A safetensors shard: its header compared with the manifest's entries, and values from and to bytes
//! (little-endian, row-major).

use half::f16;
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use crate::manifest::{FileEntry, Precision};
use crate::{TensorEntry, WeightsError};

/// The length field in front of a safetensors header.
pub(crate) const HEADER_LENGTH_BYTES: usize = 8;

pub(crate) fn dtype_of(precision: Precision) -> Dtype {
    match precision {
        Precision::F32 => Dtype::F32,
        Precision::F16 => Dtype::F16,
    }
}

/// Compares a shard's own header with the manifest, tensor by tensor.
///
/// `header` is the JSON after the length field; data starts right after it.
pub(crate) fn check_header(entry: &FileEntry, header: &[u8]) -> Result<(), WeightsError> {
    let disagree = |reason: String| WeightsError::Layout {
        file: entry.name.clone(),
        reason,
    };
    let metadata: Metadata =
        serde_json::from_slice(header).map_err(|e| disagree(format!("its header: {e}")))?;
    let tensors = metadata.tensors();
    if tensors.len() != entry.tensors.len() {
        return Err(disagree(format!(
            "{} tensors, not {}",
            tensors.len(),
            entry.tensors.len()
        )));
    }
    let data_start = (HEADER_LENGTH_BYTES + header.len()) as u64;
    for tensor in &entry.tensors {
        let name = &tensor.name;
        let info = tensors.get(name);
        let info = info.ok_or_else(|| disagree(format!("no tensor \"{name}\"")))?;
        let (start, end) = info.data_offsets;
        let same = info.dtype == dtype_of(tensor.dtype)
            && info.shape == tensor.shape
            && data_start.checked_add(start as u64) == Some(tensor.offset)
            && end.checked_sub(start) == tensor.bytes();
        if !same {
            return Err(disagree(format!(
                "\"{name}\" has another dtype, shape or place"
            )));
        }
    }
    Ok(())
}

/// Values of a tensor from its bytes; f16 is widened exactly.
pub(crate) fn decode(tensor: &TensorEntry, bytes: &[u8]) -> Vec<f32> {
    match tensor.dtype {
        Precision::F32 => {
            let (values, _) = bytes.as_chunks::<4>();
            values.iter().map(|b| f32::from_le_bytes(*b)).collect()
        }
        Precision::F16 => {
            let (values, _) = bytes.as_chunks::<2>();
            let widen = |b: &[u8; 2]| f16::from_le_bytes(*b).to_f32();
            values.iter().map(widen).collect()
        }
    }
}

/// Bytes of a tensor from its values; f16 rounds to nearest, ties to even.
///
/// # Errors
/// [`WeightsError::NotStorable`] for a value that is not finite, or becomes infinite as f16.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn encode(
    name: &str,
    values: &[f32],
    precision: Precision,
) -> Result<Vec<u8>, WeightsError> {
    let mut bytes = Vec::with_capacity(values.len() * precision.bytes());
    for &value in values {
        let half = f16::from_f32(value);
        let storable = match precision {
            Precision::F32 => value.is_finite(),
            Precision::F16 => half.is_finite(),
        };
        if !storable {
            return Err(WeightsError::NotStorable {
                name: name.to_owned(),
                value,
                precision: precision.name(),
            });
        }
        match precision {
            Precision::F32 => bytes.extend_from_slice(&value.to_le_bytes()),
            Precision::F16 => bytes.extend_from_slice(&half.to_le_bytes()),
        }
    }
    Ok(bytes)
}
