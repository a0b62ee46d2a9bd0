//! What is said about one input and prompt: a JSON line, a row of the table of measurements, or text.

use std::fmt;

use medsam3_engine::{PromptResult, Seconds, Warning};
use medsam3_imaging::Window;
use medsam3_imaging::series::Place;
use medsam3_weights::MaskRule;
use serde::Serialize;

use crate::failure::Failure;

/// What the result does not know.
pub struct About<'a> {
    /// The input as the user named it.
    pub input: &'a str,
    /// Which series of the input, from 1.
    pub series: usize,
    /// Which picture of the series.
    pub place: Place,
    /// The series has other pictures too.
    pub is_one_of_several: bool,
    /// The device.
    pub device: &'a str,
    /// The model's name.
    pub model: &'a str,
    /// Row and column spacing.
    pub spacing_mm: Option<[f64; 2]>,
    /// The window that the model saw the picture through.
    pub window: Option<Window>,
    /// What was taken into account in reading the file.
    pub notes: &'a [&'static str],
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

/// One picture and prompt.
#[derive(Debug, Serialize)]
pub struct Record<'a> {
    /// `picture`, beside the `series` of [`super::summary`].
    kind: &'static str,
    input: &'a str,
    /// From 1, as `medsam3 inspect` counts.
    series: usize,
    /// From 1.
    slice: usize,
    /// From 0.
    frame: usize,
    prompt: &'a str,
    /// The prompt was longer than the model's context and its end was not read.
    truncated: bool,
    /// Whether the model was trained on the words; if not, its scores say nothing.
    words_known: bool,
    /// What to know beside the result.
    warnings: Vec<WarningRecord>,
    /// What was taken into account in reading the file: where the spacing comes from, what was set aside.
    notes: &'a [&'static str],
    /// Centre and width of the window that the model saw the picture through; none for colour.
    window: Option<Window>,
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
    #[serde(skip)]
    is_one_of_several: bool,
}

/// Something to be said beside a result.
#[derive(Debug, Serialize)]
struct WarningRecord {
    code: &'static str,
    message: String,
    next_step: &'static str,
}

impl From<Warning> for WarningRecord {
    fn from(warning: Warning) -> Self {
        Self {
            code: warning.code(),
            message: warning.message(),
            next_step: warning.next_step(),
        }
    }
}

/// An input that failed.
#[derive(Debug, Serialize)]
pub struct FailureRecord<'a> {
    /// The input as the user named it.
    pub input: &'a str,
    /// Why.
    pub error: Failure,
}

/// A row of the table: a picture and prompt, or behind the pictures of a series the series and prompt, where slice and frame
/// are empty.
#[derive(Debug, Default, Serialize)]
pub struct Row<'a> {
    pub input: &'a str,
    pub series: usize,
    pub slice: Option<usize>,
    pub frame: Option<usize>,
    pub prompt: &'a str,
    pub presence: f32,
    pub score: f32,
    pub instances: Option<usize>,
    pub area_px: Option<usize>,
    pub area_mm2: Option<f64>,
    pub slices: Option<usize>,
    pub volume_ml: Option<f64>,
    pub mean: Option<f64>,
    pub standard_deviation: Option<f64>,
    pub minimum: Option<f64>,
    pub maximum: Option<f64>,
    pub unit: Option<&'a str>,
    pub words_known: bool,
    pub mask: Option<&'a str>,
    pub model: &'a str,
}

impl Row<'_> {
    /// The fields, in their order.
    pub const COLUMNS: [&'static str; 20] = [
        "input",
        "series",
        "slice",
        "frame",
        "prompt",
        "presence",
        "score",
        "instances",
        "area_px",
        "area_mm2",
        "slices",
        "volume_ml",
        "mean",
        "standard_deviation",
        "minimum",
        "maximum",
        "unit",
        "words_known",
        "mask",
        "model",
    ];
    /// The first of them say what was asked: input, series, slice, frame and prompt.
    pub const KEY: usize = 5;
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
            kind: "picture",
            input: about.input,
            series: about.series,
            slice: about.place.slice + 1,
            frame: about.place.frame,
            prompt: &result.prompt,
            truncated: result.truncated,
            words_known: result.words_known,
            warnings: result.warnings().into_iter().map(Into::into).collect(),
            notes: about.notes,
            window: about.window,
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
            is_one_of_several: about.is_one_of_several,
        }
    }

    /// As a row.
    pub fn row(&self) -> Row<'_> {
        Row {
            input: self.input,
            series: self.series,
            slice: Some(self.slice),
            frame: Some(self.frame),
            prompt: self.prompt,
            presence: self.presence,
            score: self.score,
            instances: Some(self.instances.len()),
            area_px: Some(self.area_px),
            area_mm2: self.area_mm2,
            words_known: self.words_known,
            mask: self.mask.as_deref(),
            model: self.model,
            ..Row::default()
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
        write!(f, "{input}  ")?;
        if self.is_one_of_several {
            write!(f, "slice {}  ", self.slice)?;
            if self.frame > 0 {
                write!(f, "frame {}  ", self.frame)?;
            }
        }
        write!(
            f,
            "\"{prompt}\"  presence {presence:.3}  best score {score:.3}  "
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
        for note in self.notes {
            write!(f, "\n  note: {note}")?;
        }
        for warning in &self.warnings {
            let WarningRecord {
                code,
                message,
                next_step,
            } = warning;
            write!(f, "\n  warning [{code}]: {message} {next_step}")?;
        }
        Ok(())
    }
}
