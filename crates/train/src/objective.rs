//! What is minimised (reference 5.1): every term of every decoder layer, one to one and one to many, with its factor and
//! normalisation.
//!
//! The answer to a batch and its rows go in, the sum and the terms' values come out.

mod pairs;

use burn::tensor::Tensor;
use medsam3_model::{Grounding, Sam3};
use serde::Serialize;

use crate::config::LossWeights;
use crate::error::TrainError;
use crate::losses::{classification_loss, mask_losses, presence_loss};
use crate::matching::match_row;
use crate::one_to_many::match_many;
use crate::sample::Row;
use pairs::{instance_pair, match_all, matched_boxes, semantic_pair};

/// Focal α of the semantic mask and of instance masks.
const SEMANTIC_ALPHA: f32 = 0.6;
const INSTANCE_ALPHA: f32 = 0.25;

/// Values of the loss terms before their factors.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Terms {
    /// The weighted sum that is minimised.
    pub total: f32,
    /// Semantic focal.
    pub semantic_focal: f32,
    /// Semantic dice.
    pub semantic_dice: f32,
    /// Presence, summed over decoder layers.
    pub presence: f32,
    /// Classification, summed over decoder layers.
    pub classification: f32,
    /// Box L1, summed over decoder layers.
    pub box_l1: f32,
    /// Box GIoU, summed over decoder layers.
    pub box_giou: f32,
    /// Instance mask focal.
    pub mask_focal: f32,
    /// Instance mask dice.
    pub mask_dice: f32,
    /// Classification of the queries matched one to many, summed over decoder layers.
    pub many_classification: f32,
    /// Box L1 of those, summed over decoder layers.
    pub many_box_l1: f32,
    /// Box GIoU of those, summed over decoder layers.
    pub many_box_giou: f32,
}

impl Terms {
    /// The mean over workers.
    pub fn mean(all: &[Self]) -> Self {
        let share = 1.0 / all.len().max(1) as f32;
        let mean = |get: fn(&Self) -> f32| all.iter().map(get).sum::<f32>() * share;
        Self {
            total: mean(|t| t.total),
            semantic_focal: mean(|t| t.semantic_focal),
            semantic_dice: mean(|t| t.semantic_dice),
            presence: mean(|t| t.presence),
            classification: mean(|t| t.classification),
            box_l1: mean(|t| t.box_l1),
            box_giou: mean(|t| t.box_giou),
            mask_focal: mean(|t| t.mask_focal),
            mask_dice: mean(|t| t.mask_dice),
            many_classification: mean(|t| t.many_classification),
            many_box_l1: mean(|t| t.many_box_l1),
            many_box_giou: mean(|t| t.many_box_giou),
        }
    }
}

/// Adds up the loss of an answer.
///
/// # Errors
/// Outputs that are not finite.
pub fn loss(
    model: &Sam3,
    answer: &Grounding,
    rows: &[Row],
    weights: &LossWeights,
) -> Result<(Tensor<1>, Terms), TrainError> {
    let device = answer.semantic.device();
    let present: Vec<bool> = rows.iter().map(|row| row.target.present).collect();
    let mut terms = Terms::default();
    let mut total = Tensor::<1>::zeros([1], &device);
    let mut add = |term: Tensor<1>, weight: f32, value: &mut f32| {
        *value += scalar(&term);
        total = total.clone() + term * weight;
    };

    if present.contains(&true) {
        let (logits, targets, count) = semantic_pair(answer, rows);
        let losses = mask_losses(logits, targets, SEMANTIC_ALPHA);
        add(
            losses.focal / count,
            weights.semantic_focal,
            &mut terms.semantic_focal,
        );
        add(
            losses.dice / count,
            weights.semantic_dice,
            &mut terms.semantic_dice,
        );
    }
    let with_queries = weights.classification > 0.0;
    // The reference divides by the objects of the batch, matched or not.
    let objects: usize = rows.iter().map(|row| row.target.boxes.len()).sum();
    let count = objects.max(1) as f32;
    for layer in &answer.layers {
        add(
            presence_loss(layer.presence.clone(), &present),
            weights.presence,
            &mut terms.presence,
        );
        if !with_queries {
            continue;
        }
        let matches = match_all(layer, rows, match_row)?;
        let class = classification_loss(layer.logits.clone(), &matches, &present);
        add(class, weights.classification, &mut terms.classification);
        if let Some(boxes) = matched_boxes(layer, rows, &matches) {
            add(boxes.l1 / count, weights.box_l1, &mut terms.box_l1);
            add(boxes.giou / count, weights.box_giou, &mut terms.box_giou);
        }
    }
    if let (true, Some(rule)) = (with_queries, &weights.one_to_many) {
        let many = |row, logits: &[f32], boxes: &[[f32; 4]], objects: &[[f32; 4]]| {
            Ok(match_many(row, logits, boxes, objects, rule))
        };
        let last = answer.duplicated.len().saturating_sub(1);
        for (at, layer) in answer.duplicated.iter().enumerate() {
            let matches = if at == last || rule.on_auxiliary_layers {
                match_all(layer, rows, many)?
            } else {
                match_all(layer, rows, match_row)?
            };
            let class = classification_loss(layer.logits.clone(), &matches, &present);
            let weight = |weight: f32| weight * rule.weight;
            add(
                class,
                weight(weights.classification),
                &mut terms.many_classification,
            );
            if let Some(boxes) = matched_boxes(layer, rows, &matches) {
                let (l1, giou) = (boxes.l1 / count, boxes.giou / count);
                add(l1, weight(weights.box_l1), &mut terms.many_box_l1);
                add(giou, weight(weights.box_giou), &mut terms.many_box_giou);
            }
        }
    }
    if with_queries && weights.masks_per_prompt > 0 {
        let last = answer
            .layers
            .last()
            .map(|layer| match_all(layer, rows, match_row));
        let matches = last.transpose()?.unwrap_or_default();
        if let Some((logits, targets, count)) =
            instance_pair(model, answer, rows, &matches, weights.masks_per_prompt)
        {
            let losses = mask_losses(logits, targets, INSTANCE_ALPHA);
            add(
                losses.focal / count,
                weights.mask_focal,
                &mut terms.mask_focal,
            );
            add(losses.dice / count, weights.mask_dice, &mut terms.mask_dice);
        }
    }
    if weights.scale_by_prompts {
        total = total * (rows.len() as f32).sqrt();
    }
    terms.total = scalar(&total);
    Ok((total, terms))
}

fn scalar(tensor: &Tensor<1>) -> f32 {
    tensor
        .clone()
        .detach()
        .into_data()
        .iter::<f32>()
        .next()
        .unwrap_or(f32::NAN)
}
