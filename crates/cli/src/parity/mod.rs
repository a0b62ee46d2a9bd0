//! Parity with the reference implementation: the model runs on weights and an image that a generator makes anywhere
//! (`medsam3_model::synthetic`), and every tensor that the golden file recorded is compared.
//!
//! Kinds of golden are known by their tensors' names: `tiny` (the small Hugging Face model, every module), `full` (Meta's
//! full-size model, the outputs and a sample of the larger tensors), `tiny-video` (the tracker of a small Hugging Face video
//! model), `full-tracker` (Meta's full-size tracker).

mod full;
mod full_tracker;
mod golden;
mod tiny;
mod video;

use anyhow::{Context as _, Result};
use golden::Golden;
use medsam3_model::Sam3Config;
use medsam3_model::burn::tensor::Device;
use serde::Serialize;
use std::path::Path;

/// How one tensor compares.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Name in the golden file.
    pub name: String,
    /// Values compared.
    pub values: usize,
    /// Largest absolute difference.
    pub max_abs: f64,
    /// Largest absolute difference over the golden's largest magnitude.
    pub max_rel: f64,
    /// Root mean square of the difference over that of the golden.
    pub rms_rel: f64,
}

/// All comparisons of a golden file.
#[derive(Debug, Serialize)]
pub struct Report {
    /// `tiny`, `full`, `tiny-video` or `full-tracker`.
    pub kind: &'static str,
    /// Recorded tensors that are compared.
    pub rows: Vec<Row>,
    /// Recorded tensors that have no counterpart here, with the reason.
    pub left_out: Vec<(String, &'static str)>,
    /// Share of mask cells (logit > 0) in both over those in either, where the golden has masks.
    pub mask_iou: Option<f64>,
    /// Largest difference of values that both sides round to bf16, in units of their last place; where there are any.
    pub bf16_ulps: Option<u32>,
    /// Seconds of the forward pass.
    pub seconds: f64,
    /// Most host memory that the process has held, in bytes, where the system tells.
    pub peak_memory_bytes: Option<u64>,
}

impl Report {
    /// The largest rms relative difference of all rows.
    pub fn worst_rms_rel(&self) -> f64 {
        self.rows.iter().map(|row| row.rms_rel).fold(0.0, f64::max)
    }
}

/// Runs the golden's model on `device`. `config` overrides the one that the golden's kind implies.
pub fn run(golden: &Path, config: Option<Sam3Config>, device: &Device) -> Result<Report> {
    let golden = Golden::read(golden).context("reading the golden file")?;
    let mut report = if golden.contains("in.pixel_values") {
        tiny::run(
            &golden,
            &config.unwrap_or_else(Sam3Config::tiny_parity),
            device,
        )
    } else if golden.contains("f0/trunk") {
        anyhow::ensure!(config.is_none(), "a recording of the tracker has one model");
        video::run(&golden, device)
    } else if golden.contains("d/mem7/spatial_frames") {
        anyhow::ensure!(config.is_none(), "a recording of the tracker has one model");
        full_tracker::run(&golden, device)
    } else {
        full::run(&golden, &config.unwrap_or_else(Sam3Config::sam3), device)
    }?;
    report.peak_memory_bytes = crate::memory::peak_bytes();
    Ok(report)
}

/// Compares values with the golden's.
fn compare(name: &str, golden: &[f32], ours: &[f32]) -> Result<Row> {
    anyhow::ensure!(
        golden.len() == ours.len(),
        "{name}: {} values here, {} in the golden",
        ours.len(),
        golden.len()
    );
    let (mut max_abs, mut largest, mut difference, mut magnitude) = (0f64, 0f64, 0f64, 0f64);
    for (&golden, &ours) in golden.iter().zip(ours) {
        let (golden, ours) = (f64::from(golden), f64::from(ours));
        let error = (ours - golden).abs();
        anyhow::ensure!(error.is_finite(), "{name}: a value is not finite");
        max_abs = max_abs.max(error);
        largest = largest.max(golden.abs());
        difference += error * error;
        magnitude += golden * golden;
    }
    let over = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { part };
    Ok(Row {
        name: name.to_owned(),
        values: golden.len(),
        max_abs,
        max_rel: over(max_abs, largest),
        rms_rel: over(difference.sqrt(), magnitude.sqrt()),
    })
}

/// Intersection over union of the cells above zero.
fn iou(golden: &[f32], ours: &[f32]) -> f64 {
    let both = golden
        .iter()
        .zip(ours)
        .filter(|(a, b)| **a > 0.0 && **b > 0.0)
        .count();
    let either = golden
        .iter()
        .zip(ours)
        .filter(|(a, b)| **a > 0.0 || **b > 0.0)
        .count();
    if either == 0 {
        1.0
    } else {
        both as f64 / either as f64
    }
}

/// `[1, h, w, c]` to `[1, c, h, w]`, the order of the reference's maps.
fn channels_first(values: &[f32], shape: &[usize]) -> Vec<f32> {
    let [_, h, w, c] = *shape else {
        return values.to_vec();
    };
    let mut out = Vec::with_capacity(values.len());
    for channel in 0..c {
        out.extend((0..h * w).map(|cell| values[cell * c + channel]));
    }
    out
}
