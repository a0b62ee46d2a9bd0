//! Draws training batches: which images, through which view, asked which prompts.
//!
//! Everything follows from the seed, the step and the worker, so that a resumed run draws what the interrupted one
//! would have drawn. Out: images `[images, 3, side, side]` in -1..1 and rows, one per image and prompt.

use rand::{Rng, RngExt as _, SeedableRng as _, seq::IndexedRandom as _};
use rand_chacha::ChaCha8Rng;

use crate::augment::{Symmetry, View, change_levels, focus_point};
use crate::config::{AugmentConfig, DataConfig, ShareBy};
use crate::foreign::{foreign_prompts, names_a_side};
use crate::square_resize::Placement;
use crate::target::{Objects, SUBCELLS, Target};
use medsam3_corpus::{Dataset, Labelling, Prompt, Raster, Sample};

/// One prompt of one image.
#[derive(Debug, Clone)]
pub struct Row {
    /// Image of the batch.
    pub image: usize,
    /// What is typed.
    pub text: String,
    /// What should be found.
    pub target: Target,
}

/// What one worker trains on in one step.
#[derive(Debug, Clone)]
pub struct Batch {
    /// `[images, 3, side, side]`, -1..1, row-major.
    pub pixels: Vec<f32>,
    /// Number of images.
    pub images: usize,
    /// Prompts, ordered by image.
    pub rows: Vec<Row>,
}

/// Draws batches from samples in memory.
pub struct Sampler {
    datasets: Vec<Dataset>,
    samples: Vec<Sample>,
    by_dataset: Vec<Vec<usize>>,
    /// Cumulative share of each dataset.
    cumulative: Vec<f32>,
    /// Per dataset, the canonical names of prompts that are clearly foreign to it.
    foreign: Vec<Vec<String>>,
    data: DataConfig,
    augment: AugmentConfig,
    seed: u64,
    side: usize,
    grid: usize,
}

impl Sampler {
    /// Prepares to draw pictures of `side` pixels with targets on a grid of `grid` cells.
    pub fn new(
        datasets: Vec<Dataset>,
        samples: Vec<Sample>,
        data: DataConfig,
        augment: AugmentConfig,
        seed: u64,
        [side, grid]: [usize; 2],
    ) -> Self {
        let mut by_dataset = vec![Vec::new(); datasets.len()];
        for (at, sample) in samples.iter().enumerate() {
            by_dataset[sample.dataset].push(at);
        }
        let shares = by_dataset.iter().zip(&datasets).map(|(items, set)| {
            let size = items.len() as f32;
            let share = match data.share_by {
                ShareBy::SquareRoot => size.sqrt(),
                ShareBy::Images => size,
            };
            share * data.weights.get(&set.name).copied().unwrap_or(1.0)
        });
        let cumulative = shares
            .scan(0.0, |sum, share| {
                *sum += share;
                Some(*sum)
            })
            .collect();
        let foreign = (0..datasets.len())
            .map(|own| foreign_prompts(&datasets, own, &data))
            .collect();
        Self {
            datasets,
            samples,
            by_dataset,
            cumulative,
            foreign,
            data,
            augment,
            seed,
            side,
            grid,
        }
    }

    /// The `images` images that `worker` sees in `step`.
    pub fn draw(&self, step: usize, worker: usize, images: usize) -> Batch {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(((step as u64) << 8) | worker as u64);
        let mut batch = Batch {
            pixels: Vec::with_capacity(images * 3 * self.side * self.side),
            images: 0,
            rows: vec![],
        };
        for _ in 0..images {
            self.draw_image(&mut rng, &mut batch);
        }
        batch
    }

    fn draw_image(&self, rng: &mut ChaCha8Rng, batch: &mut Batch) {
        let total = self.cumulative.last().copied().unwrap_or(0.0);
        let ticket = rng.random::<f32>() * total;
        let dataset = self
            .cumulative
            .partition_point(|&edge| edge <= ticket)
            .min(self.datasets.len() - 1);
        let Some(&at) = self.by_dataset[dataset].choose(rng) else {
            return;
        };
        let (sample, set) = (&self.samples[at], &self.datasets[dataset]);

        let asked = self.draw_prompts(rng, dataset, sample);
        let focus = asked.iter().find_map(|prompt| match prompt {
            Asked::Own(prompt) => focus_point(sample, &prompt.indices, rng),
            Asked::Foreign(_) => None,
        });
        let view = View::random(rng, &self.augment, self.symmetry(dataset, &asked), focus);
        let resize = self.augment.square_resize.as_ref();
        let placed = resize.map(|resize| Placement::random(rng, resize, self.side));
        let mut image = match placed {
            None => view.image(&sample.image, self.side),
            Some(placed) => placed.image(view, &sample.image),
        };
        change_levels(&mut image, rng, &self.augment);
        if let Some(placed) = placed {
            placed.pad(&mut image);
        }
        batch
            .pixels
            .extend(image.into_iter().map(|value| value * 2.0 - 1.0));

        let fine = self.grid * SUBCELLS;
        let labels = seen(view, placed, &sample.labels, fine);
        let instances = sample.instances.as_ref();
        let instances = instances.map(|map| seen(view, placed, map, fine));
        let has = |list: &[String]| list.contains(&set.name);
        let rule = if has(&self.data.objects_by_label) {
            Objects::Labels
        } else if has(&self.data.objects_by_component) {
            Objects::Components
        } else {
            Objects::Union
        };
        for prompt in asked {
            let (text, target) = match prompt {
                Asked::Own(prompt) => {
                    let target = Target::new(
                        &labels,
                        instances.as_deref(),
                        &prompt.indices,
                        rule,
                        self.grid,
                    );
                    (self.wording(rng, prompt), target)
                }
                Asked::Foreign(text) => (text.to_owned(), Target::absent(self.grid)),
            };
            batch.rows.push(Row {
                image: batch.images,
                text,
                target,
            });
        }
        batch.images += 1;
    }

    /// Distinct prompts, at least one of them positive where the image has one.
    fn draw_prompts<'a>(
        &'a self,
        rng: &mut impl Rng,
        dataset: usize,
        sample: &Sample,
    ) -> Vec<Asked<'a>> {
        let set = &self.datasets[dataset];
        let item = &set.items[sample.item];
        let with = |wanted| {
            set.prompts
                .iter()
                .filter(|p| item.labelling(p) == wanted)
                .collect::<Vec<&Prompt>>()
        };
        let (mut positive, mut absent) = (with(Labelling::Positive), with(Labelling::Absent));
        let mut foreign: Vec<&str> = self.foreign[dataset].iter().map(String::as_str).collect();

        let mut asked = Vec::with_capacity(self.data.prompts_per_image);
        while asked.len() < self.data.prompts_per_image
            && !(positive.is_empty() && absent.is_empty() && foreign.is_empty())
        {
            let none_yet = asked.is_empty() && !positive.is_empty();
            let none_left = absent.is_empty() && foreign.is_empty();
            let take_negative = !none_yet && rng.random::<f32>() < self.data.negative_share;
            if positive.is_empty() || (take_negative && !none_left) {
                asked.push(self.draw_negative(rng, &mut absent, &mut foreign));
            } else {
                let weight = |p: &&Prompt| {
                    self.data
                        .prompt_weights
                        .get(&p.canonical)
                        .copied()
                        .unwrap_or(1.0)
                };
                let mut ticket = rng.random::<f32>() * positive.iter().map(weight).sum::<f32>();
                let at = positive
                    .iter()
                    .position(|p| {
                        ticket -= weight(p);
                        ticket < 0.0
                    })
                    .unwrap_or(positive.len() - 1);
                asked.push(Asked::Own(positive.swap_remove(at)));
            }
        }
        // A batch has as many rows from every image, so the last resort is to ask again.
        while asked.len() < self.data.prompts_per_image && !asked.is_empty() {
            asked.push(asked[rng.random_range(0..asked.len())]);
        }
        asked
    }

    /// One of two lists that are not both empty.
    fn draw_negative<'a>(
        &self,
        rng: &mut impl Rng,
        absent: &mut Vec<&'a Prompt>,
        foreign: &mut Vec<&'a str>,
    ) -> Asked<'a> {
        let own = rng.random::<f32>() < self.data.own_negative_share;
        let any = rng.random_range(0..absent.len() + foreign.len());
        let own = if own {
            !absent.is_empty()
        } else {
            any < absent.len()
        };
        if own || foreign.is_empty() {
            Asked::Own(absent.swap_remove(any % absent.len()))
        } else {
            Asked::Foreign(foreign.swap_remove(any % foreign.len()))
        }
    }

    fn symmetry(&self, dataset: usize, asked: &[Asked]) -> Symmetry {
        let name = &self.datasets[dataset].name;
        let lateral = asked.iter().any(|prompt| match prompt {
            Asked::Own(prompt) => names_a_side(&prompt.canonical),
            Asked::Foreign(_) => false,
        });
        if lateral {
            Symmetry::None
        } else if self.data.any_orientation.contains(name) {
            Symmetry::All
        } else if self.data.mirror.contains(name) {
            Symmetry::Mirror
        } else {
            Symmetry::None
        }
    }

    fn wording(&self, rng: &mut impl Rng, prompt: &Prompt) -> String {
        if rng.random::<f32>() < self.data.canonical_share {
            return prompt.canonical.clone();
        }
        prompt
            .synonyms
            .choose(rng)
            .unwrap_or(&prompt.canonical)
            .clone()
    }
}

fn seen<T: Copy + Default>(
    view: View,
    placed: Option<Placement>,
    map: &Raster<T>,
    cells: usize,
) -> Vec<T> {
    match placed {
        None => view.map(map, cells),
        Some(placed) => placed.map(view, map, cells),
    }
}

#[derive(Debug, Clone, Copy)]
enum Asked<'a> {
    Own(&'a Prompt),
    Foreign(&'a str),
}

#[cfg(test)]
mod tests;
