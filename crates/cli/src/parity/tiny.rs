//! The tiny golden: a Hugging Face `Sam3Model` with Meta's semantics (mode `text_cls`), every module's output.
//!
//! Their prompt holds one masked dummy box behind the class token, and their padded text positions attend differently;
//! both are masked everywhere downstream. So rows of padding are not compared.

use super::golden::{Golden, GoldenTensor};
use super::{Report, Row, channels_first, compare, iou};
use anyhow::{Context as _, Result};
use medsam3_model::burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use medsam3_model::trace::{Recorded, record};
use medsam3_model::{Sam3Config, parameters, synthetic};
use medsam3_weights::huggingface;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::Instant;

const MODE: &str = "text_cls/";

pub fn run(golden: &Golden, config: &Sam3Config, device: &Device) -> Result<Report> {
    let model = parameters::load(config.init(device), &mut |info| {
        Ok::<_, Infallible>(weights(info))
    })?;
    let side = config.image_side;
    let image = TensorData::new(
        golden.require("in.pixel_values")?.values.clone(),
        [1, 3, side, side],
    );
    let context = config.text.context;
    let ids: Vec<i32> = golden
        .require("in.input_ids")?
        .values
        .iter()
        .map(|id| *id as i32)
        .collect();
    let valid: Vec<bool> = golden
        .require("in.attention_mask")?
        .values
        .iter()
        .map(|v| *v != 0.0)
        .collect();
    let words = valid.iter().filter(|valid| **valid).count();
    let image = Tensor::<4>::from_data(image, device);
    let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [1, context]), device);
    let valid = Tensor::<2, Bool>::from_data(TensorData::new(valid, [1, context]), device);

    let start = Instant::now();
    let ((grounding, masks), recorded) = record(
        |_| true,
        || {
            let features = model.encode_image(image);
            let text = model.encode_text(ids, valid);
            let grounding = model.ground(&features, &text);
            let masks = model.masks(&grounding.pixels, grounding.hs.clone());
            (grounding, masks)
        },
    );
    let seconds = start.elapsed().as_secs_f64();

    let mut seen = BTreeSet::new();
    let mut rows = intermediate(golden, &recorded, words, &mut seen)?;
    let values = |tensor: TensorData| tensor.iter::<f32>().collect::<Vec<_>>();
    let masks = values(masks.into_data());
    let [b, q, _] = grounding.boxes.dims();
    let boxes = values(grounding.boxes.into_data());
    let corners: Vec<f32> = boxes
        .as_chunks::<4>()
        .0
        .iter()
        .flat_map(|[cx, cy, w, h]| [cx - w / 2.0, cy - h / 2.0, cx + w / 2.0, cy + h / 2.0])
        .collect();
    anyhow::ensure!(corners.len() == b * q * 4, "boxes have another size");
    let outputs = [
        ("out.pred_masks", masks.clone()),
        ("out.pred_boxes", corners),
        ("out.pred_logits", values(grounding.logits.into_data())),
        (
            "out.presence_logits",
            values(grounding.presence.into_data()),
        ),
        ("out.semantic_seg", values(grounding.semantic.into_data())),
    ];
    for (name, ours) in outputs {
        let name = format!("{MODE}{name}");
        if let Some(tensor) = golden.get(&name) {
            rows.push(compare(&name, &tensor.values, &ours)?);
            seen.insert(name);
        }
    }
    let mask_iou = golden
        .get("text_cls/out.pred_masks")
        .map(|tensor| iou(&tensor.values, &masks));
    let left_out = golden
        .names(MODE)
        .filter(|name| !seen.contains(*name))
        .map(|name| (name.clone(), reason(name)))
        .collect();
    Ok(Report {
        kind: "tiny",
        rows,
        left_out,
        mask_iou,
        bf16_ulps: None,
        seconds,
        peak_memory_bytes: None,
    })
}

/// Synthetic values keyed by the Hugging Face names, in the canonical layout.
fn weights(info: &parameters::ParameterInfo) -> Vec<f32> {
    let names = huggingface::names(&info.name);
    let mut shape = info.shape.clone();
    if info.name.ends_with("trunk.pos_embed") {
        // Their tensor lacks the row of the class token, which is never used.
        let width = shape[2];
        shape[1] -= 1;
        let mut values = vec![0.0; width];
        values.extend(synthetic::weights(&names[0], &shape));
        return values;
    }
    shape[0] /= names.len();
    names
        .iter()
        .flat_map(|name| synthetic::weights(name, &shape))
        .collect()
}

/// Compares everything that was recorded and that the golden knows.
fn intermediate(
    golden: &Golden,
    recorded: &[Recorded],
    words: usize,
    seen: &mut BTreeSet<String>,
) -> Result<Vec<Row>> {
    let mut by_name: BTreeMap<String, Vec<GoldenTensor>> = BTreeMap::new();
    for tensor in recorded {
        for (name, values, shape) in reference_names(tensor) {
            by_name
                .entry(name)
                .or_default()
                .push(GoldenTensor { shape, values });
        }
    }
    let mut rows = Vec::new();
    for (name, calls) in by_name {
        let key = format!("{MODE}{name}");
        let repeats = (0..)
            .take_while(|i| golden.contains(&format!("{key}#{i}")))
            .count();
        if let Some(tensor) = golden.get(&key) {
            // One call there for all layers, one call here for each.
            let ours: Vec<f32> = calls
                .iter()
                .flat_map(|call| valid_rows_of(call, words))
                .collect();
            rows.push(
                compare(&key, &valid_rows_of(tensor, words), &ours)
                    .context("a tensor of another size")?,
            );
            seen.insert(key);
        } else if repeats > 0 {
            // The output norm runs twice per layer there.
            let step = if repeats == 2 * calls.len() { 2 } else { 1 };
            for (i, call) in calls.iter().enumerate() {
                for repeat in i * step..(i + 1) * step {
                    let key = format!("{key}#{repeat}");
                    let tensor = golden.require(&key)?;
                    rows.push(compare(
                        &key,
                        &valid_rows_of(tensor, words),
                        &valid_rows_of(call, words),
                    )?);
                    seen.insert(key);
                }
            }
        }
    }
    Ok(rows)
}

/// The golden's names of a recorded tensor, each with its values in the golden's layout.
fn reference_names(tensor: &Recorded) -> Vec<(String, Vec<f32>, Vec<usize>)> {
    let path = format!("detector.{}", tensor.path);
    if let Some((module, third)) = path.rsplit_once('.')
        && let Some(index) = ["q", "k", "v"].iter().position(|name| *name == third)
    {
        let names = huggingface::names(&format!("{module}.in_proj_weight"));
        let name = names[index].trim_end_matches(".weight").to_owned();
        return vec![(name, tensor.values.clone(), tensor.shape.clone())];
    }
    let names = huggingface::names(&path);
    if let [q, k, v] = names.as_slice() {
        let width = tensor.shape.last().copied().unwrap_or(3) / 3;
        let third = |i: usize| {
            tensor
                .values
                .chunks(3 * width)
                .flat_map(|row| row[i * width..(i + 1) * width].to_vec())
                .collect()
        };
        return [(q, 0), (k, 1), (v, 2)]
            .map(|(name, i)| (name.clone(), third(i), tensor.shape.clone()))
            .into();
    }
    let name = names[0].clone();
    let map = name.contains(".neck.")
        || name.contains("pixel_decoder")
        || name.ends_with("_projection") && name.contains("mask_decoder")
        || name.ends_with("patch_embeddings.projection");
    if map && tensor.shape.len() == 4 {
        let [b, h, w, c] = [
            tensor.shape[0],
            tensor.shape[1],
            tensor.shape[2],
            tensor.shape[3],
        ];
        return vec![(
            name,
            channels_first(&tensor.values, &tensor.shape),
            vec![b, c, h, w],
        )];
    }
    vec![(name, tensor.values.clone(), tensor.shape.clone())]
}

fn valid_rows_of(tensor: &GoldenTensor, words: usize) -> Vec<f32> {
    valid_rows(&tensor.values, &tensor.shape, words)
}

/// Drops padding: of text (16 rows) all behind the words, of prompts (17 rows here, 18 there) all but words and class
/// token, of geometry tokens (1 here, 2 there) all but the class token.
fn valid_rows(values: &[f32], shape: &[usize], words: usize) -> Vec<f32> {
    let [1, rows, width] = *shape else {
        return values.to_vec();
    };
    let row = |i: usize| values[i * width..(i + 1) * width].iter().copied();
    match rows {
        16 => (0..words).flat_map(row).collect(),
        17 | 18 => (0..words).chain([16]).flat_map(row).collect(),
        2 => row(0).collect(),
        _ => values.to_vec(),
    }
}

/// Why a recorded tensor is not compared.
fn reason(name: &str) -> &'static str {
    const REASONS: [(&str, &str); 14] = [
        ("dropout", "the identity at inference"),
        ("activation", "inside a compared module"),
        ("rotary_emb", "tables; their effect is compared"),
        ("position_e", "tables; their effect is compared"),
        ("pos_embed", "tables; their effect is compared"),
        ("fpn_layers.3", "a level that the reference drops"),
        ("[3]", "a level that the reference drops"),
        (
            "boxes_",
            "the dummy box that stands for Meta's text-only path",
        ),
        (
            "label_embed",
            "the dummy box that stands for Meta's text-only path",
        ),
        (
            "vision_layer_norm",
            "the dummy box that stands for Meta's text-only path",
        ),
        ("in.", "an input"),
        ("mask", "a mask of padding or a copy of a compared output"),
        ("text_encoder.text_projection", "not used by SAM 3"),
        ("pooler_output", "not used by SAM 3"),
    ];
    REASONS
        .iter()
        .find(|(part, _)| name.contains(part))
        .map_or("a copy of a compared tensor", |(_, reason)| reason)
}
