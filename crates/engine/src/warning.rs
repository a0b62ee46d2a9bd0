//! What a user must know beside a result that is no error: the same words in the page and on the command line.

use crate::PromptResult;

/// Something to be said beside a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warning {
    /// The model was not trained on these words. Its presence score says nothing there: it was never shown what such
    /// words are not.
    UnknownWords,
    /// The prompt is longer than the model reads.
    Truncated {
        /// Tokens that it reads, start and end included.
        tokens: usize,
    },
}

impl Warning {
    /// A stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::UnknownWords => "PROMPT-UNKNOWN",
            Self::Truncated { .. } => "PROMPT-CUT",
        }
    }

    /// What is the matter.
    #[must_use]
    pub fn message(self) -> String {
        match self {
            Self::UnknownWords => "This model was not trained on these words: the mask may show something else, whatever its score.".to_owned(),
            Self::Truncated { tokens } => format!(
                "The prompt was cut: the model reads {tokens} tokens, about as many words."
            ),
        }
    }

    /// What to do.
    #[must_use]
    pub fn next_step(self) -> &'static str {
        match self {
            Self::UnknownWords => {
                "Choose one of the prompts that the model was trained on, or use a larger model."
            }
            Self::Truncated { .. } => "Use a shorter prompt, such as the name of one structure.",
        }
    }
}

impl PromptResult {
    /// What to say beside this result.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        // Without a mask nothing can be taken for something else.
        let unknown = !self.words_known && self.mask.area_px() > 0;
        let cut = self.truncated.then_some(Warning::Truncated {
            tokens: self.context_tokens,
        });
        unknown
            .then_some(Warning::UnknownWords)
            .into_iter()
            .chain(cut)
            .collect()
    }
}
