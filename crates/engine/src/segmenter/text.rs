//! Reading prompts: from the vocabulary pack where the prompt is in it, else with the text encoder, which is loaded when
//! the first such prompt comes and, where memory is short, dropped when all prompts of a request are read.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use async_lock::{Mutex, MutexGuard};
use medsam3_model::TextFeatures;
use medsam3_model::burn::tensor::{Bool, Tensor, TensorData};
use medsam3_model::text_encoder_ve::VETextEncoder;

use super::{Segmenter, count};
use crate::clean::{clean, is_empty_prompt};
use crate::load::Folder;
use crate::readback::settle;
use crate::{Control, EngineError, Stage, Tokenizer};

/// Texts kept; a user's session has fewer, an endless batch starts over.
const TEXTS_KEPT: usize = 1024;

/// What is known of a prompt.
#[derive(Clone)]
pub(super) struct Text {
    pub(super) features: TextFeatures,
    pub(super) truncated: bool,
}

/// All that reading a prompt needs. One prompt is read at a time.
pub(super) struct TextReader {
    tokenizer: Tokenizer,
    /// The encoder is small enough to stay.
    keep: bool,
    /// The encoder's files are in the folder.
    present: bool,
    loaded: AtomicBool,
    state: Mutex<State>,
}

/// What changes as prompts are read.
struct State {
    folder: Folder,
    encoder: Option<VETextEncoder>,
    known: HashMap<String, Text>,
}

impl TextReader {
    pub(super) fn new(folder: Folder, tokenizer: Tokenizer, keep: bool) -> Self {
        Self {
            tokenizer,
            keep,
            present: folder.has_text_encoder(),
            loaded: AtomicBool::new(false),
            state: Mutex::new(State {
                folder,
                encoder: None,
                known: HashMap::new(),
            }),
        }
    }
}

impl Segmenter {
    /// Reads several prompts at once, so that a text encoder which is dropped after use is loaded once for all of them.
    ///
    /// # Errors
    /// [`EngineError::PromptEmpty`], [`EngineError::TextEncoderAbsent`], [`EngineError::Cancelled`], or the device's.
    pub async fn read_prompts(
        &self,
        prompts: &[String],
        control: &Control,
    ) -> Result<(), EngineError> {
        let mut state = self.texts.state.lock().await;
        for prompt in prompts {
            self.features_of(&mut state, prompt, control).await?;
        }
        self.drop_text_encoder_if_large(&mut state);
        Ok(())
    }

    /// Whether the text encoder is on the device.
    pub fn text_encoder_is_loaded(&self) -> bool {
        self.texts.loaded.load(Ordering::Relaxed)
    }

    /// Whether a prompt outside the vocabulary can be read.
    pub fn has_text_encoder(&self) -> bool {
        self.texts.present
    }

    pub(super) async fn read_text(
        &self,
        text: &str,
        control: &Control,
    ) -> Result<Text, EngineError> {
        let mut state = self.texts.state.lock().await;
        let text = self.features_of(&mut state, text, control).await?;
        self.drop_text_encoder_if_large(&mut state);
        Ok(text)
    }

    async fn features_of(
        &self,
        state: &mut MutexGuard<'_, State>,
        text: &str,
        control: &Control,
    ) -> Result<Text, EngineError> {
        let key = clean(text);
        if is_empty_prompt(text) {
            return Err(EngineError::PromptEmpty);
        }
        if let Some(known) = state.known.get(&key) {
            return Ok(known.clone());
        }
        let text = match self.vocabulary.rows(&key) {
            Some(rows) => self.look_up(&mut state.folder, rows)?,
            None => self.encode_text(state, text, control).await?,
        };
        if state.known.len() >= TEXTS_KEPT {
            state.known.clear();
        }
        state.known.insert(key, text.clone());
        Ok(text)
    }

    /// Features of a prompt of the pack, padded to the context as the encoder's are: one shape for all prompts.
    fn look_up(
        &self,
        folder: &mut Folder,
        rows: std::ops::Range<usize>,
    ) -> Result<Text, EngineError> {
        let (context, width) = (self.config.text.context, self.config.transformer.width);
        let tokens = rows.len();
        let mut values = folder.vocabulary_rows(rows)?;
        if tokens > context || values.len() != tokens * width {
            return Err(EngineError::Vocabulary {
                reason: format!("it has {tokens} tokens of {} values", values.len()),
            });
        }
        values.resize(context * width, 0.0);
        let tensor = Tensor::from_data(TensorData::new(values, [1, context, width]), &self.device);
        let valid = (0..context).map(|token| token < tokens).collect();
        Ok(Text {
            features: TextFeatures {
                tokens: tensor,
                valid: self.valid(valid),
            },
            truncated: false,
        })
    }

    async fn encode_text(
        &self,
        state: &mut State,
        text: &str,
        control: &Control,
    ) -> Result<Text, EngineError> {
        let tokens = self.texts.tokenizer.encode(text)?;
        let State {
            folder, encoder, ..
        } = state;
        let encoder = match encoder {
            Some(encoder) => encoder,
            None => {
                // Takes no memory until it is loaded.
                let width = self.config.transformer.width;
                let empty = VETextEncoder::new(&self.config.text, width, &self.device);
                let loaded = folder.load_text_encoder(empty, &self.device, control);
                let loaded = encoder.insert(loaded.await?);
                self.texts.loaded.store(true, Ordering::Relaxed);
                loaded
            }
        };
        control.step(Stage::EncodingPrompt, 0, 1).await?;
        let rows = folder.token_rows(&tokens.ids)?;
        let shape = [1, tokens.ids.len(), self.config.text.width];
        let rows = Tensor::<3>::from_data(TensorData::new(rows, shape), &self.device);
        let features = TextFeatures {
            tokens: encoder.forward_embedded(rows),
            valid: self.valid(tokens.valid),
        };
        settle(&features.tokens.clone().unsqueeze()).await?;
        count(&self.work.texts_encoded);
        control.step(Stage::EncodingPrompt, 1, 1).await?;
        Ok(Text {
            features,
            truncated: tokens.truncated,
        })
    }

    fn valid(&self, valid: Vec<bool>) -> Tensor<2, Bool> {
        let shape = [1, valid.len()];
        Tensor::from_data(TensorData::new(valid, shape), &self.device)
    }

    fn drop_text_encoder_if_large(&self, state: &mut State) {
        if self.texts.keep || state.encoder.is_none() {
            return;
        }
        state.encoder = None;
        self.texts.loaded.store(false, Ordering::Relaxed);
        self.device.memory_cleanup();
    }
}
