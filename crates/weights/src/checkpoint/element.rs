//! Elements of stored tensors to f32. f16 and bf16 widen exactly, f64 rounds to nearest.

use half::{bf16, f16};

/// What a tensor's elements are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Element {
    F64,
    F32,
    F16,
    Bf16,
    /// Something a weight is not, by its name.
    Other(String),
}

impl Element {
    /// Bytes of one; 0 where that is never asked.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Other(_) => 0,
        }
    }

    /// Appends the values of whole little-endian elements.
    pub(super) fn decode(&self, bytes: &[u8], values: &mut Vec<f32>) {
        match self {
            Self::F64 => {
                let (elements, _) = bytes.as_chunks::<8>();
                values.extend(elements.iter().map(|e| f64::from_le_bytes(*e) as f32));
            }
            Self::F32 => {
                let (elements, _) = bytes.as_chunks::<4>();
                values.extend(elements.iter().map(|e| f32::from_le_bytes(*e)));
            }
            Self::F16 => {
                let (elements, _) = bytes.as_chunks::<2>();
                values.extend(elements.iter().map(|e| f16::from_le_bytes(*e).to_f32()));
            }
            Self::Bf16 => {
                let (elements, _) = bytes.as_chunks::<2>();
                values.extend(elements.iter().map(|e| bf16::from_le_bytes(*e).to_f32()));
            }
            Self::Other(_) => {}
        }
    }
}
