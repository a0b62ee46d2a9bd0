//! Asks a model every prompt of a split, the way the page does: the same resize, the same grey levels, the mask at the
//! image's own size. Out: answers that `medsam3-eval` chooses thresholds from and makes tables of.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use burn::tensor::{Device, Tensor, TensorData};
use medsam3_eval::{Answer, Key, MASK_THRESHOLDS, overlap};
use medsam3_imaging::{Mask, mask_from_logits, normalise, resize_square};
use medsam3_model::Sam3;
use rayon::prelude::*;

use crate::error::TrainError;
use crate::tokens::PromptEncoder;
use medsam3_corpus::{Dataset, Item, Labelling, Split};

/// Stands for the dataset of answers to prompts that are clearly foreign to the image.
pub const FOREIGN: &str = "(foreign)";
/// Foreign prompts asked of every image.
const FOREIGN_PROMPTS: usize = 3;

/// A model with all that is needed to ask it.
pub struct Judge<'a> {
    /// The model, on a device without autodiff.
    pub model: &'a Sam3,
    /// Image side in pixels and mask grid in cells.
    pub sizes: [usize; 2],
    /// The tokenizer.
    pub prompts: &'a Mutex<PromptEncoder>,
    /// The corpus folder.
    pub root: &'a Path,
}

impl Judge<'_> {
    /// Answers to every labelled prompt of every item of `split`, and to a few of the `foreign` ones of its dataset.
    ///
    /// # Errors
    /// The first file that cannot be read.
    pub fn answers(
        &self,
        datasets: &[Dataset],
        foreign: &[Vec<String>],
        split: Split,
    ) -> Result<Vec<Answer>, TrainError> {
        let jobs: Vec<(usize, &Item)> = datasets
            .iter()
            .enumerate()
            .flat_map(|(at, set)| set.items.iter().map(move |item| (at, item)))
            .filter(|(_, item)| item.split == split)
            .collect();
        let answers: Vec<Vec<Answer>> = jobs
            .into_par_iter()
            .enumerate()
            .map(|(number, (at, item))| self.item(&datasets[at], item, &foreign[at], number))
            .collect::<Result<_, _>>()?;
        Ok(answers.into_iter().flatten().collect())
    }

    fn item(
        &self,
        set: &Dataset,
        item: &Item,
        foreign: &[String],
        number: usize,
    ) -> Result<Vec<Answer>, TrainError> {
        let folder = self.root.join(&set.name);
        let image = open_image(&folder.join(&item.image))?;
        let labels = open_labels(&folder.join(&item.mask))?;
        let (width, height) = (image.width, image.height);
        let mut asked: Vec<(&str, &str, Mask)> = set
            .prompts
            .iter()
            .filter(|prompt| item.labelling(prompt) != Labelling::Unknown)
            .map(|prompt| {
                let bits = labels
                    .iter()
                    .map(|label| u8::from(prompt.indices.contains(label)))
                    .collect();
                (
                    set.name.as_str(),
                    prompt.canonical.as_str(),
                    Mask {
                        width,
                        height,
                        bits,
                    },
                )
            })
            .collect();
        for step in 0..FOREIGN_PROMPTS.min(foreign.len()) {
            let name = &foreign[(number * FOREIGN_PROMPTS + step) % foreign.len()];
            asked.push((FOREIGN, name, Mask::empty(width, height)));
        }
        if asked.is_empty() {
            return Ok(Vec::new());
        }

        let [side, grid] = self.sizes;
        let device = Device::flex();
        let pixels = normalise(&resize_square(&image, side));
        let image = Tensor::<4>::from_data(TensorData::new(pixels, [1, 3, side, side]), &device);
        let features = self.model.encode_image(image).select(&vec![0; asked.len()]);
        let texts = asked.iter().map(|&(_, text, _)| text);
        let tokens = self
            .prompts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .batch(texts)?;
        let (ids, valid) = tokens.tensors(&device);
        let answer = self
            .model
            .ground(&features, &self.model.encode_text(ids, valid));
        let presence: Vec<f32> = answer.presence.into_data().iter::<f32>().collect();
        let semantic: Vec<f32> = answer.semantic.into_data().iter::<f32>().collect();
        Ok(asked
            .into_iter()
            .zip(semantic.chunks(grid * grid))
            .zip(presence)
            .map(|(((dataset, prompt, truth), logits), presence)| {
                let overlaps = MASK_THRESHOLDS.map(|threshold| {
                    let found = mask_from_logits(logits, grid, grid, width, height, threshold);
                    overlap(&found, &truth).unwrap_or_default()
                });
                Answer {
                    key: Key {
                        dataset: dataset.to_owned(),
                        prompt: prompt.to_owned(),
                    },
                    presence: 1.0 / (1.0 + (-presence).exp()),
                    present: truth.bits.contains(&1),
                    overlaps,
                }
            })
            .collect())
    }
}

fn open_image(path: &Path) -> Result<medsam3_imaging::Rgb8, TrainError> {
    let bytes = std::fs::read(path).map_err(|source| TrainError::Read {
        path: path.to_owned(),
        source,
    })?;
    medsam3_imaging::open(&bytes)
        .and_then(|picture| picture.render(0, None))
        .map_err(|error| TrainError::Other {
            context: "opening an image",
            reason: error.to_string(),
        })
}

fn open_labels(path: &Path) -> Result<Vec<u8>, TrainError> {
    let map = image::open(path).map_err(|source| TrainError::Decode {
        path: path.to_owned(),
        source,
    })?;
    match map {
        image::DynamicImage::ImageLuma8(map) => Ok(map.into_raw()),
        _ => Err(TrainError::MaskKind {
            path: path.to_owned(),
        }),
    }
}
