//! Prompts to token ids (reference 1.4): CLIP's byte-pair encoding, cut to the context with the end token kept, padded with 0.

use std::collections::HashMap;
use std::path::Path;

use tokenizers::Tokenizer;

use crate::error::TrainError;
use crate::step::Tokens;

/// Encodes prompts, each string once.
pub struct PromptEncoder {
    tokenizer: Tokenizer,
    context: usize,
    known: HashMap<String, Vec<i32>>,
}

impl PromptEncoder {
    /// Reads `tokenizer.json`.
    ///
    /// # Errors
    /// A file that is missing or not a tokenizer.
    pub fn read(path: &Path, context: usize) -> Result<Self, TrainError> {
        let tokenizer = Tokenizer::from_file(path).map_err(|error| TrainError::Other {
            context: "reading data.tokenizer",
            reason: error.to_string(),
        })?;
        Ok(Self {
            tokenizer,
            context,
            known: HashMap::new(),
        })
    }

    /// Ids of one prompt without padding, at most `context` of them.
    ///
    /// # Errors
    /// A string that the tokenizer refuses.
    pub fn ids(&mut self, text: &str) -> Result<&[i32], TrainError> {
        if !self.known.contains_key(text) {
            let clean = text
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .to_lowercase();
            let encoding =
                self.tokenizer
                    .encode(clean, true)
                    .map_err(|error| TrainError::Other {
                        context: "encoding a prompt",
                        reason: error.to_string(),
                    })?;
            let mut ids: Vec<i32> = encoding.get_ids().iter().map(|&id| id as i32).collect();
            if ids.len() > self.context {
                let end = ids.last().copied().unwrap_or(0);
                ids.truncate(self.context);
                if let Some(last) = ids.last_mut() {
                    *last = end;
                }
            }
            self.known.insert(text.to_owned(), ids);
        }
        Ok(&self.known[text])
    }

    /// Ids and validity of a batch's prompts.
    ///
    /// # Errors
    /// See [`PromptEncoder::ids`].
    pub fn batch<'a>(
        &mut self,
        texts: impl IntoIterator<Item = &'a str>,
    ) -> Result<Tokens, TrainError> {
        let texts = texts
            .into_iter()
            .map(|text| self.ids(text).map(<[i32]>::to_vec))
            .collect::<Result<Vec<_>, _>>()?;
        // Padding behind the longest prompt is seen by nothing.
        let context = texts.iter().map(Vec::len).max().unwrap_or(0);
        let mut tokens = Tokens {
            ids: Vec::new(),
            valid: Vec::new(),
            context,
        };
        for ids in &texts {
            tokens.ids.extend(
                ids.iter()
                    .copied()
                    .chain(std::iter::repeat(0))
                    .take(context),
            );
            tokens.valid.extend((0..context).map(|at| at < ids.len()));
        }
        Ok(tokens)
    }
}
