//! Asks a model every prompt of a split, through the engine, the way the page does: the same resize, the same grey levels,
//! the mask at the image's own size. Out: answers that `medsam3-eval` chooses thresholds from and makes tables of.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use medsam3_corpus::{Dataset, Item, Split, Truth, questions, read_image};
use medsam3_engine::imaging::Mask;
use medsam3_engine::{Control, Segmenter};
use medsam3_eval::{Answer, Key, MASK_THRESHOLDS, overlap};
use pollster::block_on;

use crate::error::TrainError;

/// Stands for the dataset of answers to prompts that are clearly foreign to the image.
pub const FOREIGN: &str = "(foreign)";
/// Foreign prompts asked of every image.
const FOREIGN_PROMPTS: usize = 3;

/// A model with all that is needed to ask it.
pub struct Judge<'a> {
    /// The model.
    pub segmenter: &'a Segmenter,
    /// The corpus folder.
    pub root: &'a Path,
}

/// One question: the prompt of a dataset, and what should be found.
struct Asked<'a> {
    dataset: &'a str,
    prompt: &'a str,
    truth: Mask,
}

impl Judge<'_> {
    /// Answers to every labelled prompt of every item of `split`, and to a few of the `foreign` ones of its dataset.
    ///
    /// # Errors
    /// The first file that cannot be used, by name; the engine's errors.
    pub fn answers(
        &self,
        datasets: &[Dataset],
        foreign: &[Vec<String>],
        split: Split,
    ) -> Result<Vec<Answer>, TrainError> {
        let jobs: Vec<(usize, &Item)> = datasets
            .iter()
            .enumerate()
            .flat_map(|(at, set)| set.items.iter().map(move |item| (at, item)))
            .filter(|(_, item)| item.split == split)
            .collect();
        let next = AtomicUsize::new(0);
        // Threads of their own, not those that tensors are computed on: while one waits for a prompt to be read, another
        // is reading it.
        let work = || -> Result<Vec<(usize, Vec<Answer>)>, TrainError> {
            let mut done = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(&(at, item)) = jobs.get(number) else {
                    return Ok(done);
                };
                let answers = self.item(&datasets[at], item, &foreign[at], number);
                done.push((number, answers?));
            }
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut answers = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
            let mut all = Vec::new();
            for thread in threads {
                all.extend(thread.join().map_err(|_panicked| TrainError::Other {
                    context: "measuring the model",
                    reason: "a thread panicked".to_owned(),
                })??);
            }
            Ok::<_, TrainError>(all)
        })?;
        answers.sort_unstable_by_key(|(number, _)| *number);
        Ok(answers.into_iter().flat_map(|(_, some)| some).collect())
    }

    fn item(
        &self,
        set: &Dataset,
        item: &Item,
        foreign: &[String],
        number: usize,
    ) -> Result<Vec<Answer>, TrainError> {
        let folder = self.root.join(&set.name);
        let image = read_image(&folder.join(&item.image))?;
        let size = (image.width, image.height);
        let truths = questions(&folder, set, item, size)?;
        let of_the_set = |truth: &&Truth| set.prompts.iter().any(|p| p.canonical == truth.prompt);
        let mut asked: Vec<Asked<'_>> = (truths.iter().filter(of_the_set))
            .map(|truth| Asked {
                dataset: &set.name,
                prompt: &truth.prompt,
                truth: truth.mask.clone(),
            })
            .collect();
        for step in 0..FOREIGN_PROMPTS.min(foreign.len()) {
            asked.push(Asked {
                dataset: FOREIGN,
                prompt: &foreign[(number * FOREIGN_PROMPTS + step) % foreign.len()],
                truth: Mask::empty(size.0, size.1),
            });
        }
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let control = Control::new();
        let encoded = block_on(self.segmenter.encode(&image, &control))?;
        let answer = |asked: Asked<'_>| {
            let said = block_on(self.segmenter.semantic(&encoded, asked.prompt, &control))?;
            let overlaps = MASK_THRESHOLDS.map(|threshold| {
                // The engine's masks have the image's size, and so has the truth.
                overlap(&said.mask(threshold), &asked.truth).unwrap_or_default()
            });
            Ok(Answer {
                key: Key {
                    dataset: asked.dataset.to_owned(),
                    prompt: asked.prompt.to_owned(),
                },
                presence: said.presence,
                present: asked.truth.bits.contains(&1),
                overlaps,
            })
        };
        asked.into_iter().map(answer).collect()
    }
}
