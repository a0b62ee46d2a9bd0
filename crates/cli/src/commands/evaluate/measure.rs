//! Runs the model over the chosen items and measures every answer.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};
use medsam3_corpus::{CorpusError, Dataset, Item, Truth, questions};
use medsam3_engine::{Segmenter, Thresholds};
use medsam3_eval::{Case, Confidence, Question, match_instances};
use medsam3_imaging::Rgb8;

use super::Arguments;
use super::rule::RuleChoice;

/// What was measured.
pub struct Measured {
    /// One per image and prompt.
    pub cases: Vec<Case>,
    /// Images asked anything.
    pub images: usize,
    /// By the wall clock.
    pub seconds: f64,
}

/// An item and its dataset's place in the list.
type Job<'a> = (usize, &'a Item);

/// The items of the split, at most `--limit` of each dataset, spread evenly.
///
/// # Errors
/// A split without an item, in a dataset asked for by name or in all of them.
pub fn choose<'a>(arguments: &Arguments, datasets: &'a [Dataset]) -> Result<Vec<Job<'a>>> {
    let mut jobs = Vec::new();
    for (at, set) in datasets.iter().enumerate() {
        let of_split: Vec<&Item> = set
            .items
            .iter()
            .filter(|item| item.split == arguments.split.split())
            .collect();
        let path = arguments.corpus.join(&set.name).join("dataset.json");
        if of_split.is_empty() && arguments.datasets.contains(&set.name) {
            return Err(CorpusError::EmptySplit {
                path,
                split: arguments.split.name(),
            }
            .into());
        }
        let most = arguments.limit.unwrap_or(usize::MAX).min(of_split.len());
        jobs.extend(
            (0..most).filter_map(|n| Some((at, *of_split.get(n * of_split.len() / most)?))),
        );
    }
    if jobs.is_empty() {
        let path = arguments.corpus.join("index.json");
        return Err(CorpusError::EmptySplit {
            path,
            split: arguments.split.name(),
        }
        .into());
    }
    Ok(jobs)
}

/// Asks and measures.
///
/// # Errors
/// The first file that cannot be used, by name; the engine's errors.
pub fn measure(
    arguments: &Arguments,
    segmenter: &mut Segmenter,
    datasets: &[Dataset],
    jobs: &[Job<'_>],
) -> Result<Measured> {
    let bar = ProgressBar::new(jobs.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{msg:20} {bar:30} {pos}/{len}, {eta} left") {
        bar.set_style(style);
    }
    let start = Instant::now();
    let mut measured = Measured {
        cases: Vec::new(),
        images: 0,
        seconds: 0.0,
    };
    for &(at, item) in jobs {
        let Some(set) = datasets.get(at) else {
            continue;
        };
        bar.set_message(set.name.clone());
        let image = read_image(arguments, set, item)?;
        let folder = arguments.corpus.join(&set.name);
        let truths = questions(&folder, set, item, (image.width, image.height))?;
        if !truths.is_empty() {
            pollster::block_on(segmenter.open(&image))?;
            measured.images += 1;
        }
        for truth in truths {
            measured
                .cases
                .push(ask(arguments, segmenter, set, item, &truth)?);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    measured.seconds = start.elapsed().as_secs_f64();
    Ok(measured)
}

/// Decodes the image of an item.
///
/// # Errors
/// A file that cannot be read or is not an image, by name.
pub fn read_image(arguments: &Arguments, set: &Dataset, item: &Item) -> Result<Rgb8> {
    let path = arguments.corpus.join(&set.name).join(&item.image);
    let name = || path.display().to_string();
    let bytes = std::fs::read(&path).with_context(name)?;
    medsam3_imaging::open(&bytes)
        .and_then(|picture| picture.render(0, None))
        .with_context(name)
}

fn ask(
    arguments: &Arguments,
    segmenter: &mut Segmenter,
    set: &Dataset,
    item: &Item,
    truth: &Truth,
) -> Result<Case> {
    let rule = arguments.rule;
    let suggested = Thresholds::of(segmenter.manifest(), &truth.prompt).score;
    let threshold = arguments.threshold.unwrap_or(suggested);
    let options = RuleChoice::options(rule, arguments.threshold);
    let answer = pollster::block_on(segmenter.prompt(&truth.prompt, options))?;
    let found = RuleChoice::mask(rule, &answer, threshold);
    let different = || format!("{}, item {}: masks of different sizes", set.name, item.id);
    let instances = match RuleChoice::detections(rule, &answer) {
        None => None,
        Some(found) => {
            let found: Vec<_> = found.iter().map(|(score, mask)| (*score, mask)).collect();
            let matched = match_instances(&found, &truth.objects(), f64::from(threshold));
            Some(matched.with_context(different)?)
        }
    };
    let question = Question {
        dataset: set.name.clone(),
        prompt: truth.prompt.clone(),
        item: item.id.clone(),
        subject: item.subject.clone().unwrap_or_else(|| item.id.clone()),
    };
    let confidence = Confidence {
        presence: f64::from(answer.presence),
        score: f64::from(answer.best_score),
    };
    Case::measure(
        question,
        confidence,
        &found,
        &truth.mask,
        instances,
        arguments.tolerance,
    )
    .with_context(different)
}

/// Names of the datasets that were measured.
pub fn measured_datasets(cases: &[Case]) -> BTreeSet<&str> {
    cases
        .iter()
        .map(|case| case.question.dataset.as_str())
        .collect()
}
