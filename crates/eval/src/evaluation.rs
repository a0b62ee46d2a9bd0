//! Cases in, the evaluation out: a row for every prompt of every dataset, their mean, and the calibration of the scores,
//! each with 95 % intervals over subjects. An image without the prompt is counted, not skipped: a mask shown on it is a false
//! positive, and `dice_all` gives it 1 where nothing is shown and 0 where something is.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::bootstrap::{Bootstrap, Estimate, Resamples};
use crate::case::Case;
use crate::group::{Group, RowMean, absent, shown};
use crate::metrics::{Calibration, calibration};
use crate::paper::Published;

/// Bins of the reliability diagrams.
const BINS: usize = 15;

/// Measures of the instances of one prompt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InstanceRow {
    /// One-to-one F1 at IoU 0.5, counts pooled over images.
    pub f1: Option<Estimate>,
    /// Average precision at IoU 0.5.
    pub ap50: Option<Estimate>,
    /// Mean average precision over IoU 0.50 to 0.95.
    pub ap: Option<f64>,
    /// Objects drawn.
    pub drawn: usize,
    /// Detections kept.
    pub kept: usize,
    /// Pairs.
    pub matched: usize,
}

/// One prompt of one dataset.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Dataset folder.
    pub dataset: String,
    /// Canonical prompt.
    pub prompt: String,
    /// Subjects with at least one image.
    pub subjects: usize,
    /// Images that have it.
    pub images: usize,
    /// Images of the latter in which nothing was shown.
    pub missed: usize,
    /// Mean Dice over images that have it.
    pub dice: Option<Estimate>,
    /// Mean IoU over them.
    pub iou: Option<Estimate>,
    /// Mean normalised surface distance over them.
    pub nsd: Option<Estimate>,
    /// Mean 95th percentile of the Hausdorff distance over them, in pixels.
    pub hd95_px: Option<Estimate>,
    /// Images that do not have it.
    pub absent: usize,
    /// Share of the latter in which a mask was shown.
    pub false_positive_rate: Option<Estimate>,
    /// Mean Dice over all images, empty ground truth included.
    pub dice_all: Option<Estimate>,
    /// Instances, where they were measured.
    pub instances: Option<InstanceRow>,
    /// What the paper has for this dataset.
    pub published: Option<Published>,
}

/// The whole evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// How intervals were made.
    pub bootstrap: Bootstrap,
    /// By dataset and prompt.
    pub rows: Vec<Row>,
    /// Mean Dice over rows with images that have the prompt, every row counting the same.
    pub mean_dice: Option<Estimate>,
    /// Mean false-positive rate over rows with images without the prompt.
    pub mean_false_positive_rate: Option<Estimate>,
    /// Presence against whether the prompt is in the image.
    pub presence: Option<Calibration>,
    /// Scores of instances against whether they hit a drawn object at IoU 0.5.
    pub scores: Option<Calibration>,
}

impl Evaluation {
    /// Measures cases.
    pub fn new(cases: &[Case], bootstrap: Bootstrap) -> Self {
        let mut datasets: BTreeMap<&str, BTreeMap<&str, Vec<&Case>>> = BTreeMap::new();
        for case in cases {
            let prompts = datasets.entry(&case.question.dataset).or_default();
            prompts.entry(&case.question.prompt).or_default().push(case);
        }
        let (mut dice, mut rate) = (RowMean::new(bootstrap), RowMean::new(bootstrap));
        let mut rows = Vec::new();
        for (stream, prompts) in datasets.values().enumerate() {
            let subjects = prompts
                .values()
                .flatten()
                .map(|case| case.question.subject.as_str());
            let resamples = Resamples::new(subjects, bootstrap, stream as u64);
            for cases in prompts.values() {
                let group = Group::new(cases, &resamples);
                dice.add(&group, Case::present, |case| case.dice);
                rate.add(&group, absent, shown);
                rows.extend(group.row());
            }
        }
        let outcomes = |case: &Case| (case.confidence.presence, case.present());
        let presence: Vec<_> = cases.iter().map(outcomes).collect();
        let detections = cases
            .iter()
            .filter_map(|case| case.instances.as_ref())
            .flat_map(|found| &found.detections);
        let scores: Vec<_> = detections
            .map(|found| (found.score, found.hits[0]))
            .collect();
        Self {
            bootstrap,
            rows,
            mean_dice: dice.estimate(),
            mean_false_positive_rate: rate.estimate(),
            presence: calibration(&presence, BINS),
            scores: calibration(&scores, BINS),
        }
    }
}
