//! One step's batch, drawn as a training draws it: from the first training image of every dataset that is here, or from a
//! picture that is made up where none is.

use std::collections::BTreeMap;

use medsam3_model::synthetic;
use serde::Serialize;

use crate::config::TrainConfig;
use crate::error::TrainError;
use crate::sample::{Batch, Sampler};
use crate::tokens::PromptEncoder;
use medsam3_corpus::{
    Dataset, Item, Licence, Prompt, Raster, Sample, Split, first_of_each, load_samples,
};

/// What a step would be shown.
#[derive(Debug, Serialize)]
pub struct BatchReport {
    /// Images, over all workers and accumulated batches.
    pub images: usize,
    /// Pixels.
    pub side: usize,
    /// Whether no dataset is here, so that the picture is made up.
    pub made_up: bool,
    /// Smallest and largest value of the pixels.
    pub range: [f32; 2],
    /// Prompts.
    pub rows: Vec<RowReport>,
}

/// One prompt of one image.
#[derive(Debug, Serialize)]
pub struct RowReport {
    /// Image of the batch.
    pub image: usize,
    /// What is typed.
    pub prompt: String,
    /// Tokens, start and end included.
    pub tokens: usize,
    /// Objects to find; none where the prompt is absent.
    pub objects: usize,
    /// Share of the picture that belongs to it.
    pub share: f32,
}

impl BatchReport {
    /// Describes the batches of a step.
    ///
    /// # Errors
    /// A prompt that the tokenizer refuses.
    pub(super) fn new(
        batches: &[Batch],
        made_up: bool,
        encoder: &mut PromptEncoder,
        side: usize,
    ) -> Result<Self, TrainError> {
        let pixels = batches.iter().flat_map(|batch| &batch.pixels);
        let mut report = Self {
            images: 0,
            side,
            made_up,
            range: pixels.fold([f32::INFINITY, f32::NEG_INFINITY], |[low, high], &v| {
                [low.min(v), high.max(v)]
            }),
            rows: Vec::new(),
        };
        for batch in batches {
            for row in &batch.rows {
                let cells = &row.target.semantic;
                report.rows.push(RowReport {
                    image: report.images + row.image,
                    prompt: row.text.clone(),
                    tokens: encoder.ids(&row.text)?.len(),
                    objects: row.target.boxes.len(),
                    share: cells.iter().sum::<f32>() / cells.len().max(1) as f32,
                });
            }
            report.images += batch.images;
        }
        Ok(report)
    }
}

/// The batches of the first step, one per worker and accumulated batch, and whether their picture is made up.
///
/// # Errors
/// Files of the corpus that cannot be read.
pub(super) fn draw(
    config: &TrainConfig,
    found: &[Dataset],
) -> Result<(Vec<Batch>, bool), TrainError> {
    let data = &config.data;
    let mut datasets = first_of_each(found);
    let made_up = datasets.is_empty();
    let samples = if made_up {
        let (dataset, sample) = picture(config);
        datasets.push(dataset);
        vec![sample]
    } else {
        load_samples(&data.root, &datasets, Split::Train, data.raster_side)?
    };
    let sizes = [config.model.image_side, config.model.mask_grid()];
    let (data, augment) = (data.clone(), config.augment.clone());
    let sampler = Sampler::new(datasets, samples, data, augment, config.run.seed, sizes);
    let images = config.data.images_per_step / config.run.workers;
    let streams = config.run.workers * config.data.accumulate;
    let batches = (0..streams).map(|stream| sampler.draw(0, stream, images));
    Ok((batches.collect(), made_up))
}

/// Waves with a disc to find, under the name and the prompts of the configuration's first dataset.
fn picture(config: &TrainConfig) -> (Dataset, Sample) {
    let data = &config.data;
    let name = data.datasets.first().cloned().unwrap_or_default();
    let words = data.prompts.get(&name).cloned();
    let prompt = |words: String| Prompt {
        canonical: words.to_lowercase(),
        synonyms: Vec::new(),
        indices: vec![1],
    };
    let item = Item {
        id: String::new(),
        image: String::new(),
        mask: String::new(),
        instances: None,
        split: Split::Train,
        subject: None,
        labels: vec![1],
        unlabelled: Vec::new(),
        prompts: Vec::new(),
    };
    let words = words.unwrap_or_else(|| vec!["disc".to_owned()]);
    let dataset = Dataset {
        title: name.clone(),
        name,
        modality: String::new(),
        role: "train".to_owned(),
        licence: Licence {
            name: String::new(),
            tier: String::new(),
        },
        source: serde_json::Value::Null,
        labels: BTreeMap::from([(1, "disc".to_owned())]),
        prompts: words.into_iter().map(prompt).collect(),
        items: vec![item],
    };
    let side = data.raster_side.max(1);
    let radius = side / 5;
    let inside = |at: usize| {
        let (x, y) = (at % side, at / side);
        x.abs_diff(side / 3).pow(2) + y.abs_diff(side / 2).pow(2) < radius.pow(2)
    };
    let waves = synthetic::image(side, side);
    let waves = waves.iter().take(side * side);
    let raster = |values| Raster {
        side,
        channels: 1,
        values,
    };
    let sample = Sample {
        dataset: 0,
        item: 0,
        image: raster(waves.map(|v| ((v + 1.0) * 127.5) as u8).collect()),
        labels: raster((0..side * side).map(|at| u8::from(inside(at))).collect()),
        instances: None,
    };
    (dataset, sample)
}
