//! Int8 weights: blocks of 32 values along the inner dimension, each with one scale; value = integer x scale.
//!
//! On a device such a weight is a float tensor `[out, in]` of dtype `QFloat`: four integers to a u32 word, the first in the
//! lowest byte, `[out, in / 4]`, and f32 scales `[out, in / 32]`. A parameter of the model may hold it in place of its f32
//! weight `[in, out]`; [`crate::linear`] tells them apart by their dtype.

use burn::tensor::quantization::{QuantScheme, QuantStore, QuantValue, ScaleDtype};
use burn::tensor::{DType, Device, Tensor, TensorData};

/// Values that share a scale.
pub const BLOCK: usize = 32;
/// The largest integer used; the smallest is its negative.
const LARGEST: f32 = 127.0;

/// A weight that cannot be held in blocks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Q8Error {
    /// Blocks do not divide the inner dimension.
    #[error(
        "a weight of {out} rows of {inner} values cannot be cut into blocks of {BLOCK}; keep it in f32"
    )]
    Width {
        /// Rows.
        out: usize,
        /// Values to a row.
        inner: usize,
    },
    /// Another number of integers or scales than the shape has.
    #[error(
        "a weight of {out} rows of {inner} values came with {values} integers and {scales} scales; load its file again"
    )]
    Count {
        /// Rows.
        out: usize,
        /// Values to a row.
        inner: usize,
        /// Integers given.
        values: usize,
        /// Scales given.
        scales: usize,
    },
}

/// A weight in int8 blocks, on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct Q8 {
    /// `[out, in]`, each in -127..=127.
    pub values: Vec<i8>,
    /// `[out, in / 32]`
    pub scales: Vec<f32>,
    /// Rows (outputs) and values to a row (inputs).
    pub shape: [usize; 2],
}

impl Q8 {
    /// Checks what a file holds.
    ///
    /// # Errors
    /// [`Q8Error`]
    pub fn new(values: Vec<i8>, scales: Vec<f32>, shape: [usize; 2]) -> Result<Self, Q8Error> {
        let [out, inner] = shape;
        if !inner.is_multiple_of(BLOCK) {
            return Err(Q8Error::Width { out, inner });
        }
        if values.len() != out * inner || scales.len() != out * inner / BLOCK {
            return Err(Q8Error::Count {
                out,
                inner,
                values: values.len(),
                scales: scales.len(),
            });
        }
        Ok(Self {
            values,
            scales,
            shape,
        })
    }

    /// Rounds `weight`, `[out, in]`, to blocks: the largest magnitude of a block becomes 127.
    ///
    /// # Errors
    /// [`Q8Error`]
    pub fn quantise(weight: &[f32], shape: [usize; 2]) -> Result<Self, Q8Error> {
        let blocks = weight.chunks(BLOCK);
        let scales: Vec<f32> = blocks
            .clone()
            .map(|block| block.iter().fold(0f32, |most, x| most.max(x.abs())) / LARGEST)
            .collect();
        let values = blocks
            .zip(&scales)
            .flat_map(|(block, &scale)| {
                let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
                block
                    .iter()
                    .map(move |x| (x * inverse).round().clamp(-LARGEST, LARGEST) as i8)
            })
            .collect();
        Self::new(values, scales, shape)
    }

    /// What the blocks stand for, `[out, in]`: the reference that kernels are compared with.
    pub fn dequantise(&self) -> Vec<f32> {
        self.values
            .chunks(BLOCK)
            .zip(&self.scales)
            .flat_map(|(block, &scale)| block.iter().map(move |&value| f32::from(value) * scale))
            .collect()
    }

    /// The weight on a device, `[out, in]` of dtype `QFloat`, in memory of its own size.
    pub fn into_tensor(self, device: &Device) -> Tensor<2> {
        let data = TensorData::quantized(self.values, self.shape, scheme(), &self.scales, None);
        device.memory_persistent_allocations(data, |data| Tensor::from_data(data, device))
    }
}

/// Whether a weight on a device is in int8 blocks.
pub fn is_q8<const D: usize>(weight: &Tensor<D>) -> bool {
    matches!(weight.dtype(), DType::QFloat(_))
}

fn scheme() -> QuantScheme {
    QuantScheme::default()
        .with_value(QuantValue::Q8S)
        .with_store(QuantStore::PackedU32(0))
        .per_block([BLOCK as u8], ScaleDtype::F32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_of_a_block_becomes_127_and_zeros_stay_zeros() {
        let mut weight = vec![0f32; 64];
        weight[0] = -2.0;
        weight[1] = 1.0;
        let q8 = Q8::quantise(&weight, [1, 64]).expect("two blocks");
        assert_eq!(q8.values[..2], [-127, 64]);
        assert_eq!(q8.scales, [2.0 / 127.0, 0.0]);
        assert!(q8.dequantise()[32..].iter().all(|&x| x == 0.0));
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        assert_eq!(
            Q8::quantise(&[0.0; 48], [1, 48]),
            Err(Q8Error::Width { out: 1, inner: 48 })
        );
        assert!(matches!(
            Q8::new(vec![0; 64], vec![1.0], [2, 32]),
            Err(Q8Error::Count { .. })
        ));
    }
}
