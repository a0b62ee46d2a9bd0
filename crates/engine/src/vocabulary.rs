//! The vocabulary pack of a model folder: text features of prompts that were read when the model was converted. What a
//! prompt means to the model depends on its words alone, so these prompts need no text encoder at all.
//!
//! `vocabulary.json` lists them; the features `[sum of tokens, width]` stay in the folder until one is asked for.

use std::collections::HashMap;
use std::ops::Range;

use medsam3_weights::{Reader, Source};
use serde::Deserialize;

use crate::EngineError;
use crate::clean::clean;

/// The list's name in the folder.
const VOCABULARY_FILE: &str = "vocabulary.json";
/// The features' tensor.
pub(crate) const VOCABULARY_TENSOR: &str = "features";

/// A prompt of the pack as the file has it; what else it says (concept, SNOMED CT code) is for people.
#[derive(Deserialize)]
struct Entry {
    prompt: String,
    /// Valid tokens, start and end included.
    tokens: usize,
    /// Its first row.
    offset: usize,
}

/// The prompts of a pack, by cleaned wording.
#[derive(Debug, Default)]
pub(crate) struct Vocabulary {
    rows: HashMap<String, Range<usize>>,
    prompts: Vec<String>,
}

impl Vocabulary {
    /// Reads the list; a folder without a pack has an empty one.
    pub(crate) fn open<S: Source>(reader: &mut Reader<S>) -> Result<Self, EngineError> {
        let listed = |name: &str| reader.manifest().files.iter().any(|f| f.name == name);
        if !listed(VOCABULARY_FILE) {
            return Ok(Self::default());
        }
        let count = match reader.info(VOCABULARY_TENSOR)?.shape.as_slice() {
            &[rows, _] => rows,
            _ => 0,
        };
        Self::parse(&reader.file(VOCABULARY_FILE)?, count)
    }

    fn parse(json: &[u8], rows: usize) -> Result<Self, EngineError> {
        let invalid = |reason: String| EngineError::Vocabulary { reason };
        let entries: Vec<Entry> =
            serde_json::from_slice(json).map_err(|error| invalid(error.to_string()))?;
        let mut vocabulary = Self::default();
        for Entry {
            prompt,
            tokens,
            offset,
        } in entries
        {
            let end = offset.checked_add(tokens);
            let Some(end) = end.filter(|&end| tokens > 0 && end <= rows) else {
                return Err(invalid(format!("\"{prompt}\" lies outside the features")));
            };
            vocabulary.rows.insert(clean(&prompt), offset..end);
            vocabulary.prompts.push(prompt);
        }
        Ok(vocabulary)
    }

    /// The rows of a prompt that was cleaned.
    pub(crate) fn rows(&self, cleaned: &str) -> Option<Range<usize>> {
        self.rows.get(cleaned).cloned()
    }

    /// The prompts as they are shown, in the order of the file.
    pub(crate) fn prompts(&self) -> &[String] {
        &self.prompts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_found_by_their_cleaned_wording_and_bounds_are_checked() {
        let json = br#"[{"prompt": "Left  Lung", "concept": "lung", "tokens": 4, "offset": 0},
            {"prompt": "heart", "concept": "heart", "snomed": "80891009", "tokens": 3, "offset": 4}]"#;
        let vocabulary = Vocabulary::parse(json, 7).unwrap();
        assert_eq!(vocabulary.rows(&clean(" left LUNG ")), Some(0..4));
        assert_eq!(vocabulary.rows(&clean("heart")), Some(4..7));
        assert_eq!(vocabulary.rows(&clean("hearts")), None);
        assert_eq!(vocabulary.prompts(), ["Left  Lung", "heart"]);
        assert_eq!(Vocabulary::parse(json, 6).unwrap_err().code(), "VOCABULARY");
        let huge = br#"[{"prompt": "x", "tokens": 2, "offset": 18446744073709551615}]"#;
        assert!(Vocabulary::parse(huge, 7).is_err());
    }
}
