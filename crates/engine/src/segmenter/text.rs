//! Reading prompts: from the vocabulary pack where the prompt is in it, else with the text encoder, which is loaded when
//! the first such prompt comes and, where memory is short, dropped when all prompts of a request are read.

use medsam3_model::TextFeatures;
use medsam3_model::burn::tensor::{Bool, Tensor, TensorData};
use medsam3_model::text_encoder_ve::VETextEncoder;

use super::Segmenter;
use crate::clean::{clean, is_empty_prompt};
use crate::readback::settle;
use crate::{EngineError, Stage};

/// Texts kept; a user's session has fewer, an endless batch starts over.
const TEXTS_KEPT: usize = 256;

/// What is known of a prompt.
#[derive(Clone)]
pub(super) struct Text {
    pub(super) features: TextFeatures,
    pub(super) truncated: bool,
}

/// The text encoder's whereabouts.
pub(super) struct Encoder {
    on_device: bool,
    /// Small enough to stay.
    keep: bool,
}

impl Encoder {
    pub(super) fn new(keep: bool) -> Self {
        Self {
            on_device: false,
            keep,
        }
    }
}

impl Segmenter {
    /// Reads several prompts at once, so that a text encoder which is dropped after use is loaded once for all of them.
    ///
    /// # Errors
    /// [`EngineError::PromptEmpty`], [`EngineError::TextEncoderAbsent`], [`EngineError::Cancelled`], or the device's.
    pub async fn read_prompts(&mut self, prompts: &[String]) -> Result<(), EngineError> {
        for prompt in prompts {
            self.features_of(prompt).await?;
        }
        self.drop_text_encoder_if_large();
        Ok(())
    }

    /// Whether the text encoder is on the device.
    pub fn text_encoder_is_loaded(&self) -> bool {
        self.text_encoder.on_device
    }

    /// Whether a prompt outside the vocabulary can be read.
    pub fn has_text_encoder(&self) -> bool {
        self.text_encoder.on_device || self.folder.has_text_encoder()
    }

    pub(super) async fn read_text(&mut self, text: &str) -> Result<Text, EngineError> {
        let text = self.features_of(text).await?;
        self.drop_text_encoder_if_large();
        Ok(text)
    }

    async fn features_of(&mut self, text: &str) -> Result<Text, EngineError> {
        let key = clean(text);
        if is_empty_prompt(text) {
            return Err(EngineError::PromptEmpty);
        }
        if let Some(known) = self.texts.get(&key) {
            return Ok(known.clone());
        }
        let text = match self.vocabulary.rows(&key) {
            Some(rows) => self.look_up(rows)?,
            None => self.encode_text(text).await?,
        };
        if self.texts.len() >= TEXTS_KEPT {
            self.texts.clear();
        }
        self.texts.insert(key, text.clone());
        Ok(text)
    }

    /// Features of a prompt of the pack, padded to the context as the encoder's are: one shape for all prompts.
    fn look_up(&mut self, rows: std::ops::Range<usize>) -> Result<Text, EngineError> {
        let (context, width) = (self.config.text.context, self.config.transformer.width);
        let tokens = rows.len();
        let mut values = self.folder.vocabulary_rows(rows)?;
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

    async fn encode_text(&mut self, text: &str) -> Result<Text, EngineError> {
        let tokens = self.tokenizer.encode(text)?;
        self.ensure_text_encoder().await?;
        self.control.step(Stage::EncodingPrompt, 0, 1).await?;
        let rows = self.folder.token_rows(&tokens.ids)?;
        let shape = [1, tokens.ids.len(), self.config.text.width];
        let rows = Tensor::<3>::from_data(TensorData::new(rows, shape), &self.device);
        let valid = self.valid(tokens.valid);
        let features = self.model.encode_text_rows(rows, valid);
        settle(&features.tokens.clone().unsqueeze()).await?;
        self.work.texts_encoded += 1;
        self.control.step(Stage::EncodingPrompt, 1, 1).await?;
        Ok(Text {
            features,
            truncated: tokens.truncated,
        })
    }

    fn valid(&self, valid: Vec<bool>) -> Tensor<2, Bool> {
        let shape = [1, valid.len()];
        Tensor::from_data(TensorData::new(valid, shape), &self.device)
    }

    /// Loads the text encoder unless it is there.
    async fn ensure_text_encoder(&mut self) -> Result<(), EngineError> {
        if self.text_encoder.on_device {
            return Ok(());
        }
        let encoder = self.unloaded_text_encoder();
        let loaded = self
            .folder
            .load_text_encoder(encoder, &self.device, &self.control)
            .await?;
        self.model.backbone.language_backbone = loaded;
        self.text_encoder.on_device = true;
        Ok(())
    }

    fn drop_text_encoder_if_large(&mut self) {
        if self.text_encoder.keep || !self.text_encoder.on_device {
            return;
        }
        self.model.backbone.language_backbone = self.unloaded_text_encoder();
        self.text_encoder.on_device = false;
        self.device.memory_cleanup();
    }

    /// Takes no memory until it is loaded.
    fn unloaded_text_encoder(&self) -> VETextEncoder {
        let width = self.config.transformer.width;
        VETextEncoder::new(&self.config.text, width, &self.device)
    }
}
