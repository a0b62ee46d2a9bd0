//! What is said about one input and prompt: a JSON line, a row of the table of measurements, or text.

use std::fmt;

use medsam3_engine::{PromptResult, Seconds};
use medsam3_weights::MaskRule;
use serde::Serialize;

use crate::failure::Failure;

/// What the result does not know.
pub struct About<'a> {
    /// The input as the user named it.
    pub input: &'a str,
    /// Frame, counted from 0.
    pub frame: usize,
    /// The device.
    pub device: &'a str,
    /// The model's name.
    pub model: &'a str,
    /// Row and column spacing.
    pub spacing_mm: Option<[f64; 2]>,
}

/// One instance.
#[derive(Debug, Serialize)]
pub struct InstanceRecord {
    score: f32,
    /// Left, top, right, bottom.
    box_px: [f32; 4],
    area_px: usize,
    area_mm2: Option<f64>,
}

/// One input and prompt.
#[derive(Debug, Serialize)]
pub struct Record<'a> {
    input: &'a str,
    frame: usize,
    prompt: &'a str,
    /// The prompt was longer than the model's context and its end was not read.
    truncated: bool,
    presence: f32,
    /// Best score of any query, kept or not.
    score: f32,
    instances: Vec<InstanceRecord>,
    mask_rule: MaskRule,
    threshold: f32,
    mask_threshold: f32,
    width: usize,
    height: usize,
    /// Of the mask, which may be the semantic one.
    area_px: usize,
    area_mm2: Option<f64>,
    /// Separate regions of the mask.
    regions: usize,
    /// Name of the mask's file in the output folder.
    mask: Option<String>,
    seconds: Seconds,
    device: &'a str,
    model: &'a str,
}

/// An input that failed.
#[derive(Debug, Serialize)]
pub struct FailureRecord<'a> {
    /// The input as the user named it.
    pub input: &'a str,
    /// Why.
    pub error: Failure,
}

/// The same as a row of a table.
#[derive(Debug, Serialize)]
pub struct Row<'a> {
    input: &'a str,
    frame: usize,
    prompt: &'a str,
    presence: f32,
    score: f32,
    instances: usize,
    area_px: usize,
    area_mm2: Option<f64>,
}

impl<'a> Record<'a> {
    /// Measures a result.
    pub fn new(about: &About<'a>, result: &'a PromptResult, mask: Option<String>) -> Self {
        let area_mm2 =
            |mask: &medsam3_imaging::Mask| about.spacing_mm.map(|spacing| mask.area_mm2(spacing));
        let instances = result.instances.iter().map(|instance| InstanceRecord {
            score: instance.score,
            box_px: instance.box_px,
            area_px: instance.mask.area_px(),
            area_mm2: area_mm2(&instance.mask),
        });
        Self {
            input: about.input,
            frame: about.frame,
            prompt: &result.prompt,
            truncated: result.truncated,
            presence: result.presence,
            score: result.best_score,
            instances: instances.collect(),
            mask_rule: result.thresholds.rule,
            threshold: result.thresholds.score,
            mask_threshold: result.thresholds.mask,
            width: result.mask.width,
            height: result.mask.height,
            area_px: result.mask.area_px(),
            area_mm2: area_mm2(&result.mask),
            regions: result.mask.regions(),
            mask,
            seconds: result.seconds,
            device: about.device,
            model: about.model,
        }
    }

    /// As a row.
    pub fn row(&self) -> Row<'_> {
        Row {
            input: self.input,
            frame: self.frame,
            prompt: self.prompt,
            presence: self.presence,
            score: self.score,
            instances: self.instances.len(),
            area_px: self.area_px,
            area_mm2: self.area_mm2,
        }
    }
}

impl fmt::Display for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            input,
            prompt,
            presence,
            score,
            area_px,
            seconds,
            ..
        } = self;
        write!(
            f,
            "{input}  \"{prompt}\"  presence {presence:.3}  best score {score:.3}  "
        )?;
        write!(
            f,
            "{} instances above {}  mask {area_px} px",
            self.instances.len(),
            self.threshold
        )?;
        if let Some(area_mm2) = self.area_mm2 {
            write!(f, " = {area_mm2:.1} mm²")?;
        }
        let Seconds {
            image,
            text,
            prompt,
            masks,
        } = seconds;
        write!(
            f,
            "  ({image:.2} s image, {:.2} s prompt)",
            text + prompt + masks
        )?;
        if self.truncated {
            write!(
                f,
                "\n  warning: the prompt is longer than the model reads; its end was cut off"
            )?;
        }
        Ok(())
    }
}
