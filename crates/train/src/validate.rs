//! Quick validation during training: Dice of the semantic mask, gated by presence, on the mask grid.
//!
//! It follows a run; the tables come from `medsam3-eval`, which measures through the page's own code path.

use std::collections::BTreeMap;

use burn::tensor::Device;
use medsam3_model::Sam3;
use serde::Serialize;

use crate::augment::View;
use crate::error::TrainError;
use crate::sample::{Batch, Row};
use crate::step::forward;
use crate::target::{Objects, SUBCELLS, Target};
use crate::tokens::PromptEncoder;
use medsam3_corpus::{Dataset, Labelling, Sample};

/// How one prompt of one dataset does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Score {
    /// Mean Dice over images that have the prompt; an image judged absent counts 0.
    pub dice: f32,
    /// The same, without asking the presence head.
    pub dice_ungated: f32,
    /// Images that have the prompt.
    pub images: usize,
    /// Images that do not.
    pub absent: usize,
    /// Share of the latter in which it was found nevertheless.
    pub false_positive: f32,
}

/// Scores every prompt on the first `most` of `samples` of each dataset; keys are `dataset/prompt`.
///
/// # Errors
/// A prompt that cannot be encoded.
pub fn validate(
    model: &Sam3,
    datasets: &[Dataset],
    samples: &[Sample],
    most: usize,
    prompts: &mut PromptEncoder,
    [side, grid]: [usize; 2],
    device: &Device,
) -> Result<BTreeMap<String, Score>, TrainError> {
    let mut seen = vec![0; datasets.len()];
    let mut scores: BTreeMap<String, Score> = BTreeMap::new();
    for sample in samples {
        seen[sample.dataset] += 1;
        if seen[sample.dataset] > most {
            continue;
        }
        let set = &datasets[sample.dataset];
        let item = &set.items[sample.item];
        let labels = View::WHOLE.map(&sample.labels, grid * SUBCELLS);
        let asked: Vec<_> = set
            .prompts
            .iter()
            .filter(|p| item.labelling(p) != Labelling::Unknown)
            .collect();
        let rows: Vec<Row> = asked
            .iter()
            .map(|prompt| Row {
                image: 0,
                text: prompt.canonical.clone(),
                target: Target::new(&labels, None, &prompt.indices, Objects::Union, grid),
            })
            .collect();
        if rows.is_empty() {
            continue;
        }
        let pixels = View::WHOLE
            .image(&sample.image, side)
            .into_iter()
            .map(|v| v * 2.0 - 1.0)
            .collect();
        let batch = Batch {
            pixels,
            images: 1,
            rows,
        };
        let tokens = prompts.batch(batch.rows.iter().map(|row| row.text.as_str()))?;
        let answer = forward(model, &batch, tokens, side, device);
        let presence: Vec<f32> = answer.presence.into_data().iter::<f32>().collect();
        let semantic: Vec<f32> = answer.semantic.into_data().iter::<f32>().collect();
        for ((row, logits), presence) in batch
            .rows
            .iter()
            .zip(semantic.chunks(grid * grid))
            .zip(presence)
        {
            let score = scores
                .entry(format!("{}/{}", set.name, row.text))
                .or_default();
            if row.target.present {
                let dice = dice(logits, &row.target.semantic);
                score.images += 1;
                score.dice_ungated += dice;
                score.dice += if presence > 0.0 { dice } else { 0.0 };
            } else {
                score.absent += 1;
                score.false_positive += if presence > 0.0 { 1.0 } else { 0.0 };
            }
        }
    }
    for score in scores.values_mut() {
        let (images, absent) = (score.images.max(1) as f32, score.absent.max(1) as f32);
        score.dice /= images;
        score.dice_ungated /= images;
        score.false_positive /= absent;
    }
    Ok(scores)
}

fn dice(logits: &[f32], target: &[f32]) -> f32 {
    let (mut both, mut either) = (0, 0);
    for (&logit, &share) in logits.iter().zip(target) {
        let (found, wanted) = (logit > 0.0, share >= 0.5);
        both += usize::from(found && wanted);
        either += usize::from(found) + usize::from(wanted);
    }
    if either == 0 {
        1.0
    } else {
        2.0 * both as f32 / either as f32
    }
}
