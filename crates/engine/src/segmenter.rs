//! The segmenter: a model on a device, shared by all who ask it. It holds no image: trunk and neck run once per image
//! and give a handle that the caller keeps, the text encoder runs once per string, the rest once per prompt
//! (reference 1.10).
//!
//! `image` encodes images, `text` reads prompts, here they are answered.

use std::sync::atomic::{AtomicU64, Ordering};

use medsam3_imaging::{Mask, mask_from_logits};
use medsam3_model::burn::tensor::{Device, Int, Tensor};
use medsam3_model::{Grounding, Sam3, Sam3Config};
use medsam3_weights::{Manifest, MaskRule, Precision, Source};
use serde::Serialize;
use web_time::Instant;

use crate::clean::clean;
use crate::load::{Folder, Hold, LoadOptions, Loaded};
use crate::readback::values;
use crate::selection::{Kept, Thresholds, corners_px, keep, sigmoid};
use crate::vocabulary::Vocabulary;
use crate::{Control, EncodedImage, EngineError, Stage};

mod image;
mod text;

use text::{Text, TextReader};

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
    /// Runs of the text encoder.
    pub texts_encoded: u64,
    /// Runs of everything behind them.
    pub prompts_answered: u64,
}

#[derive(Debug, Default)]
struct Counters {
    images_encoded: AtomicU64,
    texts_encoded: AtomicU64,
    prompts_answered: AtomicU64,
}

/// A model ready to answer. Nothing that can be asked of it changes it, so that it may be shared between threads.
pub struct Segmenter {
    model: Sam3,
    config: Sam3Config,
    manifest: Manifest,
    held_as: Precision,
    vocabulary: Vocabulary,
    device: Device,
    /// Embeddings are best kept as f16.
    half: bool,
    texts: TextReader,
    work: Counters,
}

impl Segmenter {
    /// Loads a model folder onto a device; its text encoder stays in the folder until a prompt needs it.
    ///
    /// # Errors
    /// [`EngineError::Weights`], [`EngineError::Config`], [`EngineError::Tokenizer`], [`EngineError::Vocabulary`],
    /// [`EngineError::Cancelled`], or the device's.
    pub async fn load(
        source: impl Source + Send + 'static,
        device: Device,
        options: LoadOptions,
        control: &Control,
    ) -> Result<Self, EngineError> {
        let mut folder = Folder::open(Box::new(source), options.hold)?;
        let Loaded {
            model,
            config,
            tokenizer,
            vocabulary,
        } = folder.load(&device, &options, control).await?;
        let (manifest, held_as) = (folder.manifest().clone(), folder.held_as());
        let encoder = &model.backbone.language_backbone;
        let keep = folder.text_encoder_bytes(encoder) <= options.text_encoder_bytes;
        Ok(Self {
            texts: TextReader::new(folder, tokenizer, keep),
            model,
            config,
            manifest,
            held_as,
            vocabulary,
            device,
            half: options.hold == Hold::Stored { half: true },
            work: Counters::default(),
        })
    }

    /// The model's manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What the model's matrices became on the device.
    pub fn held_as(&self) -> Precision {
        self.held_as
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

    /// How often the costly parts ran since loading.
    pub fn work(&self) -> Work {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Work {
            images_encoded: count(&self.work.images_encoded),
            texts_encoded: count(&self.work.texts_encoded),
            prompts_answered: count(&self.work.prompts_answered),
        }
    }

    /// Finds what `text` names in an image.
    ///
    /// # Errors
    /// [`EngineError::PromptEmpty`], [`EngineError::Cancelled`], [`EngineError::NotFinite`], or the device's.
    pub async fn prompt(
        &self,
        image: &EncodedImage,
        text: &str,
        options: PromptOptions,
        control: &Control,
    ) -> Result<PromptResult, EngineError> {
        let Answer {
            grounding,
            scores,
            truncated,
            text_seconds,
            prompt_seconds,
        } = self.answer(image, text, control).await?;
        let start = Instant::now();
        let suggested = Thresholds::of(&self.manifest, &clean(text));
        let thresholds = Thresholds {
            score: options.threshold.unwrap_or(suggested.score),
            mask: options.mask_threshold.unwrap_or(suggested.mask),
            rule: options.mask_rule.unwrap_or(suggested.rule),
        };
        let kept = keep(&scores.logits, scores.presence, thresholds.score);
        let instances = self
            .instances(image, &grounding, &scores, &kept, thresholds.mask, control)
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

    /// Presence and semantic mask for `text`, before any threshold: what thresholds are chosen from.
    ///
    /// # Errors
    /// As [`Segmenter::prompt`].
    pub async fn semantic(
        &self,
        image: &EncodedImage,
        text: &str,
        control: &Control,
    ) -> Result<Semantic, EngineError> {
        let Answer {
            grounding, scores, ..
        } = self.answer(image, text, control).await?;
        Ok(Semantic {
            presence: scores.presence,
            logits: values(grounding.semantic).await?,
            grid: self.config.mask_grid(),
            size: image.size(),
        })
    }

    /// Boxes, scores and mask logits.
    async fn answer(
        &self,
        image: &EncodedImage,
        text: &str,
        control: &Control,
    ) -> Result<Answer, EngineError> {
        let start = Instant::now();
        let Text {
            features,
            truncated,
        } = self.read_text(text, control).await?;
        let text_seconds = start.elapsed().as_secs_f64();

        let start = Instant::now();
        control.step(Stage::Grounding, 0, 1).await?;
        let grounding = self.model.ground(&image.features, &features);
        let scores = Scores::read(&grounding).await?;
        count(&self.work.prompts_answered);
        control.step(Stage::Grounding, 1, 1).await?;
        Ok(Answer {
            grounding,
            scores,
            truncated,
            text_seconds,
            prompt_seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// Masks of the queries kept, a few at a time.
    async fn instances(
        &self,
        image: &EncodedImage,
        grounding: &Grounding,
        scores: &Scores,
        kept: &[Kept],
        mask_threshold: f32,
        control: &Control,
    ) -> Result<Vec<Instance>, EngineError> {
        let mut instances = Vec::with_capacity(kept.len());
        let total = kept.len() as u64;
        let cells = self.config.mask_grid() * self.config.mask_grid();
        control.step(Stage::Masks, 0, total).await?;
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
            let done = instances.len() as u64;
            control.step(Stage::Masks, done, total).await?;
        }
        Ok(instances)
    }

    fn at_image_size(&self, image: &EncodedImage, logits: &[f32], threshold: f32) -> Mask {
        let grid = self.config.mask_grid();
        mask_from_logits(logits, grid, grid, image.width, image.height, threshold)
    }
}

/// What the model says of a prompt as a whole, before any threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct Semantic {
    /// Probability that the image shows the concept at all.
    pub presence: f32,
    /// `[grid, grid]`.
    logits: Vec<f32>,
    grid: usize,
    size: (usize, usize),
}

impl Semantic {
    /// The pixels of the image with a probability above `threshold`, whatever the presence.
    #[must_use]
    pub fn mask(&self, threshold: f32) -> Mask {
        let (width, height) = self.size;
        mask_from_logits(&self.logits, self.grid, self.grid, width, height, threshold)
    }
}

/// A prompt's outputs, those that are large still on the device.
struct Answer {
    grounding: Grounding,
    scores: Scores,
    truncated: bool,
    text_seconds: f64,
    prompt_seconds: f64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
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

fn union(instances: &[Instance], image: &EncodedImage) -> Mask {
    let mut union = Mask::empty(image.width, image.height);
    for instance in instances {
        union.union_with(&instance.mask);
    }
    union
}

#[cfg(test)]
mod tests;
