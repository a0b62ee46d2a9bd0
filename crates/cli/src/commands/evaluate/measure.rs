//! Runs the model over the chosen items and measures every answer.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};
use medsam3_corpus::{CorpusError, Dataset, Item, Truth, questions, read_image};
use medsam3_engine::{Control, EncodedImage, Segmenter, Thresholds};
use medsam3_eval::{Case, Confidence, Question, match_instances};
use medsam3_imaging::Rgb8;

use super::Arguments;
use super::rule::RuleChoice;
use crate::failure;

/// What was measured.
pub struct Measured {
    /// One per image and prompt.
    pub cases: Vec<Case>,
    /// Images asked anything.
    pub images: usize,
    /// Images there were to ask, where a signal ended the work before the last.
    pub stopped_of: Option<usize>,
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
    segmenter: &Segmenter,
    datasets: &[Dataset],
    jobs: &[Job<'_>],
    control: &Control,
) -> Result<Measured> {
    let bar = ProgressBar::new(jobs.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{msg:20} {bar:30} {pos}/{len}, {eta} left") {
        bar.set_style(style);
    }
    let start = Instant::now();
    let mut measured = Measured {
        cases: Vec::new(),
        images: 0,
        stopped_of: None,
        seconds: 0.0,
    };
    for &(at, item) in jobs {
        if control.cancel.is_cancelled() {
            measured.stopped_of = Some(jobs.len());
            break;
        }
        let Some(set) = datasets.get(at) else {
            continue;
        };
        bar.set_message(set.name.clone());
        let folder = arguments.corpus.join(&set.name);
        let image = read_image(&folder.join(&item.image))?;
        let truths = questions(&folder, set, item, (image.width, image.height))?;
        let asking = Asking {
            arguments,
            segmenter,
            control,
            set,
            item,
        };
        let cases = match asking.all(&image, &truths) {
            // The cases of whole images are kept.
            Err(error) if failure::is_cancelled(&error) => {
                measured.stopped_of = Some(jobs.len());
                break;
            }
            other => other?,
        };
        measured.images += usize::from(!cases.is_empty());
        measured.cases.extend(cases);
        bar.inc(1);
    }
    bar.finish_and_clear();
    measured.seconds = start.elapsed().as_secs_f64();
    Ok(measured)
}

/// An item of a dataset, and whom to ask.
struct Asking<'a> {
    arguments: &'a Arguments,
    segmenter: &'a Segmenter,
    control: &'a Control,
    set: &'a Dataset,
    item: &'a Item,
}

impl Asking<'_> {
    /// Asks everything of an image.
    fn all(&self, image: &Rgb8, truths: &[Truth]) -> Result<Vec<Case>> {
        if truths.is_empty() {
            return Ok(Vec::new());
        }
        let encoded = pollster::block_on(self.segmenter.encode(image, self.control))?;
        truths
            .iter()
            .map(|truth| self.one(&encoded, truth))
            .collect()
    }

    fn one(&self, image: &EncodedImage, truth: &Truth) -> Result<Case> {
        let Self {
            arguments,
            segmenter,
            control,
            set,
            item,
        } = self;
        let rule = arguments.rule;
        let suggested = Thresholds::of(segmenter.manifest(), &truth.prompt).score;
        let threshold = arguments.threshold.unwrap_or(suggested);
        let options = RuleChoice::options(rule, arguments.threshold);
        let answer = segmenter.prompt(image, &truth.prompt, options, control);
        let answer = pollster::block_on(answer)?;
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
}

/// Names of the datasets that were measured.
pub fn measured_datasets(cases: &[Case]) -> BTreeSet<&str> {
    cases
        .iter()
        .map(|case| case.question.dataset.as_str())
        .collect()
}
