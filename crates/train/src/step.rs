//! One worker's share of a step: forward, loss terms, backward (reference 5.1, one-to-one part).
//!
//! A batch of images and rows goes in, gradients in the order of the slots and the terms' values come out.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use medsam3_model::{Grounding, Sam3};
use serde::Serialize;

use crate::config::LossWeights;
use crate::error::TrainError;
use crate::losses::{Match, box_losses, classification_loss, mask_losses, presence_loss};
use crate::matching::match_row;
use crate::parameters;
use crate::sample::{Batch, Row};

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
        }
    }
}

/// Token ids and their validity, one row per prompt.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// `[rows, context]`
    pub ids: Vec<i32>,
    /// `[rows, context]`
    pub valid: Vec<bool>,
    /// Tokens per row.
    pub context: usize,
}

impl Tokens {
    /// Ids and validity as the model takes them, `[rows, context]`.
    pub fn tensors(self, device: &Device) -> (Tensor<2, Int>, Tensor<2, Bool>) {
        let shape = [self.ids.len() / self.context.max(1), self.context];
        let ids = Tensor::from_data(TensorData::new(self.ids, shape), device);
        (
            ids,
            Tensor::from_data(TensorData::new(self.valid, shape), device),
        )
    }
}

/// Runs the model on a batch: one row of the answer per row of the batch.
pub fn forward(
    model: &Sam3,
    batch: &Batch,
    tokens: Tokens,
    side: usize,
    device: &Device,
) -> Grounding {
    let images = Tensor::<4>::from_data(
        TensorData::new(batch.pixels.clone(), [batch.images, 3, side, side]),
        device,
    );
    let (ids, valid) = tokens.tensors(device);
    let of_image: Vec<usize> = batch.rows.iter().map(|row| row.image).collect();
    let features = model.encode_image(images).select(&of_image);
    model.ground(&features, &model.encode_text(ids, valid))
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
    for layer in &answer.layers {
        add(
            presence_loss(layer.presence.clone(), &present),
            weights.presence,
            &mut terms.presence,
        );
        if !with_queries {
            continue;
        }
        let matches = match_all(&layer.logits, &layer.boxes, rows)?;
        let class = classification_loss(layer.logits.clone(), &matches, &present);
        add(class, weights.classification, &mut terms.classification);
        if matches.is_empty() {
            continue;
        }
        let count = matches.len() as f32;
        let [_, queries, _] = layer.boxes.dims();
        let at: Vec<i32> = matches
            .iter()
            .map(|m| (m.row * queries + m.query) as i32)
            .collect();
        let predicted = layer
            .boxes
            .clone()
            .reshape([rows.len() * queries, 4])
            .select(0, indices(&at, &device));
        let wanted: Vec<f32> = matches
            .iter()
            .flat_map(|m| rows[m.row].target.boxes[m.object])
            .collect();
        let wanted = Tensor::<2>::from_data(TensorData::new(wanted, [matches.len(), 4]), &device);
        let boxes = box_losses(predicted, wanted);
        add(boxes.l1 / count, weights.box_l1, &mut terms.box_l1);
        add(boxes.giou / count, weights.box_giou, &mut terms.box_giou);
    }
    if with_queries && weights.masks_per_prompt > 0 {
        let matches = match_all(&answer.logits, &answer.boxes, rows)?;
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
    terms.total = scalar(&total);
    Ok((total, terms))
}

/// Forward, loss and backward: gradients in the order of the slots.
///
/// # Errors
/// Outputs that are not finite.
pub fn gradients(
    model: &Sam3,
    batch: &Batch,
    tokens: Tokens,
    side: usize,
    weights: &LossWeights,
    device: &Device,
) -> Result<(Vec<Vec<f32>>, Terms), TrainError> {
    let answer = forward(model, batch, tokens, side, device);
    let (total, terms) = loss(model, &answer, &batch.rows, weights)?;
    Ok((parameters::gradients(model, &total.backward()), terms))
}

/// Semantic logits and targets of the rows that have something to find, `[present, cells]`, and their number.
fn semantic_pair(answer: &Grounding, rows: &[Row]) -> (Tensor<2>, Tensor<2>, f32) {
    let device = answer.semantic.device();
    let [b, h, w] = answer.semantic.dims();
    let at: Vec<i32> = (0..rows.len())
        .filter(|&row| rows[row].target.present)
        .map(|row| row as i32)
        .collect();
    let targets: Vec<f32> = rows
        .iter()
        .filter(|row| row.target.present)
        .flat_map(|row| row.target.semantic.iter().copied())
        .collect();
    let logits = answer
        .semantic
        .clone()
        .reshape([b, h * w])
        .select(0, indices(&at, &device));
    let targets = Tensor::from_data(TensorData::new(targets, [at.len(), h * w]), &device);
    (logits, targets, at.len() as f32)
}

/// Mask logits and targets of at most `most` matched queries of every row, `[masks, cells]`, and their number.
fn instance_pair(
    model: &Sam3,
    answer: &Grounding,
    rows: &[Row],
    matches: &[Match],
    most: usize,
) -> Option<(Tensor<2>, Tensor<2>, f32)> {
    let device = answer.semantic.device();
    let [b, queries, d] = answer.hs.dims();
    let (mut picked, mut kept, mut targets) = (Vec::new(), Vec::new(), Vec::new());
    for (row, asked) in rows.iter().enumerate() {
        let of_row: Vec<&Match> = matches.iter().filter(|m| m.row == row).take(most).collect();
        for slot in 0..most {
            picked.push((row * queries + of_row.get(slot).map_or(0, |m| m.query)) as i32);
            if let Some(found) = of_row.get(slot) {
                kept.push((row * most + slot) as i32);
                targets.extend(asked.target.object_mask(found.object));
            }
        }
    }
    if kept.is_empty() {
        return None;
    }
    let hs = answer
        .hs
        .clone()
        .reshape([b * queries, d])
        .select(0, indices(&picked, &device))
        .reshape([b, most, d]);
    let masks = model.masks(&answer.pixels, hs);
    let [_, _, h, w] = masks.dims();
    let logits = masks
        .reshape([b * most, h * w])
        .select(0, indices(&kept, &device));
    let targets = Tensor::from_data(TensorData::new(targets, [kept.len(), h * w]), &device);
    Some((logits, targets, kept.len() as f32))
}

fn match_all(
    logits: &Tensor<2>,
    boxes: &Tensor<3>,
    rows: &[Row],
) -> Result<Vec<Match>, TrainError> {
    let [_, queries] = logits.dims();
    let logits: Vec<f32> = logits.clone().detach().into_data().iter::<f32>().collect();
    let boxes: Vec<f32> = boxes.clone().detach().into_data().iter::<f32>().collect();
    let boxes = boxes.as_chunks::<4>().0;
    let mut matches = Vec::new();
    for (row, asked) in rows.iter().enumerate() {
        let range = row * queries..(row + 1) * queries;
        matches.extend(match_row(
            row,
            &logits[range.clone()],
            &boxes[range],
            &asked.target.boxes,
        )?);
    }
    Ok(matches)
}

fn indices(at: &[i32], device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(at, device)
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
