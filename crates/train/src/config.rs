//! The training configuration, one TOML file (see `configs/default.toml`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use medsam3_model::Sam3Config;
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
pub use loss::{LossWeights, OneToMany};

mod layers;
mod loss;

/// Everything a training run needs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Where the run writes.
    pub run: RunConfig,
    /// The model, in full.
    pub model: Sam3Config,
    /// What it is trained on.
    pub data: DataConfig,
    /// How the images are varied.
    #[serde(default)]
    pub augment: AugmentConfig,
    /// The weight of every loss term.
    #[serde(default)]
    pub loss: LossWeights,
    /// Optimiser and its schedule.
    pub schedule: ScheduleConfig,
    /// What an exported model folder is called and says of itself.
    #[serde(default)]
    pub export: ExportConfig,
    /// The file that it was read from.
    #[serde(skip)]
    pub file: PathBuf,
}

/// The model folder that a run becomes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExportConfig {
    /// Name in the manifest; by default that of the run folder.
    pub name: Option<String>,
    /// How it was trained beyond what the configuration says, in words, for the model card.
    pub recipe: String,
}

/// Where a run writes, and how often.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Folder for checkpoints and metrics; created if missing.
    pub folder: PathBuf,
    /// Model folder, or run folder (its newest averaged weights), that the run starts from (fine-tuning, paper section 3);
    /// random values where absent.
    #[serde(default)]
    pub start_from: Option<PathBuf>,
    /// Every random number follows from it.
    pub seed: u64,
    /// Threads that each train a share of the batch on their own copy of the model.
    pub workers: usize,
    /// Where the workers compute, in turn: `cpu`, `gpu`, `gpu:0`, `gpu:1`.
    #[serde(default = "cpu")]
    pub devices: Vec<String>,
    /// Whether operations limited by memory are computed again in the backward pass instead of being kept.
    #[serde(default)]
    pub gradient_checkpointing: bool,
    /// What is computed in.
    #[serde(default)]
    pub precision: Precision,
    /// Optimiser steps between checkpoints.
    pub checkpoint_every: usize,
    /// Optimiser steps between validations.
    pub validate_every: usize,
    /// Validation images per dataset.
    pub validate_images: usize,
}

/// Number format of a run. Only `f32` can be trained in: Burn 0.22 has no automatic casting, and the others are named so that a
/// file that asks for them is refused in words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision throughout.
    #[default]
    F32,
    /// Half precision.
    F16,
    /// The reference's choice, by PyTorch's autocast.
    Bf16,
}

fn cpu() -> Vec<String> {
    vec!["cpu".to_owned()]
}

/// What is read from the corpus and how it is drawn.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// The corpus folder.
    pub root: PathBuf,
    /// `tokenizer.json` of the model's vocabulary.
    pub tokenizer: PathBuf,
    /// Licence tiers that are read whole.
    pub tiers: Vec<String>,
    /// Further datasets by name.
    #[serde(default)]
    pub datasets: Vec<String>,
    /// Side in pixels at which pictures are kept in memory.
    pub raster_side: usize,
    /// Images per optimiser step, over all workers.
    pub images_per_step: usize,
    /// Batches of `images_per_step` whose gradients are added up for one optimiser step.
    #[serde(default = "one")]
    pub accumulate: usize,
    /// Prompts per image; they share the image's encoding.
    pub prompts_per_image: usize,
    /// Share of prompts that are absent from their image.
    pub negative_share: f32,
    /// Of those, the share that is taken from the prompts of the image's own dataset, where one of them is absent: the
    /// slice beside the organ is what a user meets, and drawn evenly it would be lost among the foreign prompts.
    #[serde(default)]
    pub own_negative_share: f32,
    /// Share of prompts that are worded canonically; the rest are synonyms.
    pub canonical_share: f32,
    /// Factors on the square root of a dataset's size.
    #[serde(default)]
    pub weights: BTreeMap<String, f32>,
    /// Factors on the chance of a prompt within its image, by canonical name.
    #[serde(default)]
    pub prompt_weights: BTreeMap<String, f32>,
    /// Parts of the body a dataset may show. A prompt is foreign to a dataset, and so a true negative there, only where
    /// both datasets are listed and share no part.
    #[serde(default)]
    pub regions: BTreeMap<String, Vec<String>>,
    /// Datasets that may be mirrored left to right.
    #[serde(default)]
    pub mirror: Vec<String>,
    /// Datasets without up or left: any mirroring and quarter turn.
    #[serde(default)]
    pub any_orientation: Vec<String>,
    /// Datasets in which every label index is an object of its own.
    #[serde(default)]
    pub objects_by_label: Vec<String>,
    /// Datasets in which every connected component is an object of its own.
    #[serde(default)]
    pub objects_by_component: Vec<String>,
}

fn one() -> usize {
    1
}

/// Ranges of the random changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentConfig {
    /// Share of images that are shown whole.
    pub whole: f32,
    /// Smallest and largest side of a crop, as a share of the picture.
    pub scale: [f32; 2],
    /// Largest absolute logarithm of the change of aspect.
    pub aspect: f32,
    /// Largest rotation in degrees.
    pub rotate_degrees: f32,
    /// Share of crops laid around a pixel of a prompt.
    pub focus: f32,
    /// Largest offset of the grey level, where white is 1.
    pub brightness: f32,
    /// Largest relative change of contrast.
    pub contrast: f32,
    /// Largest absolute logarithm of gamma.
    pub gamma: f32,
}

impl Default for AugmentConfig {
    fn default() -> Self {
        Self {
            whole: 0.3,
            scale: [0.55, 1.1],
            aspect: 0.2,
            rotate_degrees: 12.0,
            focus: 0.5,
            brightness: 0.12,
            contrast: 0.25,
            gamma: 0.3,
        }
    }
}

/// Shape of the learning rate after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decay {
    /// Half a cosine down to `final_share`.
    Cosine,
    /// The reference's inverse square root with a linear cool-down.
    InverseSqrt,
}

/// Optimiser and learning rate.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleConfig {
    /// Optimiser steps in total.
    pub steps: usize,
    /// Peak learning rate.
    pub learning_rate: f32,
    /// Steps of linear warm-up.
    pub warmup_steps: usize,
    /// Rate at which residual branches of the last block of the trunk are dropped; it falls linearly to 0 in the first.
    #[serde(default)]
    pub drop_path: f32,
    /// Shape after the warm-up.
    pub decay: Decay,
    /// Share of the peak that a cosine ends at.
    #[serde(default)]
    pub final_share: f32,
    /// Time scale in steps of the inverse square root.
    #[serde(default = "default_timescale")]
    pub timescale: usize,
    /// Steps of linear cool-down of the inverse square root.
    #[serde(default)]
    pub cooldown_steps: usize,
    /// AdamW decay of matrices; biases, norms and other vectors are not decayed.
    pub weight_decay: f32,
    /// Decay rates of the two moments.
    #[serde(default = "default_betas")]
    pub betas: [f32; 2],
    /// Largest L2 norm of the whole gradient.
    pub clip_norm: f32,
    /// Decay rate of the averaged weights, which are the ones that are exported; 0 keeps no average.
    pub ema: f32,
    /// Parts of the model with learning rates of their own; a parameter belongs to the first group that has it.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// Low-rank adapters; where there are any, all that no group takes is frozen.
    #[serde(default)]
    pub lora: Option<LoraConfig>,
}

/// Low-rank adapters beside frozen linear weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoraConfig {
    /// Rank of every adapter.
    pub rank: usize,
    /// The adapters' product is added `alpha / rank` times.
    pub alpha: f32,
    /// Peak learning rate of the adapters.
    pub learning_rate: f32,
    /// Beginnings of the names of the weights that get one; by default any.
    #[serde(default)]
    pub prefixes: Vec<String>,
    /// Endings of those names, e.g. `attn.qkv.weight`; by default every linear weight.
    #[serde(default)]
    pub targets: Vec<String>,
}

/// Parameters that share a learning rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// What it is called in messages.
    pub name: String,
    /// Beginnings of canonical parameter names, e.g. `detector.backbone.vision_backbone.trunk.`.
    pub prefixes: Vec<String>,
    /// Peak learning rate; 0 freezes. By default that of the schedule.
    #[serde(default)]
    pub learning_rate: Option<f32>,
    /// Factor from each block of the trunk to the one before it (paper, equation 1: 0.85).
    #[serde(default)]
    pub layer_decay: Option<f32>,
}

fn default_timescale() -> usize {
    20
}

fn default_betas() -> [f32; 2] {
    [0.9, 0.999]
}

impl TrainConfig {
    /// Reads and checks a configuration; relative paths in it are relative to the working directory.
    ///
    /// A file that says `extends = "other.toml"`, relative to itself, has everything of the other file that it does not
    /// set itself; lists are replaced, not joined.
    ///
    /// # Errors
    /// Unreadable or invalid TOML, unknown fields, values that no training can run with.
    pub fn read(path: &Path) -> Result<Self, TrainError> {
        Self::read_with(path, &[])
    }

    /// As [`TrainConfig::read`], with single values put over those of the file, each as a line of TOML: `run.seed = 2`.
    ///
    /// # Errors
    /// As there.
    pub fn read_with(path: &Path, over: &[String]) -> Result<Self, TrainError> {
        let table = layers::read(path, over)?;
        let mut config: Self = table
            .try_into()
            .map_err(|source| TrainError::Toml { source })?;
        config.check()?;
        config.file = path.to_owned();
        Ok(config)
    }

    fn check(&self) -> Result<(), TrainError> {
        let bad = |reason: &str| {
            Err(TrainError::Config {
                reason: reason.to_owned(),
            })
        };
        if let Err(error) = self.model.validate() {
            return Err(TrainError::Config {
                reason: error.to_string(),
            });
        }
        if self.run.workers == 0 || !self.data.images_per_step.is_multiple_of(self.run.workers) {
            return bad("data.images_per_step must be a positive multiple of run.workers");
        }
        if self.data.accumulate == 0 || self.data.accumulate * self.run.workers > 256 {
            return bad("data.accumulate times run.workers must be within 1 and 256");
        }
        if self.data.images_per_step == 0 || self.data.prompts_per_image == 0 {
            return bad("data.images_per_step and data.prompts_per_image must be positive");
        }
        if self.schedule.steps == 0
            || self.run.checkpoint_every == 0
            || self.run.validate_every == 0
        {
            return bad(
                "schedule.steps, run.checkpoint_every and run.validate_every must be positive",
            );
        }
        let devices = self.run.devices.len();
        if devices == 0 || !self.run.workers.is_multiple_of(devices) {
            return bad("run.workers must be a multiple of the number of run.devices");
        }
        if self.run.precision != Precision::F32 {
            return bad(
                "run.precision can only be f32: Burn 0.22 has no mixed precision to differentiate in",
            );
        }
        if !(0.0..1.0).contains(&self.schedule.drop_path) {
            return bad("schedule.drop_path must be at least 0 and less than 1");
        }
        let [low, high] = self.augment.scale;
        if !(low > 0.0 && low <= high) {
            return bad("augment.scale must be an increasing pair of positive numbers");
        }
        Ok(())
    }
}
