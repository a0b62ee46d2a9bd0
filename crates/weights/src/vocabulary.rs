//! The vocabulary pack of a model folder: text features of prompts computed beforehand, so that the text encoder is
//! only needed for other words. `vocabulary.json` lists the prompts, `vocabulary.safetensors` holds one f16 tensor
//! `features` `[tokens of all prompts, channels]`: the text encoder's output, start and end tokens included, padding
//! left out. Here it is made; a reader takes the rows of a prompt with [`crate::Reader::read_at`].

use half::f16;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::Serialize;

use crate::WeightsError;

/// The list's name in a model folder.
pub const VOCABULARY_FILE: &str = "vocabulary.json";
/// The features' file in a model folder.
pub const VOCABULARY_FEATURES_FILE: &str = "vocabulary.safetensors";
/// The features' tensor.
pub const VOCABULARY_TENSOR: &str = "features";

/// One prompt of the pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Entry {
    /// The prompt as the tokenizer's cleaning leaves it: lower case, single spaces.
    prompt: String,
    /// The concept that it is a wording of.
    concept: String,
    /// The concept's SNOMED CT code, where one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    snomed: Option<String>,
    /// Rows of the features.
    tokens: usize,
    /// The first of them.
    offset: usize,
}

/// List, features' file, features' shape.
type Files = (Vec<u8>, Vec<u8>, [usize; 2]);

/// A pack under construction.
#[derive(Debug, Clone, Default)]
pub struct VocabularyBuilder {
    entries: Vec<Entry>,
    features: Vec<u8>,
    rows: usize,
}

impl VocabularyBuilder {
    /// Adds a prompt with its features `[tokens, channels]`.
    ///
    /// # Errors
    /// [`WeightsError::NotStorable`] for a value that f16 cannot hold.
    pub fn add(
        &mut self,
        prompt: &str,
        concept: &str,
        snomed: Option<&str>,
        tokens: usize,
        features: &[f32],
    ) -> Result<(), WeightsError> {
        for &value in features {
            let half = f16::from_f32(value);
            if !half.is_finite() {
                return Err(WeightsError::NotStorable {
                    name: format!("{VOCABULARY_TENSOR} of \"{prompt}\""),
                    value,
                    precision: "f16",
                });
            }
            self.features.extend_from_slice(&half.to_le_bytes());
        }
        self.entries.push(Entry {
            prompt: prompt.to_owned(),
            concept: concept.to_owned(),
            snomed: snomed.map(str::to_owned),
            tokens,
            offset: self.rows,
        });
        self.rows += tokens;
        Ok(())
    }

    /// The list, the features' file, and the features' shape, for features of `channels` channels.
    ///
    /// # Errors
    /// [`WeightsError::Write`] when the features added do not make rows of that many channels.
    pub(crate) fn finish(&self, channels: usize) -> Result<Files, WeightsError> {
        let failed = |reason: String| WeightsError::Write { reason };
        let list = serde_json::to_vec(&self.entries).map_err(|e| failed(e.to_string()))?;
        let view = TensorView::new(Dtype::F16, vec![self.rows, channels], &self.features);
        let view = view.map_err(|e| failed(e.to_string()))?;
        let features = safetensors::serialize([(VOCABULARY_TENSOR, view)], None);
        let features = features.map_err(|e| failed(e.to_string()))?;
        Ok((list, features, [self.rows, channels]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        DirectorySource, MaskRule, ModelDescription, Precision, Provenance, Reader, Writer,
    };

    #[test]
    fn a_pack_reads_as_any_file_of_the_model() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("model");
        let description = ModelDescription {
            name: "words".to_owned(),
            config: serde_json::Value::Null,
            precision: Precision::Q8,
            licence: "CC0-1.0".to_owned(),
            provenance: Provenance::default(),
            mask_rule: MaskRule::Union,
            prompts: Vec::new(),
        };
        let mut pack = VocabularyBuilder::default();
        let lung = [1.0, 2.0, 3.0, 4.0];
        pack.add("left lung", "left lung", None, 2, &lung).unwrap();
        let code = Some("53085002");
        pack.add("rv", "right ventricle", code, 1, &[-0.5, 0.25])
            .unwrap();
        assert!(pack.clone().add("x", "x", None, 1, &[1e9]).is_err());
        let mut writer = Writer::create(&target, description).unwrap();
        writer.vocabulary(&pack, 2).unwrap();
        assert!(writer.vocabulary(&pack, 2).is_err(), "twice");
        drop(writer.finish().unwrap());

        let mut reader = Reader::open(DirectorySource::new(&target)).unwrap();
        reader.verify(|_, _| ()).unwrap();
        let list: serde_json::Value =
            serde_json::from_slice(&reader.file(VOCABULARY_FILE).unwrap()).unwrap();
        let expected = serde_json::json!([
            {"prompt": "left lung", "concept": "left lung", "tokens": 2, "offset": 0},
            {"prompt": "rv", "concept": "right ventricle", "snomed": "53085002", "tokens": 1, "offset": 2},
        ]);
        assert_eq!(list, expected);
        let all = reader.tensor(VOCABULARY_TENSOR).unwrap();
        assert_eq!(all, [1.0, 2.0, 3.0, 4.0, -0.5, 0.25]);
        let mut row = [0; 4];
        reader.read_at(VOCABULARY_TENSOR, 8, &mut row).unwrap();
        assert_eq!(row, [0x00, 0xb8, 0x00, 0x34], "-0.5 and 0.25 as f16");
    }
}
