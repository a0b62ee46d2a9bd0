//! The cases of one prompt of one dataset, and what is computed from them with each subject counted as often as a resample says.

use std::collections::BTreeSet;

use crate::bootstrap::{Bootstrap, Estimate, Resamples, interval};
use crate::case::Case;
use crate::evaluation::{InstanceRow, Row};
use crate::metrics::{IOU_THRESHOLDS, InstanceMatch, average_precision, f1};
use crate::paper::published;

/// Whether the prompt is not in the image.
pub(crate) fn absent(case: &Case) -> bool {
    !case.present()
}

/// 1 where something was shown.
pub(crate) fn shown(case: &Case) -> f64 {
    f64::from(u8::from(case.shown()))
}

/// The cases of one row with the places of their subjects.
pub(crate) struct Group<'a> {
    cases: Vec<(usize, &'a Case)>,
    resamples: &'a Resamples,
}

impl<'a> Group<'a> {
    pub(crate) fn new(cases: &[&'a Case], resamples: &'a Resamples) -> Self {
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
        places.collect::<BTreeSet<_>>().len()
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

    pub(crate) fn row(&self) -> Option<Row> {
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
pub(crate) struct RowMean {
    value: f64,
    rows: usize,
    sums: Vec<(f64, usize)>,
}

impl RowMean {
    pub(crate) fn new(bootstrap: Bootstrap) -> Self {
        Self {
            value: 0.0,
            rows: 0,
            sums: vec![(0.0, 0); bootstrap.replicates],
        }
    }

    pub(crate) fn add(
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

    pub(crate) fn estimate(self) -> Option<Estimate> {
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
