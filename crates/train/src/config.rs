//! The training configuration, one TOML file (see `configs/default.toml`).

use std::path::{Path, PathBuf};

use medsam3_model::Sam3Config;
use serde::{Deserialize, Serialize};

use crate::devices;
use crate::error::TrainError;
pub use augment::{AugmentConfig, SquareResize};
pub use data::{DataConfig, ShareBy};
pub use loss::{LossWeights, OneToMany};
pub use schedule::{Decay, Group, LoraConfig, ScheduleConfig};

mod augment;
mod data;
mod layers;
mod loss;
mod schedule;

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
    /// Whether only the inputs of the trunk's blocks and of the fusion encoder's layers are kept, and these computed again in
    /// the backward pass.
    #[serde(default)]
    pub recompute_blocks: bool,
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

    /// Images of one optimiser step, over all workers and accumulated batches.
    pub fn images_per_step(&self) -> usize {
        self.data.images_per_step * self.data.accumulate
    }

    /// Turns epochs over `images` training images into steps.
    pub fn settle(&mut self, images: usize) {
        let per_step = self.images_per_step();
        self.schedule.settle(images, per_step);
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
        if (self.schedule.steps > 0) == self.schedule.epochs.is_some_and(|epochs| epochs > 0) {
            return bad("one of schedule.steps and schedule.epochs must be positive, the other 0");
        }
        if self.run.checkpoint_every == 0 || self.run.validate_every == 0 {
            return bad("run.checkpoint_every and run.validate_every must be positive");
        }
        let listed = |name: &&String| self.data.datasets.contains(name);
        if self.data.tiers.is_empty()
            && let Some(name) = self.data.prompts.keys().find(|name| !listed(name))
        {
            return bad(&format!(
                "data.prompts has {name}, which is none of data.datasets"
            ));
        }
        for name in &self.run.devices {
            devices::check(name)?;
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
        let rates = [self.schedule.drop_path, self.schedule.dropout];
        if !rates.iter().all(|rate| (0.0..1.0).contains(rate)) {
            return bad(
                "schedule.drop_path and schedule.dropout must be at least 0 and less than 1",
            );
        }
        if self
            .augment
            .square_resize
            .is_some_and(|resize| !resize.is_possible())
        {
            return bad(
                "augment.square_resize needs smallest and step above 0, and smallest at most `of`",
            );
        }
        let [low, high] = self.augment.scale;
        if !(low > 0.0 && low <= high) {
            return bad("augment.scale must be an increasing pair of positive numbers");
        }
        Ok(())
    }
}
