//! Pairs of answers and targets, picked out of a batch for the losses, and the matching of queries with objects.

use burn::tensor::{Device, Int, Tensor, TensorData};
use medsam3_model::{Grounding, LayerGrounding, Sam3};

use crate::error::TrainError;
use crate::losses::{BoxLosses, Match, box_losses};
use crate::sample::Row;

/// Semantic logits and targets of the rows that have something to find, `[present, cells]`, and their number.
pub(super) fn semantic_pair(answer: &Grounding, rows: &[Row]) -> (Tensor<2>, Tensor<2>, f32) {
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
pub(super) fn instance_pair(
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

/// Losses of the boxes of matched queries, `None` without a match.
pub(super) fn matched_boxes(
    layer: &LayerGrounding,
    rows: &[Row],
    matches: &[Match],
) -> Option<BoxLosses> {
    if matches.is_empty() {
        return None;
    }
    let device = layer.boxes.device();
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
    Some(box_losses(predicted, wanted))
}

/// Applies a matcher (row, logits, boxes, objects) to every row.
pub(super) fn match_all(
    layer: &LayerGrounding,
    rows: &[Row],
    matcher: impl Fn(usize, &[f32], &[[f32; 4]], &[[f32; 4]]) -> Result<Vec<Match>, TrainError>,
) -> Result<Vec<Match>, TrainError> {
    let [_, queries] = layer.logits.dims();
    let host = |values: TensorData| values.iter::<f32>().collect::<Vec<f32>>();
    let logits = host(layer.logits.clone().detach().into_data());
    let boxes = host(layer.boxes.clone().detach().into_data());
    let boxes = boxes.as_chunks::<4>().0;
    let mut matches = Vec::new();
    for (row, asked) in rows.iter().enumerate() {
        let range = row * queries..(row + 1) * queries;
        let objects = &asked.target.boxes;
        matches.extend(matcher(
            row,
            &logits[range.clone()],
            &boxes[range],
            objects,
        )?);
    }
    Ok(matches)
}

fn indices(at: &[i32], device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(at, device)
}
