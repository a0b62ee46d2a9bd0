//! What is read from the corpus and how it is drawn.

use std::collections::BTreeMap;
use std::path::PathBuf;

use medsam3_corpus::Selection;
use serde::{Deserialize, Serialize};

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
    /// What a dataset's share of the drawn images goes by.
    #[serde(default)]
    pub share_by: ShareBy,
    /// Training images of all datasets together as published: what epochs are counted by in a dry run while some are missing.
    #[serde(default)]
    pub expected_images: Option<usize>,
    /// The only prompts that are asked of a dataset, by its name: canonical names or synonyms, whatever their case. A dataset
    /// that is not listed is asked all of its own.
    #[serde(default)]
    pub prompts: BTreeMap<String, Vec<String>>,
    /// Factors on a dataset's share.
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

impl DataConfig {
    /// What is read of the corpus.
    pub fn selection(&self) -> Selection<'_> {
        Selection {
            root: &self.root,
            tiers: &self.tiers,
            datasets: &self.datasets,
            prompts: &self.prompts,
        }
    }
}

/// What a dataset's share of the drawn images is proportional to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShareBy {
    /// The square root of its size: small datasets are seen more often than their size asks for.
    #[default]
    SquareRoot,
    /// Its size: every image is as likely as any other.
    Images,
}

fn one() -> usize {
    1
}
