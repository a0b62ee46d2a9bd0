//! Prompts to token ids: CLIP's byte-pair encoding from a model folder's `tokenizer.json` (reference 1.4).
//! Text in, ids `[context]` out: start, tokens, end, then padding with 0.

use crate::EngineError;
use crate::clean::clean;

const START: &str = "<start_of_text>";
const END: &str = "<end_of_text>";
const PAD: i32 = 0;

/// A prompt as the text encoder takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// `[context]`: start, tokens, end, padding.
    pub ids: Vec<i32>,
    /// `[context]`, false at padding.
    pub valid: Vec<bool>,
    /// The prompt was longer than the context and lost its end.
    pub truncated: bool,
}

/// CLIP's tokenizer for a fixed context.
#[derive(Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    context: usize,
    start: u32,
    end: u32,
}

impl Tokenizer {
    /// Reads `tokenizer.json`.
    ///
    /// # Errors
    /// [`EngineError::Tokenizer`] when it is not a tokenizer, lacks the start or end token, has ids the model's
    /// `vocabulary` lacks, or when `context` has no room for a token.
    pub fn from_json(json: &[u8], vocabulary: usize, context: usize) -> Result<Self, EngineError> {
        let wrong = |reason: String| EngineError::Tokenizer { reason };
        let inner = tokenizers::Tokenizer::from_bytes(json).map_err(|e| wrong(e.to_string()))?;
        let special = |token: &str| {
            let id = inner.token_to_id(token);
            id.ok_or_else(|| wrong(format!("it has no token {token}")))
        };
        let (start, end) = (special(START)?, special(END)?);
        let largest = inner.get_vocab(true).into_values().max().unwrap_or(0);
        if largest as usize >= vocabulary {
            return Err(wrong(format!(
                "it has the id {largest}, the model {vocabulary} entries"
            )));
        }
        if context < 3 {
            return Err(wrong(format!("a context of {context} holds no token")));
        }
        Ok(Self {
            inner,
            context,
            start,
            end,
        })
    }

    /// Cleans and encodes a prompt.
    ///
    /// # Errors
    /// [`EngineError::PromptEmpty`] when nothing is left after cleaning.
    pub fn encode(&self, prompt: &str) -> Result<Tokens, EngineError> {
        let cleaned = clean(prompt);
        if cleaned.is_empty() {
            return Err(EngineError::PromptEmpty);
        }
        let all = self.ids(&cleaned)?;
        let truncated = all.len() > self.context;
        let mut ids: Vec<i32> = all.into_iter().take(self.context).collect();
        if let (true, Some(last)) = (truncated, ids.last_mut()) {
            *last = self.end as i32;
        }
        let mut valid = vec![true; ids.len()];
        ids.resize(self.context, PAD);
        valid.resize(self.context, false);
        Ok(Tokens {
            ids,
            valid,
            truncated,
        })
    }

    /// Start, tokens, end, however many there are.
    fn ids(&self, cleaned: &str) -> Result<Vec<i32>, EngineError> {
        let encoding = self.inner.encode_fast(cleaned, false);
        let encoding = encoding.map_err(|e| EngineError::Tokenizer {
            reason: e.to_string(),
        })?;
        let ends = |id: u32| std::iter::once(id);
        let ids = ends(self.start)
            .chain(encoding.get_ids().iter().copied())
            .chain(ends(self.end));
        Ok(ids.map(|id| id as i32).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `tests/tokenizer/make_expected.py` with the reference's tokenizer.
    const EXPECTED: &str = include_str!("../../../tests/tokenizer/expected.json");
    const JSON: &[u8] = include_bytes!("../../../weights/default/tokenizer.json");

    #[derive(serde::Deserialize)]
    struct Case {
        text: String,
        cleaned: String,
        ids: Vec<i32>,
    }

    fn tokenizer(context: usize) -> Tokenizer {
        Tokenizer::from_json(JSON, 49408, context).unwrap()
    }

    #[test]
    fn cleaning_and_ids_are_those_of_the_reference() {
        let cases: Vec<Case> = serde_json::from_str(EXPECTED).unwrap();
        assert!(cases.len() > 200);
        let tokenizer = tokenizer(32);
        let mut wrong = Vec::new();
        for Case { text, cleaned, ids } in cases {
            let found = (clean(&text), tokenizer.ids(&clean(&text)).unwrap());
            if found != (cleaned.clone(), ids.clone()) {
                wrong.push(format!("{text:?}: {found:?}, not {:?}", (cleaned, ids)));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn short_prompts_are_padded_and_long_ones_keep_their_end() {
        let short = tokenizer(8).encode("Skin Lesion").unwrap();
        assert_eq!(short.ids, [49406, 3575, 534, 1015, 49407, 0, 0, 0]);
        assert_eq!(
            short.valid,
            [true, true, true, true, true, false, false, false]
        );
        assert!(!short.truncated);
        let exact = tokenizer(5).encode("Skin Lesion").unwrap();
        assert_eq!(exact.ids, [49406, 3575, 534, 1015, 49407]);
        assert!(!exact.truncated);
        let long = tokenizer(4).encode("Skin Lesion").unwrap();
        assert_eq!(long.ids, [49406, 3575, 534, 49407]);
        assert_eq!(long.valid, [true; 4]);
        assert!(long.truncated);
    }

    #[test]
    fn an_empty_prompt_is_refused() {
        for prompt in ["", "  \t", "\u{7}", "&nbsp;"] {
            let error = tokenizer(32).encode(prompt).unwrap_err();
            assert_eq!(error.code(), "PROMPT-EMPTY", "{prompt:?}");
        }
    }

    #[test]
    fn a_tokenizer_that_does_not_fit_is_refused() {
        let code = |json: &[u8], vocabulary, context| {
            Tokenizer::from_json(json, vocabulary, context)
                .unwrap_err()
                .code()
        };
        assert_eq!(code(b"{}", 49408, 32), "TOKENIZER");
        assert_eq!(code(JSON, 49407, 32), "TOKENIZER");
        assert_eq!(code(JSON, 49408, 2), "TOKENIZER");
    }
}
