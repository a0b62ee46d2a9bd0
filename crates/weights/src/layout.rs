//! A safetensors shard: its header compared with the manifest's entries, and values from and to bytes
//! (little-endian, row-major). A q8 tensor is two there: its bytes (I8) and `<name>.scales` (F16).

use half::f16;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo as StoredTensor};

use crate::manifest::{FileEntry, Precision, scales_shape};
use crate::quantise::dequantise;
use crate::{TensorInfo, WeightsError};

/// The length field in front of a safetensors header.
pub(crate) const HEADER_LENGTH_BYTES: usize = 8;

pub(crate) fn dtype_of(precision: Precision) -> Dtype {
    match precision {
        Precision::F32 => Dtype::F32,
        Precision::F16 => Dtype::F16,
        Precision::Q8 => Dtype::I8,
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
    let scales = entry.tensors.iter().filter(|t| t.scales_offset.is_some());
    let expected = entry.tensors.len() + scales.count();
    if tensors.len() != expected {
        let found = tensors.len();
        return Err(disagree(format!("{found} tensors, not {expected}")));
    }
    let data_start = (HEADER_LENGTH_BYTES + header.len()) as u64;
    let compare = |name: &str, same: &dyn Fn(&StoredTensor) -> bool| {
        let info = tensors.get(name);
        let info = info.ok_or_else(|| disagree(format!("no tensor \"{name}\"")))?;
        if same(info) {
            return Ok(());
        }
        Err(disagree(format!(
            "\"{name}\" has another dtype, shape or place"
        )))
    };
    let at = |info: &StoredTensor, offset: u64, bytes: Option<usize>| {
        let (start, end) = info.data_offsets;
        data_start.checked_add(start as u64) == Some(offset) && end.checked_sub(start) == bytes
    };
    for tensor in &entry.tensors {
        let shape = tensor.stored_shape();
        compare(&tensor.stored_name(), &|info| {
            info.dtype == dtype_of(tensor.dtype)
                && info.shape == shape
                && at(info, tensor.offset, tensor.bytes())
        })?;
        if let Some(offset) = tensor.scales_offset {
            compare(&tensor.scales_name(), &|info| {
                info.dtype == Dtype::F16
                    && info.shape == scales_shape(&shape)
                    && at(info, offset, tensor.scales_bytes())
            })?;
        }
    }
    Ok(())
}

/// Values of a tensor from its bytes; f16 is widened exactly, q8 is byte * scale.
pub(crate) fn decode(tensor: &TensorInfo, bytes: &[u8], scales: &[u8]) -> Vec<f32> {
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
        Precision::Q8 => {
            let columns = tensor.shape.last().copied().unwrap_or(1);
            dequantise(bytes, scales, columns)
        }
    }
}

/// A tensor, or rows of it, as it is stored.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) struct Encoded {
    pub(crate) values: Vec<u8>,
    /// Empty unless q8.
    pub(crate) scales: Vec<u8>,
}

/// Bytes of rows of `columns` values; f16 rounds to nearest, ties to even.
///
/// # Errors
/// [`WeightsError::NotStorable`] for a value that is not finite, or becomes infinite.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn encode(
    name: &str,
    values: &[f32],
    columns: usize,
    precision: Precision,
) -> Result<Encoded, WeightsError> {
    let not_storable = |value: f32| WeightsError::NotStorable {
        name: name.to_owned(),
        value,
        precision: precision.name(),
    };
    if precision == Precision::Q8 {
        let (bytes, scales) = crate::quantise::quantise(values, columns).map_err(not_storable)?;
        return Ok(Encoded {
            values: bytes.into_iter().map(i8::cast_unsigned).collect(),
            scales: scales.into_iter().flat_map(f16::to_le_bytes).collect(),
        });
    }
    let mut bytes = Vec::with_capacity(values.len() * precision.bytes());
    for &value in values {
        let half = f16::from_f32(value);
        let (storable, stored) = match precision {
            Precision::F32 => (value.is_finite(), &value.to_le_bytes()[..]),
            Precision::F16 | Precision::Q8 => (half.is_finite(), &half.to_le_bytes()[..]),
        };
        if !storable {
            return Err(not_storable(value));
        }
        bytes.extend_from_slice(stored);
    }
    Ok(Encoded {
        values: bytes,
        scales: Vec::new(),
    })
}
