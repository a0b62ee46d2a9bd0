//! The sections of a report, each from a part of the evaluation.

use crate::bootstrap::Estimate;
use crate::evaluation::{Evaluation, Row};
use crate::metrics::Calibration;
use crate::report::About;
use crate::report::document::{Diagram, Section, Table};

/// What was measured, and the means.
pub(super) fn summary<'a>(about: &About, evaluation: &Evaluation) -> Section<'a> {
    let seconds = about.seconds.max(1e-9);
    let text = vec![
        about.rule.clone(),
        format!(
            "Mean Dice over {} rows (a prompt of a dataset, each counting the same): {}. Mean false-positive rate over the rows \
             with images that do not have the prompt: {}.",
            evaluation.rows.iter().filter(|row| row.images > 0).count(),
            estimate(evaluation.mean_dice),
            estimate(evaluation.mean_false_positive_rate),
        ),
        format!(
            "{} images in {seconds:.0} seconds ({:.1} a second) on {}.",
            about.images,
            about.images as f64 / seconds,
            about.device
        ),
    ];
    Section {
        title: "Summary",
        text,
        ..Section::EMPTY
    }
}

/// A row for every prompt of every dataset, best Dice first.
pub(super) fn prompts<'a>(rows: &[Row]) -> Section<'a> {
    let mut sorted: Vec<&Row> = rows.iter().collect();
    let key = |row: &Row| row.dice.map_or(-1.0, |dice| dice.value);
    sorted.sort_by(|a, b| key(b).total_cmp(&key(a)));
    let cells = |row: &&Row| {
        vec![
            row.dataset.clone(),
            row.prompt.clone(),
            row.images.to_string(),
            row.subjects.to_string(),
            estimate(row.dice),
            estimate(row.iou),
            estimate(row.nsd),
            pixels(row.hd95_px),
            row.missed.to_string(),
            estimate(row.false_positive_rate),
            row.absent.to_string(),
            estimate(row.dice_all),
        ]
    };
    let head = vec![
        "dataset",
        "prompt",
        "n",
        "subjects",
        "Dice",
        "IoU",
        "NSD",
        "HD95 (px)",
        "missed",
        "false positives",
        "of absent",
        "Dice, absent counted",
    ];
    let table = Table {
        head,
        text_columns: 2,
        rows: sorted.iter().map(cells).collect(),
    };
    Section {
        title: "Prompts",
        table: Some(table),
        ..Section::EMPTY
    }
}

/// Instances, where they were measured.
pub(super) fn instances<'a>(rows: &[Row]) -> Option<Section<'a>> {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .filter_map(|row| {
            let found = row.instances.as_ref()?;
            Some(vec![
                row.dataset.clone(),
                row.prompt.clone(),
                estimate(found.f1),
                estimate(found.ap50),
                found.ap.map_or_else(dash, |ap| format!("{ap:.3}")),
                found.drawn.to_string(),
                found.kept.to_string(),
                found.matched.to_string(),
            ])
        })
        .collect();
    if rows.is_empty() {
        return None;
    }
    let head = vec![
        "dataset",
        "prompt",
        "F1 at IoU 0.5",
        "AP 0.5",
        "AP 0.5 to 0.95",
        "drawn",
        "kept",
        "matched",
    ];
    Some(Section {
        title: "Instances, one to one",
        table: Some(Table {
            head,
            text_columns: 2,
            rows,
        }),
        ..Section::EMPTY
    })
}

/// The paper's values for the same datasets.
pub(super) fn paper<'a>(rows: &[Row]) -> Option<Section<'a>> {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .filter_map(|row| {
            let theirs = row.published?;
            let optional =
                |value: Option<f64>| value.map_or_else(dash, |value| format!("{value:.3}"));
            Some(vec![
                theirs.name.to_owned(),
                format!("{} / {}", row.prompt, theirs.prompt),
                theirs.differs.to_owned(),
                if theirs.trained_on { "yes" } else { "no" }.to_owned(),
                estimate(row.dice),
                estimate(row.iou),
                row.images.to_string(),
                format!("{:.3}", theirs.sam3_dice),
                format!("{:.3}", theirs.dice),
                optional(theirs.iou),
                theirs.images.map_or_else(dash, |images| images.to_string()),
            ])
        })
        .collect();
    if rows.is_empty() {
        return None;
    }
    let head = vec![
        "dataset",
        "prompt, ours / theirs",
        "images",
        "the paper trained on it",
        "Dice",
        "IoU",
        "n",
        "SAM 3 Dice",
        "Medical SAM3 Dice",
        "Medical SAM3 IoU",
        "their n",
    ];
    let text = vec![
        "Published values of Medical SAM3 (arXiv 2601.10880), 840 M parameters, beside this model on the same dataset. The paper keeps the \
         single best mask above a score of 0.1; compare with --rule best."
            .to_owned(),
    ];
    Some(Section {
        title: "Beside the paper",
        text,
        table: Some(Table {
            head,
            text_columns: 4,
            rows,
        }),
        ..Section::EMPTY
    })
}

/// Whether probabilities mean what they say.
pub(super) fn calibrations(evaluation: &Evaluation) -> Section<'_> {
    let all = [
        (
            "Presence against whether the prompt is in the image",
            evaluation.presence.as_ref(),
        ),
        (
            "Instance scores against whether an object is hit at IoU 0.5",
            evaluation.scores.as_ref(),
        ),
    ];
    let known: Vec<(&'static str, &Calibration)> = all
        .into_iter()
        .filter_map(|(title, calibration)| Some((title, calibration?)))
        .collect();
    let rows = known.iter().map(|(title, calibration)| {
        vec![
            (*title).to_owned(),
            calibration.count.to_string(),
            format!("{:.3}", calibration.ece),
            format!("{:.3}", calibration.brier),
        ]
    });
    let head = vec![
        "probability",
        "predictions",
        "expected calibration error",
        "Brier score",
    ];
    Section {
        title: "Calibration",
        table: Some(Table {
            head,
            text_columns: 1,
            rows: rows.collect(),
        }),
        diagrams: known
            .into_iter()
            .map(|(title, calibration)| Diagram { title, calibration })
            .collect(),
        ..Section::EMPTY
    }
}

/// Where the images come from.
pub(super) fn datasets<'a>(about: &About) -> Section<'a> {
    let cells = |set: &crate::report::DatasetFacts| {
        vec![
            set.name.clone(),
            set.title.clone(),
            set.licence.clone(),
            set.role.clone(),
        ]
    };
    let table = Table {
        head: vec!["dataset", "title", "licence", "role"],
        text_columns: 4,
        rows: about.datasets.iter().map(cells).collect(),
    };
    let text =
        vec!["External datasets are never trained on and never used to choose a model.".to_owned()];
    Section {
        title: "Datasets",
        text,
        table: Some(table),
        ..Section::EMPTY
    }
}

/// What the numbers mean.
pub(super) fn definitions<'a>(about: &About, evaluation: &Evaluation) -> Section<'a> {
    let text = vec![
        format!(
            "Dice, IoU, NSD and HD95 are means over the images that have the prompt; an image in which nothing was shown counts Dice, IoU and NSD 0 \
             and HD95 the diagonal of the image. NSD: share of both outlines, by length, within {} pixels of the other (Nikolov et al. 2018). HD95: the \
             greater of the two directed 95th percentiles of the distance between boundary pixels.",
            about.tolerance_px
        ),
        "False positives: share of the images without the prompt in which a mask was shown. Dice, absent counted: mean over all images, where an image \
         without the prompt counts 1 if nothing was shown and 0 otherwise."
            .to_owned(),
        format!(
            "In brackets: 95 % interval, percentile bootstrap over subjects with {} resamples, seed {}; none where only one subject is there, and one of no width where \
             all subjects agree. The interval of a mean over rows takes rows of one subject as they are.",
            evaluation.bootstrap.replicates, evaluation.bootstrap.seed
        ),
        "Research and teaching only. Not a medical device.".to_owned(),
    ];
    Section {
        title: "Definitions",
        text,
        ..Section::EMPTY
    }
}

fn dash() -> String {
    "–".to_owned()
}

fn estimate(estimate: Option<Estimate>) -> String {
    with_digits(estimate, 3)
}

fn pixels(estimate: Option<Estimate>) -> String {
    with_digits(estimate, 1)
}

fn with_digits(estimate: Option<Estimate>, digits: usize) -> String {
    match estimate {
        None => dash(),
        Some(Estimate {
            value,
            interval: None,
        }) => format!("{value:.digits$}"),
        Some(Estimate {
            value,
            interval: Some([low, high]),
        }) => format!("{value:.digits$} [{low:.digits$}, {high:.digits$}]"),
    }
}
