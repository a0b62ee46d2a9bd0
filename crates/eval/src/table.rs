//! Tables: per dataset and prompt the mean Dice and IoU, how many images, and how often an absent prompt was found.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::answer::{Answer, Key, MASK_THRESHOLDS};
use crate::metrics::{dice, iou};
use crate::threshold::Thresholds;

/// One prompt of one dataset.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Which.
    #[serde(flatten)]
    pub key: Key,
    /// Images that have it.
    pub images: usize,
    /// Mean Dice over them; an image in which it was not found counts 0.
    pub dice: f64,
    /// Mean IoU over them.
    pub iou: f64,
    /// Images that do not have it.
    pub absent: usize,
    /// Share of the latter in which a mask was shown.
    pub false_positive_rate: f64,
    /// Presence threshold.
    pub presence_threshold: f32,
    /// Mask threshold.
    pub mask_threshold: f32,
}

/// All rows of a split.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// By dataset and prompt.
    pub rows: Vec<Row>,
}

impl Report {
    /// Measures answers with the thresholds of their prompts (by canonical name).
    pub fn new(answers: &[Answer], thresholds: &BTreeMap<String, Thresholds>) -> Self {
        let mut groups: BTreeMap<&Key, Vec<&Answer>> = BTreeMap::new();
        for answer in answers {
            groups.entry(&answer.key).or_default().push(answer);
        }
        let rows = groups
            .into_iter()
            .map(|(key, answers)| {
                let chosen = thresholds
                    .get(&key.prompt)
                    .copied()
                    .unwrap_or(Thresholds::DEFAULT);
                Row::new(key.clone(), &answers, chosen)
            })
            .collect();
        Self { rows }
    }

    /// A Markdown table, best Dice first.
    pub fn markdown(&self) -> String {
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        rows.sort_by(|a, b| b.dice.total_cmp(&a.dice));
        let mut text = String::from(
            "| dataset | prompt | Dice | IoU | n | found where absent | of |\n|---|---|---:|---:|---:|---:|---:|\n",
        );
        for row in rows {
            let (dice, iou) = if row.images == 0 {
                ("–".to_owned(), "–".to_owned())
            } else {
                (format!("{:.3}", row.dice), format!("{:.3}", row.iou))
            };
            let rate = if row.absent == 0 {
                "–".to_owned()
            } else {
                format!("{:.2}", row.false_positive_rate)
            };
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "| {} | {} | {dice} | {iou} | {} | {rate} | {} |",
                row.key.dataset, row.key.prompt, row.images, row.absent
            );
        }
        text
    }
}

impl Row {
    fn new(key: Key, answers: &[&Answer], chosen: Thresholds) -> Self {
        let shown = |present: bool| {
            answers
                .iter()
                .filter(move |answer| answer.present == present)
                .map(|answer| answer.shown(chosen.presence, chosen.mask))
                .collect::<Vec<_>>()
        };
        let (here, absent) = (shown(true), shown(false));
        let images = here.len().max(1) as f64;
        Self {
            key,
            images: here.len(),
            dice: here.iter().map(|&o| dice(o)).sum::<f64>() / images,
            iou: here.iter().map(|&o| iou(o)).sum::<f64>() / images,
            absent: absent.len(),
            false_positive_rate: absent.iter().filter(|o| o.found > 0).count() as f64
                / absent.len().max(1) as f64,
            presence_threshold: chosen.presence,
            mask_threshold: MASK_THRESHOLDS[chosen.mask],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use medsam3_segmentation::Overlap;

    #[test]
    fn a_report_counts_misses_as_zero_and_false_alarms_apart() {
        let answer = |present: bool, presence: f32, found, both| Answer {
            key: Key {
                dataset: "d".into(),
                prompt: "p".into(),
            },
            presence,
            present,
            overlaps: [Overlap {
                found,
                truth: if present { 10 } else { 0 },
                both,
            }; MASK_THRESHOLDS.len()],
        };
        let answers = [
            answer(true, 0.9, 10, 10),
            answer(true, 0.2, 10, 10),
            answer(false, 0.9, 4, 0),
            answer(false, 0.1, 4, 0),
        ];
        let report = Report::new(&answers, &BTreeMap::new());
        let row = &report.rows[0];
        assert_eq!((row.images, row.absent), (2, 2));
        assert!((row.dice - 0.5).abs() < 1e-12 && (row.iou - 0.5).abs() < 1e-12);
        assert!((row.false_positive_rate - 0.5).abs() < 1e-12);
        assert!(
            report
                .markdown()
                .contains("| d | p | 0.500 | 0.500 | 2 | 0.50 | 2 |")
        );
    }
}
