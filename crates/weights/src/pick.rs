//! Parts of a model folder for callers who want less, or other, than whole tensors in f32: single rows of a table, and
//! values as they are stored.

use half::f16;

use crate::manifest::scales_shape;
use crate::{Precision, Reader, Source, TensorInfo, WeightsError, layout};

impl<S: Source> Reader<S> {
    /// Some rows of a matrix, one behind the other, widened to f32; only they are read. Its files are verified first.
    ///
    /// # Errors
    /// [`WeightsError::OutOfRange`] for a row that the matrix does not have, else as [`Reader::read_at`].
    pub fn rows(&mut self, name: &str, rows: &[usize]) -> Result<Vec<f32>, WeightsError> {
        let whole = self.verified(name)?;
        let columns = whole.shape.last().copied().unwrap_or(1);
        let row = TensorInfo {
            dtype: whole.dtype,
            shape: vec![1, columns],
            bytes: (columns * whole.dtype.bytes()) as u64,
            scales_bytes: match whole.dtype {
                Precision::Q8 => 2 * scales_shape(&[columns]).iter().sum::<usize>() as u64,
                Precision::F32 | Precision::F16 => 0,
            },
        };
        let mut bytes = vec![0; row.bytes as usize];
        let mut scales = vec![0; row.scales_bytes as usize];
        let mut values = Vec::with_capacity(rows.len() * columns);
        for &at in rows {
            let at = at as u64;
            self.read_at(name, at.saturating_mul(row.bytes), &mut bytes)?;
            self.read_scales_at(name, at.saturating_mul(row.scales_bytes), &mut scales)?;
            values.extend(layout::decode(&row, &bytes, &scales));
        }
        Ok(values)
    }

    /// A tensor's bytes as they are stored, little-endian; its files are verified first.
    ///
    /// # Errors
    /// As [`Reader::read_at`].
    pub fn stored_bytes(&mut self, name: &str) -> Result<Vec<u8>, WeightsError> {
        let info = self.verified(name)?;
        let mut bytes = vec![0; info.bytes as usize];
        self.read_at(name, 0, &mut bytes)?;
        Ok(bytes)
    }

    /// The integers of a q8 tensor and its scales, `[..., ceil(last axis / 32)]`; its files are verified first.
    ///
    /// # Errors
    /// As [`Reader::read_at`]; there are no scales where the tensor is not q8.
    pub fn q8(&mut self, name: &str) -> Result<(Vec<i8>, Vec<f32>), WeightsError> {
        let info = self.verified(name)?;
        let bytes = self.stored_bytes(name)?;
        let integers = bytes.into_iter().map(u8::cast_signed).collect();
        let mut scales = vec![0; info.scales_bytes as usize];
        self.read_scales_at(name, 0, &mut scales)?;
        let (scales, _) = scales.as_chunks::<2>();
        let widen = |bytes: &[u8; 2]| f16::from_le_bytes(*bytes).to_f32();
        Ok((integers, scales.iter().map(widen).collect()))
    }

    /// How a tensor is stored, once its files are verified: a damaged manifest must not make its reader reserve
    /// gigabytes.
    fn verified(&mut self, name: &str) -> Result<TensorInfo, WeightsError> {
        let info = self.info(name)?.clone();
        for index in self.files_of(name)? {
            self.verify_file(index, |_| ())?;
        }
        Ok(info)
    }
}

#[cfg(test)]
mod tests {
    use crate::writer::{ModelDescription, Writer};
    use crate::{DirectorySource, MaskRule, Precision, Provenance, Reader};

    fn description(precision: Precision) -> ModelDescription {
        ModelDescription {
            name: "test".to_owned(),
            config: serde_json::json!({}),
            precision,
            licence: "CC0-1.0".to_owned(),
            provenance: Provenance::default(),
            mask_rule: MaskRule::Union,
            prompts: Vec::new(),
        }
    }

    #[test]
    fn rows_and_stored_values_are_those_of_the_whole_tensor() {
        const TABLE: &str = "detector.backbone.language_backbone.encoder.token_embedding.weight";
        let values: Vec<f32> = (0..12 * 64).map(|i| (i as f32 * 0.7).sin()).collect();
        for precision in [Precision::F32, Precision::F16, Precision::Q8] {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path().join("model");
            let mut writer = Writer::create(&folder, description(precision)).unwrap();
            writer.tensor(TABLE, &[12, 64], &values).unwrap();
            writer.finish().unwrap();
            let mut reader = Reader::open(DirectorySource::new(&folder)).unwrap();
            let all = reader.tensor(TABLE).unwrap();
            let row = |i: usize| &all[i * 64..(i + 1) * 64];
            let rows = reader.rows(TABLE, &[7, 0, 11, 7]).unwrap();
            assert_eq!(rows, [row(7), row(0), row(11), row(7)].concat());
            let error = reader.rows(TABLE, &[12]).unwrap_err();
            assert_eq!(error.code(), "WEIGHTS-OUT-OF-RANGE");
            assert!(reader.rows(TABLE, &[usize::MAX]).is_err());
            if precision == Precision::Q8 {
                let (integers, scales) = reader.q8(TABLE).unwrap();
                assert_eq!((integers.len(), scales.len()), (12 * 64, 24));
                let value = |i: usize| f32::from(integers[i]) * scales[i / 32];
                assert!((0..12 * 64).all(|i| value(i) == all[i]));
            } else {
                let bytes = reader.stored_bytes(TABLE).unwrap();
                assert_eq!(bytes.len(), 12 * 64 * precision.bytes());
            }
        }
    }
}
