//! What `medsam3 evaluate` prints and writes.

use std::path::Path;

use anyhow::{Context as _, Result};
use medsam3_corpus::{Dataset, read_image};
use medsam3_engine::Segmenter;
use medsam3_eval::{About, Case, DatasetFacts, Estimate, Evaluation, write_report};

use super::Arguments;
use super::measure::{Measured, measured_datasets};
use super::rule::RuleChoice;
use super::wordings::WordingRow;

/// One line per prompt and dataset, and one for the means.
pub fn print(json: bool, evaluation: &Evaluation) -> Result<()> {
    if json {
        for row in &evaluation.rows {
            let line = serde_json::to_value(row)?;
            say!("{}", tagged("row", line))?;
        }
        let mut whole = serde_json::to_value(evaluation)?;
        if let Some(fields) = whole.as_object_mut() {
            fields.remove("rows");
        }
        say!("{}", tagged("summary", whole))?;
        return Ok(());
    }
    for row in &evaluation.rows {
        say!(
            "{:<20} {:<30} n {:>4}  Dice {}  IoU {}  NSD {}  HD95 {} px  absent {:>4}  shown {}",
            row.dataset,
            row.prompt,
            row.images,
            number(row.dice, 3),
            number(row.iou, 3),
            number(row.nsd, 3),
            number(row.hd95_px, 1),
            row.absent,
            number(row.false_positive_rate, 2),
        )?;
        if let Some(found) = &row.instances {
            say!(
                "{:<51} F1 {}  AP50 {}  {} of {} objects matched by {} instances",
                "",
                number(found.f1, 3),
                number(found.ap50, 3),
                found.matched,
                found.drawn,
                found.kept
            )?;
        }
    }
    say!(
        "mean Dice {}  mean false-positive rate {}",
        number(evaluation.mean_dice, 3),
        number(evaluation.mean_false_positive_rate, 3)
    )?;
    Ok(())
}

/// One line per wording: its Dice, that of the prompts beside it, and the paired difference.
pub fn print_wordings(json: bool, rows: &[WordingRow]) -> Result<()> {
    for row in rows {
        if json {
            say!("{}", tagged("wording", serde_json::to_value(row)?))?;
            continue;
        }
        let WordingRow {
            wording,
            comparison,
        } = row;
        say!(
            "{:<16} {:<12} {:<40} n {:>4}  Dice {}  beside \"{}\" {}  difference {}",
            wording.dataset,
            wording.group,
            wording.text,
            comparison.images,
            number(Some(comparison.dice), 3),
            wording.beside.join("\", \""),
            number(Some(comparison.dice_beside), 3),
            number(Some(comparison.difference), 3),
        )?;
    }
    Ok(())
}

fn tagged(kind: &str, mut line: serde_json::Value) -> serde_json::Value {
    if let Some(fields) = line.as_object_mut() {
        fields.insert("kind".to_owned(), kind.into());
    }
    line
}

fn number(estimate: Option<Estimate>, digits: usize) -> String {
    match estimate {
        None => "-".to_owned(),
        Some(Estimate {
            value,
            interval: None,
        }) => format!("{value:.digits$}"),
        Some(Estimate {
            value,
            interval: Some([low, high]),
        }) => format!("{value:.digits$} [{low:.digits$} {high:.digits$}]"),
    }
}

/// The head of the report.
pub fn about(
    arguments: &Arguments,
    segmenter: &Segmenter,
    device: String,
    datasets: &[Dataset],
    measured: &Measured,
) -> About {
    let manifest = segmenter.manifest();
    let used = measured_datasets(&measured.cases);
    let facts = |set: &Dataset| DatasetFacts {
        name: set.name.clone(),
        title: set.title.clone(),
        licence: format!("{} (tier {})", set.licence.name, set.licence.tier),
        role: set.role.clone(),
    };
    let command: Vec<String> = std::env::args().skip(1).collect();
    About {
        model: dated(&manifest.name, &manifest.provenance.date),
        split: match measured.stopped_of {
            None => arguments.split.name().to_owned(),
            Some(total) => format!(
                "{} (stopped after {} of {total} images)",
                arguments.split.name(),
                measured.images
            ),
        },
        rule: RuleChoice::sentence(arguments.rule, arguments.threshold),
        device,
        command: format!("medsam3 {}", command.join(" ")),
        tolerance_px: arguments.tolerance,
        images: measured.images,
        seconds: measured.seconds,
        datasets: datasets
            .iter()
            .filter(|set| used.contains(set.name.as_str()))
            .map(facts)
            .collect(),
    }
}

/// A name with the day of its making, where that is known.
fn dated(name: &str, date: &str) -> String {
    if date.is_empty() {
        name.to_owned()
    } else {
        format!("{name} of {date}")
    }
}

/// Writes the report, reading again the images that it shows.
pub fn report(
    folder: &Path,
    arguments: &Arguments,
    datasets: &[Dataset],
    about: &About,
    evaluation: &Evaluation,
    cases: &[Case],
) -> Result<()> {
    write_report(folder, about, evaluation, cases, |case| {
        let set = datasets
            .iter()
            .find(|set| set.name == case.question.dataset);
        let item = set.and_then(|set| {
            Some((
                set,
                set.items
                    .iter()
                    .find(|item| item.id == case.question.item)?,
            ))
        });
        let (set, item) = item.context("the case is of no dataset")?;
        let path = arguments.corpus.join(&set.name).join(&item.image);
        Ok(read_image(&path)?)
    })
}
