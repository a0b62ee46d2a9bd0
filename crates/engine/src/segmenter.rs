//! The segmenter: a model on a device, the image that is open, and the texts it has read. Trunk and neck run once per
//! image, the text encoder once per string, the rest once per prompt (reference 1.10).
//!
//! `image` opens images and keeps their embeddings, `text` reads prompts, here they are answered.

use std::collections::HashMap;

use medsam3_imaging::{Mask, mask_from_logits};
use medsam3_model::burn::tensor::{Device, Int, Tensor};
use medsam3_model::{Grounding, ImageFeatures, Sam3, Sam3Config};
use medsam3_weights::{Manifest, MaskRule, Precision, Source};
use serde::Serialize;
use web_time::Instant;

use crate::clean::clean;
use crate::embeddings::{Embeddings, View};
use crate::load::{Folder, Hold, LoadOptions, Loaded};
use crate::readback::values;
use crate::selection::{Kept, Thresholds, corners_px, keep, sigmoid};
use crate::vocabulary::Vocabulary;
use crate::{Control, EngineError, Stage, Tokenizer};

mod image;
mod text;

use text::Text;

/// Masks read back at a time: at the full model's grid of 288 x 288 this many take 5 MB of host memory.
const MASKS_AT_A_TIME: usize = 16;

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
    /// Tokens that the model reads of a prompt.
    pub context_tokens: usize,
    /// Whether the model knows the words, see [`Segmenter::knows`].
    pub words_known: bool,
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
    /// Runs of the trunk, those ahead of need among them.
    pub images_encoded: u64,
    /// Embeddings that were still there when their slice was opened again.
    pub images_recalled: u64,
    /// Runs of the text encoder.
    pub texts_encoded: u64,
    /// Runs of everything behind them.
    pub prompts_answered: u64,
}

struct OpenImage {
    /// What it is a view of, where the caller said so.
    view: Option<View>,
    width: usize,
    height: usize,
    features: ImageFeatures,
    seconds: f64,
}

/// A model ready to answer prompts about the image that is open.
pub struct Segmenter {
    model: Sam3,
    config: Sam3Config,
    folder: Folder,
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
    device: Device,
    control: Control,
    /// Embeddings are kept as f16.
    half: bool,
    image: Option<OpenImage>,
    embeddings: Embeddings,
    texts: HashMap<String, Text>,
    text_encoder: text::Encoder,
    work: Work,
}

impl Segmenter {
    /// Loads a model folder onto a device; its text encoder stays in the folder until a prompt needs it.
    ///
    /// # Errors
    /// [`EngineError::Weights`], [`EngineError::Config`], [`EngineError::Tokenizer`], [`EngineError::Vocabulary`],
    /// [`EngineError::Cancelled`], or the device's.
    pub async fn load(
        source: impl Source + 'static,
        device: Device,
        options: LoadOptions,
        control: Control,
    ) -> Result<Self, EngineError> {
        let mut folder = Folder::open(Box::new(source), options.hold)?;
        let Loaded {
            model,
            config,
            tokenizer,
            vocabulary,
        } = folder.load(&device, &options, &control).await?;
        let text_bytes = folder.text_encoder_bytes(&model.backbone.language_backbone);
        let keep = text_bytes <= options.text_encoder_bytes;
        Ok(Self {
            model,
            config,
            folder,
            tokenizer,
            vocabulary,
            device,
            control,
            half: options.hold == Hold::Stored { half: true },
            image: None,
            embeddings: Embeddings::new(options.embedding_bytes),
            texts: HashMap::new(),
            text_encoder: text::Encoder::new(keep),
            work: Work::default(),
        })
    }

    /// The model's manifest.
    pub fn manifest(&self) -> &Manifest {
        self.folder.manifest()
    }

    /// What the model's matrices became on the device.
    pub fn held_as(&self) -> Precision {
        self.folder.held_as()
    }

    /// The prompts of the vocabulary pack, which need no text encoder.
    pub fn vocabulary(&self) -> &[String] {
        self.vocabulary.prompts()
    }

    /// Whether the model knows a prompt's words: it was trained on them by its manifest, they are in its vocabulary pack, or the
    /// manifest says nothing of what it was trained on.
    pub fn knows(&self, prompt: &str) -> bool {
        let (manifest, cleaned) = (self.manifest(), clean(prompt));
        manifest.prompts.is_empty()
            || manifest.prompt(&cleaned).is_some()
            || self.vocabulary.rows(&cleaned).is_some()
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
        } = self.read_text(text).await?;
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
        let suggested = Thresholds::of(self.manifest(), &clean(text));
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
            context_tokens: self.config.text.context,
            words_known: self.knows(text),
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
