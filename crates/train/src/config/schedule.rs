//! Optimiser, learning rates and how long they last.

use serde::{Deserialize, Serialize};

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
    /// Optimiser steps in total; 0 where `epochs` says how many.
    #[serde(default)]
    pub steps: usize,
    /// In place of `steps`: how often as many images are drawn as the corpus has for training.
    #[serde(default)]
    pub epochs: Option<usize>,
    /// Peak learning rate.
    pub learning_rate: f32,
    /// Steps of linear warm-up.
    pub warmup_steps: usize,
    /// Rate at which residual branches of the last block of the trunk are dropped; it falls linearly to 0 in the first.
    #[serde(default)]
    pub drop_path: f32,
    /// Rate at which values of the fusion encoder and the decoder are dropped: of what their attentions and feed-forward
    /// networks add, and within the latter.
    #[serde(default)]
    pub dropout: f32,
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
    /// Whether the rate is the same from the first step to the last, as the released configuration has it for the fusion
    /// encoder.
    #[serde(default)]
    pub constant: bool,
}

fn default_timescale() -> usize {
    20
}

fn default_betas() -> [f32; 2] {
    [0.9, 0.999]
}

impl ScheduleConfig {
    /// Turns `epochs` into steps of `images_per_step` images: the last step of an epoch is whole, whatever is left for it.
    pub fn settle(&mut self, images: usize, images_per_step: usize) {
        if let Some(epochs) = self.epochs {
            self.steps = epochs * images.div_ceil(images_per_step.max(1));
        }
    }
}
