//! Cases in, the evaluation out: a row for every prompt of every dataset, their mean, and the calibration of the scores,
//! each with 95 % intervals over subjects. An image without the prompt is counted, not skipped: a mask shown on it is a false
//! positive, and `dice_all` gives it 1 where nothing is shown and 0 where something is.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::bootstrap::{Bootstrap, Estimate, Resamples, interval};
use crate::case::Case;
use crate::metrics::{
    Calibration, IOU_THRESHOLDS, InstanceMatch, average_precision, calibration, f1,
};
use crate::paper::{Published, published};

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

fn absent(case: &Case) -> bool {
    !case.present()
}

fn shown(case: &Case) -> f64 {
    f64::from(u8::from(case.shown()))
}

/// The cases of one row with the places of their subjects.
struct Group<'a> {
    cases: Vec<(usize, &'a Case)>,
    resamples: &'a Resamples,
}

impl<'a> Group<'a> {
    fn new(cases: &[&'a Case], resamples: &'a Resamples) -> Self {
        let places = resamples.places();
        let place = |case: &Case| {
            places
                .get(case.question.subject.as_str())
                .copied()
                .unwrap_or(0)
        };
        Self {
            cases: cases.iter().map(|&case| (place(case), case)).collect(),
            resamples,
        }
    }

    fn subjects(&self, of: impl Fn(&Case) -> bool) -> usize {
        let places = self
            .cases
            .iter()
            .filter(|(_, case)| of(case))
            .map(|(place, _)| place);
        places.collect::<std::collections::BTreeSet<_>>().len()
    }

    /// Mean of `value` over the cases `of` a kind, each as often as its subject counts.
    fn mean(
        &self,
        counts: &[u32],
        of: impl Fn(&Case) -> bool,
        value: impl Fn(&Case) -> f64,
    ) -> Option<f64> {
        let (mut sum, mut total) = (0.0, 0.0);
        for (place, case) in self.cases.iter().filter(|(_, case)| of(case)) {
            let weight = f64::from(counts.get(*place).copied().unwrap_or(0));
            sum += weight * value(case);
            total += weight;
        }
        (total > 0.0).then(|| sum / total)
    }

    fn estimate(
        &self,
        of: impl Fn(&Case) -> bool + Copy,
        value: impl Fn(&Case) -> f64 + Copy,
    ) -> Option<Estimate> {
        self.resamples
            .estimate(self.subjects(of), |counts| self.mean(counts, of, value))
    }

    fn row(&self) -> Option<Row> {
        let (_, first) = self.cases.first()?;
        let count =
            |of: &dyn Fn(&Case) -> bool| self.cases.iter().filter(|(_, case)| of(case)).count();
        Some(Row {
            dataset: first.question.dataset.clone(),
            prompt: first.question.prompt.clone(),
            subjects: self.subjects(|_| true),
            images: count(&Case::present),
            missed: count(&|case| case.present() && !case.shown()),
            dice: self.estimate(Case::present, |case| case.dice),
            iou: self.estimate(Case::present, |case| case.iou),
            nsd: self.estimate(Case::present, |case| case.nsd),
            hd95_px: self.estimate(Case::present, |case| case.hd95_px),
            absent: count(&absent),
            false_positive_rate: self.estimate(absent, shown),
            dice_all: self.estimate(|_| true, |case| case.dice),
            instances: self.instances(),
            published: published(&first.question.dataset).copied(),
        })
    }

    fn instances(&self) -> Option<InstanceRow> {
        let images: Vec<(usize, &InstanceMatch)> = self
            .cases
            .iter()
            .filter_map(|(place, case)| Some((*place, case.instances.as_ref()?)))
            .collect();
        if images.is_empty() {
            return None;
        }
        let weighted = |counts: &[u32]| -> Vec<(&InstanceMatch, u32)> {
            images
                .iter()
                .map(|(place, image)| (*image, counts.get(*place).copied().unwrap_or(0)))
                .collect()
        };
        let subjects = self.subjects(|_| true);
        let once: Vec<(&InstanceMatch, u32)> =
            images.iter().map(|(_, image)| (*image, 1)).collect();
        let aps = (0..IOU_THRESHOLDS.len())
            .map(|at| average_precision(&once, at))
            .collect::<Option<Vec<f64>>>();
        let total =
            |count: fn(&InstanceMatch) -> usize| images.iter().map(|(_, image)| count(image)).sum();
        Some(InstanceRow {
            f1: self
                .resamples
                .estimate(subjects, |counts| f1(&weighted(counts))),
            ap50: self
                .resamples
                .estimate(subjects, |counts| average_precision(&weighted(counts), 0)),
            ap: aps.map(|aps| aps.iter().sum::<f64>() / IOU_THRESHOLDS.len() as f64),
            drawn: total(|image| image.drawn),
            kept: total(|image| image.kept),
            matched: total(|image| image.matched),
        })
    }
}

/// The mean of a statistic over rows, resampled together.
struct RowMean {
    value: f64,
    rows: usize,
    sums: Vec<(f64, usize)>,
}

impl RowMean {
    fn new(bootstrap: Bootstrap) -> Self {
        Self {
            value: 0.0,
            rows: 0,
            sums: vec![(0.0, 0); bootstrap.replicates],
        }
    }

    fn add(
        &mut self,
        group: &Group<'_>,
        of: impl Fn(&Case) -> bool + Copy,
        value: impl Fn(&Case) -> f64 + Copy,
    ) {
        let mean = |counts: &[u32]| group.mean(counts, of, value);
        let Some(once) = group.estimate_once(mean) else {
            return;
        };
        self.value += once;
        self.rows += 1;
        for (sum, replicate) in self.sums.iter_mut().zip(group.resamples.replicate(mean)) {
            // A resample without such an image says nothing new about the row.
            sum.0 += replicate.unwrap_or(once);
            sum.1 += 1;
        }
    }

    fn estimate(self) -> Option<Estimate> {
        let value = (self.rows > 0).then(|| self.value / self.rows as f64)?;
        let means = self
            .sums
            .into_iter()
            .map(|(sum, rows)| (rows > 0).then(|| sum / rows as f64));
        Some(Estimate {
            value,
            interval: interval(means),
        })
    }
}

impl Group<'_> {
    fn estimate_once(&self, statistic: impl Fn(&[u32]) -> Option<f64>) -> Option<f64> {
        statistic(&vec![1; self.resamples.places().len()])
    }
}
