//! The segmenter: a model on a device, the image that is open, and the texts it has read. Trunk and neck run once per
//! image, the text encoder once per string, the rest once per prompt (reference 1.10).

use std::collections::HashMap;

use medsam3_imaging::{Mask, Rgb8, mask_from_logits, normalise, resize_square};
use medsam3_model::burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use medsam3_model::{Grounding, ImageFeatures, Sam3, Sam3Config, TextFeatures};
use medsam3_weights::{Manifest, MaskRule, Reader, Source};
use serde::Serialize;
use web_time::Instant;

use crate::clean::clean;
use crate::load::{LoadOptions, load_model};
use crate::readback::{settle, values};
use crate::selection::{Kept, Thresholds, corners_px, keep, sigmoid};
use crate::{Control, EngineError, Stage, Tokenizer};

/// Masks read back at a time: at the full model's grid of 288 x 288 this many take 5 MB of host memory.
const MASKS_AT_A_TIME: usize = 16;
/// Texts kept; a user's session has fewer, an endless batch starts over.
const TEXTS_KEPT: usize = 256;

/// One thing found.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// Its probability, presence included.
    pub score: f32,
    /// Left, top, right, bottom in pixels of the image opened.
    pub box_px: [f32; 4],
    /// Its mask on the pixels of the image opened.
    pub mask: Mask,
}

/// What a caller may decide for one prompt; the manifest decides the rest.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PromptOptions {
    /// See [`Thresholds::score`].
    pub threshold: Option<f32>,
    /// See [`Thresholds::mask`].
    pub mask_threshold: Option<f32>,
    /// See [`Thresholds::rule`].
    pub mask_rule: Option<MaskRule>,
}

/// Seconds by the wall clock, the device's work included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Seconds {
    /// Preparing and encoding the image; spent once, when it was opened.
    pub image: f64,
    /// Encoding the text; 0 when it was known.
    pub text: f64,
    /// Boxes, scores and mask logits.
    pub prompt: f64,
    /// Masks at the image's own size.
    pub masks: f64,
}

/// The answer to a prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptResult {
    /// The prompt as it was typed.
    pub prompt: String,
    /// A warning: the prompt was longer than the model's context and its end was not read.
    pub truncated: bool,
    /// Probability that the image shows the concept at all.
    pub presence: f32,
    /// The best score of any query, kept or not.
    pub best_score: f32,
    /// How it was decided.
    pub thresholds: Thresholds,
    /// What was kept, best first.
    pub instances: Vec<Instance>,
    /// The union of the instances or the semantic mask, as [`Thresholds::rule`] says, on the pixels of the image.
    pub mask: Mask,
    /// Where the time went.
    pub seconds: Seconds,
}

/// How often the costly parts ran.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Work {
    /// Runs of trunk and neck.
    pub images_encoded: u64,
    /// Runs of the text encoder.
    pub texts_encoded: u64,
    /// Runs of everything behind them.
    pub prompts_answered: u64,
}

struct OpenImage {
    width: usize,
    height: usize,
    features: ImageFeatures,
    seconds: f64,
}

#[derive(Clone)]
struct Text {
    features: TextFeatures,
    truncated: bool,
}

/// A model ready to answer prompts about the image that is open.
pub struct Segmenter {
    model: Sam3,
    config: Sam3Config,
    manifest: Manifest,
    tokenizer: Tokenizer,
    device: Device,
    control: Control,
    image: Option<OpenImage>,
    texts: HashMap<String, Text>,
    work: Work,
}

impl Segmenter {
    /// Loads a model folder onto a device.
    ///
    /// # Errors
    /// See [`load_model`].
    pub async fn load<S: Source>(
        source: S,
        device: Device,
        options: LoadOptions,
        control: Control,
    ) -> Result<Self, EngineError> {
        let mut reader = Reader::open(source)?;
        let (model, config, tokenizer) =
            load_model(&mut reader, &device, options, &control).await?;
        Ok(Self {
            model,
            config,
            manifest: reader.manifest().clone(),
            tokenizer,
            device,
            control,
            image: None,
            texts: HashMap::new(),
            work: Work::default(),
        })
    }

    /// The model's manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The model's configuration, with the image side in use.
    pub fn config(&self) -> &Sam3Config {
        &self.config
    }

    /// The device in use.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Progress and cancellation of this segmenter's work.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// How often the costly parts ran since loading.
    pub fn work(&self) -> Work {
        self.work
    }

    /// Width and height in pixels of the image that is open.
    pub fn image_size(&self) -> Option<(usize, usize)> {
        self.image.as_ref().map(|image| (image.width, image.height))
    }

    /// Encodes an image for the prompts to come. On an error, the image that was open stays open.
    ///
    /// # Errors
    /// [`EngineError::ImageEmpty`], [`EngineError::Cancelled`], or the device's.
    pub async fn open(&mut self, image: &Rgb8) -> Result<(), EngineError> {
        let pixels = image
            .width
            .checked_mul(image.height)
            .and_then(|n| n.checked_mul(3));
        if image.pixels.is_empty() || pixels != Some(image.pixels.len()) {
            return Err(EngineError::ImageEmpty);
        }
        let start = Instant::now();
        self.control.step(Stage::EncodingImage, 0, 3).await?;
        let side = self.config.image_side;
        let input = normalise(&resize_square(image, side));
        let input = TensorData::new(input, [1, 3, side, side]);
        let input = Tensor::<4>::from_data(input, &self.device);
        self.control.step(Stage::EncodingImage, 1, 3).await?;
        let trunk = self.model.encode_trunk(input);
        settle(&trunk).await?;
        self.control.step(Stage::EncodingImage, 2, 3).await?;
        let features = self.model.neck(&trunk);
        for map in &features.maps {
            settle(map).await?;
        }
        self.work.images_encoded += 1;
        self.control.step(Stage::EncodingImage, 3, 3).await?;
        self.image = Some(OpenImage {
            width: image.width,
            height: image.height,
            features,
            seconds: start.elapsed().as_secs_f64(),
        });
        Ok(())
    }

    /// Forgets the image that is open.
    pub fn close(&mut self) {
        self.image = None;
        self.device.memory_cleanup();
    }

    /// Finds what `text` names in the image that is open.
    ///
    /// # Errors
    /// [`EngineError::NoImage`], [`EngineError::PromptEmpty`], [`EngineError::Cancelled`],
    /// [`EngineError::NotFinite`], or the device's.
    pub async fn prompt(
        &mut self,
        text: &str,
        options: PromptOptions,
    ) -> Result<PromptResult, EngineError> {
        if self.image.is_none() {
            return Err(EngineError::NoImage);
        }
        let start = Instant::now();
        let Text {
            features: text_features,
            truncated,
        } = self.encode_text(text).await?;
        let text_seconds = start.elapsed().as_secs_f64();
        let image = self.image.as_ref().ok_or(EngineError::NoImage)?;

        let start = Instant::now();
        self.control.step(Stage::Grounding, 0, 1).await?;
        let grounding = self.model.ground(&image.features, &text_features);
        let scores = Scores::read(&grounding).await?;
        self.work.prompts_answered += 1;
        self.control.step(Stage::Grounding, 1, 1).await?;
        let prompt_seconds = start.elapsed().as_secs_f64();

        let start = Instant::now();
        let suggested = Thresholds::of(&self.manifest, text);
        let thresholds = Thresholds {
            score: options.threshold.unwrap_or(suggested.score),
            mask: options.mask_threshold.unwrap_or(suggested.mask),
            rule: options.mask_rule.unwrap_or(suggested.rule),
        };
        let kept = keep(&scores.logits, scores.presence, thresholds.score);
        let instances = self
            .instances(image, &grounding, &scores, &kept, thresholds.mask)
            .await?;
        let mask = match thresholds.rule {
            MaskRule::Union => union(&instances, image),
            MaskRule::Semantic if scores.presence > thresholds.score => {
                let logits = values(grounding.semantic).await?;
                self.at_image_size(image, &logits, thresholds.mask)
            }
            MaskRule::Semantic => Mask::empty(image.width, image.height),
        };
        let best_logit = scores
            .logits
            .iter()
            .copied()
            .fold(f32::NEG_INFINITY, f32::max);
        Ok(PromptResult {
            prompt: text.to_owned(),
            truncated,
            presence: scores.presence,
            best_score: sigmoid(best_logit) * scores.presence,
            thresholds,
            instances,
            mask,
            seconds: Seconds {
                image: image.seconds,
                text: text_seconds,
                prompt: prompt_seconds,
                masks: start.elapsed().as_secs_f64(),
            },
        })
    }

    async fn encode_text(&mut self, text: &str) -> Result<Text, EngineError> {
        let key = clean(text);
        if let Some(known) = self.texts.get(&key) {
            return Ok(known.clone());
        }
        let tokens = self.tokenizer.encode(text)?;
        self.control.step(Stage::EncodingPrompt, 0, 1).await?;
        let shape = [1, tokens.ids.len()];
        let ids = TensorData::new(tokens.ids, shape);
        let ids = Tensor::<2, Int>::from_data(ids, &self.device);
        let valid = TensorData::new(tokens.valid, shape);
        let valid = Tensor::<2, Bool>::from_data(valid, &self.device);
        let features = self.model.encode_text(ids, valid);
        settle(&features.tokens.clone().unsqueeze()).await?;
        self.work.texts_encoded += 1;
        self.control.step(Stage::EncodingPrompt, 1, 1).await?;
        let text = Text {
            features,
            truncated: tokens.truncated,
        };
        if self.texts.len() >= TEXTS_KEPT {
            self.texts.clear();
        }
        self.texts.insert(key, text.clone());
        Ok(text)
    }

    /// Masks of the queries kept, a few at a time.
    async fn instances(
        &self,
        image: &OpenImage,
        grounding: &Grounding,
        scores: &Scores,
        kept: &[Kept],
        mask_threshold: f32,
    ) -> Result<Vec<Instance>, EngineError> {
        let mut instances = Vec::with_capacity(kept.len());
        let total = kept.len() as u64;
        let cells = self.config.mask_grid() * self.config.mask_grid();
        self.control.step(Stage::Masks, 0, total).await?;
        for some in kept.chunks(MASKS_AT_A_TIME) {
            let queries: Vec<i32> = some.iter().map(|kept| kept.query as i32).collect();
            let queries = Tensor::<1, Int>::from_data(queries.as_slice(), &self.device);
            let queries = grounding.hs.clone().select(1, queries);
            let logits = values(self.model.masks(&grounding.pixels, queries)).await?;
            for (kept, logits) in some.iter().zip(logits.chunks(cells)) {
                let cxcywh = scores.boxes.get(kept.query).copied().unwrap_or_default();
                instances.push(Instance {
                    score: kept.score,
                    box_px: corners_px(cxcywh, image.width, image.height),
                    mask: self.at_image_size(image, logits, mask_threshold),
                });
            }
            self.control
                .step(Stage::Masks, instances.len() as u64, total)
                .await?;
        }
        Ok(instances)
    }

    fn at_image_size(&self, image: &OpenImage, logits: &[f32], threshold: f32) -> Mask {
        let grid = self.config.mask_grid();
        mask_from_logits(logits, grid, grid, image.width, image.height, threshold)
    }
}

/// The small outputs of a prompt, on the host.
struct Scores {
    logits: Vec<f32>,
    presence: f32,
    boxes: Vec<[f32; 4]>,
}

impl Scores {
    async fn read(grounding: &Grounding) -> Result<Self, EngineError> {
        let logits = values(grounding.logits.clone()).await?;
        let presence = values(grounding.presence.clone()).await?;
        let boxes = values(grounding.boxes.clone()).await?;
        let all = || logits.iter().chain(&presence).chain(&boxes);
        // A shader that the browser rejected leaves zeros or worse; a mask must never be made of those silently.
        if !all().all(|value| value.is_finite()) || presence.is_empty() {
            return Err(EngineError::NotFinite);
        }
        let (boxes, _) = boxes.as_chunks::<4>();
        Ok(Self {
            presence: presence.first().copied().map_or(0.0, sigmoid),
            boxes: boxes.to_vec(),
            logits,
        })
    }
}

fn union(instances: &[Instance], image: &OpenImage) -> Mask {
    let mut union = Mask::empty(image.width, image.height);
    for instance in instances {
        union.union_with(&instance.mask);
    }
    union
}

#[cfg(test)]
mod tests;
